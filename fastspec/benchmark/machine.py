"""The machine that was measured on, and the version of everything that was timed."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastspec.kernels.simd import host_lanes
from fastspec.references import Reference


def machine(peers: Sequence[Reference] = ()) -> dict[str, Any]:
    """The CPU, the lanes that the kernels use on it, and the version of everything that was timed: of `peers`, those that are installed."""
    packages = {package: version(package) for package in ("numpy", "numba")}
    for peer in peers:
        if peer.is_installed():
            packages |= peer.versions()
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "lanes": len(host_lanes()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": packages,
    }


def cpu_model() -> str:
    """The processor's name, as its maker gives it where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores that this process may use: those that it may run on, or less where its container's quota is less.

    >>> usable_cores() <= (os.cpu_count() or 1)
    True
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return float(allowed) if quota is None else min(float(allowed), quota)


def _quota(cgroup: Path) -> float | None:
    """Cores that a container's quota of processor time amounts to; None without one."""
    try:
        if (cgroup / "cpu.max").exists():
            limit, period = (cgroup / "cpu.max").read_text().split()
        else:  # before version 2 of control groups
            limit, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return None if limit in ("max", "-1") else int(limit) / int(period)
    except (OSError, ValueError):
        return None
