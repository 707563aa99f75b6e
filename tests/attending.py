"""Models that attend, their runs and pictures, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import zoo

import tinygrad_rnn as tr
from tinygrad_rnn.viz.attention.heat import FRAME
from tinygrad_rnn.viz.attention.view import attention_scene
from tinygrad_rnn.viz.graph.roles import roles
from tinygrad_rnn.viz.scene import Scene, Shape, Wire
from tinygrad_rnn.viz.values import Values

SEQ2SEQ = """
    i[s] = sigmoid(W_xi @ x[s] + W_hi @ h[s-1] + b_i)
    f[s] = sigmoid(W_xf @ x[s] + W_hf @ h[s-1] + b_f)
    o[s] = sigmoid(W_xo @ x[s] + W_ho @ h[s-1] + b_o)
    g[s] = tanh(W_xg @ x[s] + W_hg @ h[s-1] + b_g)
    m[s] = f[s] * m[s-1] + i[s] * g[s]
    h[s] = o[s] * tanh(m[s])
    q[0] = tanh(W_0 @ h[S])
    e[t,s] = dot(u, tanh(W_q @ q[t-1] + W_k @ h[s]))
    alpha[t,s] = softmax(e[t,s], over=s)
    c[t] = sum(alpha[t,s] * h[s], over=s)
    z[t] = sigmoid(W_cz @ c[t] + W_qz @ q[t-1])
    r[t] = sigmoid(W_cr @ c[t] + W_qr @ q[t-1])
    p[t] = tanh(W_cp @ c[t] + W_qp @ (r[t] * q[t-1]))
    q[t] = z[t] * q[t-1] + (1 - z[t]) * p[t]
    y[t] = softmax(V @ q[t])
    loss = mean(cross_entropy(y[t], target[t]))
