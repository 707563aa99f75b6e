"""Connectionist temporal classification: a loss that sums over every alignment, as equations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_rnn import Model
from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.keywords import told

from .rnn import RNN
from .stack import stack


def ctc(inputs: int = 27, hidden: int = 64, outputs: int = 27, dtype: str = "float32", seed: int = 0) -> Model:
    """CTC: the log-probability of a labelling k, summed over its alignments to x, by a recurrence over t and u.

    alpha[t,u] = log y[t][k[u]] + log(exp alpha[t-1,u] + exp alpha[t-1,u-1] + exp alpha[t-1,u-2]), the last only where
    k[u] is neither the blank nor k[u-2]; q = log(exp alpha[T,U] + exp alpha[T,U-1]), loss = -mean(q). k is the
    labelling with a blank around every label, as `with_blanks` makes it; the blank is the class `outputs`, the last.
    Sizes: x (inputs,), h (hidden,), y and k (outputs + 1,); t and u have lengths of their own. Where no alignment is
    possible, q is about -1e30. Under any other network: `stack(cell, ..., head="ctc")`. Raises for sizes below 1.
    Source: Graves, Fernández, Gomez and Schmidhuber 2006, "Connectionist temporal classification", section 4.1, in
    logarithms; k is its l'.
    """
    return stack(RNN, inputs, hidden, whole("outputs", outputs, at_least=1) + 1, head="ctc", dtype=dtype, seed=seed,
                 name="ctc")


@told
def with_blanks(labels: Any, blank: int, lengths: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Labellings with the blank before, between and after their labels: a b becomes - a - b -.

    labels: classes (batch, L); lengths: how many labels each example has, all L unless given. Returns k, of
    (batch, 2 L + 1), and its lengths, for `lengths={"t": ..., "u": ...}`. Raises where labels are no such array.
    """
    given = np.asarray(labels)
    if given.ndim != 2 or given.dtype.kind not in "iu":
        raise BadValue(f"labels are classes of shape (batch, L), not {given.dtype} of shape {given.shape}")
    counts = np.full(len(given), given.shape[1]) if lengths is None else np.asarray(lengths)
    k = np.full((len(given), 2 * given.shape[1] + 1), blank)
    k[:, 1::2] = given
    return k, 2 * counts + 1
