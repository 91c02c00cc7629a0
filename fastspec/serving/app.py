"""The endpoint and its page."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import fastspec
from fastspec.errors import FastspecError
from fastspec.serving.answers import Explained, Model, Predicted, Problem, Spectrogram
from fastspec.serving.door import Door, Guard, Refused
from fastspec.serving.hearing import Listener, Sound, Unheard
from fastspec.serving.limits import Deadline, Limits, TooLate

PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("page", "server", "sound", "draw", "csv", "words", "colours")
    },
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    403: {"model": Problem, "description": "asked by another site's page"},
    408: {"model": Problem, "description": "the sound came too slowly"},
    413: {"model": Problem, "description": "the sound is too large"},
    415: {"model": Problem, "description": "a form was sent instead of a sound's bytes"},
    421: {"model": Problem, "description": "asked by another name than this machine's"},
    422: {"model": Problem, "description": "the sound cannot be heard; `status` says how, as in a store's ledger"},
    429: {"model": Problem, "description": "too many at once; `Retry-After` says when to come again"},
    503: {"model": Problem, "description": "the answer took too long"},
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "the bytes of one sound in any format that libsndfile reads: WAV, FLAC, Ogg, Opus, MP3, AIFF, …",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

Name = Annotated[str, Query(max_length=300, description="what the sound is called in the answer")]
Start = Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False, description="where the clip begins, in seconds")]
Channel = Annotated[int | None, Query(ge=0, le=1023, description="of the sound, from 0, where the model takes each by itself")]
Target = Annotated[str | None, Query(max_length=300, description="a class; the likeliest where it is left out")]


def make_app(listener: Listener, limits: Limits, pool: Executor, *, hosts: list[str] | None) -> FastAPI:
    """The application.

    Args:
        listener: what answers.
        limits: of each request, and of all together.
        pool: threads that decode and compute.
        hosts: names that it answers to; None is any.
    """
    bundle, door = listener.bundle, Door(limits)
    app = FastAPI(
        title=f"fastspec: {bundle.plugin.name}, {len(bundle.classes)} classes",
        version=fastspec.__version__,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard, hosts=hosts)
    _add_page(app)
    _answer_mistakes(app)

    async def work(request: Request, name: str, function: Callable[[Sound, Deadline], BaseModel]) -> Response:
        async with door.enter(request) as data:
            deadline = Deadline(limits.timeout_s)
            return await asyncio.get_running_loop().run_in_executor(pool, _respond, function, Sound(name, data), deadline)

    @app.get("/api/model")
    async def model() -> Model:
        """The model that answers, and what it takes."""
        return Model.of(bundle, limits)

    @app.post("/api/predict", response_model=Predicted, responses=_PROBLEMS, openapi_extra=_BODY)
    async def predict(request: Request, name: Name = "sound") -> Response:
        """The answer for a sound, the same as `fastspec predict` gives."""
        return await work(request, name, lambda sound, deadline: Predicted.of(listener.answer(sound, deadline), name, bundle))

    @app.post("/api/spectrogram", response_model=Spectrogram, responses=_PROBLEMS, openapi_extra=_BODY)
    async def spectrogram(request: Request, start_s: Start = 0.0, channel: Channel = None) -> Response:
        """What the model sees of one clip."""
        return await work(request, "sound", lambda sound, deadline: Spectrogram.of(listener.picture(sound, start_s, channel, deadline)))

    @app.post("/api/explain", response_model=Explained, responses=_PROBLEMS, openapi_extra=_BODY)
    async def explain(request: Request, start_s: Start = 0.0, channel: Channel = None, target: Target = None) -> Response:
        """What in one clip speaks for a class, by hiding parts of it."""
        return await work(request, "sound", lambda sound, deadline: Explained.of(listener.why(sound, start_s, channel, target, deadline)))

    return app


def _respond(function: Callable[[Sound, Deadline], BaseModel], sound: Sound, deadline: Deadline) -> Response:
    """The whole of an answer, text included, so that the event loop does nothing but pass it on."""
    deadline.check()  # it may have waited too long for a thread
    return Response(function(sound, deadline).model_dump_json(), media_type="application/json")


def _add_page(app: FastAPI) -> None:
    """The page's files, read once."""
    for path, (name, media_type) in PAGE.items():
        content = files("fastspec.serving").joinpath("page", name).read_bytes()
        app.add_route(path, _send(content, media_type), include_in_schema=False)


def _send(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return send


def _answer_mistakes(app: FastAPI) -> None:
    """Every mistake is answered by a `Problem`."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> JSONResponse:
        return error.response()

    @app.exception_handler(FastspecError)
    async def mistaken(_request: Request, error: FastspecError) -> JSONResponse:
        if isinstance(error, Unheard):
            return Refused(422, str(error), status=error.status).response()
        return Refused(503 if isinstance(error, TooLate) else 422, str(error)).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        told = "; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
        return Refused(422, f"the request cannot be read: {told}").response()

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> JSONResponse:
        return Refused(error.status_code, f"{request.method} {request.url.path}: {error.detail}; see /openapi.json").response()

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> JSONResponse:
        return Refused(400, "the client went away").response()

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> JSONResponse:
        return Refused(500, "fastspec made a mistake; its own output says more").response()
