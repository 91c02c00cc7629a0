"""Figures as SVG inside a page: they take its letters and its colours, light or dark, and tell what they show."""

import re
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.figure import Figure

from fastspec.report.picture import render_svg

# What is black on paper takes the colour of the page's text; the other names are variables of templates/style.css.
_THEMED = {
    "#000000": "currentColor",
    "#666666": "var(--line)",
    "#cccccc": "var(--faint)",
    "#e6e6e6": "var(--hair)",
    "#e5e5e5": "var(--hair)",
    "#1f5a99": "var(--accent)",
    "#4878a8": "var(--bar)",
}
_COLOUR = re.compile("|".join(_THEMED))
_FONT = re.compile(r"font-family:[^;]*;?")
_LONG_NUMBER = re.compile(r"(\.\d\d)\d+")
_REFERENCE = re.compile(r"#(?=[a-zA-Z])")


def inline_svg(figure: Figure, *, name: str, told: str) -> Markup:
    """A figure as an `<svg>` element.

    Args:
        figure: drawn on nothing, its letters black.
        name: that no other figure of the page has; ids begin with it.
        told: what the picture shows, for those who do not see it.

    >>> from fastspec.report.corpus_pictures import plot_durations
    >>> inline_svg(plot_durations([1.0, 2.0], title="x"), name="d", told="a < b")[:42]
    Markup('<svg viewBox="0 0 434.63 218.63" role="img')
    """
    root = ElementTree.fromstring(render_svg(figure))
    width_pt = float(root.get("viewBox", "").split()[2])
    for parent in root.iter():
        for child in [child for child in parent if _bare(child.tag) in ("metadata", "style")]:
            parent.remove(child)
    for element in root.iter():
        element.tag = _bare(element.tag)
        element.attrib = {_bare(key): _plain(key, value, name) for key, value in element.attrib.items() if key != "id"} | _identity(
            element, name
        )
    view = _LONG_NUMBER.sub(r"\1", root.get("viewBox", ""))
    widths = f"width: {1.3 * width_pt:.0f}px; min-width: {0.9 * width_pt:.0f}px"  # letters of 8 points are 7 pixels high at least
    root.attrib = {"viewBox": view, "role": "img", "aria-label": told, "style": widths}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _bare(name: str) -> str:
    """A name without its namespace, which HTML knows by itself."""
    return name.rpartition("}")[2]


def _identity(element: ElementTree.Element, name: str) -> dict[str, str]:
    """The id of what others refer to; the groups of matplotlib's have ids that nobody needs."""
    return {"id": f"{name}-{element.get('id')}"} if "id" in element.attrib and element.tag != "g" else {}


def _plain(key: str, value: str, name: str) -> str:
    """An attribute with shorter numbers, the page's colours, and references within the figure."""
    if key.endswith("href") or value.startswith("url("):
        return _REFERENCE.sub(f"#{name}-", value)
    if key == "style":
        value = _COLOUR.sub(lambda colour: _THEMED[colour[0]], _FONT.sub("", value))
    return " ".join(_LONG_NUMBER.sub(r"\1", value).split())
