"""Tensors against NumPy: dtypes, whole numbers, indexing, losses and powers at their edges, and what is refused."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(0)
WHOLE = RNG.integers(-3, 4, (2, 3))
TRUTH = np.array([[True, False, True], [False, False, True]])
GRID = RNG.standard_normal((4, 5, 3))


def value(x: tr.Tensor) -> np.ndarray:
    """The array, whose dtype is the one that the tensor names."""
    array = x.numpy()
    assert str(array.dtype) == x.dtype
    return array


# -- whole numbers and truth values --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("number", [2, -3, 0])
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, np.maximum, np.minimum])
def test_whole_numbers_with_a_number_stay_whole(op, number, dtype):
    ours = getattr(tr, op.__name__) if isinstance(op, np.ufunc) else op
    a = WHOLE.astype(dtype)
    for found, expected in [(ours(tr.Tensor(a), number), op(a, number)), (ours(number, tr.Tensor(a)), op(number, a))]:
        assert found.dtype == dtype
        np.testing.assert_array_equal(value(found), expected)


@pytest.mark.parametrize("made,expected", [
    (lambda a: tr.relu(a), np.maximum(WHOLE, 0)),
    (lambda a: tr.where(a > 1, a, 0), np.where(WHOLE > 1, WHOLE, 0)),
    (lambda a: tr.clip(a, -1, 2), np.clip(WHOLE, -1, 2)),
    (lambda a: tr.clip(a, low=1), np.maximum(WHOLE, 1)),
    (lambda a: tr.clip(a, -1.5, 2), np.clip(WHOLE, -1.5, 2)),
    (lambda a: tr.ones_like(a), np.ones_like(WHOLE)),
    (lambda a: tr.zeros_like(a), np.zeros_like(WHOLE)),
    (lambda a: a**3, WHOLE**3),
    (lambda a: a + 1e30, WHOLE + 1e30),
    (lambda a: tr.Tensor([2]) ** tr.abs(a), 2 ** np.abs(WHOLE)),
])
def test_functions_of_whole_numbers(made, expected):
    found = made(tr.Tensor(WHOLE))
    assert found.dtype == ("float32" if expected.dtype.kind == "f" else "int64")
    np.testing.assert_allclose(value(found), expected, rtol=1e-6)


@pytest.mark.parametrize("wrong", [lambda a: a**-1, lambda a: 2**a, lambda a: a**a])
def test_no_whole_power_has_an_exponent_below_zero(wrong):
    with pytest.raises(tr.Error, match="exponent below 0"):
        wrong(tr.Tensor([1, -2]))


@pytest.mark.parametrize("made,expected", [
    (lambda b: b + True, TRUTH + 1.0), (lambda b: b - True, TRUTH - 1.0), (lambda b: b + b, 2.0 * TRUTH),
    (lambda b: b.sum(axis=0), TRUTH.sum(0)), (lambda b: b.mean(), TRUTH.mean()), (lambda b: -b, -1.0 * TRUTH),
    (lambda b: True & b, TRUTH), (lambda b: False | b, TRUTH), (lambda b: tr.where(b, 1, 2), np.where(TRUTH, 1.0, 2.0)),
])
def test_truth_values_count_as_numbers(made, expected):
    np.testing.assert_allclose(value(made(tr.Tensor(TRUTH))), expected)


def test_what_only_numbers_enter_stays_exact():
    a = tr.Tensor(np.array(2.0), requires_grad=True)
    assert value(tr.tanh(0.5)).dtype == "float32"
    assert value(tr.tanh(0.5) * a) == np.tanh(0.5) * 2
    assert value(tr.grad(a * 0.1, a)) == 0.1


# -- making tensors ------------------------------------------------------------------------------------------


def test_data_of_any_byte_order_and_layout():
    a = GRID[0]
    for data in (a.astype(">f8"), a[::-1][::-1], np.asfortranarray(a)):
        np.testing.assert_array_equal(value(tr.Tensor(data)), a)


@pytest.mark.parametrize("data,dtype,said", [
    (np.array([2**63], "uint64"), None, "9223372036854775808 is too large for int64"), ([1, 2], "int8", "not int8"),
    ([1, 2], "nonsense", "not 'nonsense'"), (2**70, None, "has dtype object, although it holds numbers"),
    ([1.0], "float16", "not float16"), (np.zeros(2, "longdouble"), None, r"not (float128|longdouble)"),
    ("a", None, "the data of a tensor has dtype <U1"), (None, None, "the data of a tensor is None"),
    ([1, None], None, r"has dtype object, with None at \[1\]"),
    ([1j], None, "has dtype complex128"), (["1", "2"], "float32", "has dtype <U1"),
])
def test_data_that_no_tensor_holds(data, dtype, said):
    with pytest.raises(tr.Error, match=said):
        tr.Tensor(data, dtype=dtype)


def test_copies_and_pickles_are_leaves_of_their_own():
    a = tr.Tensor(np.arange(3.0), requires_grad=True)
    a.sum().backward()
    for other in (copy.deepcopy(a), copy.copy(a), pickle.loads(pickle.dumps(a))):
        (other * 2).sum().backward()
        np.testing.assert_array_equal(other.grad.numpy(), [2, 2, 2])
        np.testing.assert_array_equal(other.numpy(), a.numpy())
    np.testing.assert_array_equal(a.grad.numpy(), [1, 1, 1])


def test_a_gradient_that_is_kept_has_the_dtype_of_its_tensor():
    a = tr.Tensor(np.ones(3, "float32"), requires_grad=True)
    (a * np.full(3, 2.0)).sum().backward()
    assert a.grad.dtype == "float32"


# -- indexing ------------------------------------------------------------------------------------------------

AT, AT2 = np.array([0, 2, -1]), np.array([[0, 1], [3, -4]])
KEYS = [np.int64(2), slice(np.int64(1), np.int64(3)), (slice(None), AT), (0, AT), (AT, 0), (slice(None), 0, AT),
        (AT, None), (None, AT), (..., AT), (AT, AT), (AT2, AT2), (slice(None), AT, AT), (AT, 1, AT), (AT2, 2),
        (..., None, 1), (None, 0, ..., None), [], [0, -1], np.array(1), (slice(None, None, -2), AT)]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_and_its_gradient(key):
    x = tr.Tensor(GRID, requires_grad=True)
    expected = GRID[np.array(key, int) if isinstance(key, list) else key]
    found = x[key]
    np.testing.assert_array_equal(value(found), expected)
    weight = RNG.standard_normal(expected.shape)
    scattered = np.zeros_like(GRID)
    np.add.at(scattered, np.array(key, int) if isinstance(key, list) else key, weight)
    np.testing.assert_allclose(tr.grad((found * weight).sum(), x).numpy(), scattered, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("key,said", [
    ((0, slice(None), AT), "on axes next to each other"), ((AT, slice(None), AT), "on axes next to each other"),
    ((slice(None),) * 4, "too many indices, 4"), ((0, 0, 0, 0), "too many indices, 4"),
    (1.0, "whole numbers and slices, not 1.0"), (7, "position 7 is outside a feature axis of size 4"),
    (np.array([4]), "from -4 to 3, not 4"), (GRID[:, 0, 0] > 0, r"use where\(mask, a, b\)"),
    (True, "whole numbers and slices, not True"), ((..., 0, ...), "whole numbers and slices, not Ellipsis"),
    ("a", "whole numbers and slices, not 'a'"), ((AT, np.array([0, 1])), "do not broadcast"),
], ids=str)
def test_indices_that_are_refused(key, said):
    with pytest.raises(tr.Error, match=said):
        tr.Tensor(GRID)[key]


# -- functions that look at positions, classes and axes ------------------------------------------------------


def test_rows_by_class_and_by_position():
    table = GRID[0]
    x = tr.Tensor(table, requires_grad=True)
    np.testing.assert_array_equal(value(tr.embed(x, 1)), table[1])
    np.testing.assert_array_equal(value(tr.take(x, [0, -1])), table[[0, -1]])
    added = np.zeros((6, 3))
    np.add.at(added, [4, 0, -1, 0, 1], table)
    np.testing.assert_array_equal(value(tr.scatter(x, [4, 0, -1, 0, 1], axis=0, size=6)), added)
    np.testing.assert_array_equal(value(tr.scatter(tr.Tensor(np.ones((2, 2))), [0, 0], axis=-1, size=3)),
                                  [[2, 0, 0], [2, 0, 0]])
    np.testing.assert_array_equal(value(tr.one_hot(2, 3)), [0, 0, 1])
    np.testing.assert_allclose(value(tr.cross_entropy(tr.Tensor([0.25, 0.75]), 1)), -np.log(0.75), rtol=1e-6)


def test_classes_are_rows_of_a_table():
    x, k = tr.Tensor(GRID[0], requires_grad=True), np.array([[0, 3, 4], [4, 1, 0]])
    np.testing.assert_array_equal(value(tr.embed(x, k)), GRID[0][k])
    np.testing.assert_array_equal(value(tr.one_hot(k, 5)) @ GRID[0], GRID[0][k])
    counts = np.bincount(k.ravel(), minlength=5)
    np.testing.assert_array_equal(tr.grad(tr.embed(x, k).sum(), x).numpy(), np.repeat(counts, 3).reshape(5, 3))


@pytest.mark.parametrize("wrong,said", [
    (lambda x: tr.embed(x[0], 1), "embed: wrong rank"), (lambda x: tr.take(x, [5]), "from -5 to 4, not 5"),
    (lambda x: tr.take(x, [-6]), "from -5 to 4, not -6"), (lambda x: tr.one_hot([1], "a"), "as size, not 'a'"),
    (lambda x: tr.scatter(x, [0, 1, 2, 3, 6], axis=0, size=6), "from -6 to 5, not 6"),
    (lambda x: tr.cross_entropy(x, [0, 0, 0, 0, 3]), r"class 3 at \[4\] is out of range"),
    (lambda x: tr.cross_entropy(x, [0, 0, 0, 0, -1]), r"class -1 at \[4\] is out of range"),
    (lambda x: tr.embed(x, [[0, -1]]), r"class -1 at \[0, 1\] is out of range; the classes are 0 to 4"),
    (lambda x: tr.cross_entropy(x), "takes 2 arguments, not 1"), (lambda x: tr.sum(x, over="t"), "sum takes axis="),
    (lambda x: tr.max(x[0:0], axis=0), "no largest number along axis"),
    (lambda x: tr.softmax(x[0:0], axis=0), "no largest number along axis 0"),
    (lambda x: tr.logsumexp(x[:, 0:0], axis=1), "no largest number along axis"),
    (lambda x: tr.split(x, [1, 1], axis=1), "do not make up an axis of size 3"),
    (lambda x: tr.split(x, 2, axis=7), "axis 7 does not exist"), (lambda x: tr.squeeze(x, 5), "axis 5 does not exist"),
    (lambda x: tr.broadcast_to(x, (3,)), "is not stretched to"),
    (lambda x: tr.broadcast_to(x[:, 0:1], (1, 4)), "is not stretched to"),
    (lambda x: tr.grad(3.0, [x]), "of a tensor, not 3.0"), (lambda x: tr.layer_norm(x, eps=-1.0), "as eps, not -1.0"),
    (lambda x: tr.clip(x, np.nan, 1.0), "as low, not nan"), (lambda x: tr.permute_dims(x, 3), "as axes, not 3"),
    (lambda x: tr.zeros(-1), "at least 0, not -1"), (lambda x: tr.zeros("a"), "a whole number, not 'a'"),
    (lambda x: tr.ones(2, dtype="int8"), "or bool, not int8"), (lambda x: tr.sum(x, 0), "is named by axis=0"),
    (lambda x: tr.grad(tr.Tensor([1]).sum(), tr.Tensor([1])), "only floating-point tensors have gradients"),
    (lambda x: tr.dropout(x, 0.5, shared="t"), "shared= names an index of a model"),
    (lambda x: x.sum(axis=(0, 0)), "names an axis twice"), (lambda x: x.mean(axis=(1, -1)), "names an axis twice"),
])
def test_what_is_refused_is_told(wrong, said):
    with pytest.raises(tr.Error, match=said):
        wrong(tr.Tensor(GRID[0], requires_grad=True))


def test_functions_of_shape_take_arrays():
    a = GRID[0]
    np.testing.assert_array_equal(value(tr.permute_dims(a, (1, 0))), a.T)
    np.testing.assert_array_equal(value(tr.Tensor(a).transpose((1, 0))), a.T)
    np.testing.assert_array_equal(value(tr.expand_dims(a, -1)), a[..., None])
    np.testing.assert_array_equal(value(tr.squeeze(a[None, :, :, None], (0, -1))), a)
    np.testing.assert_array_equal(value(tr.broadcast_to(a[:1], (2, 4, 3))), np.broadcast_to(a[:1], (2, 4, 3)))
    np.testing.assert_array_equal(value(tr.Tensor(a).reshape(np.int64(3), -1)), a.reshape(3, -1))
    for found, expected in zip(tr.split(a, [1, 4]), np.split(a, [1]), strict=True):
        np.testing.assert_array_equal(value(found), expected)


def test_dropout_is_drawn_again_by_its_seed():
    x = np.ones((50, 40))
    y = value(tr.dropout(x, 0.25, seed=1))
    np.testing.assert_array_equal(y, value(tr.dropout(x, 0.25, seed=1)))
    assert (y != value(tr.dropout(x, 0.25, seed=2))).any()
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3])
    assert abs(y.mean() - 1) < 0.05
    np.testing.assert_allclose(np.unique(value(tr.dropout(tr.Tensor(np.full(99, 3)), 0.25, seed=0))), [0, 4], rtol=1e-6)


# -- numbers at the edge -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss,slope", [
    (lambda z: tr.cross_entropy(tr.softmax(z), 2), lambda p: p - np.eye(4)[2]),
    (lambda z: -tr.log(tr.softmax(z))[2], lambda p: p - np.eye(4)[2]),
])
def test_the_loss_of_a_softmax_comes_from_what_goes_into_it(loss, slope, dtype):
    a = np.array([1e4, -1e4, 0.0, 88.0], dtype)
    z = tr.Tensor(a, requires_grad=True)
    made = loss(z)
    np.testing.assert_allclose(value(made), 1e4, rtol=1e-6)
    np.testing.assert_allclose(tr.grad(made, z).numpy(), slope(np.array([1.0, 0, 0, 0])), atol=1e-6)


def test_the_loss_of_a_sigmoid_comes_from_what_goes_into_it():
    z = tr.Tensor(np.array([-800.0, 0.0, 800.0]), requires_grad=True)
    for loss in (tr.binary_cross_entropy(tr.sigmoid(z), 1.0), -tr.log(tr.sigmoid(z))):
        np.testing.assert_allclose(value(loss), [800, np.log(2), 0])
        np.testing.assert_allclose(tr.grad(loss.sum(), z).numpy(), [-1, -0.5, 0])


def test_the_gradient_of_a_softmax_that_is_asked_for_itself():
    z = tr.Tensor(np.array([0.5, -1.0, 2.0]), requires_grad=True)
    p = tr.softmax(z)
    loss = tr.cross_entropy(p, 1)
    to_p, to_z = tr.grad(loss, [p, z])
    np.testing.assert_allclose(to_p.numpy(), [0, -1 / p.numpy()[1], 0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(to_z.numpy(), p.numpy() - [0, 1, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_of_certain_answers_have_gradients(dtype):
    p = tr.Tensor(np.array([0.0, 1.0, 0.5, 0.0], dtype), requires_grad=True)
    k = np.array([0.0, 1.0, 0.0, 0.0], dtype)
    np.testing.assert_allclose(tr.grad(tr.cross_entropy(p, k), p).numpy(), [0, -1, 0, 0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tr.grad(tr.binary_cross_entropy(p, k).sum(), p).numpy(), [0, 0, 2, 0],
                               rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_every_derivative_of_a_whole_power_at_zero(exponent, as_tensor):
    a = np.array([0.0, -2.0, 1.5])
    x = tr.Tensor(a, requires_grad=True)
    y = x ** (tr.Tensor(float(exponent)) if as_tensor else exponent)
    expected = np.poly1d([1.0] + [0.0] * exponent)
    for _ in range(5):
        np.testing.assert_allclose(value(y), expected(a), rtol=1e-12, atol=1e-12)
        y, expected = tr.grad(y.sum(), x), expected.deriv()


def test_logsumexp_of_infinities():
    a = np.array([[-np.inf, -np.inf], [np.inf, 0.0], [-np.inf, 2.0]])
    x = tr.Tensor(a, requires_grad=True)
    y = tr.logsumexp(x, axis=1)
    np.testing.assert_array_equal(value(y), [-np.inf, np.inf, 2])
    slopes = tr.grad(y[0] + y[2], x).numpy()
    np.testing.assert_array_equal(slopes[[0, 2]], [[0, 0], [0, 1]])


def test_what_is_not_a_number_is_not_hidden():
    x = tr.Tensor([np.nan, 1.0], requires_grad=True)
    assert np.isnan(value(tr.logsumexp(x))) and np.isnan(tr.grad(tr.logsumexp(x), x).numpy()).all()


def test_what_is_detached_has_the_values_and_no_gradient():
    x = tr.Tensor(GRID, requires_grad=True)
    y = (x * x).detach()
    assert not y.requires_grad
    np.testing.assert_array_equal(value(y), GRID * GRID)
    np.testing.assert_array_equal(tr.grad((x * y).sum(), x).numpy(), GRID * GRID)


@pytest.mark.parametrize("use,said", [
    (lambda x: x.item(), r"^item\(\) is for a tensor with one element, this one has shape \(2,\)$"),
    (lambda x: float(x), r"^float\(\) is for"), (lambda x: int(x), r"^int\(\) is for"),
    (lambda x: 1 if x > 0 else 2, r"true or false is for a .* shape \(2,\); where\(x, a, b\) chooses"),
])
def test_one_number_is_of_one_element(use, said):
    with pytest.raises(tr.Error, match=said):
        use(tr.Tensor([1.0, 2.0]))
    assert use(tr.Tensor([[1.0]])) == 1


# -- what users of other libraries write -----------------------------------------------------------------------


def test_half_precision_becomes_single():
    a = np.array([0.1, -2.5, 65504], "float16")
    assert tr.Tensor(a).dtype == "float32" and (value(tr.Tensor(a)) == a.astype("float32")).all()


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "logsumexp"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), np.int64(1)])
def test_axes_that_are_kept(reduce, axis):
    a = tr.Tensor(GRID[0], requires_grad=True)
    kept, gone = (getattr(tr, reduce)(a, axis=axis, keepdims=k) for k in (True, False))
    assert kept.shape == np.sum(GRID[0], axis=axis, keepdims=True).shape
    np.testing.assert_array_equal(value(kept).reshape(gone.shape), value(gone))
    np.testing.assert_array_equal(value(tr.grad(kept.sum(), a)), value(tr.grad(gone.sum(), a)))
    np.testing.assert_array_equal(value(getattr(tr, reduce)(GRID[0], axis=axis, keepdims=True)), value(kept))


def test_axes_are_kept_of_tensors_alone():
    x = tr.Model().input("x", 3)
    with pytest.raises(tr.Error, match=r"keepdims= is of tensors; in a model expand\(sum\(z, axis=0\), 0, 1\)"):
        tr.sum(x[tr.t], axis=0, keepdims=True)
    with pytest.raises(tr.Error, match="keepdims is True or False, not 1"):
        tr.sum(tr.ones(3), keepdims=1)


@pytest.mark.parametrize(("wrong", "kind", "message"), [
    (lambda a: a.__setitem__(0, 1.0), TypeError, "a tensor is not changed in place"),
    (lambda a: a % 2, TypeError, r"there is no % .*; the remainder is a - b \* floor\(a / b\)"),
    (lambda a: 7 // a, TypeError, r"there is no // .*; the quotient is floor\(a / b\)"),
    (lambda a: divmod(a, 2), TypeError, "there is no divmod"), (lambda a: a ^ a, TypeError, r"a power is a \*\* b"),
    (lambda a: 1 << a, TypeError, "there is no <<"), (lambda a: tr.index("t") % 2, TypeError, "the remainder is"),
    (lambda a: a + None, TypeError, "operand 2 of add is None"),
    (lambda a: "a" * a, TypeError, "operand 1 of multiply has dtype <U1"),
    (lambda a: a.sum("x"), ValueError, "an axis is a whole number, counted from 0, or from -1 at the end, not 'x'"),
    (lambda a: a.transpose(0), ValueError, r"axes=\(0,\) is not an order of the 2 feature axes"),
])
def test_operations_that_there_are_not(wrong, kind, message):
    with pytest.raises(tr.Error, match=message) as caught:
        wrong(tr.Tensor(GRID[0]))
    assert isinstance(caught.value, kind)


BITS = [lambda i: i & 1, lambda i: 1 | i, lambda i: ~i, lambda i: i & (i > 0), lambda i: np.bitwise_and(i, 1),
        lambda i: np.array([1, 2]) & i, lambda i: np.invert(i)]


@pytest.mark.parametrize("wrong", BITS)
def test_bits_are_not_taken_for_truth_values(wrong):
    with pytest.raises(TypeError, match="is of truth values, such as x > 0, and there are no operations of bits"):
        wrong(tr.Tensor([1, 2]))


def test_signs_of_truth_values():
    a, b = np.array([True, True, False]), np.array([True, False, False])
    x, y = tr.Tensor(a), tr.Tensor(b)
    for ours, plain in ((x & y, a & b), (a | y, a | b), (x & True, a), (~y, ~b), (np.bitwise_or(x, b), a | b)):
        np.testing.assert_array_equal(value(ours), plain)
    np.testing.assert_array_equal(value(tr.logical_and(tr.Tensor([2, 0, 1]), 1)), [True, False, True])


def test_positions_of_other_kinds():
    class Series:
        def __array__(self, dtype=None, copy=None):
            return np.array([2, 0])

        def __eq__(self, other):
            raise ValueError("the truth value of a Series is ambiguous")

    a = tr.Tensor(GRID[0])
    np.testing.assert_array_equal(value(a[Series()]), GRID[0][[2, 0]])
    np.testing.assert_array_equal(value(a[range(2)]), GRID[0][:2])


def test_a_leaf_that_was_overwritten_is_told():
    a = tr.Tensor(np.ones(3), requires_grad=True)
    (a * a).sum().backward()
    a -= 0.1 * a.grad
    with pytest.raises(ValueError, match="those that had it are gone, as after a = a - rate"):
        (a * a).sum().backward()
    with pytest.raises(ValueError, match=r"so there is nothing to differentiate$"):
        tr.Tensor(np.ones(3)).sum().backward()


@pytest.mark.parametrize("shapes", [((2, 3, 4), (3, 4)), ((2, 1, 4), (3, 4)), ((4,), (2, 4)), ((4,), (4,)),
                                    ((3, 4), (4,))])
def test_scalar_products_of_axes_that_broadcast(shapes):
    a, b = (np.random.default_rng(k).standard_normal(shape) for k, shape in enumerate(shapes))
    x, y = tr.Tensor(a, requires_grad=True), tr.Tensor(b, requires_grad=True)
    np.testing.assert_allclose(value(tr.dot(x, y)), (a * b).sum(-1))
    for ours, plain in zip(tr.grad(tr.dot(x, y).sum(), [x, y]), tr.grad((x * y).sum(), [x, y]), strict=True):
        np.testing.assert_allclose(value(ours), value(plain))


def test_a_shape_is_no_gain():
    with pytest.raises(TypeError, match="gain and bias are arrays, not a shape"):
        tr.layer_norm(tr.ones((3, 4)), (4,))
