"""Diagrams of any declared model, drawn from its graph of equations alone.

`draw` and `svg` show a model folded, unrolled or backward; `op_graph` shows any expression; `to_networkx` gives the
graph of quantities itself.
"""

from .api import draw, svg
from .names import to_networkx
from .opgraph import op_graph

__all__ = ["draw", "op_graph", "svg", "to_networkx"]
