"""A trained model as a web page and a JSON endpoint, on this machine. The only room that knows the web (the extra `serve`)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastspec.errors import FastspecError

if TYPE_CHECKING:
    from fastspec.serving.server import serve as serve

__all__ = ["ServeError", "serve"]

_WEB = ("fastapi", "pydantic", "starlette", "uvicorn")


class ServeError(FastspecError):
    """A page that cannot be served: the extra is missing, the port is taken, there is no such address."""


def __getattr__(name: str) -> Any:
    if name != "serve":
        raise AttributeError(f"module 'fastspec.serving' has no attribute {name!r}")
    try:
        return import_module("fastspec.serving.server").serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _WEB:
            raise
        raise ServeError(f"the page needs {error.name}, which is not installed; run: pip install 'fastspec[serve]'") from None
