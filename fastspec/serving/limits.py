"""What one client may ask of a server that others use too: how much, how long, and one after the other."""

import time
from dataclasses import dataclass
from threading import Lock
from typing import cast

from fastspec.errors import FastspecError, counted
from fastspec.learn import Bundle, Classifier
from fastspec.learn.classifier import Features, Probabilities, ValidFrames


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken.

    Attributes:
        upload_bytes: of one sound.
        seconds: of one sound, once it is decoded.
        queue: requests that are inside at once; the next is told to come again.
        timeout_s: for a sound to arrive, and again for its answer.
        workers: threads that decode and compute features.
    """

    upload_bytes: int = 32 << 20
    seconds: float = 600.0
    queue: int = 64
    timeout_s: float = 60.0
    workers: int = 2

    @property
    def held_bytes(self) -> int:
        """Of all sounds that wait or are worked on."""
        return 8 * self.upload_bytes


class TooLate(FastspecError):
    """An answer that would come after its deadline."""


class Deadline:
    """The time by which an answer must be there."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """TooLate: none are left."""
        if not self.left():
            raise TooLate(f"there was no answer within {counted(round(self._seconds), 'second')}; give a shorter sound, or try again later")


class Turns:
    """A model that is asked by one thread at a time, since a plugin may not be safe in several. Each call is a turn by itself."""

    def __init__(self, bundle: Bundle) -> None:
        self._model = bundle.model
        self._turn = Lock()

    def for_one(self, deadline: Deadline) -> Classifier:
        """What stands in for the model in one request, and raises TooLate when its deadline is over."""
        return cast(Classifier, _Waiting(self._model, self._turn, deadline))


@dataclass(frozen=True, slots=True)
class _Waiting:
    model: Classifier
    turn: Lock
    deadline: Deadline

    def predict_proba(self, features: Features, valid_frames: ValidFrames) -> Probabilities:
        while not self.turn.acquire(timeout=self.deadline.left()):
            self.deadline.check()
        try:
            self.deadline.check()
            return self.model.predict_proba(features, valid_frames)
        finally:
            self.turn.release()
