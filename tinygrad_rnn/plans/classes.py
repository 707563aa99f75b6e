"""Products with one-hot vectors of which only the class is stored: pick a row, or scatter to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..node import BATCH, Node
from .layout import Env

if TYPE_CHECKING:
    from .emit import Emitter


def _positions(e: Emitter, code: Node, env: Env, size: int) -> tuple[Any, tuple[str, ...]]:
    """Classes as positions from 0 to size, where `size` stands for every class out of range."""
    codes, labels = e.view(code, env)
    bad, at = e.do.temp(codes.shape, bool), e.do.temp(codes.shape, "int64")
    e.do(e.xp.copyto, at, codes)
    for outside in (e.xp.less, e.xp.greater_equal):
        e.do(outside, codes, 0 if outside is e.xp.less else size, bad)
        e.do(e.xp.copyto, at, size, "same_kind", bad)
    return at, labels


def emit_pick(e: Emitter, node: Node, env: Env, out: Any, labels: tuple[str, ...]) -> None:
    """A product with a one-hot vector: the class's row of a table, or element of a vector; zero out of range."""
    a, code = node.args
    view, have = e.view(a, env)
    axis = len(have) + node.attr("axis")
    size = view.shape[axis]
    at, code_labels = _positions(e, code, env, size)
    if a.indices:
        joint = [*labels, *[BATCH] * (BATCH in node.indices)]
        rows = _labelled(view, [*have, "", *[BATCH] * (BATCH in a.indices)], ["", *joint])
        where = _labelled(at, [*code_labels, *[BATCH] * (BATCH in code.indices)], joint)
        e.do(_pick_elements, e.xp, rows, where, out)
        return
    table = e.do.temp((size + 1, *(s for k, s in enumerate(view.shape) if k != axis)), view.dtype)
    e.do(e.xp.copyto, table[:size], e.xp.moveaxis(view, axis, 0))
    taken = e.do.temp((*at.shape, *table.shape[1:]), view.dtype)
    e.do(e.backend.take_rows, table, at, taken)
    batch = BATCH in code.indices
    if batch:  # rows come after the batch, features belong before it
        taken = e.xp.moveaxis(taken, len(code_labels), -1)
    e.do(e.xp.copyto, out, taken)


def _labelled(view: Any, labels: list[str], goal: list[str]) -> Any:
    """view with the goal's labels, in its order; axes of size 1 for those that it lacks."""
    view = view.transpose([labels.index(x) for x in goal if x in labels])
    return view[(*(slice(None) if x in labels else None for x in goal), ...)]


def emit_scatter(e: Emitter, node: Node, env: Env, out: Any, labels: tuple[str, ...]) -> None:
    """The sum of rows by class: what the gradient of a table of embeddings is."""
    a, code = node.args
    size = node.shape[node.attr("axis")]
    at, code_labels = _positions(e, code, env, size)
    for index in code_labels:
        if e.layout.ragged(index):
            e.do(e.xp.copyto, at, size, "same_kind", e.layout.pad(index, code_labels, at.ndim, env))
    view, have = e.view(a, env)
    joint = [*code_labels, *[BATCH] * (BATCH in code.indices)]
    features = ["." + str(k) for k in range(a.rank)]
    rows = _labelled(view, [*have, *features, *[BATCH] * (BATCH in a.indices)], [*joint, *features])
    total = e.do.temp((size + 1, *a.shape), out.dtype)
    shape = (*at.shape, *a.shape)
    flat = e.do.temp(shape, out.dtype)
    e.do(e.xp.copyto, flat, rows)
    e.do(e.backend.add_rows, total, at.reshape(-1), flat.reshape(-1, *a.shape))
    e.do(e.xp.copyto, out, e.xp.moveaxis(total[:size], 0, node.attr("axis")))


def _pick_elements(xp: Any, rows: Any, at: Any, out: Any) -> None:
    """out = rows[at], class first in rows; 0 where the class is out of range."""
    size = rows.shape[0]
    found = xp.take_along_axis(xp.broadcast_to(rows, (size, *out.shape)),
                               xp.broadcast_to(xp.minimum(at, size - 1), out.shape)[None], 0)[0]
    xp.copyto(out, xp.where(at < size, found, 0))
