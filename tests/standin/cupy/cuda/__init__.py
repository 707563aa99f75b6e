"""cupy.cuda: streams, events, graphs, memory and the device."""

from __future__ import annotations

from .. import _capture
from .._capture import Graph
from .._memory import (
    UNIT,
    BaseMemory,
    Memory,
    MemoryPointer,
    MemoryPool,
    PinnedMemory,
    PinnedMemoryPointer,
    UnownedMemory,
)
from . import device, memory, pinned_memory, runtime, stream
from .device import Device, get_device_id
from .stream import Event, ExternalStream, Stream, get_current_stream, get_elapsed_time


def is_available() -> bool:
    return True


def alloc(size: int) -> MemoryPointer:
    """`size` new bytes on the device."""
    _capture.refuse_allocation()
    return MemoryPointer(Memory(size), 0)


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    """`size` new bytes of pinned memory on the host at least: the pool rounds up."""
    _capture.refuse_allocation()
    return PinnedMemoryPointer(PinnedMemory(-(-max(size, 1) // UNIT) * UNIT), 0)


def get_local_runtime_version() -> int:
    return runtime.runtimeGetVersion()


__all__ = ["BaseMemory", "Device", "Event", "ExternalStream", "Graph", "Memory", "MemoryPointer", "MemoryPool",
           "PinnedMemory", "PinnedMemoryPointer", "Stream", "UnownedMemory", "alloc", "alloc_pinned_memory", "device",
           "get_current_stream", "get_device_id", "get_elapsed_time", "get_local_runtime_version", "is_available",
           "memory", "pinned_memory", "runtime", "stream"]
