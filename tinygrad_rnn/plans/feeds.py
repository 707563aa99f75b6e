"""What a person gives to a model, checked: shapes, dtypes, lengths, classes. Everything else trusts it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import backends
from ..arguments import first_true, whole
from ..backends.places import check_place, entering, numbers
from ..config import Config, Feed
from ..errors import BadName, BadType, BadValue, near
from ..passes.demand import demand
from ..system import Quantity, System
from .carried import along, position_key

LONGEST = 2**31 - 1  # steps, or examples: what would never fit in memory is a slip of the keyboard
MOST = 256  # forms of data of which the configuration is kept


def form(arrays: Mapping[str, Any], kinds: str) -> tuple[Any, ...] | None:
    """Names, shapes and dtypes; None where one is no array of the backend's, of a dtype of these kinds."""
    found: list[Any] = []
    own = backends.current().xp.ndarray
    for name, array in arrays.items():
        if type(array) is not own or array.dtype.kind not in kinds:
            return None
        found += (name, array.shape, array.dtype.char)
    return tuple(found)


def check_names(system: System, data: Mapping[str, Any], declared: Iterable[str] = ()) -> None:
    """Raise where a name is not an input of the model, nor declared as data, or what is given lies elsewhere."""
    for name, value in data.items():
        check_place(name, value)
        if name in declared:
            continue
        q = system.quantities.get(name)
        if q is None:
            raise BadName(f"the model has no input {name!r}{near(name, system.of_role('input'))}; "
                          f"its inputs are {', '.join(system.of_role('input')) or 'none'}")
        if q.role != "input":
            if q.role == "weight":
                raise BadName(f"{name} is a weight, set by model.weights[...], not an input; an input has an index: "
                              f"{name}[t], or {name}[n]")
            raise BadName(f"{name} is defined by an equation, not an input")


def apart(system: System, data: Mapping[str, Any] | None, lengths: Any) -> tuple[Mapping[str, Any] | None, Any]:
    """data, and the lengths that may stand in it as they do in batches of `fit`. Raises where they are given twice."""
    if not isinstance(data, Mapping) or "lengths" not in data or "lengths" in system.quantities:
        return data, on_host(lengths)
    if lengths is not None:
        raise BadValue("lengths are given twice, in the data and as lengths=")
    return {name: value for name, value in data.items() if name != "lengths"}, on_host(data["lengths"])


def on_host(lengths: Any) -> Any:
    """Lengths, or a dict of them by index, as NumPy arrays: each is looked at before anything runs."""
    if lengths is None:
        return None
    if isinstance(lengths, Mapping):
        return {index: _on_host(f"lengths of {index}", values) for index, values in lengths.items()}
    return _on_host("lengths", lengths)


def _on_host(what: str, a: Any) -> Any:
    return backends.current().to_host(entering(what, a))


def check_memory(memory: Any, check: bool = False) -> None:
    """Raise where `memory` is none of the ways that there are."""
    if memory is not None and memory != "sqrt":
        raise BadValue(f'memory is None (every step is kept) or "sqrt" (only the states between segments are), not '
                       f"{memory!r}")
    if memory is not None and check:
        raise BadValue(f"check=True looks through every quantity, and memory={memory!r} does not keep them; give one")


def prepared(system: System, want: tuple[str, ...], data: Mapping[str, Any], *, lengths: Any = None,
             steps: Any = None, state: Mapping[str, Any] | None = None, training: bool = False, seed: int = 0,
             step: int = 0, check: bool = False, memory: str | None = None,
             batch: int | None = None, classes: bool = True) -> tuple[Config, Feed]:
    """The plan's key and its feed. Raises `Error` for anything that cannot be right.

    classes: look for classes out of range; not needed for parts of data in which none was found.
    """
    check_memory(memory, check)
    seed, state, lengths = whole("seed", seed, at_least=0), _entered(state), on_host(lengths)
    alike = form(data, "biuf") if steps is None and batch is None else None
    lasting = (tuple(lengths) if isinstance(lengths, Mapping) else lengths is not None,
               None if state is None else frozenset(state))
    key = (want, alike, lasting, training, check, memory)
    config = system.configs.get(key) if alike else None
    if config is None:
        _check_given(system, want, data)
    what = demand(system, want)
    arrays = {name: numbers(name, data[name]) for name in what.inputs}
    if config is None:
        config = _config(system, want, data, arrays, lengths, steps, state, training, check, memory, batch)
        if alike:
            _keep(system.configs, key, config)
    by_range = _lengths(system, lengths, dict(config.sizes), config.batch)
    if classes:
        check_classes(system, config.coded, arrays, by_range)
    if check:
        for name, array in arrays.items():
            _check_finite(system.quantities[name], array, system, by_range)
    state = state or {}
    _check_state(system, state, config.batch)
    at = backends.current().asarray
    behind = {i: at(state[position_key(i)]) for i in system.ranges if position_key(i) in state}
    return config, Feed(arrays, {r: at(values) for r, values in by_range.items()}, state, seed, step, behind=behind)


