"""Ready models as functions that return declared equations: `tr.graphs.lstm(inputs=27, hidden=64, outputs=27)`.

`MODELS` has every one by name, `FIRST` the names of the plainest, `CHOICES` the options of each that change its
equations, `CELLS` the cells that `stack`, `bidirectional`, `both_ways`, `residual` and `seq2seq` take by name; they
take any other `Cell` as well, and equations as text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_rnn import Model
from tinygrad_rnn.attributes import absent
from tinygrad_rnn.keywords import told

from .attention import SCORES, bahdanau, luong
from .bidirectional import bidirectional
from .caption import caption
from .cells import Cell
from .chain import FUNCTIONS, chain
from .combine import MERGES, both_ways, residual
from .ctc import ctc, with_blanks
from .deep import FORMS, deep
from .elementwise import indrnn, mingru, minlstm, sru
from .gru import CANDIDATES, gru, mgu
from .heads import HEADS
from .lstm import coupled, layernorm, lstm, peephole, projection
from .mdlstm import mdlstm
from .multihead import multihead
from .named import CELLS
from .noise import variational, zoneout
from .pytorch import from_torch, to_torch
from .rnn import NONLINEARITIES, goodfellow, jordan, rnn
from .seq2seq import CONTEXTS, seq2seq
from .shapes import SHAPES, shapes
from .stack import stack
from .statespace import lru, mamba
from .xlstm import FORGETS, mlstm, slstm

MODELS: dict[str, Callable[..., Model]] = {f.__name__: told(f) for f in (
    rnn, jordan, goodfellow, chain, shapes, lstm, peephole, projection, coupled, layernorm, gru, mgu, zoneout,
    variational, indrnn, sru, mingru, minlstm, slstm, mlstm, lru, mamba, bidirectional, deep, mdlstm, seq2seq, bahdanau,
    luong, multihead, caption, ctc)}
globals().update(MODELS)
# What is shown where all would be too many.
FIRST = ("rnn", "lstm", "gru")
CHOICES: dict[str, dict[str, tuple[Any, ...]]] = {
    "rnn": {"nonlinearity": NONLINEARITIES},
    "chain": {"f": FUNCTIONS},
    "shapes": {"shape": tuple(SHAPES)},
    "gru": {"reset": tuple(CANDIDATES)},
    "slstm": {"forget": tuple(FORGETS)},
    "mlstm": {"forget": tuple(FORGETS)},
    "bidirectional": {"merge": tuple(MERGES), "cell": tuple(CELLS)},
    "deep": {"form": tuple(FORMS), "skip": (False, True)},
    "seq2seq": {"context": CONTEXTS, "reverse": (True, False), "eos": (True, False), "cell": tuple(CELLS)},
    "bahdanau": {"eos": (True, False)},
    "caption": {"eos": (True, False)},
    "luong": {"score": tuple(SCORES), "feed": (False, True), "eos": (True, False)},
    "multihead": {"causal": (True, False)},
}


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, __all__)


__all__ = ["CELLS", "CHOICES", "FIRST", "HEADS", "MODELS", "Cell", "both_ways", "from_torch", "residual", "stack",
           "to_torch", "with_blanks", *MODELS]
