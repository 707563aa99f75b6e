"""A process that serves one rival's side: it answers one line of JSON on standard output for each on standard input."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from .cells import Size
from .problem import Prepared


class Server:
    """What the parent may ask for; each request names a method and its arguments."""

    def __init__(self, side: str):
        self.prepare_by_cell: dict[str, Callable[[Size], Prepared]] = importlib.import_module(
            f".{side}_side", __package__).PREPARE
        self.prepared: dict[str, Prepared] = {}

    def prepare(self, cell: str, size: list[Any]) -> None:
        """Declare and compile."""
        self.prepared[cell] = self.prepare_by_cell[cell](Size(*size))
        self.prepared[cell].step()

    def answer(self, cell: str, path: str) -> None:
        """Write outputs and gradients to a file."""
        np.savez(path, **self.prepared[cell].answer())

    def round(self, cell: str, seconds: float) -> float:
        """Call for so long, once at least; the median of a call in seconds."""
        step = self.prepared[cell].step
        step()  # wakes the side's threads
        times: list[float] = []
        end = time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def forget(self) -> None:
        """Drop what was prepared."""
        self.prepared.clear()


def serve(side: str) -> None:
    """Answer requests until standard input ends. Whatever libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    server = Server(side)
    for line in sys.stdin:
        method, arguments = json.loads(line)
        try:
            reply = {"result": getattr(server, method)(*arguments)}
        except Exception:
            reply = {"error": traceback.format_exc()}
        print(json.dumps(reply), file=replies)


if __name__ == "__main__":
    serve(sys.argv[1])
