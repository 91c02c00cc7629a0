"""What is in a corpus, and what is wrong with it, before anything is spent on it; and how to split it.

The room is not called as its function, `fastspec.scan`: importing it would put the module in the function's place.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastspec.scanning.header import HeaderTest as HeaderTest
    from fastspec.scanning.report import Problem as Problem
    from fastspec.scanning.report import ScanReport as ScanReport
    from fastspec.scanning.report import scan as scan
    from fastspec.scanning.splitting import split_folds as split_folds
    from fastspec.scanning.splitting import split_test as split_test
    from fastspec.scanning.stored import scan_store as scan_store

_HOMES = {
    "HeaderTest": "header",
    "Problem": "report",
    "ScanReport": "report",
    "scan": "report",
    "scan_store": "stored",
    "split_folds": "splitting",
    "split_test": "splitting",
}

__all__ = ["HeaderTest", "Problem", "ScanReport", "scan", "scan_store", "split_folds", "split_test"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fastspec.scanning' has no attribute {name!r}")
    return getattr(import_module(f"fastspec.scanning.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
