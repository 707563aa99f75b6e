"""Text as data: reading it, its vocabulary, and batches of parallel streams for truncated BPTT."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .arguments import real, whole
from .errors import BadFile, BadType, BadValue


def text_of_python_docs() -> str:
    """The English of the running Python's own help topics (`pydoc_data.topics`), in the order of their names.

    About 465,000 characters; it differs a little between versions of Python. Raises BadFile where the
    installation carries no topics.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise BadFile(f"this Python has no help topics ({error}); give a text file instead") from error
    return "\n".join(topics[name] for name in sorted(topics))


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file, its line ends as \\n and without a byte order mark.

    Raises BadFile where it cannot be read or is not UTF-8 (naming the byte), BadValue where it is empty.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadFile(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} ({error.reason}); "
            "convert it first, for example with iconv"
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        raise BadValue(f"{path} is empty; some text was expected")
    return text


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name. Raises BadFile where it cannot be read; pickled objects are not."""
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except OSError as error:
        raise BadFile(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise BadFile(f"cannot read {path}: it is not a file of arrays that np.savez wrote") from error


class Vocabulary:
    """The distinct characters of a text, sorted; a character's number is its place among them.

    `Vocabulary(vocabulary.symbols)` is the same vocabulary, so the string `symbols` is how to store one.
    Raises BadValue for an empty text.
    """

    def __init__(self, text: str):
        if not isinstance(text, str):
            raise BadType(f"a vocabulary is made from text, not from {type(text).__name__}")
        if not text:
            raise BadValue("a vocabulary needs at least one character")
        self.symbols = "".join(sorted(set(text)))
        self._codes = _codes(self.symbols)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return isinstance(symbol, str) and len(symbol) == 1 and symbol in self.symbols

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Vocabulary({self.symbols!r})"

    def encode(self, text: str) -> np.ndarray:
        """The number of each character, int64 of shape (len(text),). Raises BadValue for one outside."""
        if not isinstance(text, str):
            raise BadType(f"encode takes text, not {type(text).__name__}")
        codes = _codes(text)
        ids = np.minimum(np.searchsorted(self._codes, codes), len(self) - 1)
        strange = np.flatnonzero(self._codes[ids] != codes)
        if strange.size:
            at = int(strange[0])
            raise BadValue(
                f"the symbol {text[at]!r} at position {at} is not in the vocabulary of {len(self)}: {self.symbols!r}"
            )
        return ids

    def decode(self, ids: Any) -> str:
        """The text of these numbers (any array of integers, read in order).

        Raises BadType where they are not integers, BadValue where one is outside 0..len-1.
        """
        array = np.asarray(ids)
        if array.dtype.kind not in "iu" and array.size:
            raise BadType(f"decode takes integers, not {array.dtype}")
        flat = array.ravel().astype(np.int64)
        strange = np.flatnonzero((flat < 0) | (flat >= len(self)))
        if strange.size:
            at = int(strange[0])
            raise BadValue(f"the number {flat[at]} at position {at} is outside the vocabulary of {len(self)}")
        return "".join(self.symbols[i] for i in flat)


def _codes(text: str) -> np.ndarray:
    """Code points; lone surrogates, which a Python string may hold, pass."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def split_text(ids: Any, fraction: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """(training part, held-out part), the latter the last `fraction` of ids, rounded, and at least one of each.

    Raises BadValue unless fraction is between 0 and 1 and there are two ids to share.
    """
    array = _ids(ids)
    share = real("fraction", fraction, above=0, below=1)
    if len(array) < 2:
        raise BadValue(f"a text of {len(array)} cannot be split; at least 2 characters were expected")
    held_out = min(max(round(len(array) * share), 1), len(array) - 1)
    return array[:-held_out], array[-held_out:]


@dataclass(frozen=True, eq=False)
class Streams:
    """Batches of N parallel streams of one text, each batch going on where the one before it ended.

    Iterating gives len(self) dicts {"x": (N, T), "target": (N, T)}, views of the text, with target the
    character after x. Carry the state from batch to batch: row k of each is one contiguous stream.
    At most the last N * T characters of the text are left over.
    """

    ids: np.ndarray
    batch: int
    steps: int

    def __len__(self) -> int:
        return (len(self.ids) - 1) // (self.batch * self.steps)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        used = len(self) * self.batch * self.steps
        x = self.ids[:used].reshape(self.batch, -1)
        target = self.ids[1 : used + 1].reshape(self.batch, -1)
        for start in range(0, x.shape[1], self.steps):
            part = slice(start, start + self.steps)
            yield {"x": x[:, part], "target": target[:, part]}


def streams(ids: Any, batch: int, steps: int) -> Streams:
    """`Streams` of the text `ids`: N = batch streams, T = steps characters each at a time.

    Raises BadValue where the text is shorter than the N * T + 1 characters of a single batch.
    """
    array = _ids(ids)
    batch, steps = whole("batch", batch, at_least=1), whole("steps", steps, at_least=1)
    needed = batch * steps + 1
    if len(array) < needed:
        raise BadValue(
            f"the text has {len(array)} characters; {batch} streams of {steps} steps need at least {needed}: "
            "give more text or a smaller batch or fewer steps"
        )
    return Streams(array, batch, steps)


def _ids(ids: Any) -> np.ndarray:
    array = np.asarray(ids)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise BadType(f"encoded text is one row of integers, not {array.dtype} of shape {array.shape}")
    return array
