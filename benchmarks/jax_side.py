"""JAX's side: jit(value_and_grad) over lax.scan, merged gates, the product with the input outside the scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import sigmoid, softmax

from . import problem
from .cells import ATTENTION, DELTA, GRU, LAYERNORM, LSTM, PEEPHOLE, RNN, Cell, Size
from .clocks import TOGETHER, by_host
from .problem import HOST, Arrays, Place, Prepared

Forward = Callable[[Arrays, Any], Any]
# "bfloat16" as such would leave it to the GPU's default, which is TF32.
PRODUCTS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "BF16_BF16_F32"}


def use(place: Place) -> None:
    """Compile for such products from now on; where, JAX_PLATFORMS says."""
    jax.config.update("jax_default_matmul_precision", PRODUCTS[place.precision])


def release() -> None:
    """Drop what was compiled; memory stays with JAX."""
    jax.clear_caches()


def facts(device: str) -> dict[str, str]:
    """What this side runs on."""
    return {"JAX on": jax.devices()[0].device_kind} if device == "cuda" else {}


def zeros(w: Arrays, x: Any) -> Any:
    """The state before the first step: (batch, hidden)."""
    return jnp.zeros((x.shape[1], w["W_h"].shape[0]), x.dtype)


def lstm(w: Arrays, x: Any) -> Any:
    """x (T, N, inputs) -> h (T, N, hidden)."""
    def cell(state: Any, a: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(a + h @ w["W_h"], 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return lax.scan(cell, (zeros(w, x), zeros(w, x)), x @ w["W_x"] + w["b"])[1]


def gru(w: Arrays, x: Any) -> Any:
    """The reset gate after the product, as nn.GRU has it."""
    def cell(h: Any, a: Any) -> Any:
        (a_r, a_z, a_n), (u_r, u_z, u_n) = jnp.split(a, 3, 1), jnp.split(h @ w["W_h"], 3, 1)
        z = sigmoid(a_z + u_z)
        n = jnp.tanh(a_n + sigmoid(a_r + u_r) * (u_n + w["b_hn"]))
        h = (1 - z) * n + z * h
        return h, h

    return lax.scan(cell, zeros(w, x), x @ w["W_x"] + w["b"])[1]


def layer_norm(z: Any, gain: Any, bias: Any) -> Any:
    """(z - mean) / sqrt(var + 1e-5) over the last axis, times gain, plus bias."""
    centred = z - z.mean(-1, keepdims=True)
    return centred * lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5) * gain + bias


def layernorm(w: Arrays, x: Any) -> Any:
    """The LSTM with layer norm on both products and on the cell."""
    def cell(state: Any, a: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(a + layer_norm(h @ w["W_h"], w["gain_h"], w["b_h"]), 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(layer_norm(c, w["gain_c"], w["b_c"]))
        return (h, c), h

    return lax.scan(cell, (zeros(w, x), zeros(w, x)), layer_norm(x @ w["W_x"], w["gain_x"], w["b_x"]))[1]


def rnn(w: Arrays, x: Any) -> Any:
    """Elman's network."""
    def cell(h: Any, a: Any) -> Any:
        h = jnp.tanh(a + h @ w["W_h"])
        return h, h

    return lax.scan(cell, zeros(w, x), x @ w["W_x"] + w["b"])[1]


def peephole(w: Arrays, x: Any) -> Any:
    """The LSTM whose gates see the cell."""
    p_i, p_f, p_o = jnp.split(w["p"], 3)

    def cell(state: Any, a: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(a + h @ w["W_h"], 4, 1)
        c = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * jnp.tanh(g)
        h = sigmoid(o + p_o * c) * jnp.tanh(c)
        return (h, c), h

    return lax.scan(cell, (zeros(w, x), zeros(w, x)), x @ w["W_x"] + w["b"])[1]


def delta(w: Arrays, x: Any) -> Any:
    """Fast weights by the delta rule."""
    def cell(fast: Any, at: Any) -> Any:
        q, k, v, s = at
        error = s * (v - jnp.einsum("nij,nj->ni", fast, k))
        fast = fast + error[:, :, None] * k[:, None, :]
        return fast, jnp.einsum("nij,nj->ni", fast, q)

    q, k, v, s = jnp.split(x @ w["W_x"] + w["b"], 4, 2)
    first = jnp.zeros((x.shape[1], v.shape[2], v.shape[2]), x.dtype)
    return lax.scan(cell, first, (softmax(q), softmax(k), v, sigmoid(s)))[1]


def attention(w: Arrays, x: Any) -> Any:
    """Causal self-attention."""
    q, k, v = jnp.split(x @ w["W_x"], 3, 2)
    scores = jnp.einsum("tnh,snh->nts", q, k) / jnp.sqrt(q.shape[2])
    seen = jnp.tril(jnp.ones((len(x), len(x)), bool))
    return jnp.einsum("nts,snh->tnh", softmax(jnp.where(seen, scores, -jnp.inf)), v)


def training_step(forward: Forward, cell: Cell, size: Size, place: Place = HOST) -> Prepared:
    """Forward and all weight gradients; matrices are stored (in, out); the other way is no faster."""
    w = {name: jnp.asarray(value.T) for name, value in problem.weights(cell, size).items()}
    x, r = (jnp.asarray(a.swapaxes(0, 1)) for a in problem.data(size))
    value_and_grad = jax.jit(jax.value_and_grad(lambda w, x, r: (forward(w, x) * r).sum()))

    def answer() -> Arrays:
        _, grads = value_and_grad(w, x, r)
        h = np.asarray(jax.jit(forward)(w, x)).swapaxes(0, 1)
        return {"h": h, **{name: np.asarray(grad).T for name, grad in grads.items()}}

    return Prepared(lambda: value_and_grad(w, x, r), answer, partial(by_host, finish=jax.block_until_ready),
                    TOGETHER if place.device == "cuda" else 0.0)


PREPARE = {"lstm": partial(training_step, lstm, LSTM), "gru": partial(training_step, gru, GRU),
           "rnn": partial(training_step, rnn, RNN), "peephole": partial(training_step, peephole, PEEPHOLE),
           "layernorm": partial(training_step, layernorm, LAYERNORM), "delta": partial(training_step, delta, DELTA),
           "attention": partial(training_step, attention, ATTENTION)}
