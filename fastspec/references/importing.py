"""How other projects are imported: torch on one thread, torchaudio without its extension, one file without its package."""

import importlib
import importlib.metadata
import importlib.util
import sys
import types
from typing import Any
from unittest.mock import MagicMock, patch


def import_torch() -> Any:
    """torch, on one thread for the whole process: it has no narrower switch."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    return torch


def import_torchaudio() -> Any:
    """torchaudio, without its compiled extension where that does not load."""
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        # The extension is linked against CUDA and does not load beside a torch built for the CPU. Only alignment and decoding call it;
        # the transforms are plain torch. So the module that loads it is replaced by one that says it is not there.
        extension = types.ModuleType("torchaudio._extension")
        vars(extension).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=lambda function: function)
        sys.modules[extension.__name__] = extension
        return importlib.import_module("torchaudio")


def prepare_torch() -> None:
    """What projects that import torch and torchaudio by themselves need, where they are installed."""
    for package, prepare in (("torch", import_torch), ("torchaudio", import_torchaudio)):
        if importlib.util.find_spec(package) is not None:
            prepare()


def load_file(distribution: str, path: str, *, without: tuple[str, ...] = ()) -> Any:
    """The module in one file of a distribution, with nothing behind the modules `without` that it imports and does not call.

    Raises:
        ImportError: the file is not there.
    """
    spec = importlib.util.spec_from_file_location(
        f"{distribution}_alone", str(importlib.metadata.distribution(distribution).locate_file(path))
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{distribution} has no {path}")
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {name: MagicMock(__path__=[]) for name in without}):
        spec.loader.exec_module(module)
    return module
