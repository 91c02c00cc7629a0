"""Features that are computed, or read, when somebody asks for them."""

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Self

import dask
import numpy as np
from dask.system import CPU_COUNT
from numpy.typing import NDArray

from fastspec.corpus import ClipRow, Manifest, Sample, read_corpus
from fastspec.corpus.packing import as_columns
from fastspec.errors import SpecError
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import Budget, share_memory
from fastspec.pipeline.compute import Recordings, compute_rows, group_clips, load_columns, working_bytes
from fastspec.pipeline.cutting import cut_clips
from fastspec.presets import preset
from fastspec.spec import Recipe
from fastspec.store import FeatureStore, open_store
from fastspec.store.place import locate_store
from fastspec.store.reading import is_store

if TYPE_CHECKING:
    import dask.array

BLOCK_GROUPS = 4


def feature_array(
    source: FeatureStore | Manifest | str | os.PathLike[str] | Iterable[Sample],
    *,
    recipe: Recipe | str | None = None,
    memory_bytes: int = 1 << 30,
) -> "dask.array.Array":
    """A lazy `dask.array` `(clips, frames, bands)`: read from a store's chunks, or computed from a corpus, when asked for.

    A clip that fails is NaN; `fastspec.featurize` also says why. Only a recipe whose clips depend on how long recordings are (windows,
    crops) has them measured first, since nothing else tells the shape.

    Args:
        source: a store, a manifest, or the path or URL of either.
        recipe: for a corpus: what to compute, with its clip length. A name is a preset.
        memory_bytes: for the blocks of a corpus that are being computed, in each process: those for which there is no room wait.

    Raises:
        SpecError: a corpus without a recipe or clip length, or a store with one.
        CorpusError, StoreError: the source cannot be read.
        FastspecError: the memory is too little for one block.
    """
    import dask.array  # and with it scipy, pandas and what else is installed: half a second that workers need not spend

    if isinstance(source, str | os.PathLike) and is_store(locate_store(source)):
        source = open_store(source)
    if isinstance(source, FeatureStore):
        if recipe is not None:
            raise SpecError(f"{source.path} is a store, which has its recipe; leave recipe out, or give the corpus")
        return dask.array.from_zarr(source.features)
    recipe = preset(recipe) if isinstance(recipe, str) else recipe
    if recipe is None or recipe.clip.clip_s is None:
        raise SpecError("features of a corpus need a recipe with a clip length; give one, as in preset('librosa', clip_s=3.0)")
    FrontEnd(recipe)  # refuses what cannot be computed before anything is decoded
    step = BLOCK_GROUPS * group_clips(recipe)
    room = _Room.of(memory_bytes, recipe, step)
    clips = cut_clips(source if isinstance(source, Manifest) else read_corpus(source), recipe)
    blocks = [clips.rows(start, start + step) for start in range(0, len(clips), step)]
    compute = dask.delayed(_compute_block, pure=False)
    parts = [(compute(rows, clips.recordings, recipe, room), (len(rows), *recipe.shape)) for rows in blocks]
    return dask.array.concatenate([dask.array.from_delayed(part, shape, np.float32) for part, shape in parts])


class _Room(NamedTuple):
    """The memory that blocks share in each process: one of the places, then what a large recording takes of the spare bytes."""

    places: Budget
    spare: Budget

    @classmethod
    def of(cls, memory_bytes: int, recipe: Recipe, clips: int) -> Self:
        """Of blocks of so many clips."""
        frames, bands = recipe.shape
        block_bytes = working_bytes(recipe, "float32") + 4 * clips * frames * bands
        fitting, spare = share_memory(memory_bytes, block_bytes, workers=CPU_COUNT)
        return cls(Budget(fitting), spare)


def _compute_block(rows: list[ClipRow], recordings: Recordings, recipe: Recipe, room: _Room) -> NDArray[np.floating]:
    with room.places.reserve(1):
        batches = load_columns([as_columns(rows)], recordings=recordings, recipe=recipe, budget=room.spare)
        return compute_rows(rows, 0, batches=batches, recipe=recipe, front=_front(recipe), on_group=lambda *_: None).features


@lru_cache(4)
def _front(recipe: Recipe) -> FrontEnd:
    return FrontEnd(recipe)
