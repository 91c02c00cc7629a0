"""Clips to embeddings, each computed once."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from fastspec_transfer.cache import EmbeddingCache
from fastspec_transfer.networks import Network

Float32 = NDArray[np.float32]

_VIEWS_AT_ONCE = 16
_KEPT_AT_ONCE = 32  # clips whose embeddings are written together: what a run that is killed may lose


def embed_clips(network: Network, features: Float32, valid_frames: NDArray[np.int32], *, threads: int, cache: EmbeddingCache) -> Float32:
    """Embeddings `(clips, dimensions)` float32: the mean over a clip's views.

    A network sees one clip at a time, so that an embedding depends on its clip alone, not on what is computed beside it.

    Args:
        features: `(clips, frames, bands)` float32, one clip at least; frames that hold NaN are left out.
        valid_frames: `(clips,)` int32.
        threads: that the network may use.
        cache: where embeddings are looked up and kept, by a hash of what the network is shown and of what it is.
    """
    clips = [_usable(clip, n_valid) for clip, n_valid in zip(features, valid_frames, strict=True)]
    version = network.version(threads)
    keys = [_key(version, clip) for clip in clips]
    known = cache.read(keys)
    fresh: dict[bytes, Float32] = {}
    for key, clip in zip(keys, clips, strict=True):
        if key not in known:
            known[key] = fresh[key] = _embed(network, clip, threads)
        if len(fresh) == _KEPT_AT_ONCE:
            cache.write(fresh)
            fresh = {}
    if fresh:
        cache.write(fresh)
    return np.stack([known[key] for key in keys])


def _usable(clip: Float32, n_valid: int) -> Float32:
    valid = clip[:n_valid]
    return np.ascontiguousarray(valid[np.isfinite(valid).all(axis=1)], np.float32)


def _key(version: str, clip: Float32) -> bytes:
    digest = hashlib.blake2b(f"{version} {clip.shape}".encode(), digest_size=16)
    digest.update(clip.tobytes())
    return digest.digest()


def _embed(network: Network, clip: Float32, threads: int) -> Float32:
    run, views = network.load(threads), network.look(clip)
    seen = np.concatenate([run(views[first : first + _VIEWS_AT_ONCE]) for first in range(0, len(views), _VIEWS_AT_ONCE)])
    mean = seen.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(mean) if network.unit_length else 0.0
    return np.asarray(mean / length if length else mean, np.float32)
