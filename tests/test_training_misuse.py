"""What `fit`, files of models and data utilities say where they are given something wrong; nothing is left behind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import data
from tinygrad_rnn.files import writable

TEXT = """
    h[t] = tanh(U_hh @ h[t-1] + W_xh @ x[t] + b)
    loss = mean(cross_entropy(softmax(V @ h[t]), target[t]))
"""
RNG = np.random.default_rng(0)
DATA = {"x": RNG.standard_normal((5, 4, 2)), "target": RNG.integers(0, 3, (5, 4))}


def tagger():
    return tr.equations(TEXT, x=2, h=3, target=3)


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"wrt": ["x"]}, KeyError, "wrt names 'x', which is no weight of the model; its weights are U_hh, W_xh, b, V"),
    ({"wrt": ["W_hx"]}, KeyError, "did you mean 'W_xh'"),
    ({"wrt": ["U_?h", "W_h*"]}, KeyError, r"wrt names 'W_h\*', which is no weight of the model"),
    ({"wrt": 5}, TypeError, "wrt is a name or a list of names"),
    ({"wrt": [["V"]]}, TypeError, r"wrt is a name or a list of names, not \['V'\]"),
    ({"wrt": []}, ValueError, "there is no weight to train"),
    ({"of": 3}, TypeError, "of= is the name of a scalar, .* not 3"),
    ({"clip": tr.ClipNorm}, TypeError, "clip is a number, ClipNorm or ClipValue"),
    ({"clip": True}, TypeError, "clip is a number, ClipNorm or ClipValue"),
    ({"batch_size": 2, "carry_state": True}, ValueError, "^carry_state=True lets each batch go on .* shuffle=False"),
    ({"batch_size": 5, "carry_state": True, "valid": {k: np.concatenate([v, v]) for k, v in DATA.items()}}, ValueError,
     "the validation data: carry_state=True lets each batch go on"),
    ({"valid": {"x": DATA["x"]}}, ValueError, "the validation data: loss needs the input target"),
    ({"valid": {"z": DATA["x"]}}, KeyError, "the validation data: the model has no input 'z'"),
    ({"patience": 0}, ValueError, "patience must be at least 1"),
    ({"patience": "3"}, TypeError, "patience is a whole number"),
    ({"carry_state": "yes"}, TypeError, "carry_state is True or False"),
    ({"resume": "c.safetensors"}, TypeError, "resume is True or False"),
    ({"progress": 1}, TypeError, "progress is True or False"),
    ({"meta": "text"}, TypeError, "meta is a dict of texts"),
    ({"meta": {"a": 1}}, TypeError, "made of strings"),
    ({"meta": {"equations": "x"}}, ValueError, "the key 'equations' of meta is taken"),
    ({"meta": {"fit": "x"}}, ValueError, "the key 'fit' of meta is taken"),
    ({"checkpoint": "none/c.safetensors"}, OSError, "there is no folder .*none; make it first"),
    ({"log": "none/log.csv"}, OSError, "there is no folder"),
    ({"checkpoint": "."}, OSError, "it is a folder"),
    ({"checkpoint": 5}, TypeError, "a file is named by a string or a Path"),
    ({"checkpoint": ""}, ValueError, "a file has a name, and this one is empty"),
    ({"log": ""}, ValueError, "a file has a name, and this one is empty"),
    ({"clip": lambda grads: 0.0}, TypeError, r"def clip\(grads, xp\): ...; this one cannot be called so"),
    ({"clip": lambda grads, xp: None}, TypeError, "the function that clips returned None; the norm .* was expected"),
    ({"on_epoch": lambda: None}, TypeError, r"def shown\(row\): ...; this one cannot be called so"),
    ({"on_epoch": 3}, TypeError, "on_epoch is called with the row of each epoch, and this is 3"),
    ({"valid": tuple(DATA.values())}, TypeError, r"the validation data: .* dict\(zip\(\('x', 'target'\), data\)\)"),
])
def test_fit_tells_before_it_trains(options, kind, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tagger()
    before = {name: np.array(w) for name, w in model.weights.items()}
    with pytest.raises(tr.Error, match=message) as caught:
        model.fit(DATA, **{"progress": False, **options})
    assert isinstance(caught.value, kind)
    assert all((model.weights[name] == w).all() for name, w in before.items()) and not list(tmp_path.iterdir())


BATCH = r"dict of arrays by input name, {'x': \.\.\., 'target': \.\.\.}"


@pytest.mark.parametrize(("given", "kind", "message"), [
    (tuple(DATA.values()), TypeError, r"not tuple; .* make a dict: dict\(zip\(\('x', 'target'\), data\)\)"),
    (lambda epoch: DATA, TypeError, "of an epoch are an iterable of dicts, such as a list of them, not dict"),
    (lambda epoch: None, TypeError, "the batches of an epoch are an iterable of dicts, .* not NoneType"),
    ({**DATA, "target": None}, TypeError, "target is None; an array with one row per example is expected"),
    ([{"x": 1.0, "target": 2}], TypeError, "in a batch x has one row per example, and this is 1.0; .* tr.data.padded"),
    ([tuple(DATA.values())], TypeError, f"a batch is a {BATCH}, not tuple"),
    (DATA["x"], TypeError, f"data is a {BATCH}, or an iterable of such dicts, not ndarray"),
    ([[*DATA.values()]], TypeError, r"not list; .* in order make a dict: dict\(zip\(\('x', 'target'\), batch\)\)"),
    (lambda: iter([DATA]), TypeError, "data takes the epoch's number.* def batches\\(epoch\\).*cannot be called so"),
    (dict, TypeError, "or an iterable of such dicts, not type"),
    ({"y": [[1, 2], [1]], "target": [[1, 2], [1]]}, KeyError, "no input 'y'"),
    ({"x": [["a"]] * 2, "target": [[1]] * 2}, TypeError, "x has dtype <U1"),
])
def test_data_of_another_kind_are_told(given, kind, message):
    with pytest.raises(tr.Error, match=message) as caught:
        tagger().fit(given, progress=False)
    assert isinstance(caught.value, kind)


@pytest.mark.parametrize(("valid", "message"), [([], "there are no batches"), ([{"x": DATA["x"]}], "needs the input")])
def test_batches_to_validate_with_are_looked_at_when_they_come(valid, message):
    with pytest.raises(tr.Error, match=f"the validation data: .*{message}"):
        tagger().fit(DATA, valid=valid, progress=False)


def test_a_state_is_carried_through_data_in_their_order():
    one, other = tagger(), tagger()
    one.fit({k: v[:4] for k, v in DATA.items()}, batch_size=2, shuffle=False, carry_state=True, progress=False)
    other.fit([{k: v[:2] for k, v in DATA.items()}, {k: v[2:4] for k, v in DATA.items()}], carry_state=True,
              progress=False)
    np.testing.assert_array_equal(one.weights["V"], other.weights["V"])
    tagger().fit(DATA, batch_size=5, carry_state=True, progress=False)  # a single batch has no order


class Loader:
    """As PyTorch's of a data set whose length nobody knows."""

    begun = 0

    def __iter__(self):
        self.begun += 1  # PyTorch's starts its processes then
        return iter([DATA, DATA])

    def __len__(self):
        raise TypeError("object of type 'IterableDataset' has no len()")


