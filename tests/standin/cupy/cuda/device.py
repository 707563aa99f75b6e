"""cupy.cuda.device."""

from __future__ import annotations

from typing import Any

from .. import _capture
from . import runtime


class Device:
    """The one device that there is."""

    def __init__(self, device: Any = None):
        self.id = 0 if device is None else int(device)
        runtime.setDevice(self.id)

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def use(self) -> Device:
        return self

    def synchronize(self) -> None:
        _capture.refuse_anywhere("cudaDeviceSynchronize")

    @property
    def attributes(self) -> dict[str, int]:
        return dict(runtime.ATTRIBUTES)

    @property
    def compute_capability(self) -> str:
        return "90"

    @property
    def pci_bus_id(self) -> str:
        return "0000:00:00.0"

    @property
    def mem_info(self) -> tuple[int, int]:
        return runtime.memGetInfo()

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


def get_device_id() -> int:
    return 0
