"""Real data made ready for `fit`: texts, tables, maps of files; vocabularies; splits; streams and buckets of batches.

What `fit` takes is a dict of arrays, or an iterable of such dicts. Nothing here knows a model: every function takes
arrays and sequences and returns arrays and sequences, and `Bucketed` and `Streams` are such iterables.
"""

from typing import Any

from ..attributes import absent
from .arrays import mapped, read_arrays
from .buckets import Bucketed, bucketed
from .sequences import padded
from .splits import split, split_text
from .streams import Streams, streams, windows
from .tables import grouped, read_table
from .text import read_text, text_of_python_docs
from .vocabulary import Vocabulary


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, __all__)


__all__ = ["Bucketed", "Streams", "Vocabulary", "bucketed", "grouped", "mapped", "padded", "read_arrays", "read_table",
           "read_text", "split", "split_text", "streams", "text_of_python_docs", "windows"]
