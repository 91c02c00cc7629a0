"""The walk from a manifest to features, over Dask partitions. The only room that knows Dask."""

from fastspec.pipeline.clip_length import choose_clip_length
from fastspec.pipeline.compute import FeatureBatch, load_rows
from fastspec.pipeline.cutting import cut_clips
from fastspec.pipeline.run import Plan, check_output, featurize, plan_run, stream_features
from fastspec.pipeline.surveying import survey_clips
from fastspec.pipeline.work import Progress

__all__ = ["FeatureBatch", "Plan", "Progress", "check_output", "choose_clip_length", "cut_clips", "featurize", "load_rows"]
__all__ += ["plan_run", "stream_features", "survey_clips"]
