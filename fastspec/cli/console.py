"""A terminal that names out of other people's archives cannot steer."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from fastspec.errors import printable


class SafeConsole(Console):
    """Prints the colours of its own, and control characters within texts as `printable` shows them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of anything that rich prints."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
