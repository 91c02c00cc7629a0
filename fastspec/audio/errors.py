"""What is raised for one recording."""

from fastspec.errors import FastspecError


class AudioError(FastspecError):
    """A recording that cannot be decoded: `status` as in the ledger, `reason` in one line."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"the recording is {self.status}: {self.reason}"
