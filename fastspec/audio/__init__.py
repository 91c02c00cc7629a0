"""Audio: recordings to clips at one rate and in one channel, with what the ledger says about each."""

from fastspec.audio.clip import ClipInfo, LoadedClip, Span, failed_clip, load_clips
from fastspec.audio.decode import AudioError, measure_frames, read
from fastspec.audio.resample import change_rate

__all__ = [
    "AudioError",
    "ClipInfo",
    "LoadedClip",
    "Span",
    "change_rate",
    "failed_clip",
    "load_clips",
    "measure_frames",
    "read",
]
