"""A trained model with all that prediction needs: recipe, classes, plugin, versions and hashes, in one directory.

`bundle.json` describes, `model/` holds the plugin's files, and `seen.npy` tells which clips the training saw. Nothing in them is
executed. Hashes are checked before anything is parsed: they find damage, and the plugin's own loader refuses types that installed code
does not trust.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import FastspecError, LearnError, PluginError
from fastspec.learn.classifier import Classifier
from fastspec.learn.dataset import Dataset
from fastspec.learn.registry import PluginInfo, load_plugin, plugin_info
from fastspec.learn.splits import given_split
from fastspec.learn.versions import library_versions
from fastspec.spec import Recipe

if TYPE_CHECKING:
    from fastspec.store import FeatureStore

FORMAT = 1
_HEADER = "bundle.json"
_MODEL = "model"
_SEEN = "seen.npy"
_FIELDS: dict[str, type] = {
    "classes": list,
    "files": dict,
    "left_out": dict,
    "manifest_digest": str,
    "n_clips": int,
    "params": dict,
    "plugin": dict,
    "recipe": dict,
    "recipe_digest": str,
    "seed": int,
    "seen": str,
    "versions": dict,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A trained classifier.

    Attributes:
        model: the fitted plugin.
        plugin: where it comes from.
        recipe: of the features that it takes.
        classes: names, in the order of the columns of `model.predict_proba`.
        manifest_digest: of the clips that it was trained on.
        n_clips: how many of them it learned from.
        seen: `(audio,)` uint64, ascending: the first eight bytes of the hash of each sound that it learned from.
        left_out: how many of them it did not learn from, by reason.
        versions: of fastspec, Python and the libraries that made it.
    """

    model: Classifier
    plugin: PluginInfo
    recipe: Recipe
    classes: list[str]
    manifest_digest: str
    n_clips: int
    seen: NDArray[np.uint64]
    left_out: dict[str, int]
    versions: dict[str, str]

    def has_seen(self, hashes: NDArray[np.str_]) -> NDArray[np.bool_]:
        """Whether each clip of `Dataset.hashes` sounds like one of the training, `(clips,)` bool."""
        return np.isin(_prefixes(hashes), self.seen)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bundle as a new directory, complete or not at all. Equal bundles give equal bytes.

        Raises:
            LearnError: something is there already, or the directory cannot be written.
        """
        output = check_absent(path)
        partial = output.with_name(f".{output.name}.partial-{os.getpid()}")
        try:
            (partial / _MODEL).mkdir(parents=True)
            self.model.save(partial / _MODEL)
            np.save(partial / _SEEN, self.seen)
            header = json.dumps(self._header(_hashes(partial / _MODEL), _digest(partial / _SEEN)), indent=2, sort_keys=True)
            (partial / _HEADER).write_text(header + "\n", encoding="utf-8")
            partial.rename(output)
        except OSError as error:
            raise LearnError(f"the model cannot be written to {output}: {error.strerror}; choose another place") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return output

    def _header(self, files: dict[str, str], seen: str) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "plugin": self.plugin._asdict(),
            "params": self.model.params(),
            "seed": self.model.seed,
            "recipe": self.recipe.to_dict(),
            "recipe_digest": self.recipe.digest(),
            "classes": self.classes,
            "manifest_digest": self.manifest_digest,
            "n_clips": self.n_clips,
            "left_out": self.left_out,
            "versions": self.versions,
            "files": files,
            "seen": seen,
        }


def train(
    store: "FeatureStore",
    model_name: str,
    *,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Bundle:
    """Train a plugin on a store; the test clips of a given split are held out.

    Args:
        store: finished.
        model_name: an installed plugin.
        params: its hyper-parameters.
        seed: equal seeds give equal models.
        threads: that it may use.

    Raises:
        LearnError: clips that cannot be learned from, or features of another recipe than the plugin requires.
        PluginError: an unknown plugin or parameter.
    """
    model = load_plugin(model_name).from_params(params or {}, seed=seed, threads=threads)
    model.check_recipe(store.recipe, source=str(store.path))
    dataset = Dataset.from_store(store)
    split = given_split(dataset)
    rows = np.arange(len(dataset)) if split is None else split.train
    dataset.fit(model, rows)
    return Bundle(
        model=model,
        plugin=plugin_info(model_name),
        recipe=store.recipe,
        classes=dataset.classes,
        manifest_digest=store.manifest_digest,
        n_clips=len(rows),
        seen=np.unique(_prefixes(dataset.hashes[rows])),
        left_out=dataset.left_out | ({} if split is None else {"held out for test": len(split.test)}),
        versions=library_versions(),
    )


def load_bundle(path: str | os.PathLike[str], *, threads: int = 1) -> Bundle:
    """The bundle in a directory that `Bundle.save` wrote. Executes nothing from it.

    Args:
        path: the directory.
        threads: that the model may use.

    Raises:
        LearnError: no bundle there, a newer format, damaged or foreign files, or content that is not trusted.
        PluginError: the plugin is not installed.
    """
    directory = Path(path)
    header = _read_header(directory)
    _check_files(directory, header["files"])
    plugin = _read_plugin(directory, header)
    model = _load_class(directory, plugin).load(directory / _MODEL)
    model.threads = threads
    return Bundle(
        model=model,
        plugin=plugin,
        recipe=_read_recipe(directory, header),
        classes=header["classes"],
        manifest_digest=header["manifest_digest"],
        n_clips=header["n_clips"],
        seen=_read_seen(directory, header["seen"]),
        left_out=header["left_out"],
        versions=header["versions"],
    )


def check_absent(path: str | os.PathLike[str]) -> Path:
    """`path`, when nothing is there. LearnError otherwise."""
    output = Path(path)
    if output.exists() or output.is_symlink():
        raise LearnError(f"{output} exists already; choose another name, or remove it first")
    return output


def _read_header(directory: Path) -> dict[str, Any]:
    """The checked content of bundle.json."""
    path = directory / _HEADER
    if not path.is_file():
        raise LearnError(f"{directory} is not a trained model: it has no {_HEADER}; give a directory that `fastspec train` wrote")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise LearnError(f"{path} cannot be read: {error}; train the model again") from None
    found = header.get("format") if isinstance(header, dict) else None
    if type(found) is not int:
        raise LearnError(f"{path} does not say which format it has; train the model again")
    if found > FORMAT:
        raise LearnError(f"{path} has format {found}, newer than {FORMAT}, which this fastspec reads; upgrade fastspec")
    for name, kind in _FIELDS.items():
        if not isinstance(header.get(name), kind):
            raise LearnError(f"{path} has no sound field {name!r}; train the model again")
    classes = header["classes"]
    if len(set(map(str, classes))) != len(classes) or not all(isinstance(name, str) for name in classes):
        raise LearnError(f"{path} does not name each class once; train the model again")
    return dict(header)


def _check_files(directory: Path, expected: dict[str, Any]) -> None:
    """The files of `model/` are those that bundle.json names, byte for byte, and there is nothing else."""
    found = _hashes(directory / _MODEL)
    for name in sorted(found.keys() | expected.keys()):
        if name not in expected:
            raise LearnError(f"{directory} holds {name}, which {_HEADER} does not name; nothing was loaded")
        if name not in found:
            raise LearnError(f"{directory} lacks {name}, which {_HEADER} names; copy the model again, or train it again")
        if found[name] != expected[name]:
            raise LearnError(f"{name} in {directory} was changed since training (its SHA-256 differs); nothing was loaded")


def _hashes(model: Path) -> dict[str, str]:
    """SHA-256 of every file under `model`, by POSIX path from the bundle's directory. A link or a device is a LearnError."""
    hashes = {}
    for path in sorted(model.rglob("*")):
        name = path.relative_to(model.parent).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise LearnError(f"{name} in {model.parent} is not a plain file; nothing was loaded")
        if path.is_file():
            hashes[name] = _digest(path)
    return hashes


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prefixes(hashes: NDArray[np.str_]) -> NDArray[np.uint64]:
    """The first eight bytes of each hexadecimal hash: enough to tell a hundred million sounds apart."""
    return np.array([int(text[:16], 16) for text in hashes.tolist()], np.uint64)


