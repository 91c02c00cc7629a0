"""README's "Write a plugin", followed to the letter: a project is created, installed and checked, passes its own tests, and trains."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastspec.errors import PluginError
from fastspec.learn.scaffold import new_plugin

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf8")
SECTION = README.partition("## Write a plugin")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^    ((?:fastspec|pip) .*)$", SECTION, re.MULTILINE)
PROGRAMS = {"fastspec": ["-c", "from fastspec.cli import main; main()"], "pip": ["-m", "pip"]}


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder in which README was followed, its environment, and what each command said. Installs without network, into `site`."""
    import soundfile

    folder = tmp_path_factory.mktemp("followed")
    path = os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    pip = {
        "PIP_TARGET": "site",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    environment = os.environ | pip | {"PYTHONPATH": path, "COLUMNS": "80", "NO_COLOR": "1"}
    environment.pop("FASTSPEC_PLUGINS", None)
    random = np.random.default_rng(0)
    for label, hz in (("low", 300), ("high", 2500)):
        (folder / "sounds" / label).mkdir(parents=True)
        for i in range(6):
            tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(8000) / 16000) + 0.05 * random.standard_normal(8000)
            soundfile.write(folder / "sounds" / label / f"{i}.wav", tone, 16000)
    said = {}
    for command in ["fastspec featurize sounds/ -o sounds.zarr", *COMMANDS]:
        program, *arguments = shlex.split(command)
        run = [sys.executable, *PROGRAMS[program], *arguments]
        done = subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said[command] = done.stdout
    return folder, environment, said


def test_commands_of_the_section__create_install_check_and_train(followed):
    folder, _, said = followed
    assert [command.split()[:3] for command in COMMANDS] == [
        ["fastspec", "plugin", "new"],
        ["pip", "install", "./fastspec-kestrel"],
        ["fastspec", "plugin", "check"],
        ["fastspec", "train", "sounds.zarr"],
    ]
    assert "failed" not in said["fastspec plugin check kestrel"]
    assert said["fastspec plugin check kestrel"].count("passed ") >= 15
    header = json.loads((folder / "kestrel-model" / "bundle.json").read_text())
    assert header["plugin"] == {
        "distribution": "fastspec-kestrel",
        "name": "kestrel",
        "target": "fastspec_kestrel:Kestrel",
        "version": "0.1.0",
    }


def test_project__passes_its_own_tests_and_names_itself_everywhere(followed):
    folder, environment, _ = followed
    project = folder / "fastspec-kestrel"
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(run, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {"LICENSE", "README.md", "fastspec_kestrel/__init__.py", "pyproject.toml", "tests/test_kestrel.py"} <= files
    assert not [name for name in files if "template" in (project / name).read_text().lower() and "build" not in name]
    module = (project / "fastspec_kestrel" / "__init__.py").read_text()
    assert len([line for line in module.splitlines() if line.startswith("    ") and not line.strip().startswith('"""')]) <= 25


def test_name_of_two_words__becomes_class_and_module(tmp_path):
    project = new_plugin("night-jar", tmp_path)
    assert "class NightJar(ColumnClassifier)" in (project / "fastspec_night_jar" / "__init__.py").read_text()
    assert 'night-jar = "fastspec_night_jar:NightJar"' in (project / "pyproject.toml").read_text()


@pytest.mark.parametrize("name", ["Kestrel", "night_jar", "", "-x", "a/b", "1st"])
def test_name_that_no_distribution_can_have__is_refused(name, tmp_path):
    with pytest.raises(PluginError, match="give lower-case words"):
        new_plugin(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_name_that_is_taken__is_refused(tmp_path):
    with pytest.raises(PluginError, match="'logistic' is there already, from fastspec"):
        new_plugin("logistic", tmp_path)
    new_plugin("kestrel", tmp_path)
    with pytest.raises(PluginError, match="fastspec-kestrel exists already"):
        new_plugin("kestrel", tmp_path)
