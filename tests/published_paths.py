"""Published sums over paths and recursions of probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from published import Arrays, Found, Published, joined, logsumexp, softmax

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
    "transducer": Published(TRANSDUCER, transducer, {"x": 3, "w": 3, "f": 4, "g": 4, "V": (4, 4)}, {"w": 3}),
    "markov": Published(MARKOV, markov, {"a": (4, 4), "b": (4, 3), "o": 3, "start": 4}, {"o": 3}, causal=False),
    "kalman": Published(KALMAN, kalman, {"m": 3, "z": (), "r": (), "H": 3, "F": (3, 3), "p": 3, "q": 3}),
    "random field": Published(FIELD, random_field, {"x": 3, "h": 4, "A": (3, 3)}, {"k": 3}),
}
