"""Published models that are in no catalogue, against plain loops over examples and steps.

Each loop is of its paper, not of the text beside it. It works on complex numbers too, so a derivative is that along an
imaginary step, exact to rounding (Squire and Trapp 1998, "Using Complex Variables to Estimate Derivatives of Real
Functions").
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

Arrays = Mapping[str, np.ndarray]
Found = tuple[dict[str, list[np.ndarray]], Any]  # per example what stands at each step, by name; the loss
N, LENGTHS, OTHERS = 3, [7, 2, 5], [4, 3, 1]  # of t; of another index
STEP = 1e-30


@dataclass(frozen=True)
class Published:
    """loop(weights, inputs of each example without padding) gives values by name, and the loss.

    classes: how many each input of integers has; causal: whether a stepper computes what the loop names.
    """

    text: str
    loop: Callable[[Arrays, list[dict[str, np.ndarray]]], Found]
    sizes: dict[str, Any]
    classes: dict[str, int] = field(default_factory=dict)
    causal: bool = True


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def logsumexp(z: Any, axis: int = 0) -> Any:
    top = z.real.max(axis, keepdims=True)
    return np.log(np.exp(z - top).sum(axis)) + top.squeeze(axis)


def softmax(z: Any) -> Any:
    return np.exp(z - logsumexp(z))


def larger(a: Any, b: Any) -> Any:
    return np.where(np.real(a) >= np.real(b), a, b)


def joined(of: Sequence[Any]) -> Any:
    return np.concatenate([np.atleast_1d(part) for part in of])


# -- cells ---------------------------------------------------------------------------------------------------

PHASED = """
    g[t] = tanh(W @ x[t] + U @ h[t-1] + b)
    z[t] = (time[t] - shift) / exp(tau)
    phi[t] = z[t] - floor(z[t])
    k[t] = where(phi[t] < 0.3, phi[t] / 0.3, where(phi[t] < 0.6, 2 - phi[t] / 0.3, 0.01 * phi[t]))
    h[t] = k[t] * g[t] + (1 - k[t]) * h[t-1]
    loss = mean(squared_error(V @ h[T], goal[n]))"""


def phased(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """A time gate that opens in phases (Neil et al. 2016, "Phased LSTM", equations 6 to 9)."""
    states, errors = [], []
    for e in examples:
        h, own = np.zeros(4), []
        for x, time in zip(e["x"], e["time"], strict=True):
            z = (time - w["shift"]) / np.exp(w["tau"])
            phi = z - np.floor(z.real)
            k = np.array([p / 0.3 if p.real < 0.3 else 2 - p / 0.3 if p.real < 0.6 else 0.01 * p for p in phi])
            h = k * np.tanh(w["W"] @ x + w["U"] @ h + w["b"]) + (1 - k) * h
            own.append(h)
        states.append(np.array(own))
        errors.append((w["V"] @ h - e["goal"]) ** 2)
    return {"h": states}, joined(errors).mean()


HIGHWAY = """
    s[0,t] = s[L,t-1]
    c[l,t] = sigmoid(where(l == 1, W_c @ x[t], 0) + R_c[l] @ s[l-1,t] + b[l])
    s[l,t] = c[l,t] * tanh(where(l == 1, W @ x[t], 0) + R[l] @ s[l-1,t]) + (1 - c[l,t]) * s[l-1,t]
    y[t] = softmax(V @ s[L,t])
    loss = mean(cross_entropy(y[t], target[t]))"""


def highway(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """A step that is `l` layers deep (Zilly et al. 2017, "Recurrent Highway Networks", equations 6 to 9)."""
    outputs, losses = [], []
    for e in examples:
        s, own = np.zeros(4), []
        for x, target in zip(e["x"], e["target"], strict=True):
            for layer in range(3):
                c = sigmoid((w["W_c"] @ x if layer == 0 else 0) + w["R_c"][layer] @ s + w["b"][layer])
                s = c * np.tanh((w["W"] @ x if layer == 0 else 0) + w["R"][layer] @ s) + (1 - c) * s
            own.append(softmax(w["V"] @ s))
            losses.append(-np.log(own[-1][target]))
        outputs.append(np.array(own))
    return {"y": outputs}, joined(losses).mean()


DELTA = """
    k[t] = tanh(W_k @ x[t])
    beta[t] = sigmoid(dot(w_b, x[t]))
    S[t] = S[t-1] - beta[t] * outer(S[t-1] @ k[t] - W_v @ x[t], k[t])
    y[t] = S[t] @ (W_q @ x[t])
    loss = mean(squared_error(y[t], target[t]))"""


def delta(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Linear attention with the delta rule (Schlag et al. 2021, "Linear Transformers Are Secretly Fast Weight
    Programmers", equation 24)."""
    outputs, losses = [], []
    for e in examples:
        memory, own = np.zeros((2, 4)), []
        for x, target in zip(e["x"], e["target"], strict=True):
            key, rate = np.tanh(w["W_k"] @ x), sigmoid(w["w_b"] @ x)
            wrong = w["W_v"] @ x - memory @ key
            memory = memory + rate * wrong[:, None] * key[None, :]
            own.append(memory @ (w["W_q"] @ x))
            losses.append((own[-1] - target) ** 2)
        outputs.append(np.array(own))
    return {"y": outputs}, joined(losses).mean()


