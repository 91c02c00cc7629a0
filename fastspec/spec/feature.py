"""`FeatureSpec`: how a waveform becomes features."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from fastspec.display import changed_repr
from fastspec.spec.checks import check_bank, check_blocks, check_framing, check_log, check_samples
from fastspec.spec.fields import check_names, check_types

Block = Literal["mel", "stft", "mfcc", "pcen", "chroma", "centroid", "bandwidth", "rolloff", "flatness", "zcr", "rms"]
RemoveDc = Literal["none", "frame", "clip"]
PreemphasisMode = Literal["frame", "signal"]
Window = Literal["hann", "hamming", "blackman", "rectangular", "povey", "gaussian"]
FrameSpan = Literal["n_fft", "window"]
CenterOn = Literal["hop", "half_hop"]
PadMode = Literal["constant", "reflect", "symmetric"]
MelScale = Literal["slaney", "htk"]
MelTriangles = Literal["hz", "mel", "symmetric"]
MelNorm = Literal["slaney", "sum"]
Log = Literal["none", "ln", "log10", "db"]
LogFloorMode = Literal["clamp", "add"]
Normalize = Literal["none", "fixed", "per_band"]
Lifter = Literal["librosa", "kaldi"]
DeltaMethod = Literal["savgol", "kaldi"]

DELTA_ENDINGS = ("_delta", "_delta2")


@dataclass(frozen=True, kw_only=True, repr=False)
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
        power: 2.0 for power, 1.0 for magnitude; of "mel", "stft", "mfcc" and "pcen".
        features: blocks of bands, side by side in this order; `parts()` says where each stands. One name means itself alone. "mel" or
            "stft" alone is computed without a spectrogram ever in memory; all else holds that of one clip and is slower.

            - "mel": a mel filter bank. "stft": all `n_fft // 2 + 1` bins. Both go through the logarithm and `top_db`.
            - "mfcc": cepstral coefficients, the orthonormal DCT-II of "mel" (before `normalize`), the first `n_mfcc`.
            - "pcen": per-channel energy normalisation of the mel bank without a logarithm (Lostanlen et al. 2019; librosa's).
            - "chroma": power in `n_chroma` pitch classes from C, the largest of a frame 1 (librosa's `chroma_stft`).
            - "centroid", "bandwidth", "rolloff": in Hz, of the magnitude spectrum; "flatness": 0 to 1, of the power spectrum, each bin at
              least 1e-10 (librosa's `spectral_*`).
            - "zcr", "rms": sign changes a sample, and root mean square, over all `frame_length` samples of a frame as they come, times
              `sample_scale`; before the first sample and after the last one, librosa's padding: that sample for "zcr", zeros for "rms".
              librosa's own default is frames of 2048 samples every 512; here they are those of the spec.
        n_mels: bands of the mel bank.
        fmin: lowest edge of the bank, in Hz.
        fmax: highest edge of the bank, in Hz; None is `sample_rate / 2`.
        mel_scale: Slaney's (linear below 1 kHz) or HTK's `2595 log10(1 + f / 700)`, which is Kaldi's too.
        mel_triangles: sides straight over frequency ("hz"), over the mel scale ("mel": Kaldi, VGGish), or over frequency with the left
            side mirrored as the right one ("symmetric": SpeechBrain).
        mel_norm: "slaney" divides each triangle by half its width in Hz, "sum" by the sum of its weights (librosa's `norm=1`); None
            leaves peaks at 1.
        allow_empty_bands: keep mel bands so narrow that no bin falls into them (they are always zero) instead of refusing the spec.
        log: natural, base 10, `10 log10` ("db"), or none.
        log_floor: the least value that the logarithm sees.
        log_floor_mode: "clamp" is `log(max(x, floor))`, "add" is `log(x + floor)`.
        top_db: lift everything to at least the clip's maximum minus this many dB (in base 10, minus a tenth of it); None for no such
            floor. Needs a logarithm.
        n_mfcc: coefficients of "mfcc", at most `n_mels`.
        lifter: Q in the factor `1 + Q / 2 sin(pi i / Q)` of coefficient i; 0.0 for none.
        lifter_shape: i counts from 1 for the first coefficient ("librosa"), or from 0 ("kaldi").
        mfcc_energy: the first coefficient is the logarithm of the frame's energy instead: of the samples after `remove_dc`, before
            `preemphasis` and window, at least `log_floor` (Kaldi with `use_energy`).
        pcen_gain: g of "pcen", `(x / (eps + M)^g + bias)^power - bias^power` with M[t] = (1 - s) M[t - 1] + s x[t] from M[-1] = 1.
        pcen_bias: see there.
        pcen_power: see there; 0.0 is `log(1 + x / (eps + M)^g)`.
        pcen_time_constant: of M, in seconds: s = (sqrt(1 + 4 T^2) - 1) / (2 T^2) with T that many frames.
        pcen_eps: see there.
        n_chroma: pitch classes of an octave.
        tuning: how far the clip's pitches lie above A = 440 Hz, in pitch classes; None estimates it for each clip.
        roll_percent: "rolloff" is the frequency below which this share of the magnitude lies.
        deltas: 1 puts each block's slope over time after it ("mel_delta"), 2 its curvature too ("mel_delta2"); both are of values that a
            "fixed" normalisation has been through.
        delta_width: frames that a slope is taken over, odd.
        delta_method: a polynomial fitted to `delta_width` frames, at the clip's ends to the first and the last ones, in a shorter clip to
            all of them ("savgol": librosa); or Kaldi's add-deltas, which repeats the outermost frames and spans `2 * delta_width - 1` of
            them for the second ("kaldi", whose own width is 5).
        normalize: `(x - norm_mean) / norm_std` of "mel" and "stft" ("fixed"), or last of all, for each band of every block,
            `(x - mean) / (std + 1e-5)` over the clip's frames with the unbiased standard deviation ("per_band": NeMo).
        norm_mean: for "fixed".
        norm_std: for "fixed".

    A frame that covers a NaN or an infinity is NaN in every block. What runs along the frames leaves it out: the M of "pcen" stays as it
    was, and deltas are those of frames on a straight line across the gap.

    Raises:
        SpecError: a setting that cannot be computed, naming the field, what was given and what is allowed.

    >>> spec = FeatureSpec(sample_rate=16000, n_fft=512, win_length=400, hop_length=160, n_mels=80)
    >>> spec.shape(16000)
    (101, 80)
    >>> spec.replace(features=("mfcc", "rms"), n_mfcc=13, deltas=1).parts()
    {'mfcc': slice(0, 13, None), 'mfcc_delta': slice(13, 26, None), 'rms': slice(26, 27, None), 'rms_delta': slice(27, 28, None)}
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
    features: tuple[Block, ...] = ("mel",)
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
    n_mfcc: int = 20
    lifter: float = 0.0
    lifter_shape: Lifter = "librosa"
    mfcc_energy: bool = False
    pcen_gain: float = 0.98
    pcen_bias: float = 2.0
    pcen_power: float = 0.5
    pcen_time_constant: float = 0.4
    pcen_eps: float = 1e-6
    n_chroma: int = 12
    tuning: float | None = None
    roll_percent: float = 0.85
    deltas: int = 0
    delta_width: int = 9
    delta_method: DeltaMethod = "savgol"
    normalize: Normalize = "none"
    norm_mean: float = 0.0
    norm_std: float = 1.0

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        check_types(self)
        check_samples(self)
        check_framing(self)
        check_bank(self)
        check_log(self)
        check_blocks(self)

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
    def is_fused(self) -> bool:
        """Whether one block of "mel" or "stft" is all there is, which needs no second pass over the clip's frames."""
        return self.features in (("mel",), ("stft",)) and not self.deltas

    @property
    def n_bands(self) -> int:
        """Size of the last axis of the features."""
        return sum(map(self.block_size, self.features)) * (1 + self.deltas)

    def block_size(self, block: str) -> int:
        """Bands of a block, without its deltas."""
        sizes = {"mel": self.n_mels, "pcen": self.n_mels, "stft": self.n_fft // 2 + 1, "mfcc": self.n_mfcc, "chroma": self.n_chroma}
        return sizes.get(block, 1)

    def parts(self) -> dict[str, slice]:
        """Where the blocks and their deltas stand on the band axis, by name and in order."""
        parts, start = {}, 0
        for block in self.features:
            for ending in ("", *DELTA_ENDINGS[: self.deltas]):
                parts[block + ending] = slice(start, start + self.block_size(block))
                start += self.block_size(block)
        return parts

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
