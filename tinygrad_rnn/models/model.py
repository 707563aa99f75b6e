"""The model: equations declared by text or in Python, and everything that falls out of them."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..above import viz
from ..arguments import flag, named
from ..attributes import OF_MODELS, Advised
from ..checkpoints import described, save_checkpoint
from ..errors import BadType, BadValue, Error, many
from ..keywords import told
from ..notation.declared import Pose, Sampling, posed
from ..notation.reader import read
from ..passes.autodiff import gradient
from ..passes.schedule import needed, schedule
from ..plans.feeds import apart
from ..plans.replay import Replay
from ..printing.printer import system_text
from ..printing.rows import WIDTH, block_latex, chosen
from ..system import System
from ..training.checking import check_gradient
from ..training.evaluate import evaluate
from ..training.fit import fit
from .decode import beam_search, stream
from .generate import check_sampling, generated
from .gradients import differentiated
from .result import Result, Trace, trace
from .running import Running
from .stepper import Stepper
from .summary import summary
from .weights import Weights, shapes

if TYPE_CHECKING:
    import networkx as nx

    from .profile import Profile
    from .unrolled import UnrolledModel


class Model(Running, Advised):
    """A recurrent network as its equations.

    Declared by `tr.equations(text)`, or in Python:

        m = Model("elman")
        x, h = m.input("x", 27), m.state("h", 64)
        h[t] = tanh(m.weight("W_hx") @ x[t] + m.weight("W_hh") @ h[t-1] + m.weight("b_h"))

    name: for titles and files; dtype: "float32" or "float64"; sizes: a keyword for each size that is given.
    """

    _elsewhere = OF_MODELS

    def __init__(self, name: str = "model", dtype: str = "float32", **sizes: Any):
        super().__init__(name, dtype, **sizes)
        self.meta: dict[str, str] = {}  # of a loaded model: the texts that were kept in the file

    @classmethod
    def of_system(cls, system: System, weights: Weights | None = None) -> Model:
        """A model from a system that a pass has made, sharing the weights of the one it was made from."""
        model = cls(system.name, system.dtype)
        model._system = system
        model._weights = weights
        return model

    def _forget(self) -> None:
        super()._forget()
        self._replays: dict[Any, Replay] = {}

    @told
    def extend(self, text: str, /, **sizes: Any) -> Model:
        """A model with the equations of this one and those of the text; weights of the same name keep their values."""
        if not isinstance(text, str):
            raise BadType(f"equations are text, not {type(text).__name__}")
        bigger = equations(f"{self}\n{inspect.cleandoc(text)}", name=self.name, dtype=self.dtype, **sizes)
        for name, shape in shapes(self.system).items():
            if bigger.weights.shapes.get(name) == shape:
                bigger.weights[name] = self.weights[name]
        return bigger

    def __reduce__(self) -> Any:
        """For copy and pickle: the same equations with weights of their own."""
        return _copied, (self.description(), self.weights.on_host(), self.adjoints, self.meta)

    # -- what it is --------------------------------------------------------------------------------

    def posed(self, pose: Pose) -> PosedModel:
        """The model in which declared data are given or drawn, as the pose says; it shares this model's weights."""
        return self.kept("poses", pose, lambda: PosedModel.of_pose(self, pose))

    def observing(self, data: Iterable[str] | None = None) -> Model:
        """The model in which declared data that are among the given names, or all, are inputs, with a loss."""
        if not self.declared:
            return self
        given = frozenset(self.declared if data is None else [n for n in self.declared if n in data])
        if not given and "loss" not in self.system.quantities:
            raise BadValue(f"the loss is of observed data; give {' or '.join(self.declared)}=...")
        return self.posed(Pose(given))

    @told
    def initialise(self, seed: int = 0, rules: Mapping[str, Any] | None = None) -> Model:
        """Draw every weight anew: matrices inside a loop orthogonal, others Glorot, vectors zero, but for `rules`.

        rules: a weight's name or a pattern such as "b_*" -> an initialiser, a number or an array.
        """
        self.weights.reset(seed, rules)
        return self

    def __str__(self) -> str:
        return system_text(self.system)

    def __repr__(self) -> str:
        try:
            system = self.system
        except Error as error:  # of a model that is still being written, which a prompt or a debugger may show
            return f"<Model {self.name}, not complete: {str(error).splitlines()[0]}>"
        counts = many(len(system.equations), "equation"), many(len(system.of_role("weight")), "weight")
        return f"<Model {self.name}: {', '.join(counts)}>"

    @told
    def latex(self, *, want: str | Iterable[str] | None = None, notation: str = "superscript",
              width: float | None = WIDTH) -> str:
        r"""The equations as an `aligned` environment of LaTeX, for between `\[` and `\]`; needs amsmath.

        want: names or patterns whose equations alone are shown, "d_*" those that `grad` has derived; by default all.
        notation: positions as a "superscript", h with <t>, or a "subscript", h with t below it. width: longer lines are
        broken, in ems of the text's font; 34 fit on a slide or an A4 page, a column of two takes 22, None breaks none.
        Raises BadName, BadValue and BadType.
        """
        return block_latex(chosen(self.system, want), self.system, notation, width)

    def summary(self) -> str:
        """Inputs, quantities and weights with their indices, shapes and numbers, as a table."""
        return summary(self.system)

    def __iter__(self) -> Any:
        raise BadType("a model is not gone through; model.weights has its weights by name, model.summary() shows all")

    def _instead_of(self, name: str) -> str:
        """What there is in place of an attribute."""
        known = self._system.quantities if self._system is not None else {}
        if name in known:
            return f"; model.weights[{name!r}] is it" if known[name].role == "weight" else f"; run(...)[{name!r}] is it"
        return super()._instead_of(name)

    def __call__(self, *data: Any, **inputs: Any) -> Any:
        raise BadType('a model is run by name: model.run(x=...)["y"]')

    # -- running -----------------------------------------------------------------------------------

    def run(self, data: Mapping[str, Any] | None = None, /, *, want: Iterable[str] | None = None, lengths: Any = None,
            steps: Any = None, state: Mapping[str, Any] | None = None, training: bool = False, seed: int = 0,
            check: bool = False, batch: int | None = None, stop: Any = None, temperature: float = 1.0,
            top_k: int | None = None, top_p: float | None = None, **inputs: Any) -> Result:
        """Compute named quantities at every position.

        inputs: arrays (batch, indices in left-hand order, features), or integers for one-hot vectors; data: a dict of
        them, which may hold the lengths too. want: names; by default everything that the given inputs determine.
        lengths: per example, for t or by index. steps: how far an index runs that no input carries. state: what an
        earlier run left. training: dropout acts. check: a NaN raises, named with where it first appears. batch: how
        many examples, where no input says it.

        Declared data, w[t] = categorical(p[t]), are observed where they are given, and drawn where they are not; if
        they are given for fewer positions than there are, they are kept and the rest is drawn; in a list of sequences
        each has its own length. seed: of the draws. stop: a class (or a dict of them by name) that ends an example,
        inclusive; `lengths` of the result say where.
        temperature: of the draws, 0 for the likeliest; top_k, top_p: only the k likeliest classes, or those that
        together have that share, are drawn from.
        Raises `Error` where what is given does not fit the model.
        """
        data, lengths = apart(self.system, data, lengths)
        data = self.given(data, inputs)
        options = {"lengths": lengths, "steps": steps, "training": training, "seed": seed, "check": check,
                   "batch": batch, "state": state}
        sampling = Sampling(temperature, top_k, top_p)
        check_sampling(self, sampling, stop)
        if self.declared:
            return generated(self, data, want, stop, sampling, **options)
        return self.ran(data, self.asked_for(want, data), **options)[0]

    def value_and_grad(self, data: Mapping[str, Any] | None = None, /, *, of: str = "loss",
                       wrt: Iterable[str] | None = None, lengths: Any = None, steps: Any = None,
                       state: Mapping[str, Any] | None = None, training: bool = False, seed: int = 0,
                       check: bool = False, memory: str | None = None,
                       **inputs: Any) -> tuple[Any, dict[str, Any]]:
        """The scalar `of` and its gradient with respect to every weight, or to the names of `wrt`.

        wrt: names of weights, inputs or other quantities; a pattern, such as "W_h?", stands for the weights it matches.
        Gradients have the shapes of what they are gradients of. memory: "sqrt" keeps only the states between
        segments of time and computes the rest again, see `fit`. Arguments otherwise as in `run`; raises
        as `run` does.
        """
        data, lengths = apart(self.system, data, lengths)
        merged = inputs if data is None else self.given(data, inputs)
        options = {"lengths": lengths, "steps": steps, "state": state, "training": training, "seed": seed,
                   "check": check, "memory": memory}
        if self.declared:
            return self.observing(merged).value_and_grad(merged, of=of, wrt=wrt, **options)
        with self.plans.alone:
            return differentiated(self, self._replays, merged, of, wrt, options)

    def trace(self, data: Mapping[str, Any] | None = None, /, *, of: str = "loss", **options: Any) -> Trace:
        """Everything that one run computes: inputs, quantities, and the gradient of `of` with respect to each of them.

        A dict of arrays; its `adjoints` say under which name the gradient of a quantity stands, as in `grad(of)`.
        `draw(values=...)` shows it. Arguments otherwise as in `run`.
        """
        given = {k: v for k, v in options.items() if k in self.system.quantities}
        data, options["lengths"] = apart(self.system, data, options.get("lengths"))
        data = self.given(data, given)
        return trace(self.observing(data), data, of, **{k: v for k, v in options.items() if k not in given})

    @told
    def grad(self, of: str = "loss", wrt: Iterable[str] | None = None) -> Model:
        """The derived equations, as a model: backpropagation through time, to print, draw, run, differentiate.

        wrt: names, or patterns of weights, as in `value_and_grad`; by default every weight. Its `adjoints` name the
        adjoint of each quantity. It shares this model's weights.
        """
        if not isinstance(of, str):
            raise BadType(f"of= is the name of a scalar, such as 'loss', not {of!r:.80}")
        if self.declared:
            return self.observing().grad(of, wrt)
        weights = self.system.of_role("weight")
        names = named("wrt", weights if wrt is None else wrt, weights)
        return self.kept("gradients", (of, names), lambda: self._derived(of, names))

    def _derived(self, of: str, names: tuple[str, ...]) -> Model:
        system, adjoints = gradient(self.system, of, names)
        derived = Model.of_system(system, self.weights)
        derived._declared.name = f"{self.name}_gradient"
        derived.adjoints = adjoints
        derived.plans.alone = self.plans.alone  # whoever runs this model uses its gradient's plans too
        return derived

    @told
    def unroll(self, steps: Any) -> UnrolledModel:
        """A graph without loops, for `steps` positions (or a dict of them by index): run it, draw it, to_networkx()."""
        from .unrolled import UnrolledModel

        return UnrolledModel(self, steps)

    @told
    def stepper(self, batch: int = 1, want: Iterable[str] | None = None, *, lengths: Any = None, seed: int = 0,
                temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
                **inputs: Any) -> Stepper:
        """For online use, the state kept inside: `step(x=x1)["y"]` computes one step; x1 is (batch, features).

        batch: how many examples go side by side. want: names; by default all whose only open index is time.
        inputs: those without an index of time, such as the sentence to translate, `stepper(batch=8, x=X)`, and lengths
        of their indices. Declared data that a step is not given are drawn, by seed, temperature, top_k and top_p as in
        `run`. `reset()` begins a new sequence, `state` is what the next step goes on from.
        """
        return Stepper(self, batch, want, inputs, lengths=lengths, seed=seed, temperature=temperature, top_k=top_k,
                       top_p=top_p)

    # Methods with all their arguments, for whoever asks a prompt for help.
    stream, beam_search, check_gradient = stream, beam_search, check_gradient
    fit, evaluate = fit, evaluate

    def profile(self, data: Mapping[str, Any] | None = None, /, *, of: str = "loss", wrt: Iterable[str] | None = None,
                gradient: bool = True, repeat: int = 5, lengths: Any = None, steps: Any = None, training: bool = False,
                seed: int = 0, **inputs: Any) -> Profile:
        """Where the time of a training step goes: print it, take `by_kind`, `by_name` or `rows`, or `draw` it.

        Each unit of the plan is timed in its place in the step, and the step as a whole, the least of `repeat` runs;
        what the units do not account for is called overhead. The whole batch runs on one thread, so that a unit's time
        is its own; checks of arguments are not counted. gradient=False: of computing `of` alone. Arguments otherwise as
        in `value_and_grad`. Raises `Error` as `value_and_grad` does, and for another backend than NumPy.
        """
        from .profile import profile

        flag("gradient", gradient)
        data, lengths = apart(self.system, data, lengths)
        data = self.given(data, inputs)
        return profile(self.observing(data), data, of=of, wrt=wrt, gradient=gradient, repeat=repeat,
                       lengths=lengths, steps=steps, training=training, seed=seed)

    # -- files -------------------------------------------------------------------------------------

    @told
    def save(self, path: str | os.PathLike[str], meta: Mapping[str, str] | None = None) -> Path:
        """Write equations and weights to one safetensors file, beside and renamed; `tr.load` reads it back.

        meta: texts of your own by name, kept in the file, `meta` of the model that is loaded. Raises BadFile where it
        cannot be written, BadType and BadValue for other meta.
        """
        arrays = {f"weight.{k}": v for k, v in self.weights.on_host().items()}
        save_checkpoint(path, arrays, described(self.description(), meta))
        return Path(path)

    def description(self) -> dict[str, str]:
        """What a file needs to build this model again."""
        return {"equations": str(self), "name": self.name, "dtype": self.dtype}

    # -- pictures ----------------------------------------------------------------------------------

    @told
    def draw(self, path: str | os.PathLike[str], view: str | None = None, steps: Any = None,
             **options: Any) -> Path:
        """Draw the model: view "folded", "unrolled" (a column a step), "backward", "cell", "attention" or "equations".

        The file's ending says the format; steps: how many columns. Further options as in `tinygrad_rnn.viz.draw`:
        `values=` what `run` or `trace` gave, to colour by it.
        """
        values = options.get("values")
        observed = view == "backward" or (isinstance(values, Mapping) and "loss" in values)
        seen = self.observing() if observed else self  # a loss and its gradient are of what was observed
        return viz().draw(seen, path, view=view, steps=steps, **options)

    def to_networkx(self) -> nx.MultiDiGraph[str]:
        """The folded graph: quantities, and arrows with their shifts, as a networkx.MultiDiGraph."""
        found: nx.MultiDiGraph[str] = viz().to_networkx(self.system)
        return found

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """In a notebook: the folded diagram beside the equations."""
        from html import escape

        try:
            self.system  # noqa: B018  (is it complete?)
        except Error:
            return {"text/plain": repr(self)}
        page = (f'<div style="display:flex;gap:2em;align-items:center;flex-wrap:wrap">{viz().svg(self)}'
                f"<pre>{escape(str(self))}</pre></div>")
        return {"text/html": page, "text/plain": str(self),
                "text/latex": rf"$\displaystyle {self.latex()}$"}


