"""PyTorch's side, eager: nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, and own cells as users write them, loops over t."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import clocks, problem
from .cells import ATTENTION, DELTA, GRU, LAYERNORM, LSTM, PEEPHOLE, RNN, Cell, Size
from .problem import HOST, Arrays, Place, Prepared

torch.set_num_threads(2)
FOR_GOOD = contextlib.ExitStack()  # contexts that last as long as the process
Forward = Callable[[Arrays, Tensor], Tensor]


def use(place: Place) -> None:
    """Compute float32 products with such operands from now on; in bfloat16 all arrays are of that type instead."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = place.precision == "tf32"


def release() -> None:
    """Give memory that is not in use back to the GPU, for the other sides."""
    torch.cuda.empty_cache()


def facts(device: str) -> dict[str, str]:
    """What this side runs on."""
    found = {"CUDA of PyTorch": torch.version.cuda, "cuDNN of PyTorch": torch.backends.cudnn.version()}
    return {name: str(value) for name, value in found.items()} if device == "cuda" else {}


def dtype(place: Place) -> torch.dtype:
    """Of all arrays."""
    return torch.bfloat16 if place.precision == "bfloat16" else torch.float32


def tensor(array: Any, place: Place) -> Tensor:
    """The array there."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(place.device, dtype(place))


def on_host(t: Tensor) -> Any:
    """A tensor as a float32 array of NumPy."""
    return t.detach().float().cpu().numpy()


def timed(place: Place) -> Arrays:
    """How steps are timed there, as arguments of `Prepared`."""
    return {"elapsed": clocks.of_torch(), "together": clocks.TOGETHER} if place.device == "cuda" else {}


def rates(device: str, width: int, megabytes: int) -> dict[str, float]:
    """What the device can do at most, measured: GB/s of a copy, read and written; GFLOP/s of a product by precision."""
    place = Place(device)
    source = torch.ones(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    found = {"copy": 2e-9 * 4 * source.numel() / median_seconds(lambda: target.copy_(source), place)}
    for precision in problem.PRECISIONS:
        there = Place(device, precision)
        use(there)
        a = torch.randn(width, width, device=device, dtype=dtype(there))
        out = torch.empty_like(a)
        found[precision] = 2e-9 * width**3 / median_seconds(partial(torch.mm, a, a, out=out), there)
    return found


def median_seconds(step: Callable[[], Any], place: Place, seconds: float = 0.3) -> float:
    """Of one call."""
    return clocks.median_call(step, seconds, **timed(place))


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
    return {name: on_host(grad) for name, grad in found.items()}


def module_step(kind: type[nn.Module], cell: Cell, size: Size, place: Place = HOST) -> Prepared:
    """Forward and backward of nn.LSTM, nn.GRU or nn.RNN, in the faster of its two layouts."""
    layouts = [module_in_layout(kind, cell, size, place, batch_first) for batch_first in (True, False)]
    return min(layouts, key=seconds_of)


def seconds_of(prepared: Prepared, calls: int = 3) -> float:
    """The shortest of a few calls, after one that warms up."""
    return min([prepared.elapsed(prepared.step, 1) for _ in range(calls + 1)][1:])


def module_with_data(kind: Any, cell: Cell, size: Size, place: Place, batch_first: bool) -> tuple[Any, Tensor, Tensor]:
    """The module, x and r, with batch or time as the first axis."""
    module = kind(size.inputs, size.hidden, batch_first=batch_first).to(place.device, dtype(place))
    set_parameters(module, problem.weights(cell, size))
    x, r = (tensor(a if batch_first else a.swapaxes(0, 1), place) for a in problem.data(size))
    return module, x, r


def module_in_layout(kind: Any, cell: Cell, size: Size, place: Place, batch_first: bool) -> Prepared:
    """A module's step; the data lie as it wants them already."""
    module, x, r = module_with_data(kind, cell, size, place, batch_first)

    def step() -> Tensor:
        module.zero_grad(set_to_none=True)
        h, _ = module(x)
        (h * r).sum().backward()
        return h

    def answer() -> Arrays:
        h = on_host(step())
        return {"h": h if batch_first else h.swapaxes(0, 1), **module_gradients(module, cell)}

    return Prepared(step, answer, **timed(place))


