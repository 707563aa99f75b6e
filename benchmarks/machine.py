"""What the numbers were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

PACKAGES = {"NumPy": "numpy", "llvmlite": "llvmlite", "PyTorch": "torch", "JAX": "jax"}
GPU_PACKAGES = {"NumPy": "numpy", "CuPy (CUDA 12)": "cupy-cuda12x", "CuPy (CUDA 13)": "cupy-cuda13x",
                "PyTorch": "torch", "JAX": "jax", "FlashRNN": "flashrnn"}


def description(packages: Mapping[str, str] = PACKAGES) -> dict[str, str]:
    """CPU, cores in use and versions."""
    facts = {"CPU": cpu_name(), "cores used": str(cores()), "system": f"{platform.system()} {platform.machine()}",
             "Python": platform.python_version(), "NumPy's BLAS": blas()}
    return facts | {title: version(package) for title, package in packages.items()}


def gpu(cupy: Any) -> dict[str, str]:
    """The GPU in use, its memory and multiprocessors, the driver, and CuPy's CUDA."""
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return {"GPU": properties["name"].decode(), "its memory": f"{properties['totalGlobalMem'] / 2**30:.0f} GiB",
            "its multiprocessors": str(properties["multiProcessorCount"]), "driver": driver(),
            "CUDA of the driver": cuda_version(cupy.cuda.runtime.driverGetVersion()),
            "CUDA of CuPy": cuda_version(cupy.cuda.runtime.runtimeGetVersion())}


def cuda_version(number: int) -> str:
    """13020 -> 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}"


def driver() -> str:
    """The version of the NVIDIA driver, as nvidia-smi tells it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "unknown (there is no nvidia-smi)"
    done = subprocess.run([program, "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True,
                          text=True)
    return done.stdout.partition("\n")[0].strip() or "unknown"


def cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name, with its widest vector instructions."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or "unknown"
    facts = dict(line.split(":", 1) for line in path.read_text().split("\n\n")[0].splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    widest = next((name for name in ("avx512f", "avx2") if name in facts.get("flags", "").split()), "")
    return " ".join([facts.get("model name", platform.machine()), f"({widest})" if widest else ""]).strip()


def blas() -> str:
    """NumPy's BLAS, and for which processor its code is: OPENBLAS_CORETYPE may ask for an older one than there is."""
    import numpy  # noqa: F401  (it is looked at when it is loaded)

    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return ", ".join(f"{info['internal_api']} {info['version']} for {info.get('architecture', 'any processor')}"
                     for info in found) or "unknown"


def version(package: str) -> str:
    """The installed version, or that there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
