"""Cells of every kind as pictures, and what is right of each: where things stand, and what is connected with what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import zoo

import tinygrad_rnn as tr
from tinygrad_rnn.viz.blocks.inside import by_operations, port_key
from tinygrad_rnn.viz.cell.view import cell_scene
from tinygrad_rnn.viz.graph.roles import Roles, roles
from tinygrad_rnn.viz.scene import Point, Scene, Shape, Wire
from tinygrad_rnn.viz.style import SMALL
from tinygrad_rnn.viz.text import string, width

OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "minimal gated unit": ("""
        f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
        g[t] = tanh(W_h @ x[t] + U_h @ (f[t] * h[t-1]) + b_h)
        h[t] = (1 - f[t]) * h[t-1] + f[t] * g[t]""", {"x": 3, "h": 4}),
    "peephole LSTM": ("""
        i[t] = sigmoid(W_i @ x[t] + U_i @ h[t-1] + P_i * c[t-1] + b_i)
        f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + P_f * c[t-1] + b_f)
        g[t] = tanh(W_g @ x[t] + U_g @ h[t-1] + b_g)
        c[t] = f[t] * c[t-1] + i[t] * g[t]
        o[t] = sigmoid(W_o @ x[t] + U_o @ h[t-1] + P_o * c[t] + b_o)
        h[t] = o[t] * tanh(c[t])
        y[t] = softmax(V @ h[t])""", {"x": 3, "h": 4, "y": 2}),
    "LayerNorm-LSTM": ("""
        i[t] = sigmoid(layer_norm(W_i @ x[t] + U_i @ h[t-1], g_i, b_i))
        f[t] = sigmoid(layer_norm(W_f @ x[t] + U_f @ h[t-1], g_f, b_f))
        o[t] = sigmoid(layer_norm(W_o @ x[t] + U_o @ h[t-1], g_o, b_o))
        g[t] = tanh(layer_norm(W_g @ x[t] + U_g @ h[t-1], g_g, b_g))
        c[t] = f[t] * c[t-1] + i[t] * g[t]
        h[t] = o[t] * tanh(layer_norm(c[t], g_c, b_c))
        y[t] = softmax(V @ h[t])""", {"x": 3, "h": 4, "y": 2}),
    "three states": ("""
        f[t] = sigmoid(A @ x[t] + B @ h[t-1] + C @ m[t-1])
        e[t] = sigmoid(A_2 @ x[t] + B_2 @ h[t-1] + C_2 @ m[t-1])
        g[t] = tanh(A_3 @ x[t] + B_3 @ h[t-1])
        c[t] = f[t] * c[t-1] + (1 - f[t]) * g[t]
        m[t] = e[t] * m[t-1] + c[t] * g[t]
        h[t] = tanh(m[t]) * tanh(c[t])
        y[t] = softmax(V @ h[t] + Z @ m[t])""", {"x": 3, "h": 4, "y": 2}),
    "reset after the product": ("""
        z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)
        r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)
        g[t] = tanh(W_g @ x[t] + r[t] * (U_g @ h[t-1] + b_g))
        h[t] = z[t] * h[t-1] + (1 - z[t]) * g[t]
        y = softmax(V @ h[T])""", {"x": 3, "h": 4, "y": 2}),
    "sum": ("s[t] = s[t-1] + x[t]", {"x": 3}),
    "what two gates need": ("""
        z[t] = tanh(W_z @ x[t])
        f[t] = sigmoid(W_f @ x[t])
        c[t] = f[t] * c[t-1] + (1 - f[t]) * z[t]""", {"x": 3, "c": 4}),
    "two directions": ("""
        i[t] = sigmoid(W_i @ x[t] + U_i @ h[t-1])
        f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1])
        g[t] = tanh(W_g @ x[t] + U_g @ h[t-1])
        c[t] = f[t] * c[t-1] + i[t] * g[t]
        h[t] = tanh(c[t])
        j[t] = sigmoid(Q_i @ x[t] + R_i @ k[t+1])
        e[t] = tanh(Q_g @ x[t] + R_g @ k[t+1])
        d[t] = (1 - j[t]) * d[t+1] + j[t] * e[t]
        k[t] = tanh(d[t])
        y[t] = softmax(V @ concat(h[t], k[t]))""", {"x": 3, "h": 4, "k": 4, "y": 2}),
    "deep LSTM": ("""
        i[l,t] = sigmoid(W_i[l] @ h[l-1,t] + U_i[l] @ h[l,t-1] + b_i[l])
        f[l,t] = sigmoid(W_f[l] @ h[l-1,t] + U_f[l] @ h[l,t-1] + b_f[l])
        o[l,t] = sigmoid(W_o[l] @ h[l-1,t] + U_o[l] @ h[l,t-1] + b_o[l])
        g[l,t] = tanh(W_g[l] @ h[l-1,t] + U_g[l] @ h[l,t-1] + b_g[l])
        c[l,t] = f[l,t] * c[l,t-1] + i[l,t] * g[l,t]
        h[l,t] = o[l,t] * tanh(c[l,t])
        h[0,t] = E @ x[t]
        y = softmax(V @ h[3,T])""", {"l": 3, "x": 5, "h": 4, "y": 2}),
    "recurrent highway": ("""
        s[t] = tanh(W @ x[t] + R @ h[t-1])
        g[t] = sigmoid(W_2 @ x[t] + R_2 @ h[t-1])
        k[t] = s[t] * g[t] + h[t-1] * (1 - g[t])
        s2[t] = tanh(R_3 @ k[t])
        g2[t] = sigmoid(R_4 @ k[t])
        h[t] = s2[t] * g2[t] + k[t] * (1 - g2[t])
        y[t] = V @ h[t]""", {"x": 3, "h": 4, "y": 2}),
    "states change places": ("""
        a[t] = tanh(W @ x[t] + U @ b[t-1])
        b[t] = tanh(Q @ x[t] + V @ a[t-1])
        y[t] = Y @ b[t]""", {"x": 3, "a": 4, "b": 4, "y": 2}),
    "long names": ("""
        the_very_long_gate[t] = sigmoid(W @ measurement[t] + U @ hidden_state[t-1] + P @ context[t])
        hidden_state[t] = the_very_long_gate[t] * hidden_state[t-1] + tanh(V @ context[t] + Q @ measurement[t])
        y[t] = Y @ hidden_state[t]""", {"measurement": 3, "context": 2, "hidden_state": 4, "y": 2}),
    "rotation": ("""
        a = r * cos(u)
        b = r * sin(u)
        k = sqrt(1 - r ** 2)
        p[t] = a * p[t-1] - b * q[t-1] + k * (B @ x[t])
        q[t] = a * q[t-1] + b * p[t-1] + k * (C @ x[t])
        y[t] = P @ p[t] + Q @ q[t]""", {"x": 3, "p": 4, "y": 2}),
    "many readers": ("""
        h[t] = tanh(W @ x[t] + U @ h[t-1] + A @ h[t-2] + B @ h[t-3] + C @ z[t] + D @ v[t-1] + E @ v[t])
        k[t] = maximum(h[t], k[t-1]) * h[t]
        y[t] = V @ concat(h[t], k[t])""", {"x": 3, "z": 2, "v": 2, "h": 4, "y": 2}),
}
MODELS = {**{name: m for name, m in zoo.MODELS.items() if name != "no_recurrence"}, **OWN}


def found_roles(text: str, sizes: dict[str, Any]) -> Roles:
    return roles(tr.equations(text, **sizes).system)


def drawn(name: str) -> tuple[Roles, Scene]:
    found = found_roles(*MODELS[name])
    return found, cell_scene(found)


def is_dot(s: Shape) -> bool:
    return s.kind == "circle" and s.w < 10


def apart(a: Shape, b: Shape) -> bool:
    return a.x + a.w <= b.x + 0.01 or b.x + b.w <= a.x + 0.01 or a.y + a.h <= b.y + 0.01 or b.y + b.h <= a.y + 0.01


def lines(scene: Scene) -> list[Wire]:
    return [w for w in scene.wires if w.name != "bridge"]


def pieces(wire: Wire) -> Iterator[tuple[float, float, float, float]]:
    for a, b in pairwise(wire.points):
        yield min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])


def ends_on(scene: Scene, p: Point) -> Shape | None:
    return next((s for s in scene.shapes if s.on_border(p)), None)


def check_geometry(scene: Scene) -> None:
    for a, b in combinations(scene.shapes, 2):
        assert apart(a, b), (string(a.label), string(b.label))
    for a, b in combinations(scene.panels, 2):
        assert apart(a, b)
    for s in [*scene.shapes, *scene.panels]:
        assert s.x >= 0 and s.y >= 0 and s.x + s.w <= scene.width and s.y + s.h <= scene.height
    for wire in lines(scene):
        assert all(abs(a[0] - b[0]) < 0.01 or abs(a[1] - b[1]) < 0.01 for a, b in pairwise(wire.points)), wire
        assert ends_on(scene, wire.points[0]) and ends_on(scene, wire.points[-1]), wire
        for left, top, right, bottom in pieces(wire):
            for s in scene.shapes:
                assert right <= s.x + 1 or left >= s.x + s.w - 1 or bottom <= s.y + 1 or top >= s.y + s.h - 1, (
                    wire.name, string(s.label))
        for p in scene.panels:
            title = Shape("box", p.x + 12, p.y + 7, width(p.label, SMALL) if p.label else 0, 12, "none")
            for left, top, right, bottom in pieces(wire):
                assert apart(title, Shape("box", left, top, right - left, bottom - top, "none")), wire.name
    check_crossings(scene)


def check_crossings(scene: Scene) -> None:
    """No line runs along another's, and each crossing has its bridge."""
    crossings = set()
    for a, b in combinations(lines(scene), 2):
        for p in pieces(a):
            for q in pieces(b):
                across = (min(p[2], q[2]) - max(p[0], q[0]), min(p[3], q[3]) - max(p[1], q[1]))
                if min(across) < -0.01:
                    continue
                assert max(across) < 2, (a.name, b.name, p, q)  # longer: one along the other
                x, y = max(p[0], q[0]), max(p[1], q[1])
                if not any(is_dot(s) and abs(x - s.centre[0]) < 4 and abs(y - s.centre[1]) < 4 for s in scene.shapes):
                    crossings.add((round(x), round(y)))
    bridges = {tuple(round((w.points[0][k] + w.points[1][k]) / 2) for k in (0, 1))
               for w in scene.wires if w.name == "bridge"}
    assert crossings == bridges


