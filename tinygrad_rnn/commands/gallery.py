"""Ready models in every view, in a folder with an index page and a contact sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadValue
from ..files import replacing, with_ending, writable, writable_folder, write_atomic
from ..models.model import Model
from .catalogue import first, make, takes
from .tasks import given

SIZES = {"inputs": 8, "hidden": 6, "outputs": 8}
STEPS, MANY = 4, 60
SHEETS = (".png", ".pdf")
# A file for each: the view and how it is drawn. A model that lacks what a view shows has no such picture.
PICTURES: dict[str, dict[str, Any]] = {
    "folded": {}, "folded-gates": {"view": "folded", "detail": "gates"}, "equations": {}, "cell": {}, "attention": {},
    "unrolled": {"steps": 3}, "unrolled-closed": {"view": "unrolled", "detail": "closed", "steps": 5},
    "unrolled-long": {"view": "unrolled", "steps": MANY}, "backward": {"steps": 3},
}
COLOURED: dict[str, dict[str, Any]] = {
    "values": {"view": "unrolled"}, "gradient": {"view": "unrolled", "detail": "gates", "colour": "gradient"},
}
STYLE = """body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1a1a1a;background:#fff}
figure{display:inline-block;margin:0 1.5rem 1.5rem 0;vertical-align:top;max-width:100%}
img{max-width:100%;max-height:26rem;border:1px solid #ddd}pre{overflow:auto}figcaption{color:#555}"""


@dataclass(frozen=True)
class Entry:
    """A model of the gallery, and the pictures that were drawn of it, by name."""

    title: str
    model: Model
    pictures: dict[str, Path]
    page: Path


def draw_gallery(folder: Path, names: Iterable[str] = ()) -> list[Entry]:
    """Draw models into the folder, which is made where it is missing: those of the names, else the plainest.

    Raises `BadFile` where the folder cannot be made or written in, `BadValue` for a name that no model has.
    """
    models = list(_models(tuple(dict.fromkeys(names)) or first()))
    folder = writable_folder(folder)
    entries = [_entry(title, model, folder) for title, model in models]
    write_atomic(folder / "index.html", _index(entries).encode())
    return entries


def _models(names: Iterable[str]) -> Iterator[tuple[str, Model]]:
    for name in names:
        yield name, make(name, **SIZES)
    for name in names:
        if takes(name, "layers"):
            yield f"{name}, two layers", make(name, **SIZES, layers=2)


def _entry(title: str, model: Model, folder: Path) -> Entry:
    start = folder / title.replace(", ", "-").replace(" ", "-")
    drawn: dict[str, Path] = {}
    trace = model.trace(_inputs(model))
    for name, options in {**PICTURES, **{k: {**o, "values": trace} for k, o in COLOURED.items()}}.items():
        try:
            drawn[name] = model.draw(start.with_name(f"{start.name}-{name}.svg"), **{"view": name, **options})
        except BadValue:  # a view that the model lacks
            continue
    derived = start.with_name(f"{start.name}-derived.svg")
    drawn["derived"] = model.grad().draw(derived)
    return Entry(title, model, drawn, model.draw(start.with_name(f"{start.name}.html"), values=trace))


def _inputs(model: Model) -> dict[str, Any]:
    """Classes for every vector that goes in, as of a text; for numbers and images draws of a normal distribution."""
    rng, found = np.random.default_rng(0), {}
    for name in given(model):
        q = model.system.quantities[name]
        lead, shape = (1, *[STEPS] * len(q.slots)), q.type.shape
        found[name] = rng.integers(0, shape[0], lead) if len(shape) == 1 else rng.standard_normal((*lead, *shape))
    return found


def _index(entries: list[Entry]) -> str:
    parts = ["<!doctype html><html lang='en'><meta charset='utf-8'><title>Gallery</title>", f"<style>{STYLE}</style>",
             "<h1>Gallery</h1>"]
    for e in entries:
        parts += [f"<h2>{escape(e.title)}</h2><p><a href='{escape(e.page.name)}'>walk through it</a></p>",
                  f"<details><summary>equations</summary><pre>{escape(str(e.model))}</pre></details>"]
        parts += [f"<figure><a href='{escape(p.name)}'><img loading='lazy' src='{escape(p.name)}' "
                  f"alt='{escape(e.title)}: {escape(name)}'></a><figcaption>{escape(name)}</figcaption></figure>"
                  for name, p in e.pictures.items()]
    return "\n".join([*parts, "</html>", ""])


def sheet_file(path: Path) -> Path:
    """The path of a contact sheet. Raises `BadValue` for an ending that it cannot have, `BadFile` where it cannot be
    written."""
    return writable(with_ending("a contact sheet", path, SHEETS)[0])


def contact_sheet(entries: list[Entry], path: Path) -> Path:
    """All pictures of all models on one page: a row a model, a column a view; path ends in .png or .pdf."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    names = [n for n in (*PICTURES, "derived") if any(n in e.pictures for e in entries)]
    figure = Figure(figsize=(2.6 * len(names), 2.3 * len(entries)))
    grid = figure.subplots(len(entries), len(names), squeeze=False)
    for row, e in zip(grid, entries, strict=True):
        for axes, name in zip(row, names, strict=True):
            axes.axis("off")
            if name in e.pictures:
                axes.imshow(imread(_as_png(e, name)), interpolation="antialiased")
                axes.set_title(f"{e.title}: {name}", fontsize=6)
    figure.tight_layout(pad=0.6)
    with replacing(sheet_file(path)) as part:
        figure.savefig(part, dpi=200)
    return path


def _as_png(entry: Entry, name: str) -> Path:
    """The picture once more, beside the other."""
    path = entry.pictures[name].with_suffix(".png")
    options = {"view": name, **PICTURES[name]} if name in PICTURES else {}
    return (entry.model if name in PICTURES else entry.model.grad()).draw(path, **options)
