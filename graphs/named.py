"""Cells by name, for what takes any of them."""

from __future__ import annotations

from tinygrad_rnn.errors import BadValue, near

from .cells import Cell
from .elementwise import INDRNN, MINGRU, MINLSTM
from .gru import GRU, GRU_AFTER, MGU
from .lstm import COUPLED, LSTM, PEEPHOLE
from .rnn import RNN
from .statespace import LRU

CELLS = {cell.name: cell for cell in (
    RNN, LSTM, PEEPHOLE, COUPLED, GRU, GRU_AFTER, MGU, INDRNN, MINGRU, MINLSTM, LRU)}


def cell_of(cell: Cell | str) -> Cell:
    """A cell itself, the one of that name, or the one of these equations. Raises where it is none of them."""
    if isinstance(cell, str) and "=" in cell:
        cell = Cell("cell", cell)
    if isinstance(cell, Cell):
        return cell.checked()
    if not isinstance(cell, str) or cell not in CELLS:
        raise BadValue(f"unknown cell {cell!r}{near(str(cell), CELLS)}; there are {', '.join(CELLS)}, or any Cell, or "
                       "its equations as text")
    return CELLS[cell]
