"""Names for parts of a tensor graph, so that a drawing can frame and fold them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..errors import BadType, BadValue
from ..node import Node

_PATH: ContextVar[str] = ContextVar("path", default="")
_OF: weakref.WeakKeyDictionary[Node, str] = weakref.WeakKeyDictionary()


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Within it, what tensors compute belongs to a part of that name; scopes nest.

        with tr.scope("encoder"):
            h = (w @ x).tanh()

    `Tensor.draw` frames the parts, and folds them where the graph is large. A value that is computed again in another
    scope stays in its first. Raises `Error` for a name that is empty or holds a "/".
    """
    if not isinstance(name, str):
        raise BadType(f"a scope's name is text, not {type(name).__name__}")
    if not name or "/" in name:
        raise BadValue(f"a scope's name is not empty and has no '/', which stands between nested ones; not {name!r}")
    token = _PATH.set(f"{_PATH.get()}/{name}".lstrip("/"))
    try:
        yield
    finally:
        _PATH.reset(token)


def noted(node: Node, known: Iterable[Node]) -> Node:
    """node, which with all below it that is not `known` now belongs to the scope around."""
    path = _PATH.get()
    stack, seen = [node] if path else [], set(known)
    while stack:
        new = stack.pop()
        if new not in seen and new.args:  # a number is nobody's: all graphs share it
            seen.add(new)
            _OF.setdefault(new, path)
            stack += new.args
    return node


def scopes_of(nodes: Iterable[Node]) -> dict[Node, str]:
    """The scope of each node that has one."""
    return {node: _OF[node] for node in nodes if node in _OF}
