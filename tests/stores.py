"""A small corpus whose store is several chunks, and what the files of a store hold."""

import hashlib
from pathlib import Path

import numpy as np
import soundfile

from fastspec.presets import preset

# 17 MiB in three chunks from a second of work: many bands and a short hop make clips whose features are large.
RECIPE = preset("torchaudio", n_fft=1024, win_length=400, hop_length=20, n_mels=128, log="db", clip_s=1.0)

# How a program begins that is killed at the nth call of a function of `fastspec.store.writing`; the function and n are its arguments.
DYING = """
import os, signal, sys
import fastspec.store.writing as writing
from fastspec.pipeline import featurize, update
function, call, corpus, store, *rest = sys.argv[1:]
original, calls = getattr(writing, function), []
def die_at_the_call(*args, **options):
    calls.append(1)
    if len(calls) == int(call):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **options)
setattr(writing, function, die_at_the_call)
"""


def write_recordings(root, *, count=70):
    """So many recordings in two classes, and one that is broken."""
    for i in range(count):
        (root / "ab"[i % 2]).mkdir(exist_ok=True)
        noise = np.random.default_rng(i).uniform(-0.5, 0.5, 8000 + 100 * i).astype(np.float32)
        soundfile.write(root / "ab"[i % 2] / f"{i:03}.wav", noise, 16000)
    (root / "a" / "broken.wav").write_bytes(b"not audio")
    return root


def file_bytes(path):
    """Digest of each file of a store."""
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in Path(path).rglob("*") if p.is_file()}


def promised_bytes(path):
    """Digest of each file of a finished store that the contracts promise to be equal between runs."""
    return {name: digest for name, digest in file_bytes(path).items() if Path(name).parent.name != "timings"}
