"""A corpus as pictures: exact pixels, one a clip, under names that lead nowhere else."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.corpus import read_corpus
from fastspec.errors import FastspecError
from fastspec.filters import hz_to_mel, mel_edges_hz
from fastspec.frontend import FrontEnd
from fastspec.presets import preset
from fastspec.report import Look, ReportError, write_images
from fastspec.report.canvas import bare_canvas, make_palette
from fastspec.report.colours import COLORMAPS, colours
from fastspec.report.file_names import distinct_names, folded, safe_name
from fastspec.report.frame import framed_canvas
from fastspec.report.image_names import name_images
from fastspec.report.images import INDEX
from fastspec.report.levels import decibels, full_scale_db
from fastspec.report.png import encode_png
from fastspec.spec import Recipe

MEL = preset("librosa", clip_s=1.0, sample_rate=16000, n_fft=1024, win_length=1024, hop_length=256, n_mels=64, top_db=None)
STFT = MEL.replace(features="stft")
BARE = Look(waveform=False)


def tone(hz: float, *, amplitude: float = 0.5, sample_rate: int = 16000, seconds: float = 1.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * sample_rate)) / sample_rate)).astype(np.float32)


@pytest.fixture
def sounds(tmp_path, write_tone) -> Path:
    for label, hz in (("low", 300.0), ("high", 3000.0)):
        for i in range(2):
            write_tone(tmp_path / "sounds" / label / f"{i}.wav", hz=hz + i, seconds=0.8 + 0.4 * i)
    return tmp_path / "sounds"


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def ridge_row(picture: np.ndarray) -> int:
    """The row of pixels that is brightest on the whole."""
    return int(picture.sum(axis=(1, 2)).argmax())


def test_png__is_what_pillow_reads_back():
    indices = np.random.default_rng(0).integers(0, 256, (37, 53), np.uint8)
    palette = make_palette("magma", greys=64).colours
    with Image.open(io.BytesIO(encode_png(indices, palette))) as image:
        image.load()
        assert (image.mode, image.size) == ("P", (53, 37))
        np.testing.assert_array_equal(np.asarray(image), indices)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), palette[indices])


@pytest.mark.parametrize("name", COLORMAPS)
def test_colormaps__get_lighter_all_the_way_so_that_a_grey_printer_keeps_their_order(name):
    linear = (colours(name, 192) / 255.0) ** 2.2
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) > -2e-3)
    assert luminance[-1] - luminance[0] > 0.5


@pytest.mark.parametrize("name", COLORMAPS[:4])
def test_colormaps__are_those_that_matplotlib_has_under_these_names(name):
    import matplotlib

    np.testing.assert_allclose(colours(name), matplotlib.colormaps[name](np.arange(256))[:, :3] * 255, atol=0.51)
    np.testing.assert_array_equal(colours(f"{name}_r"), colours(name)[::-1])


@pytest.mark.parametrize("hz", [250.0, 1000.0, 3000.0, 7000.0])
@pytest.mark.parametrize("recipe", [MEL, STFT], ids=["mel", "stft"])
def test_tone__is_a_ridge_at_its_frequency_with_low_ones_at_the_bottom(recipe, hz):
    canvas = bare_canvas(recipe, size=(200, 400), look=BARE, relative=False)
    picture = canvas.palette.colours[canvas.draw(FrontEnd(recipe)(tone(hz)))].astype(int)
    edges = mel_edges_hz(recipe.spec)
    low, high, at = hz_to_mel([edges[0], edges[-1], hz], "slaney")
    share = (hz / 8000 * 512 + 0.5) / 513 if recipe is STFT else ((at - low) / (high - low) * 65 - 0.5) / 64
    assert ridge_row(picture) + 0.5 == pytest.approx(400 * (1 - share), abs=1.0 + 200 / recipe.spec.n_bands)


def test_full_scale_tone__has_the_highest_colour_and_one_20_db_below_is_that_much_lower():
    canvas = bare_canvas(STFT, size=None, look=BARE, relative=False)
    loud, quiet = (canvas.draw(FrontEnd(STFT)(tone(997.0, amplitude=a))).astype(int) for a in (1.0, 0.1))
    assert loud.max() == 255
    assert (loud.max() - quiet.max()) / 254 * 80 == pytest.approx(20, abs=0.5)


def test_relative_pictures__of_equal_sounds_at_two_levels_are_equal():
    front, look = FrontEnd(STFT), Look(range_db=40.0)
    canvas = framed_canvas(STFT, size=(300, 200), look=look, relative=True)
    fixed = framed_canvas(STFT, size=(300, 200), look=look, relative=False)
    loud, quiet = tone(997.0), tone(997.0, amplitude=0.125)
    np.testing.assert_array_equal(canvas.draw(front(loud), loud), canvas.draw(front(quiet), quiet))
    assert np.any(fixed.draw(front(loud), loud) != fixed.draw(front(quiet), quiet))


@pytest.mark.parametrize("name", ["librosa", "kaldi", "whisper", "torchaudio", "vggish"])
def test_full_scale__is_the_greatest_level_of_the_sine_whatever_the_scale(name):
    spec = preset(name, top_db=None).spec
    half = FrontEnd(spec)(tone(997.0, sample_rate=spec.sample_rate))
    assert full_scale_db(spec) - decibels(half, spec).max() == pytest.approx(20 * np.log10(2), abs=0.3)


def test_without_size__a_pixel_is_a_frame_and_a_band():
    features = FrontEnd(MEL)(tone(500.0))
    canvas = bare_canvas(MEL, size=None, look=BARE, relative=True)
    drawn = canvas.draw(features)
    assert drawn.shape == (64, 63) == features.shape[::-1]
    shares = np.clip((features.T[::-1] - features.max()) / 80 + 1, 0, 1)
    np.testing.assert_allclose((drawn.astype(float) - 1) / 254, shares, atol=0.5 / 254 + 1e-6)


def test_nan_frames__are_grey_and_no_others():
    features = FrontEnd(MEL)(tone(500.0)).copy()
    features[7] = np.nan
    canvas = bare_canvas(MEL, size=None, look=BARE, relative=False)
    grey = (canvas.palette.colours[canvas.draw(features)] == round(0.7 * 255)).all(axis=2)
    assert np.flatnonzero(grey.all(axis=0)).tolist() == [7]
    assert not grey[:, :7].any()


@pytest.mark.parametrize("size", [(900, 500), (333, 251), (240, 180), (64, 640)])
def test_sizes__are_exact_to_the_pixel_with_axes_and_without(sounds, tmp_path, size):
    for axes in (True, False) if min(size) > 100 else (False,):
        written = write_images(read_corpus(sounds), tmp_path / f"{axes}", recipe=MEL, size=size, axes=axes)
        assert written.size == size
        with Image.open(tmp_path / f"{axes}" / "low" / "0.png") as image:
            assert image.size == size


def test_framed_picture__shows_the_bare_one_within_its_axes_and_leaves_the_frame():
    features = FrontEnd(STFT)(tone(2000.0))
    canvas = framed_canvas(STFT, size=(600, 400), look=BARE, relative=False)
    drawn, box = canvas.draw(features), canvas.levels_box
    inside = box.of(drawn)[3:-3, 3:-3]
    assert (inside >= canvas.palette.greys).all()
    outside = drawn.copy()
    box.of(outside)[:] = box.of(canvas.background)
    np.testing.assert_array_equal(outside, canvas.background)
    assert ridge_row(canvas.palette.colours[inside].astype(int)) / len(inside) == pytest.approx(1 - 2000 / 8000, abs=0.01)


def test_waveform__reaches_as_high_as_its_amplitude_where_its_samples_are():
    samples = np.zeros(16000, np.float32)
    samples[8000:12000] = tone(200.0, amplitude=0.5, seconds=0.25)
    canvas = framed_canvas(STFT, size=(600, 400), look=Look(), relative=False)
    assert canvas.waveform_box is not None
    drawn = canvas.waveform_box.of(canvas.draw(FrontEnd(STFT)(samples), samples))
    height, width = drawn.shape
    dark = drawn[2:-2, 2:-2] < 40
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.sum(axis=0) > 4)
    assert (rows[-1] - rows[0]) / height == pytest.approx(1.0 / 2.16, abs=0.04)
    assert (columns[0] / width, columns[-1] / width) == pytest.approx((0.5, 0.75), abs=0.02)


def test_pictures__lie_in_class_folders_with_an_index(sounds, tmp_path):
    written = write_images(read_corpus(sounds), tmp_path / "pictures", recipe=MEL, axes=False)
    assert files_below(tmp_path / "pictures") == ["high/0.png", "high/1.png", "index.csv", "low/0.png", "low/1.png"]
    index = pl.read_csv(tmp_path / "pictures" / INDEX)
    assert index["path"].to_list() == written.index["path"].to_list()
    assert set(index["status"]) == {"ok"}
    again = read_corpus(tmp_path / "pictures" / INDEX, columns={"path": "source"})
    assert again.classes == ["high", "low"]
    assert soundfile.info(again.open(again.table["path"][0])).samplerate == 16000


def test_tall_tone__stands_higher_in_its_file_than_a_deep_one(sounds, tmp_path):
    write_images(read_corpus(sounds), tmp_path / "p", recipe=MEL, axes=False)
    assert ridge_row(pixels(tmp_path / "p/high/0.png")) < ridge_row(pixels(tmp_path / "p/low/0.png"))


@pytest.mark.parametrize("form", ["png", "jpg"])
def test_equal_runs__give_equal_bytes_for_any_number_of_workers(sounds, tmp_path, form):
    for i, workers in enumerate((0, 1, 3)):
        write_images(read_corpus(sounds), tmp_path / f"{i}", recipe=MEL, form=form, look=Look(), workers=workers)
    first = files_below(tmp_path / "0")
    assert len(first) == 5
    for i in (1, 2):
        assert files_below(tmp_path / f"{i}") == first
        assert all((tmp_path / f"{i}" / name).read_bytes() == (tmp_path / "0" / name).read_bytes() for name in first)


@pytest.mark.usefixtures("sounds")
def test_split__is_a_folder_above_the_classes_or_a_zip_each(tmp_path):
    table = tmp_path / "clips.csv"
    table.write_text("path,label,split\nsounds/low/0.wav,low,train\nsounds/low/1.wav,low,test\nsounds/high/0.wav,high,train\n")
    write_images(read_corpus(table), tmp_path / "folders", recipe=MEL, axes=False)
    assert files_below(tmp_path / "folders") == ["index.csv", "test/low/1.png", "train/high/0.png", "train/low/0.png"]
    for name in ("a", "b"):
        write_images(read_corpus(table), tmp_path / name, recipe=MEL, axes=False, zipped=True)
    assert files_below(tmp_path / "a") == ["index.csv", "test.zip", "train.zip"]
    with zipfile.ZipFile(tmp_path / "a" / "train.zip") as archive:
        assert archive.namelist() == ["low/0.png", "high/0.png"]
        assert archive.read("low/0.png") == (tmp_path / "folders/train/low/0.png").read_bytes()
    assert (tmp_path / "a/train.zip").read_bytes() == (tmp_path / "b/train.zip").read_bytes()


def test_windows__bear_the_second_at_which_they_begin(sounds, tmp_path):
    recipe = MEL.replace(clip_s=0.5, hop_s=0.5)
    write_images(read_corpus(sounds / "low"), tmp_path / "p", recipe=recipe, axes=False)
    names = [name for name in files_below(tmp_path / "p") if name.startswith("1-")]
    assert names == ["1-0000.000s.png", "1-0000.500s.png", "1-0001.000s.png"]


def test_clip_that_fails__has_a_row_and_no_picture(sounds, tmp_path):
    (sounds / "low" / "broken.wav").write_bytes(b"RIFF....WAVE")
    written = write_images(read_corpus(sounds), tmp_path / "p", recipe=MEL, axes=False)
    assert written.n_pictures == 4
    assert written.status_counts() == {"ok": 4, "unreadable": 1}
    (row,) = written.index.filter(pl.col("status") == "unreadable").rows(named=True)
    assert (row["path"], row["source"]) == (None, "../sounds/low/broken.wav")
    assert row["reason"]
    assert len(files_below(tmp_path / "p")) == 5


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/root", "a/../b", "..", ".", "", "CON", "nul.txt", "a\0b", "tab\there", "x" * 400, "ｅ́" * 200, " . ", "a:b|c"],
)
def test_hostile_names__become_one_plain_component(name):
    safe = safe_name(name)
    assert safe not in ("", ".", "..")
    assert not set(safe) & set('<>:"/\\|?*\0\t')
    assert not safe.startswith((" ", ".")) and not safe.endswith((" ", "."))  # noqa: PT018
    assert len(safe.encode()) <= 181
    assert safe_name(safe) == safe


def test_names_that_a_file_system_takes_for_one__are_numbered_in_order():
    names = distinct_names(["A", "a", "É", "e\u0301", "a-2", "a"])
    assert names[0] == "A"
    assert len({folded(name) for name in names}) == 6
    assert names == distinct_names(["A", "a", "É", "e\u0301", "a-2", "a"])


def test_hostile_labels_and_equal_stems__stay_apart_and_inside(tmp_path):
    labels = ["a/b", "a_b", "../up", "index.csv", None, "A_B"]
    samples = [(f"x{i}/same.wav", tone(300.0), 16000, label) for i, label in enumerate(labels)]
    samples += [("y/same.wav", tone(300.0), 16000, "a_b"), ("y/SAME.wav", tone(300.0), 16000, "a_b")]
    written = write_images(read_corpus(samples), tmp_path / "in" / "p", recipe=MEL, axes=False)
    paths = written.index["path"].to_list()
    assert len({path.casefold() for path in paths}) == len(paths) == len(files_below(tmp_path)) - 1
    assert len({path.split("/")[0].casefold() for path in paths}) == len(labels)
    assert all(len(Path(path).parts) == 2 for path in paths)
    assert paths[:2] == ["a_b-2/same.png", "a_b-3/same.png"]  # in the order of the labels, of which A_B is the first
    assert paths[-2:] == ["a_b-3/same-2.png", "a_b-3/SAME-3.png"]


def test_names__depend_on_rows_alone():
    table = read_corpus([(f"{i % 3}/{i // 3}.wav", tone(300.0), 16000, "ab"[i % 2]) for i in range(9)]).table
    assert name_images(table, ending="png") == name_images(table, ending="png")
    assert len(set(name_images(table, ending="png"))) == 9


def test_output_that_exists__is_refused_and_replaced_on_request_only_if_it_is_ours(sounds, tmp_path):
    manifest, output = read_corpus(sounds), tmp_path / "p"
    write_images(manifest, output, recipe=MEL, axes=False)
    (output / "low" / "stale.png").touch()
    with pytest.raises(ReportError, match="exists and is finished; give --overwrite"):
        write_images(manifest, output, recipe=MEL, axes=False)
    write_images(manifest, output, recipe=MEL, axes=False, overwrite=True)
    assert "low/stale.png" not in files_below(output)
    with pytest.raises(ReportError, match="no folder of pictures"):
        write_images(manifest, sounds, recipe=MEL, axes=False, overwrite=True)
    assert len(files_below(sounds)) == 4


def test_run_that_ends_early__leaves_nothing(sounds, tmp_path):
    class Enough(Exception):
        pass

    def stop(_progress):
        raise Enough

    with pytest.raises(Enough):
        write_images(read_corpus(sounds), tmp_path / "p" / "q", recipe=MEL, axes=False, workers=0, on_progress=stop)
    assert files_below(tmp_path / "p") == []
    assert list((tmp_path / "p").iterdir()) == []


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"recipe": MEL.replace(features=("mel", "rms"))}, "one block with several bands"),
        ({"recipe": MEL.replace(features="rms")}, "one block with several bands"),
        ({"size": (4, 400)}, "sides of 8 to 20,000 pixels"),
        ({"size": (50, 40), "axes": True}, "no room for axes"),
        ({"form": "gif"}, "cannot have the format 'gif'"),
        ({"look": Look()}, "waveform is asked for without axes"),
        ({"kind": "sonogram"}, "unknown kind of picture 'sonogram'"),
    ],
)
def test_what_cannot_be_drawn__is_said_before_anything_is_written(sounds, tmp_path, settings, message):
    with pytest.raises(FastspecError, match=message):
        write_images(read_corpus(sounds), tmp_path / "p", **{"recipe": MEL, "axes": False, **settings})
    assert not (tmp_path / "p").exists()


def test_pictures_without_axes__need_no_matplotlib(sounds, tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from fastspec.cli import main\n"
        f"sys.argv = ['fastspec', 'images', {str(sounds)!r}, '-o', {str(tmp_path / 'p')!r}, '--no-axes', '--size', '64x48']\n"
        "main()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert len(files_below(tmp_path / "p")) == 5


def test_chroma__has_the_same_range_for_every_clip():
    recipe: Recipe = MEL.replace(features="chroma")
    canvas = bare_canvas(recipe, size=None, look=BARE, relative=False)
    drawn = canvas.draw(FrontEnd(recipe)(tone(440.0)))
    assert drawn.shape[0] == 12
    assert (drawn.argmax(axis=0) == 12 - 1 - 9).all()  # A, the tenth from C, from the bottom


def test_images_command__writes_what_it_says(sounds, tmp_path):
    output = tmp_path / "p"
    options = ["--kind", "spectrogram", "--set", "window=gaussian", "--set", "hop_length=1024", "--time", "ms", "--waveform", "--zip"]
    result = CliRunner().invoke(app, ["images", str(sounds), "-o", str(output), *options, "--clip", "0.5", "--json"])
    assert result.exit_code == 0
    (row,) = json.loads(result.output)["rows"]
    assert (row["pictures"], row["size"], row["statuses"]) == (4, [900, 500], {"ok": 4})
    assert (row["recipe"]["spec"]["window"], row["recipe"]["spec"]["features"]) == ("gaussian", ["stft"])
    assert files_below(output) == ["images.zip", "index.csv"]


def test_images_of_nothing_but_broken_recordings__is_a_negative_answer(tmp_path, write_tone):
    write_tone(tmp_path / "c" / "a" / "1.wav")
    (tmp_path / "c" / "a" / "1.wav").write_bytes(b"RIFF")
    result = CliRunner().invoke(app, ["images", str(tmp_path / "c"), "-o", str(tmp_path / "p"), "--no-axes", "--clip", "1"])
    assert getattr(result.exception, "exit_code", None) == 1
