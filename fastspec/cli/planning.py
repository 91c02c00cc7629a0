"""What `fastspec featurize --plan` prints."""

from typing import TYPE_CHECKING, Any

from fastspec.cli.output import format_bytes, format_duration, print_json, show
from fastspec.errors import counted

if TYPE_CHECKING:
    from fastspec.pipeline import Forecast


def report_plan(forecast: "Forecast", store: str, *, json: bool) -> None:
    """Print what a run will write and take."""
    if json:
        print_json("featurize", [{"store": store, **_row(forecast)}])
    else:
        show(*_lines(forecast, store))


def _row(forecast: "Forecast") -> dict[str, Any]:
    layout = forecast.layout
    return {
        "clips": layout.n_clips,
        "clips_done": forecast.clips_done,
        "recordings": forecast.recordings,
        "clip_s": layout.recipe.clip.clip_s,
        "shape": list(layout.shape),
        "dtype": layout.dtype,
        "compression": layout.compression,
        "partitions": layout.n_partitions,
        "partition_clips": max(sum(stop - start for _, start, stop in layout.chunks(p)) for p in range(layout.n_partitions)),
        "chunks": layout.n_chunks,
        "bytes": layout.total_bytes,
        "free_bytes": forecast.free_bytes,
        "workers": forecast.workers,
        "memory_bytes": forecast.memory_bytes,
        "sampled_clips": forecast.sampled_clips,
        "estimated_seconds": forecast.seconds,
        "digest": layout.recipe.digest(),
    }


def _lines(forecast: "Forecast", store: str) -> list[str]:
    row, policy = _row(forecast), forecast.layout.recipe.clip
    windows = "" if policy.hop_s is None else f" every {policy.hop_s:g} s"
    done = f", {row['clips_done']:,} of them done" if row["clips_done"] else ""
    sample = f"{forecast.sampled_clips:,} of these {counted(row['clips'], 'clip')}"
    time = f"about {format_duration(forecast.seconds)}, an estimate by {sample}; writing comes on top"
    return [
        f"clips       {row['clips']:,} of {policy.clip_s:g} s{windows}, cut from {counted(row['recordings'], 'recording')}{done}",
        f"features    {forecast.layout.shape} {row['dtype']}; recipe {row['digest'][:12]}",
        f"partitions  {row['partitions']:,} of up to {counted(row['partition_clips'], 'clip')}; {counted(row['chunks'], 'chunk')}",
        f"on disk     {'at most ' * (row['compression'] != 'none')}{format_bytes(row['bytes'])}, and the ledger{_room(forecast)}",
        f"memory      {format_bytes(row['memory_bytes'])} for what is in flight, {counted(row['workers'], 'worker')} at once",
        f"time        {time if forecast.sampled_clips else 'none: all is done'}",
        f"{store}: nothing was written",
    ]


def _room(forecast: "Forecast") -> str:
    """How much is free where the store will lie, and whether that may be too little."""
    if forecast.free_bytes is None:
        return ""
    layout = forecast.layout
    needed = layout.total_bytes * (layout.n_clips - forecast.clips_done) // max(1, layout.n_clips)
    warning = " only, which is too little" if forecast.free_bytes < needed and layout.compression == "none" else ""
    return f"; {format_bytes(forecast.free_bytes)} free{warning}"
