"""Where the data are: in installed packages, and in the archives that `make data` fetches."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import tinygrad_rnn as tr
from tinygrad_rnn.commands.console import print_anything
from tinygrad_rnn.errors import BadFile

Parts = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]  # to train on, to choose by, to test with
ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = (ROOT if (ROOT / "Makefile").is_file() else Path()) / "data"  # where it is installed: of the current folder


class NotInstalled(tr.Error, ImportError):
    """A package whose data an example wants is not installed."""


def package(name: str, distribution: str | None = None) -> ModuleType:
    """The module of that name. distribution: what pip calls it, where that is another name."""
    known = distribution or name
    try:
        with scripts_aside():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise NotInstalled(f"this data set comes with the package {known}, not installed: pip install {known}, "
                           "or for all data sets, in the folder of the project: pip install '.[examples]'") from error


@contextmanager
def scripts_aside() -> Iterator[None]:
    """Look past the folder of the script that runs: an example may have the name of the package that it reads."""
    before, scripts = list(sys.path), Path(__file__).resolve().parents[1]
    sys.path[:] = [entry for entry in before if Path(entry or ".").resolve() != scripts]
    try:
        yield
    finally:
        sys.path[:] = before


def folder(name: str) -> Path | None:
    """The folder of an installed package, which is not imported; None where there is none."""
    with scripts_aside():
        spec = importlib.util.find_spec(name)
    places = None if spec is None else spec.submodule_search_locations
    return Path(next(iter(places))) if places else None


def archive(pattern: str, archives: Path = ARCHIVES) -> Path:
    """The file of that pattern among those that `make data` fetched. Raises BadFile where there is none."""
    found = sorted(archives.glob(pattern))
    if not found:
        raise BadFile(f"there is no {pattern} in {archives}: fetch it with `make data`")
    return found[-1]


def told(main: Callable[[], object]) -> None:
    """Run an example; a mistake, or a package that is missing, is one line on stderr and exit status 2."""
    print_anything()
    try:
        main()
    except tr.Error as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
