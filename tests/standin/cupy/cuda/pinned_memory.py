"""cupy.cuda.pinned_memory."""

from .._memory import PinnedMemory, PinnedMemoryPointer

__all__ = ["PinnedMemory", "PinnedMemoryPointer"]
