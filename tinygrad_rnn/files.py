"""Files written whole or not at all, and checkpoints: arrays with text about them, as safetensors.

A file is written beside its target under another name, forced to disk, and renamed. A process killed in between
leaves the old file as it was, and at most a stray `.NAME.….part` beside it, which may be deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .errors import BadFile, BadType, BadValue, Error

FORMAT, VERSION = "tinygrad_rnn", "1"
PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike, lasting: bool = True) -> Iterator[Path]:
    """A name to write to, in the same folder and with the same ending, which becomes `path` at the end.

    lasting: wait until it is on disk; not needed for what is easily made anew and of which damage is seen.
    Raised inside, an exception leaves the target as it was and nothing beside it. Links are followed.
    Raises BadFile where the folder or the file cannot be written, saying why, and else as `as_path` does.
    """
    with _beside(path) as (part, target):
        yield part
        if lasting:
            _to_disk(part)
        if target.exists():
            part.chmod(target.stat().st_mode & 0o777)
        os.replace(part, target)
        if lasting:
            with contextlib.suppress(OSError):  # not every file system can; the file is whole in either case
                _to_disk(target.parent)


def writable(path: PathLike) -> Path:
    """The path of a file that `replacing` can write: asked before the work whose result it is to hold.

    Raises as `replacing` does, and writes nothing.
    """
    with _beside(path):
        return as_path(path)


@contextlib.contextmanager
def _beside(path: PathLike) -> Iterator[tuple[Path, Path]]:
    """An empty file in the folder of `path`, gone afterwards, and where `path` leads."""
    target = Path(os.path.realpath(as_path(path)))
    part = target.with_name(f".{target.stem[:40]}.{secrets.token_hex(4)}.part{target.suffix}")
    try:
        if target.is_dir():
            raise BadFile(f"cannot write {path}: it is a folder")
        if not target.parent.is_dir():
            raise BadFile(f"cannot write {path}: there is no folder {target.parent}; make it first")
        part.touch(exist_ok=False)
        yield part, target
    except Error:
        raise
    except OSError as error:
        raise BadFile(f"cannot write {path} in the folder {target.parent}: {_reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def as_path(path: PathLike) -> Path:
    """The path of a file. Raises BadType where it is no string and no Path, BadValue where no file can be named so."""
    if not isinstance(path, (str, os.PathLike)):
        raise BadType(f"a file is named by a string or a Path, not by {path!r:.80}")
    try:
        with contextlib.suppress(OSError):
            os.lstat(path)
    except ValueError as error:  # of a zero byte, or half of a surrogate pair
        raise BadValue(f"no file can be named {os.fspath(path)!r:.80}: {error}") from None
    return Path(path)


def with_ending(what: str, path: PathLike, endings: Sequence[str]) -> tuple[Path, str]:
    """The path of a file and its ending in small letters, one of those given.

    what: such as "a picture", for the error. Raises as `as_path` does, and BadValue for another ending.
    """
    file = as_path(path)
    ending = file.suffix.lower()
    if ending not in endings:
        given = f"ends in {file.suffix}" if file.suffix else "has no ending"
        raise BadValue(f"{str(file)!r} {given}; {what} ends in {', '.join(endings[:-1])} or {endings[-1]}")
    return file, ending


def write_atomic(path: PathLike, data: bytes, lasting: bool = True) -> Path:
    """The file `path` with these bytes, whole or not at all; returns its path. Otherwise as `replacing`."""
    with replacing(path, lasting) as part:
        part.write_bytes(data)
    return Path(path)


def writable_folder(path: PathLike) -> Path:
    """The folder `path`, made where it is missing. Raises BadFile where it cannot be made or written in."""
    folder = as_path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{secrets.token_hex(4)}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadFile(f"cannot write in the folder {folder}: {_reason(error)}") from error
    return folder


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
        raise BadFile(f"cannot read the checkpoint {path}: {_reason(error)}") from error
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


def _to_disk(path: Path) -> None:
    """Force a file's content, or a folder's names, to disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return error.strerror.lower() if error.strerror else str(error)
