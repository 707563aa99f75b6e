"""Recordings of many channels, each of one class: speech and motion, as aeon carries them in .ts files."""

from __future__ import annotations

import zipfile
from typing import Any

import numpy as np

from .found import archive, folder

WHEEL = "aeon-*.whl"
SPEAKERS = tuple("123456789")
ACTIVITIES = ("Standing", "Running", "Walking", "Badminton")
Parts = tuple[dict[str, Any], dict[str, Any]]


def japanese_vowels() -> Parts:
    """Nine men who say two vowels: {"x": arrays (T, 12) with T from 7 to 29, "speaker": 0 to 8}.

    270 utterances to train on and 370 to test with, as the data set is published: Kudo, Toyama and Shimbo (1999),
    "Multidimensional Curve Classification Using Passing-Through Regions"; x are coefficients of linear prediction.
    """
    train, test = (sequences(_ts("JapaneseVowels", part), SPEAKERS) for part in ("TRAIN", "TEST"))
    return {"x": train[0], "speaker": train[1]}, {"x": test[0], "speaker": test[1]}


def basic_motions() -> Parts:
    """Four activities seen by a smart watch: {"x": (40, 100, 6), "activity": numbers in ACTIVITIES}.

    Three axes of acceleration and three of rotation, ten times a second, for ten seconds; 40 recordings to train on
    and 40 to test with, as the data set is published in the UEA archive of multivariate time series.
    """
    train, test = (sequences(_ts("BasicMotions", part), ACTIVITIES) for part in ("TRAIN", "TEST"))
    return {"x": np.stack(train[0]), "activity": train[1]}, {"x": np.stack(test[0]), "activity": test[1]}


def sequences(text: str, classes: tuple[str, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """The series, float32 of shape (T, channels), and the numbers of their classes, from the text of a .ts file.

    Below the line @data each line is one series: its channels, divided by colons, and its class.
    """
    lines = [line.strip() for line in text.splitlines()]
    series, numbers = [], []
    for line in filter(None, lines[lines.index("@data") + 1 :]):
        *channels, label = line.split(":")
        series.append(np.array([channel.split(",") for channel in channels], dtype=np.float32).T.copy())
        numbers.append(classes.index(label))
    return series, np.array(numbers)


def _ts(name: str, part: str) -> str:
    """From the installed package, else from its wheel, which `make data` fetches: aeon asks for an older NumPy."""
    installed = folder("aeon")
    base: Any = installed.parent if installed else zipfile.Path(archive(WHEEL))
    text: str = (base / "aeon" / "datasets" / "data" / name / f"{name}_{part}.ts").read_text(encoding="utf-8")
    return text
