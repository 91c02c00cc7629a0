"""The walk from a manifest to features, over Dask partitions. The only room that knows Dask."""

from fastspec.pipeline.clip_length import choose_clip_length
from fastspec.pipeline.compute import FeatureBatch, load_rows
from fastspec.pipeline.run import Progress, check_output, featurize, plan_layout, stream_features

__all__ = ["FeatureBatch", "Progress", "check_output", "choose_clip_length", "featurize", "load_rows", "plan_layout", "stream_features"]
