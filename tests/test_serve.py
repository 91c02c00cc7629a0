"""The endpoint of a served model: the answers of `fastspec predict`, limits, and what it refuses."""

import base64
import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from serving import RECIPES, Client, serving, train_on, write_sounds
from test_odd_files import encode

from fastspec import learn
from fastspec.audio import Extent
from fastspec.corpus import read_inputs
from fastspec.learn import Cost, Decisions, Prediction
from fastspec.pipeline import cut_clips
from fastspec.serving.hearing import bands_hz, clip_rows, decision, extremes
from fastspec.serving.limits import Limits
from fastspec.spec import ClipPolicy, FeatureSpec

MIB = 1 << 20


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return write_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def bundles(sounds, tmp_path_factory):
    return {name: train_on(sounds, tmp_path_factory.mktemp("models"), clip=clip) for name, clip in RECIPES.items()}


@pytest.fixture(scope="module")
def client(bundles):
    with serving(bundles["one clip"], Limits(upload_bytes=2 * MIB, seconds=30)) as client:
        yield client


# --- answers -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_answers__equal_those_of_predict(name, bundles, sounds):
    files = [sounds / "low" / "00.wav", sounds / "high" / "01.wav"]
    with serving(bundles[name]) as client:
        for file in files:
            answer = client.predict(file)
            expected = list(learn.predict(bundles[name], read_inputs([file])))
            rows = answer["predictions"]
            assert len(rows) == len(expected)
            for row, told in zip(rows, expected, strict=True):
                assert (row["start_s"], row["predicted"], row["status"], row["channel"]) == (
                    told.start_s,
                    told.predicted,
                    "ok",
                    told.channel,
                )
                np.testing.assert_array_equal(list(row["probabilities"].values()), told.probabilities)
                assert list(row["probabilities"]) == bundles[name].classes
            clips = list(learn.predict(bundles[name], read_inputs([file]), by="clip"))
            assert [clip["start_s"] for clip in answer["clips"]] == [clip.start_s for clip in clips]
            assert answer["recording"]["duration_s"] == pytest.approx(2.3)


@pytest.mark.parametrize("name", RECIPES)
def test_clips_of_a_recording__are_those_that_the_pipeline_cuts(name, bundles, sounds, write_tone, tmp_path):
    recipe = bundles[name].recipe
    files = [sounds / "low" / "00.wav", write_tone(tmp_path / "short.wav", seconds=0.2), write_tone(tmp_path / "x.ogg", seconds=0.9)]
    with serving(bundles[name]) as client:
        for file in files:
            cut = cut_clips(read_inputs([file]), recipe)
            told = [(clip["start_s"], clip["duration_s"], clip["channel"]) for clip in client.predict(file)["clips"]]
            assert told == [(row.start_s, row.duration_s, row.channel) for row in cut.rows(0, len(cut))]


def test_clip_rows__of_a_recording_that_is_empty_is_one():
    assert len(clip_rows("x", Extent(0, 8000, 1), ClipPolicy(clip_s=1.0, hop_s=0.5))) == 1


def test_explanation__equals_that_of_explain(client, bundles, sounds):
    file, bundle = sounds / "high" / "01.wav", bundles["one clip"]
    told = client.post("explain", file.read_bytes(), start_s=0.5, target="high").json
    expected = learn.explain(bundle, read_inputs([file]), start_s=0.5, target="high")
    importance = np.frombuffer(base64.b64decode(told["importance"]), np.int8).reshape(told["frames"], told["bands"])
    np.testing.assert_allclose(importance * told["most"] / 127, expected.importance, atol=told["most"] / 127)
    assert told["target"] == "high"
    assert told["probability"] == pytest.approx(expected.probabilities[bundle.classes.index("high")])
    assert client.post("explain", file.read_bytes()).json["target"] == "high"  # the likeliest


def test_spectrogram__has_a_tone_in_its_band(client, write_tone, tmp_path):
    told = client.post("spectrogram", write_tone(tmp_path / "x.wav", hz=2000, seconds=2).read_bytes()).json
    levels = np.frombuffer(base64.b64decode(told["levels"]), np.uint8).reshape(told["frames"], told["bands"])
    loudest = told["bands_hz"][int(levels[10].argmax())]
    assert abs(loudest - 2000) < 200
    assert told["unit"] == "dBFS"
    assert told["high"] - told["low"] == pytest.approx(80, abs=1e-6)
    assert told["duration_s"] == pytest.approx(1.0)


