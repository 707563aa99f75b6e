"""What a person meets of the backends: which one is used, what is said where it cannot be, and what goes where."""

from __future__ import annotations

import contextlib
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import backends, cli, replay
from tinygrad_rnn.errors import out_of_memory

pytestmark = pytest.mark.device
STANDIN = Path(__file__).parent / "standin"
PACKAGES = ("cupy", "cupy_backends", "cupyx")


class CudaError(RuntimeError):
    """As CuPy's: the text starts with CUDA's name of the error, the number is in `status`."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class OutOfMemory(MemoryError):
    pass


def fake(count=1, driver=12040, needed=12090, capability="90", zeros=np.zeros):
    """A module named cupy on a machine as told; an exception in place of the count of GPUs is raised."""
    def count_gpus():
        if isinstance(count, Exception):
            raise count
        return count

    runtime = types.SimpleNamespace(getDeviceCount=count_gpus, CUDARuntimeError=CudaError,
                                    driverGetVersion=lambda: driver, runtimeGetVersion=lambda: needed)
    module = types.ModuleType("cupy")
    module.ndarray, module.zeros, module.asarray = np.ndarray, zeros, np.asarray
    module.cuda = types.SimpleNamespace(
        runtime=runtime, memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemory),
        Device=lambda: types.SimpleNamespace(compute_capability=capability))
    return module


def failing(error):
    def zeros(shape):
        raise error
    return zeros


def is_of_cupy(name):
    return name.partition(".")[0] in PACKAGES or name == "tinygrad_rnn.backends.cupy"


@contextlib.contextmanager
def only(module=None):
    """Within it, `import cupy` finds nothing but that module (or a loader's error), and no backend is chosen yet."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if is_of_cupy(name)}
    chosen = backends._current, backends._precision
    backends._current, backends._precision = None, "float32"
    if module is not None:
        sys.modules["cupy"] = module
    try:
        yield
    finally:
        for name in [name for name in sys.modules if is_of_cupy(name)]:
            del sys.modules[name]
        sys.modules.update(kept)
        backends._current, backends._precision = chosen


@pytest.fixture
def alone(monkeypatch):
    """No word on backends from the environment."""
    for name in ("TINYGRAD_RNN_BACKEND", "TINYGRAD_RNN_PRECISION", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gpu(alone, monkeypatch):
    """The stand-in for CuPy, with plans that run call by call; the backend is NumPy until it is chosen."""
    monkeypatch.syspath_prepend(STANDIN)
    with only():
        compiled = tr.jit.asked()
        tr.use_jit(False)
        yield lambda a: cupy().asarray(a)
        tr.use_jit(compiled)


def cupy():
    import cupy

    return cupy


# -- what is missing -------------------------------------------------------------------------------

BANNER = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX), make sure that ...

Original error:
  ImportError: libcudart.so.12: cannot open shared object file
================================================================
"""


class Broken:
    """A finder in whose hands the import of cupy fails."""

    def __init__(self, error):
        self.error = error

    def find_spec(self, name, path=None, target=None):
        if name == "cupy":
            raise self.error


MISSING = [
    (None, ["needs CuPy, which is not installed", "pip install 'cupy-cuda12x[ctk]' (the extra cuda12)", "cuda13"]),
    (ImportError(BANNER), ["cannot be imported: ImportError: libcudart.so.12: cannot open", "uninstall"]),
    (OSError("no such symbol"), ["cannot be imported: no such symbol"]),
    (fake(CudaError(35, "cudaErrorInsufficientDriver: ..."), driver=0), ["NVIDIA's driver", "has none"]),
    (fake(CudaError(35, "cudaErrorInsufficientDriver: ..."), driver=11040),
     ["newer driver", "CUDA 11.4", "CUDA 12.9; update the driver"]),
    (fake(CudaError(35, "cudaErrorInsufficientDriver: ..."), driver=12080, needed=13000),
     ["CUDA 12.8", "CUDA 13.0", "update the driver, or pip install 'cupy-cuda12x[ctk]'"]),
    (fake(CudaError(100, "cudaErrorNoDevice: no CUDA-capable device is detected")), ["NVIDIA GPU", "finds none"]),
    (fake(0), ["NVIDIA GPU", "finds none"]),
    (fake(CudaError(999, "cudaErrorUnknown: unknown error")), ["the driver says: cudaErrorUnknown: unknown error"]),
    (fake(zeros=failing(OutOfMemory("Out of memory allocating 512 bytes"))), ["memory", "512 bytes", "end what else"]),
    (fake(zeros=failing(RuntimeError("libnvrtc.so.12 not found\nmore"))),
     ["libnvrtc.so.12 not found", "pip install 'cupy-cuda12x[ctk]'"]),
    (fake(zeros=lambda shape: np.full(shape, 3.0)), ["computes 0 + 1 wrongly"]),
]


@contextlib.contextmanager
def machine(module, monkeypatch, driver=None):
    """A machine as told; `driver` loads the driver's library."""
    with monkeypatch.context() as m:
        m.setattr("ctypes.CDLL", driver or failing(OSError("no libcuda")))
        if isinstance(module, Exception):
            m.setattr(sys, "meta_path", [Broken(module), *sys.meta_path])
        elif module is None:
            m.setattr(sys, "meta_path", [Broken(ModuleNotFoundError("No module named 'cupy'", name="cupy")),
                                         *sys.meta_path])
        with only(module if isinstance(module, types.ModuleType) else None):
            yield


@pytest.mark.parametrize("module,fragments", MISSING, ids=lambda x: str(x[0])[:30] if isinstance(x, list) else "")
def test_one_line_says_what_is_missing_on_all_three_ways(module, fragments, alone, monkeypatch, capsys):
    with machine(module, monkeypatch):
        with pytest.raises(tr.Error) as error:
            tr.use_backend("cupy")
        said = str(error.value)
        assert "\n" not in said and all(part in said for part in fragments), said
        for arguments in (["--backend", "cupy", "models"], ["models", "--backend", "cupy"]):
            assert cli.main(arguments) == 2
            assert capsys.readouterr() == ("", f"tinygrad-rnn: {said}\n")
        monkeypatch.setenv("TINYGRAD_RNN_BACKEND", "cupy")
        with pytest.raises(tr.Error) as error:
            tr.Tensor([1.0])
        assert str(error.value) == said
        assert cli.main(["models", "gru"]) == 2
        assert capsys.readouterr().err == f"tinygrad-rnn: {said}\n"


def test_hidden_gpus_are_told(alone, monkeypatch):
    for value in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        with (machine(fake(CudaError(100, "cudaErrorNoDevice: none")), monkeypatch),
              pytest.raises(tr.Error, match=f"CUDA_VISIBLE_DEVICES='{value}' shows none")):
            tr.use_backend("cupy")


def test_the_driver_says_which_extra(alone, monkeypatch):
    class Library:
        @staticmethod
        def cuDriverGetVersion(found):
            found._obj.value = 13000

    with (machine(None, monkeypatch, lambda name: Library),
          pytest.raises(tr.Error, match=r"not installed: pip install 'cupy-cuda13x\[ctk\]' \(the extra cuda13\)$")):
        tr.use_backend("cupy")


def test_what_failed_is_tried_again_and_what_worked_is_not(alone, monkeypatch):
    asked = []
    module = fake(0)
    with machine(module, monkeypatch):
        with pytest.raises(tr.Error):
            tr.use_backend("cupy")
        module.cuda.runtime.getDeviceCount = lambda: asked.append(1) or 1
        for _ in range(3):
            tr.use_backend("cupy")
        assert asked == [1] and tr.backend() == "cupy"


# -- which one is used -----------------------------------------------------------------------------


@pytest.mark.parametrize("module,expected", [(m, "numpy") for m, _ in MISSING] + [(fake(), "cupy")])
def test_auto_takes_a_usable_gpu_without_a_word(module, expected, alone, monkeypatch, capsys):
    with machine(module, monkeypatch):
        assert tr.backend() == "numpy"
        tr.use_backend("auto")
        assert tr.backend() == expected
        backends._current = None
        assert cli.main(["models", "--backend", "auto"]) == 0
        assert tr.backend() == expected and capsys.readouterr().err == ""
        backends._current = None
        monkeypatch.setenv("TINYGRAD_RNN_BACKEND", "auto")
        assert tr.backend() == expected


def test_precision(alone, monkeypatch, capsys):
    with machine(fake(), monkeypatch):
        tr.use_backend("cupy", precision="tf32")
        assert backends.precision() == "tf32"
        tr.use_backend("cupy")
        assert backends.precision() == "float32"
        for wrong in ("numpy", "auto", "cupy"):
            with pytest.raises(tr.Error, match=r"unknown precision 'bfloat'; there are .*; did you mean 'bfloat16'"):
                tr.use_backend(wrong, "bfloat")
        with pytest.raises(tr.Error, match="'tf32' is of products on a GPU; NumPy"):
            tr.use_backend("numpy", "tf32")
        assert (tr.backend(), backends.precision()) == ("cupy", "float32")  # a refusal leaves all as it was
        assert cli.main(["--backend", "cupy", "models", "--precision", "bfloat16"]) == 0
        assert backends.precision() == "bfloat16"
        tr.use_backend("numpy")
        assert cli.main(["--precision", "tf32", "models"]) == 2 and "NumPy" in capsys.readouterr().err
        backends._current = None
        monkeypatch.setenv("TINYGRAD_RNN_BACKEND", "cupy")
        monkeypatch.setenv("TINYGRAD_RNN_PRECISION", "tf32")
        assert (backends.precision(), tr.backend()) == ("tf32", "cupy")
        assert cli.main(["models", "--precision", "float32"]) == 0 and backends.precision() == "float32"
    with machine(fake(0), monkeypatch):
        tr.use_backend("auto", "tf32")
        assert (tr.backend(), backends.precision()) == ("numpy", "float32")
    with machine(fake(capability="75"), monkeypatch):
        with pytest.raises(tr.Error, match=r"needs a GPU of compute capability 8\.0 .* has 7\.5"):
            tr.use_backend("cupy", "bfloat16")
        tr.use_backend("cupy")
    for capability in ("80", "89", "90", "120"):
        with machine(fake(capability=capability), monkeypatch):
            tr.use_backend("cupy", "bfloat16")


def test_unknown_backends(alone):
    with pytest.raises(tr.Error, match=r"unknown backend 'coda'; there are numpy, cupy and auto"):
        tr.use_backend("coda")
    with pytest.raises(tr.Error, match=r"did you mean 'cupy'\?"):
        tr.use_backend("cuppy")
    assert cli.main(["models", "--backend", "cuppy"]) == 2


# -- arrays both ways ------------------------------------------------------------------------------


def test_asarray_on_numpy(gpu):
    x = np.arange(6.0).reshape(2, 3)
    assert tr.asarray(x) is x and tr.asarray([1, 2]).tolist() == [1, 2]
    assert tr.asarray(x, "float32").dtype == "float32"
    device = gpu(x)
    assert type(tr.asarray(device)) is np.ndarray and (tr.asarray(device) == x).all()
    tensor = tr.Tensor(x)
    assert np.shares_memory(tr.asarray(tensor), tr.asarray(tensor))
    assert not hasattr(tensor, "__cuda_array_interface__") and tensor.__dlpack_device__() == (1, 0)
    assert (np.from_dlpack(tensor) == x).all()
    assert tr.to_numpy(x) is x and type(tr.to_numpy(device)) is np.ndarray and (tr.to_numpy(tensor) == x).all()
    for wrong in ("abc", [[1], [1, 2]], object(), None, {"a": 1}):
        with pytest.raises(tr.Error, match="array"):
            tr.asarray(wrong)
    with pytest.raises(tr.Error):
        tr.asarray(x, "float99")


def test_asarray_on_cupy(gpu):
    host = tr.Tensor([[1.0, 2.0]])
    tr.use_backend("cupy")
    x = gpu([[1.0, 2.0]])
    assert tr.asarray(x) is x and isinstance(tr.asarray([1, 2]), cupy().ndarray)
    assert isinstance(tr.asarray(host), cupy().ndarray) and tr.asarray(host).get().tolist() == [[1.0, 2.0]]
    tensor = tr.Tensor(x)
    assert tensor.dtype == "float64" and tr.asarray(tensor) is tr.asarray(tensor)
    assert tensor.__cuda_array_interface__["data"] == tr.asarray(tensor).__cuda_array_interface__["data"]
    assert tensor.__dlpack_device__()[0] == 2
    assert isinstance(tr.asarray(np.float32(2)), cupy().ndarray)
    for a in (x, tensor, host, [[1.0, 2.0]]):
        assert type(tr.to_numpy(a)) is np.ndarray and tr.to_numpy(a).tolist() == [[1.0, 2.0]]


class Torch:
    """A tensor of another library, in the way in which PyTorch shows its own."""

    __module__ = "torch"

    def __init__(self, array, error=None):
        self.array, self.error, self.shape, self.ndim = array, error, array.shape, array.ndim

    def __len__(self):
        return len(self.array)

    def __getitem__(self, key):
        return Torch(self.array[key], self.error)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        if self.error is not None:
            raise self.error
        return self.array.__dlpack__(**options)

    @property
    def __cuda_array_interface__(self):
        if self.__dlpack_device__()[0] == 1:
            raise AttributeError("not on a GPU")
        if self.error is not None:
            raise self.error
        return self.array.__cuda_array_interface__

    def __array__(self, dtype=None, copy=None):
        if self.error is not None:
            raise self.error
        return np.asarray(self.array, dtype)

    def cpu(self):
        return Torch(self.array.get())


def test_arrays_of_other_libraries(gpu):
    x, wants = np.ones((2, 3), "float32"), RuntimeError("Can't call numpy() on Tensor that requires grad.")
    assert np.shares_memory(tr.asarray(Torch(x)), x) and tr.Tensor(Torch(x)).shape == (2, 3)
    assert (tr.asarray(Torch(gpu(x))) == x).all()
    with pytest.raises(tr.Error, match="requires grad"):
        tr.asarray(Torch(x, wants))
    with pytest.raises(tr.Error, match="is a PyTorch tensor on the GPU, and the backend in use is numpy"):
        tr.Tensor(Torch(gpu(x)))
    with pytest.raises(tr.Error, match=r"x cannot be taken as an array: .*requires grad"):
        model().run(x=Torch(x, wants))
    tr.use_backend("cupy")
    assert isinstance(tr.asarray(Torch(x)), cupy().ndarray)
    assert tr.Tensor(Torch(gpu(x))).numpy().tolist() == x.tolist()


# -- nothing is moved without being asked to ---------------------------------------------------------

X, K = np.linspace(-1, 1, 24).reshape(2, 4, 3).astype("float32"), np.ones((2, 4, 2), "float32")


def model():
    return tr.equations("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\nloss = mean(squared_error(h[t], k[t]))", x=3, h=2)


def drawing():
    return tr.equations("h[t] = tanh(W @ w[t-1] + U @ h[t-1] + a @ c[t])\nw[t] = categorical(softmax(V @ h[t]))",
                        w=3, h=2, c=3)


ENTRIES = {
    "x": lambda x, m: m.run(x=x),
    "x in value_and_grad": lambda x, m: m.value_and_grad(x=x, k=K),
    "x in a dict": lambda x, m: m.value_and_grad({"x": x, "k": K}),
    "k": lambda x, m: m.value_and_grad(x=X, k=x),
    "x in trace": lambda x, m: m.trace(x=x, k=K),
    "x in profile": lambda x, m: m.profile(x=x, k=K),
    "lengths": lambda x, m: m.run(x=X, lengths=x),
    "lengths of t": lambda x, m: m.run(x=X, lengths={"t": x}),
    "lengths in the data": lambda x, m: m.value_and_grad({"x": X, "k": K, "lengths": x}),
    "the state of h": lambda x, m: m.run(x=X, state={"h": x}),
    "the weight W": lambda x, m: m.weights.update({"W": x}),
    "x in fit": lambda x, m: m.fit([{"x": x, "k": K}], progress=False),
    "x in fit of arrays": lambda x, m: m.fit({"x": x, "k": K}, progress=False),
    "x in fit of segments": lambda x, m: m.fit([{"x": x, "k": K}], truncate=2, progress=False),
    "x in a step": lambda x, m: m.stepper(batch=2)(x=x[:, 0]),
    "the rule for W": lambda x, m: m.initialise(rules={"W": x}),
    "x in check_gradient": lambda x, m: m.check_gradient(x=x, k=K),
    "x in stepper": lambda x, m: m.stepper(batch=2, x=x),
    "x unrolled": lambda x, m: m.unroll(4).run(x=x),
    "w": lambda x, m: drawing().run(w=x, c=X),
    "c": lambda x, m: drawing().run(c=x, seed=1),
    "c in stream": lambda x, m: next(drawing().stream(c=x)),
    "the data of a tensor": lambda x, m: tr.Tensor(x),
    "operand 2 of add": lambda x, m: tr.Tensor(X) + x,
    "operand 1 of tanh": lambda x, m: tr.tanh(x),
    "operand 3 of where": lambda x, m: tr.where(tr.Tensor(X) > 0, 1.0, x),
    "operand 3 of grad": lambda x, m: tr.grad(tr.Tensor(X), [tr.Tensor(X)], x),
    "the data of a tensor, positions": lambda x, m: tr.Tensor(X)[x],
}


@pytest.mark.parametrize("what", ENTRIES)
def test_a_gpu_array_is_refused_by_name_on_numpy(what, gpu):
    device = gpu(X)
    name = what.partition(" in ")[0].partition(" unrolled")[0].partition(",")[0]
    for given, said in ((device, "a CuPy array"), (Torch(device), "a PyTorch tensor on the GPU")):
        with pytest.raises(TypeError) as error:
            ENTRIES[what](given, model())
        assert isinstance(error.value, tr.Error)
        said = f"{name} is {said}, and the backend in use is numpy; "
        assert str(error.value).startswith(said), str(error.value)
        assert 'tr.use_backend("cupy")' in str(error.value) and "tr.asarray(x)" in str(error.value)


def test_operations_take_tensors_of_the_backend_in_use(gpu):
    old = tr.Tensor(X, requires_grad=True)
    lazy = (old * 2).tanh()
    tr.use_backend("cupy")
    for wrong in (lambda: old + 1, lambda: tr.tanh(lazy), lambda: lazy.sum(), lambda: tr.Tensor(X) * old, lambda: old.T,
                  lambda: tr.broadcast_to(old, (2, 2, 4, 3)), lambda: tr.grad(lazy, [old], 1.0), lambda: old[0]):
        with pytest.raises(tr.Error, match="a tensor made on numpy, and the backend in use is cupy; make it anew"):
            wrong()
    assert lazy.shape == (2, 4, 3) and np.allclose(lazy.numpy(), np.tanh(2 * X))  # it can be looked at
    assert "0.9" in repr(lazy) and type(lazy.numpy()) is np.ndarray
    new = tr.Tensor(lazy)
    assert new.backend == "cupy" and np.allclose((new + 1).numpy(), np.tanh(2 * X) + 1)
    later = new * 3
    with pytest.raises(tr.Error, match="is not moved"):
        np.asarray(new)
    tr.use_backend("numpy")
    with pytest.raises(tr.Error, match="add is given a tensor made on cupy, and the backend in use is numpy"):
        new + 1
    with pytest.raises(tr.Error, match="x is a tensor made on cupy, and the backend in use is numpy"):
        model().run(x=new)
    assert np.allclose(later.numpy(), 3 * np.tanh(2 * X))
    assert np.allclose(tr.asarray(later), 3 * np.tanh(2 * X)) and (tr.Tensor(tr.asarray(new)) + 1).backend == "numpy"


def test_a_mix_of_cupy_and_numpy_is_refused(gpu):
    tr.use_backend("cupy")
    tensor = tr.Tensor(gpu(X))
    for mixed in (lambda: tensor + X, lambda: X * tensor, lambda: tr.where(tensor > 0, X, tensor),
                  lambda: tr.maximum(gpu(X), X)):
        with pytest.raises(tr.Error, match=r"a NumPy array, and nothing is moved without being asked to"):
            mixed()
    assert np.allclose((tensor + tr.asarray(X)).numpy(), 2 * X) and np.allclose((tensor + gpu(X)).numpy(), 2 * X)
    assert np.allclose((tensor + 1).numpy(), X + 1)  # numbers are no arrays
    assert np.allclose(tr.tanh(X).numpy(), np.tanh(X))  # host data alone enter


def test_tensors_on_cupy_compute_and_differentiate_there(gpu):
    tr.use_backend("cupy")
    a, w = tr.Tensor(gpu(X), requires_grad=True), tr.Tensor(np.ones((3, 5)), requires_grad=True)
    for _ in range(2):
        (a @ w).tanh().sum().backward()
    slope = 1 - np.tanh(X @ np.ones((3, 5))) ** 2
    assert isinstance(tr.asarray(a.grad), cupy().ndarray)
    assert np.allclose(a.grad.numpy(), 2 * slope @ np.ones((5, 3)), atol=1e-5)
    at = gpu(np.array([1, -2]))
    assert np.allclose(a[:, at].numpy(), X[:, [1, -2]]) and np.allclose(a[:, [1, -2]].numpy(), X[:, [1, -2]])
    with pytest.raises(tr.Error, match="positions are whole numbers from -4 to 3"):
        a[:, gpu(np.array([4]))]
    with pytest.raises(tr.Error, match=r"class 3 at \[1\] is out of range"):
        tr.cross_entropy(tr.Tensor(X[0, :2]), gpu(np.array([0, 3])))


def test_the_bytes_of_an_array_are_not_those_of_the_pools_piece(gpu, monkeypatch):
    tr.use_backend("cupy")
    backend, a = backends.current(), gpu(np.zeros(3, "float32"))
    monkeypatch.setattr(backend, "owner", lambda array: types.SimpleNamespace(size=512))  # CuPy's pool rounds up
    assert backend.owned(a) == backend.owned(a[1:]) == 12


def test_models_move_their_weights_at_the_next_call_both_ways(gpu):
    m = model()
    expected, grads = m.value_and_grad(x=X, k=K)
    before = {name: np.array(w) for name, w in m.weights.items()}
    untouched = model()  # its weights are drawn on the other backend
    untouched.weights  # noqa: B018
    tr.use_backend("cupy")
    for given in ((X, K), (gpu(X), gpu(K)), (gpu(X), K), (X.tolist(), tr.Tensor(K))):
        loss, found = m.value_and_grad(x=given[0], k=given[1])
        assert np.allclose(backends.current().to_host(loss), expected)
        for name, gradient in grads.items():
            assert np.allclose(backends.current().to_host(found[name]), gradient, atol=1e-6)
    for name, w in m.weights.items():
        assert isinstance(w, cupy().ndarray) and (w.get() == before[name]).all()
    m.weights["b"] = gpu(np.array([1.0, 2.0]))
    m.weights["U"] = np.eye(2)
    assert (untouched.weights["W"].get() == before["W"]).all()
    tr.use_backend("numpy")
    assert m.weights["b"].tolist() == [1.0, 2.0] and m.weights["U"].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert type(m.weights["W"]) is np.ndarray and (m.weights["W"] == before["W"]).all()
    m.weights.update(before)
    loss, found = m.value_and_grad(x=X, k=K)
    assert loss == expected and all((found[name] == g).all() for name, g in grads.items())


def test_what_is_checked_is_checked_where_it_lies(gpu, monkeypatch):
    m = tr.equations("y[t] = softmax(W @ x[t])\nloss = mean(cross_entropy(y[t], k[t]))", x=3, y=4)
    tr.use_backend("cupy")
    classes = gpu(np.array([[0, 1, 3, 9], [3, 2, 1, 0]]))
    get = cupy().ndarray.get

    def small(a, *args, **options):
        assert a.size <= 2, "an array was brought to the host"
        return get(a, *args, **options)

    monkeypatch.setattr(cupy().ndarray, "get", small)
    with pytest.raises(tr.Error, match=r"k\[0, 3\] is class 9; the classes are 0 to 3"):
        _prepared(m, {"x": gpu(X), "k": classes})
    monkeypatch.undo()
    loss, _ = m.value_and_grad(x=gpu(X), k=classes, lengths=[3, 4])
    lengths = gpu(np.array([3, 4]))
    assert float(m.value_and_grad(x=gpu(X), k=classes, lengths=lengths)[0]) == float(loss)
    bad = X.copy()
    bad[1, 2, 0] = np.nan
    with pytest.raises(tr.Error, match=r"the input x is NaN first at \[1, 2, 0\] \(example 1, t = 3\)"):
        m.run(x=gpu(bad), want="y", check=True)


def _prepared(m, data):
    from tinygrad_rnn.feeds import prepared

    return prepared(m.system, ("loss",), data)


def test_a_state_goes_on_from_either_side(gpu):
    m = model()
    whole = m.run(x=X)["h"]
    on_host = m.run(x=X[:, :2]).state
    tr.use_backend("cupy")
    host = backends.current().to_host
    assert np.allclose(host(m.run(x=X[:, 2:], state=on_host)["h"]), whole[:, 2:], atol=1e-6)
    state = {name: gpu(host(value)) for name, value in m.run(x=X[:, :2]).state.items()}
    assert np.allclose(host(m.run(x=X[:, 2:], state=state)["h"]), whole[:, 2:], atol=1e-6)


def text():
    return tr.equations("h[t] = tanh(W @ w[t-1] + U @ h[t-1] + A @ x[t])\nw[t] = categorical(softmax(V @ h[t]))",
                        w=3, h=2, x=3)


def fitted(at, m, **options):
    history = m.fit({"x": at(X), "k": at(K)}, epochs=2, batch_size=1, progress=False, **options)
    return {"loss": history.loss, **m.weights}


def stepped(at, m):
    step = m.stepper(batch=2)
    return {"h": [step(x=at(X[:, k]))["h"] for k in range(4)], "state": step.state}


WORDS, AT = np.array([[0, 1, 2, 1], [2, 2, 1, 0]]), np.array([2, 4])
RUNS = {
    "run": lambda at: model().run(x=at(X), lengths=at(AT)),
    "its state": lambda at: model().run(x=at(X)).state,
    "gradients": lambda at: dict(enumerate(model().value_and_grad(x=at(X), k=at(K), wrt=["W", "x"]))),
    "segments": lambda at: model().value_and_grad(x=at(X), k=at(K), memory="sqrt")[1],
    "trace": lambda at: model().trace(x=at(X), k=at(K)),
    "steps": lambda at: stepped(at, model()),
    "unrolled": lambda at: model().unroll(4).run(x=at(X), lengths=at(AT)),
    "unrolled gradients": lambda at: model().unroll(4).value_and_grad(x=at(X), k=at(K), lengths=AT)[1],
    "drawn": lambda at: text().run(x=at(X), seed=1),
    "drawn to a stop": lambda at: text().run(x=at(X), seed=1, stop=1, lengths=at(AT)),
    "gone on from a prefix": lambda at: text().run(x=at(X), w=at(WORDS[:, :2]), seed=1),
    "observed": lambda at: text().value_and_grad(x=at(X), w=at(np.where(np.arange(4) < AT[:, None], WORDS, -1)),
                                                 lengths=AT)[1],
    "stream": lambda at: dict(enumerate(text().stream(x=at(X), seed=3, stop=1))),
    "beams": lambda at: vars(text().beam_search(x=at(X), steps=4, stop=1)),
    "a weight by a rule": lambda at: dict(model().initialise(rules={"W": at(K[0, :2, :1].repeat(3, 1))}).weights),
    "fit": lambda at: fitted(at, model(), clip=1.0, valid={"x": at(X), "k": at(K)}, patience=1),
    "fit by segments": lambda at: fitted(at, model(), truncate=2),
}


def leaves(found):
    for value in found.values() if isinstance(found, dict) else found:
        yield from leaves(value) if isinstance(value, (dict, list, tuple)) else [value]


@pytest.mark.parametrize("what", RUNS)
def test_results_are_the_same_arrays_of_the_backend_in_use(what, gpu):
    expected = list(leaves(RUNS[what](lambda a: a)))
    tr.use_backend("cupy")
    for at in (gpu, lambda a: a):
        found = list(leaves(RUNS[what](at)))
        assert {type(a) for a in found} <= {cupy().ndarray, float}
        for a, b in zip(found, expected, strict=True):
            assert np.shape(a) == np.shape(b) and np.allclose(tr.to_numpy(a), b, atol=1e-5)


def test_a_stepper_goes_on_where_the_backend_changes(gpu):
    expected = stepped(lambda a: a, model())["h"]
    step = model().stepper(batch=2)
    for k, name in enumerate(("numpy", "numpy", "cupy", "numpy")):
        tr.use_backend(name)
        assert np.allclose(tr.to_numpy(step(x=X[:, k])["h"]), expected[k], atol=1e-6)


def test_another_precision_is_another_plan(gpu):
    tr.use_backend("cupy")
    m = model()
    step = m.stepper(batch=2)
    for k in range(3):
        step(x=X[:, k])
    live, before = step._live, replay.signature({"x": gpu(X)})
    step(x=X[:, 0])
    assert step._live is live and before == replay.signature({"x": gpu(2 * X)})
    assert len(m._plans._plans) == 2
    tr.use_backend("cupy", "tf32")
    step(x=X[:, 0])
    assert step._live is not live and before != replay.signature({"x": gpu(X)}) and len(m._plans._plans) == 3
    assert replay.signature({"x": X}) is None  # it is not where a replay takes it from


def test_training_resumes_and_results_are_drawn_on_cupy(gpu, tmp_path):
    tr.use_backend("cupy")
    options = {"checkpoint": tmp_path / "m.safetensors", "batch_size": 1, "progress": False, "carry_state": True}
    whole, cut = model(), model()
    data = {"x": gpu(X), "k": gpu(K)}
    whole.fit(data, epochs=3, **options)
    cut.fit(data, epochs=1, **options)
    cut = model()
    cut.fit(data, epochs=3, resume=True, **options)
    assert all(np.allclose(tr.to_numpy(whole.weights[name]), tr.to_numpy(w)) for name, w in cut.weights.items())
    values = cut.trace(data)
    assert cut.draw(tmp_path / "m.svg", view="unrolled", values=values).exists()
    assert isinstance(values["h"], cupy().ndarray)
    assert max(cut.check_gradient(data).values()) < 1e-6


def test_the_page_runs(gpu):
    page = (Path(__file__).parents[1] / "docs" / "gpu.md").read_text(encoding="utf-8")
    m = tr.graphs.lstm(inputs=27, hidden=4, outputs=27)
    data = np.random.default_rng(0).standard_normal((2, 3, 27)).astype("float32")
    scope = {"tr": tr, "lstm": m, "X": data}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        if "import torch" not in block:
            exec(block, scope)
    assert (tr.backend(), backends.precision()) == ("cupy", "tf32") and isinstance(scope["x"], cupy().ndarray)
    source = (Path(backends.__file__).parent / "cupy.py").read_text(encoding="utf-8")
    said = re.findall(r"^\| `(needs .*?|is installed .*?|the driver .*?|found .*?)` \|", page, re.M)
    assert len(said) == 7 and all(line in source for line in said)


# -- memory ----------------------------------------------------------------------------------------


def test_out_of_memory_says_how_much_and_what_lowers_it(gpu):
    error = out_of_memory(3 * 2**30, 700 * 2**20, "a training step of 64 examples")
    assert isinstance(error, tr.Error) and isinstance(error, MemoryError)
    assert str(error).startswith("a training step of 64 examples needs about 3.0 GiB of memory, "
                                 "and 700.0 MiB can be had; ")
    assert "fewer examples" in str(error) and 'memory="sqrt"' in str(error) and "\n" not in str(error)
    assert str(out_of_memory(2**20, None, "this run")).startswith("this run needs about 1.0 MiB of memory; ")
    assert str(out_of_memory(None, None, "this run")).startswith("this run needs more memory than there is; ")
    for name in ("numpy", "cupy"):
        module = backends.load(name)
        assert issubclass(MemoryError, module.memory_errors)
        assert module.free_memory() is None or module.free_memory() > 0
    assert issubclass(cupy().cuda.memory.OutOfMemoryError, backends.load("cupy").memory_errors)
