"""Products that share an operand are one: how many are left, that nothing else changes, and where things lie."""

from __future__ import annotations

import contextlib
from collections import Counter

import numpy as np
import pytest
from compiling import compiling
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zoo import LSTM, MODELS, build, data, dynamic, spoilt

import tinygrad_rnn as tr
from tinygrad_rnn import backends, jit
from tinygrad_rnn.backends.flat import flat, stacked
from tinygrad_rnn.lowering import merge
from tinygrad_rnn.lowering.chains import Chains
from tinygrad_rnn.node import walk
from tinygrad_rnn.ops.table import with_out
from tinygrad_rnn.plans import plan
from tinygrad_rnn.plans.feeds import prepared

BOTH = [pytest.param(True, id="compiled", marks=pytest.mark.skipif(not jit.enabled(), reason="compiled code is off")),
        pytest.param(False, id="called")]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
MORE = {
    "attention_of_one": ("""
        q[t] = Q @ x[t]
        k[t] = K @ x[t]
        v[t] = V @ x[t]
        a[t,s] = softmax(dot(q[t], k[s]), over=s)
        c[t] = sum(a[t,s] * v[s], over=s)
        loss = mean(squared_error(c[t], x[t]))""", {"x": 4, "q": 4, "v": 4}),
    "two_layers_of_gates": ("""
        f[t] = sigmoid(A @ x[t] + B @ f[t-1] + C @ g[t-1])
        g[t] = tanh(D @ x[t] + E @ f[t-1] + F @ g[t-1] + z)
        p[t] = sigmoid(G @ g[t] + H @ p[t-1])
        r[t] = tanh(I @ g[t] + J @ p[t-1] + K @ f[t])
        loss = mean(dot(p[t], p[t]) + dot(r[t], r[t]))""", {"x": 3, "f": 4, "g": 5, "p": 2, "r": 6}),
    "a_weight_in_two_places": ("""
        a[t] = tanh(U @ x[t] + W @ x[t-1])
        b[t] = tanh(W @ x[t] + V @ b[t-1] + U @ x[t-1])
        h[t] = tanh(V @ a[t] + R @ b[t] + R @ h[t-1])
        loss = mean(dot(h[t], h[t]))""", {"x": 3, "a": 3, "b": 3, "h": 3}),
    "inside_and_outside": ("""
        h[t] = tanh(W @ x[t] + U @ h[t-1])
        y[t] = V @ h[t-1] + c
        z[t] = P @ h[t-1] + Q @ h[t]
        loss = mean(dot(y[t], y[t]) + dot(z[t], z[t]))""", {"x": 3, "h": 4, "y": 5, "z": 2}),
    "one_product_needs_another": ("""
        d[t] = tanh(W @ x[t])
        A = sum(outer(d[t], x[t]), over=(t, n))
        e[t] = tanh(A @ x[t])
        B = sum(outer(e[t], x[t]), over=(t, n))
        loss = sum(A * A) + sum(B * B)""", {"x": 3, "d": 3}),
    "vectors_on_the_left": ("""
        h[t] = tanh(h[t-1] @ U + x[t] @ W + k[t-1] @ V)
        k[t] = tanh(h[t-1] @ A + x[t] @ B + k[t-1] @ C)
        loss = mean(dot(h[t], k[t]))""", {"x": 3, "h": 4, "k": 4}),
    "concatenations_of_ones_own": ("""
        h[t] = tanh(U @ concat(h[t-1], k[t-1]) + W @ x[t])
        k[t] = tanh(V @ concat(h[t-1], h[t-2]) + concat(P @ x[t], Q @ x[t]))
        loss = mean(dot(h[t][0:2], k[t][1:3]))""", {"x": 3, "h": 4, "k": 4, "P": (1, 3)}),
}


def model(name, dtype="float64", seed=0):
    """A model of this file or of the zoo, its weights random."""
    if name in MODELS:
        return build(name, dtype, seed)
    text, sizes = MORE[name]
    return drawn(tr.equations(text, dtype=dtype, **sizes), seed)


def drawn(found, seed=0):
    rng = np.random.default_rng(seed)
    for weight in found.weights:
        found.weights[weight] = rng.normal(size=found.weights[weight].shape) * 0.5
    return found


