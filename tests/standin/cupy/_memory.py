"""Memory of the device: blocks of the host's, each known by its address, so that a bare pointer can be traced back."""

from __future__ import annotations

import bisect
import collections
import contextlib
import ctypes
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy

TOTAL = 8 << 30  # bytes of memory that the device has
UNIT = 512  # bytes, of which the pool of pinned memory gives whole numbers

_lock = threading.RLock()
_live: dict[int, weakref.ref[BaseMemory]] = {}  # by address
_addresses: list[int] = []  # in order
_roots: dict[int, weakref.ref[BaseMemory]] = {}  # by id of the array that owns the memory
_dead: collections.deque[tuple[int, int, int]] = collections.deque()  # address, id and size of blocks that died since


@contextlib.contextmanager
def _tables() -> Iterator[None]:
    """Within it what stands above may be read and changed, and nobody else does.

    A block may die within any call, also one made here: so it only says so, and is taken out by who comes next.
    """
    with _lock:
        while _dead:
            ptr, root, counted = _dead.popleft()
            _pool.give(counted)
            if ptr in _live and _live[ptr]() is None:
                del _live[ptr], _addresses[bisect.bisect_left(_addresses, ptr)]
            if root in _roots and _roots[root]() is None:
                del _roots[root]
        yield


class OutOfMemoryError(MemoryError):
    """There is less memory than was asked for, or the pool may take no more."""

    def __init__(self, size: int, total: int, limit: int = 0):
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(text + (f", limit set to: {limit:,} bytes)." if limit else ")."))
        self._size, self._total, self._limit = size, total, limit

    def __reduce__(self) -> Any:
        return type(self), (self._size, self._total, self._limit)


class BaseMemory:
    """`size` bytes from `ptr` on, which live as long as this object does."""

    device_id = 0

    def __init__(self, root: numpy.ndarray, counted: bool = True):
        self.root = root
        self.size = int(root.nbytes)
        self.ptr = int(root.__array_interface__["data"][0]) if self.size else 0
        self.counted = self.size if counted else 0
        with _tables():
            _pool.take(self.counted)
            _roots[id(root)] = weakref.ref(self)
            if self.size:
                self._enter()

    def _enter(self) -> None:
        around = block_at(self.ptr)
        if around is not None and around.ptr <= self.ptr and self.ptr + self.size <= around.ptr + around.size:
            return  # a part of another block, which is the one that lives and dies
        if self.ptr not in _live:
            bisect.insort(_addresses, self.ptr)
        _live[self.ptr] = weakref.ref(self)

    @property
    def device(self) -> Any:
        from .cuda import Device

        return Device(0)

    @property
    def bytes(self) -> numpy.ndarray:
        """The whole block, byte by byte, over the same memory."""
        if self.root.ndim == 1 and self.root.dtype == numpy.uint8:
            return self.root
        flat = numpy.ravel(self.root, order="K")
        if self.size and not numpy.shares_memory(flat, self.root):
            raise RuntimeError("the stand-in met a block that does not lie in one piece")
        return flat.view(numpy.uint8)

    def __del__(self) -> None:
        if hasattr(self, "counted") and _dead is not None:  # else it was never made, or the interpreter ends
            _dead.append((self.ptr, id(self.root), self.counted))


class Memory(BaseMemory):
    """A new block, whose bytes are all ones: NaN as floats, so that reading what was never written shows."""

    def __init__(self, size: int):
        _pool.check(size)
        super().__init__(numpy.full(size, 255, numpy.uint8))


class UnownedMemory(BaseMemory):
    """A block that `owner` keeps."""

    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1):
        self.owner = owner
        super().__init__(numpy.frombuffer((ctypes.c_ubyte * size).from_address(ptr), numpy.uint8), counted=False)


class MemoryPointer:
    """A place in a block: `offset` bytes behind its beginning."""

    def __init__(self, mem: BaseMemory, offset: int):
        self.mem, self.ptr = mem, mem.ptr + offset

    device_id = 0

    @property
    def device(self) -> Any:
        return self.mem.device

    def __int__(self) -> int:
        return self.ptr

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)

    __radd__ = __add__

    def __sub__(self, offset: int) -> MemoryPointer:
        return self + -offset


class PinnedMemory:
    """Memory of the host that the device can copy from while the host goes on."""

    def __init__(self, size: int, flags: int = 0):
        self.root = numpy.full(max(size, 1), 255, numpy.uint8)
        self.ptr, self.size = int(self.root.__array_interface__["data"][0]), size


class PinnedMemoryPointer:
    """A place in pinned memory; it has the buffer protocol by `numpy.frombuffer(pointer, ...)`, and no length."""

    def __new__(cls, mem: PinnedMemory, offset: int) -> Any:
        size = mem.size - offset
        kind = type("PinnedMemoryPointer", (ctypes.Array,), {
            "_type_": ctypes.c_ubyte, "_length_": size, "size": lambda self: size, "__len__": None})
        made = kind.from_address(mem.ptr + offset)
        made.mem, made.ptr = mem, mem.ptr + offset
        return made


class MemoryPool:
    """Counts what is in use, and refuses what is beyond the limit."""

    def __init__(self) -> None:
        self._used, self._limit = 0, 0

    def check(self, size: int) -> None:
        """Raise where `size` bytes more are too many."""
        used = self.used_bytes()
        if self._limit and used + size > self._limit:
            raise OutOfMemoryError(size, used, self._limit)
        if used + size > TOTAL:
            raise OutOfMemoryError(size, used)

    def take(self, size: int) -> None:
        self._used += size

    def give(self, size: int) -> None:
        self._used -= size

    def malloc(self, size: int) -> MemoryPointer:
        return MemoryPointer(Memory(size), 0)

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        self._limit = int(size if size is not None else TOTAL * (fraction or 0))

    def get_limit(self) -> int:
        return self._limit

    def used_bytes(self) -> int:
        with _tables():
            return self._used

    def total_bytes(self) -> int:
        return self.used_bytes()

    def free_bytes(self) -> int:
        return 0

    def n_free_blocks(self) -> int:
        return 0

    def free_all_blocks(self, stream: Any = None) -> None:
        """Nothing is kept, so nothing is to be given back."""


_pool = MemoryPool()


def pool() -> MemoryPool:
    """The pool of all arrays."""
    return _pool


def root_of(a: numpy.ndarray) -> numpy.ndarray:
    """The array that owns the memory of a, or has it from what is none."""
    found = a
    while isinstance(found.base, numpy.ndarray):
        found = found.base
    return found


def known(a: numpy.ndarray) -> BaseMemory | None:
    """The block that a lies in, where it is one of the device's."""
    return _alive(_roots.get(id(root_of(a))))


def memory_of(a: numpy.ndarray) -> BaseMemory:
    """The block that a lies in; a fresh result of NumPy becomes one of the device's."""
    found = known(a)
    if found is None:
        root = root_of(a)
        if root.base is not None:
            raise RuntimeError(f"the stand-in met an array over {type(root.base).__name__}")
        _pool.check(root.nbytes)
        found = BaseMemory(root)
    return found


def block_at(address: int) -> BaseMemory | None:
    """The block that the address lies in, its end included."""
    with _tables():
        at = bisect.bisect_right(_addresses, address) - 1
        if at < 0:
            return None
        found = _alive(_live.get(_addresses[at]))
    return found if found is not None and address <= found.ptr + found.size else None


def _alive(found: Any) -> BaseMemory | None:
    return None if found is None else found()
