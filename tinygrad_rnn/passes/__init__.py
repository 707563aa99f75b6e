"""From one system of equations to another, or to its order: differentiation, unrolling, loops, tears in time."""
