"""Published models that learn where to look, where to write and how long to think."""

from __future__ import annotations

from typing import Any

import numpy as np
from published import Arrays, Found, Published, joined, sigmoid, softmax

MONOTONIC = """
    k[s] = tanh(A @ z[s] + B @ k[s-1])
    p[t,s] = sigmoid(dot(v, tanh(P @ d[t-1] + Q @ k[s])) + r)
    q[t,s] = (1 - p[t,s-1]) * q[t,s-1] + a[t-1,s]
    a[t,s] = p[t,s] * q[t,s]
    a[0,s] = where(s == 1, 1, 0)
    c[t] = sum(a[t,s] * k[s], over=s)
    d[t] = tanh(W @ x[t] + D @ d[t-1] + C @ c[t])
    loss = mean(squared_error(V @ d[t], target[t]))"""


def monotonic(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Attention that never goes back, in expectation (Raffel et al. 2017, "Online and Linear-Time Attention by
    Enforcing Monotonic Alignments", equations 8 to 11)."""
    weights, losses = [], []
    for e in examples:
        k: list[Any] = [np.zeros(3)]
        for z in e["z"]:
            k.append(np.tanh(w["A"] @ z + w["B"] @ k[-1]))
        k, own = k[1:], []
        a, d = np.eye(len(k))[0], np.zeros(4)
        for x, target in zip(e["x"], e["target"], strict=True):
            p = np.array([sigmoid(w["v"] @ np.tanh(w["P"] @ d + w["Q"] @ one) + w["r"]) for one in k])
            a = np.array([p[s] * sum(a[u] * np.prod(1 - p[u:s]) for u in range(s + 1)) for s in range(len(k))])
            d = np.tanh(w["W"] @ x + w["D"] @ d + w["C"] @ (a @ np.array(k)))
            losses.append((w["V"] @ d - target) ** 2)
            own.append(a)
        weights.append(np.array(own))
    return {"a": weights}, joined(losses).mean()


COMPUTER = """
    h[t] = tanh(W @ x[t] + R @ r[t-1])
    u[i,t] = (u[i,t-1] + w[i,t-1] - u[i,t-1] * w[i,t-1]) * (1 - sigmoid(dot(w_f, h[t])) * read[i,t-1])
    free[t] = sigmoid(dot(w_a, h[t]) + b_a)
    to[i,t] = free[t] * softmax(-u[i,t], over=i) + (1 - free[t]) * softmax(dot(Z @ h[t], M[i,t-1]), over=i)
    w[i,t] = sigmoid(dot(w_w, h[t])) * to[i,t]
    M[i,t] = M[i,t-1] * (1 - w[i,t] * sigmoid(E @ h[t])) + w[i,t] * (A @ h[t])
    after[i,k,t] = where(i == k, 0, (1 - w[i,t] - w[k,t]) * after[i,k,t-1] + w[i,t] * p[k,t-1])
    p[i,t] = (1 - sum(w[k,t], over=k)) * p[i,t-1] + w[i,t]
    mode[t] = softmax(P @ h[t])
    back[i,t] = sum(after[k,i,t] * read[k,t-1], over=k)
    on[i,t] = sum(after[i,k,t] * read[k,t-1], over=k)
    read[i,t] = mode[t][0] * back[i,t] + mode[t][1] * softmax(dot(Q @ h[t], M[i,t]), over=i) + mode[t][2] * on[i,t]
    r[t] = sum(read[i,t] * M[i,t], over=i)
    y[t] = V @ concat(h[t], r[t])
    loss = mean(squared_error(y[t], target[t]))"""


def computer(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """Places are written where they are free and read in the order of writing (Graves et al. 2016, "Hybrid computing
    using a neural network with dynamic external memory"; which are free is a softmax here, as a sort has no slope)."""
    outputs, errors = [], []
    for e in examples:
        r, memory, after, own = np.zeros(2), np.zeros((3, 2)), np.zeros((3, 3)), []
        used = write = read = order = np.zeros(3)
        for x, target in zip(e["x"], e["target"], strict=True):
            h = np.tanh(w["W"] @ x + w["R"] @ r)
            used = (used + write - used * write) * (1 - sigmoid(w["w_f"] @ h) * read)
            free = sigmoid(w["w_a"] @ h + w["b_a"])
            to = free * softmax(-used) + (1 - free) * softmax(memory @ (w["Z"] @ h))
            write = sigmoid(w["w_w"] @ h) * to
            memory = memory * (1 - np.outer(write, sigmoid(w["E"] @ h))) + np.outer(write, w["A"] @ h)
            after = (1 - write[:, None] - write) * after + np.outer(write, order)
            after = after - np.diag(np.diag(after))
            order = (1 - write.sum()) * order + write
            mode = softmax(w["P"] @ h)
            read = mode @ np.array([after.T @ read, softmax(memory @ (w["Q"] @ h)), after @ read])
            r = read @ memory
            own.append(w["V"] @ joined([h, r]))
            errors.append((own[-1] - target) ** 2)
        outputs.append(np.array(own))
    return {"y": outputs}, joined(errors).mean()


PONDERING = """
    s[0,t] = h[t-1]
    s[k,t] = tanh(W @ x[t] + U @ s[k-1,t] + where(k == 1, flag, 0))
    p[k,t] = sigmoid(dot(w_p, s[k,t]) + b_p)
    sum_p[k,t] = sum_p[k-1,t] + p[k,t]
    halts[k,t] = where(sum_p[k,t] >= 0.9 or k == K, 1, 0)
    on[k,t] = where(k == 1, 1, on[k-1,t] * (1 - halts[k-1,t]))
    share[k,t] = on[k,t] * where(halts[k,t] == 1, 1 - sum_p[k-1,t], p[k,t])
    h[t] = sum(share[k,t] * s[k,t], over=k)
    steps[t] = sum(on[k,t] * (1 + halts[k,t] * (1 - sum_p[k-1,t])), over=k)
    loss = mean(squared_error(V @ h[t], target[t])) + 0.01 * mean(steps[t])"""


def pondering(w: Arrays, examples: list[dict[str, np.ndarray]]) -> Found:
    """As many inner steps, up to four, as it takes (Graves 2016, "Adaptive Computation Time", equations 4 to 14)."""
    states, errors, ponder = [], [], []
    for e in examples:
        h, own = np.zeros(4), []
        for x, target in zip(e["x"], e["target"], strict=True):
            s, left, mixed = h, 1.0, np.zeros(4)
            for k in range(1, 5):
                s = np.tanh(w["W"] @ x + w["U"] @ s + (w["flag"] if k == 1 else 0))
                p = sigmoid(w["w_p"] @ s + w["b_p"])
                if np.real(1 - left + p) >= 0.9 or k == 4:
                    break
                mixed, left = mixed + p * s, left - p
            h = mixed + left * s
            ponder.append(k + left)
            own.append(h)
            errors.append((w["V"] @ h - target) ** 2)
        states.append(np.array(own))
    return {"h": states}, joined(errors).mean() + 0.01 * np.mean(ponder)


MODELS = {
    "monotonic": Published(MONOTONIC, monotonic, {"x": 3, "z": 2, "k": 3, "d": 4, "v": 4, "target": 2}),
    "computer": Published(COMPUTER, computer, {"i": 3, "x": 3, "h": 4, "M": 2, "y": 2, "mode": 3}),
    "pondering": Published(PONDERING, pondering, {"k": 4, "x": 3, "h": 4, "target": 2}),
}