def test_what_can_be_gone_through_once_is_refused_before_training():
    model, once = tagger(), ({"data": iter([DATA])}, {"data": [DATA], "valid": iter([DATA])})
    before = {name: np.array(w) for name, w in model.weights.items()}
    for k, given in enumerate(once):
        with pytest.raises(tr.Error, match="the validation data: " * k + "these batches can be gone through only once"):
            model.fit(given.pop("data"), epochs=2, progress=False, **given)
    assert all((model.weights[name] == w).all() for name, w in before.items())
    assert len(model.fit(iter([DATA]), valid=iter([DATA]), progress=False).steps) == 1


def halves(epoch):
    order = np.random.default_rng(epoch).permutation(4)
    for rows in np.split(order, 2):
        yield {name: value[rows] for name, value in DATA.items()}


class Halves:
    """Batches by epoch alone."""

    epoch = staticmethod(halves)


def test_batches_may_be_a_function_of_the_epoch(tmp_path):
    models = [tagger() for _ in range(3)]
    models[0].fit([batch for epoch in range(3) for batch in halves(epoch)], progress=False)
    models[1].fit(halves, epochs=3, valid=Halves(), progress=False)
    path = tmp_path / "c.safetensors"
    for epochs in (1, 3):  # what is resumed goes on with the epoch's own batches
        models[2].fit(Halves(), epochs=epochs, checkpoint=path, resume=epochs > 1, progress=False)
    for model in models[1:]:
        np.testing.assert_array_equal(model.weights["V"], models[0].weights["V"])
    assert models[0].evaluate(halves) == models[0].evaluate([*halves(0)])


