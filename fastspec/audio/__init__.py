"""Audio: recordings to clips at one rate and in one channel, with what the ledger says about each."""

from fastspec.audio.batch import Batches, ClipBatch, decode_ahead, ledger_infos, load_batches
from fastspec.audio.clip import ClipInfo, LoadedClip, Policy, Span, failed_clip, load_clips
from fastspec.audio.decode import Extent, measure_extent, measure_frames, read
from fastspec.audio.errors import AudioError
from fastspec.audio.group import WORKING_BYTES, Request, Source, Starts, load_recordings
from fastspec.audio.isolation import ISOLATION_POSSIBLE, TIMEOUT_S, Decoders, Isolated
from fastspec.audio.resample import change_rate
from fastspec.audio.survey import Survey, survey
from fastspec.audio.windows import Cuts, cut_stretch

__all__ = [
    "ISOLATION_POSSIBLE",
    "TIMEOUT_S",
    "WORKING_BYTES",
    "AudioError",
    "Batches",
    "ClipBatch",
    "ClipInfo",
    "Cuts",
    "Decoders",
    "Extent",
    "Isolated",
    "LoadedClip",
    "Policy",
    "Request",
    "Source",
    "Span",
    "Starts",
    "Survey",
    "change_rate",
    "cut_stretch",
    "decode_ahead",
    "failed_clip",
    "ledger_infos",
    "load_batches",
    "load_clips",
    "load_recordings",
    "measure_extent",
    "measure_frames",
    "read",
    "survey",
]
