"""The attention view: what attends to what, and how much."""
