"""A page for every ready model, in Markdown: pictures, equations, weights, and what it learns of a small task."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadValue
from ..files import writable_folder, write_atomic
from ..models.model import Model
from ..printing.printer import equation_text
from ..training.optim import Adam
from . import catalogue, training_figure
from .tasks import Task, task_of

# A picture for each row: its title, and how it is drawn. A model that lacks what a view shows has no such picture.
PICTURES: dict[str, dict[str, Any]] = {
    "folded": {}, "unrolled": {"steps": 3, "detail": "closed"}, "cell": {}, "attention": {},
}
EXAMPLES, EPOCHS, BATCH = 512, 60, 32
SECTIONS = ("Sizes", "Raises", "Source", "Sources")


@dataclass(frozen=True)
class Page:
    """A page that was written: the model's name, the file, its first picture, the numbers of the contact table."""

    name: str
    file: Path
    picture: Path
    weights: int
    loss: float
    task: Task


def write_pages(folder: Path, names: list[str] | None = None,
                say: Callable[[str], None] = lambda line: None) -> Path:
    """Write a page for each model, and with all of them the index; returns the index's path, or the one page's.

    Each model is drawn, trained on the small task of its kind, and described. Raises `BadFile` where the folder cannot
    be made or written in, `BadValue` for a name that no model has.
    """
    folder = writable_folder(folder)
    pages = []
    for name in names or catalogue.models():
        pages.append(_page(name, folder))
        say(f"{name:<14} {pages[-1].weights:>8,} weights, loss {pages[-1].loss:.3g}")
    if names:
        return pages[-1].file
    return write_atomic(folder / "README.md", _index(pages).encode())


def variants(name: str) -> Iterator[tuple[str, str, Any]]:
    """The model with each other value of one of its options: a title, the option, the value.

    Values that are names of models have pages of their own; those that change only sizes need none.
    """
    own = _lines(catalogue.make(name))
    for option, values in catalogue.choices(name).items():
        for value in values:
            if value not in catalogue.models() and _lines(catalogue.make(name, **{option: value})) != own:
                yield f"{option}={value!r}", option, value


def _lines(model: Model) -> list[str]:
    return [equation_text(eq) for eq in model.system.equations]


def _stem(name: str, option: str, value: Any) -> str:
    """How the files of a variant are called."""
    return f"{name}-{'' if value else 'no-'}{option}" if isinstance(value, bool) else f"{name}-{value}".lower()


def _page(name: str, folder: Path) -> Page:
    plain = catalogue.make(name)
    task = task_of(plain)
    drawn = _drawn(plain, folder, name)
    weights, table = _weights(plain)
    loss = _trained(catalogue.make(name, **task.sizes), task, folder / f"{name}-training.png")
    parts = [f"# {name}", *_described(name), *_pictures(name, drawn), "## Equations", *_equations(plain),
             "## Weights", *table, "## Training", *_training(name, task, loss)]
    for title, option, value in variants(name):
        other = catalogue.make(name, **{option: value})
        drawn_too = _drawn(other, folder, _stem(name, option, value))
        parts += [f"## {title}", *_pictures(f"{name}, {title}", drawn_too), *_equations(other)]
    parts.append("[All models](README.md)")
    file = write_atomic(folder / f"{name}.md", ("\n\n".join(parts) + "\n").encode())
    return Page(name, file, drawn["folded"], weights, loss, task)


def _drawn(model: Model, folder: Path, stem: str) -> dict[str, Path]:
    drawn = {}
    for view, options in PICTURES.items():
        if view == "unrolled" and not model.system.ranges:  # it would be the folded one again
            continue
        try:
            drawn[view] = model.draw(folder / f"{stem}-{view}.svg", view=view, **options)
        except BadValue:  # a view that the model lacks
            continue
    return drawn


def _trained(model: Model, task: Task, picture: Path) -> float:
    """Train, draw the curve and what was learnt, and return the last loss."""
    history = model.fit(task.make(np.random.default_rng(0), EXAMPLES), optimizer=Adam(task.rate), epochs=EPOCHS,
                        batch_size=BATCH, progress=False)
    training_figure.draw(model, task, history, picture)
    return history.loss[-1]


def _described(name: str) -> list[str]:
    """The docstring as Markdown: its paragraphs, with sizes and sources apart."""
    text = catalogue.description(name)
    for section in SECTIONS:
        for before in ("\n", " "):
            text = text.replace(f".{before}{section}: ", f".\n\n**{section}**: ")
    return [text, "```python\n" + f"model = tr.graphs.{name}{_signature(name)}\n```"]


def _signature(name: str) -> str:
    parameters = inspect.signature(catalogue.models()[name]).parameters.values()
    return "(" + ", ".join(f"{p.name}={p.default!r}" for p in parameters) + ")"


def _pictures(title: str, drawn: dict[str, Path]) -> list[str]:
    return [f"![{title}, {view}]({path.name})" for view, path in drawn.items()]


def _equations(model: Model) -> list[str]:
    return ["```\n" + str(model) + "\n```", "```math\n" + model.latex().strip() + "\n```"]


def _weights(model: Model) -> tuple[int, list[str]]:
    """How many there are, and a table of them."""
    shapes = model.weights.shapes
    total = sum(map(math.prod, shapes.values()))
    head = ["| weight | shape | numbers |", "|---|---|--:|"]
    rows = [f"| `{name}` | {' × '.join(map(str, shape)) or '1'} | {math.prod(shape):,} |"
            for name, shape in shapes.items()]
    return total, ["As it is made without arguments:", "\n".join([*head, *rows, f"| | | **{total:,}** |"])]


def _training(name: str, task: Task, loss: float) -> list[str]:
    chance = "" if math.isnan(task.chance) else f"; knowing nothing would cost {task.chance:.2f}"
    return [f"The task: {task.what}. {EXAMPLES} examples, {EPOCHS} epochs of Adam, rate {task.rate}. The loss at the "
            f"end is {loss:.3g}{chance}.",
            f"![{name}: the loss of each epoch, and what it says of examples not seen before]({name}-training.png)"]


def _index(pages: list[Page]) -> str:
    """The index with its contact table: four models a row."""
    lines = ["# Ready models", "", "Each is a function in `tinygrad_rnn.graphs` that returns declared equations: the "
             "picture, the gradient and the training step fall out of them. `tinygrad-rnn models --pages docs/models` "
             "makes these pages.", "", "<table>"]
    for start in range(0, len(pages), 4):
        lines.append("<tr>")
        lines += [f'<td align="center" valign="bottom"><a href="{p.file.name}"><img src="{p.picture.name}" '
                  f'alt="{p.name}" width="200"><br><code>{p.name}</code></a></td>' for p in pages[start : start + 4]]
        lines.append("</tr>")
    lines += ["</table>", "", "| model | what it is | weights | loss | of chance | task |", "|---|---|--:|--:|--:|---|"]
    for p in pages:
        chance = "" if math.isnan(p.task.chance) else f"{p.task.chance:.2f}"
        what = catalogue.summary(p.name).replace("|", r"\|")
        lines.append(f"| [{p.name}]({p.file.name}) | {what} | {p.weights:,} | {p.loss:.3g} | {chance} | "
                     f"{p.task.what} |")
    return "\n".join([*lines, "", "Weights are those of the model as it is made without arguments; the loss is that of "
                      f"the task after {EPOCHS} epochs on {EXAMPLES} examples.", ""])
