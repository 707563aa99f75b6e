"""Published models that are in no catalogue, against plain loops over examples and steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import published_cells
import published_choices
import published_memories
import published_paths
import pytest
from published import Arrays, Found

import tinygrad_rnn as tr

MODELS = {**published_cells.MODELS, **published_choices.MODELS, **published_memories.MODELS,
          **published_paths.MODELS}
N, LENGTHS, OTHERS = 3, [7, 2, 5], [4, 3, 1]  # of t; of another index
STEP = 1e-30


class Case:
    """A model with weights, ragged data and what its loop makes of them."""

    def __init__(self, name: str) -> None:
        self.published = p = MODELS[name]
        rng = np.random.default_rng(len(name))
        self.model = tr.equations(p.text, dtype="float64", **p.sizes).initialise(1, {"*": tr.Normal(0.6)})
        self.slots = {n: self.model.system.quantities[n].slots for n in self.model.system.of_role("input")}
        self.lengths = {"t": LENGTHS} | {i: OTHERS for i in ("s", "u") if i in self.model.system.ranges}
        self.data = {n: self._drawn(n, rng) for n in self.slots}
        self.weights = {n: np.array(a) for n, a in self.model.weights.items()}

    def _drawn(self, name: str, rng: np.random.Generator) -> np.ndarray:
        """Anything, and in the padding no number, or no class."""
        q, classes = self.model.system.quantities[name], self.published.classes
        shape = (N, *(max(self.lengths[i]) if i in self.lengths else 3 for i in q.slots))
        numbers = rng.uniform(0.1, 1, (*shape, *q.type.shape))
        found = rng.integers(0, classes[name], shape) if name in classes else numbers
        for axis, index in enumerate(q.slots):
            for n in range(N if index in self.lengths else 0):
                np.moveaxis(found[n], axis, 0)[self.lengths[index][n] :] = -1 if name in classes else np.nan
        return found

    def cut(self, data: Arrays, n: int) -> dict[str, np.ndarray]:
        """An example without its padding."""
        return {name: a[n][tuple(slice(self.lengths[i][n] if i in self.lengths else None) for i in self.slots[name])]
                for name, a in data.items()}

    def looped(self, weights: Arrays, data: Arrays) -> Found:
        return self.published.loop(weights, [self.cut(data, n) for n in range(N)])

    def steps(self, first: int, stop: int) -> dict[str, np.ndarray]:
        """Some steps of the data of the longest example, thrice."""

        def of(name: str, a: np.ndarray) -> np.ndarray:
            key = [slice(first, stop) if i == "t" else slice(self.lengths[i][0] if i in self.lengths else None)
                   for i in self.slots[name]]
            return np.stack([a[0]] * N)[(slice(None), *key)]
        return {name: of(name, a) for name, a in self.data.items()}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


@contextmanager
def call_by_call() -> Iterator[None]:
    tr.use_jit(False)
    try:
        yield
    finally:
        tr.use_jit(True)


def test_values_are_those_of_the_loop(case: Case) -> None:
    found, loss = case.looped(case.weights, case.data)
    with call_by_call():
        out = case.model.run(case.data, lengths=case.lengths, want=[*found, "loss"])
    assert out["loss"] == pytest.approx(float(np.real(loss)), rel=1e-12)
    for name, values in found.items():
        for n, value in enumerate(values):
            at = tuple(map(slice, value.shape[: len(case.model.system.quantities[name].slots)]))
            np.testing.assert_allclose(out[name][n][at], value.real, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_the_loop(case: Case) -> None:
    inputs = [name for name in case.data if name not in case.published.classes]
    wrt, arrays = [*case.weights, *inputs], {**case.weights, **case.data}
    loss, grads = case.model.value_and_grad(case.data, lengths=case.lengths, wrt=wrt)
    for name in wrt:
        way = np.random.default_rng(5).standard_normal(arrays[name].shape)
        moved = {k: a + 1j * STEP * way if k == name else a for k, a in arrays.items()}
        _, value = case.looped({k: moved[k] for k in case.weights}, {k: moved[k] for k in case.data})
        assert loss == pytest.approx(value.real, rel=1e-11)
        assert np.sum(grads[name] * way) == pytest.approx(value.imag / STEP, rel=1e-11, abs=1e-12), name


def test_the_printed_gradient_is_the_gradient(case: Case) -> None:
    bptt = case.model.grad("loss")
    read = tr.equations(str(bptt), dtype="float64")
    assert str(read) == str(bptt)
    for name, value in case.weights.items():
        read.weights[name] = value
    with call_by_call():
        _, grads = case.model.value_and_grad(case.data, lengths=case.lengths)
        out = read.run(case.data, lengths=case.lengths, want=[bptt.adjoints[name] for name in grads])
    for name, grad in grads.items():
        np.testing.assert_allclose(out[bptt.adjoints[name]], grad, rtol=1e-12, atol=1e-12)


def test_segments_of_time_give_the_same_gradient(case: Case) -> None:
    with call_by_call():
        expected = case.model.value_and_grad(case.data, lengths=case.lengths)
        loss, grads = case.model.value_and_grad(case.data, lengths=case.lengths, memory="sqrt")
    assert loss == pytest.approx(expected[0], rel=1e-12)
    for weight, grad in grads.items():
        np.testing.assert_allclose(grad, expected[1][weight], rtol=1e-12, atol=1e-12)


def test_the_unrolled_graph_gives_the_same(case: Case) -> None:
    flat = case.model.unroll({index: max(lengths) for index, lengths in case.lengths.items()})
    names = case.model.system.of_role("defined")
    with call_by_call():
        expected = case.model.run(case.data, lengths=case.lengths, want=names)
        found = flat.run(case.data, lengths=case.lengths, want=names)
        _, slopes = case.model.value_and_grad(case.data, lengths=case.lengths)
        loss, grads = flat.value_and_grad(case.data, lengths=case.lengths)
    assert loss == pytest.approx(expected["loss"], rel=1e-12)
    for own, other in ((found, expected), (grads, slopes)):
        for name in own:
            np.testing.assert_allclose(own[name], other[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_stepper_and_a_state_go_on_as_the_whole_does(case: Case) -> None:
    if not case.published.causal:
        pytest.skip("it reads the future, or other examples")
    timed = [name for name, slots in case.slots.items() if "t" in slots]
    names = [n for n in case.model.system.of_role("defined") if "t" in case.model.system.quantities[n].slots]

    def axis(name: str) -> int:
        q = case.model.system.quantities[name]
        return q.slots.index("t") + q.batched

    with call_by_call():
        whole = case.model.run(case.steps(0, 7), want=names)
        first = case.model.run(case.steps(0, 3), want=names)
        rest = case.model.run(case.steps(3, 7), want=names, state=first.state)
        step = case.model.stepper(N, names, **{k: v for k, v in case.steps(0, 7).items() if k not in timed})
        for t in range(7):
            here = case.steps(t, t + 1)
            out = step(**{k: np.take(here[k], 0, 1 + case.slots[k].index("t")) for k in timed})
            for name in names:
                np.testing.assert_allclose(out[name], np.take(whole[name], t, axis(name)), rtol=1e-12, atol=1e-12)
    for name in names:
        expected = np.take(whole[name], range(3, 7), axis(name))
        np.testing.assert_allclose(rest[name], expected, rtol=1e-12, atol=1e-12)


def test_a_file_keeps_the_model(case: Case, tmp_path: Path) -> None:
    case.model.save(tmp_path / "m.safetensors")
    loaded = tr.load(tmp_path / "m.safetensors")
    assert str(loaded) == str(case.model)
    with call_by_call():
        np.testing.assert_array_equal(*(m.run(case.data, lengths=case.lengths, want="loss")["loss"]
                                        for m in (loaded, case.model)))
