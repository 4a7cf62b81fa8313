"""Colours, lines and markers that also differ in black and white."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

# Petroff (2021, arXiv 2107.02270): ten colours chosen to differ for colour-blind readers too
COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
OTHER = "#b0b0b0"
MOST_VECTOR_POINTS = 5_000
MARKERS = ("o", "s", "^", "X", "D", "v", "P", "<", "*", ">")

BLUE, ORANGE, RED = COLORS[0], COLORS[6], COLORS[2]
# neighbours differ in brightness, in dashes and in markers
SERIES: tuple[dict[str, Any], ...] = (
    {"color": COLORS[0], "linestyle": "-", "marker": "o"},
    {"color": COLORS[2], "linestyle": "--", "marker": "s"},
    {"color": COLORS[1], "linestyle": "-.", "marker": "^"},
    {"color": COLORS[4], "linestyle": ":", "marker": "D"},
    {"color": COLORS[3], "linestyle": (0, (8, 2)), "marker": "v"},
    {"color": COLORS[5], "linestyle": (0, (3, 1, 1, 1, 1, 1)), "marker": "X"},
)


def next_series(ax: Axes, x: NDArray[Any], y: NDArray[Any], label: str | None) -> Line2D:
    """A curve in the style that follows those of the lines on the axes."""
    style: dict[str, Any] = SERIES[len(ax.lines) % len(SERIES)]
    (line,) = ax.plot(x, y, markersize=4.5, label=label or "", **style)
    return line


def dot(n: int) -> tuple[float, float]:
    """Area in square points and opacity of a dot, when there are n of them."""
    size, alpha = 200 / n**0.5, 60 / n**0.5
    return min(max(size, 0.5), 16.0), min(max(alpha, 0.1), 0.85)


def scatter(ax: Any, rows: NDArray[Any], label: str, **style: Any) -> None:
    """Rows as dots in two or three dimensions; many become pixels, even in a vector file."""
    ax.scatter(*rows.T, label=label, rasterized=len(rows) > MOST_VECTOR_POINTS, **style)
