"""Training: the loss and its gradients by one plan, clipping and update in place, checkpoints, early stopping."""

from __future__ import annotations

import itertools
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from .. import backends
from ..arguments import flag, whole
from ..backends.places import on_device
from ..checkpoints import load_checkpoint, save_checkpoint
from ..errors import BadFile, BadType, BadValue, Error, about
from ..keywords import check_takes, told
from ..passes.stages import check_cut
from ..plans.feeds import apart, check_memory, on_host, prepared
from .asked import check_carries, check_order, clipping, given, nothing_learnt, trained
from .batches import Batch, Batches, Stream, as_batches, check_again
from .counts import counted, positions
from .evaluate import mean_over
from .feeding import Feeding
from .files import Files
from .history import History, Rows
from .interrupts import Interrupts
from .optim import Adam, Optimizer
from .rates import rate_at, schedule
from .segments import check_examples, check_segments, segments
from .updates import Training

if TYPE_CHECKING:
    from ..models.model import Model

SHOWN_EVERY = 0.1  # seconds between two looks at the loss while training goes on


@told
def fit(model: Model, data: Any, *, optimizer: Optimizer | None = None, epochs: int = 1, of: str = "loss",
        wrt: Iterable[str] | None = None, valid: Any = None, clip: Any = None, carry_state: bool = False,
        truncate: int | None = None, memory: str | None = None, scheduled_sampling: Any = None, batch_size: int = 32,
        shuffle: bool = True, patience: int | None = None, seed: int = 0, progress: bool = True,
        log: str | os.PathLike[str] | None = None, checkpoint: str | os.PathLike[str] | None = None,
        save_every: float = 30.0, resume: bool = False,
        meta: Mapping[str, str] | None = None, on_epoch: Callable[[dict[str, float]], None] | None = None) -> History:
    """Minimise `of` over the data; the weights change in place. Returns the losses and more, by epoch and update.

    data: a dict of arrays (and "lengths"), cut into batches of `batch_size`, in an order drawn anew for each epoch but
    for shuffle=False; or of lists of sequences, sorted into buckets by length and padded; or an iterable of such dicts,
    or a function of the epoch's number, from 0, that gives one.
    valid: data whose loss is taken after each epoch, as by `evaluate`. of: the scalar to minimise. wrt: the weights to
    train, by name or pattern, all by default. optimizer: Adam(1e-3) by default; its rate is a number or a function of
    the number of updates done. Each call begins its state and its schedule anew, so many epochs are one call, with
    on_epoch for what is done in between. clip: a number (global norm), ClipNorm or ClipValue. epochs: how often to go
    through the data. patience: stop after so many epochs without a better loss (of `valid` where there is one), and put
    the best weights back. seed: of the order of the data, dropout and draws. progress: show a bar. on_epoch: called
    with the row of each epoch.

    carry_state: each batch goes on from the state that the one before it left (no gradient passes); of a dict with more
    than one batch only with shuffle=False, which says that its examples are in that order. truncate: cut batches into
    segments of so many steps with the state carried between them (truncated BPTT); the loss is then made of sums or
    means over t, and not of h[T]. memory: "sqrt" for long sequences: only the states between segments of about sqrt(T)
    steps are kept, and each segment is computed again on the way back; the same gradients in memory in proportion to
    sqrt(T), for one more pass forward. It takes models that read no future. scheduled_sampling: the share of declared
    data, such as w[t] = categorical(p[t]), that is fed back as drawn by the model rather than as given: a number, or a
    function of the number of updates done (Bengio et al. 2015, "Scheduled Sampling for Sequence Prediction with
    Recurrent Neural Networks", section 2.4); the loss is of the given data always.

    log: a CSV file, one row per update. checkpoint: a safetensors file, written beside and renamed, every `save_every`
    seconds and after each epoch, and with meta=, texts of your own; resume: go on from it exactly. Ctrl-C stops between
    two updates and leaves a checkpoint.
    Raises `Error` for data that do not fit the model, and where the loss or its gradient is no longer finite; the
    weights, also those in the checkpoint, are then those before that update.
    """
    optimizer = Adam(1e-3) if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise BadType(f"optimizer is one of tr.SGD, tr.RMSProp, tr.Adam and tr.AdamW with its rate, such as "
                      f"tr.Adam(1e-3), not {optimizer!r}")
    epochs = whole("epochs", epochs, at_least=0)
    for name, value in (("shuffle", shuffle), ("carry_state", carry_state), ("resume", resume), ("progress", progress)):
        flag(name, value)
    if patience is not None:
        patience = whole("patience", patience, at_least=1)
    if on_epoch is not None:
        if not callable(on_epoch):
            raise BadType(f"on_epoch is called with the row of each epoch, and this is {on_epoch!r}")
        check_takes("on_epoch is called with the row of each epoch, a dict", on_epoch, 1, "def shown(row): ...")
    seed = whole("seed", seed, at_least=0)
    trainer = _Trainer(model, optimizer, of, wrt, clip, carry_state or truncate is not None, truncate, seed,
                       memory, scheduled_sampling, given(data))
    trainer.carry_over = carry_state
    trainer.batches = as_batches(data, batch_size, shuffle, seed, trainer.seen.system)
    check_order(data, trainer.batches, carry_state, shuffle)
    if valid is not None:
        with about("the validation data"):
            trainer.valid = as_batches(valid, batch_size, False, seed, trainer.seen.system)
            check_order(valid, trainer.valid, carry_state, shuffle)
            trainer.look_at_valid()
    trainer.files = Files(model, checkpoint, save_every, log, meta)
    trainer.look_ahead()
    if resume:
        trainer.resume()
    check_again(trainer.batches, epochs - trainer.epoch)
    with about("the validation data"):
        check_again(trainer.valid, epochs - trainer.epoch)
    with trainer.interrupts.awaited():
        return trainer.train(epochs, patience, progress, on_epoch)


