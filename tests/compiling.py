"""Plans compiled, or called through NumPy, whatever the session does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tinygrad_rnn import jit


@contextlib.contextmanager
def compiling(on: bool) -> Iterator[None]:
    """Within it plans are compiled, where there is a compiler, or called."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(jit._switch, "on", on)
        yield
