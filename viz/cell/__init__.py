"""The cell view: the inside of one step, on a grid."""
