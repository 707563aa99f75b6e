"""An animation of the gradient on its way back: where it fades, and where it does not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.files import replacing, with_ending
from tinygrad_rnn.models.model import Model

from ..flow.flow import Flow, flows, worded

ENDINGS = (".gif", ".png", ".apng", ".html")
FIRST, STEP, LAST = 1200, 160, 3500  # milliseconds of a frame: before the gradient starts, on its way, at the end


def fading(models: Mapping[str, Model], data: Mapping[str, Any], path: str | os.PathLike[str], *, of: str = "loss",
           state: str | Mapping[str, str] | None = None, example: int | None = None, title: str = "") -> Path:
    """Show how the gradient of `of` comes back through each model, step by step, in a row of cells a model.

    A cell takes its colour when the gradient arrives, by its norm relative to where it started, on one logarithmic
    scale for all rows; the arrows are as wide and as strong as it is. path: ends in .gif, .png or .apng (both an
    animated PNG), or .html (one page that needs nothing else, with a slider). Above 30 steps only some are shown.

    Arguments otherwise as in `gradient_flow`, and every model must have as many steps. Raises `BadValue`, `BadName`,
    `BadType` or `BadFile` (all `tinygrad_rnn.Error`), naming the model at fault.
    """
    file, ending = with_ending("a picture", path, ENDINGS)
    found = flows(models, data, of, state, example)
    _check_steps(found)
    from . import frames as fading_frames
    from . import page as fading_page
    from . import scene as fading_scene  # matplotlib and Pillow take a while to import,

    picture = fading_scene.Picture(tuple(found), worded(title))
    write = {".gif": fading_frames.write_gif, ".html": fading_page.write}.get(ending, fading_frames.write_apng)
    times = [FIRST, *[STEP] * (picture.turns - 1), LAST]
    with replacing(file) as part:
        write(picture, part, times)
    return file


def _check_steps(found: list[Flow]) -> None:
    for flow in found:
        if flow.steps != found[0].steps:
            raise BadValue(f"the model {flow.label!r} has {flow.steps} steps and {found[0].label!r} has "
                           f"{found[0].steps}; to be seen side by side they need the same number")
