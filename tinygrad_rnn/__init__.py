"""Recurrent networks as equations: their diagrams, gradients and training from one graph."""

from .backends import use_backend
from .declare import index, last
from .errors import Error
from .functions import FUNCTIONS as _FUNCTIONS
from .functions import split
from .model import Model, equations, load

t, s, n = index("t"), index("s"), index("n")
T, S = last(t), last(s)
globals().update(_FUNCTIONS)

__all__ = ["Error", "Model", "S", "T", "equations", "index", "last", "load", "n", "s", "split", "t", "use_backend",
           *_FUNCTIONS]
