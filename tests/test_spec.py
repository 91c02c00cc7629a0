"""Recipes: what is refused and how, and that nothing is lost on the way through JSON and TOML."""

import json

import pytest

from fastspec.errors import SpecError
from fastspec.presets import PRESETS, preset
from fastspec.spec import ClipPolicy, FeatureSpec, Recipe, parse_field


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"fmin": 5000.0, "fmax": 4000.0}, "fmin is 5000.0 Hz"),
        ({"fmax": 9000.0}, "above half the sample rate"),
        ({"win_length": 600}, "win_length is 600 with n_fft 512"),
        ({"hop_length": 0}, "hop_length is 0"),
        ({"n_fft": 1}, "n_fft is 1"),
        ({"n_mels": 0}, "n_mels is 0"),
        ({"n_mels": 80.0}, "give a whole number"),
        ({"n_mels": True}, "give a whole number"),
        ({"center": 1}, "give true or false"),
        ({"power": 3.0}, "power is 3.0"),
        ({"fmin": float("nan")}, "finite"),
        ({"window": "hannn"}, "did you mean 'hann'"),
        ({"mel_norm": "area"}, "known are: slaney, sum"),
        ({"top_db": 80.0, "log": "none"}, "needs a logarithm"),
        ({"hop_length": 1 << 31}, "give 1 to"),
        ({"n_mels": 99999999999}, "give 1 to 4096"),
        ({"log_floor": 1e-38}, "least normal number"),
        ({"top_db": -1.0, "log": "db"}, "give 0 to 1e6 dB"),
        ({"log_floor": 0.0}, "log_floor is 0.0"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"sample_scale": 2.0}, "sample_scale is 2.0; give 1.0, or 32768.0"),
        ({"dither": 1.0}, "dither is 1.0; give 0.0"),
        ({"preemphasis": 1.5}, "preemphasis is 1.5; give 0 to 1"),
        ({"remove_dc": "mean"}, "known are: clip, frame, none"),
        ({"center_on": "half_hop", "center": False}, "give center True"),
        ({"pad_mode": "reflected"}, "did you mean 'reflect'"),
        ({"mel_triangles": "bark"}, "known are: hz, mel, symmetric"),
        ({"norm_std": 0.0}, "norm_std is 0.0"),
        ({"norm_mean": 1e9}, "norm_mean is 1000000000.0"),
        ({"features": ()}, "features is empty"),
        ({"features": ("mel", "rms", "mel")}, "features has 'mel' 2 times"),
        ({"features": ("mel", "mfc")}, "features has 'mfc'; .*did you mean 'mfcc'"),
        ({"features": 3}, "give a name or a list of names"),
        ({"features": "mfcc", "log": "none"}, "cepstra need a logarithm"),
        ({"features": "mfcc", "n_mfcc": 81}, "n_mfcc is 81 with n_mels 80"),
        ({"features": "mfcc", "lifter": -1.0}, "lifter is -1.0"),
        ({"lifter_shape": "htk"}, "known are: kaldi, librosa"),
        ({"pcen_time_constant": 0.0}, "pcen_time_constant is 0.0 s"),
        ({"pcen_eps": 0.0}, "pcen_eps is 0.0"),
        ({"pcen_gain": -1.0}, "pcen_gain is -1.0"),
        ({"n_chroma": 0}, "n_chroma is 0"),
        ({"tuning": 1.5}, "tuning is 1.5"),
        ({"roll_percent": 1.0}, "roll_percent is 1.0"),
        ({"deltas": 3}, "deltas is 3"),
        ({"delta_width": 8}, "delta_width is 8; give an odd number"),
    ],
)
def test_impossible_setting__is_refused_by_name(fields, words):
    with pytest.raises(SpecError, match=words):
        FeatureSpec(**fields)


def test_unknown_field__names_the_nearest():
    with pytest.raises(SpecError, match=r"unknown field 'n_mel'.*did you mean 'n_mels'"):
        preset("librosa", n_mel=40)


@pytest.mark.parametrize("clip_s", [0.0, -1.0, 1e9])
def test_clip_length_out_of_range__is_refused(clip_s):
    with pytest.raises(SpecError, match="clip_s"):
        ClipPolicy(clip_s=clip_s)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"hop_s": 1.0}, "without clip_s"),
        ({"clip_s": 1.0, "hop_s": 0.0}, "hop_s is 0.0; give 0.001 to"),
        ({"clip_s": 1.0, "hop_s": 0.5, "crop": "end"}, "windows take the whole recording"),
        ({"clip_s": 1.0, "min_s": 2.0}, "min_s is 2.0"),
        ({"min_s": -1.0}, "min_s is -1.0"),
        ({"last": "dropped"}, "did you mean 'drop'"),
        ({"pad": "mirror"}, "known are: edge, frames, reflect, repeat, wrap, zeros"),
    ],
)
def test_window_policy_that_cannot_be_meant__is_refused(settings, words):
    with pytest.raises(SpecError, match=words):
        ClipPolicy(**settings)


def test_patch_presets__are_windows_as_their_references_cut_them():
    vggish, yamnet = preset("vggish"), preset("yamnet")
    assert (vggish.shape, vggish.clip.hop_s, vggish.clip.last) == ((96, 64), 0.96, "drop")
    assert (yamnet.shape, yamnet.clip.hop_s, yamnet.clip.last) == ((96, 64), 0.48, "pad")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset__survives_json_and_toml(name):
    recipe = preset(name, clip_s=1.5)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert Recipe.from_json(recipe.to_json()).digest() == recipe.digest()