@contextlib.contextmanager
def apart():
    """Within it, plans are made without merging anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "merged", lambda system, config, equations, *_, **always: merge.Merged(equations, Chains()))
        yield


def assert_equal(found, expected, dtype):
    (loss, grads), (plain, others) = found, expected
    assert loss == pytest.approx(plain, rel=TOLERANCE[dtype])
    for name, g in grads.items():
        norm = np.linalg.norm(others[name])
        assert np.linalg.norm(g - others[name]) <= TOLERANCE[dtype] * max(norm, 1e-3 * norm, 1e-30), name


def same(make, inputs, dtype, **options):
    """Merged and apart, the loss and all gradients are equal to rounding."""
    found = make().value_and_grad(inputs, **options)
    with apart():
        expected = make().value_and_grad(inputs, **options)
    assert_equal(found, expected, dtype)


@pytest.mark.parametrize("compiled", BOTH)
@pytest.mark.parametrize("name", ["lstm", "gru", "bidirectional", *MORE])
def test_results_are_those_of_products_apart(name, compiled):
    dtype = "float32" if name in ("lstm", "two_layers_of_gates") else "float64"
    with compiling(compiled):
        m = model(name, dtype)
        inputs = data(m, 4, {"t": 6, "s": 3})
        lengths = {r: np.array([1, 3, 2, 3]) for r in dynamic(m)}
        same(lambda: model(name, dtype), inputs, dtype)
        same(lambda: model(name, dtype), spoilt(m, inputs, lengths), dtype, lengths=lengths)
        inputs_too = [*m.weights, *(i for i in m.system.of_role("input") if m.system.quantities[i].type.shape)]
        same(lambda: model(name, dtype), inputs, dtype, wrt=[i for i in inputs_too if i not in ("target", "label")])


@pytest.mark.parametrize("compiled", BOTH)
def test_classes_are_picked_and_segments_and_single_steps_run_alike(compiled):
    with compiling(compiled):
        m = build("lstm")
        rng = np.random.default_rng(0)
        classes = {"x": rng.integers(0, 3, (4, 9)), "target": rng.integers(0, 2, (4, 9))}
        lengths = np.array([9, 1, 5, 8])
        same(lambda: build("lstm"), classes, "float64", lengths=lengths)
        inputs = data(m, 4, {"t": 9})
        plain = m.value_and_grad(inputs, lengths=lengths)
        assert_equal(m.value_and_grad(inputs, lengths=lengths, memory="sqrt"), plain, "float64")
        assert_equal(m.unroll(9).value_and_grad(inputs, lengths=lengths), plain, "float64")
        with apart():
            whole = build("lstm").run(x=inputs["x"])["h"]
        step = m.stepper(batch=4)
        np.testing.assert_allclose(np.stack([step(x=inputs["x"][:, k])["h"] for k in range(9)], 1), whole,
                                   rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("compiled", BOTH)
def test_parts_of_the_batch_are_joined(compiled, parts):
    with compiling(compiled):
        m = build("gru")
        inputs = data(m, 5, {"t": 4})
        expected = m.value_and_grad(inputs)
        made, derived = planned(m, inputs, parts=parts)
        made.run(prepared(derived.system, made.config.want, inputs)[1])
        found = {name: made.result(derived.adjoints[name]) for name in m.weights}
        assert len(made.parts) == parts
        assert_equal((made.result("loss"), found), expected, "float64")


# -- random systems ------------------------------------------------------------------------------------------


@st.composite
def systems(draw):
    """Equations of sums of products of some weights with some quantities at some shifts."""
    sizes = {f"h{k}": draw(st.integers(1, 4)) for k in range(draw(st.integers(2, 4)))}
    sizes["x"] = draw(st.integers(1, 3))
    weights: dict[str, tuple[int, ...]] = {"X": (sizes["h0"], sizes["x"])}
    lines = []
    for name, rows in sizes.items():
        if name == "x":
            continue
        terms = [] if name != "h0" else ["X @ x[t]"]
        for _ in range(draw(st.integers(1, 5))):
            other = draw(st.sampled_from(list(sizes)))
            shift = draw(st.sampled_from([-1, -1, -2] if other != "x" else [0, 0, -1]))
            if other != "x" and other < name and draw(st.booleans()):
                shift = 0  # an earlier quantity of the same step
            shape = (rows, sizes[other])
            known = [w for w, s in weights.items() if s == shape]
            w = draw(st.sampled_from(known)) if known and draw(st.integers(0, 3)) == 0 else f"W{len(weights)}"
            weights[w] = shape
            terms.append(f"{w} @ {other}[t{shift if shift else ''}]")
        if draw(st.booleans()):
            weights[f"b{len(weights)}"] = (rows,)
            terms.append(f"b{len(weights) - 1}")
        function = draw(st.sampled_from(["tanh", "sigmoid", "", "linear"]))
        lines.append(f"{name}[t] = " + (f"{function}({' + '.join(terms)})" if function in ("tanh", "sigmoid") else
                                       " + ".join(f"0.4 * ({x})" if function else x for x in terms)))
    lines = draw(st.permutations(lines))
    lines.append("loss = " + " + ".join(f"mean({name}[t] * {name}[t])" for name in sizes if name != "x"))
    return "\n".join(lines), {**sizes, **weights}


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(system=systems(), steps=st.integers(1, 3), batch=st.integers(1, 3), ragged=st.booleans(), compiled=st.booleans(),
       training=st.sampled_from(["float64", "float32"]))
def test_random_systems(system, steps, batch, ragged, compiled, training):
    text, sizes = system
    with compiling(compiled and jit.enabled()):
        def make():
            return drawn(tr.equations(text, dtype=training, **sizes))

        rng = np.random.default_rng(1)
        inputs = {"x": rng.normal(size=(batch, steps, sizes["x"]))}
        lengths = rng.integers(1, steps + 1, batch) if ragged else None
        same(make, inputs, training, lengths=lengths, wrt=[*make().weights, "x"])


# -- how many products are left ------------------------------------------------------------------------------


def planned(m, inputs, of="loss", **options):
    """The plan of a training step, and the derived model."""
    derived = m.grad(of)
    config, _ = prepared(derived.system, (of, *(derived.adjoints[n] for n in m.weights.in_order(m.weights))), inputs)
    return plan.Plan(derived.system, config, m.weights.arrays, backends.current(), **options), derived


def products(made):
    """The shapes of a plan's products, counted."""
    nodes = (x for x in walk(eq.rhs for eq in made.parts[0].layout.equations) if x.op == "contract")
    return Counter((x.args[0].shape, x.args[1].shape) for x in nodes if all(a.rank for a in x.args))


