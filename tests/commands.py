"""The command as a user runs it, in a process of its own, and recordings to run it on."""

import os
import subprocess
import sys

import numpy as np
import soundfile


def fastspec(*arguments, cwd=None, **options):
    code = "from fastspec.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, **options)


def answers(result, code, *words):
    """One line on standard error with these words, and no traceback."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def write_sounds(root):
    """Two classes that a classifier can tell apart: 20 low and 20 high tones in noise, one broken file."""
    random = np.random.default_rng(0)
    for i in range(40):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        t = np.arange(8000) / 16000
        tone = 0.3 * np.sin(2 * np.pi * (hz + 10 * i) * t) + 0.05 * random.standard_normal(8000)
        path = root / label / f"{i // 4:02}-{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone, 16000)
    (root / "low" / "broken.wav").write_bytes(b"not audio")
    return root


def featurize(sounds, store):
    """What the command says that makes a store of them."""
    result = fastspec("featurize", sounds, "-o", store, "--preset", "torchaudio", "--set", "log=db", "--group-from", r"/(\d+)-")
    assert result.returncode == 0, result.stderr
    return result.stdout
