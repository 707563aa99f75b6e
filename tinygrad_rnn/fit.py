"""Training: the loss and its gradients by one plan, clipping and update in place, checkpoints, early stopping."""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from . import backends
from .arguments import real, whole
from .batches import Batch, Batches, Stream, as_batches, positions, segments
from .clipping import ClipNorm
from .errors import BadFile, BadType, BadValue
from .feeding import Feeding
from .feeds import apart, check_memory, on_host, prepared
from .files import as_path, load_checkpoint, replacing, save_checkpoint
from .node import refs
from .optim import Adam, Optimizer
from .places import on_device
from .rates import rate_at, schedule
from .schedule import needed
from .stages import check_cut
from .updates import Training

if TYPE_CHECKING:
    from .model import Model

SHOWN_EVERY = 0.1  # seconds between two looks at the loss while training goes on
COLUMNS = ("step", "epoch", "loss", "valid_loss", "lr", "gradient_norm", "seconds")


@dataclass
class History:
    """What `fit` saw: one row per epoch, and one per update in `steps`, with the columns of the CSV log."""

    rows: list[dict[str, float]] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)

    @property
    def loss(self) -> list[float]:
        """The mean training loss of each epoch."""
        return [row["loss"] for row in self.rows]

    @property
    def valid_loss(self) -> list[float]:
        """The validation loss after each epoch."""
        return [row["valid_loss"] for row in self.rows]


def fit(model: Model, data: Any, *, optimizer: Optimizer | None = None, epochs: int = 1, of: str = "loss",
        wrt: Iterable[str] | None = None, valid: Any = None, clip: Any = None, carry_state: bool = False,
        truncate: int | None = None, memory: str | None = None, scheduled_sampling: Any = None, batch_size: int = 32,
        shuffle: bool = True,
        patience: int | None = None, seed: int = 0, progress: bool = True, log: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None, save_every: float = 30.0, resume: bool = False,
        meta: Mapping[str, str] | None = None, on_epoch: Callable[[dict[str, float]], None] | None = None) -> History:
    """Minimise `of` over the data; the weights change in place.

    data: a dict of arrays (and "lengths"), cut into shuffled batches of `batch_size`; or of lists of sequences, sorted
    into buckets by length and padded; or an iterable of such dicts.
    optimizer: Adam(1e-3) by default. clip: a number (global norm), ClipNorm or ClipValue. wrt: the weights to
    train, all by default. carry_state: each batch goes on from the state that the one before it left (no gradient
    passes). truncate: cut batches into segments of so many steps with the state carried between them (truncated
    BPTT). memory: "sqrt" for long sequences: only the states between segments of about sqrt(T) steps are kept, and each
    segment is computed again on the way back; the same gradients in memory in proportion to sqrt(T), for one more pass
    forward. It takes models that read no future. scheduled_sampling: the share of declared data, such as
    w[t] = categorical(p[t]), that is fed back as drawn by the model rather than as given: a number, or a function of
    the number of updates done (Bengio et al. 2015, "Scheduled Sampling for Sequence Prediction with Recurrent Neural
    Networks", section 2.4); the loss is of the given data always. valid: data whose loss is taken after each epoch.
    patience: stop after so many epochs without a better loss, and put the best weights back. log: a CSV file, one row
    per update. checkpoint: a safetensors file, written beside and renamed, every `save_every` seconds and after each
    epoch; resume: go on from it exactly. on_epoch: called with the row of each epoch.
    Raises `Error` for data that do not fit the model, and where the loss is no longer finite.
    """
    optimizer = Adam(1e-3) if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise BadType(f"optimizer is one of SGD, RMSProp, Adam, AdamW, not {optimizer!r}")
    if isinstance(epochs, bool) or not hasattr(epochs, "__index__") or epochs < 0:
        raise BadValue(f"epochs is a whole number, at least 0, not {epochs!r}")
    if not isinstance(shuffle, bool):
        raise BadType(f"shuffle is True or False, not {shuffle!r}")
    if on_epoch is not None and not callable(on_epoch):
        raise BadType(f"on_epoch is called with the row of each epoch, and this is {on_epoch!r}")
    seed = whole("seed", seed, at_least=0)
    trainer = _Trainer(model, optimizer, of, wrt, clip, carry_state or truncate is not None, truncate, seed,
                       memory, scheduled_sampling)
    trainer.batches = as_batches(data, batch_size, shuffle, seed, model.system)
    trainer.valid = None if valid is None else as_batches(valid, batch_size, False, seed, model.system)
    trainer.files = _Files(checkpoint, save_every, log, dict(meta or {}))
    trainer.carry_over = carry_state
    trainer.look_ahead()
    if resume:
        trainer.resume()
    return trainer.train(int(epochs), patience, progress, on_epoch)


