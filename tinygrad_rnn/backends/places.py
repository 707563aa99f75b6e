"""Where arrays lie: in the host's memory or on a GPU. Nothing goes from one to the other unless it is asked to.

NumPy arrays, lists and numbers are host data, and enter a computation on either backend. Arrays on a GPU, CuPy's or
any other's that speak DLPack or have `__cuda_array_interface__`, enter only where the backend in use is CuPy.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from .. import backends
from ..errors import BadType, BadValue

PADDED = "tr.data.padded makes arrays of sequences, and gives their lengths"
ON_DEVICE = (2, 13)  # kDLCUDA and kDLCUDAManaged of DLPack


def on_device(a: Any) -> bool:
    """Does a lie on a GPU?"""
    if isinstance(a, (np.ndarray, np.generic)):
        return False
    device = getattr(type(a), "__dlpack_device__", None)
    if device is not None:
        return device(a)[0] in ON_DEVICE
    return hasattr(a, "__cuda_array_interface__")


def described(a: Any) -> str:
    """What a is, for an error: "a CuPy array"."""
    made_on = getattr(a, "backend", None)
    if isinstance(made_on, str):
        return f"a tensor made on {made_on}"
    library = type(a).__module__.partition(".")[0]
    where = " on the GPU" if on_device(a) else ""
    return {"cupy": "a CuPy array", "numpy": "a NumPy array", "torch": f"a PyTorch tensor{where}",
            "jax": f"a JAX array{where}", "jaxlib": f"a JAX array{where}"}.get(
        library, f"an array{where} ({library}.{type(a).__name__})")


def entering(what: str, a: Any) -> Any:
    """a, which was given as `what`, as an array that the backend in use takes: its own, or NumPy's on either.

    Raises, naming it, where a lies on a GPU and the backend is NumPy, and where it is no array.
    """
    backend = backends.current()
    if type(a) is backend.xp.ndarray:
        return a
    if type(a) is not np.ndarray and isinstance(a, np.ndarray) and isinstance(a, np.ma.MaskedArray):
        a = _unmasked(what, a)  # np.ma is a module that is imported when it is named: so only for other classes
    if isinstance(a, backend.xp.ndarray):
        return a
    try:
        if not on_device(a):
            return np.asarray(a)
        if backend.name != "numpy":
            return backend.asarray(a)
    except ValueError as error:
        why = f"its rows differ in length; {PADDED}" if "inhomogeneous" in str(error) else error
        raise BadValue(f"{what} is not an array: {why}") from None
    except (TypeError, RuntimeError, BufferError) as error:  # such as PyTorch's of a tensor that wants a gradient
        raise BadType(f"{what} cannot be taken as an array: {error}") from None
    raise _elsewhere(what, a)


def numbers(what: str, a: Any) -> Any:
    """a, an array of numbers or truth values, as `entering` takes it. Raises BadType for another dtype."""
    array = entering(what, a)
    if array.dtype.kind not in "biuf":
        raise BadType(f"{what} {no_numbers(array)}; numbers are expected")
    return array


def no_numbers(array: Any) -> str:
    """What an array is that holds none: "is None", "has dtype <U3"; of objects the first that is no number."""
    if array.dtype != object:
        return f"has dtype {array.dtype}"
    at, odd = next(((k, v) for k, v in np.ndenumerate(array) if not isinstance(v, Real)), (None, None))
    if at is None:
        return "has dtype object, although it holds numbers, of which astype(float) makes floats"
    hint = f"; {PADDED}" if isinstance(odd, (list, tuple, np.ndarray)) else ""
    return f"has dtype object, with {odd!r:.40} at {list(at)}{hint}" if at else f"is {odd!r:.40}"


def _unmasked(what: str, a: np.ma.MaskedArray) -> np.ndarray:
    if np.ma.is_masked(a):
        raise BadType(f"{what} is a masked array, of which the mask would be lost; padding is told by lengths=, and "
                      "a.filled(...) puts numbers where the mask is")
    return a.data


def check_place(what: str, a: Any) -> None:
    """Raise BadType, naming it, where a, which was given as `what`, lies on a GPU and the backend in use is NumPy."""
    if backends.current().name == "numpy" and on_device(a):
        raise _elsewhere(what, a)


def _elsewhere(what: str, a: Any) -> BadType:
    return BadType(f"{what} is {described(a)}, and the backend in use is numpy; compute on the GPU with "
                   'tr.use_backend("cupy"), or take tr.asarray(x), which copies it to the host')
