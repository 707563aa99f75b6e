"""What is inside a loop, and what never is."""

from __future__ import annotations

import networkx as nx
import pytest
from zoo import MODELS, build

import tinygrad_rnn as tr
from tinygrad_rnn.node import walk
from tinygrad_rnn.passes.schedule import TRIED, Loop, loops, needed, schedule
from tinygrad_rnn.system import Equation


def scheduled(model, want=None):
    return schedule(needed(model.system, model.system.by_name if want is None else want))


def inside(items):
    return [v for loop in loops(items) for v in loop.vertices()]


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_one_loop_forward_and_one_backward(name):
    items = scheduled(build(name).grad("loss"))
    assert [(loop.index, loop.direction) for loop in loops(items)] == [("t", 1), ("t", -1)]


@pytest.mark.parametrize("name", MODELS)
def test_weight_gradients_are_never_inside_a_loop_over_time(name):
    model = build(name)
    derived = model.grad("loss")
    gradients = {derived.adjoints[w] for w in model.weights}
    assert gradients and gradients < {item.name for item in scheduled(derived) if isinstance(item, Equation)}


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "bidirectional", "attention"])
def test_input_products_are_never_inside_a_loop(name):
    model = build(name)
    inputs = set(model.system.of_role("input"))
    products = [v for v in inside(scheduled(model.grad("loss"))) if not isinstance(v, Equation) and v.op == "matmul"]
    assert products
    for product in products:
        assert not {r.attr("name") for r in walk([product]) if r.op == "ref"} <= inputs | set(model.weights)


def test_the_order_respects_every_dependency():
    done = set()

    def check(items):
        for item in items:
            if isinstance(item, Loop):
                check(item.items)
                continue
            used = [item.rhs] if isinstance(item, Equation) else item.args
            assert all(u in done for u in used)
            done.add(item)

    check(scheduled(build("attention").grad("loss")))
    assert len(done) > 50


def test_nested_loops_of_a_two_dimensional_recurrence():
    (loop,) = loops(scheduled(build("two_dimensional"), ["h"]))
    assert [loop.index, *(x.index for x in loop.items if isinstance(x, Loop))] == ["i", "j"]


def test_a_long_cycle_is_looked_for_through_few_equations_and_named_in_short(monkeypatch):
    looked, find = [], nx.shortest_path
    monkeypatch.setattr(nx, "shortest_path", lambda *args: looked.append(args) or find(*args))
    chain = "\n".join(f"a{k}[t] = tanh(a{(k - 1) % 300}[t]) + x[t]" for k in range(300))
    with pytest.raises(tr.Error, match=r"a299\[t\] depends on itself through a298\[t\] .* a289\[t\] and 290 more, and"):
        tr.equations(chain, x=2)
    assert 0 < len(looked) <= TRIED


@pytest.mark.parametrize("text,fragments", [
    ("h[t] = tanh(c[t])\nc[t] = h[t] * x[t]", ["h[t]", "c[t]", "not shifted"]),
    ("h[t] = h[t-1] + h[t+1] + x[t]", ["h[t-1]", "h[t+1]", "past and to the future"]),
    ("h[t] = tanh(h[t-1] + sum(h[t-1], over=t) + x[t])", ["over=t needs all of it"]),
    ("h[t] = tanh(h[t-1] + h[T] + x[t])", ["read at position T"]),
    ("h[t] = tanh(h[t-1] + k[t] + x[t])\nk[t] = sum(h[s], over=s)", ["h[t] depends on itself through k[t] and h[s],"]),
    ("h[t] = tanh(h[t-1] + h[T] + x[t])", ["h[t] depends on itself through h[T],"]),
    ("h[t] = tanh(h[t-1] + m + x[t])\nm = mean(h[t], over=t)", ["h[t] depends on itself through m and h[t],"]),
    ("a: ()\na = b + 1\nb = 2 * a\nh[t] = x[t] + a", ["depends on itself", "through", "a", "b"]),
])
def test_cycles_without_an_order_are_named(text, fragments):
    with pytest.raises(tr.Error) as error:
        tr.equations(text, x=2)
    assert isinstance(error.value, ValueError)
    for fragment in fragments:
        assert fragment in str(error.value)
