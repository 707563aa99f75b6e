"""FlashRNN's side: its kernels, compiled when they are first used, for the loop; PyTorch for the products with x.

Pöppel, Beck and Hochreiter 2024, "FlashRNN: I/O-Aware Optimization of Traditional RNNs on modern hardware".
"""

from __future__ import annotations

import torch.nn.functional as F
from flashrnn import flashrnn
from torch import Tensor

from .cells import LSTM, Size
from .problem import HOST, Arrays, Place, Prepared
from .torch_side import facts, loop_step, release, use

# Its fused kernel multiplies on tensor cores, so exact float32 is for the other one, which calls cuBLAS at every step.
KERNELS = {"float32": ("cuda", "float32"), "tf32": ("cuda_fused", "float32"), "bfloat16": ("cuda_fused", "bfloat16")}


def lstm_step(size: Size, place: Place = HOST) -> Prepared:
    """Forward and backward of its LSTM with one head; its gates have the order of ours."""
    backend, dtype = KERNELS[place.precision]

    def forward(w: Arrays, x: Tensor) -> Tensor:
        n, steps, hidden = len(x), x.shape[1], size.hidden
        gates = F.linear(x, w["W_x"]).view(n, steps, 4, 1, hidden)
        states, _ = flashrnn(gates, w["W_h"].view(4, 1, hidden, hidden), w["b"].view(4, 1, hidden), function="lstm",
                             backend=backend, dtype=dtype)
        return states[0].reshape(n, steps, hidden)

    return loop_step(forward, LSTM, size, place)


PREPARE = {"lstm": lstm_step}
__all__ = ["PREPARE", "facts", "release", "use"]
