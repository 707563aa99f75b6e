"""Products with one-hot vectors of which only the class is stored: pick a row, or scatter to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..node import BATCH, Node
from .layout import Env

if TYPE_CHECKING:
    from .emit import Emitter


def _positions(e: Emitter, codes: Any, size: int) -> Any:
    """Classes as positions from 0 to size, where `size` stands for every class out of range."""
    bad, at = e.do.temp(codes.shape, bool), e.do.temp(codes.shape, "int64")
    e.do(e.xp.copyto, at, codes)
    for outside in (e.xp.less, e.xp.greater_equal):
        e.do(outside, codes, 0 if outside is e.xp.less else size, bad)
        e.do(e.xp.copyto, at, size, "same_kind", bad)
    return at


def emit_pick(e: Emitter, node: Node, env: Env, out: Any, labels: tuple[str, ...]) -> None:
    """A product with a one-hot vector: the class's row of a table, or element of a vector; zero out of range."""
    a, code = node.args
    view, have = e.view(a, env)
    codes, code_labels = e.view(code, env)
    axis, batched = node.attr("axis"), [BATCH] * (BATCH in code.indices)
    if not a.indices and e.do.matrices:
        _pick_rows(e, view, axis, codes, len(code_labels) if batched else -1, out)
        return
    features = _features(a)
    joint = [*labels, *features[:axis], *features[axis + 1 :], *[BATCH] * (BATCH in node.indices)]
    table = _labelled(view, [*have, *features, *[BATCH] * (BATCH in a.indices)], [features[axis], *joint])
    e.do(_pick_elements, e.xp, table, _labelled(codes, [*code_labels, *batched], joint), out)


def _pick_rows(e: Emitter, table: Any, axis: int, codes: Any, batch: int, out: Any) -> None:
    """By rows of a table that is laid out by class; batch: the axis that the batch has in the classes, if any."""
    size = table.shape[axis]
    rows = e.do.temp((size + 1, *(s for k, s in enumerate(table.shape) if k != axis)), table.dtype)
    e.do(e.xp.copyto, rows[:size], e.xp.moveaxis(table, axis, 0))
    at = _positions(e, codes, size)
    taken = e.do.temp((*at.shape, *rows.shape[1:]), table.dtype)
    e.do(e.backend.take_rows, rows, at, taken)
    # the features come after the batch, and belong before it
    e.do(e.xp.copyto, out, taken if batch < 0 else e.xp.moveaxis(taken, batch, -1))


def _features(node: Node) -> list[str]:
    """Labels for its feature axes."""
    return ["." + str(k) for k in range(node.rank)]


def _labelled(view: Any, labels: list[str], goal: list[str]) -> Any:
    """view with the goal's labels, in its order; axes of size 1 for those that it lacks."""
    view = view.transpose([labels.index(x) for x in goal if x in labels])
    return view[(*(slice(None) if x in labels else None for x in goal), ...)]


def emit_scatter(e: Emitter, node: Node, env: Env, out: Any, labels: tuple[str, ...]) -> None:
    """The sum of rows by class: what the gradient of a table of embeddings is."""
    a, code = node.args
    axis, batched = node.attr("axis"), [BATCH] * (BATCH in code.indices)
    codes, code_labels = e.view(code, env)
    codes = _valid(e, codes, code_labels, env)
    view, have = e.view(a, env)
    features = _features(a)
    goal = [*code_labels, *batched, *features]
    rows = _labelled(view, [*have, *features, *[BATCH] * (BATCH in a.indices)], goal)
    if not e.do.matrices:
        e.do(sum_by_class, e.backend, e.xp.moveaxis(out, axis, 0), codes, rows)
        return
    size = out.shape[axis]
    at = _positions(e, codes, size)
    total = e.do.temp((size + 1, *a.shape), out.dtype)
    flat = e.do.temp((*at.shape, *a.shape), out.dtype)
    e.do(e.xp.copyto, flat, rows)
    e.do(e.backend.add_rows, total, at.reshape(-1), flat.reshape(-1, *a.shape))
    e.do(e.xp.copyto, out, e.xp.moveaxis(total[:size], 0, axis))


def _valid(e: Emitter, codes: Any, labels: tuple[str, ...], env: Env) -> Any:
    """The classes, none in the padding."""
    ragged = [index for index in labels if e.layout.ragged(index)]
    if not ragged:
        return codes
    valid = e.do.temp(codes.shape, "int64")
    e.do(e.xp.copyto, valid, codes)
    for index in ragged:
        e.do(e.xp.copyto, valid, -1, "same_kind", e.layout.pad(index, labels, codes.ndim, env))
    return valid


def sum_by_class(backend: Any, out: Any, at: Any, rows: Any) -> None:
    """out[k, ...] = the sum of the rows whose class is k; what is no class counts nowhere."""
    xp, size = backend.xp, out.shape[0]
    total = xp.empty((size + 1, *out.shape[1:]), out.dtype)
    where = xp.where((at >= 0) & (at < size), at, size).reshape(-1)
    backend.add_rows(total, where, rows.reshape(-1, *out.shape[1:]))
    xp.copyto(out, total[:size])


def _pick_elements(xp: Any, rows: Any, at: Any, out: Any) -> None:
    """out = rows[at], class first in rows; 0 where there is no such class."""
    size = rows.shape[0]
    inside = xp.broadcast_to((at >= 0) & (at < size), out.shape)
    found = xp.take_along_axis(xp.broadcast_to(rows, (size, *out.shape)), xp.where(inside, at, 0)[None], 0)[0]
    xp.copyto(out, xp.where(inside, found, 0))
