"""Who comes in: how many at once, how large, how slowly, and from where."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastspec.serving.limits import Limits

_HEADERS = {
    # The page is these files and nothing else; sounds that it plays are blobs of its own.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_DRAIN_S = 5.0


class Refused(Exception):
    """A request that gets no answer: `code` of HTTP, the reason, and of a sound its `status` as in the ledger."""

    def __init__(self, code: int, error: str, *, status: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(error)
        self.code = code
        self.error = error
        self.status = status
        self.retry_after_s = retry_after_s

    def response(self) -> JSONResponse:
        """What is sent."""
        headers = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        return JSONResponse({"error": self.error, "status": self.status}, self.code, headers)


class Door:
    """Lets so many requests in at once, and of each so many bytes in so much time. For one event loop.

    Args:
        limits: what is let in.

    Attributes:
        inside: requests that are being read or answered.
        held_bytes: of the sounds that they sent.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.inside = 0
        self.held_bytes = 0

    @asynccontextmanager
    async def enter(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which is inside until the block is left.

        Raises:
            Refused: 429 where it is full, 415 of a form, 413 of a sound that is too large, 408 of one that comes too slowly.
        """
        if self.inside >= self._limits.queue:
            await _drain(request, self._limits.upload_bytes)
            raise _busy(f"{self._limits.queue} sounds are waiting already")
        self.inside += 1
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._limits.timeout_s):
                    await self._read(request, body)
            except TimeoutError:
                raise Refused(408, f"the sound did not arrive within {self._limits.timeout_s:g} s; send it faster") from None
            yield bytes(body)
        finally:
            self.inside -= 1
            self.held_bytes -= len(body)

    async def _read(self, request: Request, body: bytearray) -> None:
        """Append what is sent; a length that is declared is refused before it is read, one that is not as soon as it is too much."""
        declared = request.headers.get("content-length", "0")
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            await _drain(request, self._limits.upload_bytes)
            raise Refused(415, "a form was sent; send the sound's bytes alone, as curl --data-binary @cat.wav does")
        if declared.isdecimal() and int(declared) > self._limits.upload_bytes:
            await self._refuse_size(request)
        async for chunk in request.stream():
            if len(body) + len(chunk) > self._limits.upload_bytes:
                await self._refuse_size(request)
            if self.held_bytes + len(chunk) > self._limits.held_bytes:
                await _drain(request, self._limits.upload_bytes)
                raise _busy("other sounds fill the memory that is kept for them")
            body += chunk
            self.held_bytes += len(chunk)

    async def _refuse_size(self, request: Request) -> None:
        await _drain(request, self._limits.upload_bytes)
        most = self._limits.upload_bytes / (1 << 20)
        raise Refused(413, f"the sound is larger than {most:g} MiB, which is the most that is taken here; cut or compress it")


def _busy(why: str) -> Refused:
    return Refused(429, f"{why}; try again in a moment", retry_after_s=1)


async def _drain(request: Request, most: int) -> None:
    """Read and forget what a client is still sending, within reason: one that is cut off while it sends may not see why."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in request.stream():
                most -= len(chunk)
                if most < 0:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it was read to its end
        return


class Guard:
    """Answers only to its own names and its own page, and says in every answer what browsers may do with it.

    A page of a stranger can point a name of its own at this machine (DNS rebinding), or post to it blindly; both are refused.

    Args:
        app: what is guarded.
        hosts: names that the Host header may have, without the port; None takes any.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        await (refusal.response() if refusal else self._app)(scope, receive, send_guarded)

    def _refusal(self, headers: Headers) -> Refused | None:
        host = headers.get("host", "")
        if self._hosts is not None and _name_of(host) not in self._hosts:
            return Refused(421, f"this server is not {host!r}; open it as {' or '.join(sorted(self._hosts))}")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return Refused(403, f"pages of {origin!r} may not use this server")
        return None


def _name_of(host: str) -> str | None:
    """The name in a Host header, in lower case and without the port.

    >>> _name_of("LocalHost:8000"), _name_of("[::1]:8000"), _name_of("[")
    ('localhost', '::1', None)
    """
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
