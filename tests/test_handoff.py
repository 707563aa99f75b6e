"""Work handed to other threads: it is done once, its end is waited for, and an interrupt leaves nothing half done."""

import _thread
import ctypes
import os
import random
import signal
import threading
import time

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import jit
from tinygrad_rnn.plans import cores

needs_compiler = pytest.mark.skipif(not jit.installed(), reason="machine code needs llvmlite")
CALL = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)


class Driver:
    """A call as machine code gets it, which writes down with what it was called, and by whom."""

    def __init__(self, pause=lambda: None):
        self.calls, self.threads = [], set()

        def do(words, blocks):
            pause()
            self.calls.append((words, blocks))
            self.threads.add(threading.get_ident())

        self.do = CALL(do)
        self.address = ctypes.cast(self.do, ctypes.c_void_p).value

    def call(self, words, blocks):
        from tinygrad_rnn.jit.compiled import Native

        call = Native(self.do, words, blocks)
        call.driver = self.address
        return call


@pytest.fixture
def ctrl_c():
    """Ctrl-C as at a prompt, also where tests run in the background and the shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@needs_compiler
def test_a_box_goes_from_hand_to_hand():
    from tinygrad_rnn.jit.handoff import Handoff

    driver = Driver()
    box = Handoff()
    assert box.is_done and not box.post(driver.address, 7, 2)  # nobody looks for work yet
    assert not box.is_done and driver.calls == []
    assert not box.serve() and driver.calls == [(7, 2)]  # done, and nobody sleeps
    assert box.is_done and box.wait()
    assert not box.post(driver.address, 8, 3) and not box.wait()  # a while is over: who waits goes to sleep
    assert box.serve() and driver.calls == [(7, 2), (8, 3)] and box.is_done  # and is to be told
    assert not box.serve() and len(driver.calls) == 2  # nothing is done twice


@needs_compiler
def test_an_awake_worker_takes_work_up_by_itself_and_can_be_roused():
    from tinygrad_rnn.jit.handoff import AWAKE, TURNS_AT, Handoff

    driver = Driver()
    box = Handoff()
    box.box[TURNS_AT] = 10**12  # awake for good
    box.post(driver.address, 0, 0)
    worker = threading.Thread(target=box.serve, daemon=True)
    worker.start()
    assert box.wait()
    for k in range(1, 100):
        assert box.post(driver.address, k, 0) and box.wait()
    assert driver.calls == [(k, 0) for k in range(100)] and len(driver.threads) == 1
    time.sleep(2 * AWAKE)
    assert worker.is_alive()
    box.rouse()
    worker.join(10)
    assert not worker.is_alive() and box.is_done


@needs_compiler
@pytest.mark.parametrize("parts", [2, 3])
def test_calls_and_tasks_in_any_order_are_each_done_once(parts):
    """Pauses make workers fall asleep, be awake, or be late, in all orders."""
    dice = random.Random(parts)

    def pause():
        wait = dice.choice([0, 0, 0, 50e-6, 150e-6, 400e-6])
        if wait:
            time.sleep(wait)

    driver, done = Driver(pause), []
    for k in range(600):
        if dice.random() < 0.7:
            cores.at_once([driver.call(k, part) for part in range(parts)])
            assert sorted(driver.calls[-parts:]) == [(k, part) for part in range(parts)]
        else:
            cores.together([lambda part=part: (pause(), done.append(part)) for part in range(parts)])
            assert sorted(done[-parts:]) == list(range(parts))
        pause()
    assert len(driver.threads) == parts


@pytest.mark.parametrize("ways", ["tasks", pytest.param("calls", marks=needs_compiler)])
@pytest.mark.parametrize("interrupt", [_thread.interrupt_main, lambda: os.kill(os.getpid(), signal.SIGINT)],
                         ids=["between two lines", "by the system"])
def test_an_interrupt_waits_for_the_other_threads(ways, interrupt, ctrl_c):
    """Their arrays are in use till then, and a result that came late would be taken for that of the next call."""
    main, finished = threading.get_ident(), []

    def slow():
        if threading.get_ident() != main:
            time.sleep(0.2)
            finished.append(True)

    driver = Driver(slow)
    once = {"tasks": lambda: cores.together([slow, slow]),
            "calls": lambda: cores.at_once([driver.call(0, part) for part in range(2)])}[ways]
    for k in range(1, 3):
        timer = threading.Timer(0.05, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            once()
        assert len(finished) == k
    once()
    assert len(finished) == 3


def test_what_a_task_raises_comes_when_all_are_done():
    finished = []

    def late():
        time.sleep(0.05)
        finished.append(True)

    def fails():
        raise ValueError("this one")

    for tasks in ([fails, late], [late, fails]):
        with pytest.raises(ValueError, match="this one"):
            cores.together(tasks)
    assert len(finished) == 2


@needs_compiler
def test_shards_of_small_models_are_handed_over_and_agree_with_one(monkeypatch):
    handed = []
    at_once = cores.at_once
    monkeypatch.setattr(cores, "at_once", lambda calls: handed.append(len(calls)) or at_once(calls))
    model = tr.graphs.lstm(inputs=5, hidden=16, outputs=3)
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((64, 40, 5)).astype("float32"), "target": rng.integers(0, 3, (64, 40))}

    def gradients(threads):
        model.grad().plans.threads = threads
        return model.value_and_grad(data)

    alone, shards = gradients(1), gradients(3)
    assert handed[0] == 1 and 3 in handed
    np.testing.assert_allclose(shards[0], alone[0], rtol=1e-5)
    for name, expected in alone[1].items():
        np.testing.assert_allclose(shards[1][name], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.skipif(cores._core() is None or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores")
def test_a_worker_leaves_the_core_of_who_woke_it():
    """Two threads on one core would work one after the other, and each wait for the other one before."""
    moved = []

    def work():
        allowed, core = os.sched_getaffinity(0), cores._core()
        cores._leave(core)
        moved.append(cores._core() != core)
        assert os.sched_getaffinity(0) == allowed
        cores._leave(None)

    for _ in range(20):  # the system may move it back at any time
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(moved) == 20 and any(moved)


def test_workers_end_with_the_thread_that_they_work_for():
    def count():
        return sum(thread.name == "tinygrad_rnn" for thread in threading.enumerate())

    def work():
        cores.together([lambda: None] * 3)
        seen.append(count())

    before, seen = count(), []
    for _ in range(5):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        end = time.monotonic() + 10
        while count() > before and time.monotonic() < end:
            time.sleep(0.001)
    assert seen == [before + 2] * 5 and count() == before
