"""From a view to a scene: rows and columns, ports, and the ways of wires between boxes."""
