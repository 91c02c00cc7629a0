"""Recordings that are arrays in memory, or functions that give them."""

import struct
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.corpus.manifest import Manifest, RecordingError, table_of_paths
from fastspec.errors import CorpusError, counted

SampleSource = NDArray[Any] | Callable[[], NDArray[Any]]
Sample = tuple[str, SampleSource, int, str | None]

_SHOWN = 10
_WAV_CODES = {"int16": (1, "<i2"), "int32": (1, "<i4"), "float32": (3, "<f4"), "float64": (3, "<f8")}
_MAX_WAV_BYTES = (4 << 30) - 100
_MAX_WAV_RATE = (1 << 32) - 1


@dataclass(frozen=True)
class Samples:
    """Recordings held by reference: `(samples,)` or `(samples, channels)` arrays, or functions that give one each time they are asked."""

    sources: dict[str, tuple[SampleSource, int]]

    def is_function(self, path: str) -> bool:
        """Whether a recording is made when it is asked for."""
        return path in self.sources and callable(self.sources[path][0])

    def open(self, path: str) -> bytes:
        """The samples as the bytes of a WAV file, lossless, made when they are asked for."""
        if path not in self.sources:
            raise RecordingError("unreadable", "no such recording in the corpus")
        source, sample_rate = self.sources[path]
        try:
            samples = np.asarray(source() if callable(source) else source)
        except Exception as error:  # the function is the caller's: it may raise anything, and costs its own row
            raise RecordingError("unreadable", f"its function raised {type(error).__name__}: {' '.join(str(error).split())}") from None
        problem = _array_problem(samples)
        if problem:
            raise RecordingError("unreadable", problem)
        return _as_wav(samples, sample_rate)

    def take(self, paths: Set[str]) -> "Samples":
        """Those of some paths alone."""
        return Samples({path: self.sources[path] for path in paths if path in self.sources})


def read_samples(samples: Iterable[Sample]) -> Manifest:
    """The manifest of `(id, samples, sample_rate, label)` tuples, in their order.

    Raises:
        CorpusError: none at all, or some that are not such tuples or repeat an id: all are reported.
    """
    sources: dict[str, tuple[SampleSource, int]] = {}
    labels: list[str | None] = []
    problems: list[str] = []
    for position, item in enumerate(samples):
        problem = _problem(item, sources)
        if problem:
            problems.append(f"item {position} {problem}")
            continue
        name, source, sample_rate, label = item
        sources[name] = (source, int(sample_rate))
        labels.append(label)
    if problems:
        shown = "; ".join(problems[:_SHOWN]) + (f"; and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else "")
        raise CorpusError(f"{counted(len(problems), 'item is no', 'items are no')} (id, samples, sample_rate, label): {shown}")
    if not sources:
        raise CorpusError("there are no samples; give (id, samples, sample_rate, label) for each recording")
    return Manifest(table_of_paths(list(sources), labels), "samples in memory", Samples(sources))


def _problem(item: Any, known: dict[str, Any]) -> str | None:
    if not isinstance(item, tuple) or len(item) != 4:
        return f"is {type(item).__name__!r}, not a tuple of four"
    name, source, sample_rate, label = item
    if not _is_text(name) or not name:
        return f"has the id {name!r}, not a text"
    if name in known:
        return f"repeats the id {name!r}"
    if not isinstance(sample_rate, (int, np.integer)) or not 1 <= sample_rate <= _MAX_WAV_RATE:
        return f"has the sample rate {sample_rate!r}, not a whole number of Hz"
    if label is not None and not _is_text(label):
        return f"has the label {label!r}, not a text or None"
    return None if callable(source) else _array_problem(np.asarray(source))


def _is_text(value: object) -> bool:
    """Whether it is a text, and no half of a character is in it."""
    return isinstance(value, str) and value == value.encode(errors="replace").decode()


def _array_problem(samples: NDArray[Any]) -> str | None:
    if samples.dtype.name not in _WAV_CODES:
        return f"has samples of type {samples.dtype}, not {', '.join(_WAV_CODES)}"
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= 1024):
        return f"has samples of shape {samples.shape}, not (samples,) or (samples, channels)"
    return f"has more than {_MAX_WAV_BYTES} bytes of samples" if samples.nbytes > _MAX_WAV_BYTES else None


def _as_wav(samples: NDArray[Any], sample_rate: int) -> bytes:
    """A RIFF file with a 16-byte `fmt ` chunk (code, channels, rate, bytes a second, bytes a frame, bits) and a `data` chunk.

    Bytes a second, which nobody reads, are as many as the chunk can say.
    """
    code, order = _WAV_CODES[samples.dtype.name]
    data = np.ascontiguousarray(samples, dtype=order).tobytes()
    channels, width = (1 if samples.ndim == 1 else samples.shape[1]), samples.dtype.itemsize
    bytes_a_second = min(sample_rate * channels * width, _MAX_WAV_RATE)
    header = struct.pack("<HHIIHH", code, channels, sample_rate, bytes_a_second, channels * width, 8 * width)
    body = b"WAVE" + _chunk(b"fmt ", header) + _chunk(b"data", data)
    return _chunk(b"RIFF", body)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content
