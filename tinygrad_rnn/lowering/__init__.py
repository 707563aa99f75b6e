"""A system rewritten for a plan: what is computed in its place costs less, and has the same value."""
