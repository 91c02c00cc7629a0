"""What made a model or a score."""

import platform
from importlib.metadata import PackageNotFoundError, version

from fastspec import __version__

_LIBRARIES = ("lightgbm", "numpy", "onnxruntime", "scikit-learn", "skops", "torch")


def library_versions() -> dict[str, str]:
    """Versions of fastspec, Python and the libraries that learn."""
    found = {"fastspec": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
