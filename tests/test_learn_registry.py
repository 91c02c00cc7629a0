"""Plugins are found by entry points alone; a broken one is named with its distribution."""

import subprocess
import sys
from pathlib import Path

import pytest

from fastspec.errors import PluginError
from fastspec.learn.registry import fault_of, load_plugin, plugins, usable_plugins

GOOD = """
from fastspec.learn import SklearnClassifier
class Bayes(SklearnClassifier):
    name = "bayes"
    def build(self):
        from sklearn.naive_bayes import GaussianNB
        return GaussianNB()
number = 3
"""


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, distribution: str, points: str, version: str = "1.0") -> None:
        info = self.folder / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[fastspec.classifiers]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.delenv("FASTSPEC_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "stranger_module.py").write_text(GOOD)
    monkeypatch.delitem(sys.modules, "stranger_module", raising=False)
    return Site(tmp_path)


def test_installed_plugin__is_listed_and_loaded(site: Site) -> None:
    site.install("stranger", "bayes = stranger_module:Bayes", "2.1")
    assert ("bayes", "stranger", "2.1", "stranger_module:Bayes") in plugins()
    assert "stranger_module" not in sys.modules  # listing imports nothing
    assert load_plugin("bayes").name == "bayes"


def test_unknown_plugin__is_refused_with_the_known_ones(site: Site) -> None:
    site.install("stranger", "bayes = stranger_module:Bayes")
    with pytest.raises(PluginError, match=r"unknown classifier 'bays'; known are: .*bayes.*did you mean 'bayes'"):
        load_plugin("bays")


def test_plugin_that_cannot_be_imported__is_named_with_reason_and_distribution(site: Site) -> None:
    site.install("stranger", "broken = no_such_module:Thing", "0.3")
    assert "broken" in [info.name for info in plugins()]
    with pytest.raises(PluginError, match=r"plugin 'broken' of stranger 0.3 cannot be imported \(ModuleNotFoundError.*FASTSPEC_PLUGINS"):
        load_plugin("broken")


def test_two_distributions_with_one_name__are_both_named(site: Site) -> None:
    site.install("one", "bayes = stranger_module:Bayes")
    site.install("two", "bayes = stranger_module:Bayes")
    with pytest.raises(PluginError, match=r"claimed by one 1.0 and two 1.0; uninstall one"):
        load_plugin("bayes")


def test_broken_plugins__are_isolated_and_told_with_reason_and_distribution(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.folder / "clumsy_module.py").write_text("1 / 0")
    site.install("stranger", "bayes = stranger_module:Bayes\nbroken = clumsy_module:Thing\ngone = no_such_module:Thing", "0.3")
    site.install("one", "twice = stranger_module:Bayes")
    site.install("two", "twice = stranger_module:Bayes")
    monkeypatch.setenv("FASTSPEC_PLUGINS", "bayes,broken,gone,twice")
    told: list[str] = []
    assert list(usable_plugins(on_message=told.append)) == ["bayes"]
    assert told[0].startswith("left out: plugin 'broken' of stranger 0.3 cannot be imported (ZeroDivisionError")
    assert told[1].startswith("left out: plugin 'gone' of stranger 0.3 cannot be imported (ModuleNotFoundError")
    assert told[2] == "left out: plugin 'twice' is claimed by one 1.0 and two 1.0; uninstall one of them"
    assert len(told) == 3


def test_listing__tells_faults_that_need_no_import(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("stranger", "bayes = stranger_module:Bayes\ngone = no_such_module:Thing")
    site.install("one", "twice = stranger_module:Bayes")
    site.install("two", "twice = stranger_module:Bayes")
    monkeypatch.setenv("FASTSPEC_PLUGINS", "bayes,gone,twice")
    faults = [fault_of(info) for info in plugins()]
    assert faults[0] is None
    assert faults[1] == "its module 'no_such_module' is not there; install stranger again"
    assert faults[2] == faults[3] == "claimed by one 1.0 and two 1.0; uninstall one of them"
    assert "stranger_module" not in sys.modules


@pytest.mark.parametrize("target", ["stranger_module:number", "pathlib:Path"])
def test_object_that_is_no_classifier__is_refused(site: Site, target: str) -> None:
    site.install("stranger", f"thing = {target}")
    with pytest.raises(PluginError, match=r"not a subclass of fastspec\.learn\.Classifier"):
        load_plugin("thing")


def test_entry_point_named_otherwise_than_its_class__is_refused(site: Site) -> None:
    site.install("stranger", "naive = stranger_module:Bayes")
    with pytest.raises(PluginError, match="calls itself 'bayes'"):
        load_plugin("naive")


def test_fastspec_plugins__restricts_what_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("stranger", "bayes = stranger_module:Bayes\nother = stranger_module:Bayes")
    monkeypatch.setenv("FASTSPEC_PLUGINS", "bayes, absent")
    assert [info.name for info in plugins()] == ["bayes"]
    with pytest.raises(PluginError, match="FASTSPEC_PLUGINS hides all others"):
        load_plugin("other")


def test_contract_and_listing__import_no_learning_library() -> None:
    code = (
        "import sys; from fastspec.learn import Classifier, SklearnClassifier, plugins; plugins();"
        "print([m for m in ('sklearn', 'lightgbm', 'skops', 'polars', 'dask', 'numba', 'zarr') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
