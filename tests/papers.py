"""Optimisers one number at a time, as the papers write them."""

from __future__ import annotations

import math

from tinygrad_rnn.training.optim import SGD, Adam, AdamW, RMSProp


def sgd(w, gs, rate, mu=0.0, nesterov=False, decay=0.0):
    """Sutskever et al. 2013: v = mu v - lr grad(theta [+ mu v]); theta += v.

    Nesterov's gradient is taken ahead, at phi = theta + mu v. The library keeps phi: phi' = phi - mu v + (1 + mu) v'.
    """
    v = 0.0
    for g in gs:
        g = g + decay * w
        before, v = v, mu * v - rate * g
        w = w - mu * before + (1 + mu) * v if nesterov else w + v
    return w


def rmsprop(w, gs, rate, rho=0.9, eps=1e-8, mu=0.0):
    mean_square = velocity = 0.0
    for g in gs:
        mean_square = rho * mean_square + (1 - rho) * g**2
        velocity = mu * velocity + g / (math.sqrt(mean_square) + eps)
        w = w - rate * velocity
    return w


def adam(w, gs, rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.0):
    m = v = 0.0
    for t, g in enumerate(gs, start=1):
        w = w - rate * decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        w = w - rate * m_hat / (math.sqrt(v_hat) + eps)
    return w


CASES = {
    "sgd": (SGD(0.05), lambda w, gs: sgd(w, gs, 0.05)),
    "decay": (SGD(0.05, weight_decay=0.1), lambda w, gs: sgd(w, gs, 0.05, decay=0.1)),
    "momentum": (SGD(0.05, momentum=0.9), lambda w, gs: sgd(w, gs, 0.05, 0.9)),
    "nesterov": (SGD(0.05, momentum=0.8, nesterov=True), lambda w, gs: sgd(w, gs, 0.05, 0.8, True)),
    "nesterov, decay": (
        SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.1),
        lambda w, gs: sgd(w, gs, 0.05, 0.8, True, 0.1),
    ),
    "rmsprop": (RMSProp(0.02), lambda w, gs: rmsprop(w, gs, 0.02)),
    "rmsprop, momentum": (RMSProp(0.02, 0.95, 1e-5, 0.7), lambda w, gs: rmsprop(w, gs, 0.02, 0.95, 1e-5, 0.7)),
    "adam": (Adam(), adam),
    "adam, all": (Adam(0.1, 0.7, 0.8, 1e-3), lambda w, gs: adam(w, gs, 0.1, 0.7, 0.8, 1e-3)),
    "adamw": (AdamW(0.1), lambda w, gs: adam(w, gs, 0.1, decay=0.01)),
    "adamw, all": (AdamW(0.1, weight_decay=0.3), lambda w, gs: adam(w, gs, 0.1, decay=0.3)),
}