def _read_seen(directory: Path, digest: str) -> NDArray[np.uint64]:
    path = directory / _SEEN
    try:
        if path.is_symlink() or _digest(path) != digest:
            raise LearnError(f"{_SEEN} in {directory} was changed since training (its SHA-256 differs); nothing was loaded")
        seen = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise LearnError(f"{path} cannot be read: {error}; copy the model again, or train it again") from None
    return np.asarray(seen, np.uint64)


def _read_plugin(directory: Path, header: dict[str, Any]) -> PluginInfo:
    saved = header["plugin"]
    if set(saved) != set(PluginInfo._fields) or not all(isinstance(text, str) for text in saved.values()):
        raise LearnError(f"{directory / _HEADER} does not say which plugin made the model; train the model again")
    return PluginInfo(**saved)


def _load_class(directory: Path, plugin: PluginInfo) -> type[Classifier]:
    try:
        return load_plugin(plugin.name)
    except PluginError as error:
        origin = f"plugin {plugin.name!r} of {plugin.distribution} {plugin.version}"
        raise PluginError(f"{directory} was made by {origin}: {error}") from error


def _read_recipe(directory: Path, header: dict[str, Any]) -> Recipe:
    try:
        recipe = Recipe.from_dict(header["recipe"])
    except (FastspecError, TypeError) as error:
        raise LearnError(f"{directory / _HEADER} holds a recipe that this fastspec cannot compute: {error}") from None
    if recipe.digest() != header["recipe_digest"]:
        raise LearnError(f"the recipe in {directory / _HEADER} does not have the digest noted beside it; train the model again")
    return recipe
