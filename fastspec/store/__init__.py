"""Feature stores: feature arrays in Zarr v3, and the ledger that says what happened to each clip.

STORE/
  fastspec.json     what the run was asked for (`Layout`): written first, never changed
  zarr.json         a Zarr group, so that xarray, dask and zarr open it without fastspec
  features/         (clips, frames, bands) float32 or float16, NaN where a clip failed
  valid_frames/     (clips,) int32: frames that a clip's own samples fill, the rest is padding
  manifest.parquet  what was to be read, one row a clip: a resumed run does not measure recordings anew
  commits/          a record a finished partition, while the run lasts
  ledger.parquet    one row a clip: path, label, group and status
  finished.json     written last: hashes of the chunks, of the valid frames and of the ledger
  source.json       where the corpus lay, and how it was read where `read_corpus` was told
  timings/          milliseconds of each stage, one row a partition: not the same from run to run

Behind a URL the same files are objects; see `fastspec.store.place` for what takes the place of a rename, and `lease` for that of a lock.
"""

from fastspec.store.differences import describe_changes
from fastspec.store.exporting import Format, export
from fastspec.store.layout import Compression, Layout
from fastspec.store.reading import FeatureStore, open_store, read_manifest
from fastspec.store.verifying import Damage, find_damage
from fastspec.store.writing import StoreWriter, read_ledger

__all__ = ["Compression", "Damage", "FeatureStore", "Format", "Layout", "StoreWriter", "describe_changes", "export", "find_damage"]
__all__ += ["open_store", "read_ledger", "read_manifest"]
