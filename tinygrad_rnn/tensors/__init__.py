"""Tensors: the nodes and rows of models, without named indices."""
