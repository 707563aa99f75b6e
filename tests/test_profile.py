"""Where the time of a step goes."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr

T, N, X, H = 6, 4, 3, 8


@pytest.fixture(params=[True, False], ids=["compiled", "called"])
def lstm(request):
    tr.use_jit(request.param)
    yield tr.graphs.lstm(inputs=X, hidden=H, outputs=X)
    tr.use_jit(True)


def arrays():
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(N, T, X)).astype("float32"), "target": rng.integers(0, X, (N, T))}


def test_shares_add_up_to_the_step(lstm):
    p = lstm.profile(**arrays(), repeat=2)
    assert sum(p.by_kind.values()) == pytest.approx(1)
    assert all(-1e-9 <= share <= 1 for share in p.by_kind.values())
    assert sum(p.by_name.values()) == pytest.approx(1)
    assert all(name in str(p) for name in ("products", "elementwise", "copies", "Python", "overhead", "sgemm"))


def test_products_are_counted(lstm):
    rows = [r for r in lstm.profile(**arrays(), repeat=1).rows if r.kind == "products"]
    per_step = 4 * H * (X + H)  # the gates; with gradients of weights, and of the state
    output = X * H
    expected = 2 * T * N * (2 * per_step + 4 * H * H + 3 * output)
    # Products with integers in place of one-hot vectors, and sums of products, are not matrix products.
    assert sum(r.flop for r in rows) == pytest.approx(expected, rel=0.1)


def test_the_results_afterwards_are_right(lstm):
    before = lstm.value_and_grad(**arrays())[0]
    lstm.profile(**arrays(), repeat=1)
    assert lstm.value_and_grad(**arrays())[0] == before


def test_without_gradient_and_with_lengths(lstm):
    p = lstm.profile(arrays(), gradient=False, lengths=np.array([1, 6, 3, 2]), repeat=1)
    assert not any(name.startswith("d_") for name in p.by_name)


def test_the_diagram_shows_the_shares(lstm, tmp_path):
    p = lstm.profile(**arrays(), repeat=1)
    text = p.draw(tmp_path / "p.svg").read_text()
    assert "%" in text
    with pytest.raises(tr.Error, match="folded"):
        lstm.draw(tmp_path / "p.svg", view="unrolled", shares=p.by_name)


def test_mistakes(lstm):
    with pytest.raises(tr.Error, match="repeat"):
        lstm.profile(**arrays(), repeat=0)
    with pytest.raises(tr.Error, match="nothing"):
        lstm.profile(**arrays(), of="nothing")
