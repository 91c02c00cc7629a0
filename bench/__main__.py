"""`python -m bench NAME`: run one benchmark and print what it found."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import accuracy, corpus, golden, images, kernel, memory, picture, readme, rows, scan, stages, tutorials
from bench.output import as_json, as_table, as_text, describe
from bench.paired import run_pairs
from bench.tasks import TASKS
from bench.tutorials import TUTORIALS
from fastspec.benchmark.machine import machine
from fastspec.errors import FastspecError, choices


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 where two implementations disagree, or 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        print(options.run(options))
    except FastspecError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="fastspec's own benchmarks.")
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")
    for benchmark in _benchmarks:
        command = commands.add_parser(benchmark.name, help=benchmark.purpose, description=benchmark.purpose)
        for flag, settings in benchmark.options:
            command.add_argument(flag, **settings)
        command.set_defaults(run=benchmark.run)
    return parser


Option = tuple[str, dict[str, Any]]
Run = Callable[[argparse.Namespace], str]


class Benchmark(NamedTuple):
    """A sub-command: what it is for, the arguments that it takes, and what it prints."""

    name: str
    purpose: str
    options: tuple[Option, ...]
    run: Run


_benchmarks: list[Benchmark] = []


def _benchmark(name: str, purpose: str, *options: Option) -> Callable[[Run], Run]:
    """Decorate what a sub-command prints."""

    def register(run: Run) -> Run:
        _benchmarks.append(Benchmark(name, purpose, options, run))
        return run

    return register


def _at_least(kind: type[int] | type[float], least: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} given; give {'a whole number' if kind is int else 'a number'}, {least} or more")
        return value

    return parse


def _option(flag: str, **settings: Any) -> Option:
    """An argument, as argparse takes it."""
    return flag, settings


def _rounds(default: int) -> Option:
    return _option("--repeat", type=_at_least(int, 1), default=default, help="rounds, of which the best counts (%(default)s)")


def _folder(keeps: str) -> Option:
    return _option("--folder", type=Path, required=True, help=f"keeps {keeps}")


_JSON = _option("--json", action="store_true", help="print one JSON object")
_SECONDS = _option("--seconds", type=_at_least(float, 0.1), default=30.0, help="length of a clip (%(default)s)")
_CLIPS = _option("--clips", type=_at_least(int, 1), default=16, help="clips in a call (%(default)s)")


@_benchmark("kernel", "features a second beside every installed reference, results compared", _JSON, _rounds(7), _SECONDS, _CLIPS)
def _kernel(options: argparse.Namespace) -> str:
    peers = kernel.peers()
    for peer in peers:
        if not peer.is_installed():
            print(f"bench: {peer.name} is not installed and left out; to include it: {peer.install_command}", file=sys.stderr)
    rows = kernel.run_kernel(clips=options.clips, seconds=options.seconds, repeat=options.repeat)
    call = kernel.run_single_call(repeat=options.repeat)
    if options.json:
        return as_json("bench kernel", machine(peers), [*rows, call])
    return f"{as_text(machine(peers), kernel.COLUMNS, rows)}\n\n{as_table(kernel.CALL_COLUMNS, [call])}"


@_benchmark("stages", "each stage of the kernel, and a process's first call", _JSON, _rounds(7), _SECONDS, _CLIPS)
def _stages(options: argparse.Namespace) -> str:
    rows = stages.run_stages(clips=options.clips, seconds=options.seconds, repeat=options.repeat) + stages.run_first_calls()
    return as_json("bench stages", machine(), rows) if options.json else as_text(machine(), stages.COLUMNS, rows)


@_benchmark("readme", "measure the tables of README and write them into it", _rounds(7), _SECONDS, _CLIPS)
def _readme(options: argparse.Namespace) -> str:
    return f"wrote {readme.write_readme(clips=options.clips, seconds=options.seconds, repeat=options.repeat)}"


@_benchmark(
    "corpus",
    "from recordings to features on disk beside others, two workers each, results compared",
    _JSON,
    _rounds(3),
    _option("--share", type=_at_least(float, 1e-4), default=1.0, help="of each corpus' recordings (%(default)s)"),
    _option("--case", type=int, choices=range(len(corpus.CASES)), action="append", help="only this one, from 0; may be repeated"),
    _option("--readme", action="store_true", help="put the ratios into README too"),
)
def _corpus(options: argparse.Namespace) -> str:
    if options.readme and (options.case or options.share != 1):
        raise FastspecError("--readme is for all recordings of all cases; leave out --case and --share")
    for peer in corpus.PEERS:
        if not peer.is_installed():
            print(f"bench: {peer.name} is left out; to include it: pip install {' '.join(peer.packages)}", file=sys.stderr)
    cases = [corpus.CASES[i] for i in options.case] if options.case else corpus.CASES
    rows = corpus.run_corpus(cases, share=options.share, repeat=options.repeat)
    if options.readme:
        readme.put_table("jobs", corpus.as_jobs(rows, repeat=options.repeat))
    where = corpus.host()
    return as_json("bench corpus", where, rows) if options.json else as_text(where, corpus.COLUMNS, rows)


def _known_task(name: str) -> str:
    known = [task.name for task in TASKS]
    if name not in known:
        raise argparse.ArgumentTypeError(f"{name!r} given; {choices(name, known)}")
    return name


@_benchmark(
    "accuracy",
    "accuracy on real recordings, whole groups held out, beside others' features; fetches 355 MB, takes hours",
    _JSON,
    _option("--task", type=_known_task, metavar="NAME", action="append", help="only this one; may be repeated"),
    _option("--model", metavar="NAME", action="append", help="only this row of the table, or this plugin; may be repeated"),
    _folder("features and finished scores, so that a stopped run goes on"),
    _option("--seeds", type=_at_least(int, 1), default=accuracy.SEEDS, help="each with folds of its own (%(default)s)"),
    _option("--workers", type=_at_least(int, 1), default=1, help="threads that compute features (%(default)s)"),
    _option("--finished", action="store_true", help="only print what the folder has"),
    _option("--readme", action="store_true", help="put the tables into README too"),
)
def _accuracy(options: argparse.Namespace) -> str:
    tasks = [task for task in TASKS if not options.task or task.name in options.task]
    entrants = accuracy.choose(options.model)
    settings = {"seeds": options.seeds, "workers": options.workers, "finished": options.finished}
    rows = accuracy.run_accuracy(options.folder, tasks=tasks, entrants=entrants, **settings)
    text = f"{accuracy.as_tables(rows, tasks)}\n\n{describe(accuracy.host())}"
    if options.readme:
        readme.put_table("accuracy", text)
    told = [*rows, *accuracy.run_lines(rows, tasks), *run_pairs(rows, tasks)]
    return as_json("bench accuracy", accuracy.host(), told) if options.json else text


@_benchmark(
    "articles",
    "README's recipes beside the methods of the articles that they come from, on the same recordings; fetches 355 MB",
    _JSON,
    _option("--recipe", choices=[tutorial.name for tutorial in TUTORIALS], action="append", help="only this one; may be repeated"),
    _folder("recordings, what the commands write, and finished rows"),
    _option("--few", action="store_true", help="on a few recordings, to see that all works"),
    _option("--readme", action="store_true", help="put the table into README too"),
)
def _articles(options: argparse.Namespace) -> str:
    chosen = [tutorial for tutorial in TUTORIALS if not options.recipe or tutorial.name in options.recipe]
    rows = tutorials.run_tutorials(options.folder, tutorials=chosen, few=options.few)
    text = f"{tutorials.as_tables(rows)}\n\n{describe(tutorials.host())}"
    if options.readme:
        readme.put_table("articles", text)
    return as_json("bench articles", tutorials.host(), rows) if options.json else text


@_benchmark(
    "images",
    "a corpus as pictures beside librosa with matplotlib, results compared; fetches 150 MB",
    _JSON,
    _option("--clips", type=_at_least(int, 1), default=200, help="recordings (%(default)s)"),
    _rounds(3),
)
def _images(options: argparse.Namespace) -> str:
    rows, where = images.run_images(clips=options.clips, repeat=options.repeat), machine() | {"workers": images.WORKERS}
    return as_json("bench images", where, rows) if options.json else as_text(where, images.COLUMNS, rows)


@_benchmark(
    "memory",
    "peak memory of a long MP3 cut into windows of 20 s, by its length",
    _JSON,
    _option("--minutes", type=_at_least(float, 0.1), nargs="+", default=[10.0, 60.0], help="lengths of the recording (%(default)s)"),
)
def _memory(options: argparse.Namespace) -> str:
    rows = memory.run_memory(minutes=options.minutes)
    return as_json("bench memory", machine(), rows) if options.json else as_text(machine(), memory.COLUMNS, rows)


@_benchmark(
    "rows",
    "how soon a run starts and its peak memory, by its number of rows",
    _JSON,
    _option("--rows", type=_at_least(int, 1), nargs="+", default=[10_000, 1_000_000], help="numbers of clips of 0.1 s (%(default)s)"),
)
def _rows(options: argparse.Namespace) -> str:
    found = rows.run_rows(rows=options.rows)
    return as_json("bench rows", machine(), found) if options.json else as_text(machine(), rows.COLUMNS, found)


@_benchmark(
    "scan",
    "a scan of 7,873 real recordings beside merely decoding them with as many workers; fetches 161 MB",
    _JSON,
    _option("--workers", type=_at_least(int, 1), default=2, help="threads of both (%(default)s)"),
    _rounds(3),
)
def _scan(options: argparse.Namespace) -> str:
    rows = scan.run_scan(workers=options.workers, repeat=options.repeat)
    host = machine() | {"workers": options.workers}
    return as_json("bench scan", host, rows) if options.json else as_text(host, scan.COLUMNS, rows)


@_benchmark(
    "golden",
    "write the golden vectors of presets; needs their references installed",
    _option("names", metavar="NAME", nargs="*", help="a preset; all, when none is named"),
    _option("--folder", type=Path, default=golden.FOLDER, help="where (%(default)s)"),
)
def _golden(options: argparse.Namespace) -> str:
    return "\n".join(f"wrote {path}" for path in golden.write_golden(options.names, options.folder))


@_benchmark("picture", "draw the pictures of README from recordings that are fetched")
def _picture(_options: argparse.Namespace) -> str:
    return "\n".join(f"wrote {path}" for path in picture.draw_pictures())


if __name__ == "__main__":
    sys.exit(main())
