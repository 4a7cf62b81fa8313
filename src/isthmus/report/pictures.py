"""Matplotlib's figures as drawings inside a page.

A drawing takes part in the page: black becomes the colour of the page's text and white that of
its paper, in light and dark alike; words are outlines, so that they look the same without any
font; the names inside of it (of clips and glyphs) are made its own, because a page has one space
for names.
"""

import hashlib
import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib import style
from matplotlib.figure import Figure

from isthmus.report.page import Html

HOUSE = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.6,
}
THEME = {
    "#000000": "var(--ink)",
    "#ffffff": "var(--paper)",
}


@contextmanager
def drawing_style() -> Iterator[None]:
    """Within this block figures look like this house's, whatever the user's settings are."""
    with style.context(["default", HOUSE]):
        yield


def drawing(figure: Figure, alt: str, *, ink: bool = False) -> Html:
    """A figure as SVG, the same bytes for the same figure.

    Args:
        figure: It is drawn without a background.
        alt: What it shows, for those who don't see it.
        ink: Whether it shows pixels that are dark on light (such as handwriting), which a dark
            page turns round.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "isthmus"}):
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    return _placed(stream.getvalue(), alt, ink)


def _placed(text: str, alt: str, ink: bool) -> Html:
    """The drawing of an SVG file, without what only a file needs."""
    begin = text.index("<svg")
    inside = text[text.index(">", begin) + 1 :]
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    inside = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", inside, flags=re.S
    )
    for color, variable in THEME.items():
        inside = inside.replace(color, variable)
    inside = _own_names(inside)
    kind = ' class="ink"' if ink else ""
    label = html.escape(alt)
    return Html(f'<svg{kind} viewBox="{box[1]}" role="img" aria-label="{label}">{inside.strip()}')


def _own_names(inside: str) -> str:
    """Names that no other drawing of the page has."""
    mark = hashlib.sha256(inside.encode()).hexdigest()[:8]
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>d{mark}-", inside)
