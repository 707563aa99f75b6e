"""What follows the top layer of a stack: outputs and a loss."""

from __future__ import annotations

# The logarithm of a probability of 0 that stays finite: -inf - -inf would be no number.
NOTHING = "-1e30"
CTC = f"""
y[t] = log_softmax(W_hy @ h[t] + b_y)                                   # log-probability of each class and of the blank
p[t,u] = dot(y[t], k[u])                                                # of the label at u
step[t,u] = where(u > 1, alpha[t-1,u-1], {NOTHING})
skip[t,u] = where(u > 2 and dot(k[u], k[u-2]) == 0, alpha[t-1,u-2], {NOTHING})  # over a blank between two labels
enter[t,u] = where(u <= 2, 0, {NOTHING})                                # a path starts at the first blank or label
alpha[t,u] = p[t,u] + where(t == 1, enter[t,u], logsumexp(stack(alpha[t-1,u], step[t,u], skip[t,u]), axis=0))
q = logsumexp(stack(alpha[T,U], where(U > 1, alpha[T,U-1], {NOTHING})), axis=0)  # it ends at the last blank or label
loss = -mean(q)
"""

# What follows the top layer, h. `outputs` is the size of y.
HEADS = {
    "softmax": "y[t] = softmax(W_hy @ h[t] + b_y)\nloss = mean(cross_entropy(y[t], target[t]))",
    "softmax_last": "y = softmax(W_hy @ h[T] + b_y)\nloss = mean(cross_entropy(y, target[n]))",
    "linear": "y[t] = W_hy @ h[t] + b_y\nloss = mean(squared_error(y[t], target[t]))",
    "linear_last": "y = W_hy @ h[T] + b_y\nloss = mean(squared_error(y, target[n]))",
    "ctc": CTC,
    "none": "",
}
