"""Python runs this at its start: so processes that tests start under --standin compute on the stand-in too."""

import contextlib
import importlib
import os

if os.environ.get("TINYGRAD_RNN_BACKEND") == "cupy":
    with contextlib.suppress(ModuleNotFoundError):
        _ours = importlib.import_module("tinygrad_rnn.cuda.cublas")
        _library = importlib.import_module("cublas").Library()
        _ours.library = lambda: _library  # type: ignore[attr-defined]
