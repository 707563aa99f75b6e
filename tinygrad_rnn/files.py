"""Files written whole or not at all.

A file is written beside its target under another name, forced to disk, and renamed. A process killed in between
leaves the old file as it was, and at most a stray `.NAME.….part` beside it, which may be deleted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from .errors import BadFile, BadType, BadValue, Error

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
        raise BadFile(f"cannot write {path} in the folder {target.parent}: {reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def as_path(path: PathLike) -> Path:
    """The path of a file. Raises BadType where it is no string and no Path, BadValue where no file can be named so."""
    if not isinstance(path, (str, os.PathLike)):
        raise BadType(f"a file is named by a string or a Path, not by {path!r:.80}")
    if not os.fspath(path):
        raise BadValue("a file has a name, and this one is empty")
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
        raise BadFile(f"cannot write in the folder {folder}: {reason(error)}") from error
    return folder


def _to_disk(path: Path) -> None:
    """Force a file's content, or a folder's names, to disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reason(error: OSError) -> str:
    """The system's own words."""
    return error.strerror.lower() if error.strerror else str(error)
