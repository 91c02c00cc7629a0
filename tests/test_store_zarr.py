"""What a store says of its arrays, beside what Zarr itself would say."""

import json

import numpy as np
import pytest
import zarr
from zarr.codecs import ZstdCodec

from fastspec.store.place import list_files
from fastspec.store.writing import write_valid_frames
from fastspec.store.zarr_json import ZSTD_LEVEL, array_metadata, group_metadata, to_json


def written_by_zarr(path):
    return json.loads((path / "zarr.json").read_text())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_metadata_of_features__is_what_zarr_writes(dtype, compressed, tmp_path):
    axes = ("clips", "frames", "bands")
    zarr.create_array(
        tmp_path / "a",
        shape=(10, 3, 4),
        chunks=(4, 3, 4),
        dtype=dtype,
        fill_value=float("nan"),
        compressors=ZstdCodec(level=ZSTD_LEVEL) if compressed else None,
        dimension_names=axes,
    )
    ours = array_metadata((10, 3, 4), dtype, chunks=(4, 3, 4), dimensions=axes, fill_value="NaN", compressed=compressed)
    assert json.loads(to_json(ours)) == written_by_zarr(tmp_path / "a")


def test_metadata_of_a_group__is_what_zarr_writes(tmp_path):
    zarr.create_group(tmp_path / "g", attributes={"fastspec": {"digest": "é"}})
    assert json.loads(to_json(group_metadata({"fastspec": {"digest": "é"}}))) == written_by_zarr(tmp_path / "g")


@pytest.mark.parametrize("n_clips", [1, 65_536, 65_537])
def test_valid_frames__are_the_files_that_zarr_writes(n_clips, tmp_path):
    values = np.random.default_rng(n_clips).integers(0, 500, n_clips).astype(np.int32)
    write_valid_frames(tmp_path, values)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "valid_frames", mode="r")[:], values, strict=True)
    zarr.create_array(tmp_path / "theirs", data=values, chunks=(65_536,), compressors=None, dimension_names=("clips",))
    assert list_files(tmp_path / "valid_frames") == list_files(tmp_path / "theirs")
    for name in list_files(tmp_path / "theirs") - {"zarr.json"}:
        assert (tmp_path / "valid_frames" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    assert written_by_zarr(tmp_path / "valid_frames") == written_by_zarr(tmp_path / "theirs")