@pytest.mark.parametrize("compiled", BOTH)
def test_an_lstm_has_one_product_of_each_kind(compiled):
    m = tr.equations(LSTM, x=3, h=4, y=2)
    with compiling(compiled):
        made, _ = planned(m, data(m, 2, {"t": 5}))
    assert products(made) == {
        ((16, 3), (3,)): 1, ((16, 4), (4,)): 1, ((16, 4), (16,)): 1, ((16,), (3,)): 1, ((16,), (4,)): 1,  # the gates'
        ((2, 4), (4,)): 1, ((2, 4), (2,)): 1, ((2,), (4,)): 1}
    if not compiled:
        loops = [item for item in made.parts[0].program.segments[0] if hasattr(item, "functions")]
        assert [sum(fn is with_out(np.matmul) for fn in loop.functions) for loop in loops] == [1, 1]
        assert not any(fn is np.copyto for loop in loops for fn in loop.functions)


@pytest.mark.parametrize("compiled", BOTH)
def test_a_gru_has_one_product_for_the_gates_that_share_an_operand(compiled):
    m = build("gru")
    with compiling(compiled):
        found = products(planned(m, data(m, 2, {"t": 5}))[0])
    gates = {key: n for key, n in found.items() if key[0][0] > 2}
    assert gates == {((12, 3), (3,)): 1, ((8, 4), (4,)): 1, ((4, 4), (4,)): 1 + 1,  # z and r; g, there and back
                     ((8, 4), (8,)): 1, ((12,), (3,)): 1, ((8,), (4,)): 1, ((4,), (4,)): 1}


def test_a_product_that_needs_another_is_not_merged_with_it():
    m = model("one_product_needs_another")
    found = products(planned(m, data(m, 2, {"t": 5}))[0])
    assert ((3,), (3,)) in found and ((6,), (3,)) not in found


def test_what_is_needed_outside_a_loop_only_stays_outside():
    m = model("inside_and_outside")
    found = products(planned(m, data(m, 2, {"t": 5}))[0])
    assert found[(4, 4), (4,)] >= 1 and found[(7, 4), (4,)] == 1  # U alone inside; V and P together


