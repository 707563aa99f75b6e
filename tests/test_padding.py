"""What lies beyond an example's end touches no result: examples of different lengths, against each by itself."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr

SCALARS = dict.fromkeys("xu", ())
# Equations whose values beyond the end are not zero, or stand in a boundary.
ALONE = {
    "products of a boundary": "r[t] = 0.5*r[t+1] + x[t]\nr[T+1] = 7\n"
                              "a = sum(r[t]*r[t], over=t)\ng[t] = sum(r[s]*x[t], over=s)",
    "products with a boundary": "r[t] = 0.5*r[t+1] + x[t]\nr[T+1] = 7\na = sum(exp(x[t])*r[t], over=t)",
    "beyond the end": "h[t] = exp(0*x[t])\na = h[T+1] + h[T]",
    "beyond the end, asked for first": "a = h[T+1] + h[T]\nh[t] = exp(0*x[t])",
    "further beyond the end": "h[t] = exp(0*x[t])\nq[t] = x[t]\nq[T+2] = h[T+1] + 3\na = mean(q[t], over=t)",
    "two boundaries": "b[t] = b[t+1] + 0.5*b[t+2] + x[t]\nb[T+2] = 3\nb[T+1] = 2\na = sum(b[t]**2, over=t)",
}


@pytest.mark.parametrize("text", ALONE.values(), ids=ALONE)
def test_an_example_is_what_it_is_alone(text):
    model = tr.equations(text + "\nloss = sum(a)", x=(), dtype="float64")
    x, lengths = np.random.default_rng(0).standard_normal((4, 6)), [6, 1, 4, 3]
    want = ["a", *(["g"] if "g" in model.system.quantities else [])]
    found = model.run(x=x, lengths=lengths, want=want)
    derived = model.grad("loss", wrt=["x"])
    slopes = derived.run(x=x, lengths=lengths, want=["d_x"])["d_x"]
    for n, length in enumerate(lengths):
        alone = model.run(x=x[n : n + 1, :length], want=want)
        assert np.allclose(found["a"][n], alone["a"][0], rtol=1e-12)
        if "g" in want:
            assert np.allclose(found["g"][n, :length], alone["g"][0], rtol=1e-12) and not found["g"][n, length:].any()
        slope = derived.run(x=x[n : n + 1, :length], want=["d_x"])["d_x"]
        assert np.allclose(slopes[n, :length], slope[0], rtol=1e-12) and not slopes[n, length:].any()


GRIDS = ["b[t,s] = 0.5*b[t+1,s+1] + x[t]*u[s]\nb[T+1,s] = 7",
         "b[t,s] = 0.5*b[t+1,s+1] + x[t]*u[s]\nb[t,S+1] = 3\nb[T+1,s] = 7",
         "b[t,s] = 0.5*b[t+1,s] + 0.25*b[t,s+1] + x[t]*u[s]\nb[T+1,s] = u[s]\nb[t,S+1] = x[t]"]


@pytest.mark.parametrize("text", GRIDS)
def test_a_grid_is_what_it_is_alone_whatever_the_order_of_its_equations(text):
    rng = np.random.default_rng(0)
    x, u, lengths = rng.standard_normal((4, 5)), rng.standard_normal((4, 3)), {"t": [5, 3, 1, 4], "s": [1, 3, 2, 3]}
    for lines in (text.splitlines(), reversed(text.splitlines())):
        model = tr.equations("\n".join(lines), dtype="float64", **SCALARS)
        found = model.run(x=x, u=u, lengths=lengths, want=["b"])["b"]
        for n, (t, s) in enumerate(zip(*lengths.values(), strict=True)):
            alone = model.run(x=x[n : n + 1, :t], u=u[n : n + 1, :s], want=["b"])["b"][0]
            assert np.allclose(found[n, :t, :s], alone, rtol=1e-12)
            assert not found[n, t:].any() and not found[n, :, s:].any()


def test_the_order_of_boundary_equations_does_not_matter():
    text = "b[t,s] = b[t+1,s+1] + x[t]*u[s]\nb[T+1,s] = 7\nb[t,S+1] = 3\nb[T+1,S+1] = 5"
    data = {"x": np.ones((3, 4)), "u": np.ones((3, 3)), "lengths": {"t": [4, 2, 1], "s": [3, 1, 2]}}
    first, *others = text.splitlines()
    one = tr.equations("\n".join([first, *others]), **SCALARS).run(**data, want=["b"])["b"]
    two = tr.equations("\n".join([*reversed(others), first]), **SCALARS).run(**data, want=["b"])["b"]
    assert np.array_equal(one, two)


LENGTHS = [5, 3, 1]


def test_sums_over_examples_are_of_those_that_reach_the_position():
    """In a loop as outside of one; a mean divides by how many there are."""
    model = tr.equations("""
        d[t] = 0*d[t-1] + sum(exp(0*x[t] + 0*d[t-1]), over=n)
        e[t] = sum(exp(0*x[t]), over=n)
        m[t] = 0*m[t-1] + mean(x[t] + 0*m[t-1], over=n)
        p[t] = mean(x[t], over=n)
        q = mean(x[t], over=(t, n))
        """, x=(), dtype="float64")
    x = np.random.default_rng(0).standard_normal((3, 5))
    valid = np.arange(5) < np.array(LENGTHS)[:, None]
    there = valid.sum(0)
    mean = np.where(valid, x, 0).sum(0) / there
    x[~valid] = np.nan
    for runs in (model, model.unroll(5)):
        found = runs.run(x=x, lengths=LENGTHS, want=list("dempq"))
        for name, expected in {"d": there, "e": there, "m": mean, "p": mean}.items():
            assert np.allclose(found[name], np.where(valid, expected, 0), rtol=1e-12), name
        assert np.allclose(found["q"], x[valid].mean(), rtol=1e-12)


DIFFERENTIATED = {
    "no example enters": ("q[0] = e\nq[t] = sigmoid(a*q[t-1])\nloss = mean(q[t-1])", {"a": (), "e": ()}),
    "sums over examples in a loop": (
        "d[t] = tanh(w*x[t] + v*mean(d[t-1]*x[t], over=n))\nloss = mean(d[t]**2)", {"x": (), "w": (), "v": ()}),
    "the largest in a loop": (
        "d[t] = tanh(w*x[t] + v*max(d[t-1]*x[t], over=n))\nloss = sum(d[t]**2)", {"x": (), "w": (), "v": ()}),
    "normalised over examples": (
        "h[t] = w*x[t]**2\nz[t] = h[t] - mean(h[t], over=n)\nloss = sum(z[t]**3)", {"x": (), "w": ()}),
    "shares and sums of the examples": (
        "h[t] = w*x[t] + v*logsumexp(h[t-1]*x[t] + 1, over=n)\nloss = sum(softmax(h[t] + 1, over=n)*x[t])",
        {"x": (), "w": (), "v": ()}),
    "over examples and an index, beside one that goes on": (
        "h[t] = tanh(w*x[t] + v*h[t-1])\nm[t] = mean(where(s <= t, exp(h[s])*x[t], 0), over=(s, n))\n"
        "k[s] = h[s]\nloss = sum(m[t]**2) + sum(k[s])", {"x": (), "w": (), "v": ()}),
    "products of a boundary": (
        "r[t] = w*r[t+1] + x[t]\nr[T+1] = v\nloss = sum(r[t]*r[t]) + sum(r[t+1])", {"x": (), "w": (), "v": ()}),
}


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize(("text", "sizes"), DIFFERENTIATED.values(), ids=DIFFERENTIATED)
def test_gradients(text, sizes, lengths):
    model = tr.equations(text, dtype="float64", **sizes)
    rng = np.random.default_rng(1)
    for name in model.weights:
        model.weights[name] = rng.uniform(0.3, 0.8, model.weights[name].shape)
    data = {"x": rng.standard_normal((3, 5))} if "x" in sizes else {}
    more = {"lengths": lengths, "steps": 5}
    model.check_gradient(data, **more)
    loss, gradients = model.value_and_grad(data, **more)
    printed = tr.equations(str(model.grad()), dtype="float64", **sizes)
    for name in model.weights:
        printed.weights[name] = model.weights[name]
    found = printed.run(data, want=["loss", *(f"d_{name}" for name in model.weights)], **more)
    flat_loss, flat = model.unroll(5).value_and_grad(data, lengths=lengths)
    assert np.allclose([found["loss"], flat_loss], loss, rtol=1e-12)
    for name, gradient in gradients.items():
        assert np.allclose(found[f"d_{name}"], gradient, rtol=1e-10), name
        assert np.allclose(flat[name], gradient, rtol=1e-10), name


@pytest.mark.parametrize("boundary", ["a[0,t] = 5", "a[0,t] = y[t]"])
def test_a_boundary_over_time_ends_with_each_example(boundary):
    model = tr.equations(f"a[l,t] = x[t]\n{boundary}\nb[l,t] = a[l-1,t+1]", l=2, x=(), dtype="float64",
                         **({"y": ()} if "y" in boundary else {}))
    data = {"x": np.ones((2, 3)), **({"y": np.full((2, 3), 5.0)} if "y" in boundary else {})}
    for runs in (model, model.unroll(3)):
        found = runs.run(data, lengths=[1, 3], want=["b"])["b"]
        np.testing.assert_array_equal(found, [[[0, 0, 0], [0, 0, 0]], [[5, 5, 0], [1, 1, 0]]])
