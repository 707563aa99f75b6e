"""Models by name or by file, for the command line. The models themselves stand over the engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..above import graphs
from ..data import read_text
from ..errors import BadValue, near
from ..models.model import Model, equations
from ..models.saved import load


def models() -> dict[str, Callable[..., Model]]:
    """Every ready model by name."""
    found: dict[str, Callable[..., Model]] = graphs().MODELS
    return found


def first() -> tuple[str, ...]:
    """The names of the plainest, where all would be too many."""
    found: tuple[str, ...] = graphs().FIRST
    return found


def choices(name: str) -> dict[str, tuple[Any, ...]]:
    """The options of a ready model that change its equations, each with its values."""
    found: dict[str, dict[str, tuple[Any, ...]]] = graphs().CHOICES
    return found.get(name, {})


def standard(name: str, option: str) -> Any:
    """The value of an option where none is given."""
    return inspect.signature(models()[name]).parameters[option].default


def options(name: str) -> list[str]:
    """The arguments of the function of that model."""
    return list(inspect.signature(models()[name]).parameters)


def takes(name: str, option: str) -> bool:
    """Does the function of that model take this argument?"""
    return option in options(name)


def layered() -> list[str]:
    """The models that are one cell, in any number of layers under any head, and read forward: those that can be
    trained on a text. What is made of another cell, such as a bidirectional network of it, is none."""
    return [name for name in models() if takes(name, "layers") and takes(name, "head") and not takes(name, "cell")]


def make(name: str, **options: Any) -> Model:
    """The ready model of that name; of the options those that its function takes. Raises for a name that none has."""
    if name not in models():
        raise unknown(name)
    return models()[name](**{key: value for key, value in options.items() if takes(name, key)})


def summary(name: str) -> str:
    """The first line of what is said of a model."""
    return (inspect.getdoc(models()[name]) or "").splitlines()[0]


def description(name: str) -> str:
    """All that is said of a model."""
    return inspect.getdoc(models()[name]) or ""


def unknown(name: str, other: str = "") -> BadValue:
    """The error for a name that no model has; `other` says what else it could have been."""
    return BadValue(f"{name!r} is {'neither' if other else 'not'} a model{other}{near(name, models())}; the models are "
                    f"{', '.join(models())}")


def model_of(name: str) -> Model:
    """The ready model of that name, else that of a file of equations, or of a saved one. Raises where it is none."""
    if name in models():
        return models()[name]()
    path = Path(name)
    if not path.exists():
        raise unknown(name, " nor a file")
    return load(path) if path.suffix == ".safetensors" else equations(read_text(path), name=path.stem)
