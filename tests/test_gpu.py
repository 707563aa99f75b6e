"""What holds on a real GPU: `pytest -m gpu`. Where there is none, the stand-in for CuPy does what of it it can."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import architectures
import numpy as np
import pytest
from on_standin import recorded, settings, standin

import tinygrad_rnn as tr
from tinygrad_rnn import backends, jit
from tinygrad_rnn.plans.contract import contraction

# The norm of the difference from float64 on the CPU, over the norm: of each array in float32; of all gradients together
# where the operands of products keep 10 bits behind the point (tf32) or 7, since an array that is nearly zero because
# its terms cancel shows their rounding as a whole.
BOUNDS = {"float32": 1e-5, "tf32": 2e-3, "bfloat16": 2e-2}
SENSITIVE = {"caption": 4}  # times as far: rounded operands shift its attention, on any machine
SMALL = 1e-2  # of the largest array's norm: an array that is smaller is compared with that
HERE = ("lstm", "gru-reset=after")  # the forms that the stand-in does; it compiles slowly
SIZES = {"inputs": 8, "hidden": 64, "outputs": 8}


@contextlib.contextmanager
def real_gpu(precision):
    before, switch = (backends._current, backends._precision), dict(jit._switch)
    tr.use_jit(True)
    tr.use_backend("cupy", precision)
    try:
        yield backends.current().device()
    finally:
        backends._current, backends._precision = before
        jit._switch.clear()
        jit._switch.update(switch)


@contextlib.contextmanager
def on(where, precision="float32"):
    """Within it models compute there; what comes is the device."""
    if where == "gpu":
        with real_gpu(precision) as device:
            yield device
        return
    with standin() as device:
        tr.use_backend("cupy", precision)
        yield device


GPU = pytest.param("gpu", marks=pytest.mark.gpu)
everywhere = pytest.mark.parametrize("where", [GPU, "standin"])


def answer(model, data, **more):
    """The loss and every gradient, on the host."""
    loss, gradients = model.value_and_grad(data, **more)
    return {"loss": tr.to_numpy(loss).copy(), **{name: tr.to_numpy(g).copy() for name, g in gradients.items()}}


def made(name, dtype, batch=4, steps=9, **options):
    model = architectures.build(name, **{**options, "dtype": dtype})
    return model, architectures.data(model, batch, architectures.steps_of(model, steps))


def errors(found, exact):
    """By array: the norm of the difference over the norm."""
    least = SMALL * max(np.linalg.norm(a) for name, a in exact.items() if name != "loss")
    return {name: np.linalg.norm(found[name] - a) / max(np.linalg.norm(a), least if name != "loss" else 0)
            for name, a in exact.items()}


def together(found, exact):
    """The norm of the difference of all gradients, over their norm."""
    names = [name for name in exact if name != "loss"]
    return np.hypot.reduce([np.linalg.norm(found[name] - exact[name]) for name in names]) / np.hypot.reduce(
        [np.linalg.norm(exact[name]) for name in names])


def same_bits(some, others):
    return all(some[name].tobytes() == a.tobytes() for name, a in others.items())


FORMS = [pytest.param("gpu", name, options, id=f"gpu-{form}", marks=pytest.mark.gpu)
         for (name, options), form in zip(architectures.FORMS, architectures.IDS, strict=True)]
FORMS += [pytest.param("standin", name, options, id=f"standin-{form}")
          for (name, options), form in zip(architectures.FORMS, architectures.IDS, strict=True) if form in HERE]


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize(("where", "name", "options"), FORMS)
def test_values_and_gradients_are_those_of_float64(where, name, options, precision):
    with backends.using("numpy"):
        exact = answer(*made(name, "float64", **options))
    with on(where, precision):
        found = answer(*made(name, "float32", **options))
    if precision == "float32":
        found = errors(found, exact)
        assert max(found.values()) <= BOUNDS[precision], found
        return
    bound = BOUNDS[precision] * SENSITIVE.get(name, 1)
    assert together(found, exact) <= bound and abs(found["loss"] / exact["loss"] - 1) <= bound


@pytest.mark.gpu
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(("name", "hidden", "batch"), [("lstm", 256, 64), ("lstm", 1000, 3), ("gru", 130, 33),
                                                       ("layernorm", 128, 32), ("lstm", 32, 1), ("mgu", 37, 257)])
@pytest.mark.parametrize("loops", ["launched", "staying"])
def test_loops_of_many_sizes(name, hidden, batch, ragged, loops):
    lengths = {"lengths": np.arange(batch) % 20 + 5} if ragged else {}
    sizes = {"inputs": 16, "hidden": hidden, "outputs": 8, "batch": batch, "steps": 24}

    def ask(dtype):
        model, data = made(name, dtype, **sizes)
        for weight in model.weights:  # so that the states neither die out nor fill the range
            model.weights[weight] = tr.to_numpy(model.weights[weight]) / np.sqrt(hidden)
        return answer(model, data, **lengths)

    with backends.using("numpy"):
        exact = ask("float64")
    with on("gpu") as device, settings(device, loops=loops):
        found = errors(ask("float32"), exact)
    assert max(found.values()) <= BOUNDS["float32"], found


PAIRS = [("mpe,mke,kpe", (130, 120, 64, 5)), ("mpe,mke,kpe", (33, 65, 70, 1)), ("mpe,kme,pke", (21, 38, 2000, 11)),
         ("imjpe,imjke,ikpe", (200, 300, 64, 16)), ("mpe,jmke,kjpe", (100, 100, 33, 33)),
         ("pme,mke,kpe", (5, 700, 50, 9))]
PRODUCTS = [pytest.param("gpu", *pair, marks=pytest.mark.gpu) for pair in PAIRS] + [("standin", *PAIRS[0])]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("where", "form", "sizes"), PRODUCTS)
def test_products_of_each_examples_own_matrices(where, form, sizes, dtype):
    """By cuBLAS, in small tiles and in large ones, with sums in parts, ragged at all ends; a graph does the same."""
    extent = {**dict(zip("mpke", sizes, strict=True)), "i": 2, "j": 3}
    rng, labels = np.random.default_rng(0), form.split(",")
    host = [rng.normal(size=[extent[x] for x in each]).astype(dtype) for each in labels]
    exact = np.einsum(f"{labels[1]},{labels[2]}->{labels[0]}", *(a.astype("float64") for a in host[1:]))
    with on(where) as device:
        out, a, b = (device.xp.asarray(x) for x in host)
        program = recorded(lambda do: do(contraction, out, a, b, tuple(map(tuple, labels))), [out])
        found = []
        for _ in range(3):
            out[...] = 0
            program.run(0)
            found.append(tr.to_numpy(out).copy())
    assert np.linalg.norm(found[0] - exact) <= (1e-6 if dtype == "float32" else 1e-14) * np.linalg.norm(exact)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes() and not program.uncaptured


@everywhere
def test_models_on_two_streams_do_not_disturb_each_other(where):
    """They have one workspace of cuBLAS, whose products of long sums and few results lie there in parts."""
    sizes = {"hidden": 256, "batch": 2, "steps": 64} if where == "gpu" else {"hidden": 8}
    with on(where) as device, settings(device, loops="launched"):
        pairs = [made(name, "float32", **sizes) for name in ("lstm", "gru")]
        streams = [device.xp.cuda.Stream(non_blocking=True) for _ in pairs]
        alone = [answer(*pair) for pair in pairs]
        for _ in range(20 if where == "gpu" else 2):
            found = []
            for (model, data), stream in zip(pairs, streams, strict=True):
                with stream:
                    found.append(model.value_and_grad(data))
            device.xp.cuda.runtime.deviceSynchronize()
            for (loss, gradients), exact in zip(found, alone, strict=True):
                there = {"loss": loss, **gradients}
                assert same_bits({name: tr.to_numpy(a) for name, a in there.items()}, exact)


@everywhere
def test_training_follows_the_loss_of_the_cpu(where):
    """200 updates of an LSTM by Adam.

    Both compute in float32, so that an update differs by some 1e-7 of the weights. Where the loss falls smoothly, as
    here, later updates mend that rather than let it grow: on the stand-in the losses stay within 2e-7 of each other. A
    GPU adds in another order and its functions err by 2 ulp; 1e-4 leaves room for all that, and is far below what a
    wrong gradient or a missed update would make.
    """
    def curve():
        model = tr.graphs.lstm(inputs=8, hidden=16, outputs=8)
        model.initialise(0)
        rng = np.random.default_rng(0)
        words = np.cumsum(rng.integers(1, 3, (64, 12)), 1) % 8  # each is one or two further than the last
        data = {"x": np.eye(8, dtype="float32")[words[:, :-1]], "target": words[:, 1:]}
        history = model.fit(data, optimizer=tr.Adam(1e-2), epochs=100, batch_size=32, shuffle=False, clip=1.0)
        return np.array([float(row["loss"]) for row in history.steps])

    with backends.using("numpy"):
        expected = curve()
    with on(where):
        found = curve()
    assert len(found) == 200 and expected[-1] < 0.6 * expected[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@everywhere
@pytest.mark.parametrize("loops", ["launched", "staying"])
def test_a_replay_is_the_launches_bit_for_bit(where, loops):
    found = []
    with on(where) as device:
        for captures in (False, True):
            with settings(device, captures=captures, loops=loops):
                model, data = made("lstm", "float32", **SIZES)
                found += [answer(model, data) for _ in range(3)]
    assert all(same_bits(each, found[0]) for each in found[1:])


@everywhere
def test_a_loop_that_stays_is_the_launched_one(where):
    found = []
    with on(where) as device:
        for loops in ("launched", "staying"):
            with settings(device, loops=loops):
                found.append(answer(*made("gru", "float32", **SIZES)))
    assert max(errors(found[1], found[0]).values()) <= BOUNDS["float32"]


# What is looked at for memory errors and races: each array in memory of its own, so that what goes beyond it is seen.
SCRIPT = """
import cupy, numpy as np
import tinygrad_rnn as tr
from tinygrad_rnn import backends

