"""Other projects' front ends, imported only when one is asked for: one table for golden vectors, parity and benchmarks.

A reference computes a `FeatureSpec` with its own code on one thread, so that its numbers and its speed can be set beside ours.
"""

from fastspec.references.comparison import difference, differences, largest, tolerance, unit
from fastspec.references.golden import read_golden
from fastspec.references.parity import Parity, measure_parity
from fastspec.references.reference import Reference, ReferenceUnavailable
from fastspec.references.table import REFERENCES, reference, references

__all__ = [
    "REFERENCES",
    "Parity",
    "Reference",
    "ReferenceUnavailable",
    "difference",
    "differences",
    "largest",
    "measure_parity",
    "read_golden",
    "reference",
    "references",
    "tolerance",
    "unit",
]
