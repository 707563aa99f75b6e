"""Generated kernels, run by the stand-in for CuPy, against NumPy: every function, passes of any layout, sums."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_loops import on_device
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from on_standin import compiled_together, interpreted, recorded

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.cuda.launch import launches
from tinygrad_rnn.fusion.lift import Host, Operand
from tinygrad_rnn.fusion.passes import Pass
from tinygrad_rnn.fusion.scalar import SCALARS
from tinygrad_rnn.ops.elementwise import _logistic
from tinygrad_rnn.ops.table import with_out

SEEDS = ("0", "1", "20")  # of the order in which the stand-in runs blocks and threads; 0: as they are numbered
TOGETHER = 25  # programs whose kernels are compiled at once
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def same_bits(x, y):
    return x.dtype == y.dtype and x.tobytes() == y.tobytes()


def in_any_order(monkeypatch, buffers, run):
    """The buffers after `run`, on the host, which are the same bits in whatever order threads and blocks come."""
    before, found = [b.copy() for b in buffers], []
    for seed in SEEDS:
        monkeypatch.setenv("TINYGRAD_RNN_STANDIN_SEED", seed)
        for buffer, value in zip(buffers, before, strict=True):
            buffer[...] = value
        run()
        found.append([tr.to_numpy(b).copy() for b in buffers])
    for other in found[1:]:
        assert all(map(same_bits, found[0], other))
    return found[0]


# -- functions -------------------------------------------------------------------------------------

FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3e-39, 88.0, -88.0, 16777216.0, np.inf, -np.inf, np.nan]
SMALL = [0, 1, 2, 3, 5]
INTEGERS = [0, 1, -1, 7, 16777217, -16777217, 2**53 + 1, -(2**53) - 1]
BINARY = {"add", "subtract", "multiply", "divide", "power", "logaddexp", "maximum", "minimum", "less", "less_equal",
          "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or"}
KINDS = {  # the dtypes of the arguments; that of a result that is a number
    "float32": (("float32", "float32"), "float32"), "float64": (("float64", "float64"), "float64"),
    "int64": (("int64", "int64"), None), "bool": (("bool", "bool"), None),
    "int64 beside float32": (("int64", "float32"), "float32"),
    "float64 beside int64": (("float64", "int64"), "float64"),
    "int64 into float32": (("int64", "int64"), "float32"), "float32 beside bool": (("float32", "bool"), "float32"),
    "bool beside int64": (("bool", "int64"), None),
}
UNDEFINED = {"subtract", "negative", "power", "sign"}  # of truth values: NumPy refuses, or means another thing
LOGIC = {"add", "multiply", "maximum", "minimum", "divide", "absolute"}  # that is logic with truth values alone
OF_FLOATS = {"exp", "log", "tanh", "sqrt", "sin", "cos", "sigmoid", "logaddexp", "divide"}


def reference(name):
    """The NumPy function of a scalar function's name."""
    special = {"sigmoid": lambda a: np.exp(np.minimum(a * 1.0, 0)) / (1 + np.exp(-np.abs(a * 1.0))),
               "copy": lambda a: a.copy()}
    return special.get(name) or getattr(np, name)


def columns(name, dtypes):
    """Arguments: each special value beside each other, then random ones."""
    rng, found = np.random.default_rng(1), []
    special = {"bool": [0, 1], "int64": SMALL if name in ("power", "multiply") else INTEGERS}
    lists = [special.get(dtype, FLOATS) for dtype in dtypes]
    grid = np.meshgrid(*(np.arange(len(x)) for x in lists), indexing="ij")
    for each, values, dtype in zip(grid, lists, dtypes, strict=True):
        first = np.array(values, dtype)[each.ravel()]
        more = rng.normal(size=50) * 3 if np.dtype(dtype).kind == "f" else rng.integers(0, 2, 50)
        found.append(np.concatenate([first, more.astype(dtype)]))
    return found


def calls():
    """(name, kind): the arguments, and what NumPy makes of them."""
    for kind, (dtypes, result) in KINDS.items():
        for name in sorted(SCALARS):
            if name == "where":
                continue
            wanted = dtypes[:2 if name in BINARY else 1]
            only_truths = {*wanted} == {"bool"} and name in UNDEFINED | LOGIC | OF_FLOATS
            if only_truths or (kind == "bool beside int64" and name in ("power", "divide")):
                continue
            arguments = columns(name, wanted)
            with np.errstate(all="ignore"):
                expected = reference(name)(*arguments)
                if expected.dtype != bool:
                    expected = expected.astype(result or ("float64" if expected.dtype.kind == "f" else "int64"))
            yield (name, kind), arguments, expected


CASES = {key: (arguments, expected) for key, arguments, expected in calls()}


