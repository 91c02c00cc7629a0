"""A trained model as a web page and a JSON endpoint, on this machine. The only room that knows the web (the extra `serve`)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastspec.errors import FastspecError
from fastspec.installation import extra_command

if TYPE_CHECKING:
    from fastspec.serving.server import is_loopback as is_loopback
    from fastspec.serving.server import listening as listening
    from fastspec.serving.server import serve as serve

_NAMES = ("is_loopback", "listening", "serve")
__all__ = ["ServeError", "is_loopback", "listening", "serve"]

_WEB = ("fastapi", "pydantic", "starlette", "uvicorn")


class ServeError(FastspecError):
    """A page that cannot be served: the extra is missing, the port is taken, there is no such address."""


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'fastspec.serving' has no attribute {name!r}")
    try:
        return getattr(import_module("fastspec.serving.server"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _WEB:
            raise
        raise ServeError(f"the page needs {error.name}, which is not installed; run: {extra_command('serve')}") from None
