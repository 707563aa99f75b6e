"""Published cells and attention that are in no catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
from published import Arrays, Found, Published, joined, sigmoid, softmax

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
}
