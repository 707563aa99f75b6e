"""A state goes along time alone: models with other indices beside t, run, stepped, trained and drawn by pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

T, S = 6, 4
RNG = np.random.default_rng(0)
X, Z = RNG.standard_normal((3, T, 2)), RNG.standard_normal((3, S, 2))
CELL = "h[t] = tanh(W @ x[t] + U @ h[t-1])\n"


def model(text: str, **sizes: Any) -> tr.Model:
    known = {"x": 2, **({"h": 2} if "h[" in text else {}), **sizes}
    return tr.equations(text, **known, dtype="float64").initialise(1, {"*": tr.Normal(0.7)})


# -- what is carried -----------------------------------------------------------------------------------------

BESIDE = {
    "a sum so far for each s": "c[t,s] = 0.9 * c[t-1,s] + dot(h[t], k[s])\nk[s] = A @ z[s]\ny[t] = sum(c[t,s], over=s)",
    "a boundary of s": "k[s] = A @ z[s] + B @ k[s-1]\nk[0] = start\ny[t] = h[t] + sum(tanh(k[s-1]), over=s)",
    "a grid": "c[t,s] = tanh(c[t-1,s-1] + 2 * c[t-1,s] - c[t,s-1] + dot(h[t], z[s]))\n"
              "c[t,0] = 0.5 * t\nc[0,s] = 1\nc[0,0] = 2\ny[t] = sum(c[t,s], over=s)",
}


@pytest.mark.parametrize("name", BESIDE)
def test_time_goes_on_and_the_other_index_begins_anew(name: str) -> None:
    m = model(CELL + BESIDE[name] + "\nloss = mean(sum(y[t] ** 2, axis=0))" * name.startswith("a b"), z=2)
    whole = m.run(x=X, z=Z, want="y")["y"]
    first = m.run(x=X[:, :2], z=Z, want="y")
    np.testing.assert_allclose(m.run(x=X[:, 2:], z=Z, want="y", state=first.state)["y"], whole[:, 2:],
                               rtol=1e-12, atol=1e-13)
    assert "[s]" not in first.state
    step = m.stepper(3, "y", z=Z)
    for t in range(T):
        np.testing.assert_allclose(step(x=X[:, t])["y"], whole[:, t], rtol=1e-12, atol=1e-13)


def test_a_state_is_the_same_whatever_its_run_wanted() -> None:
    m = model("h[0,t] = E @ x[t]\nh[l,t] = h[l-1,t-1] * h[l,t-1] + W[l] @ h[l-1,t]\n"
              "z[l,t] = h[l+1,t-1] + h[l-1,t-1]", l=2)
    whole = m.run(x=X, want="z")["z"]
    for want in ("h", "z"):
        state = m.run(x=X[:, :3], want=want).state
        np.testing.assert_allclose(m.run(x=X[:, 3:], want="z", state=state)["z"], whole[:, :, 3:],
                                   rtol=1e-12, atol=1e-13)


def test_a_state_of_other_positions_is_told() -> None:
    m = model(CELL + BESIDE["a sum so far for each s"], z=2)
    state = m.run(x=X, z=Z, want="y").state
    with pytest.raises(tr.Error, match=r"the state of c has 4 positions in s, and this run has not"):
        m.run(x=X, z=Z[:, :2], want="y", state=state)


def test_without_a_time_a_grid_has_no_state() -> None:
    m = model("g[i,j] = tanh(W @ x[i,j] + U @ g[i-1,j] + V @ g[i,j-1])", g=2)
    x = RNG.standard_normal((1, 2, 3, 2))
    with pytest.raises(tr.Error, match=r"g goes back along i and along j.*call that one t"):
        m.run(x=x, state=m.run(x=x).state)


# -- inputs and results with a static index ------------------------------------------------------------------

def test_inputs_may_have_an_index_before_time() -> None:
    m = model("a[i,t] = tanh(W[i] @ x[i,t] + U[i] @ a[i,t-1])", i=3, a=2)
    x = RNG.standard_normal((2, 3, T, 2))
    whole, step = m.run(x=x)["a"], m.stepper(2)
    for t in range(T):
        np.testing.assert_allclose(step(x=x[:, :, t])["a"], whole[:, :, t], rtol=1e-12, atol=1e-13)


def test_a_stepper_says_what_it_can_give() -> None:
    m = model("a[s,t] = tanh(W @ x[s,t] + U @ a[s,t-1])", a=2)
    with pytest.raises(tr.Error, match=r"only quantities with another open index than t.*want=\['a'\]"):
        m.stepper(1)(x=np.zeros((1, 3, 2)))
    x = RNG.standard_normal((2, S, T, 2))
    whole, step = m.run(x=x)["a"], m.stepper(2, "a")
    for t in range(T):
        np.testing.assert_allclose(step(x=x[:, :, t])["a"], whole[:, :, t], rtol=1e-12, atol=1e-13)


def test_drawing_step_by_step_reads_such_inputs() -> None:
    m = model("h[t] = tanh(A @ w[t-1] + U @ h[t-1] + sum(B[i] @ x[i,t], over=i))\np[t] = softmax(V @ h[t])\n"
              "w[t] = categorical(p[t])", w=3, i=2)
    x = RNG.standard_normal((2, 2, 4, 2))
    drawn = m.run(x=x, seed=3)["w"]
    np.testing.assert_array_equal(np.stack([now["w"] for now in m.stream(x=x, seed=3)], 1), drawn)
    paths = np.stack([k.reshape(-1) for k in np.meshgrid(*[range(3)] * 4, indexing="ij")], 1)
    p = m.run(x=np.repeat(x[:1], len(paths), 0), w=paths, want="p")["p"]
    likelihood = np.log(np.take_along_axis(p, paths[:, :, None], 2)).sum((1, 2))
    found = m.beam_search(x=x, steps=4, width=81)
    np.testing.assert_array_equal(found.codes[0, 0], paths[likelihood.argmax()])
    assert found.scores[0, 0] == pytest.approx(likelihood.max(), rel=1e-12)


# -- training by pieces --------------------------------------------------------------------------------------

def test_what_is_read_whole_may_go_backward() -> None:
    m = model(CELL + "r[s] = tanh(A @ z[s] + B @ r[s+1])\nf[s] = tanh(A @ z[s] + B @ f[s-1])\nf[0] = e\n"
              "y[t] = h[t] * (r[1] + f[S])\nloss = mean(y[t])", z=2, r=2, f=2)
    for memory in (None, "sqrt"):
        history = m.fit({"x": X, "z": Z}, truncate=2, optimizer=tr.SGD(0.0), memory=memory, progress=False)
        assert history.loss == pytest.approx([float(m.run(x=X, z=Z, want="loss")["loss"])], rel=1e-12)


# -- what is worked over examples ----------------------------------------------------------------------------

INLINE = [
    ("loss = mean({} ** 2)", "mean(h[t], over=n)"), ("loss = sum({} ** 2)", "max(h[t], over=n)"),
    ("y = sum(q * {}, over=t)\nloss = mean(y ** 2)", "mean(h[t], over=n)"),
    ("a[t] = softmax(dot(q, {}), over=t)\nloss = mean(a[t] * h[t])", "mean(h[t], over=n)"),
    ("loss = mean(logsumexp({} + q, over=t))", "sum(h[t], over=n)"),
]


@pytest.mark.parametrize(("line", "term"), INLINE)
@pytest.mark.parametrize("lengths", [None, [2, 6, 3]])
def test_a_term_over_the_examples_is_what_it_is_by_name(line: str, term: str, lengths: Any) -> None:
    inline = model(CELL + line.format(term), **({"q": 2} if "q" in line else {}))
    named = model(CELL + f"m[t] = {term}\n" + line.format("m[t]"), **({"q": 2} if "q" in line else {}))
    for name in inline.weights:
        named.weights[name] = inline.weights[name]
    (a, da), (b, db) = (m.value_and_grad(x=X, lengths=lengths) for m in (inline, named))
    assert a == pytest.approx(b, rel=1e-13)
    bptt = inline.grad()
    read = tr.equations(str(bptt), dtype="float64")
    assert str(read) == str(bptt)
    for name, grad in da.items():
        read.weights[name] = inline.weights[name]
        np.testing.assert_allclose(grad, db[name], rtol=1e-12, atol=1e-13)
    out = read.run(x=X, lengths=lengths, want=[bptt.adjoints[name] for name in da])
    for name, grad in da.items():
        np.testing.assert_allclose(out[bptt.adjoints[name]], grad, rtol=1e-12, atol=1e-13)
    assert max(inline.check_gradient(x=X, lengths=lengths).values()) < 1e-6
