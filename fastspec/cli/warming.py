"""`fastspec warmup`."""

from fastspec.cli.output import Json, Quiet, format_duration, print_json, tell, waiting


def warmup(json: Json = False, _quiet: Quiet = False) -> None:
    """Compile every kernel now, so that no later run waits for it.

    Example: FASTSPEC_CACHE=/opt/fastspec fastspec warmup
    """
    import time

    from fastspec.kernels.compiled import kernel_folder
    from fastspec.kernels.jit import compilations

    start = time.perf_counter()
    with waiting("compiling"):
        compile_ahead()
    (compiled, read), folder, taken = compilations(), kernel_folder(), time.perf_counter() - start
    if json:
        print_json("warmup", [{"cache": folder and str(folder), "compiled": compiled, "read": read, "seconds": taken}])
        return
    place = f"kept in {folder}" if folder else "for this process alone: there is no folder to keep them in; FASTSPEC_CACHE names one"
    tell(f"{compiled} kernels compiled, {read} read from the cache in {format_duration(taken)}; {place}")


def compile_ahead() -> None:
    """Decode once, and compute every preset and every block once. Sizes are data: what serves them serves every spec."""
    from typing import get_args

    import numpy as np

    from fastspec.audio import decode_ahead
    from fastspec.frontend import FrontEnd
    from fastspec.presets import PRESETS
    from fastspec.spec import Block, FeatureSpec

    decode_ahead()
    specs = [recipe.spec for recipe in PRESETS.values()]
    for spec in (*specs, FeatureSpec(features=get_args(Block), deltas=1)):
        samples = np.zeros(spec.sample_rate // 10, np.float32)
        samples[0] = np.nan  # what it covers is found by a kernel of its own
        FrontEnd(spec)(samples)
