"""Texts: a file's, and one that every Python has."""

from __future__ import annotations

import os

from ..errors import BadFile, BadValue
from ..files import as_path
from ..keywords import told


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


@told
def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file, its line ends as \\n and without a byte order mark.

    Raises BadFile where it cannot be read or is not UTF-8 (naming the byte), BadValue where it is empty.
    """
    try:
        data = as_path(path).read_bytes()
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
