"""Calls with arguments, and attributes, of other libraries: what is told is what to write here."""

from __future__ import annotations

import copy
import inspect
import math
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import keywords
from tinygrad_rnn.attributes import OF_MODELS, OF_MODULE, OF_TENSORS, Advised
from tinygrad_rnn.keywords import OTHER_NAMES, meant, told
from tinygrad_rnn.notation.functions import Function

TEXT = """
    h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t]
    loss = mean(squared_error(y[t], target[t]))
"""
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((4, 5, 3)), RNG.standard_normal((4, 5, 2))
DATA = {"x": X, "target": Y}


def small() -> tr.Model:
    return tr.equations(TEXT, x=3, h=4, y=2)


def ones(*shape: int) -> tr.Tensor:
    return tr.ones(shape)


CALLS = [
    # fit and evaluate
    (lambda: small().fit(DATA, lr=0.1), "fit has no argument 'lr'; write optimizer=tr.Adam(0.1)"),
    (lambda: small().fit(DATA, learning_rate=0.1), "write optimizer=tr.Adam(0.1)"),
    (lambda: small().fit(DATA, scheduler="cosine"), "write optimizer=tr.Adam(tr.Cosine(1e-3, steps=1000))"),
    (lambda: small().fit(DATA, num_epochs=3), "write epochs=3"),
    (lambda: small().fit(DATA, loss="mse"), "a loss is an equation of the model"),
    (lambda: small().fit(DATA, metrics=["mae"]), 'model.extend("accuracy = ...").evaluate(data, of="accuracy")'),
    (lambda: small().fit(DATA, validation_data=DATA), "write valid=..., data as they are given to fit"),
    (lambda: small().fit(DATA, validation_split=0.1), "tr.data.split(data, 0.9, 0.1)"),
    (lambda: small().fit(DATA, callbacks=[print]), "write on_epoch=..., a function"),
    (lambda: small().fit(DATA, verbose=0), "write progress=True or progress=False"),
    (lambda: small().fit(DATA, device="cuda"), 'tr.use_backend("cupy") computes on a GPU'),
    (lambda: small().fit(DATA, grad_clip=1.0), "write clip=1.0"),
    (lambda: small().fit(DATA, weight_decay=0.01), "write optimizer=tr.AdamW(1e-3, weight_decay=0.01)"),
    (lambda: small().fit(DATA, filepath="m.safetensors"), "write checkpoint='m.safetensors'"),
    (lambda: small().fit(DATA, lengths=[1, 2, 3, 4]), "lengths stand in the data"),
    (lambda: small().fit(DATA, sufle=True), "fit has no argument 'sufle'; did you mean 'shuffle'?"),
    (lambda: small().fit(DATA, foo=1), "fit has no argument 'foo'; it takes data, optimizer, epochs"),
    (lambda: small().fit(x=X, target=Y), "data are one dict: {'x': ..., 'target': ...}"),
    (lambda: small().fit(X, Y), 'data are one dict by the names of the inputs: {"x": ..., "target": ...}'),
    (lambda: small().fit(DATA, tr.Adam(0.1)), "by its name, as optimizer=..., stands any other"),
    (lambda: small().fit(), "fit needs data="),
    (lambda: small().evaluate(DATA, metrics=["mae"]), "a figure of merit is an equation too"),
    (lambda: small().evaluate(X, Y), "evaluate takes data by place, not 2 arguments"),
    (lambda: small().check_gradient(X, Y), "check_gradient takes data by place, not 2 arguments"),
    (lambda: small().check_gradient(X, 1, target=Y), "takes data by place, not 2 arguments; data are one dict"),
    # other methods of models
    (lambda: small().unroll(), "unroll needs steps="), (lambda: small().latex("y"), "as want=..., stands any other"),
    (lambda: small().draw(), "draw needs path="), (lambda: small().initialise(random_state=3), "write seed=3"),
    # files
    (lambda: small().save(filepath="m.safetensors"), "save has no argument 'filepath'; write path='m.safetensors'"),
    (lambda: tr.load("m.safetensors", map_location="cpu"), 'tr.use_backend("cupy") computes on a GPU'),
    # optimisers, schedules, clipping, laws
    (lambda: tr.Adam(learning_rate=0.1), "Adam has no argument 'learning_rate'; write lr=0.1"),
    (lambda: tr.Adam(betas=(0.9, 0.99)), "write beta1=0.9, beta2=0.999"),
    (lambda: tr.Adam(weight_decay=0.1), "decay is of tr.AdamW(1e-3, weight_decay=0.1) and tr.SGD"),
    (lambda: tr.AdamW(1e-3, epsilon=1e-8), "AdamW has no argument 'epsilon'; did you mean 'eps'?"),
    (lambda: tr.Adam(small().weights.values(), lr=1e-3), "Adam is given lr twice, as lr= and, by its place, V"),
    (lambda: tr.Adam(small().weights), "an optimizer is given its rate, as in Adam(1e-3), and no weights"),
    (lambda: tr.Adam(tr.Cosine), "the rate is the class Cosine; give one of it, Cosine(...)"),
    (lambda: tr.Adam(lambda: 1e-3), "def rate(step): ...; this one cannot be called so"),
    (lambda: tr.SGD(0.1, clipnorm=1.0), "gradients are clipped by clip= in fit"),
    (lambda: tr.Cosine(1e-3), "Cosine needs steps=; it takes lr, steps, warmup, floor"),
    (lambda: tr.Cosine(1e-3, T_max=10), "write steps=10"),
    (lambda: tr.StepDecay(1e-3, step_size=10), "write every=10"),
    (lambda: tr.Exponential(1e-3, gamma=0.9), "write factor=0.9"),
    (lambda: tr.ClipNorm(max_norm=1.0), "ClipNorm has no argument 'max_norm'; write max=1.0"),
    (lambda: tr.Normal(stddev=0.1), "write std=0.1"),
    (lambda: tr.Normal(0, 0.1), "Normal takes std by place, not 2 arguments"),
    # what declares a model in Python
    (lambda: tr.Model().input("x", 3, dtype="float32"), "input has no argument 'dtype'; it takes name, size"),
    (lambda: tr.Model().input("x", 3)[tr.t, 0:2], "feature slices go in a second: x[t][0:2]"),
    (lambda: math.tanh(tr.Model().input("x", 3)[tr.t]), "functions of it are tinygrad_rnn's, as tr.tanh"),
    (lambda: np.eye(3) @ tr.Model().input("x", 3)[tr.t], "matmul got a ndarray where a quantity or a number is "
     "expected; an array is given as an input"),
    (lambda: ones(3) + tr.Model().input("x", 3)[tr.t], "add is given a tensor and a quantity of a model"),
    # ready models and cells
    (lambda: tr.graphs.lstm(input_size=3), "lstm has no argument 'input_size'; write inputs=3"),
    (lambda: tr.graphs.lstm(hidden_size=4), "write hidden=4"), (lambda: tr.graphs.gru(units=4), "write hidden=4"),
    (lambda: tr.graphs.lstm(num_layers=2), "write layers=2"), (lambda: tr.graphs.lstm(seq_len=9), "of any length"),
    (lambda: tr.graphs.lstm(dropout=0.1), "dropout stands in equations"),
    (lambda: tr.graphs.lstm(bidirectional=True), "tr.graphs.bidirectional"),
    (lambda: tr.graphs.rnn(activation="relu"), "write nonlinearity='relu'"),
    (lambda: tr.graphs.stack("lstm", hidden=4), "stack needs inputs="),
    (lambda: tr.graphs.Cell("a", "h[t] = x[t]", hidden_size=3), "Cell has no argument 'hidden_size'; write hidden=3"),
    (lambda: tr.graphs.both_ways(), "both_ways needs cell="),
    # functions and methods of tensors
    (lambda: tr.sum(ones(2, 3), dim=1), "sum has no argument 'dim'; write axis=1"),
    (lambda: ones(2, 3).sum(dim=1), "sum has no argument 'dim'; write axis=1"),
    (lambda: tr.sum(ones(2, 3), keepdim=True), "write keepdims=True"),
    (lambda: tr.softmax(ones(2, 3), dim=1), "softmax has no argument 'dim'; write axis=1"),
    (lambda: tr.dropout(ones(3), p=0.5), "dropout has no argument 'p'; write rate=0.5"),
    (lambda: tr.zeros(3, requires_grad=True), "tr.Tensor(data, requires_grad=True)"),
    (lambda: tr.zeros(2, 3), "not 3; sizes stand in a tuple, such as (2, 3)"),
    # data
    (lambda: tr.data.streams(np.arange(9), batch_size=2, steps=3), "no argument 'batch_size'; write batch=2"),
    (lambda: tr.data.streams(np.arange(9), 2, 3, 4), "streams takes data, batch, steps by place, not 4 arguments"),
    (lambda: tr.data.split(np.arange(9), 0.5, 0.5, random_state=1), "no argument 'random_state'; write seed=1"),
]


