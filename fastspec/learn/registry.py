"""Classifier plugins, found by the entry points of installed distributions. Listing them imports none."""

import os
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import NamedTuple

from fastspec.errors import PluginError, choices
from fastspec.installation import plugin_command
from fastspec.learn.classifier import Classifier

GROUP = "fastspec.classifiers"
RESTRICTION = "FASTSPEC_PLUGINS"
# Distributions of their own beside fastspec, which need much that it does not, with the extra that brings it.
_APART = {"cnn": None, "transfer": "torch"}


class PluginInfo(NamedTuple):
    """Where a plugin comes from: its name, its distribution and version, and the `module:class` that it is."""

    name: str
    distribution: str
    version: str
    target: str


def plugins() -> list[PluginInfo]:
    """Every installed plugin, by name; the environment variable FASTSPEC_PLUGINS=a,b leaves only these."""
    return sorted(_info(point) for point in _entry_points())


def fault_of(info: PluginInfo) -> str | None:
    """What is wrong with an installed plugin, as far as can be told without importing it: None, or the reason in a few words."""
    rivals = sorted(_distribution(point) for point in _entry_points() if point.name == info.name)
    if len(rivals) > 1:
        return f"claimed by {' and '.join(rivals)}; uninstall one of them"
    package = info.target.partition(":")[0].partition(".")[0]
    return None if package and find_spec(package) else f"its module {package!r} is not there; install {info.distribution} again"


def usable_plugins(*, on_message: Callable[[str], None] | None = None) -> dict[str, type[Classifier]]:
    """The classes of all plugins that can be imported, by name.

    Args:
        on_message: told in one line about each plugin that cannot, with the reason and its distribution.
    """
    usable = {}
    for name in dict.fromkeys(info.name for info in plugins()):
        try:
            usable[name] = load_plugin(name)
        except PluginError as error:
            if on_message is not None:
                on_message(f"left out: {error}")
    return usable


def plugin_info(name: str) -> PluginInfo:
    """Where the plugin of that name comes from.

    Raises:
        PluginError: no plugin has that name, or two distributions claim it.
    """
    return _info(_entry_point(name))


def load_plugin(name: str) -> type[Classifier]:
    """The class of the plugin of that name.

    Raises:
        PluginError: no plugin has that name, two distributions claim it, it cannot be imported, or it is not a `Classifier`.
    """
    point = _entry_point(name)
    origin = f"plugin {name!r} of {_distribution(point)}"
    try:
        plugin = point.load()
    except Exception as error:  # whatever a stranger's module does when it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(f"{origin} cannot be imported ({reason}); mend or uninstall it, or leave it out of {RESTRICTION}") from error
    if not (isinstance(plugin, type) and issubclass(plugin, Classifier)):
        raise PluginError(f"{origin} is {point.value}, which is not a subclass of fastspec.learn.Classifier; its author must mend it")
    if getattr(plugin, "name", None) != name:
        raise PluginError(f"{origin} calls itself {getattr(plugin, 'name', None)!r}; its author must make the two names agree")
    return plugin


def _entry_points() -> list[EntryPoint]:
    allowed = os.environ.get(RESTRICTION)
    names = None if allowed is None else {name.strip() for name in allowed.split(",")}
    return [point for point in entry_points(group=GROUP) if names is None or point.name in names]


def _entry_point(name: str) -> EntryPoint:
    points = _entry_points()
    found = [point for point in points if point.name == name]
    if not found:
        restricted = f"; {RESTRICTION} hides all others" if RESTRICTION in os.environ else ""
        apart = f"; {name} is to be installed by itself: {plugin_command(name, _APART[name])}" if name in _APART else ""
        raise PluginError(f"unknown classifier {name!r}; {choices(name, {point.name for point in points})}{restricted or apart}")
    if len(found) > 1:
        origins = " and ".join(sorted(_distribution(point) for point in found))
        raise PluginError(f"plugin {name!r} is claimed by {origins}; uninstall one of them")
    return found[0]


def _info(point: EntryPoint) -> PluginInfo:
    name, version = (point.dist.name, point.dist.version) if point.dist else ("an unnamed distribution", "0")
    return PluginInfo(point.name, name, version, point.value)


def _distribution(point: EntryPoint) -> str:
    info = _info(point)
    return f"{info.distribution} {info.version}"
