"""Models by name or by file, for the command line. The models themselves stand over the engine."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from .data import read_text
from .errors import BadValue
from .model import Model, equations, load
from .ops.table import near


def models() -> dict[str, Callable[..., Model]]:
    """Every ready model by name."""
    found: dict[str, Callable[..., Model]] = importlib.import_module("tinygrad_rnn.graphs").MODELS
    return found


def model_of(name: str) -> Model:
    """The ready model of that name, else that of a file of equations, or of a saved one."""
    if name in models():
        return models()[name]()
    path = Path(name)
    if not path.exists():
        raise BadValue(f"{name!r} is neither a model nor a file{near(name, models())}; the models are "
                       f"{', '.join(models())}")
    return load(path) if path.suffix == ".safetensors" else equations(read_text(path), name=path.stem)
