"""A corpus as pictures: fastspec beside the usual way, librosa for the features and matplotlib for the picture, one recording at a time."""

import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fastspec.corpus import Manifest, read_corpus
from fastspec.demo.corpora import corpus_table, fetch, write_table
from fastspec.errors import RunFailed
from fastspec.presets import preset
from fastspec.report import Look, write_images

OURS, ONE_WORKER, USUAL = "fastspec", "fastspec, one worker", "librosa and matplotlib"
WORKERS, DPI = 2, 100
RECIPE = preset("librosa", clip_s=1.0)
# Of 255 a pixel and colour on the average: what smoothing between frames, and 192 or 255 levels in place of 256, come to.
TOLERANCE = 8.0
COLUMNS = {
    "case": "case",
    "implementation": "implementation",
    "ms": "ms each",
    "per_second": "pictures a second",
    "faster": "fastspec ×",
    "difference": "difference",
    "bytes": "bytes each",
}


class Case(NamedTuple):
    """A kind of picture."""

    name: str
    size: tuple[int, int]
    axes: bool


CASES = (Case("224x224 PNG, no axes", (224, 224), False), Case("900x500 PNG, waveform and axes", (900, 500), True))


def run_images(manifest: Manifest | None = None, *, clips: int, repeat: int) -> list[dict[str, Any]]:
    """Rows for each case: fastspec with two workers, with one, and the usual way; the best of `repeat` rounds, in which they take turns.

    Args:
        manifest: what to draw; None is the corpus "drums", which is fetched.
        clips: how many of its recordings, evenly spaced.
        repeat: rounds.

    Raises:
        RunFailed: librosa is not installed, or a picture has another size than was asked for, or shows something else.
        CorpusUnavailable: the corpus "drums" cannot be fetched.
    """
    if not find_spec("librosa"):
        raise RunFailed("librosa is not installed, and pictures are timed beside it; run: pip install librosa")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if manifest is None:
            write_table(corpus_table("drums", fetch("drums")), root / "drums.csv")
            manifest = read_corpus(root / "drums.csv")
        places = np.unique(np.linspace(0, len(manifest) - 1, min(clips, len(manifest))).round().astype(int))
        chosen = manifest.with_table(manifest.table[places.tolist()])
        return [row for case in CASES for row in _run_case(case, chosen, root, repeat)]


def _run_case(case: Case, manifest: Manifest, root: Path, repeat: int) -> list[dict[str, Any]]:
    paths = [Path(manifest.open(path)) for path in manifest.table["path"]]

    def ours(workers: int) -> list[Path]:
        look = Look(waveform=case.axes)
        output = root / "ours"
        written = write_images(
            manifest, output, recipe=RECIPE, size=case.size, axes=case.axes, look=look, relative=True, workers=workers, overwrite=True
        )
        return [output / path for path in written.index["path"]]

    runs: dict[str, Callable[[], list[Path]]] = {
        OURS: lambda: ours(WORKERS),
        ONE_WORKER: lambda: ours(1),
        USUAL: lambda: [_draw_usual(case, path, root / f"{i}.png") for i, path in enumerate(paths)],
    }
    best, files = dict.fromkeys(runs, float("inf")), {name: run() for name, run in runs.items()}
    for _ in range(repeat):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    difference = _compare(case, files[OURS], files[USUAL])
    return [
        {
            "case": case.name,
            "implementation": name,
            "clips": len(paths),
            "ms": 1e3 * taken / len(paths),
            "per_second": len(paths) / taken,
            "faster": None if name == OURS else taken / best[OURS],
            "difference": difference if name == USUAL else None,
            "bytes": round(np.mean([file.stat().st_size for file in files[name]])),
        }
        for name, taken in best.items()
    ]


def _draw_usual(case: Case, path: Path, output: Path) -> Path:
    """A picture as tutorials make it: a new figure for each recording."""
    import librosa
    import librosa.display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rate = RECIPE.spec.sample_rate
    samples, _ = librosa.load(path, sr=rate, duration=RECIPE.clip.clip_s)
    samples = librosa.util.fix_length(samples, size=RECIPE.n_samples)
    level = librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=rate), ref=np.max)
    figure = Figure(figsize=((case.size[0] + 0.5) / DPI, (case.size[1] + 0.5) / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    if case.axes:
        above, main = figure.subplots(2, 1, sharex=True, height_ratios=[1, 3])
        librosa.display.waveshow(samples, sr=rate, ax=above)
        image = librosa.display.specshow(level, sr=rate, x_axis="time", y_axis="mel", cmap="magma", vmin=-80, vmax=0, ax=main)
        figure.colorbar(image, ax=[above, main])
    else:
        main = figure.add_axes((0, 0, 1, 1), frameon=False)
        librosa.display.specshow(level, sr=rate, cmap="magma", vmin=-80, vmax=0, ax=main)
    figure.savefig(output)
    return output


def _compare(case: Case, ours: Sequence[Path], usual: Sequence[Path]) -> float | None:
    """The mean difference of bare pictures, a pixel and colour; RunFailed where there is more of it than smoothing makes."""
    pictures = [[_pixels(path) for path in paths] for paths in (ours, usual)]
    for picture in (*pictures[0], *pictures[1]):
        if picture.shape[1::-1] != case.size:
            raise RunFailed(f"{case.name}: a picture has the shape {picture.shape}")
    if case.axes:
        return None  # the axes stand elsewhere
    apart = float(np.mean([np.abs(a - b).mean() for a, b in zip(*pictures, strict=True)]))
    if apart > TOLERANCE:
        raise RunFailed(f"{case.name}: pictures are {apart:.1f} of 255 away from librosa's, allowed are {TOLERANCE:g}")
    return apart


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.float64)
