"""Programs on the device, by the stand-in for CuPy: what is captured and replayed, and what is launched by itself."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import architectures
import numpy as np
import pytest
from on_standin import recorded, standin
from on_standin import settings as with_settings

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.cuda import program as programs
from tinygrad_rnn.cuda import upload
from tinygrad_rnn.cuda.cublas import Blas
from tinygrad_rnn.cuda.launch import Launch

MODELS = [("lstm", "staying"), ("gru", "launched"), ("layernorm", "launched"), ("ctc", "launched")]


@pytest.fixture(scope="module")
def device():
    with standin() as found:
        yield found


def model_and_data(name, dtype="float32", batch=3, steps=5, **options):
    model = architectures.build(name, dtype=dtype, **options)
    return model, [architectures.data(model, batch, architectures.steps_of(model, steps), seed) for seed in (1, 2)]


def answer(model, data):
    loss, gradients = model.value_and_grad(data)
    return {"loss": tr.to_numpy(loss).copy(), **{k: tr.to_numpy(v).copy() for k, v in gradients.items()}}


def same_bits(some, others):
    return all(some[k].tobytes() == others[k].tobytes() for k in others)


# -- models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "loops"), MODELS)
def test_a_replay_computes_what_launches_do_bit_for_bit(name, loops, device):
    found = []
    for captures in (False, True):
        with with_settings(device, captures=captures, loops=loops):
            model, (data, other) = model_and_data(name)
            first = answer(model, data)  # launched, then captured
            gc.collect()  # what a graph works on stays
            assert same_bits(answer(model, data), first)
            changed = answer(model, other)
            assert same_bits(answer(model, data), first)
            name_of_one = next(iter(model.weights))
            model.weights[name_of_one] = tr.to_numpy(model.weights[name_of_one]) * 0.5
            found.append((first, changed, answer(model, data)))
    for launched, replayed in zip(*found, strict=True):
        assert same_bits(replayed, launched)
    assert not same_bits(found[0][0], found[0][1]) and not same_bits(found[0][0], found[0][2])


def test_the_faster_way_is_asked_for_once_and_computes_the_same(device):
    found = []
    for milliseconds in ([1.0, 2.0], [2.0, 1.0]):
        times, works = itertools.cycle(milliseconds), []  # each loop is asked for

        def timed(work, times=times, works=works):
            work()
            works.append(work)
            return next(times)

        with with_settings(device, loops="measured", milliseconds=timed, choices={}):
            model, (data, _) = model_and_data("lstm", hidden=6)
            once = answer(model, data)
            with with_settings(device, milliseconds=None):  # nobody asks again
                assert same_bits(answer(model, data), once)
                found.append(once)
        assert works
    for key, value in found[0].items():
        np.testing.assert_allclose(found[1][key], value, rtol=1e-4, atol=1e-6)


def test_training_in_graphs_is_training_bit_for_bit(device):
    """No update is done twice, also where it is first measured which way is faster."""
    found, times = [], itertools.count()

    def launched_is_faster(work):
        work()
        return next(times)

    for captures, loops in ((False, "launched"), (True, "launched"), (True, "measured")):
        with with_settings(device, captures=captures, loops=loops, choices={}, milliseconds=launched_is_faster):
            model, (data, other) = model_and_data("lstm", hidden=6)
            history = model.fit([data, other], optimizer=tr.Adam(0.05), epochs=3, clip=0.5)
            found.append({w: tr.to_numpy(a).copy() for w, a in model.weights.items()} | {
                "loss": np.array([float(row["loss"]) for row in history.steps])})
    assert len(found[0]["loss"]) == 6 and found[0]["loss"][-1] < found[0]["loss"][0]
    assert all(same_bits(other, found[0]) for other in found[1:])


def test_one_thread_at_a_time_captures(device):
    """There is one stream to capture on; who comes meanwhile waits, and graphs are still made afterwards."""
    done, x = [], device.xp.zeros(3)

    def work():
        device.xp.add(x, 1, x)
        done.append(threading.current_thread().name)

    other = threading.Thread(target=lambda: device.captured(work)(), name="other")

    def first():
        other.start()
        other.join(0.1)  # time enough to come in between
        work()

    replay = device.captured(first)
    other.join(10)
    replay()
    assert done == [threading.current_thread().name, "other"] and x.get().tolist() == [2, 2, 2] and device.alone


SPLIT = """
    a[t] = exp(x[t])
    k[t] = tanh(V @ k[t-1] + W @ (a[t] * cumsum(x[t])))
    """


def test_measuring_leaves_nothing_behind(device):
    """A call of CuPy's parts two graphs: what the first made lies where the loop of the second, which is measured,
    writes."""
    found, x = [], np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32")
    for loops in ("launched", "measured"):
        times = itertools.count()  # the first way is the faster one
        with with_settings(device, loops=loops, choices={}, milliseconds=lambda work, t=times: (work(), next(t))[1]):
            model = tr.equations(SPLIT, x=4, k=4)
            found.append(tr.to_numpy(model.run(x=x, want=["k"])["k"]))
            assert len(device.choices) == (loops == "measured")
    assert found[0].tobytes() == found[1].tobytes()


@pytest.mark.parametrize("loops", ["launched", "staying", "measured"])
def test_what_is_captured_was_done_before(loops, device, monkeypatch):
    """Libraries load what they need at the first use, which a capture does not suffer."""
    done, inside = set(), []

    def watched(method, name_of):
        def call(self, *args):
            name = name_of(self, *args)
            if device.xp.cuda.get_current_stream().is_capturing():
                inside.append(name)
                assert name in done, f"{name} is done for the first time in a capture"
            done.add(name)
            return method(self, *args)
        return call

    monkeypatch.setattr(Launch, "at", watched(Launch.at, lambda launch, *_: launch.name))
    monkeypatch.setattr(Blas, "gemm", watched(Blas.gemm, lambda blas, dtype, *_: f"gemm {dtype}"))
    with with_settings(device, loops=loops, choices={}):
        model, (data, _) = model_and_data("gru", hidden=7)
        answer(model, data)
    assert inside


@pytest.mark.device
def test_results_of_a_replay_are_one_copy_and_the_callers_own(device):
    model = tr.equations("h[t] = tanh(U @ h[t-1] + W @ x[t] + b)\nloss = sum(h[t]**2)", x=4, h=4)
    x = device.xp.ones((2, 3, 4), "float32")
    for _ in range(2):
        loss, gradients = model.value_and_grad(x=x)
    expected = {name: tr.to_numpy(a).copy() for name, a in gradients.items()}
    assert len({id(a.data.mem) for a in (loss, *gradients.values())}) == 1
    for a in gradients.values():
        a[...] = 7
    assert same_bits({name: tr.to_numpy(a) for name, a in model.value_and_grad(x=x)[1].items()}, expected)


def test_kernels_are_compiled_once(device, monkeypatch):
    made, after_first = [], []
    module = device.xp.RawModule
    monkeypatch.setattr(device.xp, "RawModule", lambda **more: (made.append(more["code"]), module(**more))[1])
    with with_settings(device, loops="launched"):
        for batch, steps in ((3, 5), (3, 5), (4, 7)):
            model, (data, _) = model_and_data("peephole", hidden=9, batch=batch, steps=steps)
            answer(model, data)
            after_first = after_first or list(made)
    assert made == after_first  # another batch or length is no other kernel
    names = [name for code in made for name in kernels_of(code)]
    assert len(names) == len(set(names))


def kernels_of(code):
    return [line.split()[-1].rstrip("(") for line in code.splitlines() if line.startswith('extern "C" __global__')]


# -- what stays outside of a graph -----------------------------------------------------------------


def run(device, record, host, times=3):
    """What the buffers hold after running what is recorded so many times, and the program."""
    buffers = [backends.current().xp.asarray(b) for b in host]
    program = recorded(lambda do: record(backends.current().xp, do, *buffers), buffers)
    for _ in range(times):
        for buffer, value in zip(buffers, host, strict=True):
            buffer[...] = backends.current().xp.asarray(value)
        program.run(0)
    return [tr.to_numpy(b).copy() for b in buffers], program


def looped(xp, do, x, h):
    def step(t):
        do(xp.multiply, h[t], 0.5, h[t + 1])
        do(xp.cumsum, x[t], 0, None, x[t + 1])
        do(xp.add, h[t + 1], x[t + 1], h[t + 1])

    do(xp.negative, x, x)
    do.loop(3, step)
    do(xp.tanh, h, h)


def plain(xp, do, x, h):
    def step(t):
        do(xp.multiply, h[t], 0.5, h[t + 1])
        do(xp.add, h[t + 1], x[t + 1], h[t + 1])

    do(xp.negative, x, x)
    do.loop(3, step)
    do(xp.tanh, h, h)


@pytest.fixture
def host():
    return [np.random.default_rng(k).normal(size=(4, 5)).astype("float32") for k in range(2)]


def exact(host, calls):
    x, h = (b.astype("float64") for b in host)
    x *= -1
    for t in range(3):
        if calls:
            x[t + 1] = x[t].cumsum()
        h[t + 1] = h[t] * 0.5 + x[t + 1]
    return np.tanh(h)


def test_a_loop_with_a_call_of_cupys_is_launched_step_by_step_and_says_so(device, host):
    found, program = run(device, looped, host)
    np.testing.assert_allclose(found[1], exact(host, True), rtol=1e-5)
    (reason,) = program.uncaptured
    assert "cumsum" in reason and "CuPy" in reason


def test_what_is_too_large_for_a_graph_is_launched_and_says_so(device, host, monkeypatch):
    with with_settings(device, loops="launched"):
        whole, program = run(device, plain, host)
        assert program.uncaptured == []
        monkeypatch.setattr(programs, "LARGEST", 3)
        found, program = run(device, plain, host)
    (reason,) = program.uncaptured
    assert "more than 3" in reason
    np.testing.assert_allclose(found[1], exact(host, False), rtol=1e-5)
    assert found[1].tobytes() == whole[1].tobytes()


def test_a_refused_capture_is_launched_and_says_so_and_is_not_asked_for_again(device, host):
    asked = []

    def captured(issue):
        asked.append(issue)
        raise device.errors[0](900, "operation not permitted when stream is capturing")

    with with_settings(device, loops="launched", captured=captured):
        found, program = run(device, plain, host)
    (reason,) = program.uncaptured
    assert "refused" in reason and "not permitted" in reason
    assert len(asked) == 1
    np.testing.assert_allclose(found[1], exact(host, False), rtol=1e-5)


def test_what_a_capture_does_not_suffer_ends_it_and_is_said(device, host, monkeypatch):
    """Refused by the stream itself: the work synchronises the device in the middle of the capture."""
    launch, count = Launch.at, []

    def waiting(self, functions, step):
        count.append(self.name)
        device.xp.cuda.runtime.deviceSynchronize()
        launch(self, functions, step)

    monkeypatch.setattr(Launch, "at", waiting)
    with with_settings(device, loops="launched"):
        found, program = run(device, plain, host)
        assert "refused" in program.uncaptured[0]
        monkeypatch.undo()
        again, program = run(device, plain, host)  # and the next capture is not in its way
    assert program.uncaptured == [] and found[1].tobytes() == again[1].tobytes()


# -- memory ----------------------------------------------------------------------------------------


LOOKING = """
import architectures, cuda_sources
from tinygrad_rnn.cuda import batched

