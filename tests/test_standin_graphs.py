"""The stand-in for CuPy: what a capture takes and refuses, and what its graph does."""

from __future__ import annotations

import gc
import importlib
from typing import Any

import numpy as np
import pytest
from on_standin import capture


def test_captured_work_is_done_by_the_graph(cp):
    a, out, first, one = cp.arange(4.0), cp.zeros(4), cp.zeros(1, "int32"), cp.ones(1)

    def issue():
        twice = a * 2
        cp.add(twice, 1, out)
        out[0] = 9
        cp.add.at(out, first, one)
        return twice, twice.sum(), a[1:]

    (twice, total, view), graph = capture(cp, issue)
    assert not out.any() and np.isnan(twice.get()).all() and np.isnan(total.get()) and view.data.mem is a.data.mem
    graph.launch()
    assert out.tolist() == [10, 3, 5, 7] and float(total) == 12
    a += 1
    graph.launch(stream=cp.cuda.Stream())
    assert out.tolist() == [10, 5, 7, 9] and twice.tolist() == [2, 4, 6, 8]


@pytest.mark.parametrize("what", ["cp.nonzero(a)", "a[a > 0]", "s.synchronize()", "s.done",
                                  "cp.cuda.runtime.deviceSynchronize()", "cp.cuda.Device().synchronize()"])
def test_a_capture_refuses_what_waits(cp, what):
    a = cp.arange(3.0)
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="StreamCaptureUnsupported"):
        capture(cp, lambda: eval(what, {"cp": cp, "a": a, "s": cp.cuda.get_current_stream()}))
    assert not cp.cuda.get_current_stream().is_capturing() and a.tolist() == [0, 1, 2]


COPIES = [("a.get()", "D2H"), ("float(a[0])", "D2H"), ("repr(a)", "D2H"), ("a.set(host)", "H2D"),
          ("cp.asarray([1.0, 2.0])", "H2D"), ("a[[0, 1]]", "H2D"), ("a[np.arange(2)]", "H2D")]


def refuses_to_copy(cp: Any, what: str, way: str) -> None:
    """CuPy does it by itself, so that no error of CUDA's comes."""
    a, host = cp.arange(3.0), np.zeros(3)
    with pytest.raises(RuntimeError, match=f"the current stream is capturing, so {way}") as found:
        capture(cp, lambda: eval(what, {"cp": cp, "np": np, "a": a, "host": host}))
    assert found.type is RuntimeError and a.tolist() == [0, 1, 2]


@pytest.mark.parametrize("what,way", COPIES)
def test_a_capture_refuses_copies_from_and_to_the_host(cp, what, way):
    refuses_to_copy(cp, what, way)


@pytest.mark.gpu
@pytest.mark.parametrize("what,way", COPIES)
def test_a_capture_of_cupy_refuses_them(what, way):
    refuses_to_copy(importlib.import_module("cupy"), what, way)


def test_an_event_is_recorded_on_the_current_stream(cp):
    def record():
        event = cp.cuda.Event(disable_timing=True)
        event.record()
        return event

    event, _ = capture(cp, record)
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError):
        event.synchronize()  # it is a place in the graph
    record().synchronize()


def test_a_capture_allocates_in_relaxed_mode_only(cp):
    runtime = cp.cuda.runtime
    capture(cp, lambda: cp.empty(3))
    with pytest.raises(runtime.CUDARuntimeError, match="cudaMalloc"):
        capture(cp, lambda: cp.empty(3), runtime.streamCaptureModeThreadLocal)


def test_the_default_stream_neither_captures_nor_joins_one(cp):
    with pytest.raises(RuntimeError, match="cannot capture on the default"):
        cp.cuda.Stream.null.begin_capture()
    a = cp.zeros(3)
    blocking = cp.cuda.Stream()
    with blocking:
        blocking.begin_capture()
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="legacy stream"):
        a += 1
    blocking.end_capture()
    a += 1
    assert a.tolist() == [1, 1, 1]


def test_a_graph_whose_memory_went_is_found(cp):
    out = cp.zeros(3)
    _, graph = capture(cp, lambda: cp.add(cp.ones(3) * 2, 1, out))
    gc.collect()
    with pytest.raises(RuntimeError, match="freed"):
        graph.launch()


def test_a_second_stream_joins_a_capture_and_must_come_back(cp):
    other, event, a = cp.cuda.Stream(non_blocking=True), cp.cuda.Event(), cp.zeros(3)

    def forked(back: bool):
        main = cp.cuda.get_current_stream()
        main.record(event)
        other.wait_event(event)
        with other:
            cp.add(a, 1, a)
        if back:
            main.wait_event(other.record())

    _, graph = capture(cp, lambda: forked(True))
    assert not other.is_capturing() and not a.any()
    graph.launch()
    assert a.tolist() == [1, 1, 1]
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="unjoined"):
        capture(cp, lambda: forked(False))
