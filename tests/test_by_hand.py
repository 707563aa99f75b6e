"""What the notation says and few models use, each against a loop by hand: losses and gradients of ragged examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(0)
X, Z, IMG = RNG.normal(size=(3, 4, 2)), RNG.normal(size=(3, 3, 2)), RNG.normal(size=(3, 2))
T, S = [4, 2, 1], [1, 3, 2]
EXAMPLES = range(3)
Weights = dict[str, np.ndarray]


def xs(n: int) -> np.ndarray:
    return X[n, : T[n]]


def boundaries_along_the_other_index(w: Weights) -> float:
    ends, total = 0.0, 0.0
    for n in EXAMPLES:
        a = {(0, 0): np.full(2, 0.5)}
        a |= {(t, 0): w["v"] * X[n, t - 1] for t in range(1, T[n] + 1)}
        a |= {(0, s): Z[n, s - 1] + w["b"] for s in range(1, S[n] + 1)}
        for t in range(1, T[n] + 1):
            for s in range(1, S[n] + 1):
                a[t, s] = np.tanh(w["A"] @ a[t - 1, s] + w["B"] @ a[t, s - 1] + w["C"] @ a[t - 1, s - 1])
                total += a[t, s].sum()
        ends += a[T[n], S[n]].sum()
    return total / (2 * np.dot(T, S)) + ends / 6


def positions_from_the_end(w: Weights) -> float:
    total = 0.0
    for n in EXAMPLES:
        h = [w["W"] @ x for x in xs(n)]
        at = {k + 1: value for k, value in enumerate(h)}
        zero = np.zeros(2)
        total += (at.get(T[n] - 1, zero) + 10 * at.get(2, zero) + 100 * at[1]).sum()
        total += sum((value * at.get(T[n] - 2, zero)).sum() for value in h)
    return total


def what_stands_at_a_boundary_is_read(w: Weights) -> float:
    total = 0.0
    for n in EXAMPLES:
        first = h = w["V"] @ IMG[n]
        for x in xs(n):
            h = np.tanh(w["U"] @ h + x)
        beyond = r = h
        for x in xs(n)[::-1]:
            r = np.tanh(w["U"] @ r - x)
        total += (first * beyond + r).sum()
    return total / 6


def three_indices_of_one_range(w: Weights) -> float:
    total = 0.0
    for n in EXAMPLES:
        k = np.tanh(xs(n) @ w["W"].T)
        for s in range(T[n]):
            total += sum(np.dot(k[t], k[s] * k[u]) for t in range(s + 1, T[n]) for u in range(T[n]) if u != s) ** 2
    return total / sum(T)


def means_over_the_examples_that_are_still_there(w: Weights) -> float:
    u, total, last = X @ w["W"].T, 0.0, 0.0
    for t in range(4):
        there = [n for n in EXAMPLES if t < T[n]]
        y = (u[there, t] - u[there, t].mean(0)) / np.sqrt(u[there, t].var(0) + 1e-3)
        total += (y * X[there, t]).sum()
        last += sum(y[k].sum() for k, n in enumerate(there) if t == T[n] - 1)
    return total / (2 * sum(T)) + last / 6


def softmax_over_time_and_examples(w: Weights) -> float:
    e = np.exp(np.concatenate([xs(n) @ w["v"] for n in EXAMPLES]))
    k = np.exp(IMG @ w["v"])
    return ((e / e.sum()) ** 2).sum() + ((k / k.sum()) ** 2).sum()


def running_sums_from_either_end(w: Weights) -> float:
    total = 0.0
    for n in EXAMPLES:
        a = (w["v"] * xs(n))[:, None] * Z[n, None, : S[n]]
        total += (a.cumsum(1)[::-1].cumsum(0) ** 2).sum()
    return total / (2 * np.dot(T, S))


def layers_up_and_down_with_boundaries(w: Weights) -> float:
    total = 0.0
    for n in EXAMPLES:
        state, top = list(w["q"]), []
        for x in xs(n):
            below = x
            for k in range(3):
                below = state[k] = np.tanh(w["A"][k] @ below + w["B"][k] @ state[k])
            top.append(below)
        later = [np.zeros(2)] * 3
        for value in top[::-1]:
            above = value
            for k in (2, 1, 0):
                above = later[k] = np.tanh(above + w["C"][k] @ later[k])
            total += above.sum() / sum(T)
    return total / 2


CASES: list[tuple[Callable[[Weights], float], str, dict[str, Any]]] = [
    (boundaries_along_the_other_index, """
        a[0,0] = 0.5
        a[t,0] = v * x[t]
        a[0,s] = z[s] + b
        a[t,s] = tanh(A @ a[t-1,s] + B @ a[t,s-1] + C @ a[t-1,s-1])
        loss = mean(a[t,s]) + mean(a[T,S])""", {"x": 2, "z": 2}),
    (positions_from_the_end, """
        h[t] = W @ x[t]
        loss = sum(h[T-1] + 10 * h[2] + 100 * h[1]) + sum(h[t] * h[T-2])""", {"x": 2, "h": 2}),
    (what_stands_at_a_boundary_is_read, """
        h[0] = V @ img[n]
        h[t] = tanh(U @ h[t-1] + x[t])
        r[T+1] = h[T]
        r[t] = tanh(U @ r[t+1] - x[t])
        loss = mean(h[0] * r[T+1]) + mean(r[1])""", {"x": 2, "img": 2}),
    (three_indices_of_one_range, """
        k[t] = tanh(W @ x[t])
        a[t,s,u] = where((s < t) and (u != s), dot(k[t], k[s] * k[u]), 0)
        b[s] = sum(a[t,s,u], over=(t, u))
        loss = mean(b[s] ** 2)""", {"x": 2, "k": 2}),
    (means_over_the_examples_that_are_still_there, """
        u[t] = W @ x[t]
        m[t] = mean(u[t], over=n)
        y[t] = (u[t] - m[t]) / sqrt(mean((u[t] - m[t]) ** 2, over=n) + 1e-3)
        loss = mean(y[t] * x[t]) + mean(y[T])""", {"x": 2}),
    (softmax_over_time_and_examples, """
        a[t] = softmax(dot(v, x[t]), over=(t, n))
        b = softmax(dot(v, img[n]), over=n)
        loss = sum(a[t] ** 2) + sum(b ** 2)""", {"x": 2, "img": 2}),
    (running_sums_from_either_end, """
        a[t,s] = v * x[t] * z[s]
        c[t,s] = cumsum(a[t,s], over=s)
        d[t,s] = cumsum(c[t,s], over=t, reverse=True)
        loss = mean(d[t,s] ** 2)""", {"x": 2, "z": 2}),
    (layers_up_and_down_with_boundaries, """
        h[0,t] = x[t]
        h[l,0] = q[l]
        h[l,t] = tanh(A[l] @ h[l-1,t] + B[l] @ h[l,t-1])
        g[L+1,t] = h[L,t]
        g[l,t] = tanh(g[l+1,t] + C[l] @ g[l,t+1])
        loss = mean(g[1,t])""", {"x": 2, "l": 3}),
]


def ragged(array: np.ndarray, lengths: list[int]) -> np.ndarray:
    padded = array.copy()
    for n, length in enumerate(lengths):
        padded[n, length:] = np.nan
    return padded


def check_by_differences(grads: Weights, of: Callable[[Weights], float], weights: Weights, atol: float) -> None:
    """Each element of the gradients against a central difference; the weights are as before afterwards."""
    for name, value in weights.items():
        for at in np.ndindex(value.shape):
            here, found = value[at], []
            for value[at] in (here + 1e-6, here - 1e-6):
                found.append(of(weights))
            value[at] = here
            np.testing.assert_allclose(grads[name][at], (found[0] - found[1]) / 2e-6, rtol=1e-6, atol=atol)


@pytest.mark.parametrize(("by_hand", "text", "sizes"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_loop_by_hand_gives_the_same(by_hand: Callable[[Weights], float], text: str, sizes: dict[str, Any]) -> None:
    model = tr.equations(text, dtype="float64", **sizes)
    model.initialise(rules={"*": tr.Normal(0.5)})
    padded = {"x": ragged(X, T), "z": ragged(Z, S), "img": IMG}
    data = {name: array for name, array in padded.items() if name in model.system.quantities}
    lengths = {index: n for name, index, n in (("x", "t", T), ("z", "s", S)) if name in data}
    loss, grads = model.value_and_grad(data, lengths=lengths)
    weights = {name: np.array(value) for name, value in model.weights.items()}
    np.testing.assert_allclose(loss, by_hand(weights), rtol=1e-12)
    assert grads.keys() == weights.keys()
    check_by_differences(grads, by_hand, weights, atol=1e-7)


WORDS = np.array([[0, 1, 2, 1], [2, 2, -1, -1], [1, -1, -1, -1]])
WRITER = """
    h[t] = tanh(W @ w[t-1] + Q @ w[t-2] + U @ h[t-1])
    p[t] = softmax(V @ h[t])
    w[t] = categorical(p[t])
