"""Published recurrent nets with frozen, timed or outer memories, and with time itself, that are in no catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
from published import Arrays, Found, Published, joined, sigmoid, softmax


def relu(z: Any) -> Any:
    return np.where(np.real(z) > 0, z, 0)


def softplus(z: Any) -> Any:
    return np.log(1 + np.exp(z))


RESERVOIR = """
    h[t] = (1 - alpha) * h[t-1] + alpha * tanh(W_in @ x[t] + W @ h[t-1] + W_fb @ y[t-1])
    y[t] = W_out @ concat(x[t], h[t])
    loss = mean(squared_error(y[t], target[t])) + 0.1 * sum(W_out ** 2)"""


def reservoir(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Leaky units that see what the net gave before (Jaeger et al. 2007, "Leaky-integrator echo state networks")."""
    outputs, errors = [], []
    for e in examples:
        h, y, own = np.zeros(4), np.zeros(2), []
        for x, target in zip(e["x"], e["target"], strict=True):
            h = (1 - w["alpha"]) * h + w["alpha"] * np.tanh(w["W_in"] @ x + w["W"] @ h + w["W_fb"] @ y)
            y = w["W_out"] @ joined([x, h])
            own.append(y)
            errors.append((y - target) ** 2)
        outputs.append(np.array(own))
    return {"y": outputs}, joined(errors).mean() + 0.1 * (w["W_out"] ** 2).sum()


CLOCKWORK = """
    due[k,t] = t - 2 ** (k - 1) * floor(t / 2 ** (k - 1)) == 0
    seen[k,t] = sum(where(j >= k, U[k,j] @ h[j,t-1], 0), over=j)
    h[k,t] = where(due[k,t], tanh(W[k] @ x[t] + seen[k,t] + b[k]), h[k,t-1])
    y[t] = sum(V[k] @ h[k,t], over=k)
    loss = mean(squared_error(y[t], target[t]))"""


