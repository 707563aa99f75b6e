"""What a call is told that has an argument which there is not: many are known by other names elsewhere."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from .errors import BadCall, BadName, BadType, near

# Arguments of other libraries, and what is written here: the first that begins with an argument which the function has,
# or with none, which is advice as it stands. {} is the value that was given.
_ROWS: tuple[tuple[str, ...], ...] = (
    ("lr learning_rate base_lr max_lr init_value initial_learning_rate",
     "lr={}", "optimizer=tr.Adam({})", "the rate is of the optimizer, as in tr.Adam(1e-3)"),
    ("scheduler lr_scheduler lr_schedule schedule",
     "lr=tr.Cosine(1e-3, steps=1000)", "optimizer=tr.Adam(tr.Cosine(1e-3, steps=1000))"),
    ("num_epochs n_epochs nb_epoch max_epochs n_iter max_iter iterations", "epochs={}"),
    ("steps_per_epoch", "an epoch goes once through all the data"),
    ("loss loss_fn criterion objective",
     "a loss is an equation of the model, loss = mean(squared_error(y[t], target[t])); of= names another one"),
    ("metrics metric scoring",
     'a figure of merit is an equation too: model.extend("accuracy = ...").evaluate(data, of="accuracy")'),
    ("validation_data val_data valid_data eval_data validation val_set eval_set val_loader val_dataloaders",
     "valid=..., data as they are given to fit"),
    ("validation_split", "valid=..., after train, valid = tr.data.split(data, 0.9, 0.1)"),
    ("callbacks callback", "on_epoch=..., a function that is called with the row of each epoch"),
    ("early_stopping early_stopping_rounds n_iter_no_change", "patience={}"),
    ("grad_clip clip_grad_norm gradient_clip_val max_grad_norm max_norm clipnorm clip_norm global_clipnorm",
     "clip={}", "max={}", "gradients are clipped by clip= in fit, or by tr.ClipNorm(1.0)(grads)"),
    ("clipvalue clip_value", "clip=tr.ClipValue({})", "max={}",
     "gradients are clipped by clip=tr.ClipValue({}) in fit"),
    ("verbose quiet show_progress progress_bar enable_progress_bar",
     "progress=True or progress=False", "a bar is shown by fit alone, unless it has progress=False"),
    ("device cuda gpu use_gpu accelerator map_location", 'tr.use_backend("cupy") computes on a GPU from then on'),
    ("batch batch_size mini_batch_size",
     "batch_size={}", "batch={}", "what is given is one batch; fit and evaluate take batch_size="),
    ("seq_len seq_length sequence_length max_len maxlen timesteps time_steps n_steps num_steps",
     "steps={}", "a model runs over sequences of any length"),
    ("mask masks attention_mask seq_lengths sequence_lengths input_lengths",
     "lengths=..., of each example, by which padding is told",
     "padding is told by lengths, of each example, in the data"),
    ("lengths", "lengths stand in the data, beside the inputs"),
    ("hidden_size hidden_dim hidden_units units num_units num_hidden n_hidden", "hidden={}"),
    ("input_size input_dim in_features n_inputs num_inputs input_shape", "inputs={}"),
    ("output_size output_dim out_features n_outputs num_outputs num_classes n_classes", "outputs={}", "size={}"),
    ("num_layers n_layers depth", "layers={}"),
    ("bidirectional", "a model of both directions is tr.graphs.bidirectional, or stack(both_ways(cell), ...)"),
    ("batch_first", "arrays are (batch, steps, features), always"),
    ("dropout dropout_rate recurrent_dropout p",
     "rate={}", "dropout stands in equations, as dropout(x[t], 0.5), and in tr.graphs.variational"),
    ("bias use_bias", "a bias is there where equations have it, so write your own"),
    ("activation act", "nonlinearity={}", "a nonlinearity stands in the equations, so write your own"),
    ("return_sequences", "run returns each name of want= at every step"),
    ("return_state", "what run returns has it, as out.state"),
    ("hx h0 h_0 initial_state init_state", "state=..., what an earlier run left in out.state"),
    ("stateful", "carry_state={}"),
    ("params parameters trainable argnums",
     "wrt=..., names of weights", "the weights are given to an optimizer by fit, or as update(model.weights, grads)"),
    ("random_state random_seed rng key generator", "seed={}"),
    ("weight_decay l2 decay", "weight_decay={}", "optimizer=tr.AdamW(1e-3, weight_decay={})",
     "decay is of tr.AdamW(1e-3, weight_decay={}) and tr.SGD, or a term of the loss"),
    ("filepath filename file save_path checkpoint_path ckpt_path ckpt", "path={}", "checkpoint={}"),
    ("log_dir logdir log_file logger", "log={}"),
    ("betas b1 b2", "beta1=0.9, beta2=0.999"),
    ("alpha decay_rate", "rho={}", "factor={}"),
    ("gamma", "factor={}"),
    ("step_size transition_steps", "every={}"),
    ("T_max decay_steps total_steps num_training_steps", "steps={}"),
    ("warmup_steps num_warmup_steps", "warmup={}", "steps={}"),
    ("eta_min min_lr end_value final_lr", "floor={}"),
    ("stddev scale sigma", "std={}"),
    ("dim dims", "axis={}", "axes={}"),
    ("keepdim keepdims",
     "keepdims={}", "in a model no axis is kept: a number goes with anything, and expand(z, 0, 4) repeats one"),
    ("beams num_beams beam_size beam_width", "width={}"),
    ("max_length max_new_tokens", "steps={}"),
    ("min a_min minimum", "low={}"),
    ("max a_max maximum", "high={}"),
    ("kernel_size pool_size window window_size", "size={}"),
    ("ignore_index", "where a position does not count a factor m[t] in the loss is 0; padding is told by lengths"),
    ("reduction", "mean(...) and sum(...) reduce what is given for each example and position"),
    ("min_freq min_count min_frequency", "least={}"),
    ("unk_token unk default_token oov_token", "unknown={}"),
    ("special_tokens special_symbols", "specials=[...]"),
    ("padding_value pad_value pad value", "fill={}"),
    ("test_size train_size fractions", "the shares stand one after another, as in split(data, 0.8, 0.2)"),
    ("stride shift hop step", "every={}"),
    ("sep separator", "delimiter={}"),
    ("encoding", "texts are UTF-8"),
    ("requires_grad", "tr.Tensor(data, requires_grad=True) is a tensor that gets gradients"),
)
OTHER_NAMES = {name: row[1:] for row in _ROWS for name in row[0].split()}
ASKED = ("want", "lengths", "steps", "state", "seed", "width")  # arguments of calls that take inputs too
BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
OWNERS = ("self", "cls", "model")  # of methods, also those that are written as functions of a model
Called = TypeVar("Called", bound=Callable[..., Any])


def meant(name: str, known: Collection[str], value: Any = ...) -> str:
    """'; write ...' or other advice for an argument that there is not: one of those known, or one of other libraries.

    value: what was given, where that is known.
    """
    for said in OTHER_NAMES.get(name, ()):
        argument, sign, _ = said.partition("=")
        if sign and argument.isidentifier() and argument not in known:
            continue
        return f"; {'write ' * argument.isidentifier()}{said.replace('{}', _brief(value))}"
    return near(name, known)


def _brief(value: Any) -> str:
    """A value as it is written, or dots where that is long."""
    shown = repr(value) if isinstance(value, (bool, int, float, str)) else ""
    return shown if 0 < len(shown) <= 40 else "..."


def check_elsewhere(given: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise BadName for what is given as an input, which the model has not, where it is an argument of other libraries.
    """
    for name, value in given.items():
        hint = meant(name, ASKED, value) if name not in known and name in OTHER_NAMES else ""
        if hint:
            raise BadName(f"there is no argument {name!r}, and the model has no such input{hint}")


