"""`fastspec serve`."""

import sys
from typing import Annotated

import typer

from fastspec.cli.output import Json, Quiet, print_json, tell, warn
from fastspec.cli.parsing import Model, Threads, parse_bytes
from fastspec.errors import counted


def serve(
    model: Model,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="Address to listen at; others than loopback are open to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes one that is free.")] = 8000,
    upload: Annotated[str, typer.Option("--max-upload", metavar="SIZE", help="The largest sound that is taken.")] = "32MiB",
    seconds: Annotated[float, typer.Option("--max-seconds", metavar="S", min=0.1, help="The longest.")] = 600.0,
    queue: Annotated[int, typer.Option("--queue", metavar="N", min=1, help="Requests at once; more are told to come again.")] = 64,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds for a sound to arrive, and for its answer.")
    ] = 60.0,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Threads that decode and compute features.")] = 2,
    threads: Threads = 1,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Serve a model as a web page and a JSON endpoint.

    Example: fastspec serve model --port 8000

    Drop, record or pick a sound: its spectrogram, the probabilities, the
    answer and why. POST a file to /api/predict for JSON (/openapi.json
    describes it). Sounds stay in memory. Ctrl-C ends it with exit code 130.
    """
    from fastspec import learn
    from fastspec.serving import is_loopback, listening
    from fastspec.serving import serve as serve_bundle
    from fastspec.serving.limits import Limits

    limits = Limits(upload_bytes=parse_bytes(upload), seconds=seconds, queue=queue, timeout_s=timeout_s, workers=workers)

    def announce(address: str) -> None:
        if json:
            print_json("serve", [{"model": str(model), "classes": bundle.classes, "address": address}])
            sys.stdout.flush()
        else:
            tell(f"{model}: {bundle.plugin.name}, {counted(len(bundle.classes), 'class', 'classes')}, at {address}  (Ctrl-C ends it)")
        if not is_loopback(host):
            warn("anyone who can reach this machine can use it: there is no password")

    with listening(host, port) as place:
        bundle = learn.load_bundle(model, threads=threads)
        serve_bundle(bundle, place, limits=limits, on_ready=announce)
