"""Cells by name, for what takes any of them."""

from __future__ import annotations

from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.ops.table import near

from .cells import Cell
from .elementwise import INDRNN, MINGRU, MINLSTM
from .gru import GRU, MGU
from .lstm import COUPLED, LSTM, PEEPHOLE
from .rnn import RNN

CELLS = {cell.name: cell for cell in (RNN, LSTM, PEEPHOLE, COUPLED, GRU, MGU, INDRNN, MINGRU, MINLSTM)}


def cell_of(cell: Cell | str) -> Cell:
    """The cell of that name, or the cell itself. Raises for a name that there is not."""
    if isinstance(cell, Cell):
        return cell.checked()
    if not isinstance(cell, str) or cell not in CELLS:
        raise BadValue(f"unknown cell {cell!r}{near(str(cell), CELLS)}; there are {', '.join(CELLS)}, or any Cell")
    return CELLS[cell]
