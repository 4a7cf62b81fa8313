"""Maps of more rows than dots can show: each pixel counts its rows, once."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from numpy.typing import NDArray

from isthmus.plots._axes import GREY
from isthmus.plots._labels import Categories, Labels
from isthmus.plots._styles import COLORS, OTHER
from isthmus.plots._view import Array, View, view_of

PIXELS = 400
FAINTEST = 0.25


def shade(ax: Axes, points: Array, labels: Labels) -> None:
    """Draw the rows as one image, with a bar of colours for numbers."""
    view = view_of(points, PIXELS, PIXELS)
    cells, inside = view.cells(points)
    cells = cells[inside]
    counts = _sums(cells)
    if labels is None:
        colors = np.broadcast_to(to_rgb(COLORS[0]), (len(counts), 3))
        picture = _picture(colors, _strength(counts))
    elif isinstance(labels, Categories):
        picture = _picture(_mixed(cells, labels, inside, counts), _strength(counts))
    else:
        picture = _scaled(ax, cells, labels[inside])
    ax.imshow(picture, extent=view.extent, aspect="auto", interpolation="none")
    _say_what_is_outside(ax, view, int((~inside).sum()), len(points))


def _sums(cells: NDArray[np.intp], values: Array | None = None) -> Array:
    """The number of rows in each cell, or the sum of their values."""
    return np.bincount(cells, values, minlength=PIXELS**2).astype(np.float64)


def _strength(counts: Array) -> Array:
    """Opacity: nothing where there is no row, and then with the logarithm of their number."""
    # a single crowded pixel should not make all others faint
    most = max(float(np.quantile(counts[counts > 0], 0.99)), 2.0)
    strength = np.minimum(np.log(np.maximum(counts, 1)) / np.log(most), 1)
    return np.where(counts > 0, FAINTEST + (1 - FAINTEST) * strength, 0)


def _mixed(
    cells: NDArray[np.intp], labels: Categories, inside: NDArray[np.bool_], counts: Array
) -> Array:
    """The mean colour of each cell's rows."""
    palette = np.array([to_rgb(color) for color in (*COLORS[: len(labels.names)], OTHER)])
    colors = palette[labels.index[inside]]
    sums = np.stack([_sums(cells, channel) for channel in colors.T], axis=1)
    return np.asarray(sums / np.maximum(counts, 1)[:, None])


def _scaled(ax: Axes, cells: NDArray[np.intp], values: NDArray[Any]) -> Array:
    """The mean number of each cell as a colour; grey where none of its rows has one."""
    known = np.isfinite(values)
    counts, some = _sums(cells[known]), _sums(cells) > 0
    means = _sums(cells[known], values[known].astype(np.float64)) / np.maximum(counts, 1)
    shown = means[counts > 0]
    limits = Normalize(*np.quantile(shown, (0.01, 0.99))) if len(shown) else Normalize(0, 1)
    scale = ScalarMappable(limits, matplotlib.colormaps["viridis"])
    colors = np.where((counts > 0)[:, None], scale.to_rgba(means)[:, :3], to_rgb(OTHER))
    bar = ax.figure.colorbar(scale, ax=ax, extend="both" if len(shown) else "neither")
    bar.outline.set_visible(False)
    return _picture(colors, some.astype(np.float64))


def _picture(colors: Array, strength: Array) -> Array:
    pixels: Array = np.concatenate([colors, strength[:, None]], axis=1).clip(0, 1)
    return pixels.reshape(PIXELS, PIXELS, 4)


def _say_what_is_outside(ax: Axes, view: View, n_outside: int, n: int) -> None:
    left, right, bottom, top = view.extent
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    if n_outside:
        text = f"{n_outside:,} of {n:,} lie outside"
        ax.set_title(text, loc="right", fontsize="small", color=GREY)
