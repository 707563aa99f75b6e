"""What kernels of arrays a, b and c begin with, and how they walk along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .build import POINTER, Builder

Places = dict[str, Any]  # pointers into a, b and c


def opened(b: Builder, fields: Sequence[str]) -> tuple[dict[str, Any], Places]:
    """The fields of the record, and where the arrays begin."""
    record, step = b.function.args
    at = {x: b.load_i64(record, k) for k, x in enumerate(fields)}
    return at, {x: b.ir.inttoptr(b.ir.add(at[x], b.ir.mul(step, at[f"{x}_step"])), POINTER) for x in "abc"}


def nested(b: Builder, here: Places, at: dict[str, Any], axes: Sequence[str], body: Callable[[Places], None]) -> None:
    """The body for all positions along some axes."""
    if not axes:
        body(here)
        return
    with b.loop(at[axes[0]]) as k:
        nested(b, moved(b, here, at, axes[0], k), at, axes[1:], body)


def moved(b: Builder, here: Places, at: dict[str, Any], axis: str, k: Any) -> Places:
    """The pointers k positions further along an axis."""
    return {x: b.offset(p, b.ir.mul(k, at[f"{x}_{axis}"])) if f"{x}_{axis}" in at else p for x, p in here.items()}
