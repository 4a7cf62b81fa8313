"""The pieces of a page, and the page."""

import html
import re
from collections.abc import Sequence
from typing import NewType

from isthmus.report.style import STYLE

Html = NewType("Html", str)


def words(text: str) -> Html:
    """Plain text, escaped. What stands between backticks is set as code.

    Args:
        text: Anything; no character in it has a meaning, but for pairs of backticks.
    """
    return Html(re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text)))


def paragraph(text: str) -> Html:
    """A paragraph of text as in `words`."""
    return Html(f"<p>{words(text)}</p>\n")


def aside(text: str) -> Html:
    """A paragraph in a softer voice: notes, limits, how something was measured."""
    return Html(f'<p class="aside">{words(text)}</p>\n')


def lead(text: str) -> Html:
    """The one sentence that a page is about."""
    return Html(f'<p class="lead">{words(text)}</p>\n')


def notices(texts: Sequence[str]) -> Html:
    """What a reader must know before the figures; nothing if there are none."""
    if not texts:
        return Html("")
    items = "".join(f"<li>{words(text)}</li>\n" for text in texts)
    return Html(f'<ul class="notices">\n{items}</ul>\n')


def formula(*lines: str) -> Html:
    """An equation in plain characters, one line of text for each of its lines."""
    spans = "".join(f"<span>{html.escape(line)}</span>" for line in lines)
    return Html(f'<div class="formula">{spans}</div>\n')


def code(text: str) -> Html:
    """Source or commands, as they are."""
    return Html(f"<pre><code>{html.escape(text.strip())}</code></pre>\n")


def table(
    names: Sequence[str], *groups: Sequence[Sequence[str]], left: Sequence[int] = ()
) -> Html:
    """A table. On a narrow screen each row becomes a list of its cells with their names.

    Args:
        names: One for each column.
        groups: Rows, with a line between two groups. A row is cells of text, the first one its
            name; an empty cell is left out on a narrow screen.
        left: The numbers of other columns that hold words, which begin on the left.
    """

    def cell(column: int, text: str) -> str:
        kind = ' class="left"' if column == 0 or column in left else ""
        if column == 0:
            return f'<th scope="row"{kind}>{words(text)}</th>'
        return f'<td{kind} data-name="{html.escape(names[column])}">{words(text)}</td>'

    def heading(column: int, text: str) -> str:
        kind = ' class="left"' if column == 0 or column in left else ""
        return f'<th scope="col"{kind}>{words(text)}</th>'

    head = "".join(heading(i, name) for i, name in enumerate(names))
    bodies = ""
    for rows in groups:
        lines = ("".join(cell(i, text) for i, text in enumerate(row)) for row in rows)
        bodies += "<tbody>\n" + "".join(f"<tr>{line}</tr>\n" for line in lines) + "</tbody>\n"
    return Html(
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n{bodies}</table></div>\n'
    )


def columns(*parts: Html) -> Html:
    """Parts side by side where there is room, else one below the other."""
    inside = "".join(f"<div>{part}</div>\n" for part in parts)
    return Html(f'<div class="columns">\n{inside}</div>\n')


def figure(
    panels: Sequence[Html],
    lead: str,
    caption: str,
    *,
    least: str = "15rem",
    most: str = "40rem",
) -> Html:
    """Drawings side by side, as many as fit, with a caption below.

    Args:
        panels: Such as from `isthmus.report.drawing`.
        lead: The first words of the caption, in bold.
        caption: What to see in them.
        least: The smallest width of a panel, as a length of CSS.
        most: The largest one.
    """
    inside = "\n".join(panels)
    return Html(
        f'<figure>\n<div class="panels" style="--least:{least};--most:{most}">\n{inside}\n</div>\n'
        f"<figcaption><b>{words(lead)}</b> {words(caption)}</figcaption>\n</figure>\n"
    )


def header(title: str, *parts: Html) -> Html:
    """The top of a page: what it is."""
    return Html(f"<header>\n<h1>{words(title)}</h1>\n{''.join(parts)}</header>\n")


def section(title: str, *parts: Html) -> Html:
    """A heading and what belongs to it."""
    return Html(f"<section>\n<h2>{words(title)}</h2>\n{''.join(parts)}</section>\n")


def page(title: str, *parts: Html, foot: str = "") -> str:
    """The whole file.

    Args:
        title: The name of the window.
        parts: A header and sections.
        foot: A last line.

    Returns:
        HTML that stands alone.
    """
    last = f"<footer>{words(foot)}</footer>\n" if foot else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{''.join(parts)}{last}</body>\n</html>\n"
    )
