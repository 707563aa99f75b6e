"""Where the time of a step goes."""

from __future__ import annotations

import numpy as np
import pytest
from compiling import compiling
from PIL import Image

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.models.profile import Profile, Row
from tinygrad_rnn.plans.feeds import prepared
from tinygrad_rnn.plans.plan import Plan
from tinygrad_rnn.viz.style import HEAT

T, N, X, H = 6, 4, 3, 8


@pytest.fixture(params=[True, False], ids=["compiled", "called"])
def lstm(request):
    with compiling(request.param):
        yield tr.graphs.lstm(inputs=X, hidden=H, outputs=X)


def arrays():
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(N, T, X)).astype("float32"), "target": rng.integers(0, X, (N, T))}


def test_shares_add_up_to_the_step(lstm):
    p = lstm.profile(**arrays(), repeat=2)
    assert sum(p.by_kind.values()) == pytest.approx(1)
    assert all(-1e-9 <= share <= 1 for share in p.by_kind.values()) and p.by_kind["products"] > 0
    assert sum(p.by_name.values()) == pytest.approx(1)
    assert all(name in str(p) for name in ("products", "elementwise", "copies", "Python", "overhead", "sgemm"))


def test_every_product_is_found_with_its_operations(lstm):
    rows = [r for r in lstm.profile(**arrays(), repeat=1).rows if r.kind == "products"]
    found = {(r.names, frozenset(r.reads)): (r.calls, r.flop) for r in rows}
    once = 2.0 * T * N * H

    def four(name):
        return tuple(name.format(gate) for gate in "ifog")

    gates, adjoints = four("{}"), four("d_a_{}")  # one product each: the operands lie next to each other
    assert found[gates, frozenset({*four("W_x{}"), "x"})][1] == 4 * once * X
    assert found[gates, frozenset({*four("W_h{}"), "h"})] == (T, 4 * once * H)
    assert found[("d_h",), frozenset({*four("W_h{}"), *adjoints})] == (T, 4 * once * H)
    assert found[four("d_W_x{}"), frozenset({*adjoints, "x"})] == (1, 4 * once * X)
    assert found[four("d_W_h{}"), frozenset({*adjoints, "h"})] == (1, 4 * once * H)
    assert found[("y",), frozenset({"W_hy", "h"})] == (1, once * X)
    assert found[("d_h",), frozenset({"W_hy", "d_a_y"})] == (1, once * X)
    assert found[("d_W_hy",), frozenset({"d_a_y", "h"})] == (1, once * X)
    assert len(found) == len(rows) == 5 + 3


def test_units_take_no_longer_than_the_whole(lstm):
    p = lstm.profile(**arrays(), repeat=3)
    assert all(r.seconds >= 0 and r.calls >= 1 for r in p.rows)
    assert 0 < sum(r.seconds for r in p.rows) <= p.seconds * (1 + 1e-9)
    assert p.rate > 0


def test_the_table_names_what_is_small_together(lstm):
    p = lstm.profile(**arrays(), repeat=1)
    slow = Profile((*p.rows, Row("Python", ("loss",), 1, 100.0)), 101.0, p.rate, lstm)
    table = str(slow).splitlines()
    assert table[1].split() == ["100000.000", "99.0%", "1", "Python", "loss"]
    assert f"{len(p.rows)} smaller" in table[2]


def test_the_results_afterwards_are_right(lstm):
    before, grads = lstm.value_and_grad(**arrays())
    lstm.profile(**arrays(), repeat=1)
    value, again = lstm.value_and_grad(**arrays())
    assert value == before
    assert all(np.array_equal(grads[name], again[name]) for name in grads)


def test_without_gradient_and_with_lengths(lstm):
    lengths = np.array([1, 6, 3, 2])
    p = lstm.profile(arrays(), gradient=False, lengths=lengths, repeat=1)
    assert not any(name.startswith("d_") for name in p.by_name)
    assert sum(lstm.profile(arrays(), lengths=lengths, repeat=1).by_kind.values()) == pytest.approx(1)


def test_only_the_gradients_asked_for(lstm):
    p = lstm.profile(**arrays(), wrt="W_hy", repeat=1)
    assert {name for name in p.by_name if name.startswith("d_W")} == {"d_W_hy"}


