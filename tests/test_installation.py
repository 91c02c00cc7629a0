"""Hints name a command that works for how fastspec was installed: its bare name may be another project's."""

import json

import pytest

from fastspec import installation
from fastspec.errors import PluginError
from fastspec.installation import extra_command, plugin_command
from fastspec.learn import load_plugin


@pytest.fixture
def installed(monkeypatch):
    """`installed(direct_url)` pretends that fastspec was copied by pip, which kept that record, or none."""

    class Distribution:
        def __init__(self, record):
            self.record = record

        def read_text(self, name):
            assert name == "direct_url.json"
            return self.record and json.dumps(self.record)

    def pretend(record):
        monkeypatch.setattr(installation, "find_clone", lambda: None)
        monkeypatch.setattr(installation, "distribution", lambda _name: Distribution(record))

    return pretend


def test_clone__is_named_by_its_folder_and_from_within_by_a_dot(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "find_clone", lambda: tmp_path)
    assert extra_command("serve") == f"pip install -e '{tmp_path}[serve]'"
    monkeypatch.chdir(tmp_path)
    assert extra_command("serve") == "pip install -e '.[serve]'"
    assert plugin_command("cnn") == "pip install ./plugins/fastspec_cnn"


@pytest.mark.parametrize(
    "record, command",
    [
        (None, "pip install 'fastspec[serve]'"),
        (
            {"url": "file:///w/fastspec-0.1.0-py3-none-any.whl", "archive_info": {}},
            "'fastspec[serve] @ file:///w/fastspec-0.1.0-py3-none-any.whl'",
        ),
        ({"url": "https://h.org/f.git", "vcs_info": {"vcs": "git"}}, "pip install 'fastspec[serve] @ git+https://h.org/f.git'"),
    ],
)
def test_copy__is_named_by_where_it_came_from(installed, record, command):
    installed(record)
    assert extra_command("serve").endswith(command)
    assert plugin_command("cnn").endswith("./plugins/fastspec_cnn in a clone of fastspec")


def test_this_source__is_a_clone():
    clone = installation.find_clone()
    assert clone is None or (clone / "plugins").is_dir()


@pytest.mark.parametrize("name, place", [("cnn", "plugins/fastspec_cnn"), ("transfer", r"plugins/fastspec_transfer\[torch\]")])
def test_classifier_that_is_installed_by_itself__is_told_how(monkeypatch, name, place):
    monkeypatch.setattr("fastspec.learn.registry._entry_points", lambda: [])
    with pytest.raises(PluginError, match=rf"unknown classifier '{name}'; .*{name} is to be installed by itself: pip install .*{place}"):
        load_plugin(name)
