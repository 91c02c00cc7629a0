"""Facts about this machine and this installation."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import soundfile
import threadpoolctl  # type: ignore[import-untyped]

from fastspec.benchmark import cpu_model, usable_cores
from fastspec.diagnosis.finding import Finding
from fastspec.errors import counted
from fastspec.frontend import kernel_target
from fastspec.kernels.compiled import kernel_folder
from fastspec.kernels.decode import can_decode
from fastspec.kernels.jit import compilations
from fastspec.learn.registry import fault_of, plugins
from fastspec.references import REFERENCES

_PACKAGES = ("numpy", "numba", "llvmlite", "zarr", "dask", "polars", "soundfile", "soxr", "scipy", "scikit-learn", "lightgbm")
_FORMATS = ("WAV", "FLAC", "OGG", "MP3")
_LEAST_FREE_BYTES = 256 << 20
_LEAST_FILES = 128


def versions() -> Iterator[Finding]:
    """Of Python and of what computes and stores."""
    yield Finding("python", f"{platform.python_version()} ({platform.python_implementation()}) at {sys.executable}")
    yield Finding("packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))


def system() -> Iterator[Finding]:
    """The processor, and how much of it this process may use."""
    yield Finding("system", platform.platform())
    yield Finding("processor", f"{cpu_model()}; kernels for {kernel_target()}")
    cores = usable_cores()
    yield Finding("cores", f"{os.cpu_count()}, of which this process may use {cores:g}")
    yield Finding("memory", _memory())
    pools = (f"{pool['internal_api']} {counted(pool['num_threads'], 'thread')}" for pool in threadpoolctl.threadpool_info())
    yield Finding("thread pools", ", ".join(dict.fromkeys(pools)) or "none")


def decoding() -> Iterator[Finding]:
    """libsndfile: what it reads, and whether compiled code can call it."""
    formats = soundfile.available_formats()
    missing = [name for name in _FORMATS if name not in formats]
    advice = f"it does not read {', '.join(missing)}: pip install --force-reinstall soundfile, whose wheels bring one that does"
    yield Finding("libsndfile", f"{soundfile.__libsndfile_version__}: {' '.join(sorted(formats))}", advice if missing else None)
    yield Finding("decoding", "in compiled code, without the GIL" if can_decode() else "through soundfile, which holds the GIL")


def surroundings() -> Iterator[Finding]:
    """Room for temporary files, and how many files may be open."""
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    advice = "too little for stores and archives: free some, or name another folder in TMPDIR" if free < _LEAST_FREE_BYTES else None
    yield Finding("temporary files", f"{folder}, {free / (1 << 30):.1f} GiB free", advice)
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "any number" if soft == resource.RLIM_INFINITY else f"{soft:,}"
    few = soft != resource.RLIM_INFINITY and soft < _LEAST_FILES
    yield Finding("open files", f"{most} at once", f"too few for many workers: ulimit -n {min(hard, 4096)}" if few else None)


def classifiers() -> Iterator[Finding]:
    """Installed plugins; nothing of them is imported."""
    faults = {info.name: fault_of(info) for info in plugins()}
    broken = [f"{name}: {fault}" for name, fault in faults.items() if fault]
    yield Finding("classifiers", ", ".join(faults) or "none", "; ".join(broken) or (None if faults else "install fastspec again"))


def peers() -> Iterator[Finding]:
    """Projects that front ends are compared with, where they are installed."""
    installed = {peer.project: peer.versions()[peer.project] for peer in REFERENCES if peer.is_installed()}
    yield Finding("peers", ", ".join(f"{name} {number}" for name, number in installed.items()) or "none installed; none is needed")


def kernel_cache() -> Iterator[Finding]:
    """Where compiled kernels are kept, and whether they are."""
    folder = kernel_folder()
    if folder is None:
        yield Finding("kernel cache", "none: every process compiles for itself", "name a folder that can be written in FASTSPEC_CACHE")
        return
    compiled, read = compilations()
    kept = f"{folder}, {counted(len(list(folder.glob('*.kernel'))), 'kernel')}; {read} read and {compiled} compiled here"
    if _can_write(folder):
        yield Finding("kernel cache", kept)
        return
    advice = "what is compiled cannot be kept: name another folder in FASTSPEC_CACHE, or run 'fastspec warmup' as one who may write there"
    yield Finding("kernel cache", f"{kept}; read-only", advice if compiled else None)


def _memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> str:
    """Of the machine, and of its container where that has a limit."""
    limits = (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes")
    try:
        total = int(meminfo.read_text().split("MemTotal:")[1].split()[0]) << 10
        limit = next((file.read_text().strip() for file in limits if file.exists()), "max")
    except (OSError, IndexError, ValueError):
        return "not told by this system"
    limited = f", limited to {int(limit) / (1 << 30):.1f} GiB" if limit.isdigit() and int(limit) < total else ""
    return f"{total / (1 << 30):.1f} GiB{limited}"


def _can_write(folder: Path) -> bool:
    """Told by writing: rights do not say everything, as on a disk that is mounted read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


FACTS: tuple[Callable[[], Iterator[Finding]], ...] = (versions, system, decoding, surroundings, classifiers, peers)
