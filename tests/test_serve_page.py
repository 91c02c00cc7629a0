"""The page of a served model in a real browser."""

import csv
import io
import json
import os
import re
import time

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image
from serving import serving

from bench.browser import find_browser, open_page
from bench.screens import draw_screens
from fastspec import learn
from fastspec.corpus import read_corpus, read_inputs
from fastspec.errors import RunFailed
from fastspec.learn.prediction import write_predictions
from fastspec.pipeline import featurize
from fastspec.presets import preset

ANSWERED = "document.querySelector('#legend').textContent.startsWith('What the model hears')"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Without a browser tests are skipped, or fail where FASTSPEC_REQUIRE_BROWSER is 1."""
    try:
        find_browser()
    except RunFailed as error:
        if os.environ.get("FASTSPEC_REQUIRE_BROWSER") == "1":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    with open_page(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@pytest.fixture(autouse=True)
def no_mistakes(page):
    """Whatever a test does: nothing on the console, and nobody asked but the server."""
    page.resize(1180, 900)
    page.prefer("light")
    yield
    assert page.console == []
    assert {re.match(r"https?://127\.0\.0\.1:\d+/|data:|blob:http://127\.0\.0\.1", address) is not None for address in page.requests} == {
        True
    }


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Low and high tones in noise; one of 6 s that is low, then high."""
    root, random = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)

    def tone(hz, seconds):
        n = round(16000 * seconds)
        return 0.3 * np.sin(2 * np.pi * hz * np.arange(n) / 16000) + 0.05 * random.standard_normal(n)

    for i in range(20):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        (root / "c" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(root / "c" / label / f"{i:02}.wav", tone(hz + 10 * i, 2), 16000)
    soundfile.write(root / "both.wav", np.concatenate([tone(320, 3), tone(2600, 3)]), 16000)
    return root


@pytest.fixture(scope="module")
def windowed(tones, tmp_path_factory):
    recipe = preset("librosa", n_mels=32, clip_s=1.0, hop_s=1.0)
    store = featurize(read_corpus(tones / "c"), tmp_path_factory.mktemp("store") / "s.zarr", recipe=recipe)
    with serving(learn.train(store, "logistic", aims=learn.Aims(unknown_below=0.9))) as client:
        yield client


def wait_for_answers(page, n):
    page.wait(f"document.querySelectorAll('#rows tr').length === {n}")


def test_page__says_what_to_do_before_a_sound_comes(page, windowed):
    for width, phone in ((1180, False), (400, True)):
        page.resize(width, 900, phone=phone)
        page.open(windowed.address)
        assert page.text("#invite")
        assert page.text("#hint").startswith("This model tells high, low apart")
        assert page.run("document.documentElement.scrollWidth") == width


def colours(page, selector):
    """How many colours a canvas shows."""
    return page.run(f"""(() => {{
        const canvas = document.querySelector('{selector}');
        const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
        return new Set(pixels).size;
    }})()""")


@pytest.mark.corpus
def test_real_recordings__are_answered_shown_explained_and_downloaded(page, fish, tmp_path):
    """Actors in a game; the model has not heard the levels that are asked about."""
    rows = pl.read_csv(fish)
    levels = sorted(rows["group"].unique())
    rows.filter(pl.col("group").is_in(levels[:25])).write_csv(tmp_path / "known.csv")
    asked = rows.filter(pl.col("group").is_in(levels[40:])).sample(4, seed=1)
    files = [read_corpus(fish).recordings.open(path) for path in asked["path"]]
    bundle = learn.train(
        featurize(read_corpus(tmp_path / "known.csv"), tmp_path / "s.zarr", recipe=preset("librosa", clip_s=3.0)), "logistic"
    )
    with serving(bundle) as client:
        page.open(client.address)
        page.download_to(tmp_path)
        page.pick("#files", *files)
        wait_for_answers(page, 4)
        answers = page.run("[...document.querySelectorAll('#rows tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
        assert {name: answer for name, answer, *_ in answers} == {
            file.name: label for file, label in zip(files, asked["label"], strict=True)
        }
        assert page.text("#predicted") == asked["label"][-1]
        assert page.text("#status").startswith(f"{files[-1].name}: {asked['label'][-1]}, ")
        page.wait(ANSWERED)
        assert colours(page, "#picture") > 100
        page.click("#show-why")
        page.wait("document.querySelector('#legend').textContent.includes('strongest')")
        assert f"speaks for {asked['label'][-1]}" in page.text("#legend")
        assert page.screenshot(tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
        page.click("#download")
        downloaded = wait_for_file(tmp_path / "predictions.csv")
    write_predictions(learn.predict(bundle, read_inputs(files)), tmp_path / "expected.csv", classes=bundle.classes, labelled=False)
    expected = list(csv.DictReader(io.StringIO((tmp_path / "expected.csv").read_text(encoding="utf8"))))
    by_name = [{**row, "path": file.name} for row, file in zip(expected, files, strict=True)]
    rows = list(csv.DictReader(io.StringIO(downloaded)))
    for row, told in zip(rows, by_name, strict=True):
        assert list(row) == list(told)
        for name, value in row.items():
            assert float(value) == pytest.approx(float(told[name]), rel=1e-6) if name.startswith("p_") else value == told[name]
    assert page.refusals == []


@pytest.mark.corpus
def test_pictures_of_readme__show_a_report_and_an_answer(corpus, tmp_path):
    corpus("drums")
    for path in draw_screens(tmp_path, few=True):
        with Image.open(path) as picture:
            assert len(picture.getcolors(1 << 24)) > 200  # of levels, beside text


def wait_for_file(path):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    return path.read_text(encoding="utf8")


@pytest.mark.corpus
def test_sound_that_only_the_browser_can_read__is_converted_there(page, windowed, corpus):
    (file,) = (corpus("codecs") / "audio-lena" / "package").glob("lena-vorbis.webm")
    page.open(windowed.address)
    page.pick("#files", file)
    wait_for_answers(page, 1)
    assert "decoded by this browser" in page.text("#facts")
    assert "12.27 s" in page.text("#facts")


def test_microphone__is_recorded_as_wav_and_answered(page, windowed):
    """The browser's false microphone beeps once a second."""
    page.open(windowed.address)
    page.click("#record")
    page.wait("document.querySelector('#record-text').textContent === 'Stop 2 s'")
    page.click("#record")
    wait_for_answers(page, 1)
    page.wait(ANSWERED)
    assert page.text("#sound-title").startswith("recording ")
    assert "WAV PCM 16" in page.text("#facts")
    assert page.text("#record-text") == "Record"


def test_wav_encoder__gives_what_was_put_in(page, windowed):
    page.open(windowed.address)
    text = page.run("""import('/sound.js').then(async ({ encodeWav }) => {
        const wav = encodeWav(Float32Array.from([0, 0.5, -1, 2]), 44100);
        return Array.from(new Uint8Array(await wav.arrayBuffer())).join(' ');
    })""")
    samples, rate = soundfile.read(io.BytesIO(bytes(map(int, text.split()))), dtype="int16")
    assert (samples.tolist(), rate) == ([0, 16384, -32767, 32767], 44100)


def test_numbers_of_the_table__are_written_as_python_writes_them(page, windowed):
    values = [0.0, 1.0, 0.1, 1 / 3, 1e-4, 1e-5, 1.5e-7, 3e-300, 0.9999999999999999]
    page.open(windowed.address)
    row = {"path": 'a,"b"', "start_s": 0, "predicted": "x", "status": "ok", "channel": None}
    for value in values:
        answer = json.dumps({"answer": {"predictions": [{**row, "probabilities": {"x": value}}]}})
        told = page.run(f"import('/csv.js').then(({{ csv }}) => csv([{answer}], {{ classes: ['x'] }}))")
        assert told == f'path,start_s,predicted,p_x,status\n"a,""b""",0.0,x,{value!r},ok\n'


def test_long_sound__is_a_line_of_clips_to_go_through_by_keys(page, windowed, tones):
    page.open(windowed.address)
    page.pick("#files", tones / "both.wav")
    wait_for_answers(page, 1)
    page.wait(ANSWERED)
    assert page.text("#predicted") == "unknown"  # low for as long as high
    assert "no class reaches 90.0%" in page.text("#decision")
    assert page.text("#clip-text").startswith("Clip 1 of 6, from 0.00 s: low")
    page.run("document.querySelector('#clip').focus()")
    for _ in range(4):
        page.press("ArrowRight", 39)
    page.wait("document.querySelector('#clip-text').textContent.startsWith('Clip 5 of 6, from 4.00 s: high')")
    page.wait("document.querySelector('#legend').textContent.includes('4.00 to 5.00 s')")
    labels = page.run("document.querySelector('#strip').ariaLabel")
    assert labels.endswith("low, low, low, high, high, high")


def test_mistake__is_told_and_the_next_sound_is_heard(page, windowed, tones, tmp_path):
    (tmp_path / "notes.txt").write_text("not audio")
    page.open(windowed.address)
    page.pick("#files", tmp_path / "notes.txt")
    wait_for_answers(page, 1)
    assert page.text("#problem") == "notes.txt: the sound is unreadable: text and no sound"
    assert page.run("document.querySelector('#problem').getAttribute('role')") == "alert"
    page.pick("#files", tones / "c" / "low" / "00.wav")
    wait_for_answers(page, 2)
    assert page.text("#predicted") == "low"
    assert page.run("document.querySelector('#problem').hidden")


def test_server_that_is_gone__is_told(page, windowed, tones):
    page.open(windowed.address)
    page.run("globalThis.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
    page.pick("#files", tones / "c" / "low" / "00.wav")
    wait_for_answers(page, 1)
    assert page.text("#problem") == "00.wav: the server cannot be reached; is it still running?"


def test_everything_that_is_used__has_a_name_for_screen_readers(page, windowed, tones):
    page.open(windowed.address)
    page.pick("#files", tones / "both.wav")
    wait_for_answers(page, 1)
    page.wait(ANSWERED)
    assert page.nameless() == []
    assert page.run("document.querySelector('#status').getAttribute('aria-live')") == "polite"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone__shows_all_without_scrolling_sideways(page, windowed, tones, scheme):
    page.resize(390, 844, phone=True)
    page.prefer(scheme)
    page.open(windowed.address)
    page.pick("#files", tones / "both.wav")
    wait_for_answers(page, 1)
    page.wait(ANSWERED)
    assert page.run("document.documentElement.scrollWidth") <= 390
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (scheme == "dark")
