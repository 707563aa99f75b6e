"""Plans compiled, or called through NumPy, whatever the session does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import jit


@contextlib.contextmanager
def compiling(on: bool) -> Iterator[None]:
    """Within it plans are compiled, where there is a compiler, or called."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(jit._switch, "on", on)
        yield


def answer(model: tr.Model, data: Mapping[str, Any], compiled: bool, **options: Any) -> dict[str, Any]:
    """The loss and the gradients, by name; options are those of `value_and_grad`."""
    with compiling(compiled):
        loss, gradients = model.value_and_grad(data, **options)
    return {"loss": loss, **gradients}