@pytest.mark.parametrize(("call", "message"), CALLS)
def test_what_a_call_meant_is_told(call, message):
    with pytest.raises(TypeError) as caught:
        call()
    assert isinstance(caught.value, tr.Error) and message in str(caught.value)


@pytest.mark.parametrize(("name", "value", "message"), [
    ("batch_size", 2, "what is given is one batch"), ("device", "cuda", 'tr.use_backend("cupy")'),
    ("hx", X, "write state=..., what an earlier run left"), ("mask", X, "write lengths=..."),
    ("random_state", 3, "write seed=3"), ("verbose", 0, "a bar is shown by fit alone")])
def test_what_an_input_that_there_is_not_meant_is_told(name, value, message):
    for call in (small().run, small().value_and_grad):
        with pytest.raises(KeyError) as caught:
            call(x=X, target=Y, **{name: value})
        assert isinstance(caught.value, tr.Error) and message in str(caught.value)


def test_an_input_may_have_the_name_of_an_argument_elsewhere():
    model = tr.equations("h[t] = mask[t] * h[t-1] + x[t]", x=3, mask=3)
    assert model.run(x=X, mask=np.zeros((4, 5, 3)))["h"] == pytest.approx(X, rel=1e-6)


def test_arguments_of_the_notation_by_other_names():
    with pytest.raises(tr.Error, match=r"softmax has no argument 'dim'; write axis=\.\.\.\n"):
        tr.equations("h[t] = softmax(x[t], dim=0)", x=3)
    with pytest.raises(tr.Error, match="unknown function 'Linear'; write A @ z"):
        tr.equations("h[t] = Linear(x[t])", x=3)


