"""Files written beside and renamed, so that none is ever there by half."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tinygrad_rnn.errors import BadFile, BadType, BadValue


def target(path: str | os.PathLike[str], endings: tuple[str, ...]) -> tuple[Path, str]:
    """The path and its ending, one of those given. Raises `BadType` or `BadValue`, naming them."""
    if not isinstance(path, (str, os.PathLike)):
        raise BadType(f"a picture's path is text or a Path, not {type(path).__name__}")
    file = Path(path)
    ending = file.suffix.lower()
    if ending not in endings:
        named = f"ends in {file.suffix}" if file.suffix else "has no ending"
        raise BadValue(f"{str(file)!r} {named}; a picture ends in {', '.join(endings[:-1])} or {endings[-1]}")
    return file, ending


def replaced(file: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a new file in the same folder, then put it in place. Raises `BadFile`."""
    if not file.parent.is_dir():
        raise BadFile(f"cannot write {str(file)!r}: there is no folder {str(file.parent)!r}; make it first")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.stem[:40]}.", suffix=file.suffix, dir=file.parent)
        os.close(handle)
    except (OSError, ValueError) as error:
        raise BadFile(f"cannot write {str(file)!r}: {_reason(error)}") from error
    beside = Path(name)
    try:
        write(beside)
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        os.replace(beside, file)
    except OSError as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"cannot write {str(file)!r}: {_reason(error)}") from error
    finally:
        beside.unlink(missing_ok=True)
    return file


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
