"""`fastspec preset` and `plugin`: what there is."""

from pathlib import Path
from typing import Annotated

import typer

from fastspec.cli.completing import complete_plugins, complete_presets
from fastspec.cli.output import Json, Quiet, format_parts, print_json, show, tell, waiting
from fastspec.cli.parsing import Assignments
from fastspec.errors import RunFailed, counted

preset_app = typer.Typer(help="List, show and check the named front ends.", no_args_is_help=True)
plugin_app = typer.Typer(help="List and check the installed classifiers, or begin a new one.", no_args_is_help=True)


PresetName = Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_presets, help="See 'fastspec preset list'.")]


@preset_app.command("list")
def list_presets(json: Json = False, _quiet: Quiet = False) -> None:
    """List the named front ends, and what to choose each for.

    Example: fastspec preset list

    A front end turns samples into features. To train a model of your own any will do, and librosa is a good one to begin with. One that
    somebody else has trained needs the very features that it has learned from: choose the preset of its name.
    """
    from fastspec.presets import PRESETS, PURPOSES

    rows = [{"name": name, "purpose": PURPOSES[name], "digest": recipe.digest()} | recipe.to_dict() for name, recipe in PRESETS.items()]
    if json:
        print_json("preset list", rows)
        return
    from fastspec.report import presets_table

    show(presets_table(PRESETS, PURPOSES), "")
    tell("For a model of your own begin with librosa. A model that is trained already")
    tell("needs the preset of its name. Details: fastspec preset show NAME")


@preset_app.command("show")
def show_preset(name: PresetName, json: Json = False, _quiet: Quiet = False) -> None:
    """Print a front end as TOML, for --spec.

    Example: fastspec preset show librosa > mine.toml
    """
    from fastspec.presets import preset

    recipe = preset(name)
    if json:
        print_json("preset show", [{"name": name, "digest": recipe.digest()} | recipe.to_dict()])
        return
    typer.echo(f"# {format_parts(recipe.spec)}\n{recipe.to_toml()}", nl=False)


@preset_app.command("parity")
def show_parity(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", autocompletion=complete_presets, help="See 'fastspec preset list'. All of them, when left out."),
    ] = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Compare front ends with the projects that they reproduce, here.

    Example: fastspec preset parity whisper

    A project that is not installed is stood in for by features that it computed elsewhere. The exit code is 1 when one is missed.
    """
    from dataclasses import asdict

    from fastspec.presets import PRESETS
    from fastspec.references import measure_parity
    from fastspec.report import parity_table

    with waiting("comparing") as on_step:
        rows = []
        for preset in [name] if name else PRESETS:
            on_step(f"comparing {preset}")
            rows.append(asdict(measure_parity(preset)))
    if json:
        print_json("preset parity", rows)
    else:
        show(parity_table(rows))
    raise typer.Exit(0 if all(row["passed"] for row in rows) else 1)


@plugin_app.command("list")
def list_plugins(json: Json = False, _quiet: Quiet = False) -> None:
    """List the installed classifiers. Nothing of them is imported.

    Example: fastspec plugin list
    """
    from fastspec.learn import plugins
    from fastspec.learn.registry import fault_of

    rows = [info._asdict() | {"fault": fault_of(info)} for info in plugins()]
    if json:
        print_json("plugin list", rows)
        return
    from fastspec.report import plugins_table

    show(plugins_table(rows))


@plugin_app.command("new")
def new_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the classifier: lower-case words joined by hyphens.")],
    parent: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write the project into.", exists=True, file_okay=False)
    ] = Path(),
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Write a new plugin's project, to be made your own.

    Example: fastspec plugin new kestrel

    It is a classifier of twenty lines that works, with tests.
    """
    from fastspec.learn.scaffold import new_plugin as write_project

    project = write_project(name, parent)
    if json:
        print_json("plugin new", [{"name": name, "output": str(project)}])
    else:
        tell(f"{project}: pip install ./{project}, then fastspec plugin check {name}")


@plugin_app.command("check")
def check_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_plugins, help="See 'fastspec plugin list'.")],
    params: Assignments = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Run the conformance kit on an installed classifier.

    Example: fastspec plugin check logistic

    Exit code 1 means that a check failed. A failure that the plugin names itself, with a reason, is none.
    """
    from fastspec.learn import load_plugin
    from fastspec.learn.parameters import parse_assignments, read_parameters
    from fastspec.testing import check_classifier

    plugin = load_plugin(name)
    with waiting(f"checking {name}"):
        results = check_classifier(plugin, params=read_parameters(plugin, parse_assignments(params or [])))
    if json:
        print_json("plugin check", [result._asdict() for result in results])
    else:
        for result in results:
            title = result.check.removeprefix("check_").replace("_", " ")
            show(f"{result.outcome:14} {title}{': ' if result.reason else ''}{result.reason}")
    failed = sum(result.outcome == "failed" for result in results)
    if failed:
        raise RunFailed(f"{name} fails {failed} of {counted(len(results), 'check')}; the reasons are above")
