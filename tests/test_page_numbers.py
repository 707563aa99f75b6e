"""The page to walk through: the numbers and equations that it tells."""

from __future__ import annotations

import numpy as np
import pytest
from pages import EXAMPLE, Reader, model_of, run_of, scene_of, string

from tinygrad_rnn.printing.printer import equation_text
from tinygrad_rnn.viz.page.page import page


@pytest.mark.parametrize("name", ["lstm2", "bidirectional", "attention", "zoo_static_index", "zoo_two_dimensional"])
def test_numbers_are_those_of_the_run(name: str) -> None:
    """Read by hand from the run's arrays, at the very position; exact where nothing is computed."""
    run = run_of(name, 4)
    data, seen = Reader(run.text).data, 0
    for (which, *positions), told in zip(data["marks"], data["values"], strict=True):
        name = data["quantities"][which][0]
        q = run.model.system.quantities[name]
        inside = all(p is None or p >= 1 for p in positions) and all(
            p is None or p <= run.trace[name].shape[1 + k] for k, p in enumerate(positions))
        if not inside:
            assert told is None
            continue
        key = (*([EXAMPLE] if q.batched or q.role == "input" else []),
               *(slice(None) if p is None else p - 1 for p in positions))
        value = run.trace[name][key]
        if value.dtype.kind == "i":
            assert told == {"kind": int(value)}
            continue
        seen += 1
        assert [value.dtype.type(v) for v in told["first"]] == list(value.ravel()[: len(told["first"])])
        assert value.dtype.type(told["min"]) == value.min() and value.dtype.type(told["max"]) == value.max()
        assert told["rms"] == pytest.approx(np.sqrt((value.astype(float) ** 2).mean()), rel=1e-8)
        assert told["n"] == value.size
        if name in run.trace.adjoints:
            gradient = run.trace[run.trace.adjoints[name]][key]
            assert told["norm"] == pytest.approx(np.sqrt((gradient.astype(float) ** 2).sum()), rel=1e-8, abs=1e-30)
        else:
            assert "norm" not in told
    assert seen > 8


def test_numbers_that_are_not_finite_are_told() -> None:
    def spoil(trace: dict[str, np.ndarray]) -> None:
        trace["h"] = trace["h"].copy()
        trace["h"][EXAMPLE, 1] = np.nan, np.inf, 1, 2

    run = run_of("lstm", 3, spoil=spoil)
    data = Reader(run.text).data
    (found,) = [v for m, v in zip(data["marks"], data["values"], strict=True)
                if data["quantities"][m[0]][0] == "h" and m[1] == 2]
    assert found["first"] == ["nan", "inf", 1, 2] and found["rms"] == "nan" and found["v"] == -1


def test_what_is_told_of_a_quantity() -> None:
    model = model_of("lstm")
    data = Reader(page(scene_of(model, 3), model.system)).data
    assert data["values"] == [] and [index for index, _ in data["ranges"]] == ["t"]
    told = {q[0]: q for q in data["quantities"]}
    (main,) = [eq for eq in model.system.equations if eq.name == "c"]
    assert told["c"][2:] == ["state", ["t"], [4], [[[], equation_text(main)]]]
    assert string(data["labels"][told["c"][1]]) == "c" and told["loss"][2] == "loss"
    model = model_of("zoo_bidirectional")
    told = {q[0]: q for q in Reader(page(scene_of(model, 3), model.system)).data["quantities"]}
    assert [slots for slots, _ in told["r"][5]] == [[], [["last", 1]]]


def test_gradients_flow_back_where_the_model_has_them() -> None:
    """Of the wires between units, all but those of inputs carry a gradient."""
    model = model_of("lstm")
    scene = scene_of(model, 3)
    data = Reader(page(scene, model.system)).data
    for number, *_ in data["wires"]:
        kind, *_, back, _, _ = data["lines"][number]
        assert bool(back) == (kind != "input")
    twins = Reader(page(scene_of(model, 3, "backward"), model.system)).data
    assert twins["twins"] and not any(line[6] for line in twins["lines"])