def call(do, name, arguments, out):
    """Record the call of that name."""
    xp = backends.current().xp
    if name == "copy":
        do(xp.copyto, out, *arguments)
    elif name == "sigmoid":
        do(_logistic(xp), *arguments, out)
    else:
        do(with_out(getattr(xp, name)), *arguments, out)


@pytest.fixture(scope="module")
def results(device):
    """What the device makes of the cases."""
    made, programs = {}, []
    with compiled_together(device):
        for key, (arguments, expected) in CASES.items():
            there = [on_device(a) for a in arguments]
            made[key] = out = on_device(np.zeros(expected.shape, expected.dtype))
            programs.append(recorded(lambda do, key=key, there=there, out=out: call(do, key[0], there, out), [out]))
            assert len(programs[-1].launches) == 1, key
    for program in programs:
        program.run(0)
    return {key: tr.to_numpy(a) for key, a in made.items()}


@pytest.mark.parametrize("key", CASES, ids="-".join)
def test_every_function_is_numpys(key, results):
    (_, expected), found = CASES[key], results[key]
    if expected.dtype.kind in "bi":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=2e-6 if expected.dtype == "float32" else 1e-14, atol=1e-42)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_what_a_mask_does_not_choose_stays_exactly(dtype, device):
    source = {"bool": [0, 1], "int64": INTEGERS}.get(dtype, FLOATS)
    host = np.array(source, dtype)
    mask = np.arange(host.size) % 2 == 0
    for value in (1.0, True, np.float32(0.5) if dtype.startswith("float") else 3):
        expected, found, where = host.copy(), on_device(host), on_device(mask)
        np.copyto(expected, value, "unsafe", mask)
        copyto = backends.current().xp.copyto
        recorded(lambda do, v=value, f=found, w=where: do(copyto, f, v, "unsafe", w), [found]).run(0)  # noqa: B023
        np.testing.assert_array_equal(tr.to_numpy(found), expected)


# -- passes ----------------------------------------------------------------------------------------
#
# A case is some buffers, views of them that all have the space's shape, and lines: calls over views. NumPy does the
# lines one by one on its own copy of the buffers, which are compared whole.



@st.composite
def view(draw, sizes, stretched=False):
    """How a view of that shape lies in its buffer: the order of the axes, where each starts, how far it steps."""
    order = draw(st.permutations(range(len(sizes))))
    steps = [draw(st.sampled_from([1, 1, 1, -1, 2])) for _ in sizes]
    slack = [draw(st.integers(0, 2)) for _ in sizes]
    spread = [stretched and draw(st.booleans()) for _ in sizes]  # one number along the axis, broadcast
    return order, steps, slack, spread


def buffer_shape(sizes, layout):
    order, steps, slack, spread = layout
    whole = [1 if s else (n - 1) * abs(step) + 1 + more
             for n, step, more, s in zip(sizes, steps, slack, spread, strict=True)]
    return [whole[k] for k in order]


def viewed(xp, buffer, sizes, layout, at):
    """The view; at: where it starts within the slack, so that two may overlap."""
    order, steps, slack, spread = layout
    a = buffer.transpose(np.argsort(order))
    for k, (n, step, more, s) in enumerate(zip(sizes, steps, slack, spread, strict=True)):
        first = 0 if s else min(at, more)
        along = slice(first, first + (1 if s else (n - 1) * abs(step) + 1), abs(step))
        a = a[(slice(None),) * k + (along,)]
        a = a[(slice(None),) * k + (slice(None, None, -1),)] if step < 0 else a
    return xp.broadcast_to(a, sizes) if any(spread) else a


ANY = ("float", "bool", "int64")
CALLS = {  # the dtype of the result: names, and the dtypes that each argument may have
    "float": [("add", ["float"], ANY), ("subtract", ["float"], ANY), ("multiply", ["float"], ANY),
              ("maximum", ["float"], ["float"]), ("copy", ANY), ("tanh", ["float"]), ("masked", ANY, ["bool"])],
    "bool": [("less", ANY, ANY), ("equal", ANY, ANY), ("not_equal", ANY, ANY), ("logical_and", ["bool"], ["bool"]),
             ("copy", ANY), ("masked", ["bool"], ["bool"])],
    "int64": [("copy", ["int64", "bool"]), ("masked", ["int64"], ["bool"]), ("maximum", ["int64"], ["int64"])],
}


