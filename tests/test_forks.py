"""A process that forks while other threads compile, build expressions or run models: the child can do all of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# A fork waits for whoever compiles or builds an expression, but not for a run.
FORK = """
import os, signal, sys, threading, time, warnings
import numpy as np, tinygrad_rnn as tr
from tinygrad_rnn import node

model = tr.equations("h[t] = tanh(U @ h[t-1] + W @ x[t])\\nloss = mean(h[t])", x=3, h=4)
x = np.ones((2, 5, 3), "float32")
expected = model.value_and_grad(x=x)[0]
inside, done = threading.Event(), threading.Event()

def compiling():
    from tinygrad_rnn.jit.build import Builder
    from tinygrad_rnn.jit.native import machine

    def make(module, name):
        inside.set()
        time.sleep(0.3)
        Builder(module, name).finish()

    machine().address(f"slow {os.getpid()}", make)

def building():
    with node._TURN:
        inside.set()
        time.sleep(0.3)

def running():
    with model.plans.alone:
        inside.set()
        done.wait()

threading.Thread(target={held}).start()
inside.wait()
warnings.simplefilter("ignore")
child = os.fork()
if child == 0:
    signal.alarm(20)
    fresh = tr.equations("h[t] = tanh(U @ h[t-1] + x[t])\\nloss = mean(h[t] * h[t] * h[t])", x=4, h=4)
    fresh.value_and_grad(x=np.ones((2, 5, 4), "float32"))
    same = model.value_and_grad(x=x)[0] == expected
    one_lock = model.plans.alone is model.grad("loss", list(model.weights)).plans.alone
    os._exit(0 if same and one_lock else 1)
status = os.waitpid(child, 0)[1]
done.set()
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("held", ["compiling", "building", "running"])
def test_a_child_is_not_kept_waiting_by_threads_that_it_does_not_have(held, tmp_path):
    if held == "compiling":
        pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")
    ran = subprocess.run([sys.executable, "-c", FORK.replace("{held}", held)], capture_output=True, text=True,
                         timeout=120, env={**os.environ, "TINYGRAD_RNN_CACHE": str(tmp_path), "TINYGRAD_RNN_JIT": "1"})
    assert ran.returncode == 0, ran
