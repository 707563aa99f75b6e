"""What a model looks like as a graph of names, told from its equations: arrows with shifts, roles, steps."""
