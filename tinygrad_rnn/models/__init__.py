"""The model, and what falls out of its equations: values, gradients, draws, steps, tables of time."""
