"""Ready models as functions that return declared equations: `tr.graphs.lstm(inputs=27, hidden=64, outputs=27)`."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_rnn import Model

from .gru import gru
from .lstm import lstm
from .rnn import rnn
from .stack import HEADS, Cell, stack

MODELS: dict[str, Callable[..., Model]] = {"rnn": rnn, "lstm": lstm, "gru": gru}

__all__ = ["HEADS", "MODELS", "Cell", "gru", "lstm", "rnn", "stack"]
