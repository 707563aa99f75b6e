"""Declared data that are positions of an index, w[t] = categorical(a[t,s], over=s): pointers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from compiling import compiling
from on_standin import standin

import tinygrad_rnn as tr

POINTER = """
    e[s] = tanh(E @ z[s])
    d[t] = tanh(C @ g[t-1] + D @ d[t-1])
    u[t,s] = dot(v, tanh(P @ e[s] + Q @ d[t]))
    a[t,s] = softmax(u[t,s], over=s)
    w[t] = categorical(a[t,s], over=s)
    g[t] = sum(where(s == w[t], e[s], 0), over=s)"""
SIZES, ENDS = {"z": 2, "e": 4, "v": 4, "d": 3}, {"t": [6, 2, 4], "s": [5, 3, 4]}
Z = np.random.default_rng(0).standard_normal((3, 5, 2))


def pointer(text: str = POINTER, **sizes: int) -> tr.Model:
    model = tr.equations(text, dtype="float64", **{**SIZES, **sizes})
    return model.initialise(1, {"*": tr.Normal(0.9)})


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return pointer().run(z=Z, lengths={"s": ENDS["s"]}, steps=6, seed=3)["w"]


def test_a_draw_is_a_position_of_each_example_and_later_steps_read_there(drawn: np.ndarray) -> None:
    out = pointer().run(z=Z, lengths={"s": ENDS["s"]}, steps=6, seed=3, want=["w", "g", "e"])
    np.testing.assert_array_equal(out["w"], drawn)
    assert drawn.dtype.kind == "i" and (drawn >= 1).all() and (drawn <= np.array(ENDS["s"])[:, None]).all()
    for n, t in np.ndindex(drawn.shape):
        np.testing.assert_allclose(out["g"][n, t], out["e"][n, drawn[n, t] - 1], rtol=1e-12)
    assert len(np.unique(drawn)) > 3


@pytest.mark.parametrize("options", [{}, {"temperature": 0.4}, {"temperature": 0}])
def test_draws_are_those_of_a_class_of_the_same_probabilities(options: dict[str, float]) -> None:
    """Classes count from 0, positions from 1; the noise is the same, for it follows from name, step and example."""
    p = np.random.default_rng(1).dirichlet(np.ones(4), (50, 7))
    classes = tr.equations("w[t] = categorical(p[t])", p=4, dtype="float64")
    positions = tr.equations("w[t] = categorical(p[t,i], over=i)", p=(), i=4, dtype="float64")
    by_class, by_place = (m.run(p=p, seed=2, **options)["w"] for m in (classes, positions))
    np.testing.assert_array_equal(by_place, by_class + 1)
    assert len(np.unique(by_place)) == 4


def test_the_loss_is_the_mean_surprise_and_its_gradient_is_everywhere_the_same(drawn: np.ndarray) -> None:
    model, data = pointer(), {"z": Z, "w": drawn}
    loss, grads = model.value_and_grad(data, lengths=ENDS)
    a = model.run(data, lengths=ENDS, want=["a"])["a"]
    surprise = [-np.log(a[n, t, drawn[n, t] - 1]) for n, end in enumerate(ENDS["t"]) for t in range(end)]
    assert loss == pytest.approx(np.mean(surprise), rel=1e-12)
    model.check_gradient(data, lengths=ENDS)
    derived = model.grad("loss")
    printed = tr.equations(str(derived), dtype="float64")
    assert str(printed) == str(derived)
    printed.weights.update(model.weights)
    read = printed.run(data, lengths=ENDS, want=[f"d_{name}" for name in grads])
    flat = model.unroll({"s": 5, "t": 6}).value_and_grad(data, lengths=ENDS)[1]
    with compiling(False):
        called = model.value_and_grad(data, lengths=ENDS)[1]
    with standin():
        launched = {name: tr.to_numpy(g) for name, g in pointer().value_and_grad(data, lengths=ENDS)[1].items()}
    for name, grad in grads.items():
        for other in (read[f"d_{name}"], flat[name], called[name], launched[name]):
            np.testing.assert_allclose(other, grad, rtol=1e-9, atol=1e-13)


def test_scores_far_apart_are_no_logarithm_of_zero() -> None:
    """The surprise is worked out from what goes into the softmax, through its name."""
    model = tr.equations("a[t,s] = softmax(b * z[s], over=s)\nw[t] = categorical(a[t,s], over=s)", z=(), b=(),
                         dtype="float64")
    model.weights["b"] = 1.0
    loss, grads = model.value_and_grad(z=np.array([[0.0, 2000.0]]), w=np.array([[1, 1]]))
    assert loss == 2000 and grads["b"] == 2000
    shut = tr.equations("a[t,s] = softmax(where(s < S, b * z[s], -inf), over=s)\nw[t] = categorical(a[t,s], over=s)",
                        z=(), b=(), dtype="float64")
    shut.weights["b"] = 1.0
    loss, grads = shut.value_and_grad(z=np.array([[0.0, 1.0, 9.0]]), w=np.array([[2, 2]]))
    assert loss == pytest.approx(np.log(1 + np.exp(-1)), rel=1e-12)
    assert grads["b"] == pytest.approx(-1 / (1 + np.e), rel=1e-12)


def test_a_softmax_over_an_index_is_seen_through_only_where_it_stands() -> None:
    """log(a[s]) is worked out from z; log(a[r]), a relabelling, and log(a[S]) are logarithms of the number."""
    z = np.array([[0.5, -1.0, 2.0], [0.0, 1.0, np.nan]])
    model = tr.equations("""
        a[s] = softmax(b * z[s], over=s)
        one = sum(log(a[s]) * z[s], over=s)
        other = sum(log(a[r]) * z[r], over=r)
        last = log(a[S])
        far = log(c[1])
        here[s] = log(c[s])
        c[s] = softmax(where(s == S, 3000, b * z[s]), over=s)
        loss = mean(one + 2 * other + 3 * last)""", z=(), b=(), dtype="float64")
    model.weights["b"] = 1.0
    data, lengths = {"z": z}, {"s": [3, 2]}
    out = model.run(data, lengths=lengths, want=["one", "other", "last", "far", "here"])
    logs = [own - np.log(np.exp(own).sum()) for own in (z[0], z[1, :2])]
    sums = [log @ own for log, own in zip(logs, (z[0], z[1, :2]), strict=True)]
    np.testing.assert_allclose(out["one"], sums, rtol=1e-12)
    np.testing.assert_allclose(out["other"], sums, rtol=1e-12)
    np.testing.assert_allclose(out["last"], [log[-1] for log in logs], rtol=1e-12)
    np.testing.assert_allclose(out["here"], [[-2999.5, -3001, 0], [-3000, 0, 0]], rtol=1e-12)
    assert (out["far"] == -np.inf).all()
    model.check_gradient(data, lengths=lengths)


def test_a_prefix_a_stream_a_stepper_and_the_unrolled_graph_draw_the_same(drawn: np.ndarray) -> None:
    model, lengths = pointer(), {"s": ENDS["s"]}
    begun = model.run(z=Z, w=drawn[:, :2], lengths=lengths, steps=6, seed=3)["w"]
    streamed = [step["w"] for step in model.stream(z=Z, lengths=lengths, steps=6, seed=3)]
    with compiling(False):
        called = model.run(z=Z, lengths=lengths, steps=6, seed=3)["w"]
    flat = model.unroll({"s": 5, "t": 6}).run(z=Z, lengths=ENDS, want=["w"], seed=3)["w"]
    first = model.run(z=Z, lengths=lengths, steps=4, seed=3, want=["w"])
    rest = model.run(z=Z, lengths=lengths, steps=2, seed=3, want=["w"], state=first.state)
    for other in (begun, np.stack(streamed, 1), called, np.concatenate([first["w"], rest["w"]], 1)):
        np.testing.assert_array_equal(other, drawn)
    np.testing.assert_array_equal(flat, drawn * (np.arange(6) < np.array(ENDS["t"])[:, None]))


def test_it_may_point_to_what_it_drew_before() -> None:
    """A position of the same sequence: each step reads all that came before, and is drawn after them."""
    model = tr.equations("""
        h[t] = tanh(U @ g[t-1] + W @ x[t])
        a[t,r] = softmax(where(r <= t, dot(h[t], K @ x[r]), -inf), over=r)
        w[t] = categorical(a[t,r], over=r)
        g[t] = sum(where(r == w[t], x[r], 0), over=r)""", x=2, h=3, dtype="float64").initialise(1, {"*": tr.Normal(2)})
    x = np.random.default_rng(1).standard_normal((4, 6, 2))
    out = model.run(x=x, seed=5, want=["w", "g"])
    assert (out["w"] >= 1).all() and (out["w"] <= np.arange(1, 7)).all() and len(np.unique(out["w"])) > 3
    np.testing.assert_allclose(out["g"], np.take_along_axis(x, out["w"][..., None] - 1, 1), rtol=1e-12)
    model.check_gradient(x=x, w=out["w"])


def test_it_is_trained_saved_and_drawn(tmp_path: Path, drawn: np.ndarray) -> None:
    model, data = pointer(), {"z": Z, "w": drawn, "lengths": ENDS}
    history = model.fit(data, epochs=8, optimizer=tr.Adam(0.05), scheduled_sampling=0.3, progress=False)
    assert history.loss[-1] < history.loss[0]
    model.save(tmp_path / "m.safetensors")
    loaded = tr.load(tmp_path / "m.safetensors")
    assert str(loaded) == str(model) and "w[t] = categorical(a[t,s], over=s)" in str(loaded)
    assert r"\sim \text{Categorical}_{s}(a^" in model.latex()
    for view in ("folded", "unrolled", "backward"):
        model.draw(tmp_path / f"{view}.svg", view=view, steps=None if view == "folded" else 2)
    m = tr.Model("pointer")
    z, a, w, s, t = m.input("z", ()), m.state("a"), m.state("w"), tr.index("s"), tr.t
    a[t, s] = tr.softmax(z[s] * m.weight("b", ()), over=s)
    w[t] = tr.categorical(a[t, s], over=s)
    assert str(m).splitlines()[-1] == "w[t] = categorical(a[t,s], over=s)"


@pytest.mark.parametrize("line,said", [
    ("w[t] = categorical(a[t,s])", "over=s"),
    ("w[t] = categorical(a[t,s], over=(s, t))", "a position is of one index"),
    ("w[t] = categorical(a[t,s], over=n)", "a position is of one index"),
    ("w[t] = categorical(a[t,s], over=k)", "no index k"),
    ("w[t,s] = categorical(a[t,s], over=s)", "the left side does not carry it"),
    ("w[t] = categorical(x[t], over=t)", "the left side does not carry it"),
    ("w[t] = categorical(x[t], over=s)", "no index s"),
    ("w[t] = categorical(stack(a[t,s], a[t,s]), over=s)", "rank")])
def test_mistakes(line: str, said: str) -> None:
    with pytest.raises(tr.Error) as error:
        tr.equations(f"a[t,s] = softmax(x[t] * z[s], over=s)\n{line}", x=(), z=())
    assert said in str(error.value) and "^" in str(error.value)


def test_what_is_no_distribution_is_told_and_what_is_nowhere_has_no_likelihood(drawn: np.ndarray) -> None:
    model = tr.equations("w[t] = categorical(p[t,s], over=s)", p=())
    fine, wrong = np.full((1, 2, 3), 0.5), np.array([[[0.5, 0.5, 0], [0, 0, 0]]])
    assert model.run(p=fine)["w"].shape == (1, 2)
    for p in (wrong, wrong - 0.1, np.where(wrong, 1, np.nan)):
        with warnings.catch_warnings(), pytest.raises(tr.Error, match="no distribution"):
            warnings.simplefilter("ignore")
            model.run(p=p)
    assert model.value_and_grad(p=fine, w=np.array([[1, 4]]))[0] == np.inf
    with pytest.raises(tr.Error, match="sequence of classes"):
        pointer().beam_search(z=Z, steps=2, width=2)


def test_positions_count_on_after_a_state():
    model = tr.equations("h[t] = h[t-1] + t * x[t]", x=2, h=2)
    x = np.random.default_rng(0).standard_normal((2, 6, 2)).astype("float32")
    whole = model.run(x=x)["h"]
    first = model.run(x=x[:, :4], lengths=[4, 2])
    second = model.run(x=np.stack([x[0, 4:6], x[1, 2:4]]), state=first.state)["h"]
    np.testing.assert_allclose(second, np.stack([whole[0, 4:6], whole[1, 2:4]]), rtol=1e-5)
    step = model.stepper(batch=2)
    np.testing.assert_allclose(np.stack([step(x=x[:, k])["h"] for k in range(6)], 1), whole, rtol=1e-5)
