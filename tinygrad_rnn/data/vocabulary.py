"""Symbols as whole numbers: the characters of a text, its words, or anything else that can be told apart."""

from __future__ import annotations

import json
import os
import reprlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import backends
from ..arguments import whole
from ..attributes import OF_VOCABULARIES, Advised
from ..errors import BadFile, BadName, BadType, BadValue, near
from ..files import write_atomic
from ..keywords import told
from .text import read_text

STORED = (str, int, float, bool, type(None))  # what JSON gives back as it was


@told
class Vocabulary(Advised):
    """The distinct symbols of a text, or of any iterable of hashables, each with a number.

    The characters of a text are sorted; other symbols come by how often they occur, then by which came first.
    least: symbols that occur less often are left out. unknown: the symbol that stands for every other one; without it
    a symbol from outside is an error. specials: symbols that no data hold, such as "<EOS>". `unknown` and `specials`
    have the first numbers.

    `symbols` has them all in the order of their numbers, as a string where the vocabulary is that of a text and each
    is one character; `Vocabulary(vocabulary.symbols)` has the same numbers.

        letters = Vocabulary("".join(names), specials=["<EOS>"])
        words = Vocabulary((word for line in lines for word in line.split()), least=2, unknown="<UNK>")

    Raises BadValue where there are no symbols, or some are left out and there is no `unknown`.
    """

    _elsewhere = OF_VOCABULARIES
    symbols: Sequence[Any]
    unknown: Any

    def __init__(self, symbols: Iterable[Hashable], *, least: int = 1, unknown: Any = None,
                 specials: Iterable[Hashable] = ()):
        if isinstance(symbols, (bytes, bytearray)) or not isinstance(symbols, Iterable):
            raise BadType("a vocabulary is made from text or an iterable of symbols, not from "
                          f"{type(symbols).__name__}")
        marks = _marks(unknown, specials)
        kept = _found(symbols, whole("least", least, at_least=1), unknown is not None)
        if not kept and not marks:
            raise BadValue("a vocabulary needs at least one character or symbol")
        self._number([*marks, *(s for s in kept if s not in marks)], unknown, isinstance(symbols, str))

    def _number(self, symbols: Sequence[Any], unknown: Any, of_text: bool) -> None:
        single = of_text and all(_is_character(s) for s in symbols)
        self.symbols = "".join(symbols) if single else tuple(symbols)
        self.unknown, self.of_text = unknown, of_text
        self._ids = {symbol: number for number, symbol in enumerate(symbols)}
        characters = sorted(s for s in symbols if _is_character(s))
        self._codes = _codes("".join(characters))
        self._code_ids = np.array([self._ids[c] for c in characters], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.symbols)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return isinstance(symbol, Hashable) and symbol in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return tuple(self.symbols), self.unknown, self.of_text

    def __repr__(self) -> str:
        return f"Vocabulary({_brief(self.symbols)})"

    def __getitem__(self, symbol: Any) -> int:
        """The number of one symbol, such as "<EOS>". Raises BadName where it has none."""
        if symbol not in self:
            raise BadName(f"the symbol {symbol!r} is not in the vocabulary of {len(self)}: {_brief(self.symbols)}")
        return self._ids[symbol]

    def encode(self, symbols: Iterable[Any]) -> np.ndarray:
        """The number of each symbol, int64 of shape (len(symbols),); a text is read character by character.

        Raises BadValue for a symbol from outside, where there is no `unknown`.
        """
        if isinstance(symbols, (bytes, bytearray)) or not isinstance(symbols, Iterable):
            raise BadType(f"encode takes text or an iterable of symbols, not {type(symbols).__name__}")
        if isinstance(symbols, str):
            ids = self._text_ids(symbols)
        else:
            symbols = _listed(symbols)
            ids = np.array([self._id(s) for s in symbols], dtype=np.int64)
        strange = np.flatnonzero(ids < 0)
        if strange.size:
            self._refuse(symbols, int(strange[0]))
        return ids

    def _id(self, symbol: Any) -> int:
        try:
            return self._ids.get(symbol, self._unknown_id())
        except TypeError:
            raise BadType(f"{_brief(symbol)} cannot be a symbol of a vocabulary; encode takes one sequence of symbols "
                          "at a time") from None

    def _unknown_id(self) -> int:
        return -1 if self.unknown is None else self._ids[self.unknown]

    def _text_ids(self, text: str) -> np.ndarray:
        """By a search in the sorted code points: a text of many millions of characters takes seconds."""
        codes = _codes(text)
        if not len(self._codes):
            return np.full(len(codes), self._unknown_id(), np.int64)
        at = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return np.where(self._codes[at] == codes, self._code_ids[at], self._unknown_id())

    def _refuse(self, symbols: Any, at: int) -> None:
        names = [s for s in self.symbols if isinstance(s, str)]
        if isinstance(symbols, str) and not self.of_text:
            hint = "a text is read character by character and this vocabulary is not one of characters; give the " \
                   "symbols one by one, such as text.split()"
        else:
            hint = "a vocabulary with unknown= lets such symbols pass"
        raise BadValue(f"the symbol {symbols[at]!r} at position {at} is not in the vocabulary of {len(self)}: "
                       f"{_brief(self.symbols)}{near(str(symbols[at]), names)}; {hint}")

    def decode(self, ids: Any) -> Any:
        """What these numbers stand for (any array of integers, read in order): text for that of a text, else a list.

        Raises BadType where they are not integers, BadValue where one is outside 0..len-1.
        """
        array = backends.current().to_host(ids)
        if array.dtype.kind not in "iu" and array.size:
            raise BadType(f"decode takes integers, not {array.dtype}")
        flat = array.ravel().astype(np.int64)
        strange = np.flatnonzero((flat < 0) | (flat >= len(self)))
        if strange.size:
            at = int(strange[0])
            raise BadValue(f"the number {flat[at]} at position {at} is outside the vocabulary of {len(self)}")
        found = [self.symbols[i] for i in flat.tolist()]
        return "".join(found) if self.of_text else found

    # -- storing -----------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The vocabulary as JSON, fit for the `meta` of a checkpoint; that of a plain text is one JSON string.

        Raises BadType where a symbol is not a text, a number, a truth value or None.
        """
        if isinstance(self.symbols, str) and self.unknown is None:
            return json.dumps(self.symbols)
        strange = next((s for s in self.symbols if not isinstance(s, STORED)), None)
        if strange is not None:
            raise BadType(f"{_brief(strange)} cannot be stored as JSON; make symbols of text or numbers")
        return json.dumps({"symbols": list(self.symbols), "unknown": self.unknown, "text": self.of_text})

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary that `to_json` wrote. Raises BadValue for any other text."""
        try:
            found = json.loads(text)
            if isinstance(found, str):
                found = {"symbols": found, "unknown": None, "text": True}
            symbols, unknown, of_text = list(found["symbols"]), found["unknown"], found["text"]
            good = len(set(symbols)) == len(symbols) > 0 and isinstance(of_text, bool)
            if not good or (unknown is not None and unknown not in symbols):
                raise ValueError("symbols, unknown and text do not fit together")
            vocabulary = cls.__new__(cls)
            vocabulary._number(symbols, unknown, of_text)
        except (ValueError, KeyError, TypeError) as error:
            raise BadValue(f"this is no vocabulary as to_json writes it: {error}") from None
        return vocabulary

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file. Raises BadFile where it cannot be written, BadType as `to_json` does."""
        write_atomic(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """The vocabulary that `save` wrote. Raises BadFile where the file cannot be read or is another one."""
        try:
            return cls.from_json(read_text(path))
        except BadValue as error:
            raise BadFile(f"cannot read the vocabulary {path}: {error}") from error


def _found(symbols: Iterable[Any], least: int, others_pass: bool) -> list[Any]:
    """The symbols that occur at least that often, in the order of their numbers."""
    if isinstance(symbols, str) and least == 1:
        return sorted(set(symbols))  # a tenth of the time of counting
    try:
        counts = Counter(symbols if isinstance(symbols, str) else _listed(symbols))
    except TypeError as error:
        raise BadType(f"symbols of a vocabulary can be told apart and counted, unlike these ({error}); for sequences "
                      "of symbols give all of them in one row") from None
    kept = [symbol for symbol, count in counts.most_common() if count >= least]
    if len(kept) < len(counts) and not others_pass:
        raise BadValue(f"least={least} leaves out {len(counts) - len(kept)} of {len(counts)} symbols, which then could "
                       'not be encoded; give a symbol for them, such as unknown="<UNK>"')
    return sorted(kept) if isinstance(symbols, str) else kept


def _marks(unknown: Any, specials: Iterable[Any]) -> list[Any]:
    if isinstance(specials, str):
        raise BadType(f"specials is a list of symbols, such as [{specials!r}], not one text")
    if not isinstance(specials, Iterable):
        raise BadType(f"specials is a list of symbols, such as ['<EOS>'], not {_brief(specials)}")
    marks = list(specials)
    for mark in (*marks, unknown):
        if not isinstance(mark, Hashable):
            raise BadType(f"{_brief(mark)} cannot be a symbol of a vocabulary")
    if len(set(marks)) < len(marks):
        raise BadValue(f"specials holds a symbol twice: {marks}")
    return marks if unknown is None or unknown in marks else [unknown, *marks]


def _listed(symbols: Iterable[Any]) -> list[Any]:
    """As a list; of an array as Python's own numbers, which JSON can store."""
    return symbols.ravel().tolist() if isinstance(symbols, np.ndarray) else list(symbols)


def _is_character(symbol: Any) -> bool:
    return isinstance(symbol, str) and len(symbol) == 1


def _codes(text: str) -> np.ndarray:
    """Code points; lone surrogates, which a Python string may hold, pass."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _brief(value: Any) -> str:
    short = reprlib.Repr()
    short.maxstring, short.maxtuple, short.maxother = 200, 12, 80
    return short.repr(value)
