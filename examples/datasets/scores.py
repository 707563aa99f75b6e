"""Bach's chorales in four voices, as the pitches that sound at each step of time."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tinygrad_rnn.data import split

from .found import Parts, folder, package

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
MOVES = {"note": 1, "forward": 1, "backup": -1}  # what passes time, and in which direction


def chorales(per_quarter: int = 4) -> Parts:
    """The chorales of the corpus of music21: {"number": texts such as "bwv10.7", "pitch": int64 arrays (T, 4)}.

    pitch[t] are the soprano, alto, tenor and bass that sound at step t, as MIDI numbers (60 is the middle C), 0 where a
    voice is silent; `per_quarter` steps to a quarter note. A held note stands at each of its steps. Repeats are not
    played twice. Scores whose parts are other than these four are left out, which leaves 364; two editions of one
    are in one part. Parts: 0.8, 0.1, 0.1.
    """
    place = folder("music21") or Path(str(package("music21").__file__)).parent
    found = {}
    for path in sorted((place / "corpus" / "bach").glob("bwv*.mxl")):
        pitch = pitches(_score(path), per_quarter)
        if pitch is not None:
            found[path.stem] = pitch
    data = {"number": list(found), "pitch": list(found.values())}
    return split(data, 0.8, 0.1, 0.1, seed=0, groups=[name.split("-")[0] for name in found])


def pitches(score: str | bytes, per_quarter: int) -> np.ndarray | None:
    """What sounds at each step of a score in MusicXML, (T, 4); None where its parts are not the four voices."""
    root = ElementTree.fromstring(score)
    names = {part.get("id"): (part.findtext("part-name") or "").strip() for part in root.iter("score-part")}
    parts = {names.get(part.get("id")): part for part in root.findall("part")}
    if tuple(parts) != VOICES:
        return None
    unit = math.lcm(*(int(item.text or 1) for item in root.iter("divisions")))
    voices = [notes(parts[voice], unit) for voice in VOICES]
    steps = max(end for voice in voices for _, end, _ in voice) * per_quarter // unit
    found = np.zeros((steps, len(VOICES)), np.int64)
    for column, voice in enumerate(voices):
        for start, end, pitch in reversed(voice):  # where two sound at once, the one that is written first stays
            found[-(-start * per_quarter // unit) : -(-end * per_quarter // unit), column] = pitch
    return found


def notes(part: ElementTree.Element, unit: int) -> list[tuple[int, int, int]]:
    """(start, end, pitch) of the notes and rests of a part; `unit` units of time make a quarter, a rest's pitch is 0.

    MusicXML tells time by durations: each note goes on from where the one before it ended, in units of `divisions`
    to the quarter, and <backup> and <forward> move without a sound.
    """
    found = []
    scale, measure_start = 1, 0
    for measure in part.findall("measure"):
        now = latest = measure_start
        for item in measure:
            if item.tag == "attributes":
                scale = unit // int(item.findtext("divisions") or unit // scale)
            if item.tag not in MOVES or item.find("chord") is not None:
                continue
            duration = int(item.findtext("duration") or 0) * scale
            if item.tag == "note" and duration:
                found.append((now, now + duration, _midi(item.find("pitch"))))
            now += MOVES[item.tag] * duration
            latest = max(latest, now)
        measure_start = latest
    return found


def _midi(pitch: ElementTree.Element | None) -> int:
    if pitch is None:
        return 0
    step, alter, octave = (pitch.findtext(tag) or "0" for tag in ("step", "alter", "octave"))
    return 12 * (int(octave) + 1) + SEMITONES[step] + int(float(alter))


def _score(path: Path) -> bytes:
    """The score within an .mxl file, a zip archive whose container names it."""
    with zipfile.ZipFile(path) as archive:
        container = ElementTree.fromstring(archive.read("META-INF/container.xml"))
        name = next(item.get("full-path") for item in container.iter() if item.tag.endswith("rootfile"))
        return archive.read(str(name))