RWKV = """
    k[t] = W_k @ (m * x[t] + (1 - m) * x[t-1])
    v[t] = W_v @ x[t]
    p[0] = expand(-40, 0, 4)
    q[t] = maximum(p[t-1], u + k[t])
    old[t] = exp(p[t-1] - q[t])
    new[t] = exp(u + k[t] - q[t])
    o[t] = (old[t] * a[t-1] + new[t] * v[t]) / (old[t] * b[t-1] + new[t])
    p[t] = maximum(p[t-1] - exp(d), k[t])
    a[t] = exp(p[t-1] - exp(d) - p[t]) * a[t-1] + exp(k[t] - p[t]) * v[t]
    b[t] = exp(p[t-1] - exp(d) - p[t]) * b[t-1] + exp(k[t] - p[t])
    loss = mean(squared_error(W_o @ o[t], target[t]))"""


def rwkv(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """The sums as they are defined, not by recurrence (Peng et al. 2023, "RWKV", equation 16)."""
    outputs, losses = [], []
    for e in examples:
        before, keys, values, own = np.zeros(3), [], [], []
        for t, (x, target) in enumerate(zip(e["x"], e["target"], strict=True)):
            keys.append(w["W_k"] @ (w["m"] * x + (1 - w["m"]) * before))
            values.append(w["W_v"] @ x)
            weights = [np.exp(keys[i] - (t - 1 - i) * np.exp(w["d"])) for i in range(t)] + [np.exp(w["u"] + keys[t])]
            own.append(sum(a * v for a, v in zip(weights, values, strict=True)) / sum(weights))
            losses.append((w["W_o"] @ own[-1] - target) ** 2)
            before = x
        outputs.append(np.array(own))
    return {"o": outputs}, joined(losses).mean()


NORMALISED = """
    a[t] = W @ x[t] + U @ h[t-1]
    h[t] = tanh(g * (a[t] - mean(a[t], over=n)) + b)
    c = sum(outer(h[t], h[t]), over=(t, n)) / count(t, n)
    loss = mean(mean(h[t], over=n) ** 2) + sum(c ** 2)"""


def normalised(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Centred over the examples that reach a step (Cooijmans et al. 2017, "Recurrent Batch Normalization")."""
    states: list[list[Any]] = [[] for _ in examples]
    means, everything = [], []
    for t in range(max(len(e["x"]) for e in examples)):
        here = [n for n, e in enumerate(examples) if t < len(e["x"])]
        a = {n: w["W"] @ examples[n]["x"][t] + w["U"] @ (states[n][-1] if t else np.zeros(4)) for n in here}
        middle = sum(a.values()) / len(here)
        for n in here:
            states[n].append(np.tanh(w["g"] * (a[n] - middle) + w["b"]))
            everything.append(states[n][-1])
        means += [sum(states[n][-1] for n in here) / len(here)] * len(here)
    c = sum(np.outer(h, h) for h in everything) / len(everything)
    return {"h": [np.array(own) for own in states]}, (joined(means) ** 2).mean() + (c ** 2).sum()


OSCILLATORS = """
    theta[i,0] = start[i]
    theta[i,t] = theta[i,t-1] + 0.1 * (omega[i] + q * sum(sin(theta[j,t-1] - theta[i,t-1]), over=j) + drive[i,t])
    loss = mean(cos(theta[i,t]))"""


def oscillators(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Coupled oscillators (Kuramoto 1975), by steps of 0.1."""
    phases = []
    for e in examples:
        theta, own = w["start"], []
        for drive in e["drive"].T:
            pull = [sum(np.sin(other - one) for other in theta) for one in theta]
            theta = theta + 0.1 * (w["omega"] + w["q"] * np.array(pull) + drive)
            own.append(theta)
        phases.append(np.array(own).T)
    return {"theta": phases}, joined([np.cos(p).reshape(-1) for p in phases]).mean()


# -- attention -----------------------------------------------------------------------------------------------

COVERAGE = """
    h[s] = tanh(A @ z[s] + B @ h[s-1])
    h[0] = h0
    d[t] = tanh(W @ x[t] + U @ d[t-1] + C @ c[t-1])
    a[t,s] = softmax(dot(v, tanh(P @ h[s] + Q @ h[s-1] + R @ d[t] + far * cov[t,s])), over=s)
    cov[t,s] = cov[t-1,s] + a[t-1,s]
    c[t] = sum(a[t,s] * h[s], over=s)
    loss = mean(squared_error(Y @ c[t], target[t])) + mean(sum(a[t,s] * cov[t,s], over=s))"""


def coverage(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Attention that sees where it has looked (See et al. 2017, "Get To The Point", equations 10 to 12)."""
    contexts, losses, repeated = [], [], []
    for e in examples:
        h = [w["h0"]]
        for z in e["z"]:
            h.append(np.tanh(w["A"] @ z + w["B"] @ h[-1]))
        d, c, seen, own = np.zeros(4), np.zeros(4), np.zeros(len(e["z"])), []
        for x, target in zip(e["x"], e["target"], strict=True):
            d = np.tanh(w["W"] @ x + w["U"] @ d + w["C"] @ c)
            mixed = [w["P"] @ h[s] + w["Q"] @ h[s - 1] + w["R"] @ d + w["far"] * seen[s - 1] for s in range(1, len(h))]
            a = softmax(np.array([w["v"] @ np.tanh(z) for z in mixed]))
            c = sum(weight * state for weight, state in zip(a, h[1:], strict=True))
            losses.append((w["Y"] @ c - target) ** 2)
            repeated.append((a * seen).sum())
            seen = seen + a
            own.append(c)
        contexts.append(np.array(own))
    return {"c": contexts}, joined(losses).mean() + joined(repeated).mean()


POINTER = """
    e[s] = tanh(A @ z[s] + B @ e[s-1])
    d[0] = e[S]
    d[t] = tanh(C @ g[t-1] + D @ d[t-1])
    p[t,s] = softmax(dot(v, tanh(P @ e[s] + Q @ d[t])), over=s)
    g[t] = sum(p[t,s] * z[s], over=s)
    loss = -mean(log(sum(p[t,s] * pick[t,s], over=s)))"""


def pointer(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Attention as the output (Vinyals et al. 2015, "Pointer Networks", equation 3), the expected input fed back."""
    read, losses = [], []
    for e in examples:
        states = [np.zeros(4)]
        for z in e["z"]:
            states.append(np.tanh(w["A"] @ z + w["B"] @ states[-1]))
        d, g, own = states[-1], np.zeros(2), []
        for pick in e["pick"]:
            d = np.tanh(w["C"] @ g + w["D"] @ d)
            p = softmax(np.array([w["v"] @ np.tanh(w["P"] @ s + w["Q"] @ d) for s in states[1:]]))
            g = p @ e["z"]
            losses.append(-np.log(p @ pick))
            own.append(g)
        read.append(np.array(own))
    return {"g": read}, joined(losses).mean()


# -- recursions over paths -----------------------------------------------------------------------------------

TRANSDUCER = """
    f[t] = tanh(W @ x[t] + R @ f[t-1])
    g[u] = tanh(A @ w[u] + B @ g[u-1])
    g[0] = g0
    j[t,u] = log_softmax(V @ (f[t] * g[u-1]))
    alpha[t,0] = where(t == 1, 0, -99)
    alpha[0,u] = -99
    alpha[t,u] = logsumexp(stack(alpha[t-1,u] + j[t,u][0], alpha[t,u-1] + dot(j[t,u][1:4], w[u])), axis=0)
    loss = -mean(alpha[T,U])"""


def transducer(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Log-probabilities of paths on a grid of frames and labels, after Graves (2012), "Sequence Transduction with
    Recurrent Neural Networks", equation 16."""
    grids, losses = [], []
    for e in examples:
        labels, steps = e["w"], len(e["x"])
        g = [w["g0"]]
        for k in labels:
            g.append(np.tanh(w["A"][:, k] + w["B"] @ g[-1]))
        f, alpha = np.zeros(4), np.full((steps + 1, len(labels) + 1), -99.0 + 0j)
        alpha[1, 0] = 0
        for t in range(1, steps + 1):
            f = np.tanh(w["W"] @ e["x"][t - 1] + w["R"] @ f)
            for u in range(1, len(labels) + 1):
                z = w["V"] @ (f * g[u - 1])
                j = z - logsumexp(z)
                alpha[t, u] = logsumexp(np.array([alpha[t - 1, u] + j[0], alpha[t, u - 1] + j[1 + labels[u - 1]]]))
        grids.append(alpha[1:, 1:])
        losses.append(-alpha[-1, -1])
    return {"alpha": grids}, joined(losses).mean()


MARKOV = """
    A = log_softmax(a)
    e[t] = log_softmax(b) @ o[t]
    alpha[t] = e[t] + where(t == 1, log_softmax(start), logsumexp(expand(alpha[t-1], 1, 4) + A, axis=0))
    beta[t] = logsumexp(A + expand(e[t+1] + beta[t+1], 0, 4), axis=1)
    beta[T+1] = expand(0, 0, 4)
    gamma[t] = softmax(alpha[t] + where(t == T, 0, beta[t]))
    loss = -mean(logsumexp(alpha[T], axis=0))"""


def markov(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """State probabilities of a hidden Markov model, by products (Rabiner 1989, equations 19 to 27)."""
    gammas, losses = [], []
    for e in examples:
        move, emit = np.array([softmax(row) for row in w["a"]]), np.array([softmax(row) for row in w["b"]])
        alphas = [softmax(w["start"]) * emit[:, e["o"][0]]]
        for o in e["o"][1:]:
            alphas.append(alphas[-1] @ move * emit[:, o])
        betas = [np.ones(4)]
        for o in e["o"][:0:-1]:
            betas.insert(0, move @ (emit[:, o] * betas[0]))
        likelihood = alphas[-1].sum()
        gammas.append(np.array([a * b / likelihood for a, b in zip(alphas, betas, strict=True)]))
        losses.append(-np.log(likelihood))
    return {"gamma": gammas}, joined(losses).mean()


KALMAN = """
    m1[t] = F @ m[t-1]
    P1[t] = F @ P[t-1] @ transpose(F) + outer(q, q)
    P[0] = outer(p, p)
    s[t] = dot(H, P1[t] @ H) + exp(r)
    e[t] = z[t] - dot(H, m1[t])
    m[t] = m1[t] + P1[t] @ H * e[t] / s[t]
    P[t] = P1[t] - outer(P1[t] @ H, P1[t] @ H) / s[t]
    loss = mean(log(s[t]) + e[t] ** 2 / s[t])"""


def kalman(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """The filter in Joseph's form (Kalman 1960); the covariance is the same for all examples."""
    means, losses = [], []
    for e in examples:
        m, cov, own = np.zeros(3), np.outer(w["p"], w["p"]), []
        for z in e["z"]:
            m, cov = w["F"] @ m, w["F"] @ cov @ w["F"].T + np.outer(w["q"], w["q"])
            noise = np.exp(w["r"])
            spread = w["H"] @ cov @ w["H"] + noise
            gain, error = cov @ w["H"] / spread, z - w["H"] @ m
            keep = np.eye(3) - np.outer(gain, w["H"])
            m, cov = m + gain * error, keep @ cov @ keep.T + noise * np.outer(gain, gain)
            losses.append(np.log(spread) + error**2 / spread)
            own.append(m)
        means.append(np.array(own))
    return {"m": means}, joined(losses).mean()


FIELD = """
    h[t] = tanh(W @ x[t] + U @ h[t-1] + S @ h[t-3])
    e[t] = V @ h[t]
    alpha[t] = e[t] + where(t == 1, 0, logsumexp(expand(alpha[t-1], 1, 3) + A, axis=0))
    score = sum(dot(e[t], k[t]) + dot(k[t-1], A @ k[t]), over=t)
    loss = mean(logsumexp(alpha[T], axis=0) - score)"""


def random_field(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """The linear-chain field (Lafferty et al. 2001): every path is scored by itself."""
    scores, losses = [], []
    for e in examples:
        h = [np.zeros(4)] * 3
        for x in e["x"]:
            h.append(np.tanh(w["W"] @ x + w["U"] @ h[-1] + w["S"] @ h[-3]))
        local = [w["V"] @ state for state in h[3:]]

        def of(path: Sequence[int], local: list[Any] = local) -> Any:
            return sum(one[k] for one, k in zip(local, path, strict=True)) + sum(
                w["A"][a, b] for a, b in itertools.pairwise(path))

        paths = [of(path) for path in np.ndindex(*[3] * len(local))]
        scores.append(np.array(local))
        losses.append(logsumexp(np.array(paths)) - of(list(e["k"])))
    return {"e": scores}, joined(losses).mean()


MODELS = {
    "phased": Published(PHASED, phased, {"x": 3, "h": 4, "time": (), "goal": 2}),
    "highway": Published(HIGHWAY, highway, {"l": 3, "x": 3, "s": 4, "y": 2}, {"target": 2}),
    "delta rule": Published(DELTA, delta, {"x": 3, "k": 4, "y": 2}),
    "rwkv": Published(RWKV, rwkv, {"x": 3, "k": 4, "target": 2}),
    "normalised": Published(NORMALISED, normalised, {"x": 3, "h": 4}, causal=False),
    "oscillators": Published(OSCILLATORS, oscillators, {"i": 3, "j": 3, "theta": (), "drive": (), "q": (), "omega": (),
                                                       "start": ()}),
    "coverage": Published(COVERAGE, coverage, {"x": 3, "z": 2, "h": 4, "d": 4, "far": 4, "v": 4, "target": 2}),
    "pointer": Published(POINTER, pointer, {"z": 2, "e": 4, "v": 4, "pick": ()}),
    "transducer": Published(TRANSDUCER, transducer, {"x": 3, "w": 3, "f": 4, "g": 4, "V": (4, 4)}, {"w": 3}),
    "markov": Published(MARKOV, markov, {"a": (4, 4), "b": (4, 3), "o": 3, "start": 4}, {"o": 3}, causal=False),
    "kalman": Published(KALMAN, kalman, {"m": 3, "z": (), "r": (), "H": 3, "F": (3, 3), "p": 3, "q": 3}),
    "random field": Published(FIELD, random_field, {"x": 3, "h": 4, "A": (3, 3)}, {"k": 3}),
}


class Case:
    """A model with weights, ragged data and what its loop makes of them."""

    def __init__(self, name: str) -> None:
        self.published = p = MODELS[name]
        rng = np.random.default_rng(len(name))
        self.model = tr.equations(p.text, dtype="float64", **p.sizes).initialise(1, {"*": tr.Normal(0.6)})
        self.slots = {n: self.model.system.quantities[n].slots for n in self.model.system.of_role("input")}
        self.lengths = {"t": LENGTHS} | {i: OTHERS for i in ("s", "u") if i in self.model.system.ranges}
        self.data = {n: self._drawn(n, rng) for n in self.slots}
        self.weights = {n: np.array(a) for n, a in self.model.weights.items()}

    def _drawn(self, name: str, rng: np.random.Generator) -> np.ndarray:
        """Anything, and in the padding no number, or no class."""
        q, classes = self.model.system.quantities[name], self.published.classes
        shape = (N, *(max(self.lengths[i]) if i in self.lengths else 3 for i in q.slots))
        numbers = rng.uniform(0.1, 1, (*shape, *q.type.shape))
        found = rng.integers(0, classes[name], shape) if name in classes else numbers
        for axis, index in enumerate(q.slots):
            for n in range(N if index in self.lengths else 0):
                np.moveaxis(found[n], axis, 0)[self.lengths[index][n] :] = -1 if name in classes else np.nan
        return found

    def cut(self, data: Arrays, n: int) -> dict[str, np.ndarray]:
        """An example without its padding."""
        return {name: a[n][tuple(slice(self.lengths[i][n] if i in self.lengths else None) for i in self.slots[name])]
                for name, a in data.items()}

    def looped(self, weights: Arrays, data: Arrays) -> Found:
        return self.published.loop(weights, [self.cut(data, n) for n in range(N)])

    def steps(self, first: int, stop: int) -> dict[str, np.ndarray]:
        """Some steps of the data of the longest example, thrice."""

        def of(name: str, a: np.ndarray) -> np.ndarray:
            key = [slice(first, stop) if i == "t" else slice(self.lengths[i][0] if i in self.lengths else None)
                   for i in self.slots[name]]
            return np.stack([a[0]] * N)[(slice(None), *key)]
        return {name: of(name, a) for name, a in self.data.items()}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


@contextmanager
def call_by_call() -> Iterator[None]:
    tr.use_jit(False)
    try:
        yield
    finally:
        tr.use_jit(True)


def test_values_are_those_of_the_loop(case: Case) -> None:
    found, loss = case.looped(case.weights, case.data)
    with call_by_call():
        out = case.model.run(case.data, lengths=case.lengths, want=[*found, "loss"])
    assert out["loss"] == pytest.approx(float(np.real(loss)), rel=1e-12)
    for name, values in found.items():
        for n, value in enumerate(values):
            at = tuple(map(slice, value.shape[: len(case.model.system.quantities[name].slots)]))
            np.testing.assert_allclose(out[name][n][at], value.real, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_the_loop(case: Case) -> None:
    inputs = [name for name in case.data if name not in case.published.classes]
    wrt, arrays = [*case.weights, *inputs], {**case.weights, **case.data}
    loss, grads = case.model.value_and_grad(case.data, lengths=case.lengths, wrt=wrt)
    for name in wrt:
        way = np.random.default_rng(5).standard_normal(arrays[name].shape)
        moved = {k: a + 1j * STEP * way if k == name else a for k, a in arrays.items()}
        _, value = case.looped({k: moved[k] for k in case.weights}, {k: moved[k] for k in case.data})
        assert loss == pytest.approx(value.real, rel=1e-11)
        assert np.sum(grads[name] * way) == pytest.approx(value.imag / STEP, rel=1e-9, abs=1e-11), name


def test_the_printed_gradient_is_the_gradient(case: Case) -> None:
    bptt = case.model.grad("loss")
    read = tr.equations(str(bptt), dtype="float64")
    assert str(read) == str(bptt)
    for name, value in case.weights.items():
        read.weights[name] = value
    with call_by_call():
        _, grads = case.model.value_and_grad(case.data, lengths=case.lengths)
        out = read.run(case.data, lengths=case.lengths, want=[bptt.adjoints[name] for name in grads])
    for name, grad in grads.items():
        np.testing.assert_allclose(out[bptt.adjoints[name]], grad, rtol=1e-9, atol=1e-12)


def test_segments_of_time_give_the_same_gradient(case: Case) -> None:
    with call_by_call():
        expected = case.model.value_and_grad(case.data, lengths=case.lengths)
        loss, grads = case.model.value_and_grad(case.data, lengths=case.lengths, memory="sqrt")
    assert loss == pytest.approx(expected[0], rel=1e-12)
    for weight, grad in grads.items():
        np.testing.assert_allclose(grad, expected[1][weight], rtol=1e-9, atol=1e-12)


def test_a_stepper_and_a_state_go_on_as_the_whole_does(case: Case) -> None:
    if not case.published.causal:
        return
    timed = [name for name, slots in case.slots.items() if "t" in slots]
    names = [n for n in case.model.system.of_role("defined") if "t" in case.model.system.quantities[n].slots]

    def axis(name: str) -> int:
        q = case.model.system.quantities[name]
        return q.slots.index("t") + q.batched

    with call_by_call():
        whole = case.model.run(case.steps(0, 7), want=names)
        first = case.model.run(case.steps(0, 3), want=names)
        rest = case.model.run(case.steps(3, 7), want=names, state=first.state)
        step = case.model.stepper(N, names, **{k: v for k, v in case.steps(0, 7).items() if k not in timed})
        for t in range(7):
            here = case.steps(t, t + 1)
            out = step(**{k: np.take(here[k], 0, 1 + case.slots[k].index("t")) for k in timed})
            for name in names:
                np.testing.assert_allclose(out[name], np.take(whole[name], t, axis(name)), rtol=1e-9, atol=1e-12)
    for name in names:
        expected = np.take(whole[name], range(3, 7), axis(name))
        np.testing.assert_allclose(rest[name], expected, rtol=1e-9, atol=1e-12)


def test_a_file_keeps_the_model(case: Case, tmp_path: Path) -> None:
    case.model.save(tmp_path / "m.safetensors")
    loaded = tr.load(tmp_path / "m.safetensors")
    assert str(loaded) == str(case.model)
    with call_by_call():
        np.testing.assert_array_equal(*(m.run(case.data, lengths=case.lengths, want="loss")["loss"]
                                        for m in (loaded, case.model)))
