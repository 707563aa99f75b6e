"""What is printed reads back to the same graph, and its LaTeX is well formed: models, gradients, gradients of those."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from latex_checks import assert_well_formed
from test_random_models import drawn

import tinygrad_rnn as tr

SIZES = {"x": 3, "W": (3, 3), "V": (3, 3), "b": 3, "g": 3, "E": (3, 3), "w": 3, "k": (), "img": 3, "K": (3, 1, 3, 3)}
# Right sides, one a line, of y[t], a vector.
FORMS = """
    -x[t]**2
    (-x[t])**2
    2**-x[t]
    -2**x[t]
    (-2)**x[t]
    x[t]**-2
    x[t]**(1/2)
    x[t]**2**3
    (x[t]**2)**3
    -(-x[t])
    -(x[t]+1)
    -(x[t]*2)
    -x[t]*2
    1-(1-x[t])
    1-(1+x[t])
    x[t]-(x[t-1]-x[t-2])
    x[t]/(x[t-1]/2)
    x[t]/2/3
    x[t]*(2/x[t-1])
    x[t]*2/x[t-1]
    2*(x[t]/3)
    (W@x[t])*2
    W@(x[t]*2)
    W@x[t]*2
    W@(V@x[t])
    (W@V)@x[t]
    W@V@x[t]
    (x[t]@W)@V
    x[t]@W*(x[t]@x[t])
    x[t]+(x[t-1]+x[t-2])
    1e-5*x[t]
    1e20*x[t]
    123456789012345678*x[t]
    0.1*x[t]
    -0.0*x[t]
    -0.5*x[t]
    x[t]*-0.5
    x[t]-(-0.5)
    x[t]+-0.5
    where(x[t]>0, inf, -inf)
    where(x[t]<=0.5, x[t], -x[t])
    where(x[t]==0, 1, x[t])
    where((x[t]>0) & (x[t]<1), x[t], 0)
    where(x[t]>0 and x[t]<1 or x[t]==2, x[t], 0)
    where(not (x[t]>0), x[t], 0)
    where(~(x[t]>0), x[t], 0)
    where((x[t]>0)==(x[t]<1), x[t], 0)
    where(t==T, x[t], 0)
    where((t<2) | (t>=T-1), x[t], 0)
    where(t*2 <= T+1, x[t], t)
    (x[t]>0)*x[t]
    (x[t]>0)+x[t]
    -(x[t]>0)*1
    concat(x[t], x[t-1])[0:3]
    concat(x[t], x[t-1])[1:6:2]
    concat(x[t], x[t-1])[::-2]
    concat(x[t], x[t-1])[-1]*x[t]
    x[t][0]*x[t]
    x[t][::-1]
    x[t][-1:0:-1][0]*x[t]
    (x[t]+x[t-1])[0]*x[t]
    stack(x[t], x[t-1])[0]
    stack(x[t], x[t-1], axis=1)[:, 0]
    stack(x[t], x[t-1])[0:1, 1:3][0, 1]*x[t]
    W[0:2][1]*x[t]
    pick(W, axis=0, at=1)*x[t]
    pick(b, axis=0, at=1)*x[t]
    slice(b, axis=0, start=0, stop=2)[0]*x[t]
    b[0:2][0]*x[t]
    clip(x[t], -1, 1)
    clip(x[t], high=2)
    maximum(x[t], 0)
    minimum(x[t], x[t-1])
    softmax(x[t])
    softmax(x[t], over=t)
    log_softmax(x[t])
    cumsum(x[t], over=t)
    cumsum(x[t], over=t, reverse=True)
    cumsum(x[t])
    cumsum(x[t], axis=0, reverse=True)
    layer_norm(x[t])
    layer_norm(x[t], g, b)
    layer_norm(x[t], eps=1e-3)
    layer_norm(x[t], g)
    rstd(x[t])*x[t]
    outer(x[t], x[t-1])@x[t]
    transpose(outer(x[t], x[t-1]))@x[t]
    transpose(x[t])
    transpose(stack(outer(x[t],x[t]), outer(x[t],x[t])), axes=(1,0,2))[:,0]@x[t]
    reshape(outer(x[t],x[t]), (9,))[0:3]
    reshape(outer(x[t],x[t]), (-1,))[0:3]
    flatten(outer(x[t],x[t]))[0:3]
    expand(x[t], axis=0, size=2)[1]
    sum(outer(x[t],x[t]), axis=0)
    sum(outer(x[t],x[t]), axis=-1)
    sum(outer(x[t],x[t]), axis=(0,1))*x[t]
    mean(x[t], over=t)
    mean(x[t], over=(t,n))
    max(x[t], over=n)
    sum(x[s], over=s)*x[t]
    mean(x[t], axis=0)*x[t]
    logsumexp(x[t], axis=0)*x[t]
    logsumexp(x[t], over=t)
    count(t)*x[t]
    count(t,n)*x[t]
    x[t]/count(t)
    einsum("ij,j->i", W, x[t])
    einsum("i,j->ij", x[t], x[t])@x[t]
    einsum("ij,j,i->i", W, x[t], b)
    einsum("ij->ji", W)@x[t]
    dot(x[t], x[t-1])*x[t]
    dot(W, x[t])
    squared_error(x[t], 1)
    binary_cross_entropy(sigmoid(x[t]), 0.3)
    sigmoid_cross_entropy(x[t], 0.3)
    cross_entropy(softmax(x[t]), w[t])*x[t]
    softmax_cross_entropy(x[t], w[t])*x[t]
    embed(E, w[t])
    E@w[t]
    transpose(E)@w[t]
    one_hot(k[t], size=3)*x[t]
    one_hot(k[t], 3, codes=True)*x[t]
    stop_gradient(x[t])*x[t]
    sqrt(abs(x[t]))+exp(-x[t])+log(1+abs(x[t]))
    sign(x[t])*sin(x[t])-cos(x[t])
    relu(x[t])+softplus(x[t])
    ones_like(x[t])+zeros_like(x[t])
    dropout(x[t], 0.5)
    dropout(x[t], rate=0.25, shared="t")
    dropout(x[t], 0.5)+dropout(x[t], 0.5)
    img[n]*x[t]
    x[T]*x[1]+x[T-1]
    x[t+3]-x[t-3]
    logical_and(x[t]>0, x[t]<1)*x[t]
    max_pool(conv2d(reshape(outer(x[t],x[t]),(1,3,3)), K, padding=1), 3)[:,0,0]
    avg_pool(conv2d(reshape(outer(x[t],x[t]),(1,3,3)), K, stride=1, padding=(1,1)), (3,3))[:,0,0]
    add_bias(conv2d(reshape(outer(x[t],x[t]),(1,3,3)), K), b)[:,0,0]
    conv2d(reshape(outer(x[t],x[t]),(1,3,3)), K, b)[:,0,0]