@pytest.mark.parametrize("use", ["fit", "evaluate"])
def test_a_state_is_of_as_many_examples_as_the_next_batch(use):
    batches = [DATA, {name: value[:2] for name, value in DATA.items()}]
    with pytest.raises(tr.Error, match="batch 2 has 2 examples, and the state that it goes on from is of 5"):
        tagger().fit(batches, carry_state=True, progress=False) if use == "fit" else tagger().evaluate(
            batches, carry_state=True)


def test_a_gradient_of_zero_is_told():
    text = "h[t] = tanh(w * x[t] + U @ h[t-1])\nloss = mean(squared_error(dot(v, h[t]), k[t]))"
    model, data = tr.equations(text, x=(), h=3, w=3, k=()), {"x": DATA["x"][..., 0], "k": DATA["x"][..., 1]}
    with pytest.warns(UserWarning, match="gradient is zero, so nothing is learnt: w, v are zero") as said:
        model.fit(data, epochs=2, progress=False)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.initialise(rules={"w": tr.Normal(0.1)}).fit(data, progress=False)


def test_validation_data_that_judge_nothing_are_told():
    unknown = {**DATA, "x": np.where(np.arange(2), np.nan, DATA["x"])}
    with pytest.warns(UserWarning, match="the loss of the validation data is nan, so nothing is judged by it"):
        history = tagger().fit(DATA, valid=unknown, epochs=2, progress=False)
    assert np.isnan(history.valid_loss).all() and np.isfinite(history.loss).all()


def test_batches_whose_number_is_not_known(capsys):
    loader = Loader()
    history = tagger().fit(loader, epochs=3, valid=Loader())
    assert len(history.steps) == 6 and "2batch" in capsys.readouterr().err
    assert loader.begun == 3  # once an epoch


def test_a_list_is_made_an_array_once(monkeypatch):
    made = []
    monkeypatch.setattr("tinygrad_rnn.training.batches.entering", lambda name, a: made.append(name) or np.asarray(a))
    tagger().fit({k: v.tolist() for k, v in DATA.items()}, batch_size=1, epochs=2, progress=False)
    assert made == ["x", "target"]


def test_the_limit_of_the_norm_may_be_a_number_of_numpy():
    models = [tagger(), tagger()]
    for model, limit in zip(models, (0.125, np.float32(0.125)), strict=True):
        model.fit(DATA, clip=limit, progress=False)
    np.testing.assert_array_equal(models[0].weights["V"], models[1].weights["V"])


@pytest.mark.parametrize(("wrt", "names"), [
    ("W_xh", {"W_xh"}), ("?_*h", {"U_hh", "W_xh"}), (["b*", "V"], {"b", "V"}), (["[UV]*", "V"], {"U_hh", "V"})])
def test_weights_to_train_are_given_by_name_or_pattern(wrt, names):
    model = tagger()
    before = {name: np.array(w) for name, w in model.weights.items()}
    assert set(model.value_and_grad(DATA, wrt=wrt)[1]) == set(model.check_gradient(DATA, wrt=wrt)) == names
    assert set(model.unroll(4).value_and_grad(DATA, wrt=wrt)[1]) == names
    assert model.grad(wrt=wrt) is model.grad(wrt=sorted(names, key=list(model.weights).index))
    model.fit(DATA, wrt=wrt, progress=False)
    assert {name for name, w in before.items() if (model.weights[name] != w).any()} == names


def test_a_pattern_stands_for_weights_and_an_input_is_named():
    model = tagger()
    assert set(model.value_and_grad(DATA, wrt=["x", "*"])[1]) == {"x", *model.weights}
    with pytest.raises(tr.Error, match=r"no quantity 'x\?'"):
        model.value_and_grad(DATA, wrt="x?")