@st.composite
def cases(draw):
    """(shape of the space, dtype of floats, (dtype, layout) of each buffer, lines, a seed for the numbers)."""
    sizes = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 5, 33, 70]), min_size=1, max_size=3)))
    dtypes = ["float", "float", "bool", "int64", "float", draw(st.sampled_from(ANY))]
    buffers = [(d, draw(view(sizes, k > 3))) for k, d in enumerate(dtypes)]

    def operand(*kinds, last=6):
        return draw(st.sampled_from([k for k in range(last) if dtypes[k] in kinds])), draw(st.integers(0, 1))

    lines = []
    for _ in range(draw(st.integers(2, 9))):
        out = operand("float", "float", "bool", "int64", last=4)
        name, *kinds = draw(st.sampled_from(CALLS[dtypes[out[0]]]))
        terms = [operand(*each) for each in kinds]
        if len(terms) > 1 and name != "masked" and draw(st.integers(0, 4)) == 0 and dtypes[out[0]] != "int64":
            terms[1] = draw(st.sampled_from([0.5, -2.0, 1.0])), None
        lines.append((name, out, terms))
    return sizes, draw(st.sampled_from(["float32", "float64"])), buffers, lines, draw(st.integers(0, 99))


class Case:
    """A case's buffers on the host, and what it records, of any array module."""

    def __init__(self, case):
        self.sizes, self.dtype, self.kinds, self.lines, seed = case
        rng = np.random.default_rng(seed)
        self.buffers = []
        for kind, layout in self.kinds:
            shape = buffer_shape(self.sizes, layout)
            self.buffers.append(
                rng.normal(size=shape).astype(self.dtype) if kind == "float" else
                rng.random(shape) < 0.5 if kind == "bool" else rng.integers(-9, 9, shape))

    def record(self, xp, buffers, do):
        """The lines but those whose result lies over an argument otherwise than as it is."""
        for name, out, terms in self.lines:
            views = [self.view(np, self.buffers, *each) for each in (out, *terms)]
            if any(np.shares_memory(views[0], v) and (v.ctypes.data, v.strides) != (
                    views[0].ctypes.data, views[0].strides) for v in views[1:] if isinstance(v, np.ndarray)):
                continue
            goal, *arguments = [self.view(xp, buffers, *each) for each in (out, *terms)]
            if name in ("copy", "masked"):
                do(xp.copyto, goal, arguments[0], "unsafe", *arguments[1:])
            else:
                do(with_out(getattr(xp, name)), *arguments, goal)

    def view(self, xp, buffers, k, at):
        return k if at is None else viewed(xp, buffers[k], self.sizes, self.kinds[k][1], at)


@settings(max_examples=3, phases=[Phase.generate], suppress_health_check=SLOW)
@given(some=st.lists(cases(), min_size=TOGETHER, max_size=TOGETHER))
def test_passes_compute_what_the_calls_do_one_by_one(some, device):
    xp, made = backends.current().xp, []
    with compiled_together(device):
        for case in map(Case, some):
            buffers = [on_device(b) for b in case.buffers]
            made.append((case, buffers, recorded(lambda do, c=case, b=buffers: c.record(xp, b, do), buffers)))
    for case, buffers, program in made:
        with pytest.MonkeyPatch.context() as patch:
            found = in_any_order(patch, buffers, lambda p=program: p.run(0))
        interpreted(lambda do, c=case: c.record(np, c.buffers, do))
        for x, y in zip(found, case.buffers, strict=True):
            bound = 1e-5 if case.dtype == "float32" else 1e-12
            np.testing.assert_allclose(x, y, rtol=bound, atol=bound)


# -- sums ------------------------------------------------------------------------------------------

SPACES = [(1,), (7,), (300,), (5000,), (3, 4), (40, 3), (3, 40), (2, 9000), (9000, 2), (130, 70), (4, 1, 5), (3, 5, 33),
          (33, 5, 3), (2, 70, 100), (70, 2, 70), (2, 3, 2, 5)]


@st.composite
def folds(draw):
    """(name, space, axes, keepdims, dtype, layout, is it of something computed?, is the result used?)."""
    sizes = draw(st.sampled_from(SPACES))
    axes = tuple(k for k in range(len(sizes)) if draw(st.booleans())) or (draw(st.integers(0, len(sizes) - 1)),)
    plain = (range(len(sizes)), [1] * len(sizes), [0] * len(sizes), [False] * len(sizes))
    return (draw(st.sampled_from(["sum", "sum", "max", "mean"])), sizes, axes, draw(st.booleans()),
            draw(st.sampled_from(["float32", "float64"])), plain if draw(st.booleans()) else draw(view(sizes)),
            draw(st.booleans()), draw(st.booleans()))


def record_fold(xp, do, fold, buffer, out, wide):
    name, sizes, axes, keep, _, layout, computed, used = fold
    a = viewed(xp, buffer, sizes, layout, 0)
    if computed:
        do(xp.multiply, a, 1.5, wide)
        a = wide
    small = out if keep else out.reshape([n for k, n in enumerate(sizes) if k not in axes])
    if name == "max":
        do(xp.max, a, axes, small, keep)
    else:
        do(getattr(xp, name), a, axes, None, small, keep)
    if used:
        do(xp.subtract, a, out, wide)


