"""The dtypes of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import BadType

WHOLE = ("int32", "int64")
DTYPES = ("float32", "float64", *WHOLE, "bool")


def taken(own: Any, typed: bool) -> str:
    """The dtype of a tensor made of an array of dtype `own`; lists and Python's numbers are not `typed`."""
    if own.kind in "iu":
        return own.name if own.name in WHOLE else "int64"
    return "float32" if own.kind == "f" and (own.itemsize < 4 or not typed) else own.name


def named(dtype: Any) -> str:
    """The name of a dtype, given by name or as NumPy has it. Raises BadType for what is none."""
    try:
        return np.dtype(dtype).name
    except TypeError:
        hint = "; sizes stand in a tuple, such as (2, 3)" if isinstance(dtype, int) else ""
        raise BadType(f"a tensor's dtype is one of {', '.join(DTYPES)}, not {dtype!r:.80}{hint}") from None
