"""cupy.cuda.memory."""

from .._memory import BaseMemory, Memory, MemoryPointer, MemoryPool, OutOfMemoryError, UnownedMemory

__all__ = ["BaseMemory", "Memory", "MemoryPointer", "MemoryPool", "OutOfMemoryError", "UnownedMemory"]
