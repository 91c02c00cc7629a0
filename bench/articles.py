"""The methods of four widely read articles, in our words: each learns from labelled examples and answers for others.

What they share is their care for the recipe and none for the comparison: settings are those that the articles give.
"""

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Labels = NDArray[np.int64]


class Example(NamedTuple):
    """A recording, or a picture of a stretch of one.

    Attributes:
        recording: its path in the corpus.
        label: the true class.
        source: the file, or its bytes.
    """

    recording: str
    label: str
    source: Path | bytes


class Method(Protocol):
    """Learns from examples, and gives probabilities `(tested, classes)` float64 of others, classes in the order of their names."""

    def __call__(self, train: Sequence[Example], test: Sequence[Example]) -> Float64: ...


def boost_pixels(train: Sequence[Example], test: Sequence[Example], *, size: tuple[int, int] = (90, 50)) -> Float64:
    """Spectrograms as pictures, shrunk and grey, to LightGBM as it comes."""
    return _boost(_pixels(train, size), _codes(train), _pixels(test, size))


def boost_embeddings(train: Sequence[Example], test: Sequence[Example]) -> Float64:
    """Spectrograms as pictures, what a network that knows photographs makes of them, to LightGBM as it comes."""
    return _boost(_embed(train), _codes(train), _embed(test))


def boost_mel(train: Sequence[Example], test: Sequence[Example], *, seconds: float = 3.0, n_estimators: int = 100) -> Float64:
    """Mel spectrograms of the first seconds by librosa, in dB below their peaks, padded and flat, to scikit-learn's gradient boosting."""
    from sklearn.ensemble import GradientBoostingClassifier

    mel = partial(_mel, seconds=seconds)
    model = GradientBoostingClassifier(random_state=42, n_estimators=n_estimators)
    model.fit(np.stack([mel(example.source) for example in train]), _codes(train))
    return np.asarray(model.predict_proba(np.stack([mel(example.source) for example in test])), np.float64)


def retrain_last_layer(train: Sequence[Example], test: Sequence[Example], *, steps: int = 4000) -> Float64:
    """Pictures to a network that knows photographs, its answers kept, and a new last layer on them by plain gradient descent."""
    from torch import manual_seed, nn, optim

    manual_seed(0)
    bottlenecks, targets = _tensor(_embed(train)), _tensor(_codes(train))
    layer = nn.Linear(bottlenecks.shape[1], int(targets.max()) + 1)
    step = optim.SGD(layer.parameters(), lr=0.01)
    random = np.random.default_rng(0)
    for _ in range(steps):
        batch = _tensor(random.integers(0, len(targets), 100))
        step.zero_grad()
        nn.functional.cross_entropy(layer(bottlenecks[batch]), targets[batch]).backward()
        step.step()
    return _softmax(layer(_tensor(_embed(test))))


def convolve_stft(train: Sequence[Example], test: Sequence[Example], *, epochs: int = 20) -> Float64:
    """Waveforms of 300,000 samples to magnitudes of their STFT, 32 by 32, to a network of two convolutions, a fifth held back to watch."""
    from torch import manual_seed, nn, optim

    manual_seed(0)
    pictures, codes = np.stack([_magnitudes(example.source) for example in train]), _codes(train)
    order = np.random.default_rng(0).permutation(len(codes))
    learned, watched = np.split(order, [round(0.8 * len(order))])
    mean, deviation = pictures[learned].mean(), pictures[learned].std() + 1e-12
    inputs, targets = _tensor((pictures - mean) / deviation), _tensor(codes)
    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
        *(nn.Linear(64 * 14 * 14, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, int(codes.max()) + 1)),
    )
    step = optim.Adam(network.parameters())
    lowest, best = np.inf, network.state_dict()
    for epoch in range(epochs):
        network.train()
        for batch in np.array_split(np.random.default_rng(epoch).permutation(learned), -(-len(learned) // 64)):
            step.zero_grad()
            nn.functional.cross_entropy(network(inputs[batch]), targets[batch]).backward()
            step.step()
        network.eval()
        loss = float(nn.functional.cross_entropy(network(inputs[watched]).detach(), targets[watched]))
        if loss < lowest:
            lowest, best = loss, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(best)
    return _softmax(network(_tensor((np.stack([_magnitudes(example.source) for example in test]) - mean) / deviation)))


def _codes(examples: Sequence[Example]) -> Labels:
    return np.unique([example.label for example in examples], return_inverse=True)[1].astype(np.int64)


def _boost(train: Float32, codes: Labels, test: Float32) -> Float64:
    import lightgbm

    model = lightgbm.LGBMClassifier(random_state=0, n_jobs=1, verbose=-1)
    return np.asarray(model.fit(train, codes).predict_proba(test), np.float64)


def _open(source: Path | bytes) -> Any:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _pixels(examples: Sequence[Example], size: tuple[int, int]) -> Float32:
    """`(pictures, pixels)` of 0 … 255, grey."""
    pictures = (Image.open(_open(example.source)).convert("L").resize(size, Image.Resampling.BOX) for example in examples)
    return np.stack([np.asarray(picture, np.float32).ravel() for picture in pictures])


def _embed(examples: Sequence[Example]) -> Float32:
    """`(pictures, 1280)`: what EfficientNet-lite0 knows before its last layer of pictures of 224 by 224 pixels, colours from -1 to 1."""
    from fastspec_transfer.networks import NETWORKS

    run = NETWORKS["efficientnet-lite0"].load(1)
    embedded = []
    for example in examples:
        picture = np.asarray(Image.open(_open(example.source)).convert("RGB").resize((224, 224)), np.float32) / 127.5 - 1
        embedded.append(run(np.ascontiguousarray(picture.transpose(2, 0, 1)[None])))
    return np.concatenate(embedded)


def _mel(source: Path | bytes, *, seconds: float) -> Float32:
    """The decibels of each band and frame below the peak, one after the other; what a short recording lacks is zeros, loud as the peak."""
    import librosa

    samples, sample_rate = librosa.load(_open(source), duration=seconds)
    decibels = librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=sample_rate), ref=np.max)
    frames = 1 + int(seconds * sample_rate) // 512
    return np.asarray(np.pad(decibels, ((0, 0), (0, frames - decibels.shape[1]))).ravel(), np.float32)


def _magnitudes(source: Path | bytes) -> Float32:
    """`(1, 32, 32)` magnitudes of frames of 210 samples, 110 apart, of an FFT of 256."""
    import soundfile

    samples = soundfile.read(_open(source), dtype="float32", always_2d=True)[0].mean(axis=1)[:300_000]
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (0, 300_000 - len(samples))), 210)[::110]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(211)[:-1], 256))
    return np.asarray(Image.fromarray(spectrum.astype(np.float32)).resize((32, 32), Image.Resampling.BILINEAR), np.float32)[None]


def _tensor(array: NDArray[Any]) -> Any:
    from torch import from_numpy

    return from_numpy(np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else np.float32))


def _softmax(logits: Any) -> Float64:
    return np.asarray(logits.detach().softmax(dim=1).numpy(), np.float64)
