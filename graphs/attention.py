"""Decoders that look back at the source: additive and multiplicative attention."""

from __future__ import annotations

import math

from tinygrad_rnn import Model, Uniform, equations
from tinygrad_rnn.arguments import one_of, whole

from .decoding import OBSERVED, classes
from .lstm import LSTM


def _start(hidden: int) -> Uniform:
    """A vector that is multiplied by a matrix's output starts as a row of one, not at zero."""
    return Uniform(1 / math.sqrt(hidden))


BAHDANAU = f"""
zf[s] = sigmoid(W_zf @ x[s] + U_zf @ hf[s-1] + b_zf)                # encoder forward: update gate
rf[s] = sigmoid(W_rf @ x[s] + U_rf @ hf[s-1] + b_rf)                # reset gate
gf[s] = tanh(W_f @ x[s] + U_f @ (rf[s] * hf[s-1]) + b_f)            # candidate
hf[s] = (1 - zf[s]) * hf[s-1] + zf[s] * gf[s]
zb[s] = sigmoid(W_zb @ x[s] + U_zb @ hb[s+1] + b_zb)                # encoder backward: update gate
rb[s] = sigmoid(W_rb @ x[s] + U_rb @ hb[s+1] + b_rb)                # reset gate
gb[s] = tanh(W_b @ x[s] + U_b @ (rb[s] * hb[s+1]) + b_b)            # candidate
hb[s] = (1 - zb[s]) * hb[s+1] + zb[s] * gb[s]
h[s] = concat(hf[s], hb[s])                                         # annotation of position s
k[s] = U_a @ h[s]
e[t,s] = dot(v_a, tanh(W_a @ d[t-1] + k[s]))                        # how well step t goes with position s
a[t,s] = softmax(e[t,s], over=s)                                    # the weight of position s
c[t] = sum(a[t,s] * h[s], over=s)                                   # context
z[t] = sigmoid(W_z @ w[t-1] + U_z @ d[t-1] + C_z @ c[t] + b_z)      # decoder: update gate
r[t] = sigmoid(W_r @ w[t-1] + U_r @ d[t-1] + C_r @ c[t] + b_r)      # reset gate
g[t] = tanh(W_d @ w[t-1] + U_d @ (r[t] * d[t-1]) + C_d @ c[t] + b_d)  # candidate
d[t] = (1 - z[t]) * d[t-1] + z[t] * g[t]                            # decoder state
d[0] = tanh(W_s @ hb[1])
l[t] = U_o @ d[t-1] + V_o @ w[t-1] + C_o @ c[t]                     # deep output
m[t] = max(reshape(l[t], shape=({{maxout}}, 2)), axis=1)              # maxout of pairs
y[t] = softmax(W_o @ m[t])
{OBSERVED}
"""


def bahdanau(inputs: int = 27, hidden: int = 64, outputs: int = 27, maxout: int | None = None, eos: bool = True,
             dtype: str = "float32", seed: int = 0) -> Model:
    """Additive attention: e[t,s] = v_a . tanh(W_a d[t-1] + U_a h[s]), a = softmax over s, c[t] = sum a h[s].

    The encoder is a bidirectional gated unit with h[s] = concat(hf[s], hb[s]), the decoder one that also reads c[t],
    d[0] = tanh(W_s hb[1]), and y[t] comes from d[t-1], w[t-1] and c[t] through a layer of maxout pairs.
    x[s] and w[t-1] meet each matrix directly: for classes W x is its column, which the paper splits into W E x.
    Sizes: x (inputs,), hf, hb, d, v_a (hidden,), h and c (2 hidden,), l (2 maxout,), where maxout is half of hidden
    unless given, w and y (outputs + 1,) with eos, whose last class ends w. Raises for sizes below 1.
    Source: Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly learning to align and translate",
    equations 5 and 6 and appendix A; d is its s, and the biases, which it leaves out, are written.
    """
    hidden = whole("hidden", hidden, at_least=1)
    size = max(1, hidden // 2) if maxout is None else whole("maxout", maxout, at_least=1)
    model = equations(BAHDANAU.format(maxout=size), name="bahdanau", dtype=dtype, x=inputs, hf=hidden, hb=hidden,
                      d=hidden, v_a=hidden, l=2 * size, y=classes(outputs, eos))
    return model.initialise(seed, {"v_a": _start(hidden)})


# score(d[t], h[s]) as the paper names them.
SCORES = {
    "dot": "e[t,s] = dot(d[t], h[s])",
    "general": "k[s] = W_a @ h[s]\ne[t,s] = dot(d[t], k[s])",
    "concat": "e[t,s] = dot(v_a, tanh(W_a @ concat(d[t], h[s])))",
}
LUONG = """
a[t,s] = softmax(e[t,s], over=s)                                    # the weight of position s
c[t] = sum(a[t,s] * h[s], over=s)                                   # context
k_tilde[t] = tanh(W_c @ concat(c[t], d[t]))                         # attentional hidden state
y[t] = softmax(W_y @ k_tilde[t])
"""


def luong(inputs: int = 27, hidden: int = 64, outputs: int = 27, score: str = "general", feed: bool = False,
          eos: bool = True, dtype: str = "float32", seed: int = 0) -> Model:
    """Multiplicative attention: a[t,s] = softmax over s of score(d[t], h[s]), c[t] = sum a h[s].

    score: "dot", d . h; "general", d . W_a h; "concat", v_a . tanh(W_a concat(d, h)). Encoder h[s] and decoder d[t] are
    LSTMs, the decoder starting where the encoder ends; k_tilde[t] = tanh(W_c concat(c[t], d[t])), y[t] = softmax(W_y
    k_tilde[t]). feed: input feeding, the decoder also reads k_tilde[t-1].
    Sizes: x (inputs,), h, d, c and k_tilde (hidden,), w and y (outputs + 1,) with eos, whose last class ends w.
    Raises for another score and sizes below 1.
    Source: Luong, Pham and Manning 2015, "Effective approaches to attention-based neural machine translation",
    equations 5 to 8 (global attention), input feeding: section 3.3; d and h are its h_t and h_s.
    """
    one_of("score", score, SCORES)
    hidden = whole("hidden", hidden, at_least=1)
    encoder = LSTM.renamed(lambda n: n if n == "h" else f"{n}_e").over("s")
    decoder = LSTM.renamed(lambda n: "d" if n == "h" else f"{n}_d").reading("u[t]" if feed else "w[t-1]")
    lines = [encoder.text, decoder.text, "d[0] = h[S]", "c_d[0] = c_e[S]", SCORES[score], LUONG, OBSERVED]
    if feed:
        lines.insert(1, "u[t] = concat(E @ w[t-1], k_tilde[t-1])")
    sizes = dict.fromkeys(("h", "d", "k_tilde"), hidden) | {"x": inputs, "y": classes(outputs, eos)}
    rules = {**encoder.rules, **decoder.rules}
    if feed:
        sizes["u"] = 2 * hidden
    if score == "concat":
        sizes["v_a"], rules["v_a"] = hidden, _start(hidden)
    return equations("\n".join(lines), name="luong", dtype=dtype, **sizes).initialise(seed, rules)
