"""What is in a corpus, and what is wrong with it, before anything is spent on it."""

from fastspec.scan.rows import check_rows

__all__ = ["check_rows"]
