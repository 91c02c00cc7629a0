"""Where the corpus of a store lies and how it is read: what repair, update and reports need to find its recordings again."""

import json
from typing import NamedTuple

from fastspec.corpus import Manifest, Reading
from fastspec.store.files import write_atomically
from fastspec.store.place import Place


class Source(NamedTuple):
    """What a store was made from.

    Attributes:
        corpus: where it lies; None is not known, or samples in memory.
        reading: how it was read.
    """

    corpus: str | None = None
    reading: Reading = Reading()

    @classmethod
    def of(cls, manifest: Manifest) -> "Source":
        """Where a manifest comes from."""
        return cls(manifest.address, manifest.reading)

    def to_json(self) -> str:
        """The content of `source.json`, without what was left to `read_corpus`."""
        return json.dumps({"corpus": self.corpus, **{name: told for name, told in self.reading._asdict().items() if told}})


def write_source(path: Place, source: Source) -> None:
    """Have the store at `path` say what it was made from."""
    write_atomically(path / "source.json", source.to_json().encode())


def read_source(path: Place) -> Source:
    """What the store at `path` was made from, as far as it says so."""
    try:
        told = json.loads((path / "source.json").read_bytes())
        columns = {str(name): str(column) for name, column in told.get("columns", {}).items()}
        patterns = (told.get(name) and str(told[name]) for name in ("label_from", "group_from"))
        known = told["corpus"] is None or isinstance(told["corpus"], str)
        return Source(told["corpus"], Reading(columns or None, *patterns)) if known else Source()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Source()
