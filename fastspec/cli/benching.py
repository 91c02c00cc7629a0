"""`fastspec bench` and `doctor`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import fastspec
from fastspec.cli.output import Json, Quiet, as_json, print_json, show, tell, waiting
from fastspec.cli.parsing import Preset, Settings, SpecFile, check_pictured, parse_recipe
from fastspec.cli.progress import interruptible
from fastspec.errors import FastspecError, RunFailed

Measured = Annotated[
    str | None, typer.Argument(help="Whatever featurize reads; recordings are made where it is left out.", show_default=False)
]
MostWorkers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Measured from 1 to so many.  [default: one a core]", show_default=False),
]
Rounds = Annotated[int, typer.Option("--repeats", metavar="N", min=1, rich_help_panel="Run", help="Rounds at most; the best counts.")]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        metavar="MIN",
        min=0.01,
        max=1e5,
        help="Of audio in the sample.  [default: by the workers, up to 60]",
        show_default=False,
    ),
]
Rows = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="F.json", help="Write the rows as JSON, for a later --baseline.", show_default=False),
]
Baseline = Annotated[
    Path | None, typer.Option("--baseline", metavar="F.json", help="An earlier run: is anything slower?", show_default=False)
]
Picture = Annotated[Path | None, typer.Option("--picture", metavar="F.png", help="Draw it: .png or .svg.", show_default=False)]


def bench(
    corpus: Measured = None,
    preset: Preset = None,
    spec: SpecFile = None,
    settings: Settings = None,
    workers: MostWorkers = None,
    repeats: Rounds = 3,
    minutes: Minutes = None,
    output: Rows = None,
    baseline: Baseline = None,
    picture: Picture = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Measure featurizing here, beside what else is installed.

    Example: fastspec bench sounds/ --preset whisper -o today.json

    A sample of your recordings, spread evenly, goes from recordings to features
    on disk: each stage, by 1 to all workers, with cold and warm page cache,
    compiling apart; beside librosa, torchaudio, kaldi-native-fbank, asrfront
    and lhotse where they compute the same, which is checked first. It takes
    about a minute. Stores are written where temporary files are (TMPDIR).
    """
    recipe = parse_recipe(preset, spec, settings or [])
    check_pictured(picture)
    if output is not None and not output.parent.is_dir():
        raise FastspecError(f"{output.parent} is not a folder that {output.name} can be written to; make it, or choose another")

    from fastspec.benchmark import compare_runs, read_baseline, run_benchmark
    from fastspec.corpus import read_corpus

    earlier = read_baseline(baseline) if baseline else None
    with interruptible("nothing was written"):
        manifest = None if corpus is None else read_corpus(corpus)
        with waiting("measuring") as on_step:
            rows = run_benchmark(manifest, recipe, workers=workers, repeat=repeats, minutes=minutes, on_step=on_step)
    written = _write(rows, output, picture)
    if earlier is not None:
        rows += compare_runs(rows, earlier)
    if json:
        print_json("bench", rows)
    else:
        _show(rows, earlier)
        tell(*(f"wrote {path}" for path in written))


def _show(rows: list[dict[str, Any]], earlier: Sequence[Mapping[str, Any]] | None) -> None:
    """What was measured, and where the machine or the settings are not those of the baseline."""
    from fastspec.benchmark import differences_between
    from fastspec.report import benchmark_parts

    show(*benchmark_parts(rows, version=fastspec.__version__))
    if earlier is not None:
        show(*(f"unlike the baseline: {told}" for told in differences_between(rows, earlier)))


def _write(rows: list[dict[str, Any]], output: Path | None, picture: Path | None) -> list[Path]:
    """The rows as JSON and as a picture, each whole or not at all."""
    written = []
    if output is not None:
        draft = output.with_name(f".{output.name}.part")
        draft.write_text(as_json("bench", rows) + "\n", encoding="utf8")
        written.append(draft.replace(output))
    if picture is not None:
        from fastspec.report import plot_benchmark, save_picture

        machine = rows[0]
        written.append(save_picture(plot_benchmark(rows, title=f"fastspec {fastspec.__version__} on {machine['cpu']}"), picture))
    return written


def doctor(json: Json = False, _quiet: Quiet = False) -> None:
    """Look at this installation, and try it on known clips.

    Example: fastspec doctor

    What it prints is made to be pasted into an issue. Exit code 1 means that something is wrong, with advice.
    """
    from fastspec.diagnosis import examine

    findings = examine()
    if json:
        print_json("doctor", [finding._asdict() for finding in findings])
    else:
        from fastspec.report import doctor_table

        show(f"fastspec {fastspec.__version__}", "", doctor_table(findings))
    wrong = [finding for finding in findings if finding.wrong]
    if wrong:
        raise RunFailed(f"{len(wrong)} of {len(findings)} findings are wrong: {', '.join(finding.name for finding in wrong)}")
