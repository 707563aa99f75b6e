"""Models from files."""

from __future__ import annotations

import os

from ..checkpoints import load_checkpoint
from ..errors import BadFile, about
from ..keywords import told
from .model import Model, of_description


@told
def load(path: str | os.PathLike[str]) -> Model:
    """The model of a file that `Model.save` or `fit` wrote: it describes itself. Its `meta` are the texts kept there.

    Raises BadFile where the file cannot be read or is another one.
    """
    arrays, meta = load_checkpoint(path)
    for key in ("equations", "name", "dtype"):
        if key not in meta:
            raise BadFile(f"{os.fspath(path)} has no {key}: it was not written by Model.save")
    weights = {k.removeprefix("weight."): v for k, v in arrays.items() if k.startswith("weight.")}
    with about(os.fspath(path)):
        model = of_description(meta)
        missing = [n for n in model.weights if n not in weights]
        if missing:
            raise BadFile(f"it lacks the weight {missing[0]}, which its equations need")
        model.weights.fill(weights)
    model.meta = {key: text for key, text in meta.items() if key not in {*model.description(), "fit"}}
    return model
