"""Sentences with ratings, and a long text."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np

from tinygrad_rnn.data import split, text_of_python_docs
from tinygrad_rnn.errors import BadFile

from .found import ARCHIVES, Parts, archive

SOURCE = "[vV]ader[sS]entiment-3.3.2.tar.gz"
INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"
RATED = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"


def movie_reviews(archives: Path = ARCHIVES) -> Parts:
    """10,605 sentences of film reviews and how people rated them: {"text": texts, "rating": float64}.

    A rating is the mean over about 15 persons, from -4, extremely negative, to 4, extremely positive; 0.494 of them are
    positive, above 0. From Hutto and Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment Analysis
    of Social Media Text", in the source archive of vaderSentiment 3.3.2, which `make data` fetches. A text that
    stands twice is in one part. Parts: 0.8, 0.1, 0.1.
    """
    rows = [line.split("\t") for line in _member(archive(SOURCE, archives)).decode().splitlines()]
    texts = [text.strip() for _, _, text in rows]
    data = {"text": texts, "rating": np.array([float(rating) for _, rating, _ in rows])}
    return split(data, 0.8, 0.1, 0.1, seed=0, groups=texts)


def _member(path: Path) -> bytes:
    """The rated sentences from the archive within the source archive."""
    try:
        with tarfile.open(path) as outer:
            inner = _read(outer, next(name for name in outer.getnames() if name.endswith(INNER)))
        with tarfile.open(fileobj=io.BytesIO(inner)) as archive_of_paper:
            return _read(archive_of_paper, RATED)
    except (tarfile.TarError, KeyError, StopIteration) as error:
        raise BadFile(f"{path} does not hold {INNER} with {RATED}: delete it and fetch it with `make data`") from error


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def python_docs() -> tuple[str, str, str]:
    """The English of Python's own help topics, as three texts, in order. Parts: 0.8, 0.1, 0.1."""
    return split(text_of_python_docs(), 0.8, 0.1, 0.1)
