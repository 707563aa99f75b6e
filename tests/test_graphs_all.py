"""Every ready model in every form: scheduled as unrolled, its gradient, its text, what is said of it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from architectures import FORMS, IDS, build, data, steps_of
from zoo import spoilt

import tinygrad_rnn as tr
from tinygrad_rnn import jit
from tinygrad_rnn.commands import catalogue, tasks

LISTED = {
    "rnn", "jordan", "lstm", "peephole", "projection", "coupled", "layernorm", "gru", "mgu", "zoneout", "indrnn",
    "sru", "mingru", "minlstm", "slstm", "mlstm", "bidirectional", "deep", "seq2seq", "bahdanau", "luong",
    "multihead", "mdlstm", "ctc", "goodfellow", "chain", "variational", "shapes", "caption", "lru", "mamba",
}
NOISY = ("zoneout", "variational")
uncompiled = pytest.mark.usefixtures("through_numpy")  # what is compiled once and run once costs more than it tells
every_form = pytest.mark.parametrize("name,options", FORMS, ids=IDS)


def test_the_list_of_models():
    assert set(tr.graphs.MODELS) >= LISTED


@pytest.fixture
def through_numpy(monkeypatch):
    monkeypatch.setitem(jit._switch, "on", False)


@uncompiled
@every_form
def test_scheduled_equals_unrolled(name, options):
    model = build(name, **options)
    for batch, size, ragged in ((3, 3, True), (1, 1, False)):
        steps = steps_of(model, size)
        inputs = data(model, batch, steps)
        more = {"lengths": {i: np.array([3, 1, 2]) for i in steps} if ragged and steps else None,
                "training": name in NOISY}
        flat = model.unroll(steps)
        (value, grads), (flat_value, flat_grads) = (m.value_and_grad(inputs, **more) for m in (model, flat))
        np.testing.assert_allclose(value, flat_value, rtol=1e-12, atol=1e-12)
        for weight in grads:
            np.testing.assert_allclose(grads[weight], flat_grads[weight], rtol=1e-12, atol=1e-12, err_msg=weight)
        if more["lengths"]:
            again, grads_again = model.value_and_grad(spoilt(model, inputs, more["lengths"]), **more)
            assert again == value
            for weight in grads:
                np.testing.assert_array_equal(grads_again[weight], grads[weight])


@uncompiled
@every_form
def test_gradients_against_finite_differences(name, options):
    model = build(name, **options)
    steps = steps_of(model, 3)
    lengths = {i: np.array([3, 2]) for i in steps} or None
    assert len(model.check_gradient(data(model, 2, steps), lengths=lengths, tolerance=1e-6)) == len(list(model.weights))


@every_form
def test_the_text_reads_back(name, options):
    model = build(name, **options)
    assert str(tr.equations(str(model))) == str(model)
    assert all(a.rhs is b.rhs for a, b in zip(tr.equations(str(model), dtype="float64").system.equations,
                                             model.system.equations, strict=True))


@pytest.mark.parametrize("name", catalogue.models())
def test_what_is_said_of_a_model(name):
    doc = catalogue.description(name)
    assert "Source" in doc and "Sizes: " in doc and "Raises" in doc and catalogue.summary(name).endswith(".")
    parameters = inspect.signature(catalogue.models()[name]).parameters
    assert {"dtype", "seed"} <= set(parameters) and set(catalogue.choices(name)) <= set(parameters)
    for option in catalogue.choices(name):
        assert f"{option}" in doc


@pytest.mark.parametrize("name", [n for n in catalogue.models() if n != "chain"])
def test_seeds_and_sizes(name):
    first, same, other = (catalogue.make(name, inputs=5, hidden=6, outputs=4, seed=s) for s in (1, 1, 2))
    assert all((first.weights[w] == same.weights[w]).all() for w in first.weights)
    assert any((first.weights[w] != other.weights[w]).any() for w in first.weights)
    with pytest.raises(tr.Error):
        catalogue.make(name, hidden=0)


@pytest.mark.parametrize("name,options", [(n, {o: "nonsense"}) for n in catalogue.models() for o, values
                                          in catalogue.choices(n).items() if isinstance(values[0], str)])
def test_an_option_that_there_is_not(name, options):
    with pytest.raises(tr.Error, match="nonsense"):
        catalogue.make(name, **options)


# Jordan's state is its last output, the gates of the minimal cells and of one mLSTM know no past: they learn a part.
HARD = ("jordan", "mingru", "minlstm", "mlstm", "variational", "indrnn", "sru", "zoneout")


@uncompiled
@pytest.mark.parametrize("name", catalogue.models())
def test_every_model_learns_its_small_task(name):
    task = tasks.task_of(catalogue.make(name))
    model = catalogue.make(name, **task.sizes)
    few = task.make(np.random.default_rng(0), 128)
    losses = model.fit(few, optimizer=tr.Adam(3 * task.rate), epochs=8, batch_size=16, progress=False).loss
    assert losses[-1] < (0.97 if name in HARD else 0.6) * losses[0]
