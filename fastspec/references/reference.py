"""`Reference`: another project's front end, which specs it computes, and what must be installed for it."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import FastspecError, SpecError
from fastspec.spec import FeatureSpec

Float32 = NDArray[np.float32]
Transform = Callable[[Float32], Float32]

ANYTHING = None  # as the values of a setting that a reference leaves free


class ReferenceUnavailable(FastspecError):
    """A reference that is unknown, not installed, or does not import, or golden vectors that are missing."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One project's front end.

    Attributes:
        name: of the project.
        packages: what it needs, as pip names it, the project itself first.
        build: a spec to its transform. Its docstring names the function that is called.
        base: a spec that it computes.
        free: settings in which other specs that it computes may differ from `base`, each with the values it may take.
        defines: presets that are this front end.
        batched: whether its transform also takes many clips at once.
        helpers: packages that it uses where they are installed.
        bare: the project's package, if one file of it is read, so that what the package depends on need not be installed.
    """

    name: str
    packages: tuple[str, ...]
    build: Callable[[FeatureSpec], Transform]
    base: FeatureSpec = field(default_factory=FeatureSpec)
    free: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)
    defines: tuple[str, ...] = ()
    batched: bool = False
    helpers: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()

    @property
    def function(self) -> str:
        """What of the project is called."""
        return (self.build.__doc__ or "").strip().removesuffix(".")

    @property
    def project(self) -> str:
        """The project's own package."""
        return (self.bare + self.packages)[0]

    @property
    def install_command(self) -> str:
        """What installs its packages."""
        return self._install_command(self.bare + self.packages)

    def _install_command(self, packages: tuple[str, ...]) -> str:
        whole, bare = ([name for name in packages if (name in self.bare) is alone] for alone in (False, True))
        commands = (("pip install", whole), ("pip install --no-deps", bare))
        return " && ".join(f"{command} {' '.join(names)}" for command, names in commands if names)

    def is_installed(self) -> bool:
        """Whether its packages are there; nothing is imported to find out."""
        return not self._missing()

    def versions(self) -> dict[str, str]:
        """The version of each package that it uses. ReferenceUnavailable when one that it needs is missing."""
        self._require()
        found = {package: _installed(package) for package in self.bare + self.packages + self.helpers}
        return {package: number for package, number in found.items() if number is not None}

    def computes(self, spec: FeatureSpec) -> bool:
        """Whether a spec is one that this front end computes."""
        return not self._foreign_settings(spec)

    def transform(self, spec: FeatureSpec) -> Transform:
        """The project's own computation of a spec, on one thread.

        Shape:
            `(samples,)` float32 -> `(frames, bands)` float32; where `batched`, also `(clips, samples)` -> `(clips, frames, bands)`.

        What comes back may be a view with its axes exchanged: putting them in order is not charged to the project.

        Raises:
            ReferenceUnavailable: it is not installed, or does not import.
            SpecError: a spec that it does not compute.
        """
        self._require()
        for name, allowed in self._foreign_settings(spec).items():
            raise SpecError(f"{name} is {getattr(spec, name)!r}, for which {self.name} is no reference here; give {allowed}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what projects warn of while they are imported is for their own users
                return self.build(spec)
        except (ImportError, OSError) as error:
            raise ReferenceUnavailable(
                f"{self.name} does not import ({error}); install it again: {self.install_command} --force-reinstall"
            ) from error

    def _foreign_settings(self, spec: FeatureSpec) -> dict[str, str]:
        """The settings that it does not compute, and what it would."""
        foreign = {}
        for entry in dataclasses.fields(spec):
            given, own = getattr(spec, entry.name), getattr(self.base, entry.name)
            values = self.free.get(entry.name, (own,))
            if values is not ANYTHING and given not in values:
                foreign[entry.name] = " or ".join(repr(value) for value in values)
        return foreign

    def _missing(self) -> tuple[str, ...]:
        return tuple(package for package in self.bare + self.packages if _installed(package) is None)

    def _require(self) -> None:
        missing = self._missing()
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise ReferenceUnavailable(f"{', '.join(missing)} {verb} not installed; for {self.name}: {self._install_command(missing)}")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
