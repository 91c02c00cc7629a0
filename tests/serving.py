"""A server of a model in a thread, and a client of it."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import soundfile
import uvicorn

from fastspec import learn
from fastspec.corpus import read_corpus
from fastspec.learn import Bundle
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.serving.app import make_app
from fastspec.serving.hearing import Listener
from fastspec.serving.limits import Limits
from fastspec.serving.server import listening, server_config


class Reply(NamedTuple):
    """What a server answered."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """Asks a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}/"

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """One request on a connection of its own; `body` may be an iterator of chunks, whose length is not declared."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=False)
            response: HTTPResponse = connection.getresponse()
            return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(self, path: str, data: Any, **query: Any) -> Reply:
        """A sound to an endpoint."""
        text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        return self.ask("POST", f"/api/{path}?{text}", data)

    def predict(self, file: Path) -> Any:
        """The answer for a file."""
        reply = self.post("predict", file.read_bytes(), name=file.name)
        assert reply.code == 200, reply
        return reply.json


@contextmanager
def serving(bundle: Bundle, limits: Limits | None = None) -> Iterator[Client]:
    """A real server, as `fastspec serve` runs it but for signals."""
    limits = limits or Limits()
    with listening("127.0.0.1", 0) as socket, ThreadPoolExecutor(limits.workers) as pool:
        app = make_app(Listener(bundle, limits), limits, pool, hosts=["localhost", "127.0.0.1"])
        server = uvicorn.Server(server_config(app, limits))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield Client(socket.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


RECIPES = {
    "one clip": {"clip_s": 1.0},
    "windows": {"clip_s": 0.5, "hop_s": 0.25},
    "windows, last shifted": {"clip_s": 0.5, "hop_s": 0.4, "last": "shift"},
    "windows of each channel": {"clip_s": 0.5, "hop_s": 0.5, "channel": "each"},
    "middle": {"clip_s": 1.0, "crop": "center"},
}


def write_sounds(root: Path) -> Path:
    """Low and high tones in noise, 2.3 s in stereo, ten of each."""
    random = np.random.default_rng(0)
    for i in range(20):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        tone = 0.3 * np.sin(2 * np.pi * (hz + 10 * i) * np.arange(36_800) / 16000)[:, None] + 0.05 * random.standard_normal((36_800, 2))
        (root / label).mkdir(exist_ok=True)
        soundfile.write(root / label / f"{i:02}.wav", tone, 16000)
    return root


def train_on(sounds: Path, folder: Path, *, clip: dict[str, Any], **aims: Any) -> Bundle:
    """A model of recordings, whose store is written to a folder; `clip` is how they are cut."""
    store = featurize(read_corpus(sounds), folder / "s.zarr", recipe=preset("librosa", n_mels=32, **clip))
    return learn.train(store, "logistic", aims=learn.Aims(**aims))
