"""Programs recorded on the stand-in's device and their results, and loops written by hand."""

from __future__ import annotations

import numpy as np
from on_standin import interpreted, recorded

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.ops.elementwise import _logistic

SEEDS = ("1", "20", "333")  # of the order in which the stand-in runs blocks and threads
STEPS = 4


def on_device(a):
    return backends.current().xp.asarray(a)


def results(program, host):
    """What the buffers hold after the program, which started with the host's."""
    for buffer, value in zip(program.buffers, host, strict=True):
        buffer[...] = on_device(value)
    program.run(0)
    return [tr.to_numpy(b).copy() for b in program.buffers]


def made(record, host):
    """The program that `record(xp, do, *buffers)` records; its buffers are the host's, copied."""
    buffers = [on_device(b) for b in host]
    program = recorded(lambda do: record(backends.current().xp, do, *buffers), buffers)
    program.buffers = buffers
    return program


def expected(record, host):
    """What the buffers hold when NumPy does it call by call."""
    copies = [b.copy() for b in host]
    interpreted(lambda do: record(np, do, *copies))
    return copies


def same_bits(some, others):
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(some, others, strict=True))


# -- loops written by hand -------------------------------------------------------------------------


def recurrent(xp, do, w, v, x, h, k):
    """Two states, each with a matrix, that read each other's last."""
    def step(t):
        do(xp.matmul, w, h[t], h[t + 1])
        do(xp.matmul, v, k[t], k[t + 1])
        do(xp.add, h[t + 1], x[t], h[t + 1])
        do(xp.tanh, h[t + 1], h[t + 1])
        do(xp.multiply, k[t + 1], h[t + 1], k[t + 1])

    do.loop(STEPS, step)


def in_a_row(xp, do, w, v, x, h, k):
    """Three products in a row, of which the third reads what the first made, and a fourth that overwrites it."""
    between = [do.temp(h.shape[1:], h.dtype), do.temp(h.shape[1:], h.dtype)]

    def step(t):
        do(xp.tanh, h[t], between[0])
        do(xp.matmul, w, between[0], between[1])
        do(xp.matmul, v, h[t], k[t + 1])
        do(xp.matmul, w, between[1], h[t + 1])
        do(xp.matmul, v, h[t], between[1])
        do(xp.multiply, h[t + 1], 0.5, h[t + 1])
        do(xp.add, k[t + 1], x[t], k[t + 1])
        do(xp.add, k[t + 1], between[1], k[t + 1])

    do.loop(STEPS, step)


def overwritten(xp, do, w, v, x, h, k):
    """A product that overwrites what the one before it reads."""
    state = k[0]

    def step(t):
        do(xp.matmul, w, state, h[t + 1])
        do(xp.matmul, v, h[t], state)
        do(xp.add, h[t + 1], x[t], h[t + 1])
        do(xp.tanh, h[t + 1], h[t + 1])

    do.loop(STEPS, step)


def backward(xp, do, w, v, x, h, k):
    """From the last step to the first, with the matrix transposed."""
    def step(t):
        t = STEPS - 1 - t
        do(xp.matmul, w.T, h[t + 1], h[t])
        do(xp.multiply, h[t], x[t], h[t])
        do(xp.matmul, v.T, k[t + 1], k[t])
        do(xp.add, k[t], h[t], k[t])

    do.loop(STEPS, step)


def still(xp, do, w, v, x, h, k):
    """One state that does not move, and is what the product reads and the pass writes."""
    state, made = h[0], k[0]

    def step(t):
        do(xp.matmul, w, state, made)
        do(xp.add, made, x[t], made)
        do(_logistic(xp), made, state)

    do.loop(STEPS, step)


def in_place(xp, do, w, v, x, h, k):
    """A pass that only reads what the product made, and overwrites what other blocks may still be multiplying."""
    state, made = h[0], k[0]

    def step(t):
        do(xp.matmul, w, state, made)
        do(xp.add, made, x[t], state)
        do(xp.tanh, state, state)

    do.loop(STEPS, step)


def normalised(xp, do, w, v, x, h, k):
    """A sum over features between product and state."""
    total = do.temp((1, h.shape[-1]), h.dtype)

    def step(t):
        do(xp.matmul, w, h[t], h[t + 1])
        do(xp.add, h[t + 1], x[t], h[t + 1])
        do(xp.mean, h[t + 1], (0,), None, total, True)
        do(xp.subtract, h[t + 1], total, h[t + 1])
        do(xp.multiply, h[t + 1], h[t + 1], k[t + 1])
        do(xp.sum, k[t + 1], (0,), None, total, True)
        do(xp.add, total, 1e-5, total)
        do(xp.sqrt, total, total)
        do(xp.divide, h[t + 1], total, h[t + 1])

    do.loop(STEPS, step)


def unmultiplied(xp, do, w, v, x, h, k):
    """A loop without products: a softmax of the last step."""
    top, total = (do.temp((1, h.shape[-1]), h.dtype) for _ in range(2))

    def step(t):
        do(xp.max, h[t], (0,), top, True)
        do(xp.subtract, h[t], top, h[t + 1])
        do(xp.exp, h[t + 1], h[t + 1])
        do(xp.sum, h[t + 1], (0,), None, total, True)
        do(xp.divide, h[t + 1], total, h[t + 1])
        do(xp.add, k[t], h[t + 1], k[t + 1])
        do(xp.add, h[t + 1], x[t], h[t + 1])

    do.loop(STEPS, step)


def across(xp, do, w, v, x, h, k):
    """A loop without products in which every example reads the first one's last state."""
    def step(t):
        do(xp.add, xp.broadcast_to(h[t][:, :1], x[t].shape), x[t], h[t + 1])
        do(xp.tanh, h[t + 1], k[t + 1])

    do.loop(STEPS, step)


LOOPS = [recurrent, in_a_row, overwritten, backward, still, in_place, normalised, unmultiplied, across]
SHAPES = [(5, 1), (37, 3), (130, 33)]  # hidden units, examples


def buffers(hidden, batch, dtype):
    rng = np.random.default_rng(hidden)
    shapes = [(hidden, hidden)] * 2 + [(STEPS, hidden, batch)] + [(STEPS + 1, hidden, batch)] * 2
    return [(rng.normal(size=s) / (hidden**0.5 if k < 2 else 1)).astype(dtype) for k, s in enumerate(shapes)]
