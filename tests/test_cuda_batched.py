"""Products of matrices that each example has of its own, on the stand-in for CuPy, and by NVIDIA's compiler."""

from __future__ import annotations

import itertools

import numpy as np
import nvrtc
import pytest
from cuda_loops import SEEDS, on_device
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from on_standin import compiled_together, recorded, watched
from on_standin import settings as device_settings

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.cuda import batched
from tinygrad_rnn.cuda.batched_text import Tiles, source
from tinygrad_rnn.cuda.device import COMMON, OPTIONS
from tinygrad_rnn.cuda.launch import Launch
from tinygrad_rnn.fusion.lift import Operand
from tinygrad_rnn.plans.contract import contraction

FORMS = ["mn,mkn,kn", "mpe,mke,kpe", "mpe,kme,pke", "pme,mke,kpe", "mpe,mjke,jkpe", "mpe,jmke,kjpe", "jmpe,jmke,jkpe",
         "mjpe,mke,jkpe", "mpje,mjke,kpje", "imjpe,imjke,ikpe", "mpije,mkije,kpije", "mjpie,mjke,kpie", "mpqe,mke,kpqe",
         "mpe,mejk,jkep", "em,ekm,ek"]


@pytest.fixture
def all_in_tiles(monkeypatch):
    monkeypatch.setattr(batched, "WORTH", 1)


class Case:
    """A contraction in some steps of a loop: its arrays, maybe with a gap behind the last axis, and its program."""

    def __init__(self, form, extent, dtype="float32", steps=1, gap=0, reverse=False):
        self.labels = tuple(form.split(","))
        rng = np.random.default_rng(sum(extent.values()))
        lo, la, lb = self.labels
        self.host = [rng.normal(size=(steps, *(extent[x] for x in each[:-1]), extent[each[-1]] + more)).astype(dtype)
                     for each, more in ((lo, gap), (la, gap), (lb, 0))]
        self.buffers = [on_device(a) for a in self.host]
        out, a, b = (x[..., : extent[each[-1]]] for x, each in zip(self.buffers, self.labels, strict=True))
        b = b[:, ::-1] if reverse else b
        labels = tuple(map(tuple, self.labels))
        self.expected = self._expected(extent, reverse)

        def record(do):
            if steps == 1:
                do(contraction, out[0], a[0], b[0], labels)
            else:
                do.loop(steps, lambda t: do(contraction, out[t], a[t], b[t], labels))

        self.program = recorded(record, [self.buffers[0]])

    def _expected(self, extent, reverse):
        whole = self.host[0].astype("float64")
        lo, la, lb = self.labels
        a, b = (x[..., : extent[each[-1]]].astype("float64") for x, each in zip(self.host[1:], (la, lb), strict=True))
        whole[..., : extent[lo[-1]]] = np.einsum(f"T{la},T{lb}->T{lo}", a, b[:, ::-1] if reverse else b)
        return whole

    def check(self):
        """What is beside the result stays as it was."""
        self.buffers[0][...] = on_device(self.host[0])
        self.program.run(0)
        found = tr.to_numpy(self.buffers[0])
        np.testing.assert_allclose(found, self.expected, atol=3e-4 if found.dtype == "float32" else 1e-11)
        return found.tobytes()

    @property
    def kinds(self):
        return [launch.name.split("_")[0] for launch in self.program.launches]


@st.composite
def cases(draw):
    extent = {x: draw(st.integers(1, most)) for x, most in (("m", 40), ("p", 40), ("k", 40), ("e", 20))}
    return {"form": draw(st.sampled_from(FORMS)), "extent": {**extent, "n": extent["e"], "i": 2, "j": 3, "q": 2},
            "dtype": draw(st.sampled_from(["float32", "float64"])), "steps": draw(st.sampled_from([1, 3])),
            "gap": draw(st.integers(0, 1)), "reverse": draw(st.booleans())}


