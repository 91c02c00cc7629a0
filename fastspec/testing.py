"""The conformance kit: whether a classifier keeps the contract of `fastspec.learn.Classifier`.

In a plugin's own tests, by pytest or anything else that calls functions:

    @pytest.mark.parametrize("check", CHECKS)
    def test_contract(check):
        check(MyClassifier)

A check raises `CheckFailed`. What a plugin cannot keep, it names in `known_failures`, each with the reason; a known failure that passes
fails, so that the list stays true.
"""

import json
import pickletools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, Protocol
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import FastspecError, LearnError, PluginError
from fastspec.learn.classifier import Classifier
from fastspec.learn.parameters import check_space, hyper_parameters
from fastspec.learn.registry import load_plugin
from fastspec.learn.stored import StoredFeatures

Params = Mapping[str, Any]

# What unpickling, `exec` and shells tell Python's audit hooks; "compile" is not among them, since NumPy parses headers by it.
_FORBIDDEN = ("pickle.find_class", "exec", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
_OTHER_THREADS_S, _OTHER_THREADS_SHARE = 0.1, 0.3


class CheckFailed(AssertionError):
    """A plugin breaks the contract; the message says where."""


class Check(Protocol):
    """A function that raises `CheckFailed` when a plugin breaks one clause of the contract."""

    __name__: str
    __doc__: str | None

    def __call__(self, plugin: type[Classifier], *, params: Params | None = None) -> None: ...


class CheckResult(NamedTuple):
    """What one check found: `reason` says why it failed, or why the failure is known."""

    check: str
    outcome: Literal["passed", "failed", "known failure"]
    reason: str


class ToyCorpus(NamedTuple):
    """Clips whose class is the band that is loudest: `(clips, 12, 6)` float32, valid frames, labels, and groups of two clips a class."""

    features: NDArray[np.float32]
    valid_frames: NDArray[np.int32]
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]

    def keep(self, rows: NDArray[Any]) -> "ToyCorpus":
        """Some of the clips."""
        return ToyCorpus(*(column[rows] for column in self))