"""


def assert_same(model: tr.Model, again: tr.Model) -> None:
    """One graph: the same left sides, and the very same typed nodes on the right."""
    first, second = ({eq.key: eq.rhs for eq in m.system.equations} for m in (model, again))
    assert list(first) == list(second)
    for key, root in first.items():
        assert second[key] is root, key
    assert dict(model.system.quantities) == dict(again.system.quantities)


def trip(model: tr.Model) -> tr.Model:
    again = tr.equations(str(model), dtype="float64")
    assert_same(model, again)
    assert str(again) == str(model)
    assert_well_formed(model.latex())
    return again


def of_form(form: str) -> tr.Model:
    sizes = {name: size for name, size in SIZES.items() if re.search(rf"\b{name}\b", form)}
    return tr.equations(f"y[t] = {form}\nq[t] = sum(y[t], axis=0)\nloss = mean(q[t])", dtype="float64", **sizes)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", FORMS.strip().splitlines())
def test_every_form_reads_back(form: str) -> None:
    model, rng = of_form(form.strip()), np.random.default_rng(0)
    again = trip(model)
    data = {name: rng.normal(size=(2, *(4,) * (name != "img"), 3)) for name in model.system.of_role("input")}
    data |= {name: rng.integers(0, 3, (2, 4)) for name in data if name in "wk"}
    for name, array in model.weights.items():
        again.weights[name] = array
    np.testing.assert_array_equal(model.run(data, want="y")["y"], again.run(data, want="y")["y"])
    wanted = [name for name in model.system.quantities if name in ("W", "V", "b", "g", "E", "K", "x", "img")]
    trip(model.grad("loss", wrt=wanted))


def derived(model: tr.Model) -> Iterator[tr.Model]:
    """The gradient, and the gradient of a sum of squares of a gradient."""
    gradient = model.grad("loss")
    yield gradient
    names = [gradient.adjoints[name] for name in model.weights if not model.system.quantities[name].slots]
    if names:
        penalty = tr.equations(f"{gradient}\npenalty = sum({names[0]} * {names[0]})", dtype="float64")
        yield penalty.grad("penalty")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(200, 218))
def test_random_models_and_their_gradients_read_back(seed: int) -> None:
    model = drawn(seed).model
    for one in (model, *derived(model)):
        trip(one)


def test_the_size_of_a_weight_that_nothing_reads_is_printed() -> None:
    """With k given, what it is drawn from is in no equation but that of its gradient, which is zero."""
    model = tr.equations("k[t] = categorical(b)\nloss = mean(x[t] * k[t])\nx[t]: 3", dtype="float64")
    assert trip(model.grad("loss")).system.quantities["d_b"].type.shape == (3,)


# -- LaTeX says all that the text says ---------------------------------------------------------------------


@pytest.mark.parametrize("form,latex", [
    ("x[t][::-1]", "x[2::-1]"), ("concat(x[t], x[t-1])[0:5:2][0] * x[t]", "[0:5:2][0]"),
    ("stack(x[t], x[t-1], axis=1)[:, 0]", "[:, 0]"), ("cumsum(x[t], over=t)", r"{cumsum}_{t}(x)"),
    ("cumsum(x[t], over=t, reverse=True)", r"_{t;\text{reversed}}"),
    ("sum(outer(x[t], x[t]), axis=0)", r"\sum_{\text{axis}\,0}"), ("max(x[t], over=n)", r"\max_{n}"),
    ("-(-x[t])", "-(-x)"), ("x[t] - -x[t]", "x - (-x)"), ("x[t] + -x[t-1]", "x - x"), ("-0.5 * x[t]", "-0.5 x"),
    ("where((x[t] > 0) == (x[t] < 1), 1, x[t])", "(x > 0) = (x < 1)"),
    ("(x[t] > 0 and x[t] < 1) * x[t]", r"((x > 0) \wedge (x < 1)) \odot x"),
    ("x[t] @ W", r"W^\top x"), ("x[t] @ transpose(W)", "W x"),
    ("(x[t] @ x[t]) * x[t]", r"(x^{\langle t \rangle \top} x) x"),
    ("clip(x[t], high=2)", r"-\infty"), ("123456789012345678 * x[t]", r"\cdot 10^{17}"),
    ("embed(E_0, w[t])", r"(E_{0})_{w}"), ("logsumexp(x[t], axis=0) * x[t]", r"\left(\log \sum e^{x}\right) x"),
])
def test_latex_says_what_the_text_says(form: str, latex: str) -> None:
    sizes = {"x": 3, "w": 3, "E_0": (3, 3), "W": (3, 3)}
    used = set(re.findall(r"\w+", form))
    model = tr.equations(f"y[t] = {form}", **{name: size for name, size in sizes.items() if name in used})
    shown = next(row for row in model.latex().splitlines() if row.strip().startswith("y"))
    plain = shown.replace(r"^{\langle t \rangle}", "").replace(r"^{\langle t-1 \rangle}", "").replace("{:}", ":")
    assert latex in plain, plain