"""
BEFORE: dict[str, Callable[[Weights], np.ndarray]] = {
    "0": lambda w: np.zeros(3), "one_hot(2, 3)": lambda w: np.eye(3)[2], "e": lambda w: w["e"],
    "tanh(E @ img[n])": lambda w: np.tanh(IMG @ w["E"].T)}


@pytest.mark.parametrize("start", BEFORE)
def test_classes_begin_with_what_is_set_before_them(start: str) -> None:
    given, sizes = ({"img": IMG}, {"img": 2}) if "img" in start else ({}, {})
    model = tr.equations(f"{WRITER}w[0] = {start}\nw[-1] = g", w=3, h=2, dtype="float64", **sizes)
    model.initialise(rules={"*": tr.Normal(0.7)})

    def by_hand(w: Weights) -> float:
        total, first = 0.0, np.broadcast_to(BEFORE[start](w), (3, 3))
        for n in EXAMPLES:
            h, earlier, before = np.zeros(2), w["g"], first[n]
            for k in WORDS[n, : T[n]]:
                h = np.tanh(w["W"] @ before + w["Q"] @ earlier + w["U"] @ h)
                e = np.exp(w["V"] @ h)
                total -= np.log(e[k] / e.sum())
                earlier, before = before, np.eye(3)[k]
        return total / sum(T)

    loss, grads = model.value_and_grad(w=WORDS, lengths=T, **given)
    weights = {name: np.array(value) for name, value in model.weights.items()}
    np.testing.assert_allclose(loss, by_hand(weights), rtol=1e-12)
    check_by_differences(grads, by_hand, weights, atol=1e-8)
    np.testing.assert_allclose(model.unroll(4).value_and_grad(w=WORDS, lengths=T, **given)[0], loss, rtol=1e-12)
    drawn = model.run(steps=4, batch=3, seed=1, **given)
    observed = model.run(w=drawn["w"], **given)
    np.testing.assert_allclose(observed["h"], drawn["h"], rtol=1e-12, atol=1e-14)
    begun = model.run(w=drawn["w"][:, :2], **given)
    for more in ({"w": drawn["w"][:, 2:]}, {"steps": 2, "batch": 3, "seed": 1}):
        rest = model.run(state=begun.state, **more, **given)
        np.testing.assert_allclose(rest["h"], drawn["h"][:, 2:], rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(rest["w"] if "steps" in more else more["w"], drawn["w"][:, 2:])
    step = model.stepper(batch=3, **given)
    for k in range(4):
        np.testing.assert_allclose(step(w=drawn["w"][:, k])["h"], drawn["h"][:, k], rtol=1e-12)


@pytest.mark.parametrize(("text", "before"), [
    ("h[t,s] = tanh(W @ w[t,s-1] + U @ w[t-1,s] + Q @ w[t-1,s-1])\nw[t,s] = categorical(softmax(V @ h[t,s] + c * t))",
     "w[t,0] = one_hot(2, 3) * t\nw[0,s] = e\nw[0,0] = 0"),
    ("h[t] = tanh(W @ w[t+1] + U @ w[t-2] + Q @ w[T+2])\nw[t] = categorical(softmax(V @ h[t] + c))",
     "w[T+1] = e\nw[T+2] = one_hot(1, 3)\nw[-1] = softmax(g)")])
def test_given_classes_are_what_a_quantity_with_their_boundaries_is(text: str, before: str) -> None:
    first, second = text.split("\n")
    words = RNG.integers(0, 3, (3, 4, 3) if "s]" in text else (3, 4))
    lengths = {"t": T, "s": S} if "s]" in text else {"t": T}
    own = tr.equations(f"{text}\n{before}", w=3, h=2, dtype="float64")
    copy = f"{second.split(' =')[0]}".replace("w", "v", 1) + f" = {second.split(' =')[0]}"
    other = tr.equations(f"{first.replace('w[', 'v[')}\n{second}\n{copy}\n{before.replace('w[', 'v[')}", w=3, h=2,
                         dtype="float64")
    own.initialise(rules={"*": tr.Normal(0.7)})
    other.weights = dict(own.weights)
    found, expected = (model.value_and_grad(w=words, lengths=lengths) for model in (own, other))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12, atol=1e-14)
    for name, grad in expected[1].items():
        np.testing.assert_allclose(found[1][name], grad, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(own.value_and_grad(w=np.eye(3)[words], lengths=lengths)[0], found[0], rtol=1e-12)
