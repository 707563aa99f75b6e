"""What people write who come from Python, NumPy or another library, and what the notation has in its place."""

from __future__ import annotations

import ast

# What Python has and the notation has not, and what it has instead.
SIGNS = {ast.BitXor: ("^", "a power is written **"), ast.FloorDiv: ("//", "a comment begins with #"),
         ast.Mod: ("%", "a comment begins with #, a remainder is a - b * floor(a / b)"), ast.LShift: ("<<", ""),
         ast.RShift: (">>", "")}
DESCRIBED = {ast.Attribute: "an attribute (a dot)", ast.Lambda: "lambda", ast.ListComp: "a comprehension",
             ast.Dict: "a dict", ast.List: "a list", ast.Tuple: "a tuple", ast.Constant: "this constant",
             ast.JoinedStr: "text", ast.IfExp: "if-else", ast.NamedExpr: ":=", ast.Await: "await",
             ast.Starred: "a star in front"}
ADVICE = {ast.IfExp: "write where(condition, a, b)", ast.List: "one vector of several is concat(a, b)",
          ast.Tuple: "one vector of several is concat(a, b), a decimal point a point",
          ast.Attribute: "a scalar product is dot(a, b)"}
# Functions by the names that they have elsewhere.
ELSEWHERE = {"σ": "sigmoid(...)", "sigm": "sigmoid(...)", "sig": "sigmoid(...)", "logistic": "sigmoid(...)",
             "ln": "log(...)", "min": "minimum(a, b), or -max(-z, axis=0) of one value", "pow": "a ** b",
             "cat": "concat(a, b)", "mul": "a * b",
             "concatenate": "concat(a, b)", "mse": "mean(squared_error(a, b))", "square": "a ** 2",
             "nll": "cross_entropy(p, k)", "ce": "cross_entropy(p, k)", "bce": "binary_cross_entropy(p, k)",
             "mm": "A @ B", "prod": "a * b, or exp(sum(log(z), axis=0)) of one value",
             "elu": "where(z > 0, z, exp(z) - 1)", "leaky_relu": "maximum(z, 0.01 * z)", "hardtanh": "clip(z, -1, 1)",
             "silu": "z * sigmoid(z)", "swish": "z * sigmoid(z)",
             "gelu": "0.5 * z * (1 + tanh(0.79788 * (z + 0.044715 * z ** 3)))",
             "zeros": "expand(0, 0, 4), a vector of 4 zeros", "ones": "expand(1, 0, 4), a vector of 4 ones",
             "full": "expand(a, 0, 4), a vector of 4 times a", "norm": "sqrt(dot(z, z))",
             "var": "mean((z - mean(z, axis=0)) ** 2, axis=0)", "std": "sqrt(mean((z - mean(z, axis=0)) ** 2, axis=0))",
             "log1p": "log(1 + z)", "expm1": "exp(z) - 1", "tan": "sin(z) / cos(z)",
             "sinh": "(exp(z) - exp(-z)) / 2", "cosh": "(exp(z) + exp(-z)) / 2", "log2": "log(z) / log(2)",
             "round": "floor(z + 0.5)", "ceil": "-floor(-z)", "mod": "a - b * floor(a / b)",
             "argmax": "z == max(z, axis=0), 1 at the largest", "softmin": "softmax(-z)",
             "logsigmoid": "-softplus(-z)", "softsign": "z / (1 + abs(z))", "mish": "z * tanh(softplus(z))",
             "hard_sigmoid": "clip(0.2 * z + 0.5, 0, 1)", "rms_norm": "z / sqrt(mean(z ** 2, axis=0) + 1e-5)",
             "hstack": "concat(a, b)", "flip": "z[::-1]", "roll": "concat(z[-1:], z[:-1])",
             "diag": "z * b, which is diag(z) @ b", "eye": "z + A @ z, which is (I + A) @ z",
             "log_sigmoid": "-softplus(-z)", "logit": "log(z / (1 - z))", "log10": "log(z) / log(10)",
             "rsqrt": "1 / sqrt(z)", "cumprod": "exp(cumsum(log(z)))", "detach": "stop_gradient(z)",
             "argmin": "z == -max(-z, axis=0), 1 at the least",
             "straight_through": "p + stop_gradient(where(p > 0.5, 1, 0) - p)",
             "linear": "A @ z + b", "dense": "A @ z + b", "mse_loss": "mean(squared_error(a, b))",
             "l1_loss": "mean(abs(a - b))", "nll_loss": "cross_entropy(p, k)",
             "bilinear": 'dot(a, B @ b), or einsum("kij,i,j->k", W, a, b) for several',
             "normalize": "z / sqrt(dot(z, z))", "cosine_similarity": "dot(a, b) / sqrt(dot(a, a) * dot(b, b))",
             "masked_fill": "where(z > 0, z, -inf)", "unsqueeze": "expand(z, 0, 1)", "tile": "concat(z, z)",
             "pad": "concat(z, expand(0, 0, 2))", "split": "z[0:2], or z[2:] for the rest",
             "chunk": "z[0:2], or z[2:] for the rest",
             "conv1d": "W_0 @ x[t] + W_1 @ x[t-1], a term for each step"}