def whole_step(size: Size, place: Place = HOST) -> Prepared:
    """A training step of nn.LSTM with clipping and fused Adam. The bias that the equations do not have stays zero."""
    def trained() -> tuple[Callable[[], None], nn.Module]:
        module, x, r = module_with_data(nn.LSTM, LSTM, size, place, False)
        module.bias_hh_l0.requires_grad_(False)
        parameters = [p for p in module.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=problem.RATE, fused=True)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            (module(x)[0] * r).sum().backward()
            nn.utils.clip_grad_norm_(parameters, problem.CLIP)
            optimizer.step()

        return step, module

    def answer() -> Arrays:
        step, module = trained()
        for _ in range(problem.UPDATES_COMPARED):
            step()
        names = {"W_x": "weight_ih_l0", "W_h": "weight_hh_l0", "b": "bias_ih_l0"}
        return {name: on_host(getattr(module, theirs)) for name, theirs in names.items()}

    return Prepared(trained()[0], answer, **timed(place))


def layernorm(w: Arrays, x: Tensor) -> Tensor:
    """A LayerNorm-LSTM: x (N, T, inputs) -> h (N, T, hidden). One linear map of x for the four gates, and one of h."""
    hidden = w["W_h"].shape[1]
    h = c = x.new_zeros(len(x), hidden)
    states = []
    for x_t in x.unbind(1):
        a = (F.layer_norm(F.linear(x_t, w["W_x"]), (4 * hidden,), w["gain_x"], w["b_x"])
             + F.layer_norm(F.linear(h, w["W_h"]), (4 * hidden,), w["gain_h"], w["b_h"]))
        i, f, g, o = a.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(F.layer_norm(c, (hidden,), w["gain_c"], w["b_c"]))
        states.append(h)
    return torch.stack(states, 1)


def peephole(w: Arrays, x: Tensor) -> Tensor:
    """The same of the LSTM whose gates see the cell."""
    p_i, p_f, p_o = w["p"].chunk(3)
    h = c = x.new_zeros(len(x), w["W_h"].shape[1])
    states = []
    for x_t in x.unbind(1):
        i, f, g, o = (F.linear(x_t, w["W_x"], w["b"]) + F.linear(h, w["W_h"])).chunk(4, 1)
        c = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        states.append(h)
    return torch.stack(states, 1)


def delta(w: Arrays, x: Tensor) -> Tensor:
    """Fast weights by the delta rule; what does not depend on them for all t at once."""
    q, k, v, s = F.linear(x, w["W_x"], w["b"]).chunk(4, 2)
    q, k, s = q.softmax(2), k.softmax(2), torch.sigmoid(s)
    fast = x.new_zeros(len(x), v.shape[2], v.shape[2])
    outputs = []
    for q_t, k_t, v_t, s_t in zip(*(a.unbind(1) for a in (q, k, v, s)), strict=True):
        error = s_t * (v_t - torch.bmm(fast, k_t[:, :, None])[:, :, 0])
        fast = torch.baddbmm(fast, error[:, :, None], k_t[:, None, :])
        outputs.append(torch.bmm(fast, q_t[:, :, None])[:, :, 0])
    return torch.stack(outputs, 1)


def attention(w: Arrays, x: Tensor) -> Tensor:
    """Causal self-attention, by PyTorch's own function."""
    q, k, v = F.linear(x, w["W_x"]).chunk(3, 2)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def loop_step(forward: Forward, cell: Cell, size: Size, place: Place = HOST) -> Prepared:
    """Forward and backward of what users write, most of it a loop over t."""
    w = {name: tensor(value, place).requires_grad_() for name, value in problem.weights(cell, size).items()}
    x, r = (tensor(a, place) for a in problem.data(size))

    def step() -> Tensor:
        for parameter in w.values():
            parameter.grad = None
        h = forward(w, x)
        (h * r).sum().backward()
        return h

    def answer() -> Arrays:
        h = on_host(step())
        return {"h": h, **{name: on_host(parameter.grad) for name, parameter in w.items()}}

    return Prepared(step, answer, **timed(place))


def online_step(size: Size, place: Place = HOST) -> Prepared:
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
           "rnn": partial(module_step, nn.RNN, RNN), "layernorm": partial(loop_step, layernorm, LAYERNORM),
           "peephole": partial(loop_step, peephole, PEEPHOLE), "delta": partial(loop_step, delta, DELTA),
           "attention": partial(loop_step, attention, ATTENTION),
           "training": whole_step, "stepper": online_step}
