"""The folded view, the unrolled one, and the equations beside their diagram."""
