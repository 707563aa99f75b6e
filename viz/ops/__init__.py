"""Expressions as graphs of operations, and what a box of an operation says."""
