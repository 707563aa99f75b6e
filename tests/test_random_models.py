"""Random models of ragged examples against `reference.py`: values, losses, gradients, the gradient as it is printed.

`python tests/test_random_models.py FIRST LAST` tries the seeds from FIRST up to LAST, and prints those that deviate.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from random_texts import INPUTS, LAYERS, Writer
from reference import Reference

import tinygrad_rnn as tr
from tinygrad_rnn import jit
from tinygrad_rnn.plans import segments

SEEDS = 60
# Of central differences, exact for polynomials of degree 4: (step, share of the value there).
POINTS = [(side * far * 1e-5, side * share * 1e5) for far, share in ((1, 2 / 3), (2, -1 / 12)) for side in (1, -1)]

# -- cases -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A text with all that it takes to run it. shapes: of the features of all names."""

    text: str
    shapes: dict[str, tuple[int, ...]]
    weights: dict[str, np.ndarray]
    data: dict[str, np.ndarray]
    indices: dict[str, str]
    lengths: dict[str, list[int]]
    seed: int

    def __str__(self) -> str:
        how = "compiled" if self.compiled else "call by call"
        return f"seed {self.seed}, {how}, features {self.shapes}, lengths {self.lengths}:\n{self.text}"

    @property
    def compiled(self) -> bool:
        """One in four is, where there is a compiler: compiling takes most of the time."""
        return self.seed % 4 == 0

    @cached_property
    def model(self) -> tr.Model:
        return self.filled(self.text)

    def filled(self, text: str) -> tr.Model:
        """The model of that text with the case's weights."""
        sizes: dict[str, Any] = {**self.shapes, **({"l": LAYERS} if "l" in self.lengths else {})}
        model = tr.equations(text, dtype="float64", **sizes)
        for name, array in self.weights.items():
            model.weights[name] = array
        return model

    @cached_property
    def ragged(self) -> dict[str, Any]:
        """The options of a run that say how far indices go; l is static, and r another letter for t."""
        lengths = {i: np.array(found) for i, found in self.lengths.items() if i not in "lr"}
        carried = "".join(self.indices[name] for name in self.data)
        return {"lengths": lengths, "steps": {i: max(found) for i, found in lengths.items() if i not in carried}}

    def reference(self, **changed: np.ndarray) -> Reference:
        arrays = {**self.weights, **self.data, **changed}
        return Reference(self.text, arrays, self.indices, self.shapes, self.lengths, static="l")


def ragged(rng: np.random.Generator, batch: int, choice: list[int]) -> list[int]:
    """Lengths of examples, the first the longest."""
    longest = int(rng.choice(choice))
    return [longest, *(int(rng.integers(1, longest + 1)) for _ in range(batch - 1))]


def drawn(seed: int) -> Case:
    """The case of that seed: a text, weights, and data that are NaN (or class -1) beyond each example's length."""
    writer, rng = Writer(seed), np.random.default_rng(seed)
    text = writer.text()
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    h, batch = writer.size, int(rng.choice([1, 2, 3, 11]))
    kinds = {"scalar": (), "vector": (h,), "class": (h,), "matrix": (h, h)}
    lengths = {"t": ragged(rng, batch, [1, 3, 5, 7]), "s": ragged(rng, batch, [1, 3]), "l": [LAYERS] * batch}
    lengths["r"] = lengths["t"]
    weights = {name: rng.normal(size=(LAYERS,) * len(i) + kinds[kind]) * 0.7
               for name, (i, kind) in writer.weights.items() if name in used}
    data = {name: values(rng, kinds[kind], kind == "class" and h > 1, [lengths[i] for i in indices[1:]], batch)
            for name, (indices, kind) in INPUTS.items() if name in used}
    given = {name: what for name, what in (writer.weights | INPUTS).items() if name in used}
    every = {"loss": "scalar", **{name: made.kind for name, made in writer.made.items()}, **writer.others,
             **{name: kind for name, (_, kind) in given.items()}}
    return Case(text, {name: kinds[kind] for name, kind in every.items()}, weights, data,
                {name: indices for name, (indices, _) in given.items()},
                {i: found for i, found in lengths.items() if {i, i.upper()} & used}, seed)


