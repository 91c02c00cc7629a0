"""What README shows works as it is written."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_python_example__runs_and_gives_the_shapes_it_says(tmp_path, monkeypatch, write_tone):
    for label in ("a", "b"):
        write_tone(tmp_path / "sounds" / label / "1.wav")
    monkeypatch.chdir(tmp_path)
    names = {}
    lines = PYTHON[0].splitlines()
    exec("\n".join(lines), names)  # noqa: S102
    for line in lines:
        expression, _, comment = line.partition("#")
        said = re.search(r"(\(\d+.*\))$", comment)
        if said:
            assert eval(expression, names) == eval(said[1]), line
    assert names["store"].features.shape == (2, 130, 64)


def test_plugin_example__is_a_classifier_with_probabilities():
    import numpy as np

    names = {}
    exec(PYTHON[1], names)  # noqa: S102
    features = np.random.default_rng(0).normal(size=(20, 5, 3)).astype(np.float32)
    labels = np.arange(20) % 2
    model = names["ExtraTrees"]().fit(features, np.full(20, 5, np.int32), labels, n_classes=2)
    np.testing.assert_allclose(model.predict_proba(features, np.full(20, 5, np.int32)).sum(axis=1), 1)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^\| `(\w+(?: list| show| parity| info| ledger)?)", README, re.MULTILINE))))
def test_command_in_the_table__exists(command):
    from typer.testing import CliRunner

    from fastspec.cli.app import app

    assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0
