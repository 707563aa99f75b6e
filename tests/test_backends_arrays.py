"""Arrays of NumPy, of CuPy and of other libraries: what is taken, and that nothing is moved without being asked to."""

from __future__ import annotations

import types

import numpy as np
import pytest
from machines import K, X, cupy, model

import tinygrad_rnn as tr
from tinygrad_rnn import backends

pytestmark = pytest.mark.device

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
    with pytest.raises(tr.Error, match="float99"):
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
    for both, expected in ((gpu(X) - tensor, X - X), (gpu(X) @ tensor.mT, X @ X.mT), (gpu(X) <= tensor, X <= X)):
        assert isinstance(both, tr.Tensor) and both.backend == "cupy" and np.allclose(both.numpy(), expected)
    assert np.allclose((tensor + 1).numpy(), X + 1)  # numbers are no arrays
    assert np.allclose(tr.tanh(X).numpy(), np.tanh(X))  # host data alone enter


def test_tensors_on_cupy_compute_and_differentiate_there(gpu):
    tr.use_backend("cupy")
    a, w = tr.Tensor(gpu(X), requires_grad=True), tr.Tensor(np.ones((3, 5)), requires_grad=True)
    for _ in range(2):
        (a @ w).tanh().sum().backward()
    np.sum(np.tanh(a @ w)).backward()
    slope = 1.5 * (1 - np.tanh(X @ np.ones((3, 5))) ** 2)
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
