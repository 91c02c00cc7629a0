"""Real recordings, in every way that corpora come: the features are those of the same files in a folder, bit for bit."""

import csv
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import fsspec
import numpy as np
import polars as pl
import pytest
import soundfile

from fastspec import featurize, preset, read_corpus
from fastspec.corpus import Manifest

pytestmark = pytest.mark.corpus
RECIPE = preset("librosa", n_mels=16, clip_s=2.0)


class Clip(NamedTuple):
    """A recording of the corpus: its name here, label, group and file."""

    name: str
    label: str
    group: str
    file: Path


@pytest.fixture(scope="module")
def clips(fish) -> list[Clip]:
    """Thirty recordings of two actors, Ogg Vorbis at two rates, mono and stereo."""
    with fish.open(newline="", encoding="utf8") as file:
        rows = list(csv.DictReader(file))[::41][:30]
    assert len({row["label"] for row in rows}) == 2
    return [Clip(f"{row['label']}/{row['group']}-{Path(row['path']).name}", row["label"], row["group"], Path(row["path"])) for row in rows]


@pytest.fixture(scope="module")
def truth(clips, tmp_path_factory) -> dict[str, np.ndarray]:
    """Features of each file by its name, from a table of the files where they are."""
    folder = tmp_path_factory.mktemp("truth")
    pl.DataFrame({"path": [str(clip.file) for clip in clips]}).write_csv(folder / "t.csv")
    store = featurize(read_corpus(folder / "t.csv"), folder / "s.zarr", recipe=RECIPE, workers=0)
    return dict(zip([clip.name for clip in clips], store.features[:], strict=True))


def as_folder(root: Path, clips: list[Clip]) -> Path:
    for clip in clips:
        (root / "folder" / clip.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip.file, root / "folder" / clip.name)
    return root / "folder"


