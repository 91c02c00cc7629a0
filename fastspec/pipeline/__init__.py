"""The walk from a manifest to features, over Dask partitions. The only room that knows Dask."""

from fastspec.pipeline.clip_length import choose_clip_length
from fastspec.pipeline.compute import FeatureBatch, load_rows
from fastspec.pipeline.cutting import cut_clips
from fastspec.pipeline.isolating import Isolation
from fastspec.pipeline.lazy import feature_array
from fastspec.pipeline.repair import repair
from fastspec.pipeline.run import OnError, Plan, check_failed, check_output, featurize, map_features, plan_run, stream_features
from fastspec.pipeline.surveying import survey_clips
from fastspec.pipeline.update import update
from fastspec.pipeline.work import Progress

__all__ = ["FeatureBatch", "Isolation", "Plan", "Progress", "check_output", "choose_clip_length", "cut_clips", "featurize", "load_rows"]
__all__ += ["OnError", "check_failed", "feature_array", "map_features", "plan_run", "repair", "stream_features", "survey_clips", "update"]
