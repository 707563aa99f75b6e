"""Checkpoints: arrays with text about them, as safetensors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .errors import BadFile, BadType, BadValue, Error
from .files import PathLike, as_path, reason, write_atomic

FORMAT, VERSION = "tinygrad_rnn", "1"


def described(own: Mapping[str, str], meta: Mapping[str, str] | None) -> dict[str, str]:
    """What a file says about itself, and a person's own texts. Raises where those are none, or take its keys."""
    if meta is None:
        return dict(own)
    if not isinstance(meta, Mapping):
        raise BadType(f"meta is a dict of texts to keep in the file, not {type(meta).__name__}")
    taken = [key for key in own if key in meta]
    if taken:
        raise BadValue(f"the key {taken[0]!r} of meta is taken by the file itself; choose another name")
    _check_texts(meta)
    return {**own, **meta}


def save_checkpoint(path: PathLike, arrays: Mapping[str, Any], meta: Mapping[str, str]) -> None:
    """Write arrays (of NumPy, numbers or truth values) and text about them as one safetensors file.

    Raises BadType where an array or a text is not one, BadValue where a name or key is taken by the file format,
    BadFile where the file cannot be written.
    """
    _check_texts(meta)
    data = {name: _storable(name, array) for name, array in arrays.items()}
    write_atomic(path, _ordered(save(data, {"format": FORMAT, "version": VERSION, **meta})))


def _check_texts(meta: Mapping[str, str]) -> None:
    for key, text in meta.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise BadType(f"the text about a checkpoint is made of strings, not {key!r}: {text!r}")
        if key in ("format", "version"):
            raise BadValue(f"the key {key!r} of a checkpoint's text is taken by the file format")
        if any("\ud800" <= symbol <= "\udfff" for symbol in key + text):
            raise BadValue(f"the text {key!r} of a checkpoint holds a lone surrogate, which no file can")


def load_checkpoint(path: PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays, meta) as `save_checkpoint` wrote them.

    Raises BadFile where the file is missing, unreadable, truncated, of another program or of a newer version.
    """
    try:
        as_path(path).open("rb").close()  # tells a missing file or a folder in the system's own words
        with safe_open(os.fspath(path), framework="np") as file:
            meta = dict(file.metadata() or {})
            _check_format(path, meta.pop("format", None), meta.pop("version", None))
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except Error:
        raise
    except OSError as error:
        raise BadFile(f"cannot read the checkpoint {path}: {reason(error)}") from error
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadFile(
            f"{path} is truncated or no checkpoint at all ({error}); use another copy or save the model again"
        ) from error
    return arrays, meta


def _ordered(data: bytes) -> bytes:
    """The same file with its texts in the order of their keys: equal checkpoints are equal bytes.

    A safetensors file is the header's length in 8 bytes, the header in JSON (a multiple of 8, so that the arrays
    are aligned), and the arrays. The library leaves the order of the texts to chance.
    """
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[start:]


def _check_format(path: PathLike, form: str | None, version: str | None) -> None:
    if form != FORMAT:
        raise BadFile(
            f"{path} is a safetensors file that tinygrad_rnn did not write (format {form!r}); read such weights with "
            "safetensors itself and set them by name"
        )
    if version != VERSION:
        raise BadFile(
            f"{path} has version {version!r} of the checkpoint format; this tinygrad_rnn reads version {VERSION}. "
            "Load it with the tinygrad_rnn that saved it, or install a newer one"
        )


def _storable(name: str, array: Any) -> np.ndarray:
    """The array contiguous and in native byte order, as safetensors takes it for granted."""
    if name == "__metadata__":
        raise BadValue(f"the name {name!r} is taken by the file format")
    array = np.asarray(array)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise BadType(f"{name} holds {array.dtype}, which a checkpoint cannot store; numbers were expected")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
