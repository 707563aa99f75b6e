"""Diagrams of any declared model, drawn from its graph of equations alone.

`draw` and `svg` show a model in any view; `gradient_flow` and `fading` how far gradients reach back; `op_graph` shows
any expression; `to_networkx` gives the graph of quantities itself.
"""

from .api import draw, svg
from .fading import fading
from .flow import gradient_flow, gradient_norms
from .names import to_networkx
from .opgraph import op_graph
from .scopes import operations

__all__ = ["draw", "fading", "gradient_flow", "gradient_norms", "op_graph", "operations", "svg", "to_networkx"]
