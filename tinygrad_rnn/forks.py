"""Locks where a process forks: a child has only the thread that forked, so that no other would release what it held."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Protocol, TypeVar


class _Lock(Protocol):
    def acquire(self) -> bool: ...

    def release(self) -> None: ...


Held = TypeVar("Held", bound=_Lock)


def held_over(lock: Held) -> Held:
    """The lock, for which a fork waits: what it guards is then whole in the child. It must not be held for long."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


class Locked(Protocol):
    """What has a lock that is held for long; several may have the same."""

    alone: Any


def unlocked(owner: Locked) -> None:
    """In a child the owner has a new lock, whoever holds the old one."""
    _OWNERS.add(owner)


_OWNERS: weakref.WeakSet[Locked] = weakref.WeakSet()


def _unlock() -> None:
    fresh: dict[int, Any] = {}
    for owner in list(_OWNERS):
        owner.alone = fresh.setdefault(id(owner.alone), threading.RLock())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
