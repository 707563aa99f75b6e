"""The benchmark: one training step, forward and all weight gradients, beside PyTorch and JAX."""
