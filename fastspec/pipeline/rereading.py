"""The corpus that a store was made from, read again as it is now."""

import os
from collections.abc import Mapping
from functools import partial

from fastspec.corpus import Manifest, NoColumnsError, read_corpus
from fastspec.errors import CorpusError, StoreError
from fastspec.store import read_manifest
from fastspec.store.place import Place
from fastspec.store.source import read_source


def read_again(
    path: Place,
    corpus: Manifest | str | os.PathLike[str] | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    label_from: str | None = None,
    group_from: str | None = None,
) -> Manifest:
    """The corpus of the store at a path: where it was, and read as it was, unless told otherwise here.

    Args:
        path: of the store.
        corpus: where it is now. A manifest is what it is.
        columns: beside those that the store was made with, and before them.
        label_from: instead of what the store was made with.
        group_from: likewise.

    Raises:
        StoreError: nobody knows where it was.
        CorpusError: it cannot be read.
    """
    if isinstance(corpus, Manifest):
        return corpus
    known, reading = read_source(path)
    if (place := corpus or known) is None:
        raise StoreError(f"{path} does not say where its recordings are; give the corpus, by --corpus or after the store of an update")
    kept = reading.columns or {}
    read = partial(read_corpus, place, label_from=label_from or reading.label_from, group_from=group_from or reading.group_from)
    try:
        return read(columns={**kept, **(columns or {})})
    except NoColumnsError:
        if columns:
            raise
        return read()  # what was a table is a folder now
    except CorpusError as error:
        if columns or not kept or "column" not in str(error):
            raise
        told = ", ".join(f"{name}={column}" for name, column in kept.items())
        raise CorpusError(f"{error} (the store has it that columns are {told}; give --column for what is otherwise now)") from None


def recordings_of(
    path: Place, corpus: Manifest | str | os.PathLike[str] | None = None, *, columns: Mapping[str, str] | None = None
) -> Manifest:
    """The rows of the store at a path with the recordings of its corpus; see `read_again`."""
    return read_again(path, corpus, columns=columns).with_table(read_manifest(path))