def check_takes(what: str, called: Callable[..., Any], count: int, usage: str) -> None:
    """Raise BadType where a function that a person gives does not take `count` arguments by place, as in `usage`."""
    try:
        inspect.signature(called).bind(*[None] * count)
    except TypeError as error:
        raise BadType(f"{what}: {usage}; this one cannot be called so: {error}") from None
    except ValueError:
        pass  # nobody knows its arguments


def told(called: Called) -> Called:
    """A function, or a class, that says of a call which does not fit it what was meant, as BadCall.

    Only arguments that have no place are told here: what a function raises itself is left as it is.
    """
    if isinstance(called, type):
        called.__init__ = told(called.__init__)  # type: ignore[misc]
        return called

    @functools.wraps(called)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return called(*args, **named)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise  # from inside
            misfit = _misfit(inspect.signature(called), args, named) or str(error)
        name = type(args[0]).__name__ if called.__name__ == "__init__" else called.__name__
        raise BadCall(f"{name} {misfit}")

    return call  # type: ignore[return-value]


def _misfit(signature: inspect.Signature, args: Sequence[Any], named: Mapping[str, Any]) -> str:
    """Why a call does not fit: an argument that there is not, one too many, one twice, one that lacks."""
    own = list(signature.parameters.values())
    owner = own.pop(0).name if own and own[0].name in OWNERS else ""
    args = args[1:] if owner else args
    names, unnamed = [p.name for p in own], [p.name for p in own if p.kind in BY_PLACE]
    data, any_name = owner == "model" and "data" in names, any(p.kind is p.VAR_KEYWORD for p in own)
    for name in named:
        if name not in names and not any_name:
            hint = meant(name, names, named[name])
            if not hint and data and not args and "data" not in named:
                given = ", ".join(f"{other!r}: ..." for other in named if other not in names)
                hint = f"; data are one dict: {{{given}}}"
            return f"has no argument {name!r}{hint or f'; it takes {_listed(names)}'}"
    if len(args) > len(unnamed):
        hint = f"; by its name, as {names[len(unnamed)]}=..., stands any other" if len(names) > len(unnamed) else ""
        if data and not isinstance(args[0], Mapping):
            hint = '; data are one dict by the names of the inputs: {"x": ..., "target": ...}'
        return f"takes {_listed(unnamed)} by place, not {len(args)} arguments{hint}"
    for name, value in zip(unnamed, args, strict=False):
        if name in named:
            return (f"is given {name} twice, as {name}= and, by its place, {value!r:.40}; by place stand "
                    f"{_listed(unnamed)}")
    lacking = [f"{p.name}=" for p in own[len(args) :] if p.name not in named and p.default is p.empty
               and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return f"needs {' and '.join(lacking)}; it takes {_listed(names)}" if lacking else ""


def _listed(names: Collection[str]) -> str:
    return ", ".join(names) or "nothing"