def test_a_model_without_loops(lstm):
    model = tr.equations("""
        a = tanh(W @ img[n] + b)
        y = softmax(V @ a + c)
        loss = mean(cross_entropy(y, k[n]))
    """, img=5, a=7, y=3)
    p = model.profile(img=np.ones((4, 5)), k=np.array([0, 1, 2, 0]), repeat=1)
    found = {r.names: r.flop for r in p.rows if r.kind == "products"}
    assert found == {("a",): 2 * 4 * 7 * 5, ("y",): 2 * 4 * 3 * 7, ("d_a",): 2 * 4 * 7 * 3,
                     ("d_W",): 2 * 4 * 7 * 5, ("d_V",): 2 * 4 * 3 * 7}


def test_draws_and_embeddings_are_python(lstm):
    model = tr.equations("""
        h[t] = tanh(W @ embed(E, w[t]) + U @ h[t-1] + b)
        r[t] = dropout(h[t], 0.5)
        y[t] = softmax(V @ r[t] + c)
        loss = mean(cross_entropy(y[t], w[t]))
    """, E=(6, 4), h=5, y=6)
    p = model.profile(w=np.arange(20).reshape(4, 5) % 6, training=True, repeat=1)
    assert "(no name)" not in p.by_name
    names = {name for r in p.rows if r.kind == "Python" for name in r.names}
    assert any(name.startswith("mask") for name in names)


def test_the_clock_of_the_c_library():
    timing = pytest.importorskip("tinygrad_rnn.jit.timing")
    model = tr.graphs.lstm(inputs=X, hidden=64, outputs=X)
    config, feed = prepared(model.system, ("loss",), arrays())
    plan = Plan(model.system, config, model.weights.arrays, backends.current(), parts=1)
    (part,) = plan.parts
    programs = [timing.TimedProgram(part.program, clock) for clock in sorted({timing.CLOCK, "nanoseconds"})]
    spent, values = [], []
    for program in programs:
        part.program, best = program, np.inf
        for _ in range(5):
            program.reset()
            plan.run(feed)
            seconds = [unit.seconds for unit in program.units()]
            assert all(s >= 0 for s in seconds)
            assert 0 < sum(seconds) <= program.inside * 1.2
            best = min(best, sum(seconds))
        spent.append(best)
        values.append(plan.result("loss"))
    assert max(spent) < 3 * min(spent)
    assert values[0] == values[-1]


def test_the_diagram_shows_the_shares(lstm, tmp_path):
    p = lstm.profile(**arrays(), repeat=1)
    text = p.draw(tmp_path / "p.svg").read_text()
    assert "%" in text
    assert text.count("%") >= len(lstm.system.equations)  # in the cell, one by each equation
    with pytest.raises(tr.Error, match="folded"):
        lstm.draw(tmp_path / "p.svg", view="unrolled", shares={"h": 0.5})


@pytest.mark.parametrize(("shares", "message"), [
    ({"h": -0.1}, "at least 0"), ({"h": 2}, "at most 1"), ({"h": float("nan")}, "finite"), ({"h": "a"}, "a number"),
    ({"nothing": 0.5}, "nothing"), ([0.5], "list")])
def test_shares_are_checked(shares, message, tmp_path):
    with pytest.raises(tr.Error, match=message):
        tr.graphs.lstm(inputs=X, hidden=H, outputs=X).draw(tmp_path / "p.svg", shares=shares)


@pytest.mark.parametrize("ending", ["svg", "png", "dot"])
def test_colours_stand_for_shares(ending, tmp_path):
    model = tr.graphs.lstm(inputs=X, hidden=H, outputs=X)
    path = model.draw(tmp_path / f"p.{ending}", shares={"y": 1.0, "h": 0.2})
    drawn = path.read_text() if ending != "png" else "".join(
        f"#{r:02X}{g:02X}{b:02X}" for _, (r, g, b) in Image.open(path).convert("RGB").getcolors(2**24))
    assert all(colour in drawn for colour in (HEAT[0], HEAT[2], HEAT[-1]))


def test_mistakes(lstm):
    with pytest.raises(tr.Error, match="repeat"):
        lstm.profile(**arrays(), repeat=0)
    with pytest.raises(tr.Error, match="nothing"):
        lstm.profile(**arrays(), of="nothing")
    with pytest.raises(tr.Error, match="nothing"):
        lstm.profile(**arrays(), of="nothing", gradient=False)
    with pytest.raises(tr.Error, match="a whole number"):
        lstm.profile(**arrays(), repeat=1.5)
    with pytest.raises(tr.Error, match="extra"):
        lstm.profile(**arrays(), extra=np.ones(3))
    with pytest.raises(tr.Error, match="no quantity 'nothing'"):
        lstm.profile(**arrays(), wrt=["nothing"])
    with pytest.raises(tr.Error, match="needs the input target"):
        lstm.profile(x=arrays()["x"])
