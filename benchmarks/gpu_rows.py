"""What is timed together on a GPU, in which precision, and the bars."""

from __future__ import annotations

from collections.abc import Mapping

from .cells import CELLS, GPU_SIZES, LSTM, SMOKE_SIZES, Cell
from .rows import TOLERANCE, Bar, Entrant

# precision -> row -> its rivals, which are timed in alternating rounds
ROWS_BY_PRECISION = {
    "float32": {
        "lstm": [Entrant("ours", "lstm"), Entrant("torch", "lstm"), Entrant("jax", "lstm")],
        "layernorm": [Entrant("ours", "lstm"), Entrant("ours", "layernorm"), Entrant("torch", "layernorm"),
                      Entrant("jax", "layernorm")],
        "peephole": [Entrant("ours", "lstm"), Entrant("ours", "peephole"), Entrant("torch", "peephole"),
                     Entrant("jax", "peephole")],
        "gru": [Entrant("ours", "gru"), Entrant("torch", "gru"), Entrant("jax", "gru")],
        "rnn": [Entrant("ours", "rnn"), Entrant("torch", "rnn"), Entrant("jax", "rnn")],
        "training": [Entrant("ours", "training"), Entrant("torch", "training")],
        "flashrnn": [Entrant("ours", "lstm"), Entrant("flash", "lstm")],
    },
    "tf32": {
        "lstm tf32": [Entrant("ours", "lstm"), Entrant("torch", "lstm"), Entrant("jax", "lstm")],
        "flashrnn tf32": [Entrant("ours", "lstm"), Entrant("flash", "lstm")],
    },
    "bfloat16": {
        "lstm bfloat16": [Entrant("ours", "lstm"), Entrant("torch", "lstm"), Entrant("jax", "lstm")],
        "flashrnn bfloat16": [Entrant("ours", "lstm"), Entrant("flash", "lstm")],
    },
}
PRECISION_OF = {row: precision for precision, rows in ROWS_BY_PRECISION.items() for row in rows}
# What is measured first, so that a run which time ends has what matters most. FlashRNN compiles for minutes.
ORDER = ("lstm", "layernorm", "peephole", "lstm bfloat16", "lstm tf32", "training", "gru", "rnn", "flashrnn bfloat16",
         "flashrnn tf32", "flashrnn")
SIZE_ORDER = ("S5", "L", "S4", "S3")

# How far sides may be apart, as a share of the norm. Rounding the operands of an LSTM at S4 to TF32 moves its results
# by 3e-4, so that a side that does it unasked is found; arrays in bfloat16 move them by 5e-3.
TOLERANCES = {"float32": TOLERANCE, "tf32": 3e-3, "bfloat16": 3e-2}
CELL_OF: Mapping[str, Cell] = CELLS | {"training": LSTM}

CUDNN_BAR, STAYING_BAR, FLOP_BAR, EAGER_BAR, JAX_BAR = 1.1, 0.9, 1.2, 0.1, 0.7
OWN = {"layernorm": "LayerNorm-LSTM", "peephole": "peephole LSTM"}


def everywhere(limit: float | None) -> dict[str, float | None]:
    """The same limit at each size; the tiny ones have none."""
    return dict.fromkeys(GPU_SIZES, limit) | dict.fromkeys(SMOKE_SIZES)


def bars() -> dict[str, list[Bar]]:
    """The ratios that are told, by precision."""
    own = [bar for cell, title in OWN.items() for bar in (
        Bar(f"{title} / our LSTM, per GFLOP", cell, f"ours {cell}", "ours lstm", everywhere(FLOP_BAR), True),
        Bar(f"{title} / PyTorch eager", cell, f"ours {cell}", f"torch {cell}", everywhere(EAGER_BAR)),
        Bar(f"{title} / JAX scan", cell, f"ours {cell}", f"jax {cell}", everywhere(JAX_BAR)))]
    other = [bar for cell, title in (("gru", "GRU"), ("rnn", "RNN")) for bar in (
        Bar(f"{title} / cuDNN", cell, f"ours {cell}", f"torch {cell}", everywhere(None)),
        Bar(f"{title} / JAX scan", cell, f"ours {cell}", f"jax {cell}", everywhere(None)))]
    whole = [Bar("LSTM, clipping and Adam too / PyTorch", "training", "ours training", "torch training",
                 everywhere(None))]
    lstm = {"float32": lstm_bars(""), "tf32": lstm_bars(" tf32"), "bfloat16": lstm_bars(" bfloat16")}
    return lstm | {"float32": [*lstm["float32"], *own, *other, *whole]}


def lstm_bars(suffix: str) -> list[Bar]:
    """The LSTM's, in the rows of one precision."""
    return [Bar("LSTM / cuDNN", f"lstm{suffix}", "ours lstm", "torch lstm", everywhere(CUDNN_BAR)),
            Bar("LSTM / JAX scan", f"lstm{suffix}", "ours lstm", "jax lstm", everywhere(None)),
            Bar("LSTM / FlashRNN", f"flashrnn{suffix}", "ours lstm", "flash lstm", everywhere(None))]


BARS_BY_PRECISION = bars()
