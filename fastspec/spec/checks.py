"""What a `FeatureSpec` refuses: settings that cannot be computed. Each check raises SpecError and names field, value and remedy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastspec.errors import SpecError

if TYPE_CHECKING:
    from fastspec.spec.feature import FeatureSpec

MAX_N_FFT = 1 << 16
MAX_HOP_LENGTH = 1 << 30
MAX_N_MELS = 1 << 12
MEL_BLOCKS = frozenset({"mel", "mfcc", "pcen"})


def check_samples(spec: "FeatureSpec") -> None:
    """The samples that a spec takes, and what is done to them first."""
    if not 1 <= spec.sample_rate <= 1_000_000:
        raise SpecError(f"sample_rate is {spec.sample_rate} Hz; give 1 to 1000000")
    if spec.sample_scale not in (1.0, 32768.0):
        raise SpecError(f"sample_scale is {spec.sample_scale}; give 1.0, or 32768.0 for the range of 16-bit integers")
    if spec.dither != 0.0:
        raise SpecError(f"dither is {spec.dither}; give 0.0: random noise would make features differ from one run to the next")
    if not 0.0 <= spec.preemphasis <= 1.0:
        raise SpecError(f"preemphasis is {spec.preemphasis}; give 0 to 1, where 0 is none")


def check_framing(spec: "FeatureSpec") -> None:
    """Transform, window and frames."""
    if not 2 <= spec.n_fft <= MAX_N_FFT:
        raise SpecError(f"n_fft is {spec.n_fft}; give 2 to {MAX_N_FFT}")
    if not 1 <= spec.window_length <= spec.n_fft:
        raise SpecError(f"win_length is {spec.win_length} with n_fft {spec.n_fft}; give 1 <= win_length <= n_fft, or a larger n_fft")
    if not 1 <= spec.hop_length <= MAX_HOP_LENGTH:
        raise SpecError(f"hop_length is {spec.hop_length}; give 1 to {MAX_HOP_LENGTH} samples")
    if spec.center_on == "half_hop" and not spec.center:
        raise SpecError("center_on is 'half_hop' with center False; give center True, or center_on 'hop'")
    if spec.power not in (1.0, 2.0):
        raise SpecError(f"power is {spec.power}; give 1.0 for magnitude or 2.0 for power")


def check_bank(spec: "FeatureSpec") -> None:
    """The mel bank, where a block needs one."""
    if not MEL_BLOCKS.intersection(spec.features):
        return
    if not 1 <= spec.n_mels <= MAX_N_MELS:
        raise SpecError(f"n_mels is {spec.n_mels}; give 1 to {MAX_N_MELS} bands")
    nyquist = spec.sample_rate / 2
    if spec.upper_edge_hz > nyquist:
        raise SpecError(f"fmax is {spec.fmax} Hz, above half the sample rate, {nyquist} Hz; give at most that, or None")
    if not 0 <= spec.fmin < spec.upper_edge_hz:
        raise SpecError(
            f"fmin is {spec.fmin} Hz, which is not below fmax, {spec.upper_edge_hz} Hz; give 0 <= fmin < fmax <= sample_rate / 2"
        )


def check_log(spec: "FeatureSpec") -> None:
    """The logarithm, its floors and the normalisation."""
    if spec.log != "none" and not 1.2e-38 <= spec.log_floor <= 1e30:
        raise SpecError(f"log_floor is {spec.log_floor}; give 1.2e-38 (float32's least normal number) to 1e30")
    if spec.top_db is not None and spec.log == "none":
        raise SpecError(
            f"top_db is {spec.top_db} with log 'none'; top_db needs a logarithm: give log 'db', 'log10' or 'ln', or top_db None"
        )
    if spec.top_db is not None and not 0 <= spec.top_db <= 1e6:
        raise SpecError(f"top_db is {spec.top_db}; give 0 to 1e6 dB, or None")
    if not 1e-6 <= spec.norm_std <= 1e6:
        raise SpecError(f"norm_std is {spec.norm_std}; give 1e-6 to 1e6")
    if abs(spec.norm_mean) > 1e6:
        raise SpecError(f"norm_mean is {spec.norm_mean}; give -1e6 to 1e6")


def check_blocks(spec: "FeatureSpec") -> None:
    """The blocks and what is theirs alone."""
    _check_each_once(spec.features)
    if "mfcc" in spec.features:
        _check_mfcc(spec)
    if not 0 < spec.pcen_time_constant <= 3600:
        raise SpecError(f"pcen_time_constant is {spec.pcen_time_constant} s; give more than 0, at most 3600")
    if not 1e-30 <= spec.pcen_eps <= 1e30:
        raise SpecError(f"pcen_eps is {spec.pcen_eps}; give 1e-30 to 1e30")
    for name in ("pcen_gain", "pcen_bias", "pcen_power"):
        if not 0 <= getattr(spec, name) <= 1e6:
            raise SpecError(f"{name} is {getattr(spec, name)}; give 0 to 1e6")
    if not 1 <= spec.n_chroma <= 1200:
        raise SpecError(f"n_chroma is {spec.n_chroma}; give 1 to 1200 pitch classes")
    if spec.tuning is not None and not -1 <= spec.tuning <= 1:
        raise SpecError(f"tuning is {spec.tuning}; give -1 to 1 pitch classes, or None to estimate it from each clip")
    if not 0 < spec.roll_percent < 1:
        raise SpecError(f"roll_percent is {spec.roll_percent}; give a share between 0 and 1")
    if spec.deltas not in (0, 1, 2):
        raise SpecError(f"deltas is {spec.deltas}; give 0 for none, 1 for slopes, 2 for curvatures too")
    if not 3 <= spec.delta_width <= 999 or spec.delta_width % 2 == 0:
        raise SpecError(f"delta_width is {spec.delta_width}; give an odd number of frames, 3 to 999")


def _check_each_once(blocks: Sequence[str]) -> None:
    if not blocks:
        raise SpecError("features is empty; give one block or several, as in features=mel,mfcc")
    for block in blocks:
        if blocks.count(block) > 1:
            raise SpecError(f"features has {block!r} {blocks.count(block)} times; give each block once")


def _check_mfcc(spec: "FeatureSpec") -> None:
    if spec.log == "none":
        raise SpecError("features has 'mfcc' with log 'none'; cepstra need a logarithm: give log 'db', 'ln' or 'log10'")
    if not 1 <= spec.n_mfcc <= spec.n_mels:
        raise SpecError(f"n_mfcc is {spec.n_mfcc} with n_mels {spec.n_mels}; give 1 <= n_mfcc <= n_mels")
    if not 0 <= spec.lifter <= 1e6:
        raise SpecError(f"lifter is {spec.lifter}; give 0 to 1e6, where 0 is none")