def _check_given(system: System, want: tuple[str, ...], data: Mapping[str, Any]) -> None:
    """Raise where what is wanted is none of the system's, or where an input for it is missing or unknown."""
    system.require(want)
    check_names(system, data)
    missing = [n for n in demand(system, want).inputs if n not in data]
    if missing:
        needy = next(name for name in want if missing[0] in demand(system, [name]).inputs)
        raise BadValue(f"{needy} needs the input {missing[0]}; give {missing[0]}=...")


def _config(system: System, want: tuple[str, ...], data: Mapping[str, Any], arrays: Mapping[str, Any], lengths: Any,
            steps: Any, state: Mapping[str, Any] | None, training: bool, check: bool, memory: str | None,
            batch: int | None) -> Config:
    """What the plan is made for: it follows from names, shapes and dtypes alone. arrays: those of data that are read.
    """
    coded = frozenset(n for n, array in arrays.items() if is_coded(system, system.quantities[n], array))
    beside = {name: value for name, value in data.items() if name not in arrays and name in system.quantities}
    batch, sizes = _sizes(system, arrays, beside, steps, state, lengths, batch)
    for r, (index, term) in demand(system, want).ranges.items():
        if r not in sizes:
            raise BadValue(f"no input says how far {index} runs in {term}; give steps=")
    carried = frozenset() if state is None else along(system, want, state)
    ragged = frozenset(r for r, *_ in _of_ranges(system, lengths, sizes))
    return Config(want, batch, tuple(sorted(sizes.items())), ragged, coded, training, carried, check, memory)


def _keep(configs: dict[tuple[Any, ...], Any], key: tuple[Any, ...], config: Config) -> None:
    if len(configs) >= MOST:
        configs.clear()
    configs[key] = config


