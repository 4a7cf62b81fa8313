"""One HTML file that needs nothing else: no network, no other file, no script.

A page is put together from pieces, and every piece is `Html`: text that is safe to stand in a
page. Plain text becomes `Html` only in `words`, which escapes it, so that a column's name or a
file's path can't break a page or run anything; the type checker watches over the border.

    page("Digits", section("Result", paragraph("…"), table(["name", "nats"], [["usual", "−130"]])))

The page follows the reader's light or dark setting, is laid out anew for a phone and prints. Its
pictures are drawings inside the page (SVG) in the page's own colours.
"""

from isthmus.report.page import (
    Html,
    aside,
    code,
    columns,
    figure,
    formula,
    header,
    lead,
    notices,
    page,
    paragraph,
    section,
    table,
    words,
)
from isthmus.report.pictures import drawing, drawing_style

__all__ = [
    "Html",
    "aside",
    "code",
    "columns",
    "drawing",
    "drawing_style",
    "figure",
    "formula",
    "header",
    "lead",
    "notices",
    "page",
    "paragraph",
    "section",
    "table",
    "words",
]
