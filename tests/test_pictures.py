"""`fastspec plot`: what each kind shows, in the units and the size that were asked for, each frequency where it belongs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.corpus import read_corpus
from fastspec.errors import FastspecError
from fastspec.frontend import FrontEnd
from fastspec.learn.metrics import class_areas, score
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.report import Look, ReportError, parse_size, plot, plot_grid, plot_roc, plot_spectrogram, save_picture
from fastspec.report.roc import roc_curve
from fastspec.report.ticks import band_places, band_ticks

RECIPE = preset("librosa", sample_rate=16000, n_fft=1024, win_length=1024, hop_length=256, n_mels=64)


def tone(hz: float, *, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * 16000)) / 16000)).astype(np.float32)


@pytest.fixture
def recording(tmp_path, write_tone) -> str:
    return str(write_tone(tmp_path / "tone.wav", hz=2000.0, seconds=2.0))


@pytest.fixture
def sounds(tmp_path, write_tone) -> Path:
    for i, label in enumerate("aaab"):
        write_tone(tmp_path / "sounds" / label / f"{i}.wav", hz=500.0 * (i + 1), seconds=0.5 + 0.1 * i)
    return tmp_path / "sounds"


def image_of(figure):
    (image,) = [image for axes in figure.axes for image in axes.images][:1]
    return image


@pytest.mark.parametrize("unit, value", [("hz", "2000"), ("khz", "2"), ("mel", "30")])
@pytest.mark.parametrize("kind", ["mel", "spectrogram"])
def test_ridge_of_a_tone__stands_at_the_tick_of_its_frequency_in_every_unit(recording, kind, unit, value):
    figure = plot([recording], recipe=RECIPE, kind=kind, look=Look(frequency=unit))
    panel = figure.axes[1]
    assert panel.get_ylabel() == f"frequency ({ {'hz': 'Hz', 'khz': 'kHz', 'mel': 'mel'}[unit] })"
    ridge = int(np.nanargmax(image_of(figure).get_array().mean(axis=1)))
    ticks = {label.get_text(): place for label, place in zip(panel.get_yticklabels(), panel.get_yticks(), strict=True)}
    if unit == "mel":  # 2 kHz are 25.1 of Slaney's mels
        assert ticks["20"] < ridge < ticks[value]
        assert (ridge - ticks["20"]) / (ticks[value] - ticks["20"]) == pytest.approx(0.51, abs=0.15)
    else:
        assert ridge == pytest.approx(ticks[value], abs=0.75)


@pytest.mark.parametrize("kind", ["mel", "stft"])
def test_places_of_frequencies__rise_from_the_lowest_band_to_the_highest(kind):
    spec = RECIPE.spec.replace(features=kind)
    places = band_places(np.array([10.0, 100.0, 1000.0, 7900.0]), spec)
    assert np.all(np.diff(places) > 0)
    assert places[0] < 0.1 * spec.n_bands < 0.9 * spec.n_bands < places[-1]


def test_ticks_of_a_small_axis__are_further_apart():
    near, far = (band_ticks(RECIPE.spec, apart=apart)[0] for apart in (0.07, 0.2))
    assert len(far) < len(near)
    assert np.diff(far).min() >= 0.2 * 64
    assert band_ticks(RECIPE.spec.replace(features="stft"), apart=0.2)[1] == ["0", "2", "4", "6", "8"]
    assert band_ticks(RECIPE.spec.replace(features="chroma"), apart=0.2)[1] == ["C", "E", "G", "B"]


@pytest.mark.parametrize("unit, label", [("s", "0.5"), ("ms", "500")])
def test_time__is_counted_from_the_start_of_the_recording_in_its_unit(recording, unit, label):
    figure = plot([recording], recipe=RECIPE, look=Look(time=unit), start_s=0.25, duration_s=0.5)
    figure.canvas.draw()
    panel = figure.axes[1]
    assert panel.get_xlim() == pytest.approx((0.25, 0.75))
    assert panel.get_xlabel() == f"time ({unit})"
    places = {text.get_text(): place for text, place in zip(panel.get_xticklabels(), panel.get_xticks(), strict=True)}
    assert places[label] == pytest.approx(0.5)


def test_stretch__has_no_edges_that_the_recording_has_not(recording):
    figure = plot([recording], recipe=RECIPE, kind="spectrogram", start_s=0.5, duration_s=0.5)
    image, panel = image_of(figure), figure.axes[1]
    left, right, _, _ = image.get_extent()
    centres = left + (np.arange(image.get_array().shape[1]) + 0.5) * (right - left) / image.get_array().shape[1]
    inside = (centres > 0.5) & (centres < 1.0)
    high = image.get_array()[400:, inside]
    assert panel.get_xlim() == pytest.approx((0.5, 1.0))
    assert inside.sum() > 25
    assert high.max() < image.get_array().max() - 60


@pytest.mark.parametrize("size", [(900, 500), (701, 333), (1400, 1000)])
def test_size__is_exact_to_the_pixel(recording, tmp_path, size):
    for kind in ("features", "waveform", "chroma"):
        figure = plot([recording], recipe=RECIPE, kind=kind)
        save_picture(figure, tmp_path / "p.png", size=size)
        with Image.open(tmp_path / "p.png") as image:
            assert image.size == size


@pytest.mark.parametrize("text", ["900", "900x", "axb", "900x500x3", "-1x5", "4x4", "900x99999"])
def test_size_that_cannot_be__is_refused(text):
    with pytest.raises(ReportError, match="size"):
        parse_size(text)


def test_colours__reach_as_far_down_as_asked(recording):
    for range_db in (40.0, 100.0):
        low, high = image_of(plot([recording], recipe=RECIPE, look=Look(range_db=range_db))).get_clim()
        assert high - low == pytest.approx(range_db)


@pytest.mark.parametrize("kind, label", [("chroma", "pitch class"), ("mfcc", "coefficient"), ("mel", "frequency (kHz)")])
def test_kinds__have_axes_of_their_own(recording, kind, label):
    assert plot([recording], recipe=RECIPE, kind=kind).axes[1].get_ylabel() == label


def test_cepstra__have_colours_for_nine_tenths_without_coefficient_0(recording):
    image = image_of(plot([recording], recipe=RECIPE, kind="mfcc"))
    others, (low, high) = image.get_array()[1:], image.get_clim()
    assert 0.9 <= np.mean((others >= low) & (others <= high)) < 1
    assert image.get_array()[0].max() < low


def test_levels__count_from_a_full_scale_sine(tmp_path, write_tone):
    half = str(write_tone(tmp_path / "half.wav", hz=997.0, seconds=2.0, amplitude=0.5))
    for kind in ("mel", "spectrogram"):
        figure = plot([half], recipe=RECIPE, kind=kind)
        assert image_of(figure).get_clim()[1] == pytest.approx(-6.0, abs=0.5)
        assert figure.axes[-1].get_ylabel() == "level (dBFS)"


def test_chroma__has_the_same_colours_in_every_picture(recording):
    assert image_of(plot([recording], recipe=RECIPE, kind="chroma")).get_clim() == (0.0, 1.0)


def test_without_waveform__features_have_the_title():
    features = FrontEnd(RECIPE)(tone(500.0))
    figure = plot_spectrogram(tone(500.0), 16000, features, RECIPE, title="a tone", look=Look(waveform=False))
    assert [axes.get_title() for axes in figure.axes if axes.images] == ["a tone"]
    assert not any(axes.get_ylabel() == "amplitude" for axes in figure.axes)


def test_several_recordings__stand_below_each_other_with_equal_colours(tmp_path, write_tone):
    paths = [str(write_tone(tmp_path / f"{hz}.wav", hz=hz, amplitude=hz / 4000)) for hz in (500, 2000)]
    images = [axes.images[0] for axes in plot(paths, recipe=RECIPE).axes if axes.images]
    assert len({image.get_clim() for image in images}) == 1
    assert [int(image.get_array().mean(axis=1).argmax()) for image in images] == sorted(
        int(image.get_array().mean(axis=1).argmax()) for image in images
    )
    with pytest.raises(ReportError, match="2 recordings are given; give one for its waveform"):
        plot(paths, recipe=RECIPE, kind="waveform")


def test_corpus__is_a_row_a_class_with_some_clips_of_each(sounds):
    figure = plot([str(sounds)], recipe=RECIPE, kind="mel", each=2)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_ylabel() for axes in shown] == ["a", "", "b"]
    assert {axes.get_xlim() for axes in shown} == {shown[0].get_xlim()}


def test_store__is_drawn_from_its_features(sounds, tmp_path):
    featurize(read_corpus(sounds), tmp_path / "s.zarr", recipe=RECIPE.replace(clip_s=0.5), workers=0)
    figure = plot([str(tmp_path / "s.zarr")], recipe=RECIPE, each=3)
    assert len([axes for axes in figure.axes if axes.images]) == 4
    classes = plot([str(tmp_path / "s.zarr")], recipe=RECIPE, kind="classes").axes[0]
    assert [label.get_text() for label in classes.get_yticklabels()] == ["a", "b"]
    with pytest.raises(ReportError, match="is a store, which holds features alone"):
        plot([str(tmp_path / "s.zarr")], recipe=RECIPE, kind="durations")


def test_classes_and_durations__count_a_corpus(sounds):
    classes = plot([str(sounds)], recipe=RECIPE, kind="classes").axes[0]
    assert [(text.get_text()) for text in classes.texts] == ["3", "1"]
    durations = plot([str(sounds)], recipe=RECIPE, kind="durations").axes[0]
    assert sum(patch.get_height() for patch in durations.patches) == 4


def test_grid_of_blocks_side_by_side__is_refused():
    with pytest.raises(ReportError, match="one block with several bands"):
        plot_grid({"a": [np.zeros((9, 65), np.float32)]}, RECIPE.replace(features=("mel", "rms")), title="x")
    with pytest.raises(ReportError, match="no clips"):
        plot_grid({"a": []}, RECIPE, title="x")


def test_broken_recording__is_said_with_its_reason(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"not audio")
    with pytest.raises(ReportError, match=r"bad\.wav cannot be drawn, it is unreadable"):
        plot([str(tmp_path / "bad.wav")], recipe=RECIPE)


def test_roc__agrees_with_scikit_learn_on_ties_and_all():
    from sklearn.metrics import roc_auc_score
    from sklearn.metrics import roc_curve as expected

    random = np.random.default_rng(0)
    positive, scores = random.integers(0, 2, 300) == 1, random.integers(0, 20, 300) / 20
    false, true = roc_curve(positive, scores)
    sk_false, sk_true, _ = expected(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose((false, true), (sk_false, sk_true))
    assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(positive, scores))


def test_areas_of_classes__have_intervals_around_them_and_the_headline_as_their_mean():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    probabilities = random.dirichlet(np.ones(3), 120) + 0.4 * np.eye(3)[labels]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    groups = np.arange(120).astype(str)
    areas = class_areas(labels, probabilities, groups=groups, seed=0, n_resamples=200)
    assert all(area["roc_auc_low"] < area["roc_auc"] < area["roc_auc_high"] for area in areas)
    mean = score(labels, probabilities[None], classes=["a", "b", "c"]).roc_auc
    assert np.mean([area["roc_auc"] for area in areas]) == pytest.approx(mean)


def test_roc_picture__has_a_curve_a_class_from_corner_to_corner_and_leaves_out_absent_ones():
    labels, probabilities = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]])
    areas = class_areas(labels, probabilities, groups=np.array(list("abcd")), seed=0)
    axes = plot_roc(labels, probabilities, ["$x", "y", "z"], areas=areas, title="three").axes[0]
    _, *curves = axes.lines
    assert [(line.get_xdata()[0], line.get_ydata()[-1]) for line in curves] == [(0, 1), (0, 1)]
    assert [text.get_text().split()[0] for text in axes.get_legend().get_texts()] == ["$x", "y"]
    with pytest.raises(ReportError, match="two classes"):
        plot_roc(np.zeros(3, int), np.ones((3, 1)), ["only"], areas=areas, title="x")


def test_plot_command__writes_equal_bytes_twice_as_png_svg_and_pdf(recording, tmp_path):
    for ending in ("png", "svg", "pdf"):
        for name in ("a", "b"):
            options = ["--kind", "spectrogram", "--time", "ms", "--frequency", "hz", "--size", "640x360", "--set", "window=gaussian"]
            result = CliRunner().invoke(app, ["plot", recording, "-o", str(tmp_path / f"{name}.{ending}"), *options])
            assert result.exit_code == 0, result.output
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--colormap", "jet"], "unknown colormap 'jet'"),
        (["--range", "0"], "the range is 0 dB"),
        (["--size", "big"], "the size 'big' cannot be read"),
        (["-o", "p.gif"], r"a name that ends in \.png, \.svg or \.pdf"),
        (["--start", "9"], "cannot be drawn, it is empty"),
        (["--kind", "grid", "--set", "features=rms"], "one block with several bands"),
    ],
)
def test_plot_command__says_what_is_wrong(recording, tmp_path, options, message):
    arguments = ["plot", recording, "-o", str(tmp_path / "p.png"), *options]
    with pytest.raises(FastspecError, match=message):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not (tmp_path / "p.png").exists()


def test_evaluate__draws_what_is_asked_for(sounds, tmp_path, write_tone):
    for i in range(8):
        write_tone(sounds / "ab"[i % 2] / f"more{i}.wav", hz=300.0 + 900 * (i % 2) + 10 * i, seconds=0.5)
    featurize(read_corpus(sounds), tmp_path / "s.zarr", recipe=RECIPE.replace(clip_s=0.5), workers=0)
    options = [word for name in ("confusion", "roc", "reliability") for word in (f"--{name}", str(tmp_path / f"{name}.svg"))]
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path / "s.zarr"), "-m", "logistic", "--folds", "2", *options])
    assert result.exit_code == 0
    assert all((tmp_path / f"{name}.svg").stat().st_size > 1000 for name in ("confusion", "roc", "reliability"))