def values(rng: np.random.Generator, shape: tuple[int, ...], classes: bool, lengths: list[list[int]],
           batch: int) -> np.ndarray:
    """An input's array: of one value per example where there are no lengths."""
    size = (batch, *(max(found) for found in lengths))
    array = rng.integers(0, shape[0], size) if classes else rng.normal(size=(*size, *shape))
    for found in lengths:
        for n, length in enumerate(found):
            array[n, length:] = -1 if classes else np.nan
    return array


# -- what is compared --------------------------------------------------------------------------------------


def same(found: Any, expected: Any, what: str, rtol: float, atol: float = 1e-10) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol, atol, err_msg=what)


def check_values(case: Case) -> None:
    names = [name for name in case.shapes if name not in case.indices]
    found, reference = case.model.run(case.data, want=names, **case.ragged), case.reference()
    for name in names:
        same(found[name], reference.array(name), name, 1e-9)


def check_gradients(case: Case) -> dict[str, np.ndarray]:
    """Along a random direction of each array, by central differences of the reference."""
    arrays = {name: array for name, array in {**case.weights, **case.data}.items() if array.dtype.kind == "f"}
    loss, gradients = case.model.value_and_grad(case.data, wrt=list(arrays), **case.ragged)
    same(loss, case.reference().array("loss"), "loss", 1e-9)
    rng = np.random.default_rng(case.seed)
    for name, array in arrays.items():
        assert gradients[name].shape == array.shape and not gradients[name][np.isnan(array)].any(), name
        direction = rng.normal(size=array.shape)
        slope = sum(share * case.reference(**{name: array + step * direction}).array("loss") for step, share in POINTS)
        same((gradients[name] * direction).sum(), slope, f"the gradient of {name}", 1e-6, 1e-6)
    return {name: gradients[name] for name in case.weights}


def check_printed(case: Case, gradients: dict[str, np.ndarray]) -> None:
    """The derived equations, read back from their text."""
    derived = case.model.grad(wrt=list(gradients))
    names = {name: derived.adjoints[name] for name in gradients}
    found = case.filled(str(derived)).run(case.data, want=list(names.values()), **case.ragged)
    for name, gradient in gradients.items():
        same(found[names[name]], gradient, f"{names[name]} as it is printed", 1e-8)


def check_segments(case: Case, gradients: dict[str, np.ndarray]) -> bool:
    """By segments of time, where the model can be cut; whether it can."""
    try:
        _, found = case.model.value_and_grad(case.data, wrt=list(gradients), memory="sqrt", **case.ragged)
    except tr.Error as error:
        assert 'memory="sqrt" c' in str(error)
        return False
    for name, gradient in gradients.items():
        same(found[name], gradient, f"the gradient of {name} by segments", 1e-8)
    return True


@contextmanager
def computing(compiled: bool) -> Iterator[None]:
    """Compiled or call by call, and with several segments in few steps."""
    before = jit.asked()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "LENGTH", 0.5)
        tr.use_jit(before and compiled)
        try:
            yield
        finally:
            tr.use_jit(before)


def check(case: Case) -> None:
    """Raise, with the whole case, where anything is not as the reference has it."""
    try:
        with computing(case.compiled):
            check_values(case)
            gradients = check_gradients(case)
            if gradients:
                check_printed(case, gradients)
                check_segments(case, gradients)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{case}") from error


def test_the_texts_have_all_forms() -> None:
    texts = "\n".join(drawn(seed).text for seed in range(SEEDS))
    for form in ("over=n)", "[t-3]", "[t+3]", "[-1] =", "[T+2] =", "[S+1] =", "[T-1]", "over=s)", "over=r)", "[t,s]",
                 "[L,t]", "[0,t] =", "embed(", "cross_entropy(", "where(t", "img[n]", " / T", "**2"):
        assert form in texts, form


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_as_the_reference(seed: int) -> None:
    check(drawn(seed))


# -- any number of seeds -----------------------------------------------------------------------------------


def main(first: int, last: int) -> int:
    """How many of these seeds deviate."""
    warnings.simplefilter("ignore")
    deviating = 0
    for seed in range(first, last):
        try:
            check(drawn(seed))
        except AssertionError as error:
            deviating += 1
            print(error, end="\n\n", flush=True)
    print(f"{deviating} of {last - first} models deviate")
    return deviating


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
