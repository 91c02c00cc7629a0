"""Where this fastspec was installed from, and the commands that add to it from there."""

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def extra_command(extra: str) -> str:
    """The command that installs the packages of an extra: out of the clone, wheel or address that this fastspec came from.

    By its name alone only where it came from a package index: elsewhere that name may be another project's.
    """
    clone = find_clone()
    if clone is not None:
        return f"pip install -e {shlex.quote(f'{_shortest(clone)}[{extra}]')}"
    url = _origin()
    return f"pip install {shlex.quote(f'fastspec[{extra}]' + (f' @ {url}' if url else ''))}"


def plugin_command(name: str, extra: str | None = None) -> str:
    """The command that installs a plugin of fastspec's own that is a distribution by itself, in a clone."""
    clone = find_clone()
    place = f"{'.' if clone is None else _shortest(clone)}/plugins/fastspec_{name}"
    return f"pip install {shlex.quote(f'{place}[{extra}]' if extra else place)}{' in a clone of fastspec' if clone is None else ''}"


def find_clone() -> Path | None:
    """The folder of the source that is running; None where it was installed by copying."""
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").is_file() else None


def _shortest(folder: Path) -> str:
    return "." if folder == Path.cwd() else str(folder)


def _origin() -> str | None:
    """The address of what was installed, as PEP 610 keeps it; None for a package index, which keeps none."""
    try:
        told = json.loads(distribution("fastspec").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    version_control, url = told.get("vcs_info", {}).get("vcs"), told.get("url")
    return f"{version_control}+{url}" if version_control else url