@pytest.mark.parametrize("key", ["equations", "name", "dtype", "format"])
def test_meta_does_not_take_what_the_file_says_of_itself(key, tmp_path):
    with pytest.raises(tr.Error, match=f"the key '{key}'"):
        tagger().save(tmp_path / "m.safetensors", meta={key: "x"})
    assert not list(tmp_path.iterdir())


def test_asking_whether_a_file_can_be_written_leaves_it_alone(tmp_path):
    path = tmp_path / "a.txt"
    assert writable(path) == path and not list(tmp_path.iterdir())
    path.write_text("kept")
    writable(path)
    assert path.read_text() == "kept" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("rules", "message"), [
    ({"U_hh": tr.Glorot}, r"the rule for U_hh is the class Glorot; give one of it, Glorot\(...\)"),
    (5, "rules is a dict of weights' names"),
    ({"U_hh": np.zeros(2)}, r"shape \(2,\); \(3, 3\) was expected"),
])
def test_a_wrong_rule_leaves_the_weights_to_come(rules, message):
    model, other = tagger(), tagger()
    with pytest.raises(tr.Error, match=message):
        model.initialise(4, rules)
    assert all((model.weights[name] == w).all() for name, w in other.weights.items())


TABLE, LISTS = "a,b\n1_000,2\n", {"x": [[1], [1, 2]]}


@pytest.mark.parametrize(("call", "kind", "message"), [
    (lambda p: data.Vocabulary("ab", unknown=["a"]), TypeError, "cannot be a symbol"),
    (lambda p: data.Vocabulary("ab", specials=[["a"]]), TypeError, "cannot be a symbol"),
    (lambda p: data.Vocabulary("ab", specials=5), TypeError, "specials is a list"),
    (lambda p: data.bucketed(LISTS, 2, seed=-1), ValueError, "seed must be at least 0"),
    (lambda p: data.bucketed(LISTS, 2, over="s"), TypeError, "over= says over which index"),
    (lambda p: data.bucketed(LISTS, 2, over={"x": 5}), TypeError, "over= of x is an index"),
    (lambda p: data.padded(LISTS, fill="a"), TypeError, "fill= of x is a number"),
    (lambda p: data.padded(LISTS, fill=np.nan), ValueError, "x holds int64, which nan is not"),
    (lambda p: data.padded({"x": [2, [1]]}), ValueError, "x is no array and no list of sequences"),
    (lambda p: data.split([1, 2], 0.5, 0.5, seed=-1), ValueError, "seed must be at least 0"),
    (lambda p: data.split([1, 2], 0.5, 0.5, groups=[[1], [2]]), TypeError, "groups has a name or a number"),
    (lambda p: data.read_table(p / "t.csv", delimiter=""), TypeError, "delimiter is one character"),
    (lambda p: data.read_arrays(p / "a.npy"), OSError, "not a file of arrays that np.savez wrote"),
    (lambda p: data.read_arrays(p / "empty"), OSError, "not a file of arrays that np.savez wrote"),
    (lambda p: data.read_arrays(None), TypeError, "a file is named by"),
    (lambda p: data.mapped(5), TypeError, "a file is named by"),
    (lambda p: data.read_text(5), TypeError, "a file is named by"),
])
def test_data_utilities_tell_what_is_wrong(call, kind, message, tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "empty").touch()
    np.save(tmp_path / "a.npy", np.arange(3))
    with pytest.raises(tr.Error, match=message) as caught:
        call(tmp_path)
    assert isinstance(caught.value, kind)


