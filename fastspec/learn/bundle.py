"""A trained model with all that prediction needs: recipe, classes, decisions, plugin, versions and hashes, in one directory.

`bundle.json` describes, `README.md` tells people, `model/` holds the plugin's files, and `seen.npy` tells which clips the training saw.
Nothing in them is executed. Hashes are checked before anything is parsed: they find damage, and the plugin's own loader refuses types
that installed code does not trust.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastspec.display import table_html
from fastspec.errors import FastspecError, LearnError, PluginError, counted
from fastspec.learn.card import model_card
from fastspec.learn.classifier import Classifier
from fastspec.learn.decisions import Decisions
from fastspec.learn.recordings import By, check_by
from fastspec.learn.registry import PluginInfo, load_plugin
from fastspec.learn.tuning import Tuned
from fastspec.spec import Recipe

if TYPE_CHECKING:
    from fastspec.store import FeatureStore

FORMAT = 1
_HEADER = "bundle.json"
_MODEL = "model"
_SEEN = "seen.npy"
_CARD = "README.md"
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "band_means": list,
    "by": str,
    "classes": list,
    "decisions": dict,
    "files": dict,
    "left_out": dict,
    "manifest_digest": str,
    "metrics": (dict, type(None)),
    "n_clips": int,
    "params": dict,
    "plugin": dict,
    "recipe": dict,
    "recipe_digest": str,
    "seed": int,
    "seen": str,
    "tuned": (dict, type(None)),
    "versions": dict,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
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
        by: what it answers for: recordings, by the mean of their clips' probabilities, or clips.
        decisions: how probabilities become answers.
        metrics: scores on held-out groups of the training clips, as JSON holds them; None where none were asked for.
        tuned: how hyper-parameters were chosen; None where they were given.
        band_means: of the training clips' valid frames, one a band: what a band is like when nothing is known of it.
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
    by: By
    decisions: Decisions
    metrics: dict[str, Any] | None
    tuned: Tuned | None
    band_means: list[float]

    def __repr__(self) -> str:
        learned = f"{counted(len(self.classes), 'class', 'classes')}, learned from {counted(self.n_clips, 'clip')}"
        return f"<Bundle of {self.plugin.name}: {learned}>"

    def _repr_html_(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        rows = {
            "model": self.model,
            "plugin": f"{self.plugin.distribution} {self.plugin.version}",
            "classes": ", ".join(self.classes),
            "learned from": counted(self.n_clips, "clip"),
            "answers for": f"each {self.by}",
            "recipe": self.recipe.digest()[:12],
            "made with": versions,
        }
        return table_html(f"Bundle of {self.plugin.name}", rows)

    def has_seen(self, hashes: NDArray[np.str_]) -> NDArray[np.bool_]:
        """Whether each clip of `Dataset.hashes` sounds like one of the training, `(clips,)` bool."""
        return np.isin(hash_prefixes(hashes), self.seen)

    def check_store(self, store: "FeatureStore") -> None:
        """That a store's features are those that the model takes. LearnError with the fields that differ otherwise."""
        if store.recipe.digest() != self.recipe.digest():
            differing = self.recipe.differences(store.recipe).items()
            fields = ", ".join(f"{name} {mine!r} against {theirs!r}" for name, (mine, theirs) in differing)
            raise LearnError(
                f"the model needs features of another recipe than {store.path} holds: {fields}; "
                "featurize with the model's recipe (--spec MODEL)"
            )

    @property
    def fixed_unit(self) -> By | None:
        """What its decisions were made for; None where it has none and can answer for either."""
        return None if self.decisions.change_nothing else self.by

    def check_unit(self, by: By) -> None:
        """That the decisions were made for it. LearnError otherwise: the mean of several clips is less sure than each of them."""
        if self.fixed_unit not in (None, by):
            raise LearnError(
                f"the model's decisions were made for each {self.by}, not for each {by}; train it with --by {by}, or leave --by out"
            )

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
            (partial / _CARD).write_text(model_card(self), encoding="utf-8")
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
            "by": self.by,
            "decisions": self.decisions.to_dict(),
            "metrics": self.metrics,
            "tuned": None if self.tuned is None else self.tuned._asdict(),
            "band_means": self.band_means,
            "versions": self.versions,
            "files": files,
            "seen": seen,
        }


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
    plugin, recipe, classes = _read_plugin(directory, header), _read_recipe(directory, header), header["classes"]
    model = _load_class(directory, plugin).load(directory / _MODEL)
    model.threads = threads
    n_columns = model.predict_proba(np.empty((0, *recipe.shape), np.float32), np.empty(0, np.int32)).shape[1]
    if n_columns != len(classes):
        raise LearnError(f"the model in {directory} knows {n_columns} classes and {_HEADER} names {len(classes)}; nothing was loaded")
    return Bundle(
        model=model,
        plugin=plugin,
        recipe=recipe,
        classes=classes,
        manifest_digest=header["manifest_digest"],
        n_clips=header["n_clips"],
        seen=_read_seen(directory, header["seen"]),
        left_out=header["left_out"],
        versions=header["versions"],
        by=_read_unit(directory, header),
        decisions=_read_decisions(directory, header),
        metrics=header["metrics"],
        tuned=_read_tuned(directory, header),
        band_means=_read_means(directory, header, recipe),
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


def hash_prefixes(hashes: NDArray[np.str_]) -> NDArray[np.uint64]:
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


def _read_tuned(directory: Path, header: dict[str, Any]) -> Tuned | None:
    found = header.get("tuned")
    if found is not None and (set(found) != set(Tuned._fields) or not isinstance(found["chosen"], dict)):
        raise LearnError(f"{directory / _HEADER} does not say how the model was tuned; train the model again")
    return None if found is None else Tuned(**found)


def _read_unit(directory: Path, header: dict[str, Any]) -> By:
    unit = check_by(header["by"])
    if unit is None:
        raise LearnError(f"{directory / _HEADER} does not say what the model answers for; train the model again")
    return unit


def _read_decisions(directory: Path, header: dict[str, Any]) -> Decisions:
    try:
        return Decisions.from_dict(header["decisions"], classes=header["classes"])
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise LearnError(f"{directory / _HEADER} holds decisions that cannot be read ({reason}); train the model again") from None


def _read_means(directory: Path, header: dict[str, Any], recipe: Recipe) -> list[float]:
    means = header["band_means"]
    if len(means) != recipe.shape[1] or not all(isinstance(mean, int | float) for mean in means):
        raise LearnError(f"{directory / _HEADER} does not have one mean a band; train the model again")
    return [float(mean) for mean in means]


def _read_recipe(directory: Path, header: dict[str, Any]) -> Recipe:
    try:
        recipe = Recipe.from_dict(header["recipe"])
    except (FastspecError, TypeError) as error:
        raise LearnError(
            f"{directory / _HEADER} holds a recipe that this fastspec cannot compute: {error}; use the fastspec that made it"
        ) from None
    if recipe.digest() != header["recipe_digest"]:
        raise LearnError(f"the recipe in {directory / _HEADER} does not have the digest noted beside it; train the model again")
    return recipe
