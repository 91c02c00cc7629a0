"""A bundle holds all that prediction needs, and nothing in it is trusted."""

import hashlib
import json
import operator
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import CLIPS, FEATURES, VALID, toy_bundle
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastspec.errors import LearnError, PluginError
from fastspec.learn import Aims, load_bundle


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return toy_bundle().save(tmp_path / "model")


def edit(bundle: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change bundle.json in place."""
    header = json.loads((bundle / "bundle.json").read_text())
    change(header)
    (bundle / "bundle.json").write_text(json.dumps(header))


def forge(bundle: Path, name: str, data: bytes) -> None:
    """Replace a file of the model and its hashes, as an attacker would."""
    (bundle / name).write_bytes(data)
    own = bundle / "model" / "classifier.json"
    header = json.loads(own.read_text())
    header["files"][Path(name).name] = hashlib.sha256(data).hexdigest()
    own.write_text(json.dumps(header))
    hashes = {f"model/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in (bundle / "model").iterdir()}
    edit(bundle, lambda header: header["files"].update(hashes))


@pytest.mark.parametrize("name", ["extra-trees", "gradient-boosting", "lda", "lightgbm", "logistic", "rocket", "svm"])
def test_bundle__round_trips_through_another_process(name: str, tmp_path: Path) -> None:
    bundle = toy_bundle(name)
    bundle.save(tmp_path / "model")
    np.save(tmp_path / "features.npy", FEATURES)
    code = (
        "import sys, numpy; from fastspec.learn import load_bundle; from pathlib import Path; folder = Path(sys.argv[1]);"
        "model = load_bundle(folder / 'model').model; features = numpy.load(folder / 'features.npy');"
        "numpy.save(folder / 'answer.npy', model.predict_proba(features, numpy.full(len(features), 6, numpy.int32)))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "answer.npy"), bundle.model.predict_proba(FEATURES, VALID))
    loaded = load_bundle(tmp_path / "model", threads=2)
    assert (loaded.recipe, loaded.classes, loaded.plugin, loaded.versions) == (
        bundle.recipe,
        ["cat", "dog"],
        bundle.plugin,
        bundle.versions,
    )
    assert (loaded.n_clips, loaded.left_out, loaded.manifest_digest) == (CLIPS, {}, "m")
    assert loaded.model.threads == 2


@pytest.mark.parametrize("name", ["extra-trees", "gradient-boosting", "lda", "lightgbm", "logistic", "rocket", "svm"])
def test_equal_training__gives_equal_bytes(name: str, tmp_path: Path) -> None:
    first, again = toy_bundle(name).save(tmp_path / "first"), toy_bundle(name).save(tmp_path / "again")
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert all((first / file).read_bytes() == (again / file).read_bytes() for file in files)


def test_output_that_exists__is_refused_and_left_alone(saved: Path) -> None:
    before = (saved / "bundle.json").read_bytes()
    with pytest.raises(LearnError, match="exists already; choose another name"):
        toy_bundle().save(saved)
    assert (saved / "bundle.json").read_bytes() == before


def test_save_that_fails__leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = toy_bundle()

    def fill_the_disk(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle.model, "save", fill_the_disk)
    with pytest.raises(LearnError, match="No space left on device"):
        bundle.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["lightgbm", "logistic"])
def test_tampered_model__is_refused_before_it_is_parsed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = toy_bundle(name)
    bundle.save(tmp_path / "model")
    monkeypatch.setattr(type(bundle.model), "load", lambda _: pytest.fail("the plugin parsed a file that was tampered with"))
    (file,) = (path for path in (tmp_path / "model" / "model").iterdir() if path.name.startswith("model."))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(LearnError, match=rf"model/{file.name} in .* was changed since training .*nothing was loaded"):
        load_bundle(tmp_path / "model")


def test_foreign_missing_or_linked_file__is_refused(saved: Path) -> None:
    extra = saved / "model" / "extra.py"
    extra.write_text("raise SystemExit")
    with pytest.raises(LearnError, match=r"holds model/extra.py, which bundle.json does not name"):
        load_bundle(saved)
    extra.unlink()
    extra.symlink_to(saved / "bundle.json")
    with pytest.raises(LearnError, match=r"model/extra.py in .* is not a plain file"):
        load_bundle(saved)
    extra.unlink()
    (saved / "model" / "classifier.json").unlink()
    with pytest.raises(LearnError, match=r"lacks model/classifier.json"):
        load_bundle(saved)


class Explosive:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_pickle_in_place_of_skops__is_refused_and_not_executed(saved: Path, tmp_path: Path) -> None:
    forge(saved, "model/model.skops", pickle.dumps(Explosive(tmp_path / "mark")))
    with pytest.raises(LearnError, match=r"model.skops is not a readable skops file"):
        load_bundle(saved)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "untrusted", [FunctionTransformer(operator.methodcaller("tobytes")), FunctionTransformer(partial(print, "loaded"))]
)
def test_skops_file_with_an_untrusted_type__is_refused_although_its_hash_is_right(saved: Path, untrusted: Any) -> None:
    import skops.io

    forge(saved, "model/model.skops", skops.io.dumps(make_pipeline(untrusted, LogisticRegression())))
    with pytest.raises(LearnError, match=r"holds a type that is not trusted"):
        load_bundle(saved)


def test_trusted_estimator_that_the_plugin_does_not_build__is_refused(saved: Path) -> None:
    import skops.io

    forge(saved, "model/model.skops", skops.io.dumps(make_pipeline(FunctionTransformer(), LogisticRegression())))
    with pytest.raises(LearnError, match="holds a Pipeline, which logistic does not build"):
        load_bundle(saved)


@pytest.mark.parametrize("text", [b"", b"tree\nversion=v4\nnum_class=2\n", b"\xff\xfe"])
def test_text_that_is_no_lightgbm_model__is_refused(text: bytes, tmp_path: Path) -> None:
    saved = toy_bundle("lightgbm").save(tmp_path / "model")
    forge(saved, "model/model.txt", text)
    with pytest.raises(LearnError, match=r"model.txt is not a readable LightGBM model"):
        load_bundle(saved)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda header: header.update(format=2), "format 2, newer than 1.*upgrade fastspec"),
        (lambda header: header.pop("format"), "does not say which format"),
        (lambda header: header.pop("classes"), "no sound field 'classes'"),
        (lambda header: header.update(classes=["cat", "cat"]), "does not name each class once"),
        (lambda header: header.update(files=[]), "no sound field 'files'"),
        (lambda header: header["plugin"].pop("version"), "does not say which plugin"),
        (lambda header: header["recipe"]["spec"].update(n_mels=64), "does not have the digest"),
        (lambda header: header["recipe"]["spec"].update(n_fft="x"), "a recipe that this fastspec cannot compute"),
    ],
)
def test_header_that_is_newer_or_unsound__is_refused(saved: Path, change: Callable[[dict[str, Any]], Any], told: str) -> None:
    edit(saved, change)
    with pytest.raises(LearnError, match=told):
        load_bundle(saved)


def test_plugin_that_is_not_installed__is_named_with_its_distribution(saved: Path) -> None:
    edit(saved, lambda header: header["plugin"].update(name="forest", distribution="fastspec-forest", version="1.2"))
    with pytest.raises(PluginError, match=r"made by plugin 'forest' of fastspec-forest 1.2: unknown classifier 'forest'"):
        load_bundle(saved)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff"])
def test_header_that_is_no_json_object__is_refused(saved: Path, text: bytes) -> None:
    (saved / "bundle.json").write_bytes(text)
    with pytest.raises(LearnError, match=r"bundle.json"):
        load_bundle(saved)


def test_folder_that_is_no_bundle__is_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnError, match="is not a trained model"):
        load_bundle(tmp_path)
    with pytest.raises(LearnError, match="is not a trained model"):
        load_bundle(tmp_path / "absent")


# --- decisions and what a bundle says of itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_decisions__come_back_from_the_bundle_and_are_used(kind: Any, tmp_path: Path) -> None:
    aims = Aims(calibrate=kind, min_recall={"dog": 0.9}, unknown_below=0.6)
    bundle = toy_bundle(aims=aims)
    loaded = load_bundle(bundle.save(tmp_path / "model"))
    assert loaded.decisions == bundle.decisions
    assert set(loaded.decisions.thresholds) == {"dog"}
    assert (loaded.metrics, loaded.band_means, loaded.by) == (bundle.metrics, bundle.band_means, "clip")
    assert loaded.metrics is not None
    assert loaded.metrics["answers"]["dog"]["recall"] >= 0.9
    told = bundle.decisions.calibrate(np.array([[0.99, 0.01], [0.5, 0.5]]))
    np.testing.assert_array_equal(loaded.decisions.calibrate(np.array([[0.99, 0.01], [0.5, 0.5]])), told)


def test_model_card__tells_data_scores_answers_and_limits(tmp_path: Path) -> None:
    plain = (toy_bundle().save(tmp_path / "plain") / "README.md").read_text()
    assert "Not scored on held-out groups" in plain
    assert "trained on 40 clips" in plain
    bundle = toy_bundle(aims=Aims(calibrate="temperature", min_recall={"dog": 0.9}, unknown_below=0.6), folds=4)
    card = (bundle.save(tmp_path / "model") / "README.md").read_text()
    assert bundle.metrics is not None
    headline = bundle.metrics["headline"]
    row = " | ".join(f"{headline['log_loss' + end]:.3f}" for end in ("", "_low", "_high"))
    for words in (
        f"| log-loss | {row} |",
        "`dog` is the answer from a probability of",
        "no probability reaches 0.6",
        "4 folds of whole groups",
    ):
        assert words in card


def test_forged_header_with_another_number_of_classes__is_refused(saved: Path) -> None:
    edit(saved, lambda header: header.update(classes=["cat", "cow", "dog"]))
    with pytest.raises(LearnError, match=r"knows 2 classes and bundle.json names 3; nothing was loaded"):
        load_bundle(saved)


@pytest.mark.parametrize("name", ["extra-trees", "gradient-boosting", "lda", "lightgbm", "logistic", "rocket", "svm"])
def test_model_of_two_classes_that_claims_three__is_refused(name: str, tmp_path: Path) -> None:
    saved = toy_bundle(name).save(tmp_path / "model")
    own = json.loads((saved / "model" / "classifier.json").read_text()) | {"present": [0, 1, 2], "n_classes": 3}
    (saved / "model" / "classifier.json").write_text(json.dumps(own))
    digest = hashlib.sha256((saved / "model" / "classifier.json").read_bytes()).hexdigest()
    edit(saved, lambda header: header["files"].update({"model/classifier.json": digest}) or header.update(classes=["a", "b", "c"]))
    with pytest.raises(LearnError, match=r"3 classes.*nothing was loaded"):
        load_bundle(saved)


def spoil(estimator: Any, change: Callable[[Any], Any]) -> bytes:
    import skops.io

    final = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    change(final)
    return skops.io.dumps(estimator)


@pytest.mark.parametrize(
    "name, change",
    [
        ("gradient-boosting", lambda model: setattr(model, "estimators_", np.repeat(model.estimators_[:5], 2, axis=1))),
        ("gradient-boosting", lambda model: setattr(model, "estimators_", model.estimators_[:3])),
        ("gradient-boosting", lambda model: setattr(model, "n_features_in_", 1000)),
        ("extra-trees", lambda model: setattr(model, "n_classes_", 50)),
        ("extra-trees", lambda model: setattr(model.estimators_[0], "n_outputs_", 3)),
        ("svm", lambda model: setattr(model, "_n_support", np.array([10**6, 10**6], np.int32))),
        ("svm", lambda model: setattr(model, "_dual_coef_", model._dual_coef_[:, :1])),
        ("svm", lambda model: setattr(model, "_intercept_", np.zeros(0))),
    ],
)
def test_forged_arrays_of_wrong_shape__are_refused_before_compiled_code_indexes_them(
    name: str, change: Callable[[Any], Any], tmp_path: Path
) -> None:
    bundle = toy_bundle(name)
    saved = bundle.save(tmp_path / "model")
    model: Any = bundle.model
    forge(saved, "model/model.skops", spoil(model._fitted.model.estimator, change))
    with pytest.raises(LearnError, match="nothing was loaded"):
        load_bundle(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda decisions: decisions.update(thresholds={"cow": 0.5}),
        lambda decisions: decisions.update(calibration={"kind": "temperature", "scale": 1.0, "bias": [0.0]}),
        lambda decisions: decisions.update(calibration={"kind": "pickle"}),
        lambda decisions: decisions.update(calibration={"kind": "isotonic", "curves": [{"places": [0], "heights": [0]}] * 2}),
        lambda decisions: decisions.pop("costs"),
    ],
)
def test_decisions_that_make_no_sense__are_refused(saved: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    edit(saved, lambda header: change(header["decisions"]))
    with pytest.raises(LearnError, match="holds decisions that cannot be read"):
        load_bundle(saved)


def test_changed_list_of_seen_clips__is_refused(saved: Path) -> None:
    np.save(saved / "seen.npy", np.zeros(1, np.uint64))
    with pytest.raises(LearnError, match=r"seen.npy in .* was changed since training"):
        load_bundle(saved)