"""
HEAD = "y[t] = softmax(V @ {h}[t])\n        loss = mean(cross_entropy(y[t], target[t]))\n"
TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "seq2seq": (SEQ2SEQ, {"x": 6, "h": 5, "m": 5, "q": 5, "y": 4, "u": 6, "W_q": (6, 5), "W_k": (6, 5)}),
    "self": ("""
        q[t] = Q @ x[t]
        k[t] = K @ x[t]
        v[t] = R @ x[t]
        a[t,s] = softmax(where(s <= t, dot(q[t], k[s]), -inf), over=s)
        c[t] = sum(a[t,s] * v[s], over=s)
        """ + HEAD.format(h="c"), {"x": 5, "y": 3, "q": 4, "k": 4, "v": 4}),
    "luong, both ways": ("""
        f[s] = tanh(W_f @ x[s] + U_f @ f[s-1])
        b[s] = tanh(W_b @ x[s] + U_b @ b[s+1])
        q[t] = tanh(W_q @ w[t] + U_q @ q[t-1])
        a[t,s] = softmax(dot(q[t], M @ concat(f[s], b[s])), over=s)
        c[t] = sum(a[t,s] * concat(f[s], b[s]), over=s)
        o[t] = tanh(W_o @ concat(q[t], c[t]))
        """ + HEAD.format(h="o"), {"x": 3, "f": 4, "b": 4, "q": 4, "w": 3, "o": 4, "y": 3}),
    "a state before and after": ("""
        h[s] = tanh(W_f @ x[s] + U_f @ h[s-1])
        u[t] = tanh(W_u @ w[t] + U_u @ q[t-1])
        e[t,s] = dot(u[t], h[s])
        a[t,s] = softmax(e[t,s], over=s)
        c[t] = sum(a[t,s] * h[s], over=s)
        q[t] = tanh(W_q @ c[t] + U_q @ u[t])
        """ + HEAD.format(h="q"), {"x": 3, "h": 4, "u": 4, "q": 4, "w": 3, "y": 3}),
    "inside a cell": ("""
        h[s] = tanh(W_f @ x[s] + U_f @ h[s-1])
        a[t,s] = softmax(dot(q[t-1], h[s]), over=s)
        q[t] = tanh(W_q @ sum(a[t,s] * h[s], over=s) + U_q @ q[t-1] + E @ w[t])
        """ + HEAD.format(h="q"), {"x": 3, "h": 4, "q": 4, "y": 3, "w": 3}),
    "heads": ("""
        q[j,t] = Q[j] @ x[t]
        k[j,t] = K[j] @ x[t]
        v[j,t] = U[j] @ x[t]
        a[j,t,s] = softmax(where(s <= t, dot(q[j,t], k[j,s]), -inf), over=s)
        c[j,t] = sum(a[j,t,s] * v[j,s], over=s)
        z[t] = relu(W @ (x[t] + c[1,t] + c[2,t]))
        b[t,s] = softmax(dot(A @ z[t], z[s]), over=s)
        o[t] = sum(b[t,s] * z[s], over=s)
        """ + HEAD.format(h="o"), {"j": 2, "x": 4, "q": 4, "k": 4, "v": 4, "z": 4, "y": 3}),
    "pointer": ("""
        h[s] = tanh(W_f @ x[s] + U_f @ h[s-1])
        d[t] = tanh(W_d @ w[t] + U_d @ d[t-1])
        p[t,s] = softmax(dot(v, tanh(W_1 @ h[s] + W_2 @ d[t])), over=s)
        """, {"x": 3, "h": 4, "d": 4, "w": 3, "v": 4, "W_1": (4, 4), "W_2": (4, 4)}),
    "layers, two cells": ("""
        i[t] = sigmoid(A_i @ e[t] + A_c @ c[t-1] + B_i @ h[t-1])
        g[t] = tanh(A_g @ e[t] + A_d @ c[t-1] + B_g @ h[t-1])
        m[t] = (1 - i[t]) * m[t-1] + i[t] * g[t]
        h[t] = i[t] * tanh(m[t])
        k[t] = tanh(C @ h[t] + D @ k[t-1])
        e[t] = E @ w[t]
        r[l,s] = tanh(W[l] @ r[l-1,s] + U[l] @ r[l,s-1])
        r[0,s] = F @ x[s]
        z[t,s] = exp(dot(k[t], r[2,s]))
        a[t,s] = z[t,s] / sum(z[t,s], over=s)
        c[t] = sum(a[t,s] * r[2,s], over=s)
        y[t] = softmax(V @ concat(k[t], c[t]))
        """, {"l": 2, "x": 3, "r": 4, "w": 4, "e": 3, "i": 4, "g": 4, "m": 4, "h": 4, "k": 4, "y": 3}),
    "not normalised": ("""
        q[t] = Q @ x[t]
        k[t] = K @ x[t]
        v[t] = U @ x[t]
        a[t,s] = dot(q[t], k[s])
        o[t] = sum(a[t,s] * v[s], over=s)
        """, {"x": 4, "q": 4, "k": 4, "v": 4}),
    "learnt memory": ("""
        h[t] = tanh(W @ x[t] + U @ h[t-1] + R @ r[t-1])
        w[t,m] = softmax(dot(K @ h[t], M[m]), over=m)
        r[t] = sum(w[t,m] * M[m], over=m)
        y[t] = softmax(V @ concat(h[t], r[t]))
        """, {"m": 5, "x": 3, "h": 4, "y": 3, "M": (4,)}),
    "coverage": ("""
        h[s] = tanh(W @ x[s] + U @ h[s-1])
        v[t,s] = v[t-1,s] + a[t-1,s]
        a[t,s] = softmax(dot(p, tanh(A @ h[s] + B @ q[t-1] + g * v[t,s])), over=s)
        c[t] = sum(a[t,s] * h[s], over=s)
        q[t] = tanh(C @ c[t] + D @ q[t-1] + E @ w[t])
        """, {"x": 3, "h": 4, "q": 4, "w": 3, "p": 4, "g": (4,), "A": (4, 4)}),
}
ZOO = ("attention", "self_attention")
MODELS = {name: tr.equations(text, name=name, dtype="float64", **sizes) for name, (text, sizes) in TEXTS.items()}
MODELS |= {f"zoo {name}": zoo.build(name) for name in ZOO}
MODELS["gradient"] = zoo.build("attention").grad("loss")
for number, one in enumerate(MODELS.values()):
    draws = np.random.default_rng(number)
    for weight in one.weights:
        one.weights[weight] = draws.standard_normal(one.weights[weight].shape)


def ran(name: str, batch: int = 2, lengths: Any = None, **steps: int) -> tuple[tr.Model, Any]:
    """A run of the model of that name, everything in it."""
    model = MODELS[name]
    found = {i: steps.get(i, 4) for i in zoo.dynamic(model)}
    return model, model.run(zoo.data(model, batch, found), steps=found, lengths=lengths)


def scene(name: str, batch: int = 2, example: int = 0, lengths: Any = None, steps: Any = None, **options: Any) -> Scene:
    model, run = ran(name, batch, lengths, **(steps or {}))
    return attention_scene(roles(model.system), Values(model.system, run, example=example), **options)


def structure(name: str, **options: Any) -> Scene:
    return attention_scene(roles(MODELS[name].system), None, **options)


def fan(drawing: Scene, name: str) -> list[Wire]:
    """The lines from positions to contexts."""
    return [w for w in drawing.wires if w.mark is not None and w.mark.name == name and w.style == "attention"]


def place(wire: Wire, *indices: str) -> tuple[int | str, ...]:
    assert wire.mark is not None
    at = dict(wire.mark.at)
    return tuple(at[i] for i in indices)


def cells(drawing: Scene) -> dict[tuple[int | str, ...], Shape]:
    return {tuple(p for _, p in s.mark.at): s for s in drawing.panels if s.mark is not None}


def tiles_of(drawing: Scene) -> list[Shape]:
    """The cells of the heat map, without its frame and the bar."""
    frames = [k for k, s in enumerate(drawing.panels) if s.fill == FRAME]
    return drawing.panels[frames[0] + 1 : frames[1]] if frames else []
