"""What is drawn once and stamped at every step: the inside of a cell, its ranks, rows and tracks."""
