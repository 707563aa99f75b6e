"""Where training leaves what it has come to: its checkpoint and its log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..arguments import real
from ..checkpoints import described
from ..files import writable
from .history import Log

if TYPE_CHECKING:
    from ..models.model import Model


class Files:
    """checkpoint, log: paths or None; about: what the checkpoint says of the model."""

    def __init__(self, model: Model, checkpoint: Any, save_every: float, log: Any, meta: Mapping[str, str] | None):
        self.checkpoint = None if checkpoint is None else writable(checkpoint)
        self.log = None if log is None else Log(writable(log))
        self.save_every = real("save_every", save_every, at_least=0)
        unused = checkpoint is None and meta is None
        self.about = {} if unused else described({**model.description(), "fit": ""}, meta)
        self.saved = time.monotonic()

    def due(self) -> bool:
        """Is it time for a checkpoint?"""
        return self.checkpoint is not None and time.monotonic() - self.saved > self.save_every