def test_products_that_are_called_are_not_made_too_large_to_be_quick():
    """Beyond a size OpenBLAS lays its operands out anew; what is beyond it already is merged again."""
    for hidden, batch, called in [(32, 8, 1), (128, 32, 4), (128, 64, 1)]:
        m = tr.equations(LSTM, x=3, h=hidden, y=2)
        inputs = data(m, batch, {"t": 2})
        for on, expected in [(False, called), (True, 1)]:
            with compiling(on):
                if on == jit.enabled():
                    own = [n for (a, b), n in products(planned(m, inputs, parts=1)[0]).items()
                           if a in ((hidden, hidden), (4 * hidden, hidden)) and b == (hidden,)]
                    assert own[0] in (expected, 2 * expected)


# -- where things lie ----------------------------------------------------------------------------------------


def test_weights_lie_in_stacks_and_are_read_and_set_by_name():
    m = tr.equations(LSTM, x=3, h=4, y=2)
    assert list(m.weights)[:6] == ["W_xi", "W_hi", "b_i", "W_xf", "W_hf", "b_f"]  # as they were written
    stack = stacked([m.weights.arrays[f"W_h{gate}"] for gate in "ifog"], 0)
    m.weights["W_hf"] = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(stack[4:8], m.weights["W_hf"])
    np.testing.assert_array_equal(stack[4:8], np.arange(16.0).reshape(4, 4))
    assert flat(m.weights.arrays).size == sum(a.size for a in m.weights.values())


@pytest.mark.parametrize("name", [*MODELS, *MORE])
def test_weights_and_their_gradients_lie_in_the_same_order(name):
    """So that clipping and an update are one pass each."""
    m = model(name)
    names = m.weights.in_order(m.weights)
    made, derived = planned(m, data(m, 3, {"t": 4, "s": 3, "i": 2, "j": 3}))
    assert flat({n: m.weights.arrays[n] for n in names}) is not None
    assert flat({n: made.interior(derived.adjoints[n]) for n in names}) is not None


def test_gradients_wanted_in_another_order_are_the_same():
    m = build("lstm")
    inputs = data(m, 2, {"t": 3})
    _, grads = m.value_and_grad(inputs)
    derived = m.grad()
    for names in (sorted(m.weights, reverse=True), ["W_hf", "b_y", "W_xg", "W_xi", "W_hg"]):
        out = derived.run(inputs, want=[derived.adjoints[name] for name in names])
        for name in names:
            np.testing.assert_allclose(out[derived.adjoints[name]], grads[name], rtol=1e-12, atol=1e-14)
    assert list(m.value_and_grad(inputs, wrt=("b_y", "W_xi"))[1]) == ["b_y", "W_xi"]


def test_stacked_finds_what_lies_next_to_each_other():
    whole = np.arange(60.0).reshape(3, 5, 4)
    for axis in range(3):
        pieces = np.split(whole, [2], axis)
        view = stacked(pieces, axis)
        np.testing.assert_array_equal(view, whole)
        assert np.shares_memory(view, whole) and view.strides == whole.strides
        assert stacked(pieces[::-1], axis) is None
        assert stacked([pieces[0].copy(), pieces[1].copy()], axis) is None
    window = stacked([whole[:2, 1], whole[1:, 1]], 0)  # they overlap: rows 0, 1, 1, 2 are no array with strides
    assert window is None
    assert stacked([whole[0], whole[1].copy()], 0) is None  # another owner
    assert stacked([whole[0], whole[1, :, :2]], 0) is None  # another width
    assert stacked([whole[0], whole[1].astype("float32")], 0) is None
    assert stacked([whole[:, :0], whole[:, :1]], 1) is None  # nothing lies nowhere


def test_chains_are_rows_without_forks_and_rings():
    chains = Chains()
    assert chains.extend([("a", "b"), ("b", "c")]) and chains.extend([("a", "b")])
    assert not chains.extend([("a", "d")]) and not chains.extend([("d", "c")]) and not chains.extend([("c", "a")])
    assert not chains.extend([("x", "y"), ("y", "x")]) and list(chains) == [["a", "b", "c"]]
    assert chains.ordered(["z", "c", "y", "a", "b"]) == ["z", "a", "b", "c", "y"]
    assert chains.ordered(["c", "z"]) == ["c", "z"]


def test_what_is_printed_and_drawn_does_not_change():
    m = build("lstm")
    before = str(m.grad()), m.latex()
    m.value_and_grad(data(m, 2, {"t": 3}))
    assert (str(m.grad()), m.latex()) == before and "concat" not in before[0]
