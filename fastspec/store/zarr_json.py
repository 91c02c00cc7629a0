"""The metadata of a store's group and arrays, as Zarr 3 specifies them.

Written here, since `zarr` takes long for three such files beside what a short run takes; tests compare them with its own.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.store.files import write_atomically
from fastspec.store.hashes import as_bytes
from fastspec.store.layout import Layout
from fastspec.store.place import Place

ZSTD_LEVEL = 3


def group_metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Of a group."""
    return {"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"}


def array_metadata(
    shape: Sequence[int],
    dtype: str,
    *,
    chunks: Sequence[int],
    dimensions: Sequence[str],
    fill_value: float | str = 0,
    compressed: bool = False,
) -> dict[str, Any]:
    """Of an array of little-endian numbers in regular chunks; "NaN" is a fill value that JSON has no number for.

    >>> array_metadata((5,), "int32", chunks=(2,), dimensions=("clips",))["chunk_grid"]
    {'name': 'regular', 'configuration': {'chunk_shape': [2]}}
    """
    codecs: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if compressed:
        codecs.append({"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}})
    return {
        "shape": list(shape),
        "data_type": np.dtype(dtype).name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value,
        "codecs": codecs,
        "attributes": {},
        "dimension_names": list(dimensions),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def features_metadata(layout: Layout) -> dict[str, Any]:
    """Of a store's features."""
    return array_metadata(
        layout.shape,
        layout.dtype,
        chunks=(layout.chunk_clips, *layout.shape[1:]),
        dimensions=("clips", "frames", "bands"),
        fill_value="NaN",
        compressed=layout.compression == "zstd",
    )


def write_numbers(folder: Path, values: NDArray[np.int32], *, chunk: int, dimension: str) -> None:
    """An array of one axis, `(values,)`, in a folder that is not there; not flushed to the disk."""
    (folder / "c").mkdir(parents=True)
    (folder / "zarr.json").write_bytes(to_json(array_metadata(values.shape, "int32", chunks=(chunk,), dimensions=(dimension,))))
    for number, start in enumerate(range(0, len(values), chunk)):
        whole = np.zeros(chunk, np.int32)
        whole[: len(values) - start] = values[start : start + chunk]
        (folder / "c" / str(number)).write_bytes(as_bytes(whole))


def consolidate(store: Place) -> None:
    """Put the metadata of both arrays into that of their group: readers need not look for them among files that are not Zarr's."""
    group = json.loads((store / "zarr.json").read_bytes())
    arrays = {name: json.loads((store / name / "zarr.json").read_bytes()) for name in ("features", "valid_frames")}
    group["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": arrays}
    write_atomically(store / "zarr.json", to_json(group))


def to_json(metadata: Mapping[str, Any]) -> bytes:
    """The content of a `zarr.json`."""
    return json.dumps(metadata, indent=2).encode()
