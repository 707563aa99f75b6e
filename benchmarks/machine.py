"""What the numbers were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = {"NumPy": "numpy", "llvmlite": "llvmlite", "PyTorch": "torch", "JAX": "jax"}


def description() -> dict[str, str]:
    """CPU, cores in use and versions."""
    facts = {"CPU": cpu_name(), "cores used": str(cores()), "system": f"{platform.system()} {platform.machine()}",
             "Python": platform.python_version()}
    return facts | {title: version(package) for title, package in PACKAGES.items()}


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


def version(package: str) -> str:
    """The installed version, or that there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