def clockwork(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Modules of periods 1, 2 and 4 read themselves and slower ones (Koutník et al. 2014, "A Clockwork RNN")."""
    outputs, errors = [], []
    for e in examples:
        h, own = [np.zeros(2)] * 3, []
        for t, (x, target) in enumerate(zip(e["x"], e["target"], strict=True), start=1):
            h = [np.tanh(w["W"][k] @ x + sum(w["U"][k, j] @ h[j] for j in range(k, 3)) + w["b"][k])
                 if t % 2**k == 0 else h[k] for k in range(3)]
            own.append(sum(w["V"][k] @ h[k] for k in range(3)))
            errors.append((own[-1] - target) ** 2)
        outputs.append(np.array(own))
    return {"y": outputs}, joined(errors).mean()


STACK = """
    h[t] = tanh(W @ x[t] + U @ h[t-1] + R @ r[t-1])
    d[t] = sigmoid(dot(w_d, h[t]))
    u[t] = sigmoid(dot(w_u, h[t]))
    V[i,t] = where(i == t, tanh(W_v @ h[t]), V[i,t-1])
    above[i,t] = cumsum(s[i,t-1], over=i, reverse=True) - s[i,t-1]
    s[i,t] = where(i == t, d[t], relu(s[i,t-1] - relu(u[t] - above[i,t])))
    over[i,t] = cumsum(s[i,t], over=i, reverse=True) - s[i,t]
    r[t] = sum(minimum(s[i,t], relu(1 - over[i,t])) * V[i,t], over=i)
    loss = mean(squared_error(r[t], target[t]))"""


def stack(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """A stack of vectors with strengths (Grefenstette et al. 2015, "Learning to Transduce with Unbounded Memory",
    equations 1 to 3)."""
    read, errors = [], []
    for e in examples:
        h, r, own = np.zeros(4), np.zeros(2), []
        vectors: list[Any] = []
        strengths: list[Any] = []
        for x, target in zip(e["x"], e["target"], strict=True):
            h = np.tanh(w["W"] @ x + w["U"] @ h + w["R"] @ r)
            d, u = sigmoid(w["w_d"] @ h), sigmoid(w["w_u"] @ h)
            strengths = [relu(s - relu(u - sum(strengths[i + 1 :]))) for i, s in enumerate(strengths)] + [d]
            vectors.append(np.tanh(w["W_v"] @ h))
            r = np.zeros(2)
            for i, (s, v) in enumerate(zip(strengths, vectors, strict=True)):
                rest = relu(1 - sum(strengths[i + 1 :]))
                r = r + (s if np.real(s) < np.real(rest) else rest) * v
            own.append(r)
            errors.append((r - target) ** 2)
        read.append(np.array(own))
    return {"r": read}, joined(errors).mean()


ANTISYMMETRIC = """
    A = W - transpose(W)
    z[t] = sigmoid(A @ h[t-1] - gamma * h[t-1] + V_z @ x[t] + b_z)
    h[t] = h[t-1] + 0.1 * z[t] * tanh(A @ h[t-1] - gamma * h[t-1] + V_h @ x[t] + b_h)
    loss = mean(squared_error(h[T], goal[n]))"""


def antisymmetric(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Euler's steps of a stable equation, gated (Chang et al. 2019, "AntisymmetricRNN", equations 11 and 12)."""
    states, errors = [], []
    matrix = w["W"] - w["W"].T - w["gamma"] * np.eye(4)
    for e in examples:
        h, own = np.zeros(4), []
        for x in e["x"]:
            inner = matrix @ h
            h = h + 0.1 * sigmoid(inner + w["V_z"] @ x + w["b_z"]) * np.tanh(inner + w["V_h"] @ x + w["b_h"])
            own.append(h)
        states.append(np.array(own))
        errors.append((h - e["goal"]) ** 2)
    return {"h": states}, joined(errors).mean()


DECAY = """
    m[t] = sure[t] > 0.5
    gap[t] = where(t == 1, 0, time[t] - time[t-1] + (1 - m[t-1]) * gap[t-1])
    last[t] = where(m[t], x[t], last[t-1])
    keep[t] = exp(-relu(w_x * gap[t] + b_x))
    filled[t] = where(m[t], x[t], keep[t] * last[t-1] + (1 - keep[t]) * usual)
    old[t] = exp(-relu(W_h @ gap[t] + b_h)) * h[t-1]
    r[t] = sigmoid(W_r @ filled[t] + U_r @ old[t] + V_r @ m[t] + b_r)
    z[t] = sigmoid(W_z @ filled[t] + U_z @ old[t] + V_z @ m[t] + b_z)
    g[t] = tanh(W_g @ filled[t] + U_g @ (r[t] * old[t]) + V_g @ m[t] + b_g)
    h[t] = (1 - z[t]) * old[t] + z[t] * g[t]
    loss = mean(binary_cross_entropy(sigmoid(dot(v, h[T])), k[n]))"""


def decay(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Inputs and states that fade while nothing is seen (Che et al. 2018, "Recurrent Neural Networks for Multivariate
    Time Series with Missing Values", equations 3 to 6)."""
    states, losses = [], []
    for e in examples:
        h, own = np.zeros(4), []
        gap, last, seen, before = np.zeros(3), np.zeros(3), np.zeros(3), e["time"][0]
        for x, time, sure in zip(e["x"], e["time"], e["sure"], strict=True):
            gap = time - before + (1 - seen) * gap
            before, seen = time, (sure.real > 0.5) * 1.0
            keep = np.exp(-relu(w["w_x"] * gap + w["b_x"]))
            filled = np.where(seen, x, keep * last + (1 - keep) * w["usual"])
            last = np.where(seen, x, last)
            old = np.exp(-relu(w["W_h"] @ gap + w["b_h"])) * h
            r, z = (sigmoid(w[f"W_{i}"] @ filled + w[f"U_{i}"] @ old + w[f"V_{i}"] @ seen + w[f"b_{i}"]) for i in "rz")
            h = (1 - z) * old + z * np.tanh(w["W_g"] @ filled + w["U_g"] @ (r * old) + w["V_g"] @ seen + w["b_g"])
            own.append(h)
        p = sigmoid(w["v"] @ h)
        losses.append(-(e["k"] * np.log(p) + (1 - e["k"]) * np.log(1 - p)))
        states.append(np.array(own))
    return {"h": states}, joined(losses).mean()


LIQUID = """
    h[0,t] = h[L,t-1]
    f[l,t] = sigmoid(W @ x[t] + U @ h[l-1,t] + b)
    h[l,t] = (h[l-1,t] + dt[t] / L * f[l,t] * A) / (1 + dt[t] / L * (exp(-tau) + f[l,t]))
    y[t] = C @ h[L,t]
    loss = mean(squared_error(y[t], target[t]))"""


def liquid(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """The fused solver of liquid time constants, `l` steps between two inputs (Hasani et al. 2021, "Liquid
    Time-constant Networks", equation 3)."""
    outputs, errors = [], []
    for e in examples:
        h, own = np.zeros(4), []
        for x, dt, target in zip(e["x"], e["dt"], e["target"], strict=True):
            for _ in range(3):
                f = sigmoid(w["W"] @ x + w["U"] @ h + w["b"])
                h = (h + dt / 3 * f * w["A"]) / (1 + dt / 3 * (np.exp(-w["tau"]) + f))
            own.append(w["C"] @ h)
            errors.append((own[-1] - target) ** 2)
        outputs.append(np.array(own))
    return {"y": outputs}, joined(errors).mean()


RETENTION = """
    q[a,t] = W_q[a] @ x[t]
    k[a,t] = W_k[a] @ x[t]
    v[a,t] = W_v[a] @ x[t]
    S[a,t] = sigmoid(g[a]) * S[a,t-1] + outer(k[a,t], v[a,t])
    o[a,t] = layer_norm(q[a,t] @ S[a,t])
    z[t] = W_z @ x[t]
    y[t] = W_o @ (z[t] * sigmoid(z[t]) * sum(P[a] @ o[a,t], over=a))
    loss = mean(squared_error(y[t], target[t]))"""


def retention(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Retention over two scales, here by its parallel form, of all earlier steps (Sun et al. 2023, "Retentive Network",
    equations 5 to 8)."""
    outputs, errors = [], []
    for e in examples:
        own = []
        for t, (x, target) in enumerate(zip(e["x"], e["target"], strict=True)):
            heads: Any = 0
            for a in range(2):
                rate, query = sigmoid(w["g"][a]), w["W_q"][a] @ x
                o = sum(rate ** (t - s) * (query @ (w["W_k"][a] @ old)) * (w["W_v"][a] @ old)
                        for s, old in enumerate(e["x"][: t + 1]))
                o = o - o.mean()
                heads = heads + w["P"][a] @ (o / np.sqrt((o * o).mean() + 1e-5))
            z = w["W_z"] @ x
            own.append(w["W_o"] @ (z * sigmoid(z) * heads))
            errors.append((own[-1] - target) ** 2)
        outputs.append(np.array(own))
    return {"y": outputs}, joined(errors).mean()


TURING = """
    h[t] = tanh(W @ x[t] + R @ r[t-1] + b)
    key[t] = tanh(W_k @ h[t])
    turn[t] = softmax(W_s @ h[t])
    like[i,t] = dot(M[i,t-1], key[t]) / sqrt(dot(M[i,t-1], M[i,t-1]) * dot(key[t], key[t]) + 0.01)
    c[i,t] = softmax(softplus(dot(w_b, h[t])) * like[i,t], over=i)
    gate[t] = sigmoid(dot(w_g, h[t]))
    g[i,t] = gate[t] * c[i,t] + (1 - gate[t]) * w[i,t-1]
    g[0,t] = g[I,t]
    g[I+1,t] = g[1,t]
    p[i,t] = (turn[t][0] * g[i+1,t] + turn[t][1] * g[i,t] + turn[t][2] * g[i-1,t]) ** (1 + softplus(dot(w_c, h[t])))
    w[i,t] = p[i,t] / sum(p[i,t], over=i)
    w[i,0] = softmax(w_0[i], over=i)
    M[i,t] = M[i,t-1] * (1 - w[i,t] * sigmoid(E @ h[t])) + w[i,t] * tanh(A @ h[t])
    M[i,0] = M_0[i]
    r[t] = sum(w[i,t] * M[i,t], over=i)
    y[t] = V @ concat(h[t], r[t])
    loss = mean(squared_error(y[t], target[t]))"""


def turing(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """One head over five places in a ring: by content, gated, turned, sharpened (Graves et al. 2014, "Neural Turing
    Machines", equations 3 to 9)."""
    outputs, errors = [], []
    for e in examples:
        memory, at, r, own = w["M_0"], softmax(w["w_0"]), np.zeros(2), []
        for x, target in zip(e["x"], e["target"], strict=True):
            h = np.tanh(w["W"] @ x + w["R"] @ r + w["b"])
            key, turn = np.tanh(w["W_k"] @ h), softmax(w["W_s"] @ h)
            like = np.array([row @ key / np.sqrt(row @ row * (key @ key) + 0.01) for row in memory])
            gate = sigmoid(w["w_g"] @ h)
            g = gate * softmax(softplus(w["w_b"] @ h) * like) + (1 - gate) * at
            p = np.array([sum(turn[k] * g[(i + 1 - k) % 5] for k in range(3)) for i in range(5)])
            p = p ** (1 + softplus(w["w_c"] @ h))
            at = p / p.sum()
            memory = memory * (1 - np.outer(at, sigmoid(w["E"] @ h))) + np.outer(at, np.tanh(w["A"] @ h))
            r = at @ memory
            own.append(w["V"] @ joined([h, r]))
            errors.append((own[-1] - target) ** 2)
        outputs.append(np.array(own))
    return {"y": outputs}, joined(errors).mean()


MODELS = {
    "reservoir": Published(RESERVOIR, reservoir, {"x": 3, "h": 4, "y": 2, "alpha": ()}),
    "clockwork": Published(CLOCKWORK, clockwork, {"x": 3, "h": 2, "y": 2, "k": 3}),
    "neural stack": Published(STACK, stack, {"x": 3, "h": 4, "i": 7, "V": 2}),
    "antisymmetric": Published(ANTISYMMETRIC, antisymmetric, {"x": 3, "h": 4, "gamma": ()}),
    "decay": Published(DECAY, decay, {"x": 3, "h": 4, "time": (), "k": ()}),
    "liquid": Published(LIQUID, liquid, {"x": 3, "h": 4, "l": 3, "dt": (), "y": 2}),
    "retention": Published(RETENTION, retention, {"x": 3, "q": 4, "v": 4, "a": 2, "g": (), "P": (4, 4), "y": 2}),
    "turing": Published(TURING, turing, {"x": 3, "h": 4, "i": 5, "M": 2, "y": 2, "turn": 3, "w_0": ()}),
}