def _entered(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The arrays of a state."""
    if state is None:
        return None
    if not isinstance(state, Mapping):
        raise BadType(f"state is what an earlier run left, a dict of arrays by name, not {type(state).__name__}")
    return {name: numbers(f"the state of {name}", value) for name, value in state.items()}


def _check_state(system: System, state: Mapping[str, Any], batch: int) -> None:
    """A state is each quantity's last steps: (batch, steps, other indices, features)."""
    positions = {position_key(i) for i in system.ranges}
    for name, array in state.items():
        q = system.quantities.get(name)
        if q is None and name not in positions:
            raise BadName(f"the state holds {name!r}, which is no quantity of the model{near(name, system.quantities)}")
        sizes = () if q is None else q.type.shape
        rank = 1 if q is None else 1 + len(q.slots) + len(sizes)
        if array.dtype.kind in "iu" and array.ndim == rank - 1 and len(sizes) == 1:
            rank, sizes = rank - 1, ()  # classes
        examples = 1 if q is not None and not q.batched else batch
        if array.ndim != rank or array.shape[0] != examples or array.shape[rank - len(sizes) :] != sizes:
            axes = [examples, *(f"last steps of {i}" for i in (q.slots if q is not None else ())), *sizes]
            raise BadValue(f"the state of {name} has shape {tuple(array.shape)}, expected "
                           f"({', '.join(map(str, axes))})")


def _expected(system: System, q: Quantity) -> str:
    axes = ["batch", *(str(system.static[i]) if i in system.static else i.upper() for i in q.slots)]
    return f"({', '.join([*axes, *map(str, q.type.shape)])})"


def is_coded(system: System, q: Quantity, array: Any) -> bool:
    """Integers with one axis fewer stand for one-hot vectors."""
    full = 1 + len(q.slots) + len(q.type.shape)
    if array.ndim == full:
        if tuple(array.shape[1 + len(q.slots):]) != q.type.shape:
            classes = array.dtype.kind in "iu" and array.shape[-1] == 1 and len(q.type.shape) == 1
            hint = f"; classes have no last axis: {q.name}[..., 0]" if classes else ""
            raise BadValue(f"{q.name} has shape {tuple(array.shape)}, expected {_expected(system, q)}{hint}")
        return False
    if array.ndim == full - 1 and len(q.type.shape) == 1:
        if q.type.shape == (1,):  # numbers, of which 1 would be no class, but 0 the vector [1]
            raise BadValue(f"{q.name} has shape {tuple(array.shape)}, expected {_expected(system, q)}; give it its "
                           f"last axis: {q.name}[..., None]")
        if array.dtype.kind in "iu":
            return True
        one = f"; one example alone is {q.name}[None]" if array.shape[-1:] == q.type.shape else ""
        raise BadValue(f"{q.name} has shape {tuple(array.shape)} and dtype {array.dtype}; expected "
                       f"{_expected(system, q)}, or integers from 0 to {q.type.shape[0] - 1} without the last axis"
                       f"{one}")
    raise BadValue(f"{q.name} has shape {tuple(array.shape)}, expected {_expected(system, q)}")


def _sizes(system: System, arrays: Mapping[str, Any], beside: Mapping[str, Any], steps: Any,
           state: Mapping[str, Any] | None, lengths: Any, batch: int | None) -> tuple[int, dict[str, int]]:
    sizes = {system.range_of(i): size for i, size in system.static.items()}
    given = {r: f"{i}={sizes[r]}" for i in system.static for r in [system.range_of(i)]}
    batch, batch_from = None if batch is None else _count("batch", batch), "batch="
    for name, array in arrays.items():
        q = system.quantities[name]
        if batch is not None and array.shape[0] != batch:
            raise BadValue(f"{name} has {array.shape[0]} examples, {batch_from} has {batch}")
        batch, batch_from = array.shape[0], name
        for size, index in zip(array.shape[1:], q.slots, strict=False):
            r = system.range_of(index)
            if r in sizes and sizes[r] != size:
                raise BadValue(f"{name} has {size} positions in {index}, but {given[r]}")
            if size == 0:
                raise BadValue(f"{name} has no positions in {index}: its shape is {tuple(array.shape)}")
            sizes[r], given[r] = size, f"{name} has {size}"
    if batch == 0:
        raise BadValue(f"the batch is empty: {batch_from} has shape {tuple(arrays[batch_from].shape)}")
    if batch is None and state:
        first = next(iter(state.values()))
        batch = len(first) if first.ndim else None
    for values in [] if lengths is None else lengths.values() if isinstance(lengths, Mapping) else [lengths]:
        batch = np.size(values) if batch is None else batch
    for index, count in steps_by_index(system, steps).items():
        r = system.range_of(index)
        if r in sizes and sizes[r] != count:
            raise BadValue(f"steps={count}, but {given[r]}")
        sizes[r] = count
    for name, value in beside.items():  # an index has one range per model: what is given but not read tells it too
        shape = np.shape(value)
        batch = shape[0] if batch is None and shape else batch
        for size, index in zip(shape[1:], system.quantities[name].slots, strict=False):
            sizes.setdefault(system.range_of(index), size)
    return 1 if batch is None else batch, sizes


def _count(what: str, value: Any) -> int:
    """How many examples or steps there are."""
    found = whole(what, value, at_least=1)
    if found > LONGEST:
        raise BadValue(f"{what} must be at most {LONGEST}, not {found}")
    return found


def steps_by_index(system: System, steps: Any) -> dict[str, int]:
    """steps= as the number of positions by index. Raises where an index or a number is none."""
    if steps is None:
        return {}
    if not isinstance(steps, Mapping):
        return {only_index(system, "steps"): _count("steps", steps)}
    for index in steps:
        _index(system, index, "steps")
    return {index: _count(f"steps of {index}", count) for index, count in steps.items()}


def lengths_by_index(system: System, lengths: Any) -> dict[str, Any]:
    """lengths= as the arrays by index: a single one is of t, or of the only index whose range is not fixed."""
    if lengths is None:
        return {}
    return dict(lengths) if isinstance(lengths, Mapping) else {only_index(system, "lengths"): lengths}


def dynamic_slots(system: System, name: str) -> list[str]:
    """The indices of a quantity whose range was not given with the model."""
    return [i for i in system.quantities[name].slots if i not in system.static]


def _index(system: System, index: Any, what: str) -> None:
    if index not in system.ranges:
        raise BadName(f"{what} names index {index!r}{near(str(index), system.ranges)}; the model has "
                      f"{', '.join(system.ranges) or 'none'}")


def only_index(system: System, what: str) -> str:
    """The index of time, of which `what` speaks. Raises BadValue where there is none, or another beside it."""
    if system.time is not None:
        return system.time
    ranges = list(dict.fromkeys(map(system.range_of, system.open_indices)))
    if not ranges:
        raise BadValue(f"{what} is given, and the model has no index whose range is not fixed")
    raise BadValue(f"{what} is ambiguous: the model has the indices {', '.join(ranges)}; "
                   f"write {what}={{\"{ranges[0]}\": ...}}")


def _of_ranges(system: System, lengths: Any, sizes: Mapping[str, int]) -> list[tuple[str, str, Any]]:
    """(range, index, array) of the ranges over which something runs that was asked for."""
    given = lengths_by_index(system, lengths)
    for index in given:
        _index(system, index, "lengths")
        if index in system.static:
            raise BadValue(f"lengths of {index}: its range is fixed")
    return [(r, index, array) for index, array in given.items() if (r := system.range_of(index)) in sizes]


def _lengths(system: System, lengths: Any, sizes: Mapping[str, int], batch: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for r, index, array in _of_ranges(system, lengths, sizes):
        if array.dtype.kind not in "iu" or array.shape != (batch,):
            raise BadValue(f"lengths of {index} are {batch} whole numbers, one per example, not "
                           f"{array.dtype} of shape {array.shape}")
        bad = np.flatnonzero((array < 1) | (array > sizes[r]))
        if len(bad):
            raise BadValue(f"lengths of {index}: example {bad[0]} has length {array[bad[0]]}; a length lies between 1 "
                           f"and {sizes[r]}")
        if r in found and (found[r] != array).any():
            raise BadValue(f"lengths of {index} are others than those of an index whose range it shares; give one of "
                           "them")
        found[r] = array.astype("int64")
    return found


def _valid(q: Quantity, system: System, lengths: Mapping[str, Any], array: Any) -> Any:
    """Which (batch, positions...) of an input are not padding, on the device where the input lies."""
    shape, xp = array.shape[: 1 + len(q.slots)], _module_of(array)
    valid = xp.ones(shape, bool)
    for k, index in enumerate(q.slots):
        r = system.range_of(index)
        if r in lengths:
            inside = xp.arange(1, shape[k + 1] + 1) <= xp.asarray(lengths[r])[:, None]
            valid &= inside.reshape([shape[0], *(shape[j + 1] if j == k else 1 for j in range(len(q.slots)))])
    return valid


def check_classes(system: System, coded: Iterable[str], arrays: Mapping[str, Any],
                  lengths: Mapping[str, Any]) -> None:
    """A class out of range is an error, but in padding."""
    for name in coded:
        q, array = system.quantities[name], arrays[name]
        if are_classes(array, q.type.shape[0]):
            continue
        at = first_true(_valid(q, system, lengths, array) & ((array < 0) | (array >= q.type.shape[0])))
        if at is not None:
            left_out = "; steps that do not count are left out by lengths=, or by a weight beside the loss"
            raise BadValue(f"{name} is class {array[at]} at {q.place(at)}; the classes are 0 to {q.type.shape[0] - 1}"
                           + left_out * bool(array[at] < 0))


def are_classes(array: Any, size: int) -> bool:
    """Are all of them numbers from 0 to size - 1?"""
    return bool(array.min() >= 0 and array.max() < size)


def _check_finite(q: Quantity, array: Any, system: System, lengths: Mapping[str, Any]) -> None:
    if array.dtype.kind != "f":
        return
    valid = _valid(q, system, lengths, array).reshape([*array.shape[: 1 + len(q.slots)], *[1] * len(q.type.shape)])
    at = first_true((array != array) & valid)
    if at is not None:
        raise BadValue(f"the input {q.name} is NaN, first at {q.place(at)}")


def _module_of(array: Any) -> Any:
    """The array module of an array that has entered."""
    return np if isinstance(array, np.ndarray) else backends.current().xp