cupy.cuda.set_allocator(None)
tr.use_backend("cupy")
device = backends.current().device()
rng = np.random.default_rng(0)
for name in ("lstm", "layernorm"):
    for device.loops in ("launched", "staying"):
        model = getattr(tr.graphs, name)(inputs=5, hidden=37, outputs=3)
        for batch in (1, 35):
            data = {"x": rng.normal(size=(batch, 4, 5)), "target": rng.integers(0, 3, (batch, 4))}
            for _ in range(2):
                loss, gradients = model.value_and_grad(data)
            assert np.isfinite(float(loss))
print("done")
"""
PLACES = ("/usr/local/cuda/bin", "/opt/cuda/bin")
# CuPy asks the driver for what it may not have, such as each attribute that any device has, and takes a refusal for an
# answer; what is refused to us it raises. And it takes long to be imported.
QUIETLY = ("--error-exitcode", "9", "--report-api-errors", "no", "--launch-timeout", "120")


@pytest.mark.gpu
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "synccheck"])
def test_the_sanitizer_finds_nothing(tool):
    sanitizer = shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not installed; it comes with CUDA's toolkit")
    done = subprocess.run([sanitizer, "--tool", tool, *QUIETLY, sys.executable, "-c", SCRIPT],
                          capture_output=True, text=True, timeout=1200, check=False)
    if "Device not supported" in done.stdout + done.stderr:
        pytest.skip("compute-sanitizer does not take this device, as within some virtual machines")
    assert done.returncode == 0 and "done" in done.stdout, done.stdout[-4000:] + done.stderr[-4000:]


def test_the_sanitizers_script_runs(monkeypatch):
    with standin() as device, settings(device, loops="launched"):
        monkeypatch.setattr(device.xp.cuda, "set_allocator", lambda allocator: None, raising=False)
        exec(compile(SCRIPT, "script", "exec"), {})