def test_advice_names_what_the_function_has():
    """Each row's text begins with an argument, which some public function has, or is advice for all."""
    public = [*(getattr(tr, name) for name in tr.__all__), *tr.graphs.MODELS.values(), *(
        getattr(tr.data, name) for name in tr.data.__all__), tr.Model.fit, tr.Model.evaluate, tr.Model.run,
        tr.Model.beam_search, tr.Model.save, tr.Tensor.sum, tr.graphs.stack, tr.graphs.Cell]
    taken = {name for one in public if callable(one) for name in inspect.signature(one).parameters}
    taken |= {name for one in public if isinstance(one, Function) for name in one.taken}
    for name, said in OTHER_NAMES.items():
        assert said, name
        for text in said:
            argument, sign, _ = text.partition("=")
            if sign and argument.isidentifier():
                assert argument in taken, (name, text)
                assert meant(name, [argument], 1).startswith(f"; write {argument}=")


def test_told_leaves_calls_and_their_own_errors_alone():
    @told
    def given(data, *, seed=0, **rest):
        return data, seed, rest

    @told
    def failing(x):
        return len(x)

    assert given(1, seed=2, lr=3) == (1, 2, {"lr": 3})
    assert str(inspect.signature(given)) == "(data, *, seed=0, **rest)"
    with pytest.raises(TypeError, match="object of type 'int' has no len") as caught:
        failing(3)
    assert not isinstance(caught.value, tr.Error)
    assert keywords.told(tr.Adam) is tr.Adam and isinstance(tr.graphs.lstm(3, 4, 2), tr.Model)
    assert tr.graphs.lstm is tr.graphs.MODELS["lstm"]


