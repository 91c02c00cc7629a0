"""A server of one model, until it is interrupted."""

import ipaddress
import socket
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fastspec.learn import Bundle
from fastspec.serving import ServeError
from fastspec.serving.app import make_app
from fastspec.serving.hearing import Listener
from fastspec.serving.limits import Limits

_HEADERS_S = 10.0
_GRACE_S = 3
_LOOPBACK = ["localhost", "127.0.0.1", "::1"]


def serve(bundle: Bundle, place: socket.socket, *, limits: Limits, on_ready: Callable[[str], None]) -> None:
    """Serve a model until Ctrl-C.

    Args:
        bundle: the model.
        place: as `listening` gives it. At a loopback address only requests to this machine's own names are answered.
        limits: what clients may ask.
        on_ready: called with the page's address when it can be opened.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C, after what was being answered.
    """
    host, port = place.getsockname()[:2]
    listener = Listener(bundle, limits)
    listener.warm_up()
    with ThreadPoolExecutor(limits.workers, thread_name_prefix="fastspec") as pool:
        app = make_app(listener, limits, pool, hosts=[*_LOOPBACK, host] if is_loopback(host) else None)
        on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        try:
            uvicorn.Server(server_config(app, limits)).run(sockets=[place])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def server_config(app: Any, limits: Limits) -> uvicorn.Config:
    """uvicorn's settings: no logs of requests, no name in headers, bounded connections and waits."""
    return uvicorn.Config(
        app,
        http=_PatientProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=4 * limits.queue + 64,
        timeout_graceful_shutdown=_GRACE_S,
    )


class _PatientProtocol(H11Protocol):
    """HTTP that waits for a request's headers, but not for ever: uvicorn bounds only the wait between two requests."""

    _closing: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._bound_wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._bound_wait()

    def _bound_wait(self) -> None:
        """Give the headers that are awaited so much time from their first byte, or from the connection's start."""
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._closing is None:
            self._closing = self.loop.call_later(_HEADERS_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens there. ServeError: it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server(address[:2], family=family, backlog=256, reuse_port=False)
    except OSError as error:
        raise ServeError(
            f"cannot listen at {host}, port {port}: {_reason(error)}; give another --port (0 takes a free one) or --host"
        ) from None
    with made:
        yield made


def _reason(error: OSError) -> str:
    """Without the address, which asyncio's and socket's messages repeat in brackets."""
    return (error.strerror or str(error)).partition(" (")[0]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