def test_each_example_has_matrices_of_its_own(device, all_in_tiles):
    kinds = []

    @settings(max_examples=4, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
    @given(some=st.lists(cases(), min_size=20, max_size=20))
    def check(some):
        with compiled_together(device):
            made = [Case(**each) for each in some]
        for case in made:
            case.check()
            kinds.extend(case.kinds)

    check()
    assert kinds.count("batched") > 15


SQUARE = {"m": 21, "p": 38, "k": 19, "e": 11}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_ones_have_more_of_each_thread(dtype, device, all_in_tiles, monkeypatch):
    monkeypatch.setattr(batched, "FILL", 1)
    case = Case("mpe,kme,pke", {"m": 70, "p": 90, "k": 13, "e": 9}, dtype)
    case.check()
    (launch,) = case.program.launches
    assert launch.block == ((256, 1, 1) if dtype == "float32" else (512, 1, 1))


@pytest.mark.parametrize("form", ["mpe,mke,kpe", "mpe,jmke,kjpe"])
def test_long_sums_are_cut_into_parts(form, device, all_in_tiles):
    case = Case(form, {**SQUARE, "k": 200, "j": 3}, steps=2)
    found = case.check()
    assert case.kinds[0] == "batched" and set(case.kinds[1:]) == {"pass"}
    assert case.program.launches[0].grid[1] > 1
    assert case.check() == found


def test_other_orders_of_blocks_give_the_same_bits(device, all_in_tiles, monkeypatch):
    case, found = Case("imjpe,imjke,ikpe", {**SQUARE, "i": 2, "j": 2}), set()
    for seed in SEEDS:
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
        found.add(case.check())
    assert len(found) == 1


@pytest.mark.parametrize("form", ["mpe,mke,kpe", "mpe,jmke,kjpe"])
def test_no_thread_looks_beyond_its_own(form, device, all_in_tiles, monkeypatch):
    with watched():
        case = Case(form, {**SQUARE, "j": 2}, steps=2)
        for seed in SEEDS:
            monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
            case.check()


@pytest.mark.parametrize("barrier", [0, 1])
def test_every_barrier_is_needed(barrier, device, all_in_tiles, monkeypatch):
    def without(tiles, name):
        parts = source(tiles, f"{name}_{barrier}").split("__syncthreads();")
        return "__syncthreads();".join(parts[: barrier + 1]) + "__syncthreads();".join(parts[barrier + 1 :])

    monkeypatch.setattr(batched, "source", without)
    monkeypatch.setattr(batched, "named", lambda *_: "batched_without")
    monkeypatch.setattr(batched, "Launch", lambda name, *more: Launch(f"{name}_{barrier}", *more))
    with watched(), pytest.raises(device.errors, match=r"a race|nobody has written"):
        Case("mpe,mke,kpe", SQUARE).check()


def test_what_lies_as_matrices_is_done_by_cublas(device, all_in_tiles):
    case = Case("jmpe,jmke,jkpe", {"m": 9, "p": 8, "k": 10, "j": 3, "e": 1})
    case.check()
    assert case.kinds == []


def test_little_work_and_vectors_are_passes(device):
    for form, extent in (("mpe,mke,kpe", SQUARE), ("me,mke,ke", {"m": 300, "k": 300, "e": 12})):
        case = Case(form, extent)
        case.check()
        assert set(case.kinds) <= {"pass", "finish"} and case.kinds


def test_a_model_that_attends_is_done_in_tiles(device):
    """The losses and gradients of attention: on the device, and by NumPy in double precision."""
    answers, kinds = [], []
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(8, 96, 6)), "target": rng.integers(0, 5, (8, 96))}
    lengths = np.array([96, 90, 1, 2, 33, 64, 65, 95])
    made = []
    before = batched.launch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batched, "launch", lambda p: made.append(p) or before(p))
        for backend, dtype in (("cupy", "float32"), ("numpy", "float64")):
            with backends.using(backend):
                model = tr.graphs.multihead(inputs=6, hidden=32, outputs=5, heads=2, dtype=dtype)
                loss, gradients = model.value_and_grad(data, lengths=lengths)
                answers.append({"loss": tr.to_numpy(loss), **{k: tr.to_numpy(g) for k, g in gradients.items()}})
    kinds = {p.kernel for p in made}
    assert len(made) == 6 and kinds == {"batched"}
    for name, x in answers[1].items():
        np.testing.assert_allclose(answers[0][name], x, atol=2e-6, rtol=1e-3, err_msg=name)


def test_captured_loops_replay_them(device, all_in_tiles):
    with device_settings(device, captures=True):
        case = Case("mpe,mke,kpe", SQUARE, steps=3)
        first = case.check()
        assert case.check() == first
        assert not case.program.uncaptured
        assert "batched" in case.kinds


def test_more_than_kernels_count_are_refused(device):
    one = np.zeros(1, "f")

    def stretched(*shape):
        return Operand(np.lib.stride_tricks.as_strided(one, shape, tuple(
            4 * int(np.prod(shape[k + 1:], dtype=object)) for k in range(len(shape)))))

    with pytest.raises(tr.Error, match="numbers is computed at once"):
        batched.by_example(stretched(8, 8, 8), stretched(8, 2**31, 8), stretched(2**31, 8, 8),
                           ("mpe", "mke", "kpe"), device)


def tilings():
    """Divisions of all kinds: wide, high, of few and many examples, of both precisions."""
    for lanes, down, across in ((8, 8, 8), (8, 4, 8), (16, 4, 2), (32, 1, 1), (1, 16, 32), (2, 1, 256), (32, 4, 1)):
        for outer, summed, by_terms in ((1, 1, 1), (2, 2, 0)):
            yield Tiles(4, 4, lanes, down, across, outer, summed, by_terms, 1 - by_terms)
            if lanes <= 4 or lanes * down * across <= batched.FEW:
                yield Tiles(8, 4, lanes, down, across, outer, summed, by_terms, 1 - by_terms)
    for (down, across), outer, by_terms in itertools.product(((4, 8), (8, 4)), (0, 2), (0, 1)):
        yield Tiles(4, batched.LARGE, 8, down, across, outer, 1, by_terms, by_terms)


@pytest.mark.skipif(not nvrtc.found(), reason="NVIDIA's compiler is not installed: pip install nvidia-cuda-nvrtc")
def test_all_numbers_of_a_thread_stay_in_registers():
    text = "\n".join(source(tiles, f"tiles_{k}") for k, tiles in enumerate(tilings()))
    spilled = nvrtc.spilled(text, OPTIONS, nvrtc.found()[0], "sm_90")
    assert len(spilled) == len(list(tilings())) and not any(spilled.values())
    assert all(tiles.shared <= COMMON for tiles in tilings())
