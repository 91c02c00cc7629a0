"""Options that several commands share, and the texts that they are given."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fastspec.cli.completing import complete_fields, complete_presets
from fastspec.errors import CorpusError, FastspecError, LearnError, SpecError

if TYPE_CHECKING:
    from fastspec.learn import Tuning
    from fastspec.spec import Recipe

Corpus = Annotated[str, typer.Argument(help="Whatever featurize reads: a folder, an archive, a table, a URL.")]
Store = Annotated[str, typer.Argument(help="A store that featurize wrote, or its URL.")]
Model = Annotated[Path, typer.Argument(help="A trained model.")]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        autocompletion=complete_presets,
        help="A named front end; see 'fastspec preset list'.  [default: librosa]",
        show_default=False,
    ),
]
SpecFile = Annotated[
    str | None, typer.Option("--spec", metavar="F.toml", help="A recipe in TOML instead, or a model's or store's.", show_default=False)
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        autocompletion=complete_fields,
        help="Change one field; may be repeated.",
        show_default=False,
    ),
]
ClipLength = Annotated[
    float | None, typer.Option("--clip", metavar="S", help="Clip length; else long enough for 95 %, at most 10 s.", show_default=False)
]
WindowLength = Annotated[
    float | None, typer.Option("--window", metavar="S", help="Instead: many clips a recording, each so long.", show_default=False)
]
WindowHop = Annotated[
    float | None, typer.Option("--hop", metavar="S", help="From window to window.  [default: --window]", show_default=False)
]
Channel = Annotated[
    Literal["mean", "left", "right", "loudest", "each"] | None,
    typer.Option("--channel", metavar="WHICH", help="mean, left, right or loudest; or a clip of each.", show_default=False),
]
Workers = Annotated[
    int, typer.Option("--workers", metavar="N", min=0, help="How many at once; 0 computes in the main thread, for a debugger.")
]
Threads = Annotated[int, typer.Option("--threads", metavar="N", min=1, help="Threads that the model may use.")]
Memory = Annotated[
    str, typer.Option("--memory", metavar="SIZE", help="For what is in flight, on a cluster in each worker; never changes the result.")
]
Folds = Annotated[int, typer.Option("--folds", metavar="N", help="Folds, each of whole groups.")]
Repeats = Annotated[int, typer.Option("--repeats", metavar="N", help="How often, each time with another seed.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Equal seeds give equal results.")]
Tune = Annotated[
    int | None,
    typer.Option("--tune", metavar="N", help="Try N settings of what its search space names, on training clips alone.", show_default=False),
]
TuneTime = Annotated[
    float | None, typer.Option("--tune-time", metavar="S", help="Begin no other setting after so many seconds.", show_default=False)
]
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
By = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="UNIT",
        help="What is scored, recording or clip.  [default: recordings where they have several clips]",
        show_default=False,
    ),
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


def parse_tuning(trials: int | None, limit_s: float | None) -> "Tuning | None":
    """What `--tune` and `--tune-time` say."""
    if trials is None:
        if limit_s is not None:
            raise LearnError("--tune-time is given without --tune; give --tune N, the most settings to try")
        return None
    from fastspec.learn import Tuning

    return Tuning(trials, limit_s)


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


def parse_recipe(preset: str | None, spec_file: str | Path | None, settings: list[str], **flags: Any) -> "Recipe":
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


def clip_settings(clip: float | None, window: float | None, hop: float | None, channel: str | None = None) -> dict[str, Any]:
    """The fields of the clip policy that `--clip`, `--window`, `--hop` and `--channel` set."""
    if clip is not None and (window is not None or hop is not None):
        raise SpecError("--clip is given with --window or --hop; give --clip for one clip a recording, --window and --hop for many")
    flags: dict[str, Any] = {"channel": channel} if channel else {}
    if clip is not None:
        return flags | {"clip_s": clip, "hop_s": None}
    if window is not None:
        return flags | {"clip_s": window, "hop_s": window if hop is None else hop}
    return flags if hop is None else flags | {"hop_s": hop}


def check_pictured(path: Path | None) -> None:
    """That a picture can be made there, before any work is done for it; matplotlib is needed for that alone."""
    if path is not None:
        from fastspec.report import check_picture

        check_picture(path)


def _read_recipe(address: str | Path) -> "Recipe":
    """The recipe of a TOML file, of a trained model or of a store."""
    from fastspec.corpus.place import locate
    from fastspec.spec import Recipe

    path = locate(address)
    try:
        for header in ("bundle.json", "fastspec.json"):
            if (path / header).is_file():
                return Recipe.from_dict(json.loads((path / header).read_bytes())["recipe"])
        return Recipe.from_toml(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(f"the spec {path} cannot be read: {reason}; give a TOML file, a trained model or a store") from None
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise SpecError(f"{path} holds no recipe that can be read ({error}); give a TOML file, a trained model or a store") from None