def as_zip(root: Path, clips: list[Clip]) -> Path:
    with zipfile.ZipFile(root / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for clip in clips:
            archive.write(clip.file, clip.name)
    return root / "c.zip"


def as_tar(root: Path, clips: list[Clip], ending: str = "tar") -> Path:
    with tarfile.open(root / f"c.{ending}", "w:" + ending.removeprefix("tar").removeprefix(".")) as archive:
        for clip in clips:
            archive.add(clip.file.resolve(), clip.name)
    return root / f"c.{ending}"


def as_table(root: Path, clips: list[Clip], ending: str = "csv") -> Path:
    folder = as_folder(root, clips)
    table = pl.DataFrame({"path": [f"{folder.name}/{clip.name}" for clip in clips], "label": [clip.label for clip in clips]})
    writers = {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}
    writers[ending](root / f"t.{ending}")
    return root / f"t.{ending}"


def as_tsv(root: Path, clips: list[Clip]) -> Path:
    pl.read_csv(as_table(root, clips)).write_csv(root / "t.tsv", separator="\t")
    return root / "t.tsv"


def as_train_beside_test(root: Path, clips: list[Clip]) -> Path:
    table = pl.read_csv(as_table(root, clips))
    (root / "t.csv").unlink()
    table[:20].write_csv(root / "train.csv")
    table[20:].write_csv(root / "test.csv")
    return root


def as_hugging_face(root: Path, clips: list[Clip]) -> Path:
    names = sorted({clip.label for clip in clips})
    audio = [{"bytes": clip.file.read_bytes(), "path": clip.name} for clip in clips]
    table = pl.DataFrame({"audio": audio, "label": [names.index(clip.label) for clip in clips]})
    features = {"audio": {"_type": "Audio"}, "label": {"names": names, "_type": "ClassLabel"}}
    table.write_parquet(root / "t.parquet", metadata={"huggingface": json.dumps({"info": {"features": features}})})
    return root / "t.parquet"


def as_kaldi(root: Path, clips: list[Clip]) -> Path:
    folder = as_folder(root, clips)
    (root / "wav.scp").write_text("".join(f"utt{i} {folder.name}/{clip.name}\n" for i, clip in enumerate(clips)))
    (root / "segments").write_text("".join(f"seg{i} utt{i} 0 -1\n" for i in range(len(clips))))
    (root / "utt2label").write_text("".join(f"seg{i} {clip.label}\n" for i, clip in enumerate(clips)))
    (root / "utt2spk").write_text("".join(f"seg{i} {clip.group}\n" for i, clip in enumerate(clips)))
    return root


def as_lhotse(root: Path, clips: list[Clip]) -> Path:
    lhotse = pytest.importorskip("lhotse")
    recordings, supervisions = [], []
    for i, clip in enumerate(clips):
        recordings.append(lhotse.Recording.from_file(clip.file, recording_id=f"r{i}"))
        # Longer than the recording: what lhotse takes from a header need not be what is decoded.
        said = {"language": clip.label, "speaker": clip.group}
        supervisions.append(lhotse.SupervisionSegment(id=f"s{i}", recording_id=f"r{i}", start=0.0, duration=100.0, **said))
    lhotse.RecordingSet.from_recordings(recordings).to_file(root / "fish_recordings_all.jsonl.gz")
    lhotse.SupervisionSet.from_segments(supervisions).to_file(root / "fish_supervisions_all.jsonl.gz")
    return root


def as_shards(root: Path, clips: list[Clip]) -> Path:
    for shard in range(3):
        with tarfile.open(root / f"shard-{shard:03}.tar", "w") as archive:
            for i, clip in enumerate(clips[shard * 10 : shard * 10 + 10]):
                archive.add(clip.file.resolve(), f"{shard}{i:03}.ogg")
                info = tarfile.TarInfo(f"{shard}{i:03}.cls")
                info.size = len(clip.label)
                archive.addfile(info, io.BytesIO(clip.label.encode()))
    return root / "shard-{000..002}.tar"


def as_url(root: Path, clips: list[Clip]) -> str:
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pipe("/real/c.tar.gz", as_tar(root, clips, "tar.gz").read_bytes())
    return "memory://real/c.tar.gz"


def as_written_manifest(root: Path, clips: list[Clip]) -> Path:
    return read_corpus(as_zip(root, clips)).write(root / "m.parquet")


def as_samples(_: Path, clips: list[Clip]) -> list[tuple]:
    """Decoded in blocks of the size that fastspec decodes in, since a Vorbis decoder's last bits depend on it."""

    def read(file: Path) -> np.ndarray:
        return np.concatenate(list(soundfile.blocks(file, blocksize=65536, dtype="float32", always_2d=True)))

    return [(clip.name, lambda clip=clip: read(clip.file), soundfile.info(clip.file).samplerate, clip.label) for clip in clips]


LAYOUTS: dict[str, Callable[[Path, list[Clip]], object]] = {
    "folder": as_folder,
    "zip": as_zip,
    "tar": as_tar,
    **{ending: lambda root, clips, ending=ending: as_tar(root, clips, ending) for ending in ("tar.gz", "tar.bz2", "tar.xz")},
    **{ending: lambda root, clips, ending=ending: as_table(root, clips, ending) for ending in ("csv", "jsonl", "parquet")},
    "tsv": as_tsv,
    "train beside test": as_train_beside_test,
    "Hugging Face": as_hugging_face,
    "Kaldi": as_kaldi,
    "lhotse": as_lhotse,
    "WebDataset": as_shards,
    "URL": as_url,
    "manifest": as_written_manifest,
    "samples": as_samples,
}


def names_of(manifest: Manifest, clips: list[Clip]) -> list[str]:
    """The clip of each row, told by its path, or by its order where paths say nothing."""
    paths = manifest.table["path"].to_list()
    by_file = {clip.file.as_posix(): clip.name for clip in clips}
    known = [next((clip.name for clip in clips if path.endswith(clip.name)), by_file.get(path)) for path in paths]
    return [name or clip.name for name, clip in zip(known, clips, strict=True)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_source__gives_the_same_features_and_labels(layout, clips, truth, tmp_path):
    manifest = read_corpus(LAYOUTS[layout](tmp_path, clips))
    assert len(manifest) == len(clips)
    names = names_of(manifest, clips)
    assert manifest.table["label"].to_list() == [name.split("/")[0] for name in names]
    store = featurize(manifest, tmp_path / "store" / "s.zarr", recipe=RECIPE, workers=2)
    assert store.status_counts() == {"ok": len(clips)}
    for name, features in zip(names, store.features[:], strict=True):
        np.testing.assert_array_equal(features, truth[name], err_msg=f"{layout}: {name}")
