"""One line of a diagnosis."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: of it.
        value: what was found.
        advice: what to do; None where nothing is wrong.
    """

    name: str
    value: str
    advice: str | None = None

    @property
    def wrong(self) -> bool:
        """Whether something is to be done."""
        return self.advice is not None
