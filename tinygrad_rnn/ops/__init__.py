"""The op table: one row per operation. Importing this package fills it."""

from . import draws, elementwise, feature, image, linear, positional, reduction  # noqa: F401  (each file registers its rows)
from .table import TABLE, Do, Op, apply, f

__all__ = ["TABLE", "Do", "Op", "apply", "f"]
