"""Tables as text 80 columns wide."""

import io

from rich.console import Console, RenderableType


def text(table: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80).print(table)
    return stream.getvalue()


def words(table: RenderableType) -> list[str]:
    return text(table).split()