class PosedModel(Model):
    """A model whose declared data are given or drawn, as a pose says."""

    begun: dict[str, tuple[str, str]]
    peeks: dict[str, str]
    score: str | None

    @functools.cached_property
    def ordered(self) -> bool:
        """Can all be computed in one pass? Not where all later positions look at what is drawn at one."""
        try:
            schedule(needed(self.system, self.system.by_name))
        except BadValue:
            return False
        return True

    @classmethod
    def of_pose(cls, model: Model, pose: Pose) -> PosedModel:
        """The model in that pose, sharing the weights."""
        found = posed(model.system, pose)
        made = cls.of_system(found.system, model.weights)
        assert isinstance(made, PosedModel)
        made.begun, made.peeks, made.hidden, made.score = found.begun, found.peeks, found.hidden, found.score
        return made


def equations(text: str, /, *, name: str = "model", dtype: str = "float32", **sizes: Any) -> Model:
    """A model from equations as text.

    sizes: a keyword for each size that is given (`x=27, h=64, V=(10, 64), b=()`, or `l=3` for an index); the
    others follow. Raises `Error`, pointing at the term, for anything that the notation does not have.
    """
    model = Model(name, dtype, **sizes)
    model._declare(read(text))
    model.system  # noqa: B018  (a wrong model is told at once)
    return model


def of_description(about: Mapping[str, str]) -> Model:
    """The model of a description, which whoever made it was warned of."""
    model = Model(about["name"], about["dtype"])
    model._warns = False
    model._declare(read(about["equations"]))
    model.system  # noqa: B018  (a wrong file is told at once)
    return model


def _copied(about: Mapping[str, str], weights: Mapping[str, Any], adjoints: Mapping[str, str], meta: Mapping[str, str]
            ) -> Model:
    """The model of a description, with weights and, of a derived one, adjoints, and of a loaded one its texts."""
    model = of_description(about)
    model.weights.fill(weights)
    model.adjoints, model.meta = dict(adjoints), dict(meta)
    return model
