"""What the notation means, rule by rule, in numbers worked out by hand or by plain NumPy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 3))
LENGTHS = np.array([4, 2])
INSIDE = np.arange(1, 5) <= LENGTHS[:, None]


def run(text, want, data=None, *, lengths=None, weights=None, steps=None, **sizes):
    model = tr.equations(text, dtype="float64", **sizes)
    for name, value in (weights or {}).items():
        model.weights[name] = value
    return model.run({"x": X} if data is None else data, want=[want], lengths=lengths, steps=steps)[want]


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def refuses(text, *fragments, **sizes):
    with pytest.raises(tr.Error) as error:
        tr.equations(text, **sizes)
    assert all(f in str(error.value) for f in fragments), str(error.value)


# -- names and indices -------------------------------------------------------------------------------------


def test_quantities_and_indices_never_clash():
    same(run("n[t] = 2 * x[t]\ni[t] = n[t] + t\nt[t] = i[t]", "t", x=3), 2 * X + np.arange(1, 5)[:, None])


def test_a_bare_index_is_its_position_and_its_capital_the_last():
    text = "p[t] = where(t == T, 100 + T, t)"
    same(run(text + " + 0 * x[t]", "p", {"x": X[..., 0]}, lengths=LENGTHS, x=()), [[1, 2, 3, 104], [1, 102, 0, 0]])
    same(run("y[t] = t\nz[t] = y[t] + 0 * x[t]", "y", {"x": X[..., 0]}, x=())[0], [1, 2, 3, 4])
    same(run("y = x[T]\nz = x[T-1]", "y", lengths=LENGTHS, x=3), X[[0, 1], [3, 1]])
    same(run("y = x[T-1]", "y", lengths=LENGTHS, x=3), X[[0, 1], [2, 0]])
    same(run("y = x[1]", "y", lengths=LENGTHS, x=3), X[:, 0])
    same(run("y = x[3] + 0 * x[T]", "y", lengths=LENGTHS, x=3), [X[0, 2], [0, 0, 0]])


@pytest.mark.parametrize("text", ["t = x[t]", "T = x[t]", "n = x[t]", "y[t] = n * x[t]", "y[t] = x[t] + N",
                                  "y[n] = x[n]", "y[t] = x[t,n]", "y = img[n-1]"])
def test_indices_and_the_batch_are_not_quantities(text):
    refuses(text, x=3)


def test_the_batch_index_marks_one_value_per_example():
    same(run("y[t] = x[t] * img[n]", "y", {"x": X, "img": X[:, 0]}, x=3, img=3), X * X[:, :1])


def test_a_name_is_zero_outside_its_range():
    same(run("y[t] = x[t-1] + 10 * x[t+2]", "y", x=3)[:, 0], 10 * X[:, 2])
    same(run("y[t] = x[t-1] + 10 * x[t+2]", "y", lengths=LENGTHS, x=3)[1], [[0, 0, 0], X[1, 0], [0] * 3, [0] * 3])
    half = run("a[t] = sigmoid(x[t])\ny[t] = a[t-1]", "y", x=3)
    same(half[:, 0], 0)  # not sigmoid(0): nothing is inlined across a shift
    same(half[:, 1:], 1 / (1 + np.exp(-X[:, :-1])))


def test_boundaries_set_values_outside_the_range():
    b, c = np.array([1.0, 2, 3]), np.array([4.0, 5, 6])
    found = run("h[t] = h[t-2] + x[t]\nh[-1] = b\nh[0] = c", "h", weights={"b": b, "c": c}, x=3, b=3, c=3)
    same(found[:, 0], b + X[:, 0])
    same(found[:, 1], c + X[:, 1])
    same(found[:, 2], b + X[:, 0] + X[:, 2])
    found = run("r[t] = r[t+1] + x[t]\nr[T+1] = b", "r", lengths=LENGTHS, weights={"b": b}, x=3, b=3)
    same(found[1], [X[1, 0] + X[1, 1] + b, X[1, 1] + b, [0] * 3, [0] * 3])
    grid = run("a[t,s] = a[t-1,s] + a[t,s-1] + x[t] * 0 + z[s] * 0\na[0,s] = 1\na[t,0] = -inf", "a",
               {"x": np.zeros((1, 2)), "z": np.zeros((1, 2))}, x=(), z=())
    assert (grid == -np.inf).all()


NUMBERS = ["1", "a", "2 * a", "s", "-a", "mean(x[t], axis=0, over=(t, n))", "max(x[T], axis=0)", "where(s > 0, a, 1)"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("first", [True, False])
def test_a_boundary_that_is_a_number_is_that_in_every_element(number, first):
    """Values, gradients and what is unrolled are those of a vector written out; the text reads back to the same."""
    rest = "s = a * a\nh[t] = tanh(U @ h[t-1] + x[t])\nr[t] = r[t+1] * h[t] + x[t]\nloss = sum(h[t] * r[t])"
    models = []
    for start in (number, f"expand({number}, 0, 3)"):
        lines = [f"h[0] = {start}", f"r[T+1] = {start}", *rest.splitlines()]
        model = tr.equations("\n".join(lines if first else lines[::-1]), x=3, a=(), dtype="float64")
        model.weights["a"] = 0.7
        models.append(model)
    filled, written = models
    loss, grads = filled.value_and_grad(x=X, lengths=LENGTHS)
    expected, theirs = written.value_and_grad(x=X, lengths=LENGTHS)
    same(loss, expected)
    assert grads["a"].shape == ()
    again = tr.equations(str(filled.grad("loss")), dtype="float64")
    again.weights.update(filled.weights)
    flat = filled.unroll(4)
    assert str(tr.equations(str(flat), dtype="float64")) == str(flat)
    found = again.run(x=X, lengths=LENGTHS, want=["d_a", "d_U"])
    unrolled = flat.value_and_grad(x=X, lengths=LENGTHS)[1]
    for name in grads:
        same(grads[name], theirs[name])
        same(found[f"d_{name}"], theirs[name])
        same(unrolled[name], theirs[name])
    assert f"h[0] = {number}" in str(filled) and str(tr.equations(str(filled), dtype="float64")) == str(filled)


def test_a_boundary_says_what_shape_there_is_where_nothing_else_does():
    shapes = {name: q.type.shape for name, q in tr.equations(
        "h[0] = b\nh[t] = tanh(W @ x[t]) * h[t-1]\nc[0] = 1\nc[t] = 2 * c[t-1]\nm[0] = img[n]\nm[t] = h[t] + m[t-1]",
        x=3, h=2).system.quantities.items()}
    assert shapes["b"] == shapes["m"] == shapes["img"] == (2,) and shapes["c"] == ()
    m = tr.Model("filled")
    x, h = m.input("x", 3), m.state("h", 2)
    h[0] = 1
    h[tr.t] = h[tr.t - 1] + m.weight("W") @ x[tr.t]
    m.weights["W"] = np.ones((2, 3))
    same(m.run(x=X[:, :1], want=["h"])["h"][:, 0, 0], 1 + X[:, 0].sum(-1).astype("float32"))


def test_shifts_are_small_whole_numbers_and_constants_finite():
    assert run("y[t] = x[t-1000]", "y", x=3).shape == X.shape
    for text in ("y[t] = x[t-1001]", "y[t] = x[t-0.5]", "y[t] = x[t-k]", "y[t] = x[2*t]", "y[t] = x[t]\ny[-1001] = b",
                 "y[t] = x[t] * 1e400", "y[t] = x[t] * 3.5e38"):
        refuses(text, "^", x=3)
    assert tr.equations("y[t] = x[t] * 3.5e38", x=3, dtype="float64")


def test_lengths_are_one_range_per_example_and_per_index():
    data = {"x": X, "z": X[:, :3]}
    text = "a[t,s] = dot(x[t], z[s])\nd = sum(a[t,s], over=(t, s))"
    lengths = {"t": LENGTHS, "s": np.array([1, 3])}
    expected = [(X[0] @ X[0, :1].T).sum(), (X[1, :2] @ X[1, :3].T).sum()]
    same(run(text, "d", data, lengths=lengths, x=3, z=3), expected)


def test_relabelling_shares_the_range_and_is_never_substituted():
    text = "k[t] = where(t == 1, 5, x[t])\na[t,s] = k[t] - 2 * k[s]"
    k = np.concatenate([np.full((2, 1), 5.0), X[:, 1:, 0]], 1)
    expected = (k[:, :, None] - 2 * k[:, None]) * (INSIDE[:, :, None] & INSIDE[:, None])
    same(run(text, "a", {"x": X[..., 0]}, lengths=LENGTHS, x=()), expected)


@pytest.mark.parametrize("text", ["r[t] = r[t+1] + x[t]\nr[S+1] = 1\nd = mean(r[t]) + mean(z[s])",
                                  "r[t] = x[t]\nd = mean(r[S]) + mean(z[s])"])
def test_so_does_the_last_position_by_another_letter(text):
    same(run("r[t] = r[t+1] + x[t]\nr[S+1] = 1\ny[s] = r[s]", "y", x=3)[:, 3], X[:, 3] + 1)
    with pytest.raises(tr.Error, match="z has 3 positions in s, but x has 4"):
        run(text, "d", {"x": X, "z": X[:, :3]}, x=3, z=3)


def test_the_last_position_of_a_static_index_keeps_its_name():
    """So that the text stays as it was written, and a size that is given anew is met everywhere."""
    text = "h[0,t] = x[t]\nh[l,t] = h[l-1,t] + a[l] * h[l,t-1] * l / L\ny[t] = h[L,t] / L"
    three = tr.equations(text, x=(), a=(), l=3, dtype="float64")
    assert "a[l] * h[l,t-1] * l / L" in str(three) and r"{L}" in three.latex()
    five = tr.equations(str(three), l=5)
    derived = tr.equations("y[t] = U[L] @ x[t] + V[L-1]\nloss = sum(y[t])", x=2, y=2, l=3).grad("loss")
    assert "d_U[l] = where(l == L, sum(outer(" in str(derived) and "d_V[l] = where(l == L - 1, sum(" in str(derived)
    for model, layers in ((three, 3), (five, 5)):
        a = np.linspace(0.1, 0.9, layers)
        model.weights["a"] = a
        found = model.run({"x": X[..., 0]}, want=["y"])["y"]
        h = np.zeros((2, 4, layers + 1))
        for t in range(4):
            h[:, t, 0] = X[:, t, 0]
            for k in range(layers):
                h[:, t, k + 1] = h[:, t, k] + a[k] * (h[:, t - 1, k + 1] if t else 0) * (k + 1) / layers
        np.testing.assert_allclose(found, h[..., -1] / layers, rtol=1e-5, atol=1e-6)


def test_the_left_side_carries_what_the_right_side_leaves_free():
    refuses("y = V @ x[t]", "index t free", "^", x=3, y=2)
    refuses("y[t] = x[t] * z[s]", "index s free", x=3, z=3)
    same(run("y = softmax(x[T])", "y", x=3), np.exp(X[:, 3]) / np.exp(X[:, 3]).sum(-1, keepdims=True))
    same(run("y[t,s] = x[t] * b + 0 * z[s]", "y", {"x": X, "z": X}, weights={"b": 2}, x=3, z=3, b=()),
         np.repeat(2 * X[:, :, None], 4, 2))


def test_names_never_on_the_left_are_inputs_or_weights():
    model = tr.equations("h[l,t] = W[l] @ h[l-1,t] + b[l]\nh[0,t] = E @ x[t]", l=3, x=3, h=2, dtype="float64")
    assert model.system.of_role("input") == ["x"]
    assert {k: v.shape for k, v in model.weights.items()} == {"W": (3, 2, 2), "b": (3, 2), "E": (2, 3)}
    h = X @ model.weights["E"].T
    for k in range(3):
        h = h @ model.weights["W"][k].T + model.weights["b"][k]
        same(model.run(x=X)["h"][:, k], h)


# -- values ------------------------------------------------------------------------------------------------


def test_a_bare_reduction_covers_everything():
    valid = X[INSIDE]
    for name, expected in (("sum", valid.sum()), ("mean", valid.mean()), ("max", valid.max())):
        same(run(f"loss = {name}(x[t])", "loss", lengths=LENGTHS, x=3), expected)
    refuses("y[t] = sum(x[t])", "bare sum", "^", x=3)
    refuses("y = mean(x[t])\nz[t] = y + max(x[t])", "bare max", x=3)
    same(run("y[t] = sum(x[t], axis=0)", "y", x=3), X.sum(-1))
    same(run("y = mean(x[t], over=t)", "y", lengths=LENGTHS, x=3), [X[0].mean(0), X[1, :2].mean(0)])
    same(run("y = mean(x[t], over=(t, n))", "y", lengths=LENGTHS, x=3), valid.mean(0))
    same(run("y[t] = mean(x[t], over=n)", "y", x=3), np.broadcast_to(X.mean(0), X.shape))


def test_the_mean_divides_by_the_joint_count():
    same(run("y = count(t, n) + 0 * x[T]", "y", lengths=LENGTHS, x=3), np.full((2, 3), 6.0))
    same(run("y = count(t) + 0 * x[T]", "y", lengths=LENGTHS, x=3), [[4] * 3, [2] * 3])
    same(run("p[t] = where(t > 1, t, 0)\nloss = mean(p[t]) + 0 * sum(x[t])", "loss", lengths=LENGTHS, x=3),
         (0 + 2 + 3 + 4 + 0 + 2) / 6)


def test_softmax_is_over_the_valid_positions_or_the_last_axis():
    e = np.exp(X) * INSIDE[..., None]
    same(run("a[t] = softmax(x[t], over=t)", "a", lengths=LENGTHS, x=3), e / e.sum(1, keepdims=True))
    same(run("a[t] = softmax(x[t])", "a", x=3), np.exp(X) / np.exp(X).sum(-1, keepdims=True))
    refuses("a[t] = softmax(x[t])", "scalar", "over=", x=())
    nothing = run("a[t,s] = softmax(where(s < t, x[s], -inf), over=s)\ny[t] = sum(a[t,s], over=s) + 0 * x[t]", "y",
                  {"x": X[..., 0]}, x=())
    same(nothing, [[0, 1, 1, 1]] * 2)  # of nothing, all are zero


def test_shapes_never_stretch():
    refuses("y[t] = x[t] + b", "disagree", x=3, b=1)
    refuses("y[t] = x[t] + B", "rank", x=3, B=(1, 3))
    same(run("y[t] = 2 * x[t] + b", "y", weights={"b": 0.5}, x=3, b=()), 2 * X + 0.5)


def test_undeclared_weights_take_the_rank_that_they_meet():
    model = tr.equations("h[t] = W @ x[t] + U @ h[t-1] + b + s * h[t-1]\ny[t] = dot(v, h[t])", x=3, h=4, s=())
    assert {k: v.shape for k, v in model.weights.items()} == {"W": (4, 3), "U": (4, 4), "b": (4,), "s": (), "v": (4,)}


@pytest.mark.parametrize("text, sizes, shapes", [
    ("h[t] = sigmoid(g) * h[t-1] + x[t]", {}, {"g": (3,)}),
    ("h[t] = (1 - m) * x[t] + m * x[t-1]", {}, {"m": (3,)}),
    ("h[t] = exp(-exp(a) * exp(b)) * h[t-1] + x[t]", {}, {"a": (3,), "b": (3,)}),
    ("h[t] = a * h[t-1] + x[t]\na = exp(-exp(nu)) * cos(theta)", {}, {"nu": (3,), "theta": (3,)}),
    ("S[t] = exp(-exp(A)) * S[t-1] + outer(x[t], x[t])", {}, {"A": (3, 3)}),
    ("m[t] = A @ m[t-1] + B * u[t]\nu[t] = dot(e, x[t])", {"m": 4}, {"A": (4, 4), "B": (4,), "e": (3,)}),
    ("d[t] = where(m[t] == 1, x[t], 0)\nh[t] = W @ d[t] + V @ m[t]", {"h": 4}, {"W": (4, 3), "V": (4, 3)}),
    ("h[t] = (M * U) @ x[t]", {"h": 4, "M": (4, 3)}, {"U": (4, 3)}),
    ("h[t] = alpha * W @ x[t]", {"h": 4}, {"alpha": (), "W": (4, 3)}),
    ("h[t] = (U + W) @ x[t]", {"h": 4}, {"U": (4, 3), "W": (4, 3)}),
    ("h[t] = where(W > 0, W, 0) @ x[t]", {"h": 4}, {"W": (4, 3)}),
    ("h[t] = dropout(W, 0.5) @ x[t]", {"h": 4}, {"W": (4, 3)}),
    ("h[t] = (W / expand(sqrt(sum(W ** 2, axis=1)), 1, 3)) @ x[t]", {"h": 4}, {"W": (4, 3)}),
    ("p = softmax(w)\ny[t] = sum(p * x[t], axis=0)", {}, {"w": (3,)}),
    ("h[t] = layer_norm(g) * log_softmax(w) * x[t]", {}, {"g": (3,), "w": (3,)}),
    ("S[t] = exp(A) * cos(expand(v, 1, 3)) * S[t-1] + outer(x[t], x[t])", {}, {"A": (3, 3), "v": (3,)}),
    ("d = exp(v)\nE = A * expand(d, 1, 3)\nS[t] = E * S[t-1] + outer(x[t], x[t])", {}, {"A": (3, 3), "v": (3,)}),
    ("y[t] = a + b * sum(x[t], axis=0)", {}, {"a": (), "b": ()}),
    ("y[t] = a + b * sum(x[t], axis=0)", {"y": 2}, {"a": (2,), "b": (2,)}),
    ("h[t] = sigmoid(g) * h[t-1] + x[t]", {"g": ()}, {"g": ()}),
])
def test_what_is_worked_out_of_weights_takes_the_rank_that_it_meets(text, sizes, shapes):
    model = tr.equations(text, x=3, **sizes)
    assert {k: model.weights[k].shape for k in shapes} == shapes
    assert tr.equations(str(model)).weights.shapes == model.weights.shapes
    derived = model.extend("loss = " + " + ".join(f"mean({n}[t] ** 2)" for n in "hSmdy" if f"{n}[t] =" in text)).grad()
    assert {k: tr.equations(str(derived)).weights.shapes[k] for k in model.weights} == model.weights.shapes


@pytest.mark.parametrize("text, sizes, shapes", [
    ("g[t] = sigmoid(dot(v, x[t]) + b)\ny[t] = g[t] * x[t]", {}, {"b": (), "g": ()}),
    ("g[t] = sigmoid(b - dot(v, x[t]))\ny[t] = g[t] * x[t]", {}, {"b": (), "g": ()}),
    ("g[t] = maximum(dot(v, x[t]), b)\ny[t] = g[t] * x[t]", {}, {"b": (), "g": ()}),
    ("y[t] = (dot(v, x[t]) + b) * x[t]", {}, {"b": ()}),
    ("y[t] = tanh(dot(v, x[t]) + b)", {"y": 2}, {"b": (2,)}),
    ("y[t] = sigmoid(a * dot(v, x[t]) + b) * x[t]", {}, {"a": (3,), "b": (3,)}),
    ("c[t] = 0.9 * c[t-1] + dot(v, x[t])\ny[t] = b * c[t]", {"y": 2}, {"b": (2,), "c": ()}),
    ("c[t] = a * c[t-1] + dot(v, x[t])\nc[0] = e\ny[t] = b * c[t]", {"y": 2},
     {"a": (), "b": (2,), "c": (), "e": ()}),
    ("c[i,t] = c[i,t-1] + i * dot(v, x[t])\ny[t] = sum(b[i] * c[i,t], over=i)", {"y": 2, "i": 4},
     {"b": (2,), "c": ()}),
    ("c[t] = 0.9 * c[t-1] + dot(v, x[t])\ny[t] = b * c[t]", {"y": 2, "c": 2}, {"b": (2,), "c": (2,)}),
])
def test_what_is_added_to_a_number_is_a_number(text, sizes, shapes):
    """A gate of one number stays one number, and so does a running sum of numbers."""
    model = tr.equations(text, x=3, v=3, **sizes)
    assert {k: model.system.quantities[k].type.shape for k in shapes} == shapes
    derived = model.extend("loss = mean(y[t] ** 2)").grad()
    for read in (tr.equations(str(model)), tr.equations(str(derived))):
        assert {k: read.system.quantities[k].type.shape for k in shapes} == shapes


def test_sizes_come_from_keywords_or_lines_and_are_printed():
    model = tr.equations("x[t]: 3\nV: (10, 64)\nh[t] = V @ (W @ x[t])")
    assert model.weights["W"].shape == (64, 3)
    assert str(model) == "x[t]: 3\nV: (10, 64)\n\nh[t] = V @ (W @ x[t])"
    assert tr.equations("x[t]: 3\nh[t] = W @ x[t]\nh[t]: 2", x=5, h=4).weights["W"].shape == (4, 5)
    assert tr.equations(str(tr.equations("y[t] = s * x[t]", s=(), x=()))).weights["s"].shape == ()


def test_a_size_is_of_a_quantity_or_of_an_index_but_not_of_either():
    text = "i[t] = sigmoid(W @ x[t])\ny[t] = sum(i[t] * m[i], over=i)"
    for both in (text, f"i: 3\n{text}"):
        with pytest.raises(ValueError, match=r"both a quantity and an index.*i\[t\]: 64.*a name that no quantity has"):
            tr.equations(both, x=2, **({"i": 3} if both == text else {}))
    model = tr.equations(f"i[t]: 3\n{text}", x=2)
    assert str(tr.equations(str(model), i=4).system.quantities["i"].type.shape) == "(4,)"
    assert tr.equations("n[t] = W @ x[t]\nm[t] = mean(n[t], over=n)", x=2, n=3).weights["W"].shape == (3, 2)
    assert tr.equations(text, x=2, m=3).weights["W"].shape == (3, 2)


def test_indices_of_one_range_have_one_size():
    text = "c[i,t] = i * x[t]\ny[t] = sum(c[k,t], over=k)"
    for sizes in ({"i": 3}, {"k": 3}, {"i": 3, "k": 3}):
        same(run(text, "y", x=3, **sizes), 6 * X)
    refuses(text, "i and k share a range", "it has one size, not 3 and 4", x=3, i=3, k=4)


def test_integers_stand_for_one_hot_vectors():
    w = np.array([[0, 2, 1, 2], [1, 1, 0, 0]])
    table = RNG.standard_normal((4, 3))
    before = np.concatenate([np.zeros((2, 1, 4)), table.T[w[:, :-1]]], 1)  # w[0] is the zero vector, and no class 0
    for shift, rows in (("", table.T[w]), ("-1", before)):
        same(run(f"y[t] = W @ w[t{shift}]", "y", {"w": w}, weights={"W": table}, w=3, y=4), rows)
        same(run(f"y[t] = embed(E, w[t{shift}])", "y", {"w": w}, weights={"E": table.T}, E=(3, 4), w=3), rows)


@pytest.mark.parametrize("text, sizes", [("W @ w[t]", {"y": 4}), ("embed(E, w[t])", {"y": 4}), ("w[t] * w[t]", {}),
                                         ("cross_entropy(softmax(x[t]), w[t])", {"x": 3})])
@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_class_out_of_range_is_told_unless_it_is_padding(text, sizes, wrong):
    model = tr.equations(f"y[t] = {text}", w=3, **sizes)
    data = {"w": np.array([[0, 2, 1, wrong], [1, 1, 0, 0]]), **({"x": X} if "x" in sizes else {})}
    said = f"w is class {wrong} at example 0, t = 4; the classes are 0 to 2" + ".*lengths=" * (wrong < 0)
    with pytest.raises(tr.Error, match=said):
        model.run(data)
    model.run(data, lengths=[3, 4])


def test_products():
    a, b, v = RNG.standard_normal((3, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(3)
    values = {"A": a, "B": b, "v": v}
    for text, expected in (("A @ x[t]", X @ a.T), ("x[t] @ B", X @ b), ("x[t] @ x[t]", (X * X).sum(-1)),
                           ("dot(x[t], v)", X @ v), ("outer(x[t], v)", X[..., None] * v),
                           ("transpose(B) @ x[t]", X @ b),
                           ("(A @ x[t])[0:2]", (X @ a.T)[..., :2]), ("x[t][-1]", X[..., -1]),
                           ("x[t][::-1]", X[..., ::-1])):
        used = {k: s for k, s in values.items() if k in text}
        same(run(f"y[t] = {text}", "y", weights=used, x=3, **{k: s.shape for k, s in used.items()}), expected)


def test_losses_and_the_norm():
    p = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
    k = np.array([[0, 2, 1, 1], [2, 1, 0, 0]])
    data = {"x": X, "k": k}
    picked = np.take_along_axis(p, k[..., None], -1)[..., 0]
    text = "p[t] = softmax(x[t])\nq[t] = p[t]\ny[t] = cross_entropy(q[t], k[t])"
    same(run(text, "y", data, x=3, k=3), -np.log(picked))
    same(run("y[t] = squared_error(x[t], 1)", "y", x=3), (X - 1) ** 2)
    same(run("y[t] = binary_cross_entropy(sigmoid(x[t]), 0.3)", "y", x=3),
         np.log1p(np.exp(-X)) + 0.7 * X)
    norm = (X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + 1e-5)
    same(run("y[t] = layer_norm(x[t], 2, 3)", "y", x=3), 2 * norm + 3)
    assert not tr.equations("y[t] = layer_norm(x[t])", x=3).weights


@pytest.mark.parametrize("loss", ["cross_entropy(p[t], k[t])", "-sum(k[t] * log(p[t]), axis=0)"])
def test_the_loss_sees_through_names_before_differentiation(loss):
    model = tr.equations(f"p[t] = softmax(z[t])\nz[t] = 1 * x[t]\nloss = mean({loss})", x=2)
    value, grads = model.value_and_grad(x=np.array([[[0.0, 1e4]]]), k=np.array([[[1.0, 0.0]]]), wrt="x")
    assert value == 1e4
    np.testing.assert_allclose(grads["x"], [[[-1, 1]]])


def test_padding_touches_nothing():
    text = """
        h[t] = tanh(W @ x[t] + U @ h[t-1])
        r[t] = tanh(W @ x[t] + U @ r[t+1])
        m = max(h[t], over=t)
        c[t] = cumsum(r[t], over=t)
        loss = mean(c[t]) + sum(dot(m, r[1])) + logsumexp(h[t])"""
    model = tr.equations(text, x=3, h=2, r=2, dtype="float64")
    spoilt = np.where(INSIDE[..., None], X, np.nan)
    for wrt in (None, ["x"]):
        clean, grads = model.value_and_grad(x=X, lengths=LENGTHS, wrt=wrt)
        value, spoilt_grads = model.value_and_grad(x=spoilt, lengths=LENGTHS, wrt=wrt)
        assert value == clean
        for name, g in grads.items():
            np.testing.assert_array_equal(spoilt_grads[name], g)
    assert not grads["x"][~INSIDE].any() and grads["x"][INSIDE].all()
    out = model.run(x=spoilt, lengths=LENGTHS)
    for name in "hrc":
        assert not out[name][~INSIDE].any() and np.isfinite(out[name]).all()
    one, two = (model.run(x=X[k : k + 1, : LENGTHS[k]], want=["h", "r", "c", "m"]) for k in (0, 1))
    for name in "hrc":
        same(out[name][0], one[name][0])
        same(out[name][1, :2], two[name][0])


# -- loops -------------------------------------------------------------------------------------------------


def test_a_recurrence_over_two_indices():
    x = RNG.standard_normal((1, 3, 4))
    expected = np.zeros((4, 5))
    for i in range(1, 4):
        for j in range(1, 5):
            expected[i, j] = np.tanh(x[0, i - 1, j - 1] + 0.5 * expected[i - 1, j] - expected[i, j - 1])
    same(run("h[i,j] = tanh(x[i,j] + 0.5 * h[i-1,j] - h[i,j-1])", "h", {"x": x}, x=())[0], expected[1:, 1:])
    text = "h[i,j] = tanh(x[i,j] + 0.5 * h[i-1,j+1] - h[i,j-1])"
    for i in range(1, 4):
        for j in range(1, 5):
            diagonal = expected[i - 1, j + 1] if j < 4 else 0
            expected[i, j] = np.tanh(x[0, i - 1, j - 1] + 0.5 * diagonal - expected[i, j - 1])
    same(run(text, "h", {"x": x}, x=())[0], expected[1:, 1:])


def test_an_autonomous_model_runs_for_as_many_steps_as_it_is_told():
    found = run("h[t] = 2 * h[t-1]\nh[0] = 1\ny = h[T]\nloss = mean(h[t])", "loss", {}, steps=3)
    same(found, 14 / 3)
    same(run("h[t] = 2 * h[t-1]\nh[0] = 1\nloss = mean(h[t])", "loss", {}, steps=3, lengths=[3, 1]), 16 / 4)


@pytest.mark.parametrize(("right", "over"), [("x[s]", "s"), ("q[t,s] * x[s]", "s"), ("x[t]", "t")])
def test_a_sum_of_everything_is_told_over_which_index_it_runs(right, over):
    with pytest.raises(tr.Error, match=rf"in y\[t\] write sum\(..., over={over}\) or axis="):
        tr.equations(f"y[t] = sum(where(t <= 2, {right}, 0))", x=3)


def test_a_weight_beside_a_position_is_hardly_meant():
    text = "y[t] = sum(where(s <= t, x[t], 0), axis=0)"
    with pytest.warns(UserWarning, match=r"s is a weight here, .* position t; an index stands in brackets, x\[s\]"):
        tr.equations(text, x=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tr.equations(text, x=3, s=())
        tr.equations("y[t] = sum(where(s <= t, x[s], 0), over=s)", x=3)


@pytest.mark.parametrize(("loss", "wanted"), [
    ("mean(cross_entropy(V @ h[t], target[t]))", "cross_entropy(softmax(z), k)"),
    ("mean(cross_entropy(V @ h[t] + b, target[t]))", "cross_entropy(softmax(z), k)"),
    ("mean(cross_entropy(z[t], target[t]))\nz[t] = b + V @ h[t]", "cross_entropy(softmax(z), k)"),
    ("mean(binary_cross_entropy(dot(v, h[t]), label[t]))", "binary_cross_entropy(sigmoid(z), k)"),
])
def test_a_loss_of_scores_is_hardly_meant(loss, wanted):
    with pytest.warns(UserWarning, match="is given what weights make, which is no probability") as caught:
        tr.equations(f"h[t] = tanh(W @ x[t])\nloss = {loss}", x=3, h=4, **({} if "label" in loss else {"target": 5}))
    assert wanted in str(caught[0].message)


@pytest.mark.parametrize("p", ["softmax(V @ h[t] + b)", "0.5 * softmax(V @ h[t]) + 0.5 * softmax(b)", "exp(V @ h[t])"])
def test_a_loss_of_probabilities_is_meant(p):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tr.equations(f"h[t] = tanh(W @ x[t])\nloss = mean(cross_entropy({p}, target[t]))", x=3, h=4, target=5)
        tr.equations(f"h[t] = tanh(W @ x[t])\np[t] = {p}\nloss = mean(cross_entropy(p[t], y[t]))", x=3, h=4, y=5)
