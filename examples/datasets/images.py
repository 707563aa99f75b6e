"""Pictures of handwritten digits, to be read row by row."""

from __future__ import annotations

import numpy as np

from tinygrad_rnn.data import split

from .found import Parts, package


def digits() -> Parts:
    """1,797 digits of 8 x 8 points: {"x": float32 (N, 8, 8) from 0 to 1, a row a step, "digit": 0 to 9}.

    From the test set of the UCI Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998), with
    scikit-learn. Parts: 0.7, 0.1, 0.2.
    """
    found = package("sklearn.datasets", "scikit-learn").load_digits()
    data = {"x": (found.images / 16).astype(np.float32), "digit": found.target.astype(np.int64)}
    return split(data, 0.7, 0.1, 0.2, seed=0)
