"""What runs over two indices or reads images: the multi-dimensional LSTM, CTC against all paths, captions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from architectures import build, sigmoid, softmax

import tinygrad_rnn as tr
from tinygrad_rnn import graphs

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def test_mdlstm_against_a_double_loop():
    model = build("mdlstm")
    w, sizes = model.weights, {"u": [4, 1, 3], "v": [2, 5, 1]}
    x = np.random.default_rng(1).standard_normal((3, 4, 5, 3))
    target = np.array([0, 1, 2])
    out = model.run(x=x, target=target, lengths={k: np.array(v) for k, v in sizes.items()})
    losses = []
    for n, (rows, columns) in enumerate(zip(*sizes.values(), strict=True)):
        h, c = (np.zeros((rows + 1, columns + 1, 4)) for _ in "hc")  # row and column 0 are outside
        for u, v in itertools.product(range(1, rows + 1), range(1, columns + 1)):
            above, before = (u - 1, v), (u, v - 1)
            i, f, k, g, o = (w[f"W_{q}"] @ x[n, u - 1, v - 1] + w[f"U_{q}"] @ h[above] + w[f"V_{q}"] @ h[before]
                             + w[f"b_{q}"] for q in "ifkgo")
            i = sigmoid(i + w["p_i"] * c[above] + w["q_i"] * c[before])
            f, k = sigmoid(f + w["p_f"] * c[above]), sigmoid(k + w["q_k"] * c[before])
            c[u, v] = f * c[above] + k * c[before] + i * np.tanh(g)
            h[u, v] = sigmoid(o + w["p_o"] * c[u, v]) * np.tanh(c[u, v])
        np.testing.assert_allclose(out["h"][n, :rows, :columns], h[1:, 1:], **CLOSE)
        losses.append(-np.log(softmax(w["W_hy"] @ h[rows, columns] + w["b_y"])[target[n]]))
    np.testing.assert_allclose(out["loss"], np.mean(losses), **CLOSE)


def collapsed(path, blank):
    """The labelling of a path: repetitions made one, blanks taken away."""
    return [k for k, _ in itertools.groupby(path) if k != blank]


def probability(y, labels):
    """The sum over every path of that labelling; y: (T, classes), the blank last."""
    blank = y.shape[1] - 1
    return sum(np.prod([y[t, k] for t, k in enumerate(path)])
               for path in itertools.product(range(blank + 1), repeat=len(y)) if collapsed(path, blank) == labels)


LABELS, COUNTS = np.array([[0, 1], [2, 2], [1, 1], [0, 0]]), np.array([2, 2, 1, 0])
STEPS = np.array([5, 3, 1, 4])


def test_ctc_against_all_paths():
    model = build("ctc")
    x = np.random.default_rng(1).standard_normal((4, 5, 3))
    k, lengths = graphs.with_blanks(LABELS, 3, COUNTS)
    out = model.run(x=x, k=k, lengths={"t": STEPS, "u": lengths})
    expected = [probability(np.exp(out["y"][n, :t]), list(LABELS[n, :count]))
                for n, (t, count) in enumerate(zip(STEPS, COUNTS, strict=True))]
    np.testing.assert_allclose(np.exp(out["q"]), expected, **CLOSE)
    np.testing.assert_allclose(out["loss"], -np.mean(np.log(expected)), **CLOSE)


def test_the_gradient_of_ctc():
    model = build("ctc")
    k, lengths = graphs.with_blanks(LABELS, 3, COUNTS)
    model.check_gradient(x=np.random.default_rng(1).standard_normal((4, 5, 3)), k=k,
                         lengths={"t": STEPS, "u": lengths}, tolerance=1e-6)


def test_a_gradient_that_is_the_same_for_all_examples_has_them_all():
    model = build("ctc")
    k, _ = graphs.with_blanks([[0, 1], [2, 2]], 3)
    trace = model.trace(x=np.zeros((2, 5, 3)), k=k)
    np.testing.assert_array_equal(trace[trace.adjoints["q"]], [-0.5, -0.5])


def test_what_no_alignment_gives_has_no_probability():
    model = build("ctc")
    k, lengths = graphs.with_blanks([[0, 1, 2]], 3)
    q = model.run(x=np.zeros((1, 2, 3)), k=k, lengths={"t": np.array([2]), "u": lengths})["q"]
    assert q[0] < -1e29


def test_blanks_stand_around_every_label():
    k, lengths = graphs.with_blanks(np.array([[4, 4], [7, 0]]), 9, [2, 1])
    np.testing.assert_array_equal(k, [[9, 4, 9, 4, 9], [9, 7, 9, 0, 9]])
    np.testing.assert_array_equal(lengths, [5, 3])
    for wrong in ([1, 2], [[0.5]]):
        with pytest.raises(tr.Error, match="classes of shape"):
            graphs.with_blanks(wrong, 9)


def convolved(x, k, b):
    """3 by 3, zeros around; x: (in, H, W), k: (out, in, 3, 3)."""
    padded, out = np.pad(x, ((0, 0), (1, 1), (1, 1))), np.zeros((len(k), *x.shape[1:]))
    for o, i, j in itertools.product(range(len(k)), *map(range, x.shape[1:])):
        out[o, i, j] = (k[o] * padded[:, i : i + 3, j : j + 3]).sum() + b[o]
    return np.maximum(out, 0)


def pooled(x, reduce):
    return reduce(x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2), axis=(2, 4))


def test_caption_against_a_plain_loop():
    model = build("caption", inputs=2, kernels=3)
    w, rng = model.weights, np.random.default_rng(1)
    image, words, lengths = rng.standard_normal((2, 2, 8, 8)), rng.integers(0, 4, (2, 3)), [3, 1]
    out = model.run(image=image, w=words, lengths=np.array(lengths))
    for n, length in enumerate(lengths):
        p = pooled(convolved(image[n], w["K_a"], w["b_a"]), np.max)
        q = pooled(convolved(p, w["K_d"], w["b_d"]), np.mean)
        read, h, c = w["W_v"] @ q.reshape(-1) + w["b_v"], np.zeros(4), np.zeros(4)
        np.testing.assert_allclose(out["v"][n], read, **CLOSE)
        for t in range(length + 1):  # the image is read first, as if it were a word
            i, f, o, g = (w[f"W_u{a}"] @ read + w[f"W_h{a}"] @ h + w[f"b_{a}"] for a in "ifog")
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            if t:
                np.testing.assert_allclose(out["y"][n, t - 1], softmax(w["W_hy"] @ h + w["b_y"]), **CLOSE)
            if t < length:
                read = w["E"] @ (np.eye(4)[words[n, t - 1]] if t else np.zeros(4))


def test_the_size_of_an_image():
    with pytest.raises(tr.Error, match="multiple of 4"):
        graphs.caption(size=6)
