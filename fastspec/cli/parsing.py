"""Options that several commands share, and the texts that they are given."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastspec.errors import CorpusError, FastspecError, SpecError

if TYPE_CHECKING:
    from fastspec.spec import Recipe

Workers = Annotated[int, typer.Option("--workers", min=0, help="How many at once; 0 computes in the main thread, for a debugger.")]
Folds = Annotated[int, typer.Option("--folds", help="Folds, each of whole groups.")]
Repeats = Annotated[int, typer.Option("--repeats", help="How often, each time with another seed.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Equal seeds give equal results.")]
LabelFrom = Annotated[
    str | None, typer.Option("--label-from", metavar="RE", help="Searched in each path; its group 1 is the label.", show_default=False)
]
GroupFrom = Annotated[
    str | None,
    typer.Option("--group-from", metavar="RE", help="Likewise: what must not be split (speaker, site, day).", show_default=False),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", metavar="NAME=VALUE", help="A parameter of the plugin; may be repeated.", show_default=False),
]

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="COLUMN=NAME",
        help="What a table calls path, label, group, split, fold, start_s or duration_s; may be repeated.",
        show_default=False,
    ),
]

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """A size such as "1GB" or "512MiB" in bytes.

    >>> parse_bytes("1GB"), parse_bytes("512 MiB"), parse_bytes("4096")
    (1000000000, 536870912, 4096)
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise FastspecError(f"the size {text!r} cannot be read; give a number of bytes with a unit, such as 500MB or 2GiB")
    number, unit, binary = match.groups()
    power = " kmgt".index(unit.lower() or " ")
    return round(float(number) * float(1024 if binary else 1000) ** power)


def parse_share(text: str) -> float:
    """A share such as "1%" as a fraction.

    >>> parse_share("1%"), parse_share("0.5 %"), parse_share("0")
    (0.01, 0.005, 0.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    percent = float(match[1]) * (1 if match[2] else 100) if match else 101.0
    if percent > 100:
        raise FastspecError(f"the share {text!r} cannot be read; give a percentage such as 1%, or a fraction from 0 to 1")
    return percent / 100


def parse_columns(settings: list[str] | None) -> dict[str, str]:
    """What `--column` says, as `read_corpus` takes it.

    >>> parse_columns(["path=file name", "label=species"])
    {'path': 'file name', 'label': 'species'}
    """
    columns = {}
    for setting in settings or []:
        name, equals, column = (part.strip() for part in setting.partition("="))
        if not (name and equals and column) or name in columns:
            raise CorpusError(f"--column {setting!r} is not a new assignment; give column=name once each, as in --column path=filename")
        columns[name] = column
    return columns


def parse_recipe(preset: str | None, spec_file: Path | None, settings: list[str], **flags: Any) -> "Recipe":
    """The recipe that `--preset`, `--spec` and `--set` describe together; "librosa" when neither of the first two is given.

    `flags` are fields that options of their own have set, and win.

    Raises:
        SpecError: both are given, a file that cannot be read, an unknown name or an impossible setting.
    """
    from fastspec.presets import preset as named
    from fastspec.spec import parse_field

    if preset and spec_file:
        raise SpecError("both --preset and --spec are given; give one of them, and --set for single fields")
    recipe = _read_recipe(spec_file) if spec_file else named(preset or "librosa")
    changes: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise SpecError(f"--set {setting!r} is not an assignment; give field=value, as in --set n_mels=64")
        changes[name.strip()] = parse_field(name.strip(), text.strip())
    return recipe.replace(**changes | flags)


def _read_recipe(path: Path) -> "Recipe":
    """The recipe of a TOML file, of a trained model or of a store."""
    from fastspec.spec import Recipe

    try:
        for header in ("bundle.json", "fastspec.json"):
            if (path / header).is_file():
                return Recipe.from_dict(json.loads((path / header).read_text(encoding="utf8"))["recipe"])
        return Recipe.from_toml(path.read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"the spec {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise SpecError(f"{path} holds no recipe that can be read ({error}); give a TOML file, a trained model or a store") from None