def test_digest__covers_every_field():
    base = Recipe(clip=ClipPolicy(clip_s=1.0))
    changes = {
        "sample_rate": 8000, "n_fft": 400, "win_length": 400, "hop_length": 100, "window": "hamming", "periodic": False, "center": False,
        "pad_mode": "constant", "power": 1.0, "features": "stft", "n_mels": 40, "fmin": 20.0, "fmax": 4000.0, "mel_scale": "slaney",
        "mel_norm": "slaney", "allow_empty_bands": True, "log": "db", "log_floor": 1e-5, "log_floor_mode": "add", "clip_s": 2.0,
        "channel": "left", "resample": "VHQ", "pad": "repeat", "sample_scale": 32768.0, "remove_dc": "frame", "preemphasis": 0.97,
        "preemphasis_mode": "signal", "frame_span": "window", "center_on": "half_hop", "drop_last_frame": True, "mel_triangles": "mel",
        "normalize": "fixed", "norm_mean": 1.0, "norm_std": 2.0, "top_db": 80.0, "n_mfcc": 13, "lifter": 22.0, "lifter_shape": "kaldi",
        "mfcc_energy": True, "pcen_gain": 0.9, "pcen_bias": 1.0, "pcen_power": 0.25, "pcen_time_constant": 0.06, "pcen_eps": 1e-3,
        "n_chroma": 24, "tuning": 0.0, "roll_percent": 0.9, "deltas": 1, "delta_width": 5, "delta_method": "kaldi",
        "hop_s": 0.5, "last": "shift", "crop": "center", "min_s": 0.5,
    }  # fmt: skip
    digests = {base.replace(**{name: value}).digest() for name, value in changes.items()}
    assert len(digests | {base.digest()}) == len(changes) + 1
    assert set(changes) | {"dither"} == {name for table in base.to_dict().values() for name in table}


def test_whole_number_for_a_float__gives_the_same_digest():
    assert Recipe().replace(fmin=20).digest() == Recipe().replace(fmin=20.0).digest()


def test_one_block_or_several__by_name_list_or_text_give_the_same_digest():
    assert len({Recipe().replace(features=given).digest() for given in ("rms", ["rms"], ("rms",), parse_field("features", "rms"))}) == 1
    two = Recipe().replace(features=parse_field("features", "mel, rms"))
    assert two == Recipe.from_toml('[spec]\nfeatures = ["mel", "rms"]') == Recipe.from_json(two.to_json())
    assert two.digest() != Recipe().replace(features=("rms", "mel")).digest()


def test_parts__name_every_band_in_order():
    spec = FeatureSpec(features=("stft", "mfcc", "pcen", "chroma", "zcr"), n_fft=64, deltas=2, allow_empty_bands=True)
    stops = [(name, part.stop - part.start) for name, part in spec.parts().items()]
    sizes = {"stft": 33, "mfcc": 20, "pcen": 80, "chroma": 12, "zcr": 1}
    assert stops == [(block + ending, size) for block, size in sizes.items() for ending in ("", "_delta", "_delta2")]
    places = [i for part in spec.parts().values() for i in range(part.start, part.stop)]
    assert places == list(range(spec.n_bands))


@pytest.mark.parametrize(
    "text, words",
    [
        ("[spec]\nn_mells = 3", "n_mells"),
        ("[specs]\n", "unknown table"),
        ("spec = 3", "must be a table"),
        ("[spec", "not valid TOML"),
        ("[spec]\nn_mels = 'many'", "whole number"),
    ],
)
def test_broken_toml__is_refused_in_one_line(text, words):
    with pytest.raises(SpecError, match=words) as caught:
        Recipe.from_toml(text)
    assert "\n" not in str(caught.value)


def test_json_that_is_no_object__is_refused():
    with pytest.raises(SpecError, match="not a JSON object"):
        Recipe.from_json(json.dumps([1]))


@pytest.mark.parametrize("name, text", [("n_mels", "many"), ("center", "maybe"), ("fmin", "low"), ("n_melz", "3")])
def test_set_with_a_value_of_another_kind__is_refused(name, text):
    with pytest.raises(SpecError):
        parse_field(name, text)


def test_n_frames__is_the_count_that_librosa_and_kaldi_give():
    assert [FeatureSpec(n_fft=400, hop_length=160).n_frames(n) for n in (0, 1, 159, 160, 16000)] == [0, 1, 1, 2, 101]
    uncentred = FeatureSpec(n_fft=400, hop_length=160, center=False)
    assert [uncentred.n_frames(n) for n in (399, 400, 559, 560)] == [0, 1, 1, 2]


def test_n_frames__is_the_count_of_kaldi_whisper_and_tensorflow():
    snipped = FeatureSpec(n_fft=512, win_length=400, frame_span="window", center=False)
    assert [snipped.n_frames(n) for n in (399, 400, 559, 560, 15600)] == [0, 1, 1, 2, 96]
    whole = snipped.replace(center=True, center_on="half_hop")
    assert [whole.n_frames(n) for n in (1, 79, 80, 239, 240, 16000)] == [0, 0, 1, 1, 2, 100]
    whisper = FeatureSpec(n_fft=400, drop_last_frame=True)
    assert [whisper.n_frames(n) for n in (1, 159, 160, 480000)] == [0, 0, 1, 3000]
