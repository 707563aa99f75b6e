"""What is said where an attribute is asked for that there is not: many are those of other libraries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import BadAttribute, near

_COPIED = 'tr.Tensor(x, dtype="float64") makes one of the values, through which no gradient passes'
_ON_GPU = 'tr.use_backend("cupy") computes on a GPU from then on, and tr.use_backend("numpy") on the processor'
_VALUES = "x.numpy() is an array of the values, which has it"
_SET = "nothing is changed in place: a = a + b is another tensor, tr.where(mask, a, b) chooses element by element"


def _table(*rows: tuple[str, str]) -> dict[str, str]:
    return {name: said for names, said in rows for name in names.split()}


OF_TENSORS = _table(
    ("view resize ravel", "x.reshape(2, -1)"),
    ("permute swapaxes t", "x.transpose(1, 0)"),
    ("unsqueeze", "tr.expand_dims(x, 0)"),
    ("astype to type float double half long int bool", _COPIED),
    ("cuda cpu device", _ON_GPU),
    ("tolist all any min argmax argmin argsort sort nonzero std var prod cumprod round copy nbytes strides flat",
     _VALUES),
    ("data", "x.detach() has the same values and no graph, x.numpy() is an array of them"),
    ("zero_grad zero_ retain_grad", "x.grad = None forgets a gradient"),
    ("requires_grad_ leaf is_leaf", "tr.Tensor(x, requires_grad=True) is a tensor that gets gradients"),
    ("clone", "tensors are not changed, so none is copied; x.detach() has no graph"),
    ("add_ sub_ mul_ div_ copy_ fill_ clamp_ put itemset", _SET),
    ("clamp", "tr.clip(x, low, high)"),
    ("pow square", "x ** 2"),
    ("mm bmm", "x @ y"),
    ("norm", "tr.sqrt((x * x).sum())"),
    ("assign", _SET),
    ("realize eval", "a value is computed when it is looked at"),
)
OF_QUANTITIES = _table(
    ("T mT t", "tr.transpose(W) is the transpose"),
    ("shape size ndim dtype", "sizes are known when the model is; model.summary() shows them"),
    ("numpy item value values data tolist", "a quantity has values when its model runs: model.run(...)"),
)
OF_MODELS = _table(
    ("parameters named_parameters params trainable_variables trainable_weights variables state_dict get_weights",
     "model.weights has the arrays by name"),
    ("load_state_dict set_weights", "model.weights.update({...}) sets arrays by name"),
    ("save_weights", "model.save(path) keeps equations and weights, np.savez(path, **model.weights) weights alone"),
    ("load load_weights", "tr.load(path) is the model of a file, model.weights.update({...}) sets arrays by name"),
    ("forward predict predict_proba transform apply call", 'model.run(x=...)["y"] computes y of x'),
    ("train", "model.fit(data) trains; dropout acts there, and with training=True"),
    ("eval", "nothing is switched: dropout acts in fit and with training=True alone"),
    ("to cuda cpu", _ON_GPU),
    ("compile build", "nothing is compiled beforehand: what is run first is"),
    ("zero_grad backward gradient gradients", "loss, grads = model.value_and_grad(x=..., target=...)"),
    ("loss score", "model.evaluate(data) is the loss of data, model.value_and_grad(...) has its gradients too"),
    ("freeze requires_grad_", "fit(..., wrt=[...]) names the weights to train, and leaves all others"),
    ("init initialize reset_parameters init_weights", "model.initialise(seed=0) draws the weights anew"),
    ("plot plot_model visualize", 'model.draw("model.svg") draws it'),
    ("step", "model.stepper() computes one step at a time"),
    ("sample generate", "model.run(steps=...) draws declared data, w[t] = categorical(p[t])"),
    ("add append", 'model.extend("y[t] = V @ h[t]") has more equations'),
)
OF_OPTIMIZERS = _table(
    ("learning_rate param_groups", "its rate is lr, a number or a schedule"),
    ("zero_grad", "gradients are new at each call, none adds up"),
    ("minimize apply_gradients apply step_", "update(model.weights, grads) does one step"),
    ("state_dict get_weights variables", "state() has it"),
    ("load_state_dict set_weights", "start(model.weights) and then load_state(state)"),
    ("init", "start(model.weights), which the first update does by itself"),
)
OF_VOCABULARIES = _table(
    ("stoi char2idx char_to_ix token_to_id word2idx get_stoi lookup_indices",
     "vocabulary.encode(symbols) numbers them"),
    ("itos idx2char ix_to_char id_to_token idx2word get_itos lookup_tokens vocab tokens chars",
     "vocabulary.symbols has them in the order of their numbers"),
    ("size vocab_size n n_vocab", "len(vocabulary) is how many there are"),
    ("fit fit_transform transform", "Vocabulary(symbols) is made of data, and encode(symbols) numbers them"),
)
OF_MODULE = _table(
    ("no_grad inference_mode", "nothing is kept for gradients: they are computed by backward(), tr.grad and "
     "value_and_grad when these are called"),
    ("tensor array from_numpy", "tr.Tensor(data) makes a tensor"),
    ("rand randn random uniform normal_ randint arange linspace eye full empty",
     "tr.Tensor(np....) makes a tensor of what NumPy makes"),
    ("manual_seed seed set_seed PRNGKey", "whatever draws has a seed= of its own, 0 by default"),
    ("cuda device cupy", _ON_GPU),
    ("nn Module LSTM GRU RNN lstm gru rnn Sequential layers",
     "tr.graphs has ready models, tr.equations(text) makes one's own"),
    ("optim optimizers", "optimizers are tr.SGD, tr.RMSProp, tr.Adam and tr.AdamW"),
    ("save", "model.save(path) writes a model"),
    ("DataLoader Dataset utils", "fit takes a dict of arrays, or an iterable of dicts; tr.data makes batches"),
    ("value_and_grad jit vmap", "tr.grad(loss, [a]) is the gradient of a tensor, model.value_and_grad(...) of a model"),
    ("float32 float64 int32 int64 bool", "a dtype is named in quotes, or is NumPy's"),
    ("pi e inf nan newaxis", "NumPy has it"),
)


class Advised:
    """An object that says of an attribute which it has not what there is in its place, by its table `_elsewhere`."""

    __slots__ = ()
    _elsewhere: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # to which they are missing

        def __getattr__(self, name: str) -> Any:
            if hasattr(type(self), name):  # a property, in which something is amiss: again, so that it is told
                return object.__getattribute__(self, name)
            if name.startswith("_"):  # whoever asks for these asks whether they are there
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise BadAttribute(f"{type(self).__name__} has no attribute {name!r}{self._instead_of(name)}")

    def _instead_of(self, name: str) -> str:
        """'; ...' where it is known what was meant."""
        return instead(name, self._elsewhere, dir(type(self)))


def absent(module: str, name: str, known: Collection[str], table: Mapping[str, str] | None = None) -> AttributeError:
    """The error where a module has no such name; for its `__getattr__`."""
    if name.startswith("__"):
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    return BadAttribute(f"{module} has no {name!r}{instead(name, table or {}, known)}")


def instead(name: str, table: Mapping[str, str], known: Collection[str]) -> str:
    """'; ...': what the table says of a name, or the one of those known that is nearest to it."""
    return f"; {table[name]}" if name in table else near(name, [one for one in known if not one.startswith("_")])
