"""The endpoint of a served model: the answers of `fastspec predict`, limits, and what it refuses."""

import base64
import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from serving import Client, serving
from test_odd_files import FOLDERS, ODD_FILES, damage, encode

from fastspec import learn
from fastspec.audio import Extent
from fastspec.corpus import read_corpus, read_inputs
from fastspec.learn import Cost, Decisions, Prediction
from fastspec.pipeline import cut_clips, featurize
from fastspec.presets import preset
from fastspec.serving.hearing import bands_hz, clip_rows, decision, extremes
from fastspec.serving.limits import Limits
from fastspec.spec import ClipPolicy, FeatureSpec

MIB = 1 << 20


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Low and high tones in noise, 2.3 s in stereo, ten of each."""
    root, random = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    for i in range(20):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        tone = 0.3 * np.sin(2 * np.pi * (hz + 10 * i) * np.arange(36_800) / 16000)[:, None] + 0.05 * random.standard_normal((36_800, 2))
        (root / label).mkdir(exist_ok=True)
        soundfile.write(root / label / f"{i:02}.wav", tone, 16000)
    return root


def trained(sounds, folder, recipe, **aims):
    store = featurize(read_corpus(sounds), folder / "s.zarr", recipe=recipe)
    return learn.train(store, "logistic", aims=learn.Aims(**aims))


RECIPES = {
    "one clip": {"clip_s": 1.0},
    "windows": {"clip_s": 0.5, "hop_s": 0.25},
    "windows, last shifted": {"clip_s": 0.5, "hop_s": 0.4, "last": "shift"},
    "windows of each channel": {"clip_s": 0.5, "hop_s": 0.5, "channel": "each"},
    "middle": {"clip_s": 1.0, "crop": "center"},
}


@pytest.fixture(scope="module")
def bundles(sounds, tmp_path_factory):
    return {
        name: trained(sounds, tmp_path_factory.mktemp("models"), preset("librosa", n_mels=32, **clip)) for name, clip in RECIPES.items()
    }


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
    bundle = trained(sounds, tmp_path, preset("librosa", n_mels=32, clip_s=1.0), unknown_below=1.0)
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


# --- many, slow and broken clients -------------------------------------------------------------------------------------------------


def test_fifty_clients_at_once__are_all_answered(client, sounds):
    files = [file for _ in range(3) for file in sorted(sounds.glob("*/*.wav"))][:50]
    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(client.predict, files))
    for file, answer in zip(files, answers, strict=True):
        assert answer["recording"]["name"] == file.name
        assert answer["predictions"][0]["predicted"] == file.parent.name


class Gate:
    """A model that answers when it is let; it notes how many asked it at the same time."""

    def __init__(self, model):
        self.model, self.open, self.asked = model, threading.Event(), threading.Semaphore(0)
        self.inside, self.most = 0, 0

    def predict_proba(self, features, valid_frames):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.asked.release()
        assert self.open.wait(60)
        self.inside -= 1
        return self.model.predict_proba(features, valid_frames)


def test_full_queue__tells_when_to_come_again(bundles, sounds):
    gate, data = Gate(bundles["one clip"].model), (sounds / "low" / "00.wav").read_bytes()
    with serving(replace(bundles["one clip"], model=gate), Limits(queue=3, workers=4)) as client, ThreadPoolExecutor(8) as crowd:
        first = [crowd.submit(client.post, "predict", data) for _ in range(8)]
        while sum(task.done() for task in first) < 5:  # those that found it full
            time.sleep(0.01)
        gate.open.set()
        replies = [task.result() for task in first]
        assert Counter(reply.code for reply in replies) == {200: 3, 429: 5}
        refused = next(reply for reply in replies if reply.code == 429)
        assert refused.headers["retry-after"] == "1"
        assert "3 sounds are waiting already" in refused.json["error"]
        assert client.post("predict", data).code == 200  # there is room again
    assert gate.most == 1  # the model is asked by one at a time


def test_memory_for_waiting_sounds__is_bounded(bundles):
    limits = Limits(upload_bytes=MIB, queue=64)
    with serving(bundles["one clip"], limits) as client:
        started = []
        for _ in range(9):  # each sends most of a sound, and waits
            connection = socket.create_connection(("127.0.0.1", client.port), timeout=60)
            connection.sendall(b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n" + bytes(1_000_000))
            started.append(connection)
        ended = [connection for connection in started if _answered(connection)]
        assert len(ended) >= 1
        assert b"429" in ended[0].recv(100)
        for connection in started:
            connection.close()


def _answered(connection):
    connection.settimeout(1.0)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False


def test_late_answer__is_not_waited_for(bundles, sounds):
    gate, data = Gate(bundles["one clip"].model), (sounds / "low" / "00.wav").read_bytes()
    with serving(replace(bundles["one clip"], model=gate), Limits(timeout_s=0.5)) as client, ThreadPoolExecutor(2) as crowd:
        blocked = crowd.submit(client.post, "predict", data)
        gate.asked.acquire()
        late = client.post("predict", data)
        assert (late.code, "no answer within" in late.json["error"]) == (503, True)
        gate.open.set()
        assert blocked.result().code == 200


def test_slow_sound__is_given_up(bundles):
    request = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nRIFF"
    with serving(bundles["one clip"], Limits(timeout_s=0.3)) as client:
        connection = socket.create_connection(("127.0.0.1", client.port), timeout=60)
        connection.sendall(request)
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
        connection.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: loc", b"GET /api/model HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT"])
def test_slow_headers__are_given_up(bundles, monkeypatch, sent):
    monkeypatch.setattr("fastspec.serving.server._HEADERS_S", 0.3)
    with serving(bundles["one clip"]) as client, socket.create_connection(("127.0.0.1", client.port), timeout=60) as connection:
        connection.sendall(sent)
        while connection.recv(65536):
            pass  # it ends


def test_clients_that_go_away__leave_no_trace(client, sounds):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            connection.sendall(b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nRIFF")
    assert client.predict(sounds / "low" / "00.wav")["predictions"][0]["predicted"] == "low"


@pytest.mark.parametrize("form, subtype", [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_damaged_sounds__have_an_answer_or_a_reason(client, form, subtype, capfd):
    for seed in range(40):
        reply = client.post("predict", damage(encode(form, subtype, seed % 4), seed))
        assert reply.code == 200 or (reply.code == 422 and reply.json["status"])
    capfd.readouterr()


@pytest.mark.corpus
def test_odd_files__have_an_answer_or_a_reason(bundles, corpus, capfd):
    """As the table of odd files says; headerless and too long ones are refused by what they are."""
    with serving(bundles["windows"], Limits(seconds=120)) as client:
        for odd in ODD_FILES:
            if odd.corpus == "scipy":
                continue
            folder = next(corpus(odd.corpus).glob(FOLDERS[odd.corpus])) if odd.corpus in FOLDERS else corpus(odd.corpus)
            reply = client.post("predict", (folder / odd.name).read_bytes())
            if odd.status == "ok":
                assert reply.code == 200, (odd, reply)
            else:
                assert reply.code in (200, 422), (odd, reply)
                assert reply.code == 200 or reply.json["status"], (odd, reply)
    capfd.readouterr()


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
    assert "pip install 'fastspec[serve]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_json__has_no_numbers_that_json_does_not_know(client, sounds):
    def refuse(name):
        raise AssertionError(name)

    for endpoint in ("predict", "spectrogram", "explain"):
        json.loads(client.post(endpoint, (sounds / "low" / "00.wav").read_bytes()).body, parse_constant=refuse)
