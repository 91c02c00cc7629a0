"""What a shell offers where names can be known: presets, fields, installed classifiers."""

from collections.abc import Iterator


def complete_presets(incomplete: str) -> Iterator[str]:
    """Named front ends that begin so."""
    from fastspec.presets import PRESETS

    return (name for name in PRESETS if name.startswith(incomplete))


def complete_plugins(incomplete: str) -> Iterator[str]:
    """Installed classifiers that begin so; none is imported."""
    from fastspec.learn.registry import plugins

    return (plugin.name for plugin in plugins() if plugin.name.startswith(incomplete))


def complete_fields(incomplete: str) -> Iterator[str]:
    """Fields of a recipe that begin so, ready for their value."""
    from dataclasses import fields

    from fastspec.spec import ClipPolicy, FeatureSpec

    names = (field.name for part in (FeatureSpec, ClipPolicy) for field in fields(part))
    return (f"{name}=" for name in names if name.startswith(incomplete))