class _Files:
    """Where training leaves its checkpoint and log."""

    def __init__(self, checkpoint: Any, save_every: float, log: Any, meta: dict[str, str]):
        self.checkpoint = None if checkpoint is None else as_path(checkpoint)
        self.log = None if log is None else as_path(log)
        self.save_every, self.meta = real("save_every", save_every, at_least=0), meta
        self.saved = time.monotonic()

    def due(self) -> bool:
        return self.checkpoint is not None and time.monotonic() - self.saved > self.save_every


class _Trainer:
    batches: Batches | Stream
    valid: Batches | Stream | None
    files: _Files
    carry_over: bool

    def __init__(self, model: Model, optimizer: Optimizer, of: str, wrt: Iterable[str] | None, clip: Any, carries: bool,
                 truncate: int | None, seed: int, memory: str | None = None, scheduled_sampling: Any = None):
        self.model, self.optimizer, self.of, self.seed = model, optimizer, of, seed
        self.clip = ClipNorm(clip) if isinstance(clip, (int, float)) and not isinstance(clip, bool) else clip
        if self.clip is not None and not callable(self.clip):
            raise BadType(f"clip is a number, ClipNorm or ClipValue, not {clip!r}")
        self.names = model.weights.in_order(model.weights if wrt is None else wrt)
        self.seen = model.observing()
        self.feeding = None if scheduled_sampling is None else Feeding(model, scheduled_sampling, seed)
        self.derived = (self.seen if self.feeding is None else self.feeding.model).grad(of, self.names)
        self.carries, self.truncate = carries, truncate
        if carries:
            _check_carries(self.seen, of)
        self.memory = memory
        check_memory(memory)
        if memory is not None:
            check_cut(self.seen.system, of, carries)
        self.weights = {name: model.weights.arrays[name] for name in self.names}
        optimizer.start(self.weights, backends.current().xp)
        adjoints = {name: self.derived.adjoints[name] for name in self.names}
        self.updates = backends.current().updates(Training(of, adjoints, self.weights, self.clip, optimizer))
        # Updates whose numbers nobody has looked at yet: what there was before each, its positions and its row.
        self.waiting: list[tuple[int, Any, int, dict[str, float]]] = []
        self.checked = False  # are the targets of all batches known to be classes?
        self.epoch, self.done, self.step = 0, 0, 0  # epochs finished, batches of this one done, updates
        self.state: dict[str, Any] | None = None
        self.totals = [0.0, 0]
        self.history = History()
        self.best: tuple[float, int, dict[str, Any]] | None = None
        self.started = self.shown = time.monotonic()
        self.before = 0.0  # seconds spent before a resume

    def look_ahead(self) -> None:
        """Check the classes of data that lie on a GPU as a whole, so that no batch has to be waited for."""
        data = self.batches.data if isinstance(self.batches, Batches) else {}
        if "lengths" in data:
            data["lengths"] = on_host(data["lengths"])
        if self.feeding is None and any(on_device(value) for name, value in data.items() if name != "lengths"):
            inputs, lengths = apart(self.seen.system, data, None)
            assert inputs is not None
            prepared(self.derived.system, (self.of,), inputs, lengths=lengths, training=True)
            self.checked = True

    # -- the loop ----------------------------------------------------------------------------------

    def train(self, epochs: int, patience: int | None, progress: bool,
              on_epoch: Callable[[dict[str, float]], None] | None) -> History:
        try:
            while self.epoch < epochs and not self._stalled(patience):
                self._epoch(epochs, progress)
                row = self._close_epoch()
                if on_epoch is not None:
                    on_epoch(row)
        finally:
            self._save()
        if patience is not None and self.best is not None:
            for name, value in self.best[2].items():
                self.model.weights[name] = value
            self._save()
        return self.history

    def _epoch(self, epochs: int, progress: bool) -> None:
        skip = self.done
        with tqdm(total=self.batches.count(), initial=skip, desc=f"epoch {self.epoch + 1}/{epochs}", unit="batch",
                  disable=not progress, dynamic_ncols=True) as bar:
            for number, batch in enumerate(self.batches.epoch(self.epoch)):
                if number < skip:
                    continue
                self._batch(batch)
                self.done = number + 1
                bar.update()
                if progress and time.monotonic() - self.shown > SHOWN_EVERY:
                    self._settle()
                    self.shown = time.monotonic()
                    bar.set_postfix(loss=f"{self.history.steps[-1]['loss']:.4f}", refresh=False)
                if self.files.due():
                    self._save()
        self._settle()
        if self.totals[1] == 0:
            raise BadValue("there are no batches to train on")

    def _batch(self, batch: Batch) -> None:
        if not self.carry_over:
            self.state = None
        for part in segments(self.seen.system, batch, self.truncate):
            lengths = part.pop("lengths", None)
            if self.state is not None and any(len(v) != len(next(iter(part.values()))) for v in self.state.values()):
                raise BadValue("a batch has another number of examples than the one whose state it goes on from")
            before = self.state
            self._update(part, lengths)
            count = positions(self.seen.system, {**part, **({} if lengths is None else {"lengths": lengths})})
            self.step += 1
            self.waiting.append((self.done, before, count, self._row()))
            if len(self.waiting) >= self.updates.wait:
                self._settle()

    def _settle(self) -> None:
        """Look at the numbers of the updates since the last time: this is where the host waits for a GPU.

        Where a loss was not finite, nothing was changed from that update on. One that was interrupted on its way has
        been seen and does not count.
        """
        waiting, self.waiting = self.waiting, []
        for (loss, norm), (done, state, count, row) in zip(self.updates.seen(), waiting, strict=False):
            if not math.isfinite(loss):
                self.done, self.step, self.state = done, int(row["step"]) - 1, state
                raise BadValue(f"the loss is {loss} at update {row['step']}; lower the learning rate, clip the "
                               "gradients, or look for the first NaN with run(..., check=True)")
            self.totals[0] += loss * count
            self.totals[1] += count
            self.history.steps.append({**row, "loss": loss, "gradient_norm": norm})

    def _update(self, data: Batch, lengths: Any) -> None:
        derived, adjoints = self.derived, self.derived.adjoints
        want = (self.of, *(adjoints[name] for name in self.names))
        if self.feeding is not None:
            data = self.feeding.mixed(data, self.step)
        config, feed = prepared(derived.system, want, data, lengths=lengths, state=self.state, training=True,
                                seed=self.seed, step=self.step, memory=self.memory, classes=not self.checked)
        plan = derived._plans.get(derived.system, config, self.model.weights)
        self.updates(plan, feed)
        if self.carries:
            self.state = plan.state()

    def _row(self) -> dict[str, float]:
        return {"step": self.step, "epoch": self.epoch + 1, "loss": math.nan, "valid_loss": math.nan,
                "lr": rate_at(schedule(self.optimizer.lr), self.step - 1), "gradient_norm": math.nan,
                "seconds": self.before + time.monotonic() - self.started}

    def _close_epoch(self) -> dict[str, float]:
        loss = self.totals[0] / self.totals[1]
        valid = math.nan if self.valid is None else self.evaluate(self.valid)
        self.history.steps[-1]["valid_loss"] = valid
        row = {**self.history.steps[-1], "loss": loss}
        self.history.rows.append(row)
        self.epoch, self.done, self.totals, self.state = self.epoch + 1, 0, [0.0, 0], None
        judged = loss if self.valid is None else valid
        if self.best is None or judged < self.best[0]:
            to_host = backends.current().to_host
            self.best = (judged, self.epoch, {k: np.array(to_host(v)) for k, v in self.weights.items()})
        self._save()
        return row

    def _stalled(self, patience: int | None) -> bool:
        return patience is not None and self.best is not None and self.epoch - self.best[1] >= patience

    def evaluate(self, batches: Batches | Stream) -> float:
        """The mean loss over batches, weighted by their valid positions, dropout off."""
        total, count, state = 0.0, 0, None
        for batch in batches.epoch(0):
            lengths = batch.get("lengths")
            data = {k: v for k, v in batch.items() if k != "lengths"}
            out, _ = self.seen._ran(data, (self.of,), state=state, lengths=lengths, memory=self.memory)
            state = out.state if self.carry_over else None
            weight = positions(self.seen.system, batch)
            total, count = total + float(out[self.of]) * weight, count + weight
        if not count:
            raise BadValue("there are no validation batches")
        return total / count

    # -- checkpoints -------------------------------------------------------------------------------

    def _save(self) -> None:
        self._settle()
        self.files.saved = time.monotonic()
        if self.files.log is not None:
            self._write_log(self.files.log)
        if self.files.checkpoint is None:
            return
        to_host = backends.current().to_host
        arrays = {f"weight.{k}": to_host(v) for k, v in self.model.weights.arrays.items()}
        arrays |= {f"optimizer.{k}": to_host(v) for k, v in self.optimizer.state().items()}
        arrays |= {f"state.{k}": to_host(v) for k, v in (self.state or {}).items()}
        if self.best is not None:
            arrays |= {f"best.{k}": v for k, v in self.best[2].items()}
        threads = self.derived._plans.threads or backends.current().threads()  # sums in parts: they enter the bits
        progress = {"threads": threads, "backend": backends.backend(), "choices": backends.current().choices(),
                    "totals": self.totals, "epoch": self.epoch, "done": self.done, "step": self.step,
                    "carried": self.state is not None, "best": None if self.best is None else self.best[:2],
                    "rows": self.history.rows, "seconds": self.before + time.monotonic() - self.started,
                    "steps": [list(row.values()) for row in self.history.steps]}
        meta = {**self.files.meta, **self.model.description(), "fit": json.dumps(progress)}
        save_checkpoint(self.files.checkpoint, arrays, meta)

    def _write_log(self, path: Path) -> None:
        with replacing(path) as part, open(part, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in self.history.steps)

    def resume(self) -> None:
        """Go on from the checkpoint: weights, optimiser, carried state, place in the data."""
        path = self.files.checkpoint
        if path is None:
            raise BadValue("resume=True needs checkpoint=, the file to go on from")
        arrays, meta = load_checkpoint(path)
        if meta.get("equations") != str(self.model):
            raise BadFile(f"{path} holds another model; resume with the one that it was written for:\n"
                          f"{meta.get('equations', '(no equations)')}")
        if "fit" not in meta:
            raise BadFile(f"{path} was saved without the state of its training; load it with tr.load and fit anew")
        progress = json.loads(meta["fit"])

        def part(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        for name, value in part("weight.").items():
            self.model.weights[name] = value
        self.optimizer.load_state(part("optimizer."))
        self.state = part("state.") if progress["carried"] else None
        self.epoch, self.done, self.step, self.totals = (progress[k] for k in ("epoch", "done", "step", "totals"))
        self.before = progress["seconds"]
        if progress.get("backend", "numpy") == backends.backend():  # what another one chose means nothing here
            self.derived._plans.threads = progress.get("threads")
            backends.current().choices().update(progress.get("choices", {}))
        self.history = History(progress["rows"], [dict(zip(COLUMNS, row, strict=True)) for row in progress["steps"]])
        if progress["best"] is not None:
            self.best = (*progress["best"], part("best."))


def _check_carries(model: Model, of: str) -> None:
    """A state can be carried on only where nothing reads the future."""
    for eq in needed(model.system, [of]):
        for node in refs([eq.rhs]):
            if any(s.anchor == "free" and s.offset > 0 and s.index not in model.system.static
                   for s in node.attr("slots")):
                raise BadValue(f"{eq.left} reads the future, so no state can be carried on\n{eq.show(node)}")