def reached(scene: Scene) -> set[tuple[int, int]]:
    """Pairs of shapes, by their numbers, that lines connect through dots alone, in the direction of their lines."""
    number = {id(s): k for k, s in enumerate(scene.shapes)}
    after: dict[int, list[int]] = {}
    for wire in lines(scene):
        start, end = ends_on(scene, wire.points[0]), ends_on(scene, wire.points[-1])
        after.setdefault(number[id(start)], []).append(number[id(end)])
    found = set()
    for k, s in enumerate(scene.shapes):
        stack = list(after.get(k, ())) if not is_dot(s) else []
        seen = set()
        while stack:
            at = stack.pop()
            if at not in seen:
                seen.add(at)
                if is_dot(scene.shapes[at]):
                    stack += after.get(at, [])
                else:
                    found.add((k, at))
    return found


def drawn_edges(scene: Scene) -> list[tuple[str, str]]:
    """The connections by what the shapes are called: a quantity's name, or the operation's symbol."""
    def called(s: Shape) -> str:
        return s.name or string(s.label)

    return sorted((called(scene.shapes[a]), called(scene.shapes[b])) for a, b in reached(scene))


def read_edges(found: Roles) -> list[tuple[str, str]]:
    """The same, from the operations of the equations."""
    edges = []
    for block in found.blocks:
        if block.kind != "cell" or not block.direction:
            continue
        inside = by_operations(block, found)
        called = {k: i.name or string(i.label) for k, i in inside.parts.items()}
        for key, inner in inside.parts.items():
            if inner.style == "merge":
                continue
            for s in inner.sources:
                merged = s in inside.parts and inside.parts[s].style == "merge"
                for source in inside.parts[s].sources if merged else [s]:
                    edges.append((entry(inside.ports[source]) if source in inside.ports else called[source],
                                  called[key]))
        slots = {n: ",".join(found.system.quantities[n].slots) for n in block.quantities}
        states = {p.name for p in inside.ports.values() if p.state}
        outside = [a.source for a in found.arrows if a.source in block.quantities
                   and (a.target not in block.quantities or a.boundary)]
        outside += [p.name for p in inside.ports.values() if p.name in block.quantities and not p.state]
        for n in [*states, *dict.fromkeys(outside)]:
            edges.append((called[inside.out[n]], f"{n}⟨{slots[n]}⟩"))
    return sorted(edges)


def entry(port: Any) -> str:
    key = port_key(port.name, port.slots).replace("[", "⟨").replace("]", "⟩")
    return key.replace("-", "−")