batched.WORTH = 1
for name in ("lstm", "layernorm", "mlstm", "luong", "ctc"):
    model = architectures.build(name, dtype="float32")
    data = architectures.data(model, 8, architectures.steps_of(model, 9))
    with cuda_sources.on_paper(cuda_sources.Nowhere()) as paper:
        derived = model.observing().grad("loss", list(model.weights))
        cuda_sources.planned(derived, data, ("loss", *(derived.adjoints[w] for w in model.weights)))
    print(*{launch.name.split("_")[0] for program in paper.programs for launch in program.launches}, flush=True)
if {more}:
    print(cuda_sources.Nowhere().empty((2,), "f").sum())
"""


@pytest.mark.parametrize("more", [False, True])
def test_a_program_is_made_without_a_look_into_the_devices_memory(more):
    """It is another process that would die of it; in the end one does."""
    env = {**os.environ, "TINYGRAD_RNN_BACKEND": "numpy"}
    done = subprocess.run([sys.executable, "-c", LOOKING.replace("{more}", str(more))], cwd=Path(__file__).parent,
                          env=env, capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == {"pass", "chain", "loop", "clear", "batched"}, done.stderr
    assert (done.returncode != 0) == more


# -- streams ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("captures", [False, True])
def test_models_on_two_streams_take_turns(captures, device, monkeypatch):
    """They have one workspace of cuBLAS: work on a stream waits for what is under way on the one before, and once."""
    waits, stream_of = [], device.xp.cuda.Stream
    wait_event = stream_of.wait_event
    monkeypatch.setattr(stream_of, "wait_event", lambda self, event: (
        waits.append((self.ptr, event.stream.ptr)), wait_event(self, event))[-1])
    one, two = (stream_of(non_blocking=True) for _ in range(2))
    with with_settings(device, captures=captures, loops="launched"):
        models = [model_and_data("lstm", hidden=k) for k in (4, 5)]
        for stream in (one, two, one, one, two):
            for model, (data, _) in models:
                with stream:
                    answer(model, data)
    turns = [pair for pair in waits if set(pair) == {one.ptr, two.ptr}]
    assert turns == [(two.ptr, one.ptr), (one.ptr, two.ptr), (two.ptr, one.ptr)]


@pytest.mark.parametrize("on_device", [False, True])
def test_data_wait_for_a_run_on_another_stream(on_device, device, monkeypatch):
    """The run may still be reading what was loaded for it."""
    model, (data, _) = model_and_data("lstm")
    data = {name: device.xp.asarray(a) for name, a in data.items()} if on_device else data
    answer(model, data)
    done, backend, stream_of = [], backends.current(), device.xp.cuda.Stream
    rearrange, wait_event, stream = backend.rearrange, stream_of.wait_event, stream_of(non_blocking=True)
    monkeypatch.setattr(backend, "rearrange", lambda *a: (done.append("loaded"), rearrange(*a))[-1])
    monkeypatch.setattr(stream_of, "wait_event", lambda self, event: (
        done.append("waited") if (self.ptr, event.stream.ptr) == (stream.ptr, 0) else None,
        wait_event(self, event))[-1])
    with stream:
        answer(model, data)
    assert done[:2] == ["waited", "loaded"] and done.count("waited") == 1


def test_places_for_data_are_given_back(device, monkeypatch):
    """As many kinds are kept as there is room for; the last one is, whatever it takes."""
    monkeypatch.setattr(upload, "KINDS", 3)
    places, data = upload.Uploads(device.xp), np.arange(12.0).reshape(3, 4)

    def sent(kind):
        place = places(kind, data)
        assert place.array.get().tolist() == data.tolist()
        place.release()
        return [key[0] for key in places._rings]

    assert [sent(k) for k in "abcdb"][2:] == [["a", "b", "c"], ["b", "c", "d"], ["c", "d", "b"]]
    places._room = 2 * data.nbytes
    assert sent("e") == ["b", "e"]
    places._room = 0
    assert sent("f") == ["f"] and sent("f") == ["f"]


def test_without_page_locked_memory_data_come_all_the_same(device, monkeypatch, caplog):
    def refused(size):
        raise device.errors[0](2, "cudaErrorMemoryAllocation: out of memory")

    model, (data, other) = model_and_data("lstm", batch=4, steps=6)  # of a shape for which there is no place yet
    with backends.using("numpy"):
        expected = [answer(model, each) for each in (data, other)]
    monkeypatch.setattr(device.xp.cuda, "alloc_pinned_memory", refused)
    with caplog.at_level("INFO"):
        found = [answer(model, each) for each in (data, other, data)]
    assert "not page-locked: cudaErrorMemoryAllocation" in caplog.text
    assert same_bits(found[2], found[0])
    for x, y in zip(found[:2], expected, strict=True):
        for name in y:
            np.testing.assert_allclose(x[name], y[name], rtol=1e-4, atol=1e-6)
