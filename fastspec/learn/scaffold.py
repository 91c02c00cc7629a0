"""A new plugin's project, to begin from: it is whole, and its tests pass as they are."""

import re
import shutil
from pathlib import Path

from fastspec.errors import PluginError
from fastspec.learn.registry import plugins

_TEMPLATE = Path(__file__).parent / "template"


def new_plugin(name: str, parent: Path) -> Path:
    """Write the project `fastspec-NAME` into the folder `parent`, complete or not at all, and return where it is.

    Args:
        name: of the classifier: lower-case words of letters and digits, joined by hyphens.
        parent: an existing folder.

    Raises:
        PluginError: another kind of name, one that an installed plugin has, or something that is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise PluginError(
            f"the name {name!r} cannot be taken; give lower-case words of letters and digits joined by hyphens, as in my-model"
        )
    taken = [info.distribution for info in plugins() if info.name == name]
    if taken:
        raise PluginError(f"the classifier {name!r} is there already, from {taken[0]}; choose another name")
    project, partial = parent / f"fastspec-{name}", parent / f".fastspec-{name}.partial"
    if project.exists():
        raise PluginError(f"{project} exists already; choose another name or place, or remove it first")
    try:
        for source in sorted(_TEMPLATE.rglob("*")):
            if source.is_file() and source.suffix != ".pyc":
                target = partial / _renamed(source.relative_to(_TEMPLATE).as_posix(), name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(_renamed(source.read_text(encoding="utf8"), name), encoding="utf8")
        partial.rename(project)
    except OSError as error:
        raise PluginError(f"the project cannot be written to {project}: {error.strerror}; choose another place") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return project


def _renamed(text: str, name: str) -> str:
    """`text` of the template, about the plugin `name` instead: as a class, as a module, and as it is."""
    text = text.replace("Template", "".join(word.capitalize() for word in name.split("-")))
    return text.replace("_template", f"_{name.replace('-', '_')}").replace("template", name)
