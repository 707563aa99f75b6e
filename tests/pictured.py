"""Models of many kinds to be drawn, and names that no text could declare."""

from __future__ import annotations

from dataclasses import replace

import tinygrad_rnn as tr
from tinygrad_rnn.node import rebuild, ref
from tinygrad_rnn.system import System

LSTM = """
    i{k}[t] = sigmoid(W_xi{k} @ {x}[t] + W_hi{k} @ h{k}[t-1] + b_i{k})
    f{k}[t] = sigmoid(W_xf{k} @ {x}[t] + W_hf{k} @ h{k}[t-1] + b_f{k})
    o{k}[t] = sigmoid(W_xo{k} @ {x}[t] + W_ho{k} @ h{k}[t-1] + b_o{k})
    g{k}[t] = tanh(W_xg{k} @ {x}[t] + W_hg{k} @ h{k}[t-1] + b_g{k})
    c{k}[t] = f{k}[t] * c{k}[t-1] + i{k}[t] * g{k}[t]
    h{k}[t] = o{k}[t] * tanh(c{k}[t])
"""
HEAD = """
    y[t] = softmax(V @ {h}[t] + d)
    loss = mean(cross_entropy(y[t], target[t]))
"""
SIZES = {"x": 5, "y": 3}

TEXTS: dict[str, tuple[str, dict[str, int]]] = {
    "rnn": ("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)" + HEAD.format(h="h"), {**SIZES, "h": 4}),
    "lstm": (LSTM.format(k="", x="x") + HEAD.format(h="h"), {**SIZES, "h": 4}),
    "lstm2": (LSTM.format(k="1", x="x") + LSTM.format(k="2", x="h1") + HEAD.format(h="h2"),
              {**SIZES, "h1": 4, "h2": 4}),
    "gru": ("""
    z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)
    r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)
    m[t] = tanh(W_m @ x[t] + U_m @ (r[t] * h[t-1]) + b_m)
    h[t] = (1 - z[t]) * m[t] + z[t] * h[t-1]
    """ + HEAD.format(h="h"), {**SIZES, "h": 4}),
    "bidirectional": ("""
    h1[t] = tanh(W_1 @ x[t] + U_1 @ h1[t-1])
    r1[t] = tanh(V_1 @ x[t] + R_1 @ r1[t+1])
    z1[t] = concat(h1[t], r1[t])
    h2[t] = tanh(W_2 @ z1[t] + U_2 @ h2[t-1])
    r2[t] = tanh(V_2 @ z1[t] + R_2 @ r2[t+1])
    z2[t] = concat(h2[t], r2[t])
    """ + HEAD.format(h="z2"), {**SIZES, "h1": 4, "r1": 4, "h2": 4, "r2": 4}),
    "bilstm": (LSTM.format(k="1", x="x") + LSTM.format(k="2", x="x").replace("t-1", "t+1") + """
    z[t] = concat(h1[t], h2[t])
    """ + HEAD.format(h="z"), {**SIZES, "h1": 4, "h2": 4}),
    "attention": ("""
    k[s] = tanh(A @ x[s] + B @ k[s-1])
    e[t,s] = dot(W_e @ q[t-1], k[s])
    a[t,s] = softmax(e[t,s], over=s)
    c[t] = sum(a[t,s] * k[s], over=s)
    q[t] = tanh(U @ q[t-1] + C @ c[t] + P @ w[t])
    q[0] = tanh(M @ k[S])
    """ + HEAD.format(h="q"), {**SIZES, "w": 5, "k": 4, "q": 4}),
    "self_attention": ("""
    q[t] = Q @ x[t]
    k[t] = K @ x[t]
    v[t] = R @ x[t]
    a[t,s] = softmax(where(s <= t, dot(q[t], k[s]), -inf), over=s)
    c[t] = sum(a[t,s] * v[s], over=s)
    """ + HEAD.format(h="c"), {**SIZES, "q": 4, "k": 4, "v": 4}),
    "shift2": ("h[t] = tanh(W @ x[t] + U @ h[t-1] + R @ h[t-2] + b)" + HEAD.format(h="h"), {**SIZES, "h": 4}),
    "only_shift2": ("h[t] = tanh(W @ x[t] + R @ h[t-2])\ny = V @ h[T]", {**SIZES, "h": 4}),
    "many_to_one": ("""
    h[t] = tanh(W @ x[t] + U @ h[t-1])
    h[0] = tanh(I @ img[n])
    y = softmax(V @ h[T])
    loss = mean(cross_entropy(y, target[n]))
    """, {**SIZES, "h": 4, "img": 6}),
    "made_up": ("""
    u[t] = sigmoid(W_u @ x[t] + R_u @ p[t-1] + b_u)
    v[t] = relu(W_v @ x[t] + R_v @ (u[t] * q[t-1]) + b_v)
    w[t] = layer_norm(W_w @ v[t] + R_w @ p[t-2])
    q[t] = u[t] * q[t-1] + (1 - u[t]) * v[t]
    p[t] = p[t-1] + sin(q[t]) * w[t] - 0.5 * x[t]
    z[t] = C @ p[t] + G @ u[t]
    """ + HEAD.format(h="z"), {"x": 5, "y": 3, "p": 5, "q": 5, "z": 3}),
    "no_recurrence": ("a[t] = relu(W @ x[t] + R @ x[t-1] + b)" + HEAD.format(h="a"), {**SIZES, "a": 4}),
    "no_steps": ("a = relu(W @ x[n] + b)\ny = softmax(V @ a)\nloss = mean(cross_entropy(y, target[n]))",
                 {**SIZES, "a": 4}),
    "layers": ("h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b[l])\nh[0,t] = E @ x[t]\n"
               "y[t] = softmax(V @ h[3,t])\nloss = mean(cross_entropy(y[t], target[t]))", {**SIZES, "l": 3, "h": 4}),
    "many_layers": ("h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1] + b[l])\nh[0,t] = E @ x[t]\n"
                    "y[t] = softmax(V @ h[L,t])", {**SIZES, "l": 12, "h": 4}),
    "two_ways": ("h[i,j] = tanh(W @ x[i,j] + U @ h[i-1,j] + R @ h[i,j-1])\ny = V @ h[I,J]", {**SIZES, "h": 4}),
}
MODELS = {name: tr.equations(text, **sizes) for name, (text, sizes) in TEXTS.items()}
HOSTILE = ['<script>alert("x")</script>', "a&b;'\"\\n", "]]>\x00\x1b\ud800\uffff", "é漢字🙂$x^2$", '\\"]; }']


def renamed(system: System, names: dict[str, str]) -> System:
    """The system with other names, ones that no text could declare."""
    def change(node, args):
        if node.op != "ref" or node.attr("name") not in names:
            return node if args == node.args else type(node)(node.op, args, node.attrs, node.type)
        return ref(names[node.attr("name")], node.attr("slots"), node.type, node.attr("batch"))

    equations = [replace(eq, name=names.get(eq.name, eq.name), rhs=rebuild([eq.rhs], change)[eq.rhs])
                 for eq in system.equations]
    quantities = {names.get(n, n): replace(q, name=names.get(n, n)) for n, q in system.quantities.items()}
    return system.with_equations(equations, quantities, name=HOSTILE[0])
