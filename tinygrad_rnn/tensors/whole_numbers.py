"""Operands of tensors that are whole numbers: classes, positions, exponents. Their values are looked at at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import backends
from ..arguments import first_true
from ..dtypes import WHOLE
from ..errors import BadType, BadValue
from ..ops import TABLE
from ..ops.table import REQUIRED
from ..shapes import normal_axis

Call = tuple[str, list[Any], dict[str, Any]]  # an operation, its operands, its other arguments
NUMBERS = (bool, int, float)  # NumPy's float64 too, which has a dtype as tensors do


def checked(op: str, operands: list[Any], attrs: dict[str, Any]) -> Call:
    """The call as the rows have it, with whole numbers that they take. Raises where one is out of range."""
    rule, row = RULES.get(op), TABLE.get(op)
    if rule is None or row is None or len(operands) != row.arity:
        return op, operands, attrs  # what is lacking or no number is told by `apply`
    if not all(hasattr(attrs.get(name), "__index__") for name, default in row.params.items() if default is REQUIRED):
        return op, operands, attrs
    return rule(op, operands, attrs)


def positions(at: Any, size: int) -> Any:
    """The values of a tensor of positions on an axis of that size, counted from the front.

    Raises BadType where they are no whole numbers, BadValue where one is out of range.
    """
    values = at._value()
    if values.dtype.kind not in "iu":
        raise BadType(f"positions are whole numbers, not {at.dtype}")
    bad = first_true((values < -size) | (values >= size))
    if bad is not None:
        raise BadValue(f"positions are whole numbers from {-size} to {size - 1}, not {values[bad]}")
    return backends.current().xp.where(values < 0, values + size, values)


def _check_classes(k: Any, size: int) -> None:
    values = k._value()
    at = first_true((values < 0) | (values >= size))
    if at is not None:
        where = f" at {list(at)}" if at else ""
        raise BadValue(f"class {values[at]}{where} is out of range; the classes are 0 to {size - 1}")


def _with_classes(op: str, operands: list[Any], attrs: dict[str, Any]) -> Call:
    """cross_entropy(p, k) of classes k: of one-hot vectors."""
    p, k = operands
    if k.dtype in WHOLE and p.shape:
        _check_classes(k, p.shape[-1])
        k = k._apply("one_hot", k, size=p.shape[-1], codes=True)
    return op, [p, k], attrs


def _one_hot(op: str, operands: list[Any], attrs: dict[str, Any]) -> Call:
    (k,) = operands
    if k.dtype not in WHOLE:
        return op, operands, attrs
    _check_classes(k, attrs["size"])
    return op, operands, {"codes": True, **attrs}


def _embed(op: str, operands: list[Any], attrs: dict[str, Any]) -> Call:
    """embed(E, k) of classes k: rows of E."""
    table, k = operands
    if k.dtype not in WHOLE and not k.shape:
        raise BadType(f"embed takes classes, which are whole numbers, or one-hot vectors, not a number of {k.dtype}")
    if k.dtype not in WHOLE or len(table.shape) != 2:
        return op, operands, attrs
    _check_classes(k, table.shape[0])
    return "take", operands, {"axis": 0}


def _at_positions(size: Callable[[Any, dict[str, Any]], int]) -> Callable[..., Call]:
    """take and scatter, with positions that count from the front of an axis of that size."""

    def rule(op: str, operands: list[Any], attrs: dict[str, Any]) -> Call:
        x, at = operands
        return op, [x, type(at)(positions(at, size(x, attrs)))], attrs

    return rule


def _power(op: str, operands: list[Any], attrs: dict[str, Any]) -> Call:
    """Whole numbers have whole powers, so an exponent below zero is an error."""
    dtypes = [getattr(a, "dtype", "") for a in operands]
    if not any(d in WHOLE for d in dtypes) or not all(map(_is_whole, operands)):
        return op, operands, attrs
    exponent = operands[1]
    exponent = backends.current().asarray(exponent) if isinstance(exponent, NUMBERS) else exponent._value()
    if (exponent < 0).any():
        raise BadValue("a whole number has no whole power with an exponent below 0; make it a floating-point tensor")
    return op, operands, attrs


def _is_whole(a: Any) -> bool:
    return float(a).is_integer() if isinstance(a, NUMBERS) else a.dtype in (*WHOLE, "bool")


RULES: dict[str, Callable[..., Call]] = {
    "cross_entropy": _with_classes, "softmax_cross_entropy": _with_classes, "one_hot": _one_hot, "embed": _embed,
    "take": _at_positions(lambda x, attrs: x.shape[normal_axis(attrs.get("axis", 0), len(x.shape))]),
    "scatter": _at_positions(lambda x, attrs: attrs["size"]), "power": _power}
CODED = set(RULES) - {"power"}  # one operand of each is classes or positions, so a number among its operands is one
