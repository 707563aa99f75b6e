"""cupy.cuda.driver."""

from .._raw import CUDADriverError

__all__ = ["CUDADriverError"]