def test_a_cell_with_an_underscore_is_text(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    assert data.read_table(tmp_path / "t.csv")["a"].tolist() == ["1_000"]


def test_sequences_in_an_array_of_objects_are_those_of_a_list():
    sequences = [DATA["x"][0, :2], DATA["x"][1], DATA["x"][2, :1]]
    targets = [[1, 2], [0, 1, 2, 0], [1]]
    objects = np.empty(3, object)
    objects[:] = sequences
    losses = [tagger().fit({"x": x, "target": targets}, progress=False).loss for x in (sequences, objects)]
    assert losses[0] == losses[1]


def test_not_a_number_may_stand_beyond_the_end_of_numbers():
    batch = data.padded({"x": [[1.0], [1.0, 2.0]], "k": [[1], [1, 2]]}, fill={"x": np.nan})
    np.testing.assert_array_equal(batch["x"], [[1.0, np.nan], [1.0, 2.0]])
    assert batch["k"].tolist() == [[1, 0], [1, 2]]


def test_training_that_fails_before_its_first_update_leaves_the_file_of_another(tmp_path):
    path = tmp_path / "k.safetensors"
    tagger().fit(DATA, checkpoint=path, progress=False)
    before = path.read_bytes()
    with pytest.raises(tr.Error, match="x has shape"):
        tagger().fit({**DATA, "x": DATA["x"][..., :1]}, checkpoint=path, progress=False)
    assert path.read_bytes() == before


def test_a_column_of_sequences_is_a_list_of_them():
    """As pandas has one: no NumPy array, of dtype object, with an index of its own."""

    class Column:
        def __init__(self, items):
            self.items, self.dtype, self.shape = items, np.dtype(object), (len(items),)

        def __array__(self, dtype=None, copy=None):
            found = np.empty(len(self.items), object)
            found[:] = self.items
            return found

        def __len__(self):
            return len(self.items)

        def __iter__(self):
            return iter(self.items)

        def __getitem__(self, at):
            raise KeyError(at)

    x, target = [row[:n] for row, n in zip(DATA["x"], (4, 3, 2, 1, 4), strict=True)], [
        row[:n] for row, n in zip(DATA["target"], (4, 3, 2, 1, 4), strict=True)]
    losses = [tagger().fit({"x": a, "target": b}, progress=False).loss for a, b in ((x, target), (
        Column(x), Column(target)))]
    assert losses[0] == losses[1]
    padded = data.padded({"x": Column(x)})
    assert padded["x"].shape == (5, 4, 2) and padded["lengths"].tolist() == [4, 3, 2, 1, 4]
    whole = {"x": Column([*DATA["x"]]), "target": Column([*DATA["target"]])}
    assert tagger().fit(whole, progress=False).loss == tagger().fit(DATA, progress=False).loss


@pytest.mark.parametrize(("weights", "grads", "kind", "message"), [
    (lambda m, g: g, lambda m, g: m.weights, ValueError, r"the weights come first: update\(model.weights, grads\)"),
    (lambda m, g: m.weights, lambda m, g: [*g.values()], TypeError, "the second of what .* gives, not list"),
    (lambda m, g: m.weights, lambda m, g: (0.0, g), TypeError, "the second of what value_and_grad gives, not tuple"),
])
def test_what_an_update_is_given_in_another_order(weights, grads, kind, message):
    model = tagger()
    found = model.value_and_grad(DATA)[1]
    with pytest.raises(tr.Error, match=message) as caught:
        tr.SGD(0.1).update(weights(model, found), grads(model, found))
    assert isinstance(caught.value, kind)


def test_columns_of_the_history():
    history = tagger().fit(DATA, epochs=2, batch_size=3, progress=False)
    assert history.rows["loss"] == history.loss and history.steps["step"] == [1, 2, 3, 4]
    with pytest.raises(KeyError, match=r"a row has no 'val_loss'; did you mean 'valid_loss'\?"):
        history.steps["val_loss"]


def test_a_gradient_that_something_holds_back_is_told_with_its_place():
    model = tr.equations("h[t] = tanh(W @ x[t] + U @ stop_gradient(h[t-1]))\nloss = mean(h[t] ** 2)", x=2, h=2)
    with pytest.raises(ValueError, match=r"no gradient passes stop_gradient in h\[t\]") as caught:
        model.check_gradient(x=DATA["x"])
    assert str(caught.value).splitlines()[-1].count("^") == len("stop_gradient(h[t-1])")
    free = tr.equations("h[t] = tanh(W @ x[t])\nk[t] = stop_gradient(x[t])\nloss = mean((h[t] - k[t]) ** 2)", x=2, h=2)
    assert free.check_gradient(x=DATA["x"])["W"] < 1e-6  # what is held back is data
