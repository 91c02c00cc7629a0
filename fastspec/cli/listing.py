"""`fastspec preset` and `plugin`: what there is."""

from pathlib import Path
from typing import Annotated

import typer

from fastspec.cli.output import Json, format_parts, print_json, show
from fastspec.cli.parsing import Assignments
from fastspec.errors import RunFailed

preset_app = typer.Typer(help="The named front ends.", no_args_is_help=True)
plugin_app = typer.Typer(help="The installed classifiers.", no_args_is_help=True)


@preset_app.command("list")
def list_presets(json: Json = False) -> None:
    """List the named front ends.

    Example: fastspec preset list
    """
    from fastspec.presets import PRESETS

    rows = [{"name": name, "digest": recipe.digest()} | recipe.to_dict() for name, recipe in PRESETS.items()]
    if json:
        print_json("preset list", rows)
        return
    for name, recipe in PRESETS.items():
        s = recipe.spec
        scale = "linear" if s.log == "none" else s.log
        parts = ", ".join(f"{part.stop - part.start} {block}" for block, part in s.parts().items())
        show(f"{name:15} {s.sample_rate} Hz, {s.n_fft} / {s.window_length} / {s.hop_length}, {parts}, {scale}")


@preset_app.command("show")
def show_preset(name: Annotated[str, typer.Argument(help="See 'fastspec preset list'.")]) -> None:
    """Print a front end as TOML, for --spec.

    Example: fastspec preset show librosa > mine.toml
    """
    from fastspec.presets import preset

    recipe = preset(name)
    typer.echo(f"# {format_parts(recipe.spec)}\n{recipe.to_toml()}", nl=False)


@preset_app.command("parity")
def show_parity(
    name: Annotated[str | None, typer.Argument(help="See 'fastspec preset list'. All of them, when left out.")] = None,
    json: Json = False,
) -> None:
    """Compare front ends with the projects that they reproduce, here.

    A project that is not installed is stood in for by features that it computed elsewhere. The exit code is 1 when one is missed.

    Example: fastspec preset parity whisper
    """
    from dataclasses import asdict

    from fastspec.presets import PRESETS
    from fastspec.references import measure_parity
    from fastspec.report import parity_table

    rows = [asdict(measure_parity(preset)) for preset in ([name] if name else PRESETS)]
    if json:
        print_json("preset parity", rows)
    else:
        show(parity_table(rows))
    raise typer.Exit(0 if all(row["passed"] for row in rows) else 1)


@plugin_app.command("list")
def list_plugins(json: Json = False) -> None:
    """List the installed classifiers. Nothing of them is imported.

    Example: fastspec plugin list
    """
    from fastspec.learn import plugins
    from fastspec.learn.registry import fault_of

    rows = [info._asdict() | {"fault": fault_of(info)} for info in plugins()]
    if json:
        print_json("plugin list", rows)
        return
    for row in rows:
        fault = f"  broken: {row['fault']}" if row["fault"] else ""
        show(f"{row['name']:20} {row['distribution']} {row['version']}  {row['target']}{fault}")


@plugin_app.command("new")
def new_plugin(
    name: Annotated[str, typer.Argument(help="Of the classifier: lower-case words joined by hyphens.")],
    parent: Annotated[
        Path, typer.Option("-o", "--output", help="The folder to write the project into.", exists=True, file_okay=False)
    ] = Path(),
) -> None:
    """Write a new plugin's project: a classifier of twenty lines that works, with tests, to be made your own.

    Example: fastspec plugin new kestrel
    """
    from fastspec.learn.scaffold import new_plugin as write_project

    project = write_project(name, parent)
    show(f"{project}: pip install {project}, then fastspec plugin check {name}")


@plugin_app.command("check")
def check_plugin(
    name: Annotated[str, typer.Argument(help="See 'fastspec plugin list'.")], params: Assignments = None, json: Json = False
) -> None:
    """Run the conformance kit on an installed classifier.

    Example: fastspec plugin check logistic

    Exit code 1 means that a check failed. A failure that the plugin names itself, with a reason, is none.
    """
    from fastspec.learn import load_plugin
    from fastspec.learn.parameters import parse_assignments, read_parameters
    from fastspec.testing import check_classifier

    plugin = load_plugin(name)
    results = check_classifier(plugin, params=read_parameters(plugin, parse_assignments(params or [])))
    if json:
        print_json("plugin check", [result._asdict() for result in results])
    else:
        for result in results:
            title = result.check.removeprefix("check_").replace("_", " ")
            show(f"{result.outcome:14} {title}{': ' if result.reason else ''}{result.reason}")
    failed = sum(result.outcome == "failed" for result in results)
    if failed:
        raise RunFailed(f"{name} fails {failed} of {len(results)} checks")
