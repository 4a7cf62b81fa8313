"""Maps of codes of two units: dots, shades where there are too many of them, or thumbnails.

A map stays readable with a million rows. Dots are drawn while they can be told apart; beyond that
each pixel shows how many rows fall on it and which labels they have on average, counted once, so
that the file does not grow with the rows.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.plots._axes import axes, label_code_axes, paper, quieten
from isthmus.plots._labels import Categories, Labels, as_labels
from isthmus.plots._shades import shade
from isthmus.plots._styles import COLORS, MARKERS, MOST_VECTOR_POINTS, OTHER, dot
from isthmus.plots._view import Array, View, codes_of_two, view_of
from isthmus.plots.images import gap_of, show_tiles, tiles_of

MOST_DOTS = 50_000
MOST_MARKERS = 1_000
# of the side of a map
NAME_SIZE = 0.055
NAMES = ("auto", "legend", "centre", "none")


def code_map(
    codes: ArrayLike,
    labels: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    names: str = "auto",
) -> Axes:
    """A map of codes of two units: one dot for each row.

    Dots shrink and grow transparent as their number rises, and are drawn in a random (fixed)
    order, so that no label hides the others. Beyond some thousands they are pixels even in a
    vector file; beyond 50,000 they are counted in place of drawn, and each pixel's colour is the
    mean of its rows', stronger where there are more of them (on a logarithmic scale). Where a few
    of so many lie far out, the map shows the others and says how many it leaves out.

    Words, booleans and whole numbers of at most 20 different values are categories: the ten most
    frequent have colours that colour-blind readers can tell apart, and markers of their own while
    there are at most 1,000 dots; the rest is grey. Other numbers are a scale with a bar of
    colours; where one is NaN, the dot is grey.

    Args:
        codes: (n, 2).
        labels: (n,); None for dots of one colour.
        ax: Where to draw; a new figure if None.
        names: Where the categories' names stand: ``"legend"``, ``"centre"`` for the median of
            each one's dots, ``"none"``, or ``"auto"``: a legend for up to 1,000 dots, and the
            centres for more, which colour alone would tell apart.

    Returns:
        The axes, with the dots as their first collection, in their random order, or with the
        shades as their first image.

    Raises:
        InvalidDataError: Not two columns, not one label per row, or a code that is not finite.
        InvalidParameterError: An unknown place for the names.
    """
    if names not in NAMES:
        raise InvalidParameterError(f"names must be one of {', '.join(NAMES)}; got {names!r}.")
    points = codes_of_two(codes)
    given = as_labels(labels, len(points))
    ax = axes(ax)
    if len(points) <= MOST_DOTS:
        _draw_dots(ax, points, given)
    else:
        shade(ax, points, given)
    if names == "auto":
        names = "legend" if len(points) <= MOST_MARKERS else "centre"
    if isinstance(given, Categories):
        _name(ax, points, given, names)
    label_code_axes(ax)
    quieten(ax)
    return ax


def image_map(
    codes: ArrayLike,
    rows: ArrayLike,
    ax: Axes | None = None,
    *,
    n_across: int = 20,
    limits: tuple[float, float] | None = None,
    cmap: str = "gray",
) -> Axes:
    """A map of codes of two units that shows rows as the images they are.

    The plane is cut into cells, and each cell shows the row whose code lies nearest to its
    middle, so that no image hides another and none is stretched; a cell without rows stays empty.
    Only the rows that are shown are read, from a memory-mapped array too.

    Args:
        codes: (n, 2).
        rows: (n, H, W), or (n, H, W, C) with 1, 3 or 4 channels.
        ax: Where to draw; a new figure if None.
        n_across: Cells from left to right.
        limits: As in `images`, among the rows that are shown.
        cmap: As in `images`.

    Returns:
        The axes, with all images as one picture.

    Raises:
        InvalidDataError: Codes that are no map, rows that are no images, or not one row for each
            code.
        InvalidParameterError: ``n_across`` is not positive.
    """
    points = codes_of_two(codes)
    pictures = rows if isinstance(rows, np.ndarray) else np.asarray(rows)
    if len(pictures) != len(points):
        raise InvalidDataError(
            f"There must be one row for each code; got {len(pictures)} rows for {len(points)}."
        )
    if n_across < 1:
        raise InvalidParameterError(f"n_across must be 1 or more; got {n_across!r}.")
    height, width = tiles_of(pictures[:1]).shape[1:3]
    view = view_of(points, n_across, max(1, round(n_across * width / height)))
    chosen, cells = _nearest_to_middles(points, view)
    tiles = tiles_of(pictures[chosen])
    ax = axes(ax)
    shown = show_tiles(ax, tiles, (view.n_down, view.n_across), cells, limits, cmap)
    _stretch(ax, shown, view, (height, width), gap_of(tiles))
    label_code_axes(ax)
    quieten(ax)
    return ax


# ---- dots ---------------------------------------------------------------------------------------


def _draw_dots(ax: Axes, points: Array, labels: Labels) -> None:
    order = np.random.default_rng(0).permutation(len(points))
    size, alpha = dot(len(points))
    style: dict[str, Any] = {
        "s": size,
        "alpha": alpha,
        "linewidths": 0,
        "rasterized": len(points) > MOST_VECTOR_POINTS,
    }
    x, y = points[order].T
    if labels is None:
        ax.scatter(x, y, color=COLORS[0], **style)
    elif isinstance(labels, Categories):
        n_kinds, index = len(labels.names), labels.index[order]
        colors = ListedColormap([*COLORS[:n_kinds], OTHER])
        style |= {"cmap": colors, "vmin": -0.5, "vmax": n_kinds + 0.5}
        dots = ax.scatter(x, y, c=index, **style)
        if len(points) <= MOST_MARKERS:
            _mark(dots, index, 2 * size)
    else:
        _draw_scale(ax, points[order], labels[order], style)


def _mark(dots: PathCollection, index: NDArray[np.intp], size: float) -> None:
    """A marker for each category, in one collection, so that their order stays random."""
    markers = [MarkerStyle(marker) for marker in (*MARKERS, ".")]
    paths = [marker.get_path().transformed(marker.get_transform()) for marker in markers]
    dots.set_paths([paths[min(number, len(MARKERS))] for number in index])
    dots.set_sizes([size])


def _draw_scale(ax: Axes, points: Array, values: NDArray[Any], style: dict[str, Any]) -> None:
    known = np.isfinite(values)
    x, y = points.T
    dots = ax.scatter(x[known], y[known], c=values[known], cmap="viridis", **style)
    if not known.all():
        ax.scatter(x[~known], y[~known], color=OTHER, **style)
    bar = ax.figure.colorbar(dots, ax=ax)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    bar.outline.set_visible(False)


# ---- names --------------------------------------------------------------------------------------


def _name(ax: Axes, points: Array, labels: Categories, names: str) -> None:
    if names == "centre":
        middles = [np.median(points[labels.index == i], axis=0) for i in range(len(labels.names))]
        for kind, (x, y) in zip(labels.names, _apart(ax, np.array(middles)), strict=True):
            shape = "circle" if len(kind) < 3 else "round"
            halo = {"boxstyle": f"{shape},pad=0.15", "fc": paper(ax), "ec": "none", "alpha": 0.75}
            ax.annotate(kind, (x, y), ha="center", va="center", weight="bold", bbox=halo)
    elif names == "legend":
        marked = len(points) <= MOST_MARKERS
        entries = list(zip(labels.names, COLORS, MARKERS if marked else "o" * 10, strict=False))
        if not labels.all_named:
            entries.append(("other", OTHER, "." if marked else "o"))
        dots = [
            Line2D([], [], ls="", marker=marker, ms=5, color=color) for _, color, marker in entries
        ]
        texts = [name for name, _, _ in entries]
        ax.legend(dots, texts, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _apart(ax: Axes, middles: Array) -> Array:
    """Places of names, moved as little as it takes to read all of them."""
    size = np.array([np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())])
    places: Array = middles / size
    # of two in one place the first goes up
    above = 1e-3 * (np.tri(len(places)).T - np.tri(len(places)))
    for _ in range(50):
        between = places[:, None] - places
        between[..., 1] += np.where((between == 0).all(2), above, 0)
        distance = np.linalg.norm(between, axis=2) + np.eye(len(places))
        push = np.maximum(NAME_SIZE - distance, 0) / 2
        if not push.any():
            break
        places += (between / distance[..., None] * push[..., None]).sum(1)
    moved: Array = places * size
    return moved


# ---- thumbnails ---------------------------------------------------------------------------------


def _nearest_to_middles(points: Array, view: View) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """One row for each cell that has any, in the order of rows, and the cells of these rows."""
    cells, inside = view.cells(points)
    (rows,) = inside.nonzero()
    off_middle = np.abs(view.place(points[rows]) % 1 - 0.5) ** 2
    nearest_first = rows[np.argsort(off_middle.sum(1), kind="stable")]
    found, first = np.unique(cells[nearest_first], return_index=True)
    chosen = nearest_first[first]
    order = np.argsort(chosen)
    return chosen[order], found[order]


def _stretch(ax: Axes, shown: AxesImage, view: View, shape: tuple[int, int], gap: int) -> None:
    """Lay the picture over the view's cells, and keep pixels square whatever the units are."""
    left, right, bottom, top = view.extent
    pixel_x = (right - left) / (view.n_across * (shape[1] + gap))
    pixel_y = (top - bottom) / (view.n_down * (shape[0] + gap))
    half_x, half_y = pixel_x * gap / 2, pixel_y * gap / 2
    shown.set_extent((left + half_x, right - half_x, bottom + half_y, top - half_y))
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.set_aspect(pixel_x / pixel_y)
