"""What checks are made of: a toy corpus, how a check fails, models that are fitted, asked and saved."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastspec.learn.classifier import Classifier

Params = Mapping[str, Any]


class CheckFailed(AssertionError):
    """A plugin breaks the contract; the message says where."""


class Check(Protocol):
    """A function that raises `CheckFailed` when a plugin breaks one clause of the contract."""

    __name__: str
    __doc__: str | None

    def __call__(self, plugin: type[Classifier], *, params: Params | None = None) -> None: ...


class ToyCorpus(NamedTuple):
    """Clips whose class is the band that is loudest: `(clips, 12, 6)` float32, valid frames, labels, and groups of two clips a class."""

    features: NDArray[np.float32]
    valid_frames: NDArray[np.int32]
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]

    def keep(self, rows: NDArray[Any]) -> "ToyCorpus":
        """Some of the clips."""
        return ToyCorpus(*(column[rows] for column in self))


def toy_corpus(*, n_classes: int = 3, clips: int = 60, frames: int = 12, seed: int = 0) -> ToyCorpus:
    """A separable corpus; the features are read-only."""
    random = np.random.default_rng(seed)
    labels = np.arange(clips) % n_classes
    features = random.normal(size=(clips, frames, 6)).astype(np.float32)
    features[np.arange(clips), :, labels] += 3
    features.flags.writeable = False
    groups = np.array([f"group{i // (2 * n_classes)}" for i in range(clips)])
    return ToyCorpus(features, random.integers(frames // 2, frames + 1, size=clips).astype(np.int32), labels, groups)


def honouring_known_failures(check: Callable[[type[Classifier], Params], None]) -> Check:
    """A check that fails in one way only, and that turns round for a plugin which names it among its `known_failures`."""

    @wraps(check)
    def checked(plugin: type[Classifier], *, params: Params | None = None) -> None:
        reason = plugin.known_failures.get(check.__name__)
        try:
            check(plugin, params or {})
        except Exception as error:  # whatever a stranger's code raises is what was found
            if reason is None:
                told = str(error) if isinstance(error, CheckFailed) else f"{type(error).__name__}: {error}"
                raise CheckFailed(" ".join(told.split())) from error
        else:
            if reason is not None:
                raise CheckFailed(f"passes, although known_failures names it ({reason}); take it off that list")

    return checked


def require(condition: object, told: str) -> None:
    """CheckFailed where the condition does not hold."""
    if not condition:
        raise CheckFailed(told)


def fitted(plugin: type[Classifier], params: Params, corpus: ToyCorpus, *, n_classes: int = 3, seed: int = 0) -> Classifier:
    """A model that has learned the corpus."""
    model = plugin.from_params(params, seed=seed)
    return model.fit(corpus.features, corpus.valid_frames, corpus.labels, n_classes=n_classes, groups=corpus.groups)


def predict(model: Classifier, corpus: ToyCorpus, *, n_classes: int = 3) -> NDArray[np.float64]:
    """Probabilities, which are finite, in 0 … 1, and sum to 1."""
    probabilities = model.predict_proba(corpus.features, corpus.valid_frames)
    expected = (len(corpus.labels), n_classes)
    require(probabilities.shape == expected, f"predict_proba gives the shape {probabilities.shape}; it must be {expected}")
    require(probabilities.dtype == np.float64, f"predict_proba gives {probabilities.dtype}; it must be float64")
    require(np.isfinite(probabilities).all() and (probabilities >= 0).all(), "a probability is negative or not finite")
    require(np.allclose(probabilities.sum(axis=1), 1, atol=1e-6), "the probabilities of a clip do not sum to 1")
    return probabilities


@contextmanager
def saved(model: Classifier) -> Iterator[Path]:
    """The folder that a model is saved in, as long as it is open."""
    with TemporaryDirectory() as directory:
        model.save(Path(directory))
        yield Path(directory)


def contents(directory: Path) -> dict[str, bytes]:
    """The bytes of each file."""
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}
