"""Pictures of models that no catalogue has: every reference is an arrow, and labels and colours say what is true."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.viz.api import make_scene, make_view, svg
from tinygrad_rnn.viz.graph.groups import Block
from tinygrad_rnn.viz.graph.roles import Roles, roles
from tinygrad_rnn.viz.scene import Scene
from tinygrad_rnn.viz.text import COLUMN, ROW, formula
from tinygrad_rnn.viz.text import string as written

STEPS = 3  # of every range
TEXTS = {
    "three states": """
        a[t] = sigmoid(W_a @ x[t] + U_a @ h[t-1] + b_a)
        c[t] = a[t] * c[t-1] + (1 - a[t]) * tanh(W_c @ x[t])
        s[t] = 0.9 * s[t-1] + 0.1 * c[t]
        h[t] = tanh(c[t] + V @ s[t])
        y[t] = W_y @ h[t]""",
    "skips": """
        f[t] = tanh(W_1 @ x[t] + U_1 @ f[t-1] + G @ g[t-1])
        g[t] = tanh(W_2 @ f[t] + S_2 @ x[t-2] + U_2 @ g[t-3])
        y[t] = V_1 @ f[t] + V_2 @ g[t+1]""",
    "hierarchy": """
        u[s,t] = tanh(A @ x[s,t])
        h[s,t] = tanh(W @ u[s,t] + U @ h[s,t-1])
        g[s] = tanh(B @ h[s,T] + C @ g[s-1])
        y = V @ g[S]""",
    "layers": """
        h[0,t] = E @ x[t]
        h[l,t] = tanh(W[l] @ h[l-1,t] + U[l] @ h[l,t-1])
        y[t] = V @ h[L,t]""",
    "attention from both ends": """
        p[s] = tanh(W_p @ x[s] + U_p @ p[s-1])
        r[s] = tanh(W_r @ x[s] + U_r @ r[s+1])
        k[s] = K_p @ p[s] + K_r @ r[s]
        e[t,s] = dot(d[t-1], k[s])
        a[t,s] = softmax(e[t,s], over=s)
        z[t] = sum(a[t,s] * k[s], over=s)
        d[t] = tanh(W_d @ w[t] + C @ z[t] + U_d @ d[t-1])
        y[t] = V @ d[t]""",
    "stack": """
        h[t] = tanh(W @ x[t] + U @ h[t-1] + p * s[1,t-1])
        c[t] = softmax(C @ h[t])
        s[l,t] = c[t][0] * s[l-1,t-1] + c[t][1] * s[l+1,t-1] + c[t][2]
        y[t] = V @ h[t]""",
    "pooled": """
        h[t] = tanh(W @ x[t] + U @ h[t-1])
        m = mean(h[t], over=t)
        q = max(h[t], over=t)
        y = A @ m + B @ q""",
    "grid": """
        h[i,j] = tanh(W @ x[i,j] + U @ h[i-1,j] + V @ h[i,j-1])
        y = P @ h[I,J]""",
    "grid with corners": """
        d[i,j] = W @ x[i,j]
        r[0,0] = 0
        r[i,0] = 9
        r[0,j] = 9
        r[i,j] = d[i,j] - g * logsumexp(stack(-r[i-1,j] / g, -r[i,j-1] / g, -r[i-1,j-1] / g), axis=0)
        y = P @ r[I,J]""",
}
SIZES = {"x": 3, "h": 4, "y": 2, "c": 4, "f": 4, "g": 4, "u": 5, "p": 4, "r": 4, "k": 4, "d": 4, "w": 2}
REFERENCE = re.compile(r"([A-Za-z_]\w*)\[([^\]]*)\]")
Place = tuple[str, int | None, int | None]  # a block, its step and its layer


def built(text: str, **sizes: object) -> tr.Model:
    static = {"l": STEPS} if "l-1" in text else {}
    return tr.equations(text, **({k: v for k, v in SIZES.items() if re.search(rf"\b{k}\b", text)} | static | sizes))


def position(slot: str, env: dict[str, int]) -> int:
    index, offset = re.fullmatch(r"([a-zA-Z])?([+-]?\d+)?", slot.strip()).groups()
    shift = int(offset or 0)
    return shift if index is None else (STEPS if index.isupper() else env[index]) + shift


def read_by(text: str, found: Roles) -> Iterator[tuple[Place, Place]]:
    """Which place is read by which, from the text alone, where both are within the ranges."""
    defined = found.system.quantities
    for line in text.strip().splitlines():
        left, right = line.split("=", 1)
        (target, slots), = [(m[1], m[2].split(",")) for m in REFERENCE.finditer(left)] or [(left.strip(), [])]
        reads = [(m[1], m[2].split(",")) for m in REFERENCE.finditer(right)]
        reads += [(name, []) for name in re.findall(r"\b[a-z]\b(?!\[|=)", right) if name in defined]
        for source, at in reads:
            if defined[source].role == "weight":
                continue
            free = sorted({c for slot in (*at, *slots) for c in re.findall("[a-z]", slot)})
            for values in itertools.product(range(1, STEPS + 1), repeat=len(free)):
                env = dict(zip(free, values, strict=True))
                ends = [(n, [position(s, env) for s in of]) for n, of in ((source, at), (target, slots))]
                places = [place(n, of, found) for n, of in ends]
                if None not in places and places[0] != places[1]:
                    yield places[0], places[1]


def place(name: str, at: list[int], found: Roles) -> Place | None:
    blocks: list[Block] = [b for b in found.blocks if name in b.quantities]
    for b in blocks:
        if b.boundary and any(s.anchor == "first" and s.offset == p for s, p in zip(b.boundary, at, strict=True)):
            return (b.name, at[1], None) if 1 <= at[1] <= STEPS else None
    if not all(1 <= p <= STEPS for p in at):
        return None
    block = next(b for b in blocks if not b.boundary)
    env = dict(zip(found.system.quantities[name].slots, at, strict=True))
    return block.name, env.get(block.column), env.get(block.row)


@pytest.mark.parametrize("detail", ["closed", "gates", "ops"])
@pytest.mark.parametrize("name", TEXTS)
def test_every_reference_is_an_arrow_and_none_is_invented(name: str, detail: str) -> None:
    model = built(TEXTS[name])
    view = make_view(model, "unrolled", steps=STEPS, detail=detail)

    def of(key: str) -> Place | None:
        box = view.boxes[key]
        block = key.partition("@")[0] if "@" in key else re.sub(r"\.\d+$", "", key)
        return None if box.style == "initial" else (block, box.places.get(COLUMN), box.places.get(ROW) or None)

    drawn = {(of(li.source), of(li.target)) for li in view.links}
    expected = set(read_by(TEXTS[name], roles(model.system)))
    assert {(a, b) for a, b in drawn if a and b and a != b} == expected
    assert len(expected) > 7


def test_a_corner_is_one_box() -> None:
    """r[0,0] is beside the row r[0,j], which every cell of the first row reads at its own column."""
    view = make_view(built(TEXTS["grid with corners"]), "unrolled", steps=STEPS)
    assert [box.style for box in view.boxes.values() if box.name == "r⟨0,0⟩"] == ["initial"]


def notes(scene: Scene) -> set[str]:
    return {"".join(s.text for s in note.label) for note in scene.notes}


def test_a_weight_stands_beside_a_wire_only_where_it_alone_multiplies_what_runs_there() -> None:
    closed = {"view": "unrolled", "steps": 2, "detail": "closed"}
    assert not any("W" in n or "U" in n for n in notes(make_scene(tr.graphs.lstm(3, 4, 3), **closed)))
    gated = built("u[t] = tanh(U @ h[t-1] + W @ x[t])\nh[t] = h[t-1] + u[t]\n", u=4)
    assert "U" not in notes(make_scene(gated, **closed))
    assert "U" in notes(make_scene(built("h[t] = tanh(U @ h[t-1] + W @ x[t])"), **closed))
    many = built("z[k,t] = tanh(A[k] @ x[t] + B[k] @ z[k,t-1])", z=4, k=3)
    assert "B⟨k⟩" in notes(make_scene(many, **closed))


def test_what_has_the_ranges_of_a_cell_runs_over_its_columns() -> None:
    found = roles(built(TEXTS["hierarchy"]).system)
    assert {b.name: b.column for b in found.blocks} == {"x": "t", "u": "t", "h": "t", "g": "s", "y": ""}


@pytest.mark.parametrize("text,shown", [
    ("x[t] ** 2", "(x⟨t⟩)2"), ("x[t] ** 0.5 + 1", "(x⟨t⟩)0.5 + 1"), ("x[t] ** -1", "(x⟨t⟩)−1"), ("a ** 2", "a2"),
    ("exp(x[t]) ** 2", "exp(x⟨t⟩)2"), ("x[t] + b ** 2", "x⟨t⟩ + b2"), ("a ** x[t]", "a ^ x⟨t⟩")])
def test_powers(text: str, shown: str) -> None:
    spans = formula(text)
    assert "".join(s.text for s in spans) == shown
    raised = [s.text for s in spans if s.rise > 0 and not s.text.startswith("⟨")]
    assert raised == ([text.split("** ")[1].split(" ")[0].replace("-", "−")] if "^" not in shown else [])


PARTS = """
    h[t] = tanh(W @ x[t] + tau * h[t-1])
    y[t] = softmax(V @ h[t])
    ce = mean(cross_entropy(y[t], k[t]))
    small = 0.1 * sum(W ** 2)
    loss = ce + small
    seen = mean(h[t])"""


def test_the_parts_of_a_loss_are_losses_and_other_numbers_are_not() -> None:
    model = tr.equations(PARTS, x=3, h=4, y=2, tau=())
    role = roles(model.system).role
    assert [n for n, r in role.items() if r == "loss"] == ["ce", "small", "loss"]
    assert (role["y"], role["seen"]) == ("output", "output")
    assert roles(model.grad().system).role["d_tau"] == "output"
    view = make_view(model, "backward", steps=2)
    assert view.legend[-1] == ("", "L = loss")
    assert {(li.source, li.target) for li in view.links if li.gradient and "loss" in li.target} == {
        ("ce", "loss"), ("small", "loss")}
    assert not any(li.gradient for li in view.links if li.target == "seen")


def test_without_a_loss_numbers_that_nothing_reads_are_losses() -> None:
    model = built("h[t] = tanh(W @ x[t] + U @ h[t-1])\na = mean(h[t])\ncost = 2 * a")
    assert [n for n, r in roles(model.system).role.items() if r == "loss"] == ["a", "cost"]


def test_slices_say_what_they_take() -> None:
    model = built("q[t] = W @ x[t]\nh[t] = tanh(q[t][0:2] + U @ h[t-1]) * q[t][2:4]", h=2, q=4)
    seen = {written(s.label) for s in make_scene(model, "cell").shapes}
    assert {"[0:2]", "[2:4]"} <= seen


def test_a_closed_cell_has_the_number_of_a_quantity_in_its_title() -> None:
    model = built(TEXTS["three states"])
    out = model.run(x=np.random.default_rng(0).normal(size=(1, 3, 3)), want=["a", "c", "s", "h", "y"])
    text = svg(model, "unrolled", steps=3, detail="closed", values=_values(model, out))
    assert "c⟨2⟩: root mean square" in text and "openness" not in text


def _values(model: tr.Model, out: object) -> object:
    from tinygrad_rnn.viz.values import Values

    return Values(model.system, out)


def test_a_run_that_drew_noise_can_be_drawn(tmp_path: Path) -> None:
    model = tr.equations("""
        m[t] = M @ x[t]
        e[t] = normal(0 * m[t], 1)
        h[t] = tanh(m[t] + e[t] + U @ h[t-1])
        loss = mean(h[t] ** 2)""", x=3, h=4)
    trace = model.trace(x=np.random.default_rng(0).normal(size=(2, 3, 3)))
    assert set(trace) - set(trace.adjoints.values()) == {"x", "m", "e", "h", "loss"}
    text = model.draw(tmp_path / "a.svg", view="unrolled", values=trace).read_text(encoding="utf-8")
    assert "e⟨2⟩: root mean square" in text


def test_an_example_of_no_values_is_told(tmp_path: Path) -> None:
    model = built(TEXTS["pooled"])
    with pytest.raises(tr.Error, match="give values="):
        model.draw(tmp_path / "a.svg", example=1)
    with pytest.raises(OSError, match=r"there is no folder .*; make it first"):
        model.draw(tmp_path / "none" / "a.svg")


@pytest.mark.parametrize("detail", ["closed", "gates", "ops"])
def test_a_folded_cell_has_a_loop_for_each_step_and_layer_that_it_reads(detail: str) -> None:
    model = tr.equations("""
        h[0,t] = E @ x[t]
        f[l,t] = sigmoid(F[l] @ h[l-1,t] + G[l] @ h[l,t-1])
        c[l,t] = f[l,t] * c[l,t-1] + (1 - f[l,t]) * tanh(W[l] @ h[l-1,t])
        h[l,t] = tanh(c[l,t]) + R[l] @ h[l-1,t-1]
        y[t] = V @ h[L,t]""", x=3, h=4, y=2, l=3)
    view = make_view(model, "folded", detail=detail)
    arcs = [loop.label for loop in view.loops] + [li.label for li in view.links if li.source == li.target]
    assert sorted(map(written, arcs)) == ["c  t−1", "h  l−1", "h  l−1, t−1", "h  t−1"]
    assert ("h[0,t]", "h") in {(li.source, li.target) for li in view.links}
