"""The walk from a manifest to features, over Dask partitions. The only room that knows Dask."""

from fastspec.pipeline.clip_length import choose_clip_length
from fastspec.pipeline.compute import FeatureBatch, load_rows
from fastspec.pipeline.cutting import cut_clips
from fastspec.pipeline.isolating import Isolation
from fastspec.pipeline.lazy import feature_array
from fastspec.pipeline.partition import OnError
from fastspec.pipeline.planning import Forecast, forecast
from fastspec.pipeline.repair import repair
from fastspec.pipeline.rereading import read_again, recordings_of
from fastspec.pipeline.run import Plan, check_failed, check_output, featurize, map_clips, map_features, plan_run, stream_features
from fastspec.pipeline.scheduling import open_scheduler
from fastspec.pipeline.surveying import survey_clips
from fastspec.pipeline.update import update
from fastspec.pipeline.work import Progress

__all__ = ["FeatureBatch", "Forecast", "Isolation", "OnError", "Plan", "Progress", "check_failed", "check_output", "choose_clip_length"]
__all__ += ["cut_clips", "feature_array", "featurize", "forecast", "load_rows", "map_clips", "map_features", "open_scheduler", "plan_run"]
__all__ += ["read_again", "recordings_of", "repair", "stream_features", "survey_clips", "update"]
