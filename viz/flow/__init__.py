"""How far gradients reach back: their norms, which ways they take, and the plot."""
