"""The op table: one row per operation. Importing this package fills it."""

from . import (  # noqa: F401  (each file registers its rows)
    draws,
    elementwise,
    feature,
    feature_parts,
    image,
    linear,
    positional,
    reduction,
)
from .table import TABLE, Do, Op, apply, f

__all__ = ["TABLE", "Do", "Op", "apply", "f"]
