"""Combinators: from a cell another one, which `stack` takes as any other."""

from __future__ import annotations

from dataclasses import replace

from tinygrad_rnn.arguments import one_of
from tinygrad_rnn.keywords import told

from .cells import Cell
from .named import cell_of

MERGES = {"concat": "h[t] = concat(h_f[t], h_b[t])", "sum": "h[t] = h_f[t] + h_b[t]"}


@told
def both_ways(cell: Cell | str, merge: str = "concat") -> Cell:
    """The cell forward (h_f) beside the same cell backward (h_b), each with weights of its own.

    cell: a `Cell`, a name such as "lstm", or equations as text. h[t] = concat(h_f[t], h_b[t]), or their sum, as `merge`
    says. Raises for another merge or cell.
    Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks"; with LSTM cells: Graves and
    Schmidhuber 2005, "Framewise phoneme classification with bidirectional LSTM and other neural network architectures".
    """
    one_of("merge", merge, MERGES)
    cell = cell_of(cell)
    ahead, back = cell.renamed(lambda n: f"{n}_f"), cell.backward().renamed(lambda n: f"{n}_b")
    return replace(cell, name=f"bidirectional_{cell.name}", text="\n".join([ahead.text, back.text, MERGES[merge]]),
                   rules={**ahead.rules, **back.rules}, hidden=(*ahead.hidden, *back.hidden),
                   sizes={**ahead.sizes, **back.sizes})


@told
def residual(cell: Cell | str, project: bool = False) -> Cell:
    """The cell with its input added to its output: h[t] = k[t] + x[t], where k is the cell's own h.

    cell: a `Cell`, a name such as "lstm", or equations as text. project: add W_xs x[t], where the input has another
    size than the output. Raises for another cell.
    Sources: He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition", equations 1 and 2; between
    the layers of an LSTM: Wu et al. 2016, "Google's neural machine translation system", section 3.1.
    """
    cell = cell_of(cell)
    inner = cell.renamed(lambda n: f"{n}_r")
    text = "h[t] = h_r[t] + " + ("W_xs @ x[t]" if project else "x[t]")
    return replace(inner, name=f"residual_{cell.name}", text=f"{inner.text}\n{text}")
