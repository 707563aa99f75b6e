"""A process that serves one rival's side: it answers one line of JSON on standard output for each on standard input."""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import sys
import traceback
from types import ModuleType
from typing import Any

import numpy as np

from .cells import Size
from .clocks import median_call
from .problem import Place, Prepared


class Server:
    """What the parent may ask for; each request names a method and its arguments."""

    def __init__(self, side: str):
        self.name = side
        self.prepared: dict[str, Prepared] = {}

    @functools.cached_property
    def side(self) -> ModuleType:
        """The side's module; imported by the first request, so that its failure is an answer."""
        return importlib.import_module(f".{self.name}_side", __package__)

    def prepare(self, cell: str, size: list[Any], place: list[str]) -> None:
        """Declare and compile."""
        there = Place(*place)
        self.side.use(there)
        self.prepared[cell] = self.side.PREPARE[cell](Size(*size), there)
        self.prepared[cell].step()

    def tell(self, what: str, *arguments: Any) -> Any:
        """The result of one of the side's functions, such as `facts`."""
        return getattr(self.side, what)(*arguments)

    def answer(self, cell: str, path: str) -> None:
        """Write outputs and gradients to a file."""
        np.savez(path, **self.prepared[cell].answer())

    def round(self, cell: str, seconds: float) -> float:
        """Call for so long, once at least; the median of a training step in seconds."""
        rival = self.prepared[cell]
        return median_call(rival.step, seconds, rival.elapsed, rival.together) / rival.steps

    def forget(self) -> None:
        """Drop what was prepared, and its memory."""
        self.prepared.clear()
        gc.collect()
        self.side.release()


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
