"""Many clients at once, slow ones, broken ones: each has an answer or a reason, and the server goes on."""

import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from serving import RECIPES, serving, train_on, write_sounds
from test_odd_files import FOLDERS, ODD_FILES, damage, encode

from fastspec.serving.limits import Limits

MIB = 1 << 20


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return write_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def bundles(sounds, tmp_path_factory):
    return {name: train_on(sounds, tmp_path_factory.mktemp("models"), clip=RECIPES[name]) for name in ("one clip", "windows")}


@pytest.fixture(scope="module")
def client(bundles):
    with serving(bundles["one clip"], Limits(upload_bytes=2 * MIB, seconds=30)) as client:
        yield client


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
