"""`FeatureSpec`: how a waveform becomes features."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from fastspec.errors import SpecError
from fastspec.spec.fields import check_names, check_types

Features = Literal["mel", "stft"]
RemoveDc = Literal["none", "frame", "clip"]
PreemphasisMode = Literal["frame", "signal"]
Window = Literal["hann", "hamming", "blackman", "rectangular", "povey", "gaussian"]
FrameSpan = Literal["n_fft", "window"]
CenterOn = Literal["hop", "half_hop"]
PadMode = Literal["constant", "reflect", "symmetric"]
MelScale = Literal["slaney", "htk"]
MelTriangles = Literal["hz", "mel", "symmetric"]
MelNorm = Literal["slaney"]
Log = Literal["none", "ln", "log10", "db"]
LogFloorMode = Literal["clamp", "add"]
Normalize = Literal["none", "fixed", "per_band"]

MAX_N_FFT = 1 << 16
MAX_HOP_LENGTH = 1 << 30
MAX_N_MELS = 1 << 12


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """How a waveform becomes features of shape `(frames, bands)`. Fields bear librosa's names where librosa has one.

    A frame is the stretch of samples that one row of the features is computed from; they follow the signal in the order of the fields.

    Attributes:
        sample_rate: of the samples, in Hz.
        sample_scale: samples of -1 … 1 are multiplied by this: 32768.0 for front ends that count in 16-bit integers, else 1.0.
        dither: only 0.0, so that features are reproducible.
        remove_dc: subtract the mean of each frame ("frame"), of the clip before it is padded ("clip"), or nothing.
        preemphasis: a in `y[i] = x[i] - a * x[i - 1]`, 0 to 1; 0.0 for none.
        preemphasis_mode: "frame" filters each frame by itself, after `remove_dc`, and its first sample is `y[0] = (1 - a) * x[0]`
            (Kaldi); "signal" filters the clip before it is padded, and keeps its first sample (NeMo).
        n_fft: points of the Fourier transform. Factors 2, 3 and 5 are fast; any other prime p costs O(p) a point.
        win_length: points of the window; None is `n_fft`.
        hop_length: samples from one frame to the next.
        window: shape of the window; "povey" is a Hann window to the power 0.85, "gaussian" has a standard deviation of 0.2 windows.
        periodic: True for the DFT-even window (period `win_length`), False for the symmetric one.
        frame_span: a frame is `n_fft` samples with the window in its middle ("n_fft"), or as long as the window ("window").
        center: frames are centred on `center_on`, padded where they reach beyond the clip; False starts frame t at sample
            `t * hop_length` and pads nothing.
        center_on: sample `t * hop_length` ("hop"), or `(t + 1/2) * hop_length` ("half_hop": Kaldi with snip_edges off).
        drop_last_frame: leave out the last frame.
        pad_mode: what stands beyond the clip when `center`: zeros, or the clip mirrored as `numpy.pad` does, without ("reflect") or with
            ("symmetric") its outermost sample.
        power: 2.0 for power, 1.0 for magnitude.
        features: "mel" for a mel filter bank, "stft" for all `n_fft // 2 + 1` bins.
        n_mels: bands of the mel bank.
        fmin: lowest edge of the bank, in Hz.
        fmax: highest edge of the bank, in Hz; None is `sample_rate / 2`.
        mel_scale: Slaney's (linear below 1 kHz) or HTK's `2595 log10(1 + f / 700)`, which is Kaldi's too.
        mel_triangles: sides straight over frequency ("hz"), over the mel scale ("mel": Kaldi, VGGish), or over frequency with the left
            side mirrored as the right one ("symmetric": SpeechBrain).
        mel_norm: "slaney" divides each triangle by half its width in Hz; None leaves peaks at 1.
        allow_empty_bands: keep mel bands so narrow that no bin falls into them (they are always zero) instead of refusing the spec.
        log: natural, base 10, `10 log10` ("db"), or none.
        log_floor: the least value that the logarithm sees.
        log_floor_mode: "clamp" is `log(max(x, floor))`, "add" is `log(x + floor)`.
        top_db: lift everything to at least the clip's maximum minus this many dB (in base 10, minus a tenth of it); None for no such
            floor. Needs a logarithm.
        normalize: after all that, `(x - norm_mean) / norm_std` ("fixed"), or for each band `(x - mean) / (std + 1e-5)` over the clip's
            frames with the unbiased standard deviation ("per_band": NeMo).
        norm_mean: for "fixed".
        norm_std: for "fixed".

    Raises:
        SpecError: a setting that cannot be computed, naming the field, what was given and what is allowed.

    >>> spec = FeatureSpec(sample_rate=16000, n_fft=512, win_length=400, hop_length=160, n_mels=80)
    >>> spec.shape(16000)
    (101, 80)
    >>> FeatureSpec(fmin=9000.0)
    Traceback (most recent call last):
    fastspec.errors.SpecError: fmin is 9000.0 Hz, which is not below fmax, 8000.0 Hz; give 0 <= fmin < fmax <= sample_rate / 2
    """

    sample_rate: int = 16000
    sample_scale: float = 1.0
    dither: float = 0.0
    remove_dc: RemoveDc = "none"
    preemphasis: float = 0.0
    preemphasis_mode: PreemphasisMode = "frame"
    n_fft: int = 512
    win_length: int | None = None
    hop_length: int = 160
    window: Window = "hann"
    periodic: bool = True
    frame_span: FrameSpan = "n_fft"
    center: bool = True
    center_on: CenterOn = "hop"
    drop_last_frame: bool = False
    pad_mode: PadMode = "reflect"
    power: float = 2.0
    features: Features = "mel"
    n_mels: int = 80
    fmin: float = 0.0
    fmax: float | None = None
    mel_scale: MelScale = "htk"
    mel_triangles: MelTriangles = "hz"
    mel_norm: MelNorm | None = None
    allow_empty_bands: bool = False
    log: Log = "log10"
    log_floor: float = 1e-10
    log_floor_mode: LogFloorMode = "clamp"
    top_db: float | None = None
    normalize: Normalize = "none"
    norm_mean: float = 0.0
    norm_std: float = 1.0

    def __post_init__(self) -> None:
        check_types(self)
        _check_samples(self)
        _check_framing(self)
        _check_bank(self)
        _check_log(self)

    @property
    def window_length(self) -> int:
        """Samples under the window: `win_length`, or `n_fft` when that is None."""
        return self.n_fft if self.win_length is None else self.win_length

    @property
    def frame_length(self) -> int:
        """Samples that a frame spans: `n_fft` or the window, as `frame_span` says."""
        return self.n_fft if self.frame_span == "n_fft" else self.window_length

    @property
    def first_sample(self) -> int:
        """The sample under the start of frame 0's window; negative where frames are centred."""
        before = (self.frame_length - self.window_length) // 2
        if not self.center:
            return before
        return before - self.frame_length // 2 + (self.hop_length // 2 if self.center_on == "half_hop" else 0)

    @property
    def upper_edge_hz(self) -> float:
        """Highest edge of the bank in Hz: `fmax`, or the Nyquist frequency when that is None."""
        return self.sample_rate / 2 if self.fmax is None else self.fmax

    @property
    def n_bands(self) -> int:
        """Size of the last axis of the features."""
        return self.n_mels if self.features == "mel" else self.n_fft // 2 + 1

    def n_frames(self, n_samples: int) -> int:
        """Frames that `n_samples` samples give. The only frame-count formula there is.

        >>> FeatureSpec(n_fft=512, hop_length=160).n_frames(16000), FeatureSpec(n_fft=512, hop_length=160, center=False).n_frames(511)
        (101, 0)
        """
        if n_samples <= 0:
            return 0
        if self.center and self.center_on == "half_hop":
            count = (n_samples + self.hop_length // 2) // self.hop_length
        else:
            padded = n_samples + (2 * (self.frame_length // 2) if self.center else 0)
            count = 1 + (padded - self.frame_length) // self.hop_length
        return max(0, count - self.drop_last_frame)

    def shape(self, n_samples: int) -> tuple[int, int]:
        """`(frames, bands)` of the features of `n_samples` samples."""
        return self.n_frames(n_samples), self.n_bands

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields changed, validated anew."""
        check_names(changes, FeatureSpec)
        return replace(self, **changes)


def _check_samples(spec: FeatureSpec) -> None:
    if not 1 <= spec.sample_rate <= 1_000_000:
        raise SpecError(f"sample_rate is {spec.sample_rate} Hz; give 1 to 1000000")
    if spec.sample_scale not in (1.0, 32768.0):
        raise SpecError(f"sample_scale is {spec.sample_scale}; give 1.0, or 32768.0 for the range of 16-bit integers")
    if spec.dither != 0.0:
        raise SpecError(f"dither is {spec.dither}; give 0.0: random noise would make features differ from one run to the next")
    if not 0.0 <= spec.preemphasis <= 1.0:
        raise SpecError(f"preemphasis is {spec.preemphasis}; give 0 to 1, where 0 is none")


def _check_framing(spec: FeatureSpec) -> None:
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


def _check_bank(spec: FeatureSpec) -> None:
    if spec.features == "stft":
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


def _check_log(spec: FeatureSpec) -> None:
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