class _Trainer:
    batches: Batches | Stream
    valid: Batches | Stream | None = None
    files: Files
    carry_over: bool

    def __init__(self, model: Model, optimizer: Optimizer, of: str, wrt: Iterable[str] | None, clip: Any, carries: bool,
                 truncate: int | None, seed: int, memory: str | None = None, scheduled_sampling: Any = None,
                 names: Iterable[str] | None = None):
        self.model, self.optimizer, self.of, self.seed = model, optimizer, of, seed
        self.names = model.weights.in_order(trained(model, wrt))
        self.seen = model.observing(names)
        self.feeding = None if scheduled_sampling is None else Feeding(model, scheduled_sampling, seed)
        base = self.seen if self.feeding is None else self.feeding.model
        self.derived, self.alone = base.grad(of, self.names), base.plans.alone
        self.carries, self.truncate = carries, truncate
        if carries:
            check_carries(self.seen, of)
        if truncate is not None:
            check_segments(self.seen.system, of)
        self.memory = memory
        check_memory(memory)
        if memory is not None:
            check_cut(self.seen.system, of, carries)
        self.weights = {name: model.weights.arrays[name] for name in self.names}
        optimizer.start(self.weights, backends.current().xp)
        adjoints = {name: self.derived.adjoints[name] for name in self.names}
        self.want = (of, *adjoints.values())
        self.updates = backends.current().updates(Training(of, adjoints, self.weights, clipping(clip), optimizer))
        # Updates whose numbers nobody has looked at yet: where each was, the state before, its positions and its row.
        self.waiting: list[tuple[tuple[int, int], Any, int, dict[str, float]]] = []
        self.latest: tuple[Batch, dict[str, Any]] = {}, {}  # what the latest update was made of
        self.counted = counted(self.seen.system, of)
        self.checked = False  # are the integers of all batches known to be classes?
        # Epochs finished, batches of this one done, segments of the next batch done, updates.
        self.epoch, self.done, self.part, self.step = 0, 0, 0, 0
        self.state: dict[str, Any] | None = None
        self.totals = [0.0, 0]
        self.history = History()
        self.interrupts = Interrupts()
        self.best: tuple[float, int, dict[str, Any]] | None = None
        self.last: dict[str, Any] = {}  # the weights to go on from, where the best have been put back
        self.started = self.shown = time.monotonic()
        self.before = 0.0  # seconds spent before a resume

    def look_at_valid(self) -> None:
        """Tell validation data that do not fit now, and not after the first epoch."""
        if not isinstance(self.valid, Batches):
            return  # looking at a stream may use it up
        for batch in itertools.islice(self.valid.epoch(0), 1):
            inputs, lengths = apart(self.seen.system, batch, None)
            assert inputs is not None
            prepared(self.seen.system, (self.of,), inputs, lengths=lengths)

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
        begun = self.step
        try:
            while self.epoch < epochs and not self._stalled(patience):
                with self._bar(epochs, progress) as bar:
                    self._epoch(bar)
                    row = self._close_epoch()
                    _show(bar, {name: row[name] for name in ("loss", "valid_loss")[: 1 + (self.valid is not None)]})
                if on_epoch is not None:
                    on_epoch(row)
        except BaseException:
            if self.step > begun:  # else what another training has left there would be lost for nothing
                self._save()
            raise
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

    def _bar(self, epochs: int, progress: bool) -> Any:
        return tqdm(total=self.batches.count(), initial=self.done, desc=f"epoch {self.epoch + 1}/{epochs}",
                    unit="batch", disable=not progress, dynamic_ncols=True)

    def _epoch(self, bar: Any) -> None:
        skip = self.done
        for number, batch in enumerate(self.batches.epoch(self.epoch)):
            if number < skip:
                continue
            self._batch(batch)
            bar.update()
            if not bar.disable and time.monotonic() - self.shown > SHOWN_EVERY:
                self._settle()
                self.shown = time.monotonic()
                _show(bar, {"loss": self.totals[0] / self.totals[1]})
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
            check_examples(self.state, part, self.done)
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

        Where a loss or a gradient was not finite, nothing was changed from that update on.
        """
        with self.interrupts:
            waiting, self.waiting = self.waiting, []
            for (loss, norm, done), (place, state, count, row) in zip(self.updates.seen(), waiting, strict=False):
                if not done:
                    (self.done, self.part), self.step, self.state = place, int(row["step"]) - 1, state
                    what = "gradient is not finite" if math.isfinite(loss) else f"loss is {loss}"
                    raise BadValue(f"the {what} at update {row['step']}; lower the learning rate, clip the gradients, "
                                   f"or mend the data: {self._first_nan()}")
                if row["step"] == 1 and norm == 0:
                    warnings.warn(nothing_learnt(self.weights), stacklevel=2)
                self.totals[0] += loss * count
                self.totals[1] += count
                self.history.steps.append({**row, "loss": loss, "gradient_norm": norm})

    def _first_nan(self) -> str:
        """Where the first NaN is in the update that could not be done, if its data are still there."""
        data, options = self.latest
        if options["step"] == self.step and self.memory is None:
            try:
                with self.alone:
                    self.derived.computed(self.want, data, **options, check=True)
            except Error as error:
                return f"in its batch {error}"
        return "run(..., check=True) tells where the first NaN is"

    def _update(self, data: Batch, lengths: Any) -> None:
        derived = self.derived
        if self.feeding is not None:
            data = self.feeding.mixed(data, self.step)
        options = {"lengths": lengths, "state": self.state, "training": True, "seed": self.seed, "step": self.step}
        self.latest = data, options
        config, feed = prepared(derived.system, self.want, data, **options, memory=self.memory,
                                classes=not self.checked)
        with self.alone:
            plan = derived.plans.get(derived.system, config, self.model.weights)
            self.updates(plan, feed)
            if self.carries:
                self.state = plan.state()

    def _row(self) -> dict[str, float]:
        return {"step": self.step, "epoch": self.epoch + 1, "loss": math.nan, "valid_loss": math.nan,
                "lr": rate_at(schedule(self.optimizer.lr), self.step - 1), "gradient_norm": math.nan,
                "seconds": self.before + time.monotonic() - self.started}

    def _close_epoch(self) -> dict[str, float]:
        loss = self.totals[0] / self.totals[1]
        valid = math.nan if self.valid is None else self._validated(self.valid)
        if self.valid is not None and not math.isfinite(valid):
            warnings.warn(f"the loss of the validation data is {valid}, so nothing is judged by it; "
                          "run(..., check=True) tells where the first NaN is", stacklevel=2)
        with self.interrupts:
            self.history.steps.amend("valid_loss", valid)
            row = {**self.history.steps[-1], "loss": loss}
            self.history.rows.append(row)
            self.epoch, self.done, self.totals, self.state = self.epoch + 1, 0, [0.0, 0], None
            judged = loss if self.valid is None else valid
            if self.best is None or judged < self.best[0] or math.isnan(self.best[0]):
                self.best = (judged, self.epoch, self._copied())
        self._save()
        return row

    def _validated(self, batches: Batches | Stream) -> float:
        with about("the validation data"):
            return mean_over(self.seen, self.of, batches, carry=self.carry_over, memory=self.memory)

    def _stalled(self, patience: int | None) -> bool:
        return patience is not None and self.best is not None and self.epoch - self.best[1] >= patience

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
        threads = self.derived.plans.threads or backends.current().threads()  # sums in parts: they enter the bits
        progress = {"threads": threads, "backend": backends.backend(), "choices": backends.current().choices(),
                    "totals": self.totals, "epoch": self.epoch, "done": self.done, "part": self.part, "step": self.step,
                    "carried": self.state is not None, "best": None if self.best is None else self.best[:2],
                    "seconds": self.before + time.monotonic() - self.started}
        # As arrays: the text about a file is limited, and written anew each time.
        arrays |= {"history.rows": self.history.rows.table(), "history.steps": self.history.steps.table()}
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
            self.derived.plans.threads = progress.get("threads")
            backends.current().choices().update(progress.get("choices", {}))
        if "steps" in progress:  # older files
            self.history = History(Rows(progress["rows"]), Rows.of_table(progress["steps"]))
        else:
            self.history = History(*(Rows.of_table(arrays[f"history.{name}"]) for name in ("rows", "steps")))
        if progress["best"] is not None:
            self.best = (*progress["best"], part("best."))


def _show(bar: Any, numbers: Mapping[str, float]) -> None:
    """The mean loss of the epoch so far, and in the end that of validation."""
    bar.set_postfix({name: f"{value:.4g}" for name, value in numbers.items()}, refresh=False)
