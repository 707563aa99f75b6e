"""The genome of a bacterium, and where its genes are."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tinygrad_rnn.data import split

from .found import Parts, package

BASES = "ACGT"
LABELS = ("neither", "forward", "reverse")
FILE = "tests/data/GCF_001457455.1_NCTC11397_genomic.fna.gz"


def genome(length: int | None = None) -> Parts:
    """Corynebacterium diphtheriae NCTC 11397, base by base: {"base": numbers in BASES, "label": numbers in LABELS}.

    All 2,463,666 bases, or the first `length` (20,000 or more), int8. The label says whether a base is in a gene
    that is read forward, in one that is read in reverse, or in neither, as pyrodigal finds the genes: Hyatt et al.
    (2010), "Prodigal: prokaryotic gene recognition and translation initiation site identification". Where genes
    overlap, by a few bases, the later one counts. Parts: 0.8, 0.1, 0.1, in order.
    """
    pyrodigal = package("pyrodigal")
    text = fasta(gzip.decompress((Path(str(pyrodigal.__file__)).parent / FILE).read_bytes()).decode())[:length]
    finder = pyrodigal.GeneFinder()
    finder.train(text)
    genes = [(gene.begin, gene.end, gene.strand) for gene in finder.find_genes(text)]
    data = {"base": bases(text), "label": labels(len(text), genes)}
    return split(data, 0.8, 0.1, 0.1)


def fasta(text: str) -> str:
    """The one sequence of a FASTA file, in capitals."""
    return "".join(line.strip() for line in text.splitlines() if not line.startswith(">")).upper()


def bases(text: str) -> np.ndarray:
    """Bases as places in BASES, int8. Raises ValueError for another letter."""
    numbers = np.full(256, -1, np.int8)
    numbers[np.frombuffer(BASES.encode(), np.uint8)] = range(len(BASES))
    found = numbers[np.frombuffer(text.encode(), np.uint8)]
    if (found < 0).any():
        raise ValueError(f"base {text[int(np.argmin(found))]!r} is none of {BASES}")
    return found


def labels(length: int, genes: Iterable[tuple[int, int, int]]) -> np.ndarray:
    """The place in LABELS of each base, int8, from genes (first base, last base, strand), counted from 1."""
    found = np.zeros(length, np.int8)
    for begin, end, strand in genes:
        found[begin - 1 : end] = LABELS.index("forward" if strand > 0 else "reverse")
    return found
