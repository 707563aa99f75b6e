"""What is timed together, and the bars that the ratios are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .cells import ALL_SIZES, CELLS, SIZES
from .problem import Arrays

SIZE_NAMES = tuple(SIZES)
LARGE = ("S4", "S5")
SMALL = ("S1", "S2", "S3")


@dataclass(frozen=True)
class Entrant:
    """One rival of a row: a side, a cell, and the sizes at which it takes part."""

    side: str
    cell: str
    sizes: tuple[str, ...] = SIZE_NAMES

    @property
    def key(self) -> str:
        """How results name it."""
        return f"{self.side} {self.cell}"


# Rows that run at each size; the rivals of one row are timed in alternating rounds.
ROWS = {
    "lstm": [Entrant("ours", "lstm"), Entrant("torch", "lstm"), Entrant("jax", "lstm"),
             Entrant("numpy", "lstm", LARGE)],
    "gru": [Entrant("ours", "gru"), Entrant("torch", "gru"), Entrant("jax", "gru")],
    "rnn": [Entrant("ours", "rnn"), Entrant("torch", "rnn")],
    "layernorm": [Entrant("ours", "layernorm"), Entrant("torch", "layernorm", SIZE_NAMES[:4]),
                  Entrant("jax", "layernorm"), Entrant("numpy", "layernorm", LARGE)],
    "delta": [Entrant("ours", "delta", SMALL), Entrant("torch", "delta", SMALL), Entrant("jax", "delta", SMALL)],
    "attention": [Entrant("ours", "attention", SIZE_NAMES[:4]), Entrant("torch", "attention", SIZE_NAMES[:4]),
                  Entrant("jax", "attention", SIZE_NAMES[:4])],
    "training": [Entrant("ours", "training", SMALL), Entrant("torch", "training", SMALL)],
    "own": [Entrant("ours", cell) for cell in ("lstm", "peephole", "mgu", "made_up")],
}
# Rows that run once.
SINGLE_ROWS = ("first_step", "stepper", "sequences")
FIRST_STEP_BARS = {"compiled code off": 1.0, "cold cache": 10.0, "warm cache": 1.5}  # seconds
SEQUENCES = (1000, 3000, 10000)

STEPPER_BAR, SGEMM_BAR, AGREEMENT_BAR, LINEAR_BAR, TOLERANCE = 0.35, 1.25, 1e-5, 1.15, 1e-4
SQRT_BARS = {"seconds": 1.5, "mib": 0.1}  # of fit with memory="sqrt", over fit without


@dataclass(frozen=True)
class Bar:
    """The ratio of two entrants of a row, and its limit at each size; None: the ratio is only told."""

    title: str
    row: str
    ours: str
    theirs: str
    limits: Mapping[str, float | None]
    per_gflop: bool = False

    def ratio(self, size: str, medians: Arrays) -> float:
        """Ours over theirs, in time or in time per floating-point operation."""
        ratio = medians[self.ours] / medians[self.theirs]
        if not self.per_gflop:
            return ratio
        ours, theirs = (CELLS[key.split()[1]].gflop(ALL_SIZES[size]) for key in (self.ours, self.theirs))
        return ratio * theirs / ours


def limits(*values: float) -> dict[str, float]:
    """The limits at S1, S2 and so on."""
    return dict(zip(SIZE_NAMES, values, strict=False))


BARS = [
    Bar("LSTM / nn.LSTM", "lstm", "ours lstm", "torch lstm", limits(0.10, 0.85, 0.80, 0.80, 0.85)),
    Bar("GRU / nn.GRU", "gru", "ours gru", "torch gru", limits(0.05, 0.3, 0.6, 0.7, 0.75)),
    Bar("RNN / nn.RNN", "rnn", "ours rnn", "torch rnn", limits(0.10, 0.4, 0.7, 0.75, 0.8)),
    Bar("LSTM / JAX scan", "lstm", "ours lstm", "jax lstm", limits(0.25, 0.6, 0.6, 0.6, 0.75)),
    Bar("GRU / JAX scan", "gru", "ours gru", "jax gru", limits(0.25, 0.6, 0.6, 0.6, 0.75)),
    Bar("LayerNorm-LSTM / JAX scan", "layernorm", "ours layernorm", "jax layernorm", limits(0.3, 0.5, 0.4, 0.5, 0.6)),
    Bar("LayerNorm-LSTM / PyTorch eager", "layernorm", "ours layernorm", "torch layernorm",
        limits(0.03, 0.15, 0.4, 0.4)),
    Bar("LSTM, clipping and Adam too / nn.LSTM", "training", "ours training", "torch training", dict.fromkeys(SMALL)),
    *(Bar(f"delta rule / {title}", "delta", "ours delta", f"{side} delta", dict.fromkeys(SMALL))
      for title, side in (("JAX scan", "jax"), ("PyTorch eager", "torch"))),
    *(Bar(f"attention / {title}", "attention", "ours attention", f"{side} attention", dict.fromkeys(SIZE_NAMES[:4]))
      for title, side in (("JAX", "jax"), ("PyTorch", "torch"))),
    *(Bar(f"{title} / our LSTM, per GFLOP", "own", f"ours {cell}", "ours lstm", limits(1.3, 1.3, 1.2, 1.15, 1.1), True)
      for title, cell in (("peephole LSTM", "peephole"), ("MGU", "mgu"), ("made-up cell", "made_up"))),
    Bar("NumPy alone: LSTM / nn.LSTM", "lstm", "numpy lstm", "torch lstm", dict.fromkeys(LARGE, 1.05)),
    Bar("NumPy alone: LayerNorm-LSTM / JAX scan", "layernorm", "numpy layernorm", "jax layernorm",
        dict.fromkeys(LARGE, 1.0)),
]
