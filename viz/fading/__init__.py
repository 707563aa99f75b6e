"""The gradient on its way back, as an animation: a page or frames."""
