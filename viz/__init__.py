"""Diagrams of any declared model, drawn from its graph of equations alone.

`draw` and `svg` show a model in any view; `gradient_flow` and `fading` how far gradients reach back; `op_graph` shows
any expression; `to_networkx` gives the graph of quantities itself.
"""

from .api import draw, svg
from .fading.fading import fading
from .flow.flow import gradient_flow, gradient_norms
from .graph.names import to_networkx
from .ops.opgraph import op_graph
from .ops.scopes import operations

__all__ = ["draw", "fading", "gradient_flow", "gradient_norms", "op_graph", "operations", "svg", "to_networkx"]
