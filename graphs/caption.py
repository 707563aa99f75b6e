"""A description of an image: a convolutional encoder, a recurrent decoder."""

from __future__ import annotations

from tinygrad_rnn import He, Model, equations
from tinygrad_rnn.arguments import whole
from tinygrad_rnn.errors import BadValue

from .decoding import OBSERVED, classes

CAPTION = f"""
a = relu(conv2d(image[n], K_a, b_a, padding=1))        # encoder: feature maps
p = max_pool(a, size=2)
d = relu(conv2d(p, K_d, b_d, padding=1))
q = avg_pool(d, size=2)
v = W_v @ reshape(q, shape=-1) + b_v                   # the image as a vector
c[0] = sigmoid(W_ui @ v + b_i) * tanh(W_ug @ v + b_g)  # the decoder's first step reads it, and nothing else does
h[0] = sigmoid(W_uo @ v + b_o) * tanh(c[0])
u[t] = E @ w[t-1]                                      # the word before, embedded
i[t] = sigmoid(W_ui @ u[t] + W_hi @ h[t-1] + b_i)      # input gate
f[t] = sigmoid(W_uf @ u[t] + W_hf @ h[t-1] + b_f)      # forget gate
o[t] = sigmoid(W_uo @ u[t] + W_ho @ h[t-1] + b_o)      # output gate
g[t] = tanh(W_ug @ u[t] + W_hg @ h[t-1] + b_g)         # candidate
c[t] = f[t] * c[t-1] + i[t] * g[t]                     # cell state
h[t] = o[t] * tanh(c[t])                               # hidden state
y[t] = softmax(W_hy @ h[t] + b_y)
{OBSERVED}
"""


def caption(inputs: int = 1, hidden: int = 64, outputs: int = 27, kernels: int = 8, size: int = 8, eos: bool = True,
            dtype: str = "float32", seed: int = 0) -> Model:
    """Image captioning: a convolutional network gives a vector v, with which an LSTM starts and writes w[t].

    v = W_v avg_pool(relu(conv2d(max_pool(relu(conv2d(image, K_a))), K_d))) + b_v; the LSTM's step 0 reads v, step t the
    embedded word before, u[t] = E w[t-1], and y[t] = softmax(W_hy h[t] + b_y) is the distribution of w[t].
    Sizes: image (inputs, size, size), kernels of 3 by 3 in both layers, `kernels` and twice as many, poolings of 2 by
    2, v, u, gates, c and h (hidden,), w and y (outputs + 1,) with eos, whose last class ends w. The bias of the forget
    gate starts at 1. Raises where size is no multiple of 4, and for sizes below 1.
    Source: Vinyals, Toshev, Bengio and Erhan 2015, "Show and tell: a neural image caption generator", equations 10 to
    12, with a small convolutional network in place of its large one, and no word for the start.
    """
    kernels = whole("kernels", kernels, at_least=1)
    if whole("size", size, at_least=4) % 4:
        raise BadValue(f"size is a multiple of 4, which two poolings halve twice, not {size!r}")
    model = equations(CAPTION, name="caption", dtype=dtype, image=(inputs, size, size), K_a=(kernels, inputs, 3, 3),
                      K_d=(2 * kernels, kernels, 3, 3), v=hidden, u=hidden, h=hidden, y=classes(outputs, eos))
    return model.initialise(seed, {"b_f": 1.0, "K_a": He(), "K_d": He()})
