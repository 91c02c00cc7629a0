"""What featurizing takes on this machine, with a user's own recordings, beside the others that are installed. Results are compared first.

Names are resolved when they are first used: processes that are started to be measured import this room before they measure imports.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastspec.benchmark.baseline import compare_runs as compare_runs
    from fastspec.benchmark.baseline import differences_between as differences_between
    from fastspec.benchmark.baseline import read_baseline as read_baseline
    from fastspec.benchmark.machine import cpu_model as cpu_model
    from fastspec.benchmark.machine import usable_cores as usable_cores
    from fastspec.benchmark.run import run_benchmark as run_benchmark

_HOMES = {
    "compare_runs": "baseline",
    "cpu_model": "machine",
    "differences_between": "baseline",
    "read_baseline": "baseline",
    "run_benchmark": "run",
    "usable_cores": "machine",
}

__all__ = ["compare_runs", "cpu_model", "differences_between", "read_baseline", "run_benchmark", "usable_cores"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fastspec.benchmark' has no attribute {name!r}")
    return getattr(import_module(f"fastspec.benchmark.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
