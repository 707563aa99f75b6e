"""Chorales in four voices after Bach: the next chord given those before it, and new music as a MIDI file.

python examples/chorales.py [--quick] [--out DIR] [--seed N]

At each eighth the model draws the soprano, then the alto given the soprano, the tenor given both, and the bass given
all three; so the four are a chord and not four tunes. Each epoch hears every chorale in another key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import chorales
from tinygrad_rnn.examples.datasets.found import package
from tinygrad_rnn.examples.harness import Run, example, told

VOICES = ("s", "a", "r", "b")  # soprano, alto, tenor, bass; t is time
PER_QUARTER = 2
LOWEST, PITCHES = 32, 56  # classes: 0 is silence, 1 the lowest pitch
EQUATIONS = """
    i[t] = sigmoid(I_s @ s[t-1] + I_a @ a[t-1] + I_r @ r[t-1] + I_b @ b[t-1] + I_h @ h[t-1] + b_i)  # input gate
    f[t] = sigmoid(F_s @ s[t-1] + F_a @ a[t-1] + F_r @ r[t-1] + F_b @ b[t-1] + F_h @ h[t-1] + b_f)  # forget gate
    o[t] = sigmoid(O_s @ s[t-1] + O_a @ a[t-1] + O_r @ r[t-1] + O_b @ b[t-1] + O_h @ h[t-1] + b_o)  # output gate
    g[t] = tanh(G_s @ s[t-1] + G_a @ a[t-1] + G_r @ r[t-1] + G_b @ b[t-1] + G_h @ h[t-1] + b_g)     # candidate
    c[t] = f[t] * c[t-1] + i[t] * g[t]                                                              # cell state
    h[t] = o[t] * tanh(c[t])                                                                        # hidden state
    d[t] = dropout(h[t], 0.3)
    s[t] = categorical(softmax(Y_s @ d[t] + k_s))                                                   # soprano
    a[t] = categorical(softmax(Y_a @ d[t] + A_s @ s[t] + k_a))                                      # alto
    r[t] = categorical(softmax(Y_r @ d[t] + R_s @ s[t] + R_a @ a[t] + k_r))                         # tenor
    b[t] = categorical(softmax(Y_b @ d[t] + B_s @ s[t] + B_a @ a[t] + B_r @ r[t] + k_b))            # bass
"""


def classes(pitch: np.ndarray, higher: int = 0) -> np.ndarray:
    """MIDI numbers as classes, so many semitones higher; silence stays silence."""
    return np.where(pitch == 0, 0, pitch + higher - LOWEST + 1)


def voices(pieces: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Pieces (T, 4) as one list of sequences for each voice."""
    return {name: [piece[:, k] for piece in pieces] for k, name in enumerate(VOICES)}


@dataclass
class Transposed:
    """Batches of pieces, in each epoch another number of semitones higher or lower."""

    pieces: list[np.ndarray]
    size: int
    seed: int

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.epoch(0)

    def __len__(self) -> int:
        return -(-len(self.pieces) // self.size)

    def epoch(self, number: int) -> Iterator[dict[str, Any]]:
        """The batches of one epoch, each piece in a key drawn by the epoch's number."""
        higher = np.random.default_rng([self.seed, number]).integers(-4, 5, len(self.pieces))
        moved = [classes(piece, by) for piece, by in zip(self.pieces, higher.tolist(), strict=True)]
        yield from tr.data.bucketed(voices(moved), self.size, seed=self.seed).epoch(number)


@example(architecture="an LSTM of 192 units that draws four voices one after another",
         data="364 chorales in the corpus of music21")
def main(run: Run) -> None:
    """Train on four voices, compare with guesses that need no network, and write new music."""
    train, valid, test = (run.pick(part["pitch"], [p[:24] for p in part["pitch"][:8]])
                          for part in chorales(PER_QUARTER))
    model = tr.equations(EQUATIONS, name="chorales", h=run.pick(192, 16), s=PITCHES, a=PITCHES, r=PITCHES, b=PITCHES)
    model.initialise(run.seed, {"b_f": 1.0})
    run.say(model, "")

    given, epochs = Transposed(train, 16, run.seed), run.pick(60, 1)
    known, unseen = (voices([classes(piece) for piece in part]) for part in (valid, test))
    history = model.fit(given, optimizer=tr.Adam(tr.Cosine(5e-3, epochs * len(given))), epochs=epochs,
                        valid=tr.data.bucketed(known, 64, seed=None), clip=1.0, seed=run.seed, patience=10,
                        progress=False, on_epoch=run.epoch)

    singly, before = (counted(train, test, after) for after in (False, True))
    run.curve({"training": history.loss, "validation": history.valid_loss}, what="nats per chord",
              levels={"each pitch by how common it is": singly, "given the one before": before})
    run.draw(model, "folded.svg")
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    drawn = model.run(steps=run.pick(128, 16), seed=run.seed, batch=1, temperature=0.8)
    new = np.stack([tr.to_numpy(drawn[name])[0] for name in VOICES], axis=1)
    new = np.where(new == 0, 0, new + LOWEST - 1)
    sing(new, run.out / "chorale.mid")
    show(run, {"drawn": new, "Bach": test[0][: len(new)]})
    reached = float(model.run(**tr.data.padded(unseen), want=["loss"])["loss"])
    run.figure("nats per chord of unseen chorales", reached, below=singly,
               baseline=f"{singly:.2f}, each pitch by how common it is; {before:.2f}, given the one before")


def counted(train: list[np.ndarray], test: list[np.ndarray], after: bool) -> float:
    """Nats per chord where each voice draws from shares of pitches in training: of all, or of those after its last."""
    def places(pieces: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for piece in map(classes, pieces):
            yield np.arange(len(VOICES)), after * np.vstack([0 * piece[:1], piece[:-1]]), piece

    counts = np.full((len(VOICES), PITCHES, PITCHES), 0.1)
    for place in places(train):
        np.add.at(counts, place, 1)
    shares = counts / counts.sum(axis=2, keepdims=True)
    return float(-np.log(np.concatenate([shares[place] for place in places(test)])).sum(axis=1).mean())


def sing(pitch: np.ndarray, path: Path) -> None:
    """Write a MIDI file of these pitches (T, 4); a pitch that stays is one long note."""
    music = package("music21")
    score = music.stream.Score([music.tempo.MetronomeMark(number=80)])
    for column in pitch.T:
        part = music.stream.Part()
        begins = [0, *(np.flatnonzero(np.diff(column)) + 1), len(column)]
        for start, end in pairwise(begins):
            sound = music.note.Note(int(column[start])) if column[start] else music.note.Rest()
            sound.quarterLength = (end - start) / PER_QUARTER
            part.append(sound)
        score.insert(0, part)
    score.write("midi", path)


def show(run: Run, pieces: dict[str, np.ndarray]) -> None:
    """What sounds when, of each piece, a colour for each voice."""
    colours = ("#C04E00", "#0067A5", "#008856", "#604E97")
    with run.plot("music.png", rows=len(pieces), size=(9, 5), sharey=True) as axes:
        for one, (name, pitch) in zip(axes.flat, pieces.items(), strict=True):
            for voice, colour in zip(pitch.T, colours, strict=True):
                sounding = np.flatnonzero(voice)
                one.hlines(voice[sounding], sounding / PER_QUARTER, (sounding + 1) / PER_QUARTER, color=colour, lw=3)
            one.set(title=name, ylabel="pitch (MIDI)", xlabel="quarters")


if __name__ == "__main__":
    told(main)