def toy_corpus(*, n_classes: int = 3, clips: int = 60, frames: int = 12, seed: int = 0) -> ToyCorpus:
    """A separable corpus; the features are read-only."""
    random = np.random.default_rng(seed)
    labels = np.arange(clips) % n_classes
    features = random.normal(size=(clips, frames, 6)).astype(np.float32)
    features[np.arange(clips), :, labels] += 3
    features.flags.writeable = False
    groups = np.array([f"group{i // (2 * n_classes)}" for i in range(clips)])
    return ToyCorpus(features, random.integers(frames // 2, frames + 1, size=clips).astype(np.int32), labels, groups)


def check_classifier(plugin: type[Classifier] | str, *, params: Params | None = None) -> list[CheckResult]:
    """Run every check.

    Args:
        plugin: a class, or the name of an installed plugin.
        params: hyper-parameters to check it with, such as a small number of trees.

    Raises:
        PluginError: no such plugin, or one that cannot be imported.
    """
    found = load_plugin(plugin) if isinstance(plugin, str) else plugin
    return [_run(check, found, params) for check in CHECKS]


def _run(check: Check, plugin: type[Classifier], params: Params | None) -> CheckResult:
    name = check.__name__
    try:
        check(plugin, params=params)
    except CheckFailed as error:
        return CheckResult(name, "failed", str(error))
    known = plugin.known_failures.get(name)
    return CheckResult(name, "passed" if known is None else "known failure", known or "")


def _honouring_known_failures(check: Callable[[type[Classifier], Params], None]) -> Check:
    """A check that fails in one way only, and that turns round for a plugin which names it among its `known_failures`."""

    @wraps(check)
    def checked(plugin: type[Classifier], *, params: Params | None = None) -> None:
        reason = plugin.known_failures.get(check.__name__)
        try:
            check(plugin, params or {})
        except Exception as error:  # whatever a stranger's code raises is what was found
            if reason is None:
                told = str(error) if isinstance(error, CheckFailed) else f"{type(error).__name__}: {error}"
                raise CheckFailed(" ".join(told.split())) from error
        else:
            if reason is not None:
                raise CheckFailed(f"passes, although known_failures names it ({reason}); take it off that list")

    return checked


def _require(condition: object, told: str) -> None:
    if not condition:
        raise CheckFailed(told)


def _fitted(plugin: type[Classifier], params: Params, corpus: ToyCorpus, *, n_classes: int = 3, seed: int = 0) -> Classifier:
    model = plugin.from_params(params, seed=seed)
    return model.fit(corpus.features, corpus.valid_frames, corpus.labels, n_classes=n_classes, groups=corpus.groups)


def _predict(model: Classifier, corpus: ToyCorpus, *, n_classes: int = 3) -> NDArray[np.float64]:
    """Probabilities, which are finite, in 0 … 1, and sum to 1."""
    probabilities = model.predict_proba(corpus.features, corpus.valid_frames)
    expected = (len(corpus.labels), n_classes)
    _require(probabilities.shape == expected, f"predict_proba gives the shape {probabilities.shape}; it must be {expected}")
    _require(probabilities.dtype == np.float64, f"predict_proba gives {probabilities.dtype}; it must be float64")
    _require(np.isfinite(probabilities).all() and (probabilities >= 0).all(), "a probability is negative or not finite")
    _require(np.allclose(probabilities.sum(axis=1), 1, atol=1e-6), "the probabilities of a clip do not sum to 1")
    return probabilities


@contextmanager
def _saved(model: Classifier) -> Iterator[Path]:
    with TemporaryDirectory() as directory:
        model.save(Path(directory))
        yield Path(directory)


def _contents(directory: Path) -> dict[str, bytes]:
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


@_honouring_known_failures
def check_learns_separable_classes(plugin: type[Classifier], params: Params) -> None:
    """Two and three classes that a child could tell apart are told apart on fresh clips."""
    for n_classes in (2, 3):
        fresh = toy_corpus(n_classes=n_classes, seed=1)
        model = _fitted(plugin, params, toy_corpus(n_classes=n_classes), n_classes=n_classes)
        right = (_predict(model, fresh, n_classes=n_classes).argmax(axis=1) == fresh.labels).mean()
        _require(right >= 0.9, f"{right:.0%} of fresh clips of {n_classes} separable classes are right; 90 % are expected")


@_honouring_known_failures
def check_order_of_classes(plugin: type[Classifier], params: Params) -> None:
    """Column k of the probabilities is class k, in whatever order the classes come."""
    corpus = toy_corpus()
    order = np.argsort(-corpus.labels, kind="stable")
    probabilities = _predict(_fitted(plugin, params, corpus.keep(order)), corpus)
    right = (probabilities.argmax(axis=1) == corpus.labels).mean()
    _require(right >= 0.9, f"{right:.0%} of the training clips are right when the last class comes first; 90 % are expected")


@_honouring_known_failures
def check_class_missing_from_training(plugin: type[Classifier], params: Params) -> None:
    """A class that a fold lacks keeps its column, at probability 0."""
    corpus = toy_corpus()
    probabilities = _predict(_fitted(plugin, params, corpus.keep(corpus.labels != 1), n_classes=4), corpus, n_classes=4)
    _require(not probabilities[:, [1, 3]].any(), "classes that training never saw have a probability above 0")
    kept = corpus.labels != 1
    _require((probabilities.argmax(axis=1) == corpus.labels)[kept].mean() >= 0.9, "the columns of the other classes have moved")


@_honouring_known_failures
def check_one_class(plugin: type[Classifier], params: Params) -> None:
    """Clips of one class alone are refused by a LearnError."""
    corpus = toy_corpus()
    try:
        _fitted(plugin, params, corpus._replace(labels=np.zeros_like(corpus.labels)))
    except LearnError:
        return
    raise CheckFailed("fit takes clips of one class alone; raise a LearnError that says so")


@_honouring_known_failures
def check_tiny_data(plugin: type[Classifier], params: Params) -> None:
    """Two clips a class are learned from; one clip a class is learned from or refused by a LearnError or PluginError."""
    corpus = toy_corpus()
    _predict(_fitted(plugin, params, corpus.keep(np.arange(6))), corpus)
    try:
        single = _fitted(plugin, params, corpus.keep(np.arange(3)))
    except (LearnError, PluginError):
        return
    _predict(single, corpus)


@_honouring_known_failures
def check_broken_clips(plugin: type[Classifier], params: Params) -> None:
    """Frames of NaN, a clip of nothing else, and a clip without a valid frame are taken in fit and in predict_proba."""
    corpus = toy_corpus()
    features, valid_frames = corpus.features.copy(), corpus.valid_frames.copy()
    features[3, 2], features[4], valid_frames[5] = np.nan, np.nan, 0
    spoiled = corpus._replace(features=features, valid_frames=valid_frames)
    _predict(_fitted(plugin, params, spoiled), spoiled)


@_honouring_known_failures
def check_padding_is_ignored(plugin: type[Classifier], params: Params) -> None:
    """Frames that are not valid, which hold padding, change no prediction but by rounding, whatever is in them."""
    corpus = toy_corpus()
    model = _fitted(plugin, params, corpus)
    features = corpus.features.copy()
    features[np.arange(features.shape[1]) >= corpus.valid_frames[:, None]] = 50.0
    same = np.allclose(_predict(model, corpus), _predict(model, corpus._replace(features=features)), rtol=1e-5, atol=1e-7)
    _require(same, "other values in the frames after valid_frames give other probabilities")


@_honouring_known_failures
def check_no_clips(plugin: type[Classifier], params: Params) -> None:
    """No clips give no rows."""
    corpus = toy_corpus()
    model = _fitted(plugin, params, corpus)
    _predict(model, corpus.keep(np.arange(0)))


@_honouring_known_failures
def check_one_clip_is_its_row_in_a_batch(plugin: type[Classifier], params: Params) -> None:
    """A clip has the same probabilities alone as in a batch, but for rounding."""
    corpus = toy_corpus()
    model = _fitted(plugin, params, corpus)
    together = _predict(model, corpus)
    for clip in (0, 17, 59):
        alone = _predict(model, corpus.keep(np.array([clip])))[0]
        _require(np.allclose(alone, together[clip], rtol=1e-5, atol=1e-7), f"clip {clip} has {alone} alone and {together[clip]} in a batch")


@_honouring_known_failures
def check_determinism(plugin: type[Classifier], params: Params) -> None:
    """Equal seeds and clips give equal models: the same probabilities, the same bytes when saved. Predicting changes nothing."""
    corpus = toy_corpus()
    first, again = _fitted(plugin, params, corpus, seed=5), _fitted(plugin, params, corpus, seed=5)
    with _saved(first) as one, _saved(again) as other:
        _require(_contents(one) == _contents(other), "equal seeds and clips give other bytes when saved")
    probabilities = _predict(first, corpus)
    _require(np.array_equal(probabilities, _predict(again, corpus)), "equal seeds and clips give other probabilities")
    _require(np.array_equal(probabilities, _predict(first, corpus)), "predicting a second time gives other probabilities")


@_honouring_known_failures
def check_input_is_left_alone(plugin: type[Classifier], params: Params) -> None:
    """Features that are read-only or mapped from a file are taken, and those that are not stay as they were."""
    corpus = toy_corpus()
    expected = _predict(_fitted(plugin, params, corpus), corpus)  # read-only
    writable = corpus._replace(features=corpus.features.copy())
    _predict(_fitted(plugin, params, writable), writable)
    _require(np.array_equal(writable.features, corpus.features), "fit or predict_proba changes the features")
    with TemporaryDirectory() as directory:
        np.save(Path(directory) / "features.npy", corpus.features)
        mapped = corpus._replace(features=np.load(Path(directory) / "features.npy", mmap_mode="r"))
        same = np.array_equal(_predict(_fitted(plugin, params, mapped), mapped), expected)
        del mapped
    _require(same, "features mapped from a file give other probabilities than the same in memory")


@_honouring_known_failures
def check_out_of_core(plugin: type[Classifier], params: Params) -> None:
    """A plugin that declares `out_of_core` says the same of features on disk as of the same in memory."""
    corpus = toy_corpus()
    stored: Any = corpus._replace(features=StoredFeatures(corpus.features))  # type: ignore[arg-type]
    if not plugin.out_of_core:
        return
    expected = _predict(_fitted(plugin, params, corpus), corpus)
    _require(np.array_equal(_predict(_fitted(plugin, params, stored), stored), expected), "features on disk give other probabilities")


@_honouring_known_failures
def check_save_and_load(plugin: type[Classifier], params: Params) -> None:
    """A saved model comes back with its hyper-parameters, its seed and its probabilities, bit for bit."""
    for n_classes in (2, 3):
        corpus = toy_corpus(n_classes=n_classes)
        model = _fitted(plugin, params, corpus, n_classes=n_classes, seed=3)
        with _saved(model) as directory:
            loaded = plugin.load(directory)
        _require(type(loaded) is plugin, f"load gives a {type(loaded).__name__}")
        _require((loaded.params(), loaded.seed) == (model.params(), 3), "the loaded model has other hyper-parameters or another seed")
        same = np.array_equal(_predict(loaded, corpus, n_classes=n_classes), _predict(model, corpus, n_classes=n_classes))
        _require(same, "the loaded model gives other probabilities")


@_honouring_known_failures
def check_loading_executes_nothing(plugin: type[Classifier], params: Params) -> None:
    """No file of a saved model is a pickle, and loading one calls nothing that could run what is in it."""
    with _saved(_fitted(plugin, params, toy_corpus())) as directory:
        for path in sorted(directory.rglob("*")):
            _require(not (path.is_file() and _holds_pickle(path)), f"{path.name} is a pickle, or holds one")
        plugin.load(directory)  # imports what loading imports, which executes installed code
        with _audit() as seen:
            plugin.load(directory)
    _require(not seen, f"loading raises the audit events {', '.join(sorted(set(seen)))}")


@_honouring_known_failures
def check_damaged_model_is_refused(plugin: type[Classifier], params: Params) -> None:
    """A model with a file that is missing, or cut in the middle, is a LearnError."""
    with _saved(_fitted(plugin, params, toy_corpus())) as directory:
        for path in [path for path in sorted(directory.rglob("*")) if path.is_file()]:
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            _require(_refuses(plugin, directory), f"{path.name} cut in the middle is loaded")
            path.unlink()
            _require(_refuses(plugin, directory), f"{path.name} is missing, and the model is loaded")
            path.write_bytes(whole)


@_honouring_known_failures
def check_hyper_parameters(plugin: type[Classifier], params: Params) -> None:
    """Hyper-parameters survive JSON; seed and threads are kept; an unknown name is a PluginError; the search space is sound."""
    model = plugin.from_params(params, seed=7, threads=2)
    _require((model.seed, model.threads) == (7, 2), "seed or threads are not kept")
    _require(set(model.params()) == set(hyper_parameters(plugin)), "params() does not name every hyper-parameter")
    _require(params.items() <= model.params().items(), "params() does not hold what from_params was given")
    again = plugin.from_params(json.loads(json.dumps(model.params())))
    _require(again.params() == model.params(), "hyper-parameters do not survive JSON")
    try:
        plugin.from_params({"no such parameter": 1})
    except PluginError:
        return check_space(plugin)
    raise CheckFailed("an unknown hyper-parameter is taken")


@_honouring_known_failures
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


@_honouring_known_failures
def check_thread_cap(plugin: type[Classifier], params: Params) -> None:
    """With threads=1 no other thread does any work worth mentioning: CPU time of the process against that of the calling thread."""
    corpus = toy_corpus(clips=300, frames=40)
    model = _fitted(plugin, params, toy_corpus())  # pays for imports and compilation
    process, thread = time.process_time(), time.thread_time()
    for _ in range(3):
        model = _fitted(plugin, params, corpus)
        _predict(model, corpus)
    own = time.thread_time() - thread
    others = time.process_time() - process - own
    told = f"with threads=1, other threads took {others:.2f} s of CPU time beside {own:.2f} s of its own; obey threads"
    _require(others < max(_OTHER_THREADS_S, _OTHER_THREADS_SHARE * own), told)


CHECKS: tuple[Check, ...] = (
    check_learns_separable_classes,
    check_order_of_classes,
    check_class_missing_from_training,
    check_one_class,
    check_tiny_data,
    check_broken_clips,
    check_padding_is_ignored,
    check_no_clips,
    check_one_clip_is_its_row_in_a_batch,
    check_determinism,
    check_input_is_left_alone,
    check_out_of_core,
    check_save_and_load,
    check_loading_executes_nothing,
    check_damaged_model_is_refused,
    check_hyper_parameters,
    check_error_before_fit,
    check_thread_cap,
)


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