def test_waveform__spans_from_least_to_greatest():
    samples = np.sin(np.linspace(0, 60, 5000, dtype=np.float32))[:, None]
    spans = extremes(samples, 50)
    assert len(spans) == 50
    assert spans[:, 0].min() == samples.min()
    assert spans[:, 1].max() == samples.max()
    assert np.isfinite(extremes(np.float32([[np.nan], [np.inf], [1.0]]), 3)).all()


def test_frequencies__are_given_where_bands_have_one():
    assert bands_hz(FeatureSpec(features="stft", n_fft=512))[256] == 8000
    assert bands_hz(FeatureSpec(features="chroma")) is None


@pytest.mark.parametrize(
    "decisions, answer, shares, words",
    [
        (Decisions(), "b", [0.3, 0.7], "the likeliest class"),
        (Decisions(unknown_below=0.8), "unknown", [0.3, 0.7], "no class reaches 80.0%"),
        (Decisions(thresholds={"a": 0.2}), "a", [0.3, 0.7], "reaches its threshold of 20.0%"),
        (Decisions(thresholds={"b": 0.9}), "a", [0.3, 0.7], "b is likelier, but stays below its threshold of 90.0%"),
        (Decisions(thresholds={"a": 0.5, "b": 0.9}), "b", [0.3, 0.7], "no class reaches its threshold, and it is nearest to its 90.0%"),
        (Decisions(costs={"a": Cost(10, 1)}), "a", [0.3, 0.7], "costs least, though b is likelier"),
    ],
)
def test_decision__is_told_in_words(decisions, answer, shares, words):
    probabilities = np.array(shares)
    assert decisions.answer(probabilities[None], ["a", "b"]) == [answer]
    assert decision(decisions, Prediction("x", 0.0, None, answer, probabilities, "ok"), ["a", "b"]) == words


def test_unknown__is_an_answer(sounds, tmp_path):
    bundle = train_on(sounds, tmp_path, clip={"clip_s": 1.0}, unknown_below=1.0)
    with serving(bundle) as client:
        (row,) = client.predict(sounds / "low" / "00.wav")["predictions"]
        assert (row["predicted"], row["decision"]) == ("unknown", "no class reaches 100.0%")
        assert client.ask("GET", "/api/model").json["unknown_below"] == 1.0


def test_description__names_endpoints_answers_and_refusals(client):
    told = client.ask("GET", "/openapi.json").json
    assert set(told["paths"]) == {"/api/model", "/api/predict", "/api/spectrogram", "/api/explain"}
    predict = told["paths"]["/api/predict"]["post"]
    assert predict["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Predicted")
    for code in ("408", "413", "415", "422", "429", "503"):
        assert predict["responses"][code]["content"]["application/json"]["schema"]["$ref"].endswith("/Problem")
    assert "application/octet-stream" in predict["requestBody"]["content"]


# --- refusals ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, status",
    [(b"", "unreadable"), (b"not audio", "unreadable"), (b"RIFF\x04\x00\x00\x00WAVE", "unreadable")],
    ids=["empty", "text", "torso"],
)
def test_sound_that_cannot_be_heard__is_refused_with_the_ledgers_status(client, data, status):
    reply = client.post("predict", data)
    assert (reply.code, reply.json["status"]) == (422, status)
    assert reply.json["error"].startswith("the sound is unreadable: ")


def test_silence__is_refused_as_the_ledger_does(client, write_tone, tmp_path):
    reply = client.post("predict", write_tone(tmp_path / "s.wav", amplitude=0.0).read_bytes())
    assert (reply.code, reply.json["status"]) == (422, "silent")


def test_clip_beyond_the_end__is_refused(client, sounds):
    reply = client.post("spectrogram", (sounds / "low" / "00.wav").read_bytes(), start_s=9)
    assert (reply.code, reply.json["status"]) == (422, "empty")
    assert "ends at 2.3 s" in reply.json["error"]


def test_wrong_query__is_told(client):
    assert "start_s" in client.post("spectrogram", b"x", start_s=-1).json["error"]
    told = client.post("explain", b"x", target="hihg")
    assert (told.code, "did you mean 'high'?" in told.json["error"]) == (422, True)
    assert client.ask("GET", "/api/nothing").code == 404
    assert client.ask("GET", "/api/predict").code == 405


def test_large_sound__is_refused_whether_or_not_it_says_its_length(client):
    declared = client.post("predict", bytes(3 * MIB))
    chunked = client.post("predict", (bytes(65536) for _ in range(48)))
    for reply in (declared, chunked):
        assert reply.code == 413
        assert "larger than 2 MiB" in reply.json["error"]