def test_a_subclass_with_arguments_of_its_own_is_made():
    class Slow(tr.SGD):
        def __init__(self, lr, patience):
            super().__init__(lr)
            self.patience = patience

    assert Slow(0.1, 3).patience == 3 and Slow(0.1, 3).momentum == 0
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Slow(0.1)


# -- attributes --------------------------------------------------------------------------------------------

ATTRIBUTES = [
    (lambda: ones(3).view(3), "Tensor has no attribute 'view'; x.reshape(2, -1)"),
    (lambda: ones(3).astype("float64"), 'tr.Tensor(x, dtype="float64")'),
    (lambda: ones(3).flatten(), "tr.flatten(x) is a function"), (lambda: ones(3).shpe, "did you mean 'shape'?"),
    (lambda: small().parameters(), "Model has no attribute 'parameters'; model.weights has the arrays by name"),
    (lambda: small().predict(X), 'model.run(x=...)["y"] computes y of x'),
    (lambda: small().W, "model.weights['W'] is it"), (lambda: small().y, "run(...)['y'] is it"),
    (lambda: small().weights.W, "write weights['W']"), (lambda: small().run(x=X).y, "write result['y']"),
    (lambda: setattr(small().weights, "W", 0), "a weight is no attribute; write weights['W'] = ..."),
    (lambda: tr.Model().input("x", 3)[tr.t].sum(), "Node has no attribute 'sum'; tr.sum(x) is a function"),
    (lambda: tr.Model().weight("W").T, "Symbol has no attribute 'T'; tr.transpose(W) is the transpose"),
    (lambda: tr.Model().input("x", 3).shape, "model.summary() shows them"),
    (lambda: setattr(tr.Model(), "loss", tr.mean(tr.t)), "write model['loss'] = ..."),
    (lambda: tr.Adam().zero_grad(), "gradients are new at each call"),
    (lambda: setattr(tr.Adam(), "learning_rate", 1), "its rate is lr"),
    (lambda: small().fit(DATA, progress=False).history, "history.rows['loss'] is one column"),
    (lambda: tr.no_grad(), "nothing is kept for gradients"), (lambda: tr.equation("h[t] = x[t]"), "'equations'?"),
    (lambda: tr.min(ones(3)), "write minimum(a, b), or -max(-z, axis=0) of one value"),
    (lambda: tr.graphs.LSTM(3), "did you mean 'lstm'?"), (lambda: tr.data.vocabulary_, "did you mean 'Vocabulary'?"),
]


@pytest.mark.parametrize(("asked", "message"), ATTRIBUTES)
def test_what_an_attribute_meant_is_told(asked, message):
    with pytest.raises(AttributeError) as caught:
        asked()
    assert isinstance(caught.value, tr.Error) and message in str(caught.value)


def test_whoever_asks_whether_an_attribute_is_there_is_answered():
    model, tensor = small(), ones(3)
    for thing in (model, tensor, model.weights, tr.Adam(), model.run(x=X), tr, tr.graphs, tr.data):
        assert not hasattr(thing, "nothing_of_that_name") and not hasattr(thing, "_repr_javascript_")
        assert getattr(thing, "nothing_of_that_name", 3) == 3
    assert not hasattr(tensor, "__cuda_array_interface__")
    for made in (copy.copy(tensor), pickle.loads(pickle.dumps(tensor))):
        assert made.shape == (3,)
    assert pickle.loads(pickle.dumps(model)).weights == model.weights
    assert copy.deepcopy(tr.Adam(0.1)).lr == 0.1


def test_tables_name_only_what_there_is_not():
    assert not [name for name in OF_TENSORS if hasattr(tr.Tensor, name)]
    assert not [name for name in OF_MODELS if hasattr(tr.Model, name)]
    assert not [name for name in OF_MODULE if name in tr.__all__]


def test_an_error_in_a_property_is_that_error():
    class Broken(Advised):
        @property
        def value(self):
            return self.missing_in_here

    with pytest.raises(AttributeError, match="Broken has no attribute 'missing_in_here'"):
        Broken().value  # noqa: B018


def test_names_of_a_result_that_are_not_there():
    out = small().run(x=X)
    with pytest.raises(KeyError, match="there is no 'z' among what was run, h, y; want= says what is"):
        out["z"]
    assert out.get("z") is None and "z" not in out
