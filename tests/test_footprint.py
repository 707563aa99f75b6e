"""What a plan takes, told before it is made; and what is said where there is not so much."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from architectures import build, data, steps_of

import tinygrad_rnn as tr
from tinygrad_rnn import backends, jit
from tinygrad_rnn.models import plan_cache as plans
from tinygrad_rnn.plans.feeds import prepared
from tinygrad_rnn.plans.footprint import footprint
from tinygrad_rnn.plans.plan import Plan


def traced(make):
    """What `make` makes, and the bytes of NumPy's arrays that it leaves."""
    tracemalloc.start()
    try:
        made = make()
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    arrays = snapshot.filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
    return made, sum(trace.size for trace in arrays.traces)


@pytest.mark.parametrize("name", ["lstm", "layernorm", "bahdanau", "multihead", "mdlstm"])
def test_the_footprint_is_what_the_plan_takes(name, monkeypatch):
    monkeypatch.setitem(jit._switch, "on", False)  # compiled code asks for arrays that it then does without
    model = build(name)
    derived = model.grad("loss")
    want = ("loss", *(derived.adjoints[w] for w in model.weights))

    def plan(config):
        return Plan(derived.system, config, model.weights.arrays, backends.current())

    def made(batch, steps):
        config, _ = prepared(derived.system, want, data(model, batch, steps_of(model, steps)), training=True)
        found, arrays = traced(lambda: plan(config))
        assert footprint(derived.system, config, plan) == pytest.approx(found.bytes, rel=0.01)
        return found.bytes, arrays

    (few, little), (many, much) = made(9, 13), made(64, 24)
    on_host = backends.backend() == "numpy" or hasattr(backends.current().xp, "is_standin")
    assert not on_host or many - few == pytest.approx(much - little, rel=0.05)


def scarce(monkeypatch, largest):
    """Plans of more examples than that cannot be made."""

    class Scarce(Plan):
        def __init__(self, system, config, *args, **more):
            if config.batch > largest:
                raise MemoryError("none left")
            super().__init__(system, config, *args, **more)

    monkeypatch.setattr(plans, "Plan", Scarce)


def test_out_of_memory_says_how_much_and_what_to_do(monkeypatch):
    scarce(monkeypatch, 8)
    model = tr.graphs.lstm(inputs=5, hidden=64, outputs=3)
    x, y = np.zeros((8192, 50, 5)), np.zeros((8192, 50), int)
    with pytest.raises(tr.Error, match=r"8192 examples needs about \d\.\d GiB.*batch_size=.*memory=\"sqrt\"") as caught:
        model.value_and_grad(x=x, target=y)
    assert isinstance(caught.value, MemoryError)
    model.value_and_grad(x=x[:8], target=y[:8])


def test_how_small_plans_are_shared_out_does_not_count(monkeypatch):
    """Of those that the size is found from some would have a part for each thread, and others one."""
    scarce(monkeypatch, 8)
    monkeypatch.setattr(backends.current(), "threads", lambda: 2)
    model = tr.equations("h[t] = tanh(W @ x[t] + U @ h[t-1])\nloss = mean(h[t])", x=2, h=400)
    with pytest.raises(tr.Error, match=r"8192 examples needs about \d\.\d GiB"):
        model.value_and_grad(x=np.zeros((8192, 200, 2), "float32"))


def test_other_plans_go_first(monkeypatch):
    scarce(monkeypatch, 8)
    model = tr.graphs.lstm(inputs=5, hidden=4, outputs=3)
    made = []
    monkeypatch.setattr(backends.current(), "free_memory", lambda: made.append(len(model.plans._plans)) or 2**20)
    model.run(x=np.zeros((2, 3, 5)))
    with pytest.raises(tr.Error, match=r"9 examples needs about .* MiB of memory, and 1\.0 MiB can be had"):
        model.run(x=np.zeros((9, 3, 5)))
    assert made == [0]
