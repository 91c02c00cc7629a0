"""Checks of what a classifier is made from, and of what it leaves on disk."""

import json
import pickletools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np

from fastspec.errors import FastspecError, LearnError, PluginError
from fastspec.learn.classifier import Classifier
from fastspec.learn.parameters import check_space, hyper_parameters
from fastspec.testing.kit import CheckFailed, Params, fitted, honouring_known_failures, predict, require, saved, toy_corpus

# What unpickling, `exec` and shells tell Python's audit hooks; "compile" is not among them, since NumPy parses headers by it.
_FORBIDDEN = ("pickle.find_class", "exec", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")


@honouring_known_failures
def check_save_and_load(plugin: type[Classifier], params: Params) -> None:
    """A saved model comes back with its hyper-parameters, its seed and its probabilities, bit for bit."""
    for n_classes in (2, 3):
        corpus = toy_corpus(n_classes=n_classes)
        model = fitted(plugin, params, corpus, n_classes=n_classes, seed=3)
        with saved(model) as directory:
            loaded = plugin.load(directory)
        require(type(loaded) is plugin, f"load gives a {type(loaded).__name__}")
        require((loaded.params(), loaded.seed) == (model.params(), 3), "the loaded model has other hyper-parameters or another seed")
        same = np.array_equal(predict(loaded, corpus, n_classes=n_classes), predict(model, corpus, n_classes=n_classes))
        require(same, "the loaded model gives other probabilities")


@honouring_known_failures
def check_loading_executes_nothing(plugin: type[Classifier], params: Params) -> None:
    """No file of a saved model is a pickle, and loading one calls nothing that could run what is in it."""
    with saved(fitted(plugin, params, toy_corpus())) as directory:
        for path in sorted(directory.rglob("*")):
            require(not (path.is_file() and _holds_pickle(path)), f"{path.name} is a pickle, or holds one")
        plugin.load(directory)  # imports what loading imports, which executes installed code
        with _audit() as seen:
            plugin.load(directory)
    require(not seen, f"loading raises the audit events {', '.join(sorted(set(seen)))}")


@honouring_known_failures
def check_damaged_model_is_refused(plugin: type[Classifier], params: Params) -> None:
    """A model with a file that is missing, or cut in the middle, is a LearnError."""
    with saved(fitted(plugin, params, toy_corpus())) as directory:
        for path in [path for path in sorted(directory.rglob("*")) if path.is_file()]:
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            require(_refuses(plugin, directory), f"{path.name} cut in the middle is loaded")
            path.unlink()
            require(_refuses(plugin, directory), f"{path.name} is missing, and the model is loaded")
            path.write_bytes(whole)


@honouring_known_failures
def check_hyper_parameters(plugin: type[Classifier], params: Params) -> None:
    """Hyper-parameters survive JSON; seed and threads are kept; an unknown name is a PluginError; the search space is sound."""
    model = plugin.from_params(params, seed=7, threads=2)
    require((model.seed, model.threads) == (7, 2), "seed or threads are not kept")
    require(set(model.params()) == set(hyper_parameters(plugin)), "params() does not name every hyper-parameter")
    require(params.items() <= model.params().items(), "params() does not hold what from_params was given")
    again = plugin.from_params(json.loads(json.dumps(model.params())))
    require(again.params() == model.params(), "hyper-parameters do not survive JSON")
    try:
        plugin.from_params({"no such parameter": 1})
    except PluginError:
        return check_space(plugin)
    raise CheckFailed("an unknown hyper-parameter is taken")


@honouring_known_failures
def check_error_before_fit(plugin: type[Classifier], params: Params) -> None:
    """Predicting with, or saving, a model that has learned nothing is a LearnError."""
    corpus = toy_corpus()
    with TemporaryDirectory() as directory:
        for act, arguments in (("predict_proba", (corpus.features, corpus.valid_frames)), ("save", (Path(directory),))):
            try:
                getattr(plugin.from_params(params), act)(*arguments)
            except LearnError:
                continue
            raise CheckFailed(f"{act} of a model that was never fitted raises nothing; raise a LearnError that says so")


def _refuses(plugin: type[Classifier], directory: Path) -> bool:
    try:
        plugin.load(directory)
    except FastspecError:
        return True
    return False


def _holds_pickle(path: Path) -> bool:
    """Whether a file, or a member of it where it is a zip archive, begins with a whole pickle."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            return any(_is_pickle(archive.read(name)) for name in archive.namelist())
    return _is_pickle(path.read_bytes())


def _is_pickle(data: bytes) -> bool:
    try:
        # A lone "." is a pickle by the letter: what counts is that something is made.
        return sum(1 for _ in pickletools.genops(data)) > 2
    except ValueError:
        return False


_watched: list[list[str]] = []


def _hook(event: str, _: tuple[Any, ...]) -> None:
    if _watched and event in _FORBIDDEN:
        _watched[-1].append(event)


@contextmanager
def _audit() -> Iterator[list[str]]:
    """The forbidden audit events while it is open. Python cannot take a hook back, so that one is there from the first use on."""
    if not _audit_hooks:
        sys.addaudithook(_hook)
        _audit_hooks.append(_hook)
    seen: list[str] = []
    _watched.append(seen)
    try:
        yield seen
    finally:
        _watched.pop()


_audit_hooks: list[Callable[[str, tuple[Any, ...]], None]] = []
