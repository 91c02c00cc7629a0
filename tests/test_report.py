"""Pictures that put every frame and band where it belongs, and tables that fit a terminal of 80 columns."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from consoles import words

import fastspec.report
from fastspec.filters import mel_edges_hz
from fastspec.presets import preset
from fastspec.report import (
    ReportError,
    plot_confusion,
    plot_spectrogram,
    save_picture,
)
from fastspec.report.levels import decibels
from fastspec.report.ticks import frequency_ticks
from fastspec.spec import FeatureSpec, Recipe

RECIPE = Recipe().replace(n_mels=40)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def spectrogram(features: np.ndarray, recipe: Recipe = RECIPE, *, samples: np.ndarray | None = None, title: str = "a clip"):
    waveform = noise(16000) if samples is None else samples
    return plot_spectrogram(waveform, recipe.spec.sample_rate, features, recipe, title=title)


def test_pictures_and_tables__import_no_pyplot_and_tables_no_matplotlib():
    code = (
        "import sys, fastspec.report; fastspec.report.leaderboard_table; assert 'matplotlib' not in sys.modules;"
        "fastspec.report.plot_confusion; fastspec.report.plot_spectrogram; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_matplotlib__is_said_with_the_command_that_installs_it(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("fastspec.report.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ReportError, match=r"plot_spectrogram needs matplotlib.*pip install .*\[report\]'"):
        _ = fastspec.report.plot_spectrogram
    assert words(fastspec.report.scores_table([]))


def test_report__lists_exactly_what_it_has():
    assert all(hasattr(fastspec.report, name) for name in dir(fastspec.report))
    with pytest.raises(AttributeError, match="plot_everything"):
        _ = fastspec.report.plot_everything


def test_frames__lie_at_their_times():
    for center, first_s in ((True, 0.0), (False, 256 / 16000)):
        recipe = RECIPE.replace(center=center)
        left, right, bottom, top = spectrogram(noise(99, 40), recipe).axes[1].images[0].get_extent()
        assert (left, right) == pytest.approx((first_s - 0.005, first_s + 0.985))
        assert (bottom, top) == (-0.5, 39.5)


def test_blocks__have_a_picture_each_with_an_axis_of_their_own():
    recipe = RECIPE.replace(features=("mel", "stft", "mfcc", "chroma", "pcen", "centroid", "rms"), deltas=2)
    features = noise(50, recipe.spec.n_bands)
    _, *panels = spectrogram(features, recipe).axes[:8]
    frequency = "frequency (kHz)"
    labels = [frequency, frequency, "coefficient", "pitch class", frequency, "centroid (Hz)", "rms"]
    assert [axes.get_ylabel() for axes in panels] == labels
    assert [len(axes.images) for axes in panels] == [1, 1, 1, 1, 1, 0, 0]
    assert [tick.get_text() for tick in panels[3].get_yticklabels()] == list("CDEFGAB")
    np.testing.assert_array_equal(panels[6].lines[0].get_ydata(), features[:, recipe.spec.parts()["rms"].start])
    assert panels[0].get_xlim() == panels[6].get_xlim()


def test_waveform_and_spectrogram__share_the_time_axis():
    above, below, _ = spectrogram(noise(150, 40)).axes
    assert above.get_xlim() == below.get_xlim() == pytest.approx((0.0, 1.495))
    assert (below.get_xlabel(), below.get_ylabel()) == ("time (s)", "frequency (kHz)")


@pytest.mark.parametrize("n_samples", [500, 3000, 3001, 200_000])
def test_waveform__shows_its_extremes_at_any_length(n_samples):
    samples = noise(n_samples) * 0.01
    samples[n_samples // 3], samples[n_samples // 2] = 1.0, -0.75
    axes = spectrogram(noise(9, 40), samples=samples).axes[0]
    shown = axes.lines[0].get_ydata() if axes.lines else axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (np.min(shown), np.max(shown)) == (-0.75, 1.0)


@pytest.mark.parametrize("name", ["librosa", "torchaudio"])
def test_mel_ticks__stand_on_the_bands_of_their_frequencies(name):
    spec = preset(name).spec
    places, hz = frequency_ticks(spec)
    centres_hz = mel_edges_hz(spec)[1:-1]
    assert len(hz) >= 4
    for place, f in zip(places, hz, strict=True):
        below, above = centres_hz[int(np.floor(place))], centres_hz[int(np.ceil(place))]
        assert below <= f <= above


def test_stft_ticks__stand_on_the_bins_of_their_frequencies():
    places, hz = frequency_ticks(FeatureSpec(features="stft", n_fft=400))
    np.testing.assert_allclose(places * 16000 / 400, hz)


@pytest.mark.parametrize("fmin, fmax", [(0.0, 8000.0), (900.0, 1500.0), (0.0, 300.0), (3000.0, 8000.0)])
def test_ticks__are_several_inside_the_axis_and_never_crowded(fmin, fmax):
    spec = FeatureSpec(fmin=fmin, fmax=fmax, n_fft=4096, n_mels=20)
    places, hz = frequency_ticks(spec)
    assert len(places) >= 3
    assert np.all((places >= -0.5) & (places <= 19.5))
    assert np.all(np.diff(places) >= 0.07 * 20)
    assert np.all((hz >= fmin) & (hz <= fmax))


def test_low_band__is_labelled_in_hertz():
    recipe = RECIPE.replace(fmax=500.0, n_fft=4096, n_mels=20)
    assert spectrogram(noise(9, 20), recipe).axes[1].get_ylabel() == "frequency (Hz)"


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("log, scaled", [("none", lambda x: x), ("ln", np.log), ("log10", np.log10), ("db", lambda x: 10 * np.log10(x))])
def test_any_scale__is_shown_as_decibels_of_power(log, scaled, power):
    amplitude = np.array([[1.0, 0.1, 10.0]])
    shown = decibels(scaled(amplitude**power).astype(np.float32), FeatureSpec(log=log, power=power))
    np.testing.assert_allclose(shown, [[0.0, -20.0, 20.0]], atol=1e-4)


def test_colours__span_at_most_80_db_below_the_maximum():
    features = np.full((9, 40), -10.0, np.float32)
    features[3, 3] = 2.0
    (image,) = spectrogram(features).axes[1].images
    low, high = image.get_clim()
    assert high == image.get_array().max()
    assert high - low == pytest.approx(80.0)


def test_fixed_normalisation__is_undone_before_features_are_shown():
    spec = FeatureSpec(log="log10", normalize="fixed", norm_mean=-4.0, norm_std=4.0)
    np.testing.assert_allclose(decibels(np.float32([[1.0, 0.5]]), spec), [[0.0, -20.0]], atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, -10.0])
def test_clip_without_contrast__is_drawn_all_the_same(tmp_path, value):
    figure = spectrogram(np.full((9, 40), value, np.float32), samples=np.zeros(16000, np.float32))
    assert save_picture(figure, tmp_path / "flat.png").stat().st_size > 0


def test_nan_frames__have_no_colour_of_the_scale():
    features = noise(9, 40)
    features[4] = np.nan
    image = spectrogram(features).axes[1].images[0]
    assert np.flatnonzero(np.ma.getmaskarray(image.get_array()).all(axis=0)).tolist() == [4]


def test_title_with_dollar_signs__is_no_formula(tmp_path):
    figure = spectrogram(noise(9, 40), title=r"take $\bad$ 1.wav")
    assert save_picture(figure, tmp_path / "dollar.svg").exists()


@pytest.mark.parametrize("samples, features", [(noise(0), noise(9, 40)), (noise(10, 2), noise(9, 40)), (noise(10), noise(0, 40))])
def test_empty_or_misshapen_clip__is_refused(samples, features):
    with pytest.raises(ReportError, match="shape"):
        spectrogram(features, samples=samples)


def test_features_of_another_recipe__are_refused():
    with pytest.raises(ReportError, match=r"shape \(9, 64\); this recipe makes \(frames, 40\)"):
        spectrogram(noise(9, 64))


def test_confusion__has_counts_and_row_shares():
    figure = plot_confusion(np.array([[999, 1, 0], [0, 0, 0], [1, 1, 2]]), ["a", "b", "c"], title="three")
    axes = figure.axes[0]
    cells = {tuple(map(int, cell.get_position()[::-1])): cell.get_text() for cell in axes.texts}
    assert cells == {(0, 0): ">99%\n999", (0, 1): "<1%\n1", (2, 0): "25%\n1", (2, 1): "25%\n1", (2, 2): "50%\n2"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("actual", "predicted")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]


@pytest.mark.parametrize("n", [1, 2, 8, 20, 40])
def test_confusion_text__stays_inside_its_cell(n):
    figure = plot_confusion(np.full((n, n), 888), [f"class {i}" for i in range(n)], title="full")
    figure.canvas.draw()
    axes = figure.axes[0]
    cell = axes.get_window_extent().width / n
    extents = [cell_text.get_window_extent() for cell_text in axes.texts]
    assert len(extents) == (n * n if n <= 30 else 0)
    assert all(extent.width <= cell and extent.height <= cell for extent in extents)


def test_long_class_names__are_shortened_and_never_overlap():
    names = [f"a class whose name is rather long, number {i}" for i in range(12)]
    figure = plot_confusion(np.eye(12, dtype=np.int64), names, title="long")
    labels = figure.axes[0].get_xticklabels()
    assert len({label.get_text() for label in labels}) == 12
    assert {label.get_rotation() for label in labels} == {45.0}
    assert max(len(label.get_text()) for label in labels) <= 24


def test_confusion_of_the_wrong_shape__is_refused():
    with pytest.raises(ReportError, match=r"shape \(2, 2\) for 3 classes"):
        plot_confusion(np.eye(2, dtype=np.int64), ["a", "b", "c"], title="")


@pytest.mark.parametrize("ending", [".png", ".svg", ".PNG", ".pdf"])
def test_equal_figures__are_equal_files_without_dates(tmp_path, ending):
    for name in ("first", "second"):
        save_picture(spectrogram(noise(9, 40)), tmp_path / f"{name}{ending}")
    first = (tmp_path / f"first{ending}").read_bytes()
    assert first == (tmp_path / f"second{ending}").read_bytes()
    assert b"Matplotlib" not in first
    assert b"<dc:date>" not in first
    assert len(list(tmp_path.iterdir())) == 2


def test_pictures_drawn_in_threads__equal_those_drawn_alone(tmp_path):
    def draw(name: str) -> None:
        save_picture(spectrogram(noise(9, 40)), tmp_path / name)

    draw("alone.svg")
    threads = [threading.Thread(target=draw, args=(f"{i}.svg",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(tmp_path / f"{i}.svg").read_bytes() for i in range(4)} == {(tmp_path / "alone.svg").read_bytes()}


@pytest.mark.parametrize("name", ["picture.gif", "picture"])
def test_unknown_picture_ending__is_refused(tmp_path, name):
    with pytest.raises(ReportError, match=r"give a name that ends in \.png, \.svg or \.pdf"):
        save_picture(spectrogram(noise(9, 40)), tmp_path / name)


def test_picture_in_a_missing_folder__is_refused(tmp_path):
    with pytest.raises(ReportError, match="No such file or directory; give a folder"):
        save_picture(spectrogram(noise(9, 40)), tmp_path / "missing" / "picture.png")


def test_importance_of_another_shape__is_refused():
    recipe = preset("whisper", n_mels=40)
    with pytest.raises(ReportError, match=r"features are \(9, 40\) and their importance \(9, 39\)"):
        plot_spectrogram(np.ones(1600), 16000, np.zeros((9, 40)), recipe, title="", importance=np.zeros((9, 39)))


def test_reliability__shows_a_curve_for_each_with_its_error():
    from fastspec.report import plot_reliability

    random = np.random.default_rng(0)
    labels = (random.random(4000) < 0.7).astype(int)
    honest, boastful = (np.tile([1 - share, share], (4000, 1)) for share in (labels.mean(), 0.95))
    axes = plot_reliability(labels, {"honest": honest, "boastful": boastful}, title="x").axes[0]
    shown = [entry.get_text() for entry in axes.get_legend().get_texts()]
    assert shown == ["honest: error 0.000", f"boastful: error {0.95 - labels.mean():.3f}"]
    with pytest.raises(ReportError, match="no clips"):
        plot_reliability(np.empty(0, int), {}, title="x")


def test_durations_over_decades__are_ticked_at_1_2_and_5():
    figure = fastspec.report.plot_durations([0.3, 1.0, 8.0], title="lengths")
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels(which="both")]
    assert {text for text in labels if text} >= {"0.5", "1", "2", "5"}
    assert not any("times" in text for text in labels)
