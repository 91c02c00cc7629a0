"""What a run was asked for: all that decides a store's bytes, and how they are cut into chunks and partitions."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Self, get_args

import numpy as np
import polars as pl

from fastspec.errors import StoreError, choices
from fastspec.spec import Dtype, Recipe, check_dtype
from fastspec.store.place import Place

FORMAT = 1
CHUNK_BYTES = 16 << 20
PARTITIONS = 64
MAX_PARTITION_CHUNKS = 8

Compression = Literal["none", "zstd"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The identity of a store. Two runs with equal layouts write equal bytes.

    Attributes:
        recipe: with its clip length set.
        manifest_digest: of what was to be read, before it was cut into clips.
        n_clips: how many clips it gave.
        versions: of everything whose change could change a value.
        dtype: that the features are kept in.
        compression: of the chunks of features.
        joined: partitions that only go on with the recording of the one before (`find_joined`) and are done with it.
    """

    recipe: Recipe
    manifest_digest: str
    n_clips: int
    versions: dict[str, str]
    dtype: Dtype = "float32"
    compression: Compression = "none"
    joined: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.compression not in get_args(Compression):
            raise StoreError(f"the compression {self.compression!r} is unknown; {choices(self.compression, get_args(Compression))}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(clips, frames, bands)` of the features."""
        return (self.n_clips, *self.recipe.shape)

    @property
    def clip_bytes(self) -> int:
        """Bytes of one clip's features."""
        frames, bands = self.recipe.shape
        return np.dtype(self.dtype).itemsize * frames * bands

    @property
    def total_bytes(self) -> int:
        """Bytes of all chunks before they are compressed; each is whole, the last one too."""
        return self.n_chunks * self.chunk_clips * self.clip_bytes

    @property
    def chunk_clips(self) -> int:
        """Clips in a chunk: the power of two that makes it 8 to 16 MiB, by the recipe and the dtype alone."""
        fitting = max(1, CHUNK_BYTES // self.clip_bytes)
        return 1 << (fitting.bit_length() - 1)

    @property
    def n_chunks(self) -> int:
        """How many chunks hold all clips."""
        return -(-self.n_clips // self.chunk_clips)

    @property
    def partition_chunks(self) -> int:
        """Chunks in a partition: 1 in a small store, so that all workers have something to do, up to 8 in a large one."""
        return min(MAX_PARTITION_CHUNKS, max(1, self.n_chunks // PARTITIONS))

    @property
    def partition_clips(self) -> int:
        """Clips in a partition, before some are joined."""
        return self.partition_chunks * self.chunk_clips

    @property
    def n_partitions(self) -> int:
        """How many partitions the run is cut into."""
        return len(self._first_chunks) - 1

    @cached_property
    def _first_chunks(self) -> list[int]:
        """The first chunk of each partition, then the number of chunks."""
        joined = frozenset(self.joined)
        apart = [p for p in range(-(-self.n_chunks // self.partition_chunks)) if p not in joined]
        return [*(p * self.partition_chunks for p in apart), self.n_chunks]

    def find_joined(self, paths: pl.Series | Sequence[str]) -> tuple[int, ...]:
        """What `joined` should be for clips of these recordings, in order.

        A partition decodes its recordings from their start. One in the middle of a recording that also fills the partition before it
        would decode most of that again; a recording is therefore decoded twice at most.
        """
        runs = pl.Series(paths, dtype=pl.String).rle_id().to_numpy()
        firsts = np.arange(self.partition_clips, len(runs), self.partition_clips)
        joined = 1 + np.flatnonzero(runs[firsts] == runs[firsts - self.partition_clips])
        return tuple(joined.tolist())

    def chunks(self, partition: int) -> Iterator[tuple[int, int, int]]:
        """Each chunk of a partition: its number, first clip and the clip after its last."""
        for chunk in range(self._first_chunks[partition], self._first_chunks[partition + 1]):
            yield chunk, chunk * self.chunk_clips, min((chunk + 1) * self.chunk_clips, self.n_clips)

    def to_json(self) -> str:
        """The content of `fastspec.json`."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def read(cls, store: Place) -> Self:
        """The layout of an existing store.

        Raises:
            StoreError: there is none, it is damaged, or a newer fastspec wrote it.
        """
        try:
            data: dict[str, Any] = json.loads((store / "fastspec.json").read_bytes())
            if data["format"] > FORMAT:
                raise StoreError(f"{store} has the store format {data['format']}; this fastspec reads up to {FORMAT}, upgrade it")
            recipe = Recipe.from_dict(data["recipe"])
            check_dtype(recipe.spec, data["dtype"])
            return cls(
                recipe=recipe,
                manifest_digest=data["manifest_digest"],
                n_clips=int(data["n_clips"]),
                versions=dict(data["versions"]),
                dtype=data["dtype"],
                compression=data.get("compression", "none"),
                joined=tuple(data.get("joined", ())),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{store} has no readable fastspec.json ({type(error).__name__}); it is no store or it is damaged") from None

    def check_same(self, other: Self, store: Place, *, rows: str = "") -> None:
        """That a run with the layout `other` may go on with the store that has this one.

        `rows` says how the manifests differ, where they do.

        Raises:
            StoreError: what differs, with both values.
        """
        changes = [f"{name} is {was!r} there and {now!r} here" for name, (was, now) in self.recipe.differences(other.recipe).items()]
        digests = f"the recipe there has the digest {self.recipe.digest()[:12]}, here it has {other.recipe.digest()[:12]}: "
        differences = [digests + ", ".join(changes)] if changes else []
        if self.dtype != other.dtype:
            differences.append(f"dtype is {self.dtype} there and {other.dtype} here")
        if self.compression != other.compression:
            differences.append(f"compression is {self.compression} there and {other.compression} here")
        if self.manifest_digest != other.manifest_digest:
            differences.append(
                f"the manifest there has the digest {self.manifest_digest[:12]} and gave {self.n_clips} clips, "
                f"here it has the digest {other.manifest_digest[:12]}{': ' * bool(rows)}{rows}"
            )
        differences += self._other_versions(other.versions)
        if differences:
            raise StoreError(f"{store} cannot be resumed: {'; '.join(differences)}; give the same again, or overwrite it to start anew")

    def check_versions(self, versions: dict[str, str], store: Place) -> None:
        """That what computes now gives the bits of what computed the store.

        Raises:
            StoreError: what differs, with both versions.
        """
        if differences := self._other_versions(versions):
            raise StoreError(
                f"{store} cannot be changed: {'; '.join(differences)}; install the same again, or make it anew with --overwrite"
            )

    def _other_versions(self, versions: dict[str, str]) -> list[str]:
        names = sorted(self.versions.keys() | versions.keys())
        changed = [name for name in names if self.versions.get(name) != versions.get(name)]
        return [f"{name} is {self.versions.get(name)} there and {versions.get(name)} here" for name in changed]
