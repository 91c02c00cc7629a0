"""Compiled kernels on disk: read by the next process, never stale, never shared half-written.

A folder holds one state of this room's source and of everything else that shapes machine code; a file in it holds one kernel for one
signature and one processor, after the digest of its bytes, and appears by a rename. Numba's own cache has one index for all of a
function's signatures, which processes that fill it at once overwrite: then it runs one signature's code for another.
"""

import hashlib
import os
import pickle
import platform
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import filelock
import llvmlite
import numba
import numpy as np
import platformdirs
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps

# Processes that start at once wait for the one that compiles; one that has waited this long compiles for itself.
LONGEST_WAIT_S = 120.0
KEPT_FOLDERS = 6
_DIGEST_BYTES = hashlib.sha256().digest_size


class KernelCache(_Cache):  # type: ignore[misc]
    """What numba asks for one function's compiled code, and tells when it has compiled it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._bytecode = function.__code__.co_code
        self._lock: filelock.BaseFileLock | None = None

    def attach(self, dispatcher: Any) -> None:
        """Make a numba dispatcher look here before it compiles, and compile alone among processes."""
        compile_or_load = dispatcher.compile

        def compile_alone(signature: Any) -> Any:
            with global_compiler_lock:  # one thread at a time holds this cache's lock
                try:
                    return compile_or_load(signature)
                finally:
                    self._unlock()

        dispatcher._cache = self
        dispatcher.compile = compile_alone

    @property
    def cache_path(self) -> str:
        return str(kernel_folder())

    def load_overload(self, signature: Any, target: Any) -> CompileResult | None:
        """The compiled function of an earlier process, perhaps of one that compiles it now."""
        target.refresh()
        path = self._path(signature, target.codegen())
        if path is None:
            return None
        found = _read(path, target)
        if found is None and self._locked(path.with_suffix(".lock")):
            found = _read(path, target)
        return found

    def save_overload(self, signature: Any, compiled: CompileResult) -> None:
        path = self._path(signature, compiled.codegen)
        if path is not None:
            _write(path, dumps(compiled._reduce()))

    def enable(self) -> None:
        """It always is."""

    def disable(self) -> None:
        """A kernel without its cache would be compiled in every process."""

    def flush(self) -> None:
        """Nothing waits to be written."""

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder = kernel_folder()
        key = f"{signature} {codegen.magic_tuple()} {self._bytecode.hex()}"
        return folder and folder / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.kernel"

    def _locked(self, path: Path) -> bool:
        """Whether this process may have waited for another to compile. Where there is no locking, each compiles for itself."""
        self._lock = filelock.FileLock(path)
        try:
            self._lock.acquire(timeout=LONGEST_WAIT_S)
        except (OSError, NotImplementedError):  # a timeout is an OSError
            self._lock = None
        return self._lock is not None

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _read(path: Path, target: Any) -> CompileResult | None:
    """None where there is no file, or not the one that was written."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, payload = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        return None
    return CompileResult._rebuild(target, *pickle.loads(payload))  # noqa: S301 - the user's own machine code


def _write(path: Path, payload: bytes) -> None:
    """All of the file or, where the disk is full or nothing may be written, none of it: the next process compiles."""
    part = path.with_suffix(f".{os.getpid()}")
    try:
        part.write_bytes(hashlib.sha256(payload).digest() + payload)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)


# --- the folder --------------------------------------------------------------------------------------------------------------------


@cache
def kernel_folder() -> Path | None:
    """Where compiled kernels are kept: under `FASTSPEC_CACHE` or the user's cache folder. None where there can be no such folder.

    One that only others may write is read: an image may bring its kernels compiled.
    """
    try:
        root = Path(os.environ.get("FASTSPEC_CACHE") or platformdirs.user_cache_dir("fastspec", appauthor=False)).expanduser()
        folder = root.absolute() / "kernels" / _DIGEST
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # another process sweeps too
                _sweep(folder)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    return folder


def _sweep(newest: Path) -> None:
    """Remove the oldest folders of other states of the source."""
    others = [path for path in newest.parent.glob("?" * len(_DIGEST)) if path != newest]
    for path in sorted(others, key=lambda path: path.stat().st_mtime)[: -(KEPT_FOLDERS - 1)]:
        shutil.rmtree(path, ignore_errors=True)


def _digest_of_room() -> str:
    """Digest of all that shapes machine code and is not in a kernel's own key: every file of this room, versions and switches."""
    switches = numba.config.BOUNDSCHECK, numba.config.OPT, numba.config.LOOP_VECTORIZE, numba.config.SLP_VECTORIZE
    versions = platform.python_version(), np.__version__, numba.__version__, llvmlite.__version__
    digest = hashlib.sha256(f"{versions} {switches}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]


_DIGEST = _digest_of_room()  # taken at import: an edit made while this process runs is not what it compiles
