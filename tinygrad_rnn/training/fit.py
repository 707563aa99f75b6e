"""Training: the loss and its gradients by one plan, clipping and update in place, checkpoints, early stopping."""

from __future__ import annotations

import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from .. import backends
from ..arguments import named, real, whole
from ..backends.places import on_device
from ..errors import BadFile, BadName, BadType, BadValue, Error, near
from ..files import described, load_checkpoint, save_checkpoint, writable
from ..node import refs
from ..passes.demand import check_carried
from ..passes.schedule import needed
from ..passes.stages import check_cut
from ..plans.carried import along
from ..plans.feeds import apart, check_memory, on_host, prepared
from .batches import Batch, Batches, Stream, as_batches, segments
from .clipping import ClipNorm
from .counts import counted, positions
from .feeding import Feeding
from .history import History, Log, Table, rows_of
from .interrupts import Interrupts
from .optim import Adam, Optimizer
from .rates import rate_at, schedule
from .updates import Training

if TYPE_CHECKING:
    from ..models.model import Model

SHOWN_EVERY = 0.1  # seconds between two looks at the loss while training goes on


def fit(model: Model, data: Any, *, optimizer: Optimizer | None = None, epochs: int = 1, of: str = "loss",
        wrt: Iterable[str] | None = None, valid: Any = None, clip: Any = None, carry_state: bool = False,
        truncate: int | None = None, memory: str | None = None, scheduled_sampling: Any = None, batch_size: int = 32,
        shuffle: bool = True, patience: int | None = None, seed: int = 0, progress: bool = True,
        log: str | os.PathLike[str] | None = None, checkpoint: str | os.PathLike[str] | None = None,
        save_every: float = 30.0, resume: bool = False,
        meta: Mapping[str, str] | None = None, on_epoch: Callable[[dict[str, float]], None] | None = None) -> History:
    """Minimise `of` over the data; the weights change in place. Returns the losses and more, by epoch and update.

    data: a dict of arrays (and "lengths"), cut into batches of `batch_size`, in an order drawn anew for each epoch but
    for shuffle=False; or of lists of sequences, sorted into buckets by length and padded; or an iterable of such dicts.
    valid: data whose loss is taken after each epoch. of: the scalar to minimise. wrt: the weights to train, all by
    default. optimizer: Adam(1e-3) by default; its rate is a number or a function of the number of updates done.
    clip: a number (global norm), ClipNorm or ClipValue. epochs: how often to go through the data. patience: stop after
    so many epochs without a better loss (of `valid` where there is one), and put the best weights back. seed: of the
    order of the data, dropout and draws. progress: show a bar. on_epoch: called with the row of each epoch.

    carry_state: each batch goes on from the state that the one before it left (no gradient passes). truncate: cut
    batches into segments of so many steps with the state carried between them (truncated BPTT). memory: "sqrt" for long
    sequences: only the states between segments of about sqrt(T) steps are kept, and each segment is computed again on
    the way back; the same gradients in memory in proportion to sqrt(T), for one more pass forward. It takes models that
    read no future. scheduled_sampling: the share of declared data, such as w[t] = categorical(p[t]), that is fed back
    as drawn by the model rather than as given: a number, or a function of the number of updates done (Bengio et al.
    2015, "Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks", section 2.4); the loss is of the
    given data always.

    log: a CSV file, one row per update. checkpoint: a safetensors file, written beside and renamed, every `save_every`
    seconds and after each epoch, and with meta=, texts of your own; resume: go on from it exactly. Ctrl-C stops between
    two updates and leaves a checkpoint.
    Raises `Error` for data that do not fit the model, and where the loss is no longer finite.
    """
    optimizer = Adam(1e-3) if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise BadType(f"optimizer is one of SGD, RMSProp, Adam, AdamW, not {optimizer!r}")
    epochs = whole("epochs", epochs, at_least=0)
    for name, flag in (("shuffle", shuffle), ("carry_state", carry_state), ("resume", resume), ("progress", progress)):
        if not isinstance(flag, bool):
            raise BadType(f"{name} is True or False, not {flag!r}")
    if patience is not None:
        patience = whole("patience", patience, at_least=1)
    if on_epoch is not None and not callable(on_epoch):
        raise BadType(f"on_epoch is called with the row of each epoch, and this is {on_epoch!r}")
    seed = whole("seed", seed, at_least=0)
    trainer = _Trainer(model, optimizer, of, wrt, clip, carry_state or truncate is not None, truncate, seed,
                       memory, scheduled_sampling)
    trainer.batches = as_batches(data, batch_size, shuffle, seed, model.system)
    trainer.valid = None if valid is None else as_batches(valid, batch_size, False, seed, model.system)
    trainer.files = _Files(model, checkpoint, save_every, log, meta)
    trainer.carry_over = carry_state
    trainer.look_at_valid()
    trainer.look_ahead()
    if resume:
        trainer.resume()
    with trainer.interrupts.awaited():
        return trainer.train(epochs, patience, progress, on_epoch)


