"""What an installation is and whether it works: facts that a report of a problem needs, and a self-test of a few seconds."""

from collections.abc import Callable, Iterator

from fastspec.diagnosis.facts import FACTS, kernel_cache
from fastspec.diagnosis.finding import Finding
from fastspec.diagnosis.selftest import TESTS

__all__ = ["Finding", "examine"]


def examine() -> list[Finding]:
    """Every fact, then every test; one that fails is a finding that is wrong, with advice, and stops no other."""
    # The cache last: what the tests had to compile says whether it kept anything.
    return [finding for check in (*FACTS, *TESTS, kernel_cache) for finding in _found(check)]


def _found(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:  # a library that is broken may raise anything, and that is what is looked for
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        name = check.__name__.replace("_", " ")
        yield Finding(name, reason, advice="install fastspec again into an empty environment; if it stays, report this")
