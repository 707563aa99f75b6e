"""Products of matrices that each example has of its own: every shape, and nothing beside the result touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.fusion.program import Recorder
from tinygrad_rnn.plans.contract import contraction

pytest.importorskip("llvmlite", reason="compiled plans need llvmlite")

from tinygrad_rnn.fusion.lift import Product
from tinygrad_rnn.jit.batched import DEEP
from tinygrad_rnn.jit.compiled import Program
from tinygrad_rnn.jit.gemm import lanes

BACKEND = backends.current()
FORMS = ["mn,mkn,kn", "mpe,mke,kpe", "mpe,kme,pke", "pme,mke,kpe", "mpe,mjke,jkpe", "mpe,jmke,kjpe", "jmpe,jmke,jkpe",
         "mjpe,mke,jkpe", "mpje,mjke,kpje", "imjpe,imjke,ikpe", "mpije,mkije,kpije", "mjpie,mjke,kpie", "mpqe,mke,kpqe"]


def computed(emit, out):
    """The products of a program that does so."""
    do = Recorder(BACKEND, compiled=True)
    emit(do)
    program = Program([do.calls], {id(BACKEND.owner(out))}, BACKEND.owner)
    program.run(0)
    return [unit for _, units in program.segmented[0] for unit in units if isinstance(unit, Product)]


@settings(max_examples=150)
@given(m=st.integers(1, 11), p=st.integers(1, 11), k=st.integers(1, 40), e=st.integers(1, 40),
       form=st.sampled_from(FORMS), dtype=st.sampled_from(["float32", "float64"]), steps=st.sampled_from([1, 3]),
       gap=st.booleans())
def test_each_example_has_matrices_of_its_own(m, p, k, e, form, dtype, steps, gap):
    extent = {"m": m, "p": p, "k": k, "e": e, "n": e, "i": 2, "j": 3, "q": 2}
    rng = np.random.default_rng(m + 100 * p)
    lo, la, lb = form.split(",")

    def lying(labels, last):
        """Numbers with that many more of the last axis beside them."""
        whole = rng.normal(size=(steps, *(extent[x] for x in labels[:-1]), extent[labels[-1]] + last)).astype(dtype)
        return whole, whole[..., : extent[labels[-1]]]

    (_, a), (_, b), (whole, out) = lying(la, gap), lying(lb, 0), lying(lo, gap)
    before = whole.copy()
    labels = tuple(map(tuple, (lo, la, lb)))

    def emit(do):
        if steps == 1:
            do(contraction, out[0], a[0], b[0], labels)
        else:
            do.loop(steps, lambda t: do(contraction, out[t], a[t], b[t], labels))

    products = computed(emit, whole)
    expected = np.einsum(f"T{la},T{lb}->T{lo}", a.astype("float64"), b.astype("float64"))
    np.testing.assert_allclose(out, expected, atol=3e-4 if dtype == "float32" else 1e-12)
    if gap:
        np.testing.assert_array_equal(whole[..., -1], before[..., -1])
    if form == "mpe,mke,kpe" and min(m, p, e) > 1 and k >= DEEP:
        (product,) = products
        assert product.kernel.startswith("batched ")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m, p, k, e", [(13, 150, 130, 33), (13, 150, 130, 16), (7, 9, 64, 64), (65, 5, 200, 3)])
def test_large_ones_are_done_in_blocks(m, p, k, e, dtype):
    rng = np.random.default_rng(e)
    a, b = (rng.normal(size=shape).astype(dtype) for shape in ((m, k, e), (k, p, e)))
    out = np.full((m, p, e), np.nan, dtype)
    (product,) = computed(lambda do: do(contraction, out, a, b, (tuple("mpe"), tuple("mke"), tuple("kpe"))), out)
    assert product.fields["packs"] == (e > lanes(dtype))
    expected = np.einsum("mke,kpe->mpe", a.astype("float64"), b)
    np.testing.assert_allclose(out, expected, atol=4e-4 if dtype == "float32" else 1e-12)


def test_attention_multiplies_matrices():
    """Scores, what they weigh, and the gradients of both: none is a pass over all terms."""
    model = tr.graphs.multihead(inputs=12, hidden=20, outputs=5, heads=2)
    rng = np.random.default_rng(0)
    profile = model.profile(x=rng.normal(size=(6, 9, 12)), target=rng.integers(0, 5, (6, 9)))
    of = {name: row.kind for row in profile.rows for name in row.names}
    assert {of[name] for name in ("c", "d_v", "d_q", "d_k", "d_a")} == {"products"}
