"""Arrays from files: read whole, or mapped where they are larger than memory."""

from __future__ import annotations

import os
import zipfile
from typing import Any

import numpy as np

from ..errors import BadFile, BadType, BadValue, Error
from ..files import as_path
from ..keywords import told


@told
def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name. Raises BadFile where it cannot be read; pickled objects are not."""
    try:
        with np.load(as_path(path), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except Error:
        raise
    except OSError as error:
        raise BadFile(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise BadFile(f"cannot read {path}: it is not a file of arrays that np.savez wrote") from error


@told
def mapped(path: str | os.PathLike[str], dtype: Any = "uint8") -> np.ndarray:
    """A file as a read-only array of which only what is used is read: for files larger than memory.

    An .npy file has the shape and dtype that it was saved with. Any other file is one row of numbers of `dtype`;
    with uint8 a text is its bytes, classes 0 to 255, which `streams` and `fit` take as they are. An array in the
    dict that `fit` is given may be such a map: each batch reads its own rows.
    Raises BadFile where the file cannot be read, BadValue where it is empty, an .npz or no whole number of values.
    """
    file = as_path(path)
    try:
        if file.suffix == ".npz":
            raise BadValue(f"{path} holds several arrays, which are not mapped: tr.data.read_arrays reads them, and "
                           "np.save writes one as .npy")
        if file.suffix == ".npy":
            return np.load(file, mmap_mode="r", allow_pickle=False)
        kind, size = _plain(dtype), file.stat().st_size
        if size == 0:
            raise BadValue(f"{path} is empty; some numbers were expected")
        if size % kind.itemsize:
            raise BadValue(f"{path} has {size} bytes, which is no whole number of {kind}, {kind.itemsize} bytes each")
        return np.memmap(file, kind, "r")
    except Error:
        raise
    except OSError as error:
        raise BadFile(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, EOFError) as error:
        raise BadFile(f"cannot read {path}: it is not an array that np.save wrote ({error})") from error


def _plain(dtype: Any) -> np.dtype[Any]:
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise BadType(f"dtype is that of the file's numbers, such as 'uint8' or 'float32', not {dtype!r}") from None
    if kind.kind not in "biuf":
        raise BadType(f"a file is mapped as numbers, such as 'uint8' or 'float32', not as {kind}")
    return kind
