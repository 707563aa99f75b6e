"""How long calls take: by the host's clock, or by events on a GPU's stream."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

Step = Callable[[], Any]
Elapsed = Callable[[Step, int], float]  # seconds of so many calls, one after another, until what they began is done

TOGETHER = 0.02  # seconds' worth of calls that are timed as one on a GPU, where calls return before their work is done
TICK = 1e-6  # seconds that events tell apart, about
UNSEEN, LATENCY = 1.2, 5e-4  # how far the host's clock may be above the events: a share, and seconds


def by_host(step: Step, calls: int, finish: Callable[[Any], Any] | None = None) -> float:
    """By the host's clock. finish: waits for the result of the last call, where calls return before it is there."""
    start = time.perf_counter()
    for _ in range(calls):
        last = step()
    if finish is not None:
        finish(last)
    return time.perf_counter() - start


def by_events(step: Step, calls: int, new_event: Callable[[], Any], milliseconds: Callable[[Any, Any], float],
              synchronize: Callable[[], Any]) -> float:
    """By two events on the current stream of a GPU, before the first call and after the last.

    The host's clock is read as well, around the same calls and a synchronisation: where it saw a fifth more, there was
    work on a stream that the events do not see, and its time is the answer.
    """
    synchronize()
    begin, end = new_event(), new_event()

    def work() -> None:
        begin.record()
        by_host(step, calls)
        end.record()
        synchronize()

    by_clock = by_host(work, 1)
    seconds = 1e-3 * milliseconds(begin, end)
    return by_clock if by_clock > UNSEEN * seconds + LATENCY else seconds


def median_call(step: Step, seconds: float, elapsed: Elapsed = by_host, together: float = 0.0) -> float:
    """The median seconds of a call, over as many measurements as fit into some seconds, one at least."""
    calls = 1
    for _ in range(2):  # the first wakes threads or the GPU
        calls = max(1, int(together * calls / max(elapsed(step, calls), TICK)))
        if calls == 1:
            break
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        times.append(elapsed(step, calls) / calls)
    return statistics.median(times)


def of_cupy() -> Elapsed:
    """By CuPy's events."""
    import cupy

    return partial(by_events, new_event=cupy.cuda.Event, milliseconds=cupy.cuda.get_elapsed_time,
                   synchronize=cupy.cuda.runtime.deviceSynchronize)


def of_torch() -> Elapsed:
    """By PyTorch's events."""
    import torch

    return partial(by_events, new_event=partial(torch.cuda.Event, enable_timing=True),
                   milliseconds=lambda begin, end: begin.elapsed_time(end), synchronize=torch.cuda.synchronize)
