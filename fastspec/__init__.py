"""fastspec: turns audio corpora into fixed-shape feature arrays, fast, and trains plugin-based classifiers on them.

Names are resolved when they are first used: `import fastspec` imports neither numba nor dask nor scikit-learn.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastspec.corpus import Manifest as Manifest
    from fastspec.corpus import read_corpus as read_corpus
    from fastspec.errors import FastspecError as FastspecError
    from fastspec.frontend import FrontEnd as FrontEnd
    from fastspec.frontend import features as features
    from fastspec.learn import FeatureTransformer as FeatureTransformer
    from fastspec.pipeline import feature_array as feature_array
    from fastspec.pipeline import featurize as featurize
    from fastspec.presets import preset as preset
    from fastspec.scanning import ScanReport as ScanReport
    from fastspec.scanning import scan as scan
    from fastspec.spec import ClipPolicy as ClipPolicy
    from fastspec.spec import FeatureSpec as FeatureSpec
    from fastspec.spec import Recipe as Recipe
    from fastspec.store import FeatureStore as FeatureStore
    from fastspec.store import open_store as open

_HOMES = {
    "ClipPolicy": "fastspec.spec",
    "FastspecError": "fastspec.errors",
    "FeatureSpec": "fastspec.spec",
    "FeatureStore": "fastspec.store",
    "FeatureTransformer": "fastspec.learn",
    "FrontEnd": "fastspec.frontend",
    "Manifest": "fastspec.corpus",
    "Recipe": "fastspec.spec",
    "feature_array": "fastspec.pipeline",
    "ScanReport": "fastspec.scanning",
    "features": "fastspec.frontend",
    "featurize": "fastspec.pipeline",
    "open": "fastspec.store:open_store",
    "preset": "fastspec.presets",
    "read_corpus": "fastspec.corpus",
    "scan": "fastspec.scanning",
}
_ROOMS = {"learn"}

__all__ = [
    "ClipPolicy",
    "FastspecError",
    "FeatureSpec",
    "FeatureStore",
    "FeatureTransformer",
    "FrontEnd",
    "Manifest",
    "Recipe",
    "ScanReport",
]
__all__ += ["__version__", "feature_array", "features", "featurize", "learn", "open", "preset", "read_corpus", "scan"]

try:
    __version__ = version("fastspec")
except PackageNotFoundError:  # a checkout on sys.path that was never installed
    __version__ = "0+uninstalled"


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"fastspec.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'fastspec' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted(__all__)
