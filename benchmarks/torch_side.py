"""PyTorch's side, eager: nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, and a LayerNorm-LSTM as users write it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import problem
from .cells import GRU, LAYERNORM, LSTM, RNN, Cell, Size
from .problem import Arrays, Prepared

torch.set_num_threads(2)
FOR_GOOD = contextlib.ExitStack()  # contexts that last as long as the process


def set_parameters(module: nn.Module, weights: Arrays) -> None:
    """The merged weights as PyTorch's; what the equations do not have (bias_hh) is zero."""
    hidden_bias = np.zeros_like(weights["b"])
    if "b_hn" in weights:
        hidden_bias[-len(weights["b_hn"]):] = weights["b_hn"]
    values = {"weight_ih": weights["W_x"], "weight_hh": weights["W_h"], "bias_ih": weights["b"],
              "bias_hh": hidden_bias}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(values[name.removesuffix("_l0")]))


def module_gradients(module: Any, cell: Cell) -> Arrays:
    """The gradients under the names of the merged weights."""
    found = {"W_x": module.weight_ih_l0.grad, "W_h": module.weight_hh_l0.grad, "b": module.bias_ih_l0.grad}
    if "b_hn" in cell.weights:
        found["b_hn"] = module.bias_hh_l0.grad[-module.hidden_size:]
    return {name: grad.numpy() for name, grad in found.items()}


def module_step(kind: type[nn.Module], cell: Cell, size: Size) -> Prepared:
    """Forward and backward of nn.LSTM, nn.GRU or nn.RNN, in the faster of its two layouts."""
    layouts = [module_in_layout(kind, cell, size, batch_first) for batch_first in (True, False)]
    return min(layouts, key=lambda prepared: seconds_of(prepared.step))


def seconds_of(step: Callable[[], Any], calls: int = 3) -> float:
    """The shortest of a few calls, after one that warms up."""
    times = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def module_in_layout(kind: Any, cell: Cell, size: Size, batch_first: bool) -> Prepared:
    """The same with batch or time as the first axis; the data lie that way already."""
    module = kind(size.inputs, size.hidden, batch_first=batch_first)
    set_parameters(module, problem.weights(cell, size))
    x, r = (torch.from_numpy(a if batch_first else np.ascontiguousarray(a.swapaxes(0, 1)))
            for a in problem.data(size))

    def step() -> Tensor:
        module.zero_grad(set_to_none=True)
        h, _ = module(x)
        (h * r).sum().backward()
        return h

    def answer() -> Arrays:
        h = step().detach().numpy()
        return {"h": h if batch_first else h.swapaxes(0, 1), **module_gradients(module, cell)}

    return Prepared(step, answer)


def layernorm_step(size: Size) -> Prepared:
    """A LayerNorm-LSTM as a loop over t; one linear map for the four gates, of the input and of the state."""
    w = {name: torch.from_numpy(value).requires_grad_() for name, value in problem.weights(LAYERNORM, size).items()}
    x, r = (torch.from_numpy(a) for a in problem.data(size))
    gates, hidden = (4 * size.hidden,), (size.hidden,)

    def forward() -> Tensor:
        h = c = x.new_zeros(size.batch, size.hidden)
        states = []
        for x_t in x.unbind(1):
            a = (F.layer_norm(F.linear(x_t, w["W_x"]), gates, w["gain_x"], w["b_x"])
                 + F.layer_norm(F.linear(h, w["W_h"]), gates, w["gain_h"], w["b_h"]))
            i, f, g, o = a.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(F.layer_norm(c, hidden, w["gain_c"], w["b_c"]))
            states.append(h)
        return torch.stack(states, 1)

    def step() -> Tensor:
        for parameter in w.values():
            parameter.grad = None
        h = forward()
        (h * r).sum().backward()
        return h

    def answer() -> Arrays:
        h = step().detach().numpy()
        return {"h": h, **{name: parameter.grad.numpy() for name, parameter in w.items() if parameter.grad is not None}}

    return Prepared(step, answer)


def online_step(size: Size) -> Prepared:
    """One step of nn.LSTMCell on one thread. The process serves this rival alone, so it stays in inference mode."""
    torch.set_num_threads(1)
    module = nn.LSTMCell(size.inputs, size.hidden)
    set_parameters(module, problem.weights(LSTM, size))
    FOR_GOOD.enter_context(torch.inference_mode())
    x = torch.from_numpy(problem.data(size)[0])
    zero = torch.zeros(size.batch, size.hidden)
    state = [zero, zero]
    first = x[:, 0].contiguous()

    def step() -> None:
        state[:] = module(first, state)

    def answer() -> Arrays:
        h, c, found = zero, zero, []
        for k in range(size.steps):
            h, c = module(x[:, k], (h, c))
            found.append(h.numpy())
        return {"h": np.stack(found, 1)}

    return Prepared(step, answer)


PREPARE = {"lstm": partial(module_step, nn.LSTM, LSTM), "gru": partial(module_step, nn.GRU, GRU),
           "rnn": partial(module_step, nn.RNN, RNN), "layernorm": layernorm_step, "stepper": online_step}