def test_form__is_refused_with_what_to_send_instead(client, sounds):
    form = b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\n" + (sounds / "low" / "00.wav").read_bytes() + b"\r\n--x--\r\n"
    reply = client.ask("POST", "/api/predict", form, {"Content-Type": "Multipart/Form-Data; boundary=x"})
    assert reply.code == 415
    assert "send the sound's bytes alone, as curl --data-binary @cat.wav" in reply.json["error"]


def test_sound_without_a_declared_length__is_taken(client, sounds):
    data = (sounds / "low" / "00.wav").read_bytes()
    chunks = (data[at : at + 4096] for at in range(0, len(data), 4096))
    assert client.post("predict", chunks).json["predictions"] == client.post("predict", data).json["predictions"]


@pytest.mark.parametrize("form", ["FLAC", "WAV"])
def test_long_sound__is_refused_however_small_the_file_is(client, form):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(31 * 8000, np.int16), 8000, format=form)
    assert len(file.getvalue()) < 2 * MIB
    reply = client.post("predict", file.getvalue())
    assert (reply.code, reply.json["status"]) == (422, "too-long")
    assert "longer than 30 s" in reply.json["error"]


def test_other_names__are_not_answered(client):
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "[", ""):
        assert client.ask("GET", "/", headers={"Host": host}).code in (400, 421), host
    for host in ("localhost", "127.0.0.1:1", "LOCALHOST:8000"):
        assert client.ask("GET", "/", headers={"Host": host}).code == 200


def test_pages_of_others__may_neither_ask_nor_read(client, sounds):
    data = (sounds / "low" / "00.wav").read_bytes()
    reply = client.ask("POST", "/api/predict", data, {"Origin": "https://evil.example"})
    assert reply.code == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]
    own = client.ask("POST", "/api/predict", data, {"Origin": client.address.rstrip("/")})
    assert own.code == 200


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/model", "/nothing"])
def test_every_answer__tells_browsers_what_they_may_do(client, path):
    headers = client.ask("GET", path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_page__asks_nobody_else():
    for file in (Path(learn.__file__).parents[1] / "serving" / "page").iterdir():
        text = file.read_text(encoding="utf8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, file
        assert "https:" not in text, file


# --- the command -------------------------------------------------------------------------------------------------------------------


def test_command__serves_what_predict_says_writes_nothing_and_ends_by_ctrl_c(bundles, sounds, tmp_path):
    bundles["one clip"].save(tmp_path / "model")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "here").mkdir()
    command = [sys.executable, "-c", "from fastspec.cli import main; main()", "serve", str(tmp_path / "model"), "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path / "here", env=environment, text=True, **pipes) as server:
        try:
            line = server.stdout.readline()
            assert "logistic, 2 classes, at http://127.0.0.1:" in line
            port = int(line.split("127.0.0.1:")[1].split("/")[0])
            client = Client(port)
            for data in [(sounds / "low" / "00.wav").read_bytes(), encode("OGG", "VORBIS", 1), b"noise"]:
                for endpoint in ("predict", "spectrogram", "explain"):
                    assert client.post(endpoint, data).code in (200, 422)
            told = client.predict(sounds / "low" / "00.wav")["predictions"][0]
            assert [*(tmp_path / "tmp").iterdir(), *(tmp_path / "here").iterdir()] == []
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(30) == 130
        assert "Traceback" not in server.stderr.read()
    predict = [*command[:3], "predict", str(tmp_path / "model"), str(sounds / "low" / "00.wav"), "-o", str(tmp_path / "p.csv")]
    subprocess.run(predict, check=True, capture_output=True)
    with (tmp_path / "p.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert {f"p_{name}": repr(share) for name, share in told["probabilities"].items()}.items() <= row.items()


def test_port_in_use__is_one_line(bundles, tmp_path):
    bundles["one clip"].save(tmp_path / "model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-c", "from fastspec.cli import main; main()", "serve", str(tmp_path / "model"), "--port", str(port)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert f"cannot listen at 127.0.0.1, port {port}" in result.stderr
    assert "--port (0 takes a free one)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_missing_extra__is_named_with_what_to_install(tmp_path):
    code = "import sys; sys.modules['fastapi'] = None\nfrom fastspec.cli import main; sys.argv = ['fastspec', 'serve', 'model']; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 2
    assert re.search(r"which is not installed; run: pip install .*\[serve\]", result.stderr)
    assert "Traceback" not in result.stderr


def test_json__has_no_numbers_that_json_does_not_know(client, sounds):
    def refuse(name):
        raise AssertionError(name)

    for endpoint in ("predict", "spectrogram", "explain"):
        json.loads(client.post(endpoint, (sounds / "low" / "00.wav").read_bytes()).body, parse_constant=refuse)
