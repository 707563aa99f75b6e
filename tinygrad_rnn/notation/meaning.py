"""What each public function computes, as `help` shows it: how it is called, and the equation.

Axes are feature axes, counted from 0 or, below 0, from the last. `over` names indices of a model, as in over=s.
"""

from __future__ import annotations

IMAGE = "of an image (..., height, width)"
KEPT = "; of a tensor keepdims=True leaves axes of size 1."
ALL = "a, over=None, axis=None"

# Name -> how it is called, what it computes. Elementwise ones broadcast on tensors and take equal shapes in models.
MEANING: dict[str, tuple[str, str]] = {
    "add": ("a, b", "a + b, of each element."),
    "subtract": ("a, b", "a - b, of each element."),
    "multiply": ("a, b", "a * b, of each element."),
    "divide": ("a, b", "a / b, of each element, a floating-point number."),
    "power": ("a, b", "a ** b, of each element."),
    "negative": ("a", "-a, of each element."),
    "exp": ("a", "e ** a, of each element."),
    "log": ("a", "The natural logarithm of each element."),
    "sqrt": ("a", "The square root of each element."),
    "abs": ("a", "|a|, of each element; the gradient at 0 is 0."),
    "sign": ("a", "-1, 0 or 1, of each element; no gradient passes."),
    "floor": ("a", "The largest whole number up to a, of each element; no gradient passes. The remainder of a by b is "
                   "a - b * floor(a / b)."),
    "tanh": ("a", "tanh a, of each element."),
    "sigmoid": ("a", "1 / (1 + exp(-a)), of each element."),
    "relu": ("a", "max(a, 0), of each element; the gradient at 0 is 0."),
    "softplus": ("a", "log(1 + exp(a)), of each element, without overflow."),
    "sin": ("a", "sin a, of each element, in radians."),
    "cos": ("a", "cos a, of each element, in radians."),
    "maximum": ("a, b", "The larger of a and b, of each element; where they are equal the gradient is a's."),
    "minimum": ("a, b", "The smaller of a and b, of each element; where they are equal the gradient is a's."),
    "where": ("condition, a, b", "a where the condition holds, else b, of each element; the other's gradient is 0."),
    "clip": ("a, low=-inf, high=inf", "min(max(a, low), high), of each element, between two numbers."),
    "squared_error": ("a, b", "(a - b) ** 2, of each element."),
    "binary_cross_entropy": ("p, k", "-(k log p + (1 - k) log(1 - p)), of each element, where 0 log 0 is 0; of "
                             "p = sigmoid(z) it is computed from z."),
    "sigmoid_cross_entropy": ("z, k", "binary_cross_entropy(sigmoid(z), k), computed as softplus(z) - k z."),
    "stop_gradient": ("a", "a, through which no gradient passes."),
    "ones_like": ("a", "Ones in the shape of a."),
    "zeros_like": ("a", "Zeros in the shape of a."),
    "less": ("a, b", "Whether a < b, of each element."),
    "less_equal": ("a, b", "Whether a <= b, of each element."),
    "greater": ("a, b", "Whether a > b, of each element."),
    "greater_equal": ("a, b", "Whether a >= b, of each element."),
    "equal": ("a, b", "Whether a == b, of each element."),
    "not_equal": ("a, b", "Whether a != b, of each element."),
    "logical_and": ("a, b", "Whether both a and b hold, of each element."),
    "logical_or": ("a, b", "Whether a or b holds, of each element."),
    "logical_not": ("a", "Whether a does not hold, of each element."),
    "reshape": ("a, shape", "The same elements in another shape, of which one size may be -1."),
    "flatten": ("a", "The elements along one axis."),
    "transpose": ("a, axes=None", "The axes in another order, reversed by default."),
    "expand": ("a, axis, size", "a repeated along a new axis of that size."),
    "concat": ("a, b, ..., axis=0", "Arrays one after another along an axis."),
    "stack": ("a, b, ..., axis=0", "Arrays of one shape side by side along a new axis."),
    "slice": ("a, axis, start=None, stop=None, step=None", "a[start:stop:step] along an axis."),
    "place": ("a, axis, size, start=None, stop=None, step=None", "Zeros of that size along an axis, with a at "
              "[start:stop:step]: the adjoint of slice."),
    "pick": ("a, axis, at", "a at one position of an axis, which goes."),
    "take": ("a, at, axis=0", "a at an array of positions of an axis; the axes of `at` stand in its place."),
    "scatter": ("a, at, axis, size", "Zeros of that size along an axis, with a added at the positions `at`: take's "
                "adjoint."),
    "one_hot": ("k, size", "For each class k, from 0 to size - 1, the vector that is 1 at k and 0 elsewhere."),
    "embed": ("E, k", "Row k of a table E, (size, dim), for each class k; for a vector k, k @ E."),
    "add_bias": ("z, b", f"z + b[channel] {IMAGE} with channels before."),
    "patches": ("a, size, stride=1, padding=0", f"The windows {IMAGE}, (..., kh, kw, height', width')."),
    "add_patches": ("a, stride=1, padding=0, shape=None", "An image with every window added where it lies: the adjoint "
                    "of patches."),
    "conv2d_kernel": ("x, y, stride=1, padding=0, shape=None", "The adjoint of conv2d by its kernel, (kh, kw)."),
    "max_pool": ("z, size=2, stride=None, padding=0", f"The largest number of each window {IMAGE}."),
    "max_unpool": ("a, z, size=2, stride=None, padding=0", "The adjoint of max_pool(z): a where z was the largest."),
    "max_pool_at": ("a, z, size=2, stride=None, padding=0", "a where z is the largest number of its window."),
    "avg_pool": ("z, size=2, stride=None, padding=0", f"The mean of each window {IMAGE}, of zeros outside."),
    "avg_unpool": ("a, size=2, stride=None, padding=0, shape=None", "The adjoint of avg_pool."),
    "matmul": ("a, b", "a @ b: the matrix product over the last axis of a and the last but one of b; axes before these "
               "number matrices, of both alike or of one of them."),
    "dot": ("a, b", "The sum of a * b over the last axis."),
    "outer": ("a, b", "a[i] * b[j] for all i and j."),
    "sum": (ALL, f"The sum, of everything by default{KEPT}"),
    "mean": (ALL, f"The mean, of everything by default: the sum over the number of elements{KEPT}"),
    "max": (ALL, f"The largest element, of everything by default; ties share the gradient{KEPT}"),
    "logsumexp": (ALL, f"log of the sum of exp(a), of everything by default, without overflow{KEPT}"),
    "softmax": ("a, over=None, axis=-1", "exp(a) / sum of exp(a); 0 where all are -inf."),
    "log_softmax": ("a, over=None, axis=-1", "a - logsumexp(a)."),
    "cumsum": ("a, over=None, axis=-1, reverse=False", "The sums of the elements up to each, or from each on."),
    "rstd": ("z, axis=-1, eps=1e-5", "1 / sqrt(var(z) + eps), with the variance along an axis."),
    "cross_entropy": ("p, k", "-sum of k log p over the last axis, for one-hot vectors or classes k, where 0 log 0 is "
                      "0; of p = softmax(z) it is computed from z."),
    "softmax_cross_entropy": ("z, k", "cross_entropy(softmax(z), k), computed as -sum of k log_softmax(z)."),
    "categorical": ("p, over=None", "Declares w[t] = categorical(p[t]): data that are drawn from classes of these "
                    "probabilities, or, w[t] = categorical(a[t,s], over=s), from the positions 1, 2, ... of s."),
    "bernoulli": ("p", "Declares w[t] = bernoulli(p[t]): data that are 1 with this probability, else 0."),
    "normal": ("mean, deviation", "Declares w[t] = normal(m[t], s[t]): data that are drawn from this distribution."),
    "dropout_mask": ("rate, shared=None", "In training 0 with probability `rate`, else 1 / (1 - rate); otherwise 1; "
                     "shared=n draws one for all examples."),
}
