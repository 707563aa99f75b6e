"""Recurrent networks as equations: their diagrams, gradients and training from one graph."""

from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import Any as _Any

from .attributes import OF_MODULE as _OF_MODULE
from .attributes import absent as _absent
from .backends import backend, use_backend
from .errors import Error
from .jit import use_jit
from .models.initialise import Constant, Glorot, GlorotNormal, He, Identity, Normal, Ones, Orthogonal, Uniform, Zeros
from .models.model import Model, equations
from .models.saved import load
from .notation.declare import index, last
from .notation.elsewhere import ELSEWHERE as _OTHERS
from .notation.functions import FUNCTIONS as _FUNCTIONS
from .notation.functions import split
from .tensors.arrays import asarray, broadcast_to, expand_dims, ones, permute_dims, squeeze, to_numpy, zeros
from .tensors.scope import scope
from .tensors.tensor import Tensor, grad
from .training.clipping import ClipNorm, ClipValue
from .training.optim import SGD, Adam, AdamW, RMSProp
from .training.rates import Cosine, Exponential, Linear, StepDecay, Warmup

t, s, n = index("t"), index("s"), index("n")
T, S = last(t), last(s)
globals().update(_FUNCTIONS)


if not _Path(__file__).with_name("graphs").is_dir():  # a checkout has graphs, viz and examples beside this folder
    __path__.append(str(_Path(__file__).parents[1]))

_LATER = ("data", "graphs", "viz")  # they stand over the engine and are imported when they are first used


def __getattr__(name: str) -> _Any:
    if name in _LATER:
        return _import_module(f"{__name__}.{name}")
    if name == "__version__":
        metadata = _import_module("importlib.metadata")
        try:
            return metadata.version(__name__)
        except metadata.PackageNotFoundError:
            raise AttributeError(f"{__name__} was not installed here, so that nothing says its version") from None
    raise _absent(__name__, name, __dir__(), _OF_MODULE | {other: f"write {said}" for other, said in _OTHERS.items()})


def __dir__() -> list[str]:
    return sorted([*__all__, *_LATER, *(name for name in globals() if name.startswith("__"))])


__all__ = ["SGD", "Adam", "AdamW", "ClipNorm", "ClipValue", "Constant", "Cosine", "Error", "Exponential", "Glorot",
           "GlorotNormal", "He", "Identity", "Linear", "Model", "Normal", "Ones", "Orthogonal", "RMSProp", "S",
           "StepDecay", "T", "Tensor", "Uniform", "Warmup", "Zeros", "asarray", "backend", "broadcast_to", "equations",
           "expand_dims", "grad", "index", "last", "load", "n", "ones", "permute_dims", "s", "scope", "split",
           "squeeze", "t", "to_numpy", "use_backend", "use_jit", "zeros", *_FUNCTIONS]