@settings(max_examples=3, phases=[Phase.generate], suppress_health_check=SLOW)
@given(some=st.lists(folds(), min_size=TOGETHER, max_size=TOGETHER))
def test_sums_and_maxima_over_any_axes(some, device):
    xp, made = backends.current().xp, []
    with compiled_together(device):
        for number, fold in enumerate(some):
            _, sizes, axes, _, dtype, layout, *_ = fold
            rng = np.random.default_rng(number)
            host = [rng.normal(size=buffer_shape(sizes, layout)).astype(dtype),
                    np.full([1 if k in axes else n for k, n in enumerate(sizes)], 9.0, dtype), np.zeros(sizes, dtype)]
            if number % 5 == 0:
                host[0].flat[rng.integers(host[0].size)] = [np.nan, np.inf, -np.inf][number // 5 % 3]
            buffers = [on_device(b) for b in host]
            made.append((fold, host, buffers, recorded(
                lambda do, f=fold, b=buffers: record_fold(xp, do, f, *b), buffers)))
    for fold, host, buffers, program in made:
        with pytest.MonkeyPatch.context() as patch:
            found = in_any_order(patch, buffers, lambda p=program: p.run(0))
        exact = [b.astype("float64") for b in host]
        interpreted(lambda do, f=fold, b=exact: record_fold(np, do, f, *b))
        bound = 3e-6 if fold[4] == "float32" else 1e-13
        for x, y in zip(found[1:], exact[1:], strict=True):
            np.testing.assert_allclose(x, y, rtol=bound, atol=bound * np.sqrt(host[0].size))


@pytest.mark.parametrize(("sizes", "axes"), [((3, 20_000), (1,)), ((20_000, 3), (0,)), ((200, 2, 300), (0, 2)),
                                             ((20_000,), (0,))])
def test_sums_of_many_numbers_are_cut_into_parts(sizes, axes, device, monkeypatch):
    host = np.random.default_rng(0).normal(size=sizes).astype("float32")
    a, out, top = on_device(host), on_device(host.sum(axes) * 0), on_device(host.sum(axes) * 0)
    xp = backends.current().xp
    program = recorded(lambda do: (do(xp.sum, a, axes, None, out), do(xp.max, a, axes, top)), [out, top])
    assert [each.name.split("_")[0] for each in program.launches] == ["pass", "finish"]
    assert program.launches[0].grid[1] > 1
    found = in_any_order(monkeypatch, [out, top], lambda: program.run(0))
    np.testing.assert_allclose(found[0], host.sum(axes, dtype="float64"), rtol=1e-6)
    np.testing.assert_array_equal(found[1], host.max(axes))


@pytest.mark.parametrize(("beside", "block"), [(2, (2, 256)), (5, (8, 64)), (8, (8, 64)), (33, (32, 16))])
def test_few_sums_beside_each_other_leave_no_thread_idle(beside, block, device, monkeypatch):
    """The threads of a block that have no sum of their own have a part of another's."""
    host = np.random.default_rng(0).normal(size=(1500, beside)).astype("float32")
    a, out, xp = on_device(host), on_device(host[0] * 0), backends.current().xp
    program = recorded(lambda do: do(xp.sum, a, (0,), None, out), [out])
    (launch,) = program.launches
    assert launch.block[:2] == block
    (found,) = in_any_order(monkeypatch, [out], lambda: program.run(0))
    np.testing.assert_allclose(found, host.sum(0, dtype="float64"), rtol=1e-5, atol=1e-6)


def test_nothing_is_done_over_nothing(device):
    xp = backends.current().xp
    empty, out, top = xp.zeros((0, 3), "float32"), xp.ones(3, "float32"), xp.ones(3, "float32")
    program = recorded(lambda do: (do(xp.add, empty, 1.0, empty), do(xp.sum, empty, (0,), None, out),
                                   do(xp.max, empty, (0,), top)), [empty, out, top])
    program.run(0)
    assert tr.to_numpy(out).tolist() == [0] * 3 and tr.to_numpy(top).tolist() == [-np.inf] * 3


def test_more_numbers_than_a_kernel_counts_are_refused():
    """On paper: nobody has the memory."""
    one = Operand(np.zeros(1, "float32"))
    huge = Pass("float32", [one], [(2**16, (4 * 2**16,)), (2**16, (4,))], (("const", 1.0),), ((0, 0),), ())
    with pytest.raises(tr.Error, match="4,294,967,296 numbers is computed at once"):
        launches(huge, Host(), 132)
