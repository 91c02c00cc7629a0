"""A store as it begins: all that is known before anything is computed."""

from pathlib import Path

import polars as pl

from fastspec.store.layout import Layout
from fastspec.store.ledger import ROW_GROUP
from fastspec.store.source import Source
from fastspec.store.zarr_json import features_metadata, group_metadata, to_json


def write_draft(draft: Path, layout: Layout, manifest: pl.DataFrame, source: Source | None) -> None:
    """A store with nothing in it, in an empty folder, not flushed to the disk."""
    draft.chmod(0o755)  # mkdtemp makes it private
    parts = {name: [part.start, part.stop] for name, part in layout.recipe.spec.parts().items()}
    about = {"recipe": layout.recipe.to_dict(), "digest": layout.recipe.digest(), "parts": parts}
    (draft / "zarr.json").write_bytes(to_json(group_metadata({"fastspec": about})))
    (draft / "features").mkdir()
    (draft / "features" / "zarr.json").write_bytes(to_json(features_metadata(layout)))
    (draft / "commits").mkdir()
    manifest.lazy().sink_parquet(draft / "manifest.parquet", row_group_size=ROW_GROUP)
    (draft / "source.json").write_text((source or Source()).to_json())
    (draft / "fastspec.json").write_text(layout.to_json())
