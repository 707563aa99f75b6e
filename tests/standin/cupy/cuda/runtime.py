"""cupy.cuda.runtime: the part of it that can be answered without a GPU."""

from __future__ import annotations

from typing import Any

from .. import _capture, _memory
from .._capture import CUDARuntimeError

is_hip = False
streamDefault, streamNonBlocking, streamLegacy, streamPerThread = 0, 1, 1, 2
streamCaptureModeGlobal, streamCaptureModeThreadLocal, streamCaptureModeRelaxed = 0, 1, 2
streamCaptureStatusNone, streamCaptureStatusActive, streamCaptureStatusInvalidated = 0, 1, 2
memcpyHostToHost, memcpyHostToDevice, memcpyDeviceToHost, memcpyDeviceToDevice, memcpyDefault = range(5)
CUDA_R_32F, CUDA_R_64F, CUDA_R_16F, CUDA_R_16BF = 0, 1, 2, 14
CUDA_C_32F, CUDA_C_64F = 4, 5
cudaDevAttrMultiProcessorCount = 16
cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
cudaDevAttrCooperativeLaunch = 95

PROCESSORS = 4  # streaming multiprocessors; few, since every thread of a cooperative kernel lives at once
SHARED, SHARED_OPTIN, SHARED_PROCESSOR = 48 << 10, 227 << 10, 228 << 10
THREADS, THREADS_PROCESSOR, BLOCKS_PROCESSOR = 1024, 2048, 32

ATTRIBUTES = {
    "MultiProcessorCount": PROCESSORS, "MaxSharedMemoryPerBlock": SHARED,
    "MaxSharedMemoryPerBlockOptin": SHARED_OPTIN, "MaxSharedMemoryPerMultiprocessor": SHARED_PROCESSOR,
    "ReservedSharedMemoryPerBlock": 1024, "MaxThreadsPerBlock": THREADS,
    "MaxThreadsPerMultiProcessor": THREADS_PROCESSOR, "MaxBlocksPerMultiprocessor": BLOCKS_PROCESSOR,
    "MaxRegistersPerBlock": 65536, "MaxRegistersPerMultiprocessor": 65536, "WarpSize": 32, "CooperativeLaunch": 1,
    "MaxBlockDimX": 1024, "MaxBlockDimY": 1024, "MaxBlockDimZ": 64, "MaxGridDimX": 2**31 - 1, "MaxGridDimY": 65535,
    "MaxGridDimZ": 65535, "ComputeCapabilityMajor": 9, "ComputeCapabilityMinor": 0, "ClockRate": 1_980_000,
    "MemoryClockRate": 2_619_000, "GlobalMemoryBusWidth": 5120, "L2CacheSize": 50 << 20, "ConcurrentKernels": 1,
    "MemoryPoolsSupported": 1,
}


def getDeviceCount() -> int:
    return 1


def getDevice() -> int:
    return 0


def setDevice(device: int) -> None:
    if device != 0:
        raise CUDARuntimeError(101, "cudaErrorInvalidDevice: invalid device ordinal")


def getDeviceProperties(device: int) -> dict[str, Any]:
    setDevice(device)
    return {
        "name": b"stand-in", "totalGlobalMem": _memory.TOTAL, "sharedMemPerBlock": SHARED,
        "sharedMemPerBlockOptin": SHARED_OPTIN, "sharedMemPerMultiprocessor": SHARED_PROCESSOR,
        "regsPerBlock": 65536, "warpSize": 32, "maxThreadsPerBlock": THREADS, "maxThreadsDim": (1024, 1024, 64),
        "maxGridSize": (2**31 - 1, 65535, 65535), "clockRate": 1_980_000, "memoryClockRate": 2_619_000,
        "memoryBusWidth": 5120, "l2CacheSize": 50 << 20, "major": 9, "minor": 0, "multiProcessorCount": PROCESSORS,
        "maxThreadsPerMultiProcessor": THREADS_PROCESSOR, "cooperativeLaunch": 1, "concurrentKernels": 1,
    }


def deviceGetAttribute(attribute: int, device: int) -> int:
    names = {16: "MultiProcessorCount", 97: "MaxSharedMemoryPerBlockOptin", 95: "CooperativeLaunch",
             75: "ComputeCapabilityMajor", 76: "ComputeCapabilityMinor", 10: "WarpSize"}
    return ATTRIBUTES[names[attribute]]


def memGetInfo() -> tuple[int, int]:
    """Bytes that are free, and all bytes."""
    return _memory.TOTAL - _memory.pool().used_bytes(), _memory.TOTAL


def driverGetVersion() -> int:
    return 13000


def runtimeGetVersion() -> int:
    return 12090


def deviceSynchronize() -> None:
    _capture.refuse_anywhere("cudaDeviceSynchronize")


def streamSynchronize(stream: int) -> None:
    from .stream import capturing_streams

    if any(s.ptr == stream for s in capturing_streams()):
        raise CUDARuntimeError(*_capture.UNSUPPORTED)


def streamIsCapturing(stream: int) -> bool:
    from .stream import capturing_streams

    return any(s.ptr == stream for s in capturing_streams())