class _Files:
    """Where training leaves its checkpoint and log."""

    def __init__(self, model: Model, checkpoint: Any, save_every: float, log: Any, meta: Mapping[str, str] | None):
        self.checkpoint = None if checkpoint is None else writable(checkpoint)
        self.log = None if log is None else Log(writable(log))
        self.save_every = real("save_every", save_every, at_least=0)
        self.about = described({**model.description(), "fit": ""}, meta)
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
        if self.clip is not None and (isinstance(self.clip, type) or not callable(self.clip)):
            raise BadType(f"clip is a number, ClipNorm or ClipValue, not {clip!r}")
        self.names = model.weights.in_order(_trained(model, wrt))
        self.seen = model.observing()
        self.feeding = None if scheduled_sampling is None else Feeding(model, scheduled_sampling, seed)
        base = self.seen if self.feeding is None else self.feeding.model
        self.derived, self.alone = base.grad(of, self.names), base._plans.alone
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
        # Updates whose numbers nobody has looked at yet: where each was, the state before, its positions and its row.
        self.waiting: list[tuple[tuple[int, int], Any, int, dict[str, float]]] = []
        self.counted = counted(self.seen.system, of)
        self.checked = False  # are the targets of all batches known to be classes?
        # Epochs finished, batches of this one done, segments of the next batch done, updates.
        self.epoch, self.done, self.part, self.step = 0, 0, 0, 0
        self.state: dict[str, Any] | None = None
        self.totals = [0.0, 0]
        self.history, self.tables = History(), {"rows": Table(), "steps": Table()}
        self.interrupts = Interrupts()
        self.best: tuple[float, int, dict[str, Any]] | None = None
        self.last: dict[str, Any] = {}  # the weights to go on from, where the best have been put back
        self.started = self.shown = time.monotonic()
        self.before = 0.0  # seconds spent before a resume

    def look_at_valid(self) -> None:
        """Tell validation data that do not fit now, and not after the first epoch."""
        if not isinstance(self.valid, Batches):
            return  # looking at a stream may use it up
        try:
            for batch in itertools.islice(self.valid.epoch(0), 1):
                inputs, lengths = apart(self.seen.system, batch, None)
                assert inputs is not None
                prepared(self.seen.system, (self.of,), inputs, lengths=lengths)
        except Error as error:
            error.args = (f"the validation data: {error.args[0]}", *error.args[1:])
            raise

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
            self.last = self._copied()
            for name, value in self.best[2].items():
                self.model.weights[name] = value
            self._save()
        return self.history

    def _copied(self) -> dict[str, Any]:
        """The trained weights as they are now."""
        to_host = backends.current().to_host
        return {name: np.array(to_host(value)) for name, value in self.weights.items()}

    def _epoch(self, epochs: int, progress: bool) -> None:
        skip = self.done
        with tqdm(total=self.batches.count(), initial=skip, desc=f"epoch {self.epoch + 1}/{epochs}", unit="batch",
                  disable=not progress, dynamic_ncols=True) as bar:
            for number, batch in enumerate(self.batches.epoch(self.epoch)):
                if number < skip:
                    continue
                self._batch(batch)
                bar.update()
                if progress and time.monotonic() - self.shown > SHOWN_EVERY:
                    self._settle()
                    self.shown = time.monotonic()
                    bar.set_postfix(loss=f"{self.history.steps[-1]['loss']:.4f}", refresh=False)
        self._settle()
        if self.totals[1] == 0:
            raise BadValue("there are no batches to train on")

    def _batch(self, batch: Batch) -> None:
        """The updates of one batch; a checkpoint may be left between any two of them."""
        if not self.carry_over and not self.part:
            self.state = None
        for number, part in enumerate(segments(self.seen.system, batch, self.truncate)):
            if number < self.part:
                continue
            lengths = part.pop("lengths", None)
            if self.state is not None and any(len(v) != len(next(iter(part.values()))) for v in self.state.values()):
                raise BadValue("a batch has another number of examples than the one whose state it goes on from")
            with self.interrupts:
                before = self.state
                self._update(part, lengths)
                count = positions(self.seen.system, self.counted, part, lengths)
                self.step += 1
                self.waiting.append(((self.done, self.part), before, count, self._row()))
                self.part = number + 1
            if len(self.waiting) >= self.updates.wait:
                self._settle()
            if self.files.due():
                self._save()
        with self.interrupts:
            self.done, self.part = self.done + 1, 0

    def _settle(self) -> None:
        """Look at the numbers of the updates since the last time: this is where the host waits for a GPU.

        Where a loss was not finite, nothing was changed from that update on.
        """
        with self.interrupts:
            waiting, self.waiting = self.waiting, []
            for (loss, norm), (place, state, count, row) in zip(self.updates.seen(), waiting, strict=False):
                if not math.isfinite(loss):
                    (self.done, self.part), self.step, self.state = place, int(row["step"]) - 1, state
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
        with self.alone:
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
        with self.interrupts:
            self.history.steps[-1]["valid_loss"] = valid
            row = {**self.history.steps[-1], "loss": loss}
            self.history.rows.append(row)
            self.epoch, self.done, self.totals, self.state = self.epoch + 1, 0, [0.0, 0], None
            judged = loss if self.valid is None else valid
            if self.best is None or judged < self.best[0] or math.isnan(self.best[0]):
                self.best = (judged, self.epoch, self._copied())
        self._save()
        return row

    def _stalled(self, patience: int | None) -> bool:
        return patience is not None and self.best is not None and self.epoch - self.best[1] >= patience

    def evaluate(self, batches: Batches | Stream) -> float:
        """The mean loss over batches, each counting as much as the loss's own mean counts in it, dropout off."""
        total, count, state = 0.0, 0, None
        for batch in batches.epoch(0):
            lengths = batch.get("lengths")
            data = {k: v for k, v in batch.items() if k != "lengths"}
            out, _ = self.seen._ran(data, (self.of,), state=state, lengths=lengths, memory=self.memory)
            state = out.state if self.carry_over else None
            weight = positions(self.seen.system, self.counted, data, lengths)
            total, count = total + float(out[self.of]) * weight, count + weight
        if not count:
            raise BadValue("there are no validation batches")
        return total / count

    # -- checkpoints -------------------------------------------------------------------------------

    def _save(self) -> None:
        self._settle()
        self.files.saved = time.monotonic()
        if self.files.log is not None:
            self.files.log.write(self.history.steps)
        if self.files.checkpoint is None:
            return
        to_host = backends.current().to_host
        arrays = {f"weight.{k}": to_host(v) for k, v in self.model.weights.arrays.items()}
        arrays |= {f"optimizer.{k}": to_host(v) for k, v in self.optimizer.state().items()}
        arrays |= {f"state.{k}": to_host(v) for k, v in (self.state or {}).items()}
        arrays |= {f"last.{k}": v for k, v in self.last.items()}
        if self.best is not None:
            arrays |= {f"best.{k}": v for k, v in self.best[2].items()}
        threads = self.derived._plans.threads or backends.current().threads()  # sums in parts: they enter the bits
        progress = {"threads": threads, "backend": backends.backend(), "choices": backends.current().choices(),
                    "totals": self.totals, "epoch": self.epoch, "done": self.done, "part": self.part, "step": self.step,
                    "carried": self.state is not None, "best": None if self.best is None else self.best[:2],
                    "seconds": self.before + time.monotonic() - self.started}
        # As arrays: the text about a file is limited, and written anew each time.
        arrays |= {f"history.{k}": table.of(getattr(self.history, k)) for k, table in self.tables.items()}
        save_checkpoint(self.files.checkpoint, arrays, {**self.files.about, "fit": json.dumps(progress)})

    def resume(self) -> None:
        """Go on from the checkpoint: weights, optimiser, carried state, place in the data."""
        path = self.files.checkpoint
        if path is None:
            raise BadValue("resume=True needs checkpoint=, the file to go on from")
        arrays, meta = load_checkpoint(path)
        if sorted(meta.get("equations", "").splitlines()) != sorted(str(self.model).splitlines()):
            raise BadFile(f"{path} holds another model; resume with the one that it was written for:\n"
                          f"{meta.get('equations', '(no equations)')}")
        if meta.get("dtype") != self.model.dtype:
            raise BadFile(f"{path} holds a model in {meta.get('dtype')}, and this one is in {self.model.dtype}; resume "
                          f"with dtype={meta.get('dtype')!r}")
        if "fit" not in meta:
            raise BadFile(f"{path} was saved without the state of its training; load it with tr.load and fit anew")
        progress = json.loads(meta["fit"])

        def part(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        try:
            self.optimizer.load_state(part("optimizer."))
        except BadValue as error:
            raise BadFile(f"{path} was written with another optimizer or for other weights: {error}") from None
        for name, value in (part("weight.") | part("last.")).items():
            self.model.weights[name] = value
        self.state = part("state.") if progress["carried"] else None
        self.epoch, self.done, self.step, self.totals = (progress[k] for k in ("epoch", "done", "step", "totals"))
        self.part = progress.get("part", 0)  # older files were left between batches only
        self.before = progress["seconds"]
        if progress.get("backend", "numpy") == backends.backend():  # what another one chose means nothing here
            self.derived._plans.threads = progress.get("threads")
            backends.current().choices().update(progress.get("choices", {}))
        if "steps" in progress:  # older files
            self.history = History(progress["rows"], rows_of(progress["steps"]))
        else:
            self.history = History(*(rows_of(arrays[f"history.{k}"].tolist()) for k in self.tables))
        if progress["best"] is not None:
            self.best = (*progress["best"], part("best."))


def _trained(model: Model, wrt: Iterable[str] | None) -> list[str]:
    """The weights to train. Raises where a name is none, or there are none."""
    names = list(named("wrt", model.weights if wrt is None else wrt))
    for name in names:
        if name not in model.weights.shapes:
            raise BadName(f"wrt names {name!r}{near(name, model.weights.shapes)}, which is no weight of the model; its "
                          f"weights are {', '.join(model.weights.shapes) or 'none'}")
    if not names:
        raise BadValue("there is no weight to train")
    return names


def _check_carries(model: Model, of: str) -> None:
    """A state can be carried on only where nothing reads the future, or positions counted from the beginning."""
    system = model.system
    carried = along(system, (of,))
    check_carried(system, (of,), carried)
    for eq in needed(system, [of]):
        for node in refs([eq.rhs]):
            if any(s.anchor == "free" and s.offset > 0 and system.range_of(s.index) in carried
                   for s in node.attr("slots")):
                raise BadValue(f"{eq.left} reads the future, so no state can be carried on\n{eq.show(node)}")
