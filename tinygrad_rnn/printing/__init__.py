"""From nodes and systems to what a person reads: text that reads back to the same graph, and LaTeX."""
