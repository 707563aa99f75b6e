"""Character models: a text in, a trained model, samples, curve and diagrams out. What `tinygrad-rnn train` runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import real, whole
from ..checkpoints import load_checkpoint
from ..data import Vocabulary, split_text, streams
from ..errors import BadFile, BadValue
from ..files import replacing, writable_folder
from ..models.model import Model
from ..models.saved import load
from ..tensors.arrays import to_numpy
from ..training.fit import History
from ..training.optim import Adam
from ..training.rates import Cosine

HELD_OUT = 0.1  # the last tenth of the text
CHECKPOINT = "model.safetensors"


@dataclass(frozen=True)
class Settings:
    """How a character model is trained; kept in the checkpoint, so that a resumed run goes on with the same.

    Raises `BadValue` or `BadType` for what no training can have.
    """

    epochs: int = 16
    batch: int = 32
    steps: int = 64
    lr: float = 6e-3
    clip: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "steps"):
            whole(name, getattr(self, name), at_least=1)
        real("lr", self.lr, at_least=0)
        whole("seed", self.seed, at_least=0)


def bits(nats: float) -> float:
    """Nats per symbol as bits per symbol."""
    return nats / math.log(2)


def sample(model: Model, vocabulary: Vocabulary, length: int, temperature: float = 1.0, seed: int = 0,
           prime: str = "\n") -> str:
    """`length` characters drawn one by one, each fed back as the next input.

    temperature: below 1 likelier, above 1 bolder, 0 the likeliest character. prime: what the model reads first.
    Raises for a prime with characters outside the vocabulary, or an empty one.
    """
    if not prime:
        raise BadValue("the model needs at least one character to begin with")
    length, temperature = whole("length", length, at_least=0), real("temperature", temperature, at_least=0)
    rng = np.random.default_rng(whole("seed", seed, at_least=0))
    step = model.stepper(batch=1, want=["y"])
    for code in vocabulary.encode(prime):
        p = step(x=np.array([code]))["y"]
    drawn = []
    for _ in range(length):
        code = _drawn(to_numpy(p)[0].astype("float64"), temperature, rng)
        drawn.append(code)
        p = step(x=np.array([code]))["y"]
    return vocabulary.decode(drawn)


def _drawn(p: Any, temperature: float, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(np.argmax(p))
    logits = np.log(np.maximum(p, 1e-300)) / temperature
    scaled = np.exp(logits - logits.max())
    return int(rng.choice(len(p), p=scaled / scaled.sum()))


def first_of(vocabulary: Vocabulary) -> str:
    """A character to begin with: a new line where the text has one."""
    return "\n" if "\n" in vocabulary else vocabulary.symbols[0]


def train(make: Callable[[int], Model], text: str, out: Path, settings: Settings, resume: bool = False,
          progress: bool = True, say: Callable[[str], None] = print) -> float:
    """Train on the first nine tenths of the text, measure on the last; returns its bits per character.

    make: builds the model for a number of symbols. Leaves in `out` the checkpoint, log, loss curve and diagrams.
    """
    checkpoint = out / CHECKPOINT
    vocabulary = Vocabulary(text)
    if len(vocabulary) < 2:
        raise BadValue(f"the text is made of {vocabulary.symbols[0]!r} alone, which is nothing to learn; give another")
    ids = vocabulary.encode(text)
    kept, held_out = split_text(ids, HELD_OUT)
    if resume:
        settings = _settings(checkpoint, vocabulary)
    batches, test = streams(kept, settings.batch, settings.steps), _held_out(held_out)
    model = load(checkpoint) if resume else make(len(vocabulary))
    writable_folder(out)
    say(f"{model}\n")
    say(f"{len(text):,} characters, {len(vocabulary)} different; the last {len(held_out):,} are held out\n")
    opening = first_of(vocabulary)
    if resume:
        say(f"going on as it was begun: {settings.epochs} epochs, {settings.batch} streams of {settings.steps} steps, "
            f"rate {settings.lr:g}; for other settings begin anew\n")
    else:
        say(f"-- a sample before training --\n{sample(model, vocabulary, 120, seed=settings.seed, prime=opening)}\n")
    meta = {"vocabulary": vocabulary.to_json(), "settings": json.dumps(vars(settings))}
    history = model.fit(batches, optimizer=Adam(Cosine(settings.lr, settings.epochs * len(batches))),
                        epochs=settings.epochs, valid=test, clip=settings.clip, carry_state=True, seed=settings.seed,
                        progress=progress, log=out / "log.csv", checkpoint=checkpoint, resume=resume, meta=meta,
                        save_every=10.0, on_epoch=lambda row: say(_epoch_line(row, settings.epochs)))
    say(f"\n-- a sample after training --\n{sample(model, vocabulary, 400, 0.7, settings.seed, opening)}\n")
    draw(model, history, out)
    reached = bits(history.valid_loss[-1])
    say(f"{reached:.3f} bits per character on the held-out tenth")
    return reached


def _held_out(ids: Any) -> Any:
    """The held-out text as few long streams, whose state is carried; a short text is one stream."""
    return streams(ids, 1, min(128, len(ids) - 1)) if len(ids) < 4096 else streams(ids, 8, 128)


def _epoch_line(row: dict[str, float], epochs: int) -> str:
    return (f"epoch {row['epoch']:>2.0f} of {epochs}: {bits(row['loss']):.3f} bits per character in training, "
            f"{bits(row['valid_loss']):.3f} held out, {row['seconds']:.0f} s")


def _settings(checkpoint: Path, vocabulary: Vocabulary) -> Settings:
    """The settings of the run to resume, which it goes on with; the text must have the same symbols."""
    _, meta = load_checkpoint(checkpoint)
    if "settings" not in meta or "vocabulary" not in meta:
        raise BadFile(f"{checkpoint} was not written by training on a text, so it cannot be resumed")
    if Vocabulary.from_json(meta["vocabulary"]) != vocabulary:
        raise BadValue(f"{checkpoint} was trained on a text with other characters; resume with the same text")
    return Settings(**json.loads(meta["settings"]))


def load_sampler(path: Path) -> tuple[Model, Vocabulary]:
    """The model of a checkpoint and the symbols it was trained on. Raises BadFile for one that has none."""
    _, meta = load_checkpoint(path)
    if "vocabulary" not in meta:
        raise BadFile(f"{path} holds no vocabulary; sample from a checkpoint that `train` wrote")
    return load(path), Vocabulary.from_json(meta["vocabulary"])


def draw(model: Model, history: History, out: Path) -> None:
    """The loss curve, and the folded, unrolled and backward diagrams, each as SVG and PNG."""
    for ending in (".svg", ".png"):
        curve(history, out / f"loss{ending}")
        for view, steps in (("folded", None), ("unrolled", 3), ("backward", 3)):
            model.draw(out / f"{view}{ending}", view=view, steps=steps)


def curve(history: History, path: Path) -> None:
    """Bits per character over updates: training, smoothed, and held out after each epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    steps = np.array([row["step"] for row in history.steps])
    loss = bits(1.0) * np.array([row["loss"] for row in history.steps])
    width = max(1, len(loss) // 100)
    smooth = np.convolve(loss, np.ones(width) / width, "valid")
    axes.plot(steps[width - 1 :], smooth, color="#0067A5", label="training")
    axes.plot([row["step"] for row in history.rows], [bits(v) for v in history.valid_loss], "o-", color="#C04E00",
              label="held out")
    axes.set(xlabel="update", ylabel="bits per character", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    with replacing(path) as part:
        figure.savefig(part, dpi=150)
