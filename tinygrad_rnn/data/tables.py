"""Tables of comma-separated values: columns by name, rows by group."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..arguments import named
from ..errors import BadName, BadType, BadValue, near
from ..keywords import told
from .rows import examples
from .text import read_text


@told
def read_table(path: str | os.PathLike[str], columns: Iterable[str] | None = None, *,
               delimiter: str = ",") -> dict[str, np.ndarray]:
    """The columns of a CSV file whose first row is their names, in this order; all where `columns` is None.

    A column of whole numbers is int64, one of numbers float64, with NaN where a cell is empty; any other is of
    texts. A row of the series is then `np.column_stack([table["open"], table["close"]])`.
    Raises BadName for a column that is not there, BadValue for a row that is too long or too short (naming the line)
    and a name that stands twice, BadFile and BadValue as `read_text` does.
    """
    if isinstance(columns, str):
        raise BadType(f"columns is a list of names, such as [{columns!r}], not one text")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise BadType(f"delimiter is one character, such as ';', not {delimiter!r}")
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    names = [name.strip() for name in next(reader)]
    wanted = names if columns is None else named("columns", columns)
    for name in wanted:
        if names.count(name) != 1:
            twice = f"{path} has {names.count(name)} columns of the name {name!r}"
            raise BadValue(twice) if name in names else BadName(
                f"{path} has no column {name!r}{near(name, names)}; its columns are {', '.join(names)}")
    places = [names.index(name) for name in wanted]
    rows = []
    for row in reader:
        if not row:
            continue  # an empty line
        if len(row) != len(names):
            raise BadValue(f"line {reader.line_num} of {path} has {len(row)} cells; its {len(names)} columns are "
                           f"{', '.join(names)}")
        rows.append([row[place] for place in places])
    if not rows:
        raise BadValue(f"{path} has no rows below the names of its columns")
    return {name: _column(list(cells)) for name, cells in zip(wanted, zip(*rows, strict=True), strict=True)}


@told
def grouped(table: Any, by: str) -> dict[str, Any]:
    """The rows of a table as one sequence per group, which is what `padded` and `bucketed` take.

    table: a dict of columns by name, or a DataFrame of pandas. by: the column that names the group; groups come in the
    order in which they first appear, their rows in the order of the table. Every other column becomes a list of arrays,
    one per group, and `by` the array of the groups.
    Raises BadName where the table has no such column.
    """
    if not isinstance(table, Mapping) and hasattr(table, "keys"):  # of pandas
        table = {name: table[name] for name in table.keys()}  # noqa: SIM118
    if not isinstance(table, Mapping):
        raise BadType(f"a table is a dict of columns by name, as read_table gives it, not {type(table).__name__}")
    if by not in table:
        raise BadName(f"the table has no column {by!r}{near(by, table)}; its columns are {', '.join(table)}")
    examples(table)
    groups, first, of = np.unique(np.asarray(table[by]), return_index=True, return_inverse=True)
    rows = [np.flatnonzero(of == group) for group in np.argsort(first)]
    found: dict[str, Any] = {name: [np.asarray(column)[r] for r in rows] for name, column in table.items()
                             if name != by}
    return {by: groups[np.argsort(first)], **found}


def _column(cells: list[str]) -> np.ndarray:
    """The first of these kinds that all the cells are of."""
    for kind in () if any("_" in cell for cell in cells) else (np.int64, np.float64):  # Python would read 1_000 as 1000
        try:
            return np.array([cell.strip() or "nan" for cell in cells], dtype=kind)
        except (ValueError, OverflowError):
            continue
    return np.array(cells)
