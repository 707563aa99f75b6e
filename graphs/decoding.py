"""What decoders share: how the classes w[t] that they write are told to the model."""

from __future__ import annotations

from tinygrad_rnn.arguments import whole

# Each y[t] is the distribution of w[t] given those before it: w is observed where it is given, else drawn.
OBSERVED = "w[t] = categorical(y[t])"


def classes(outputs: int, eos: bool) -> int:
    """The size of w: with `eos` one class more, the last, which ends a sequence."""
    return whole("outputs", outputs, at_least=1) + bool(eos)
