"""Curves and surfaces in two and three dimensions: their tangents, and PCA beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_real
from isthmus.plots._arrays import Array, finite, points, same_length, same_width
from isthmus.plots._axes import (
    GREY,
    axes,
    axes_3d,
    ink,
    label_data_axes,
    legend_above,
    quieten,
    quieten_3d,
)
from isthmus.plots._styles import OTHER, RED, dot, scatter

# points of a drawn surface on each side
MESH = 41
# of the way to a neighbour, so that neither touches
SHARE = 0.42
LIT = "#a8d2f5"
# light comes from above, a little from the viewer's left
LIGHT = np.array([-0.25, -0.55, 0.8])


def tangents(
    where: ArrayLike,
    space: Any,
    ax: Axes | None = None,
    *,
    data: ArrayLike | None = None,
    size: float | None = None,
) -> Axes:
    """Tangent lines or planes of a manifold, each at its point.

    In two or three dimensions one direction is drawn as a line; two directions in three
    dimensions as a plate. Where singular values are known, a side is as long, against the
    longest, as its value is against the largest.

    Args:
        where: The points, (n, 2) or (n, 3); some hundreds at most are readable.
        space: Directions of unit length, (n, k, d) with k of 1 or 2, or what
            `isthmus.analysis.tangent_space` gives.
        ax: Where to draw, with ``projection="3d"`` for three dimensions; a new figure if None.
        data: More points of the same space, drawn faintly beneath, (m, d).
        size: Half of the longest side, in data units; from the distance of neighbours if None.

    Returns:
        The axes, with the lines or plates as their last collection.

    Raises:
        InvalidDataError: Shapes that don't fit together, or a number that is not finite.
        InvalidParameterError: A size that is not positive, or axes of other dimensions.
    """
    centres = points(where, "where", (2, 3))
    sides = _sides(space, centres)
    beneath = None if data is None else points(data, "data", (2, 3))
    if beneath is not None:
        same_width("data", beneath, "where", centres)
    if size is None:
        size = _neighbourly(centres)
    elif not (is_real(size) and 0 < size < np.inf):
        raise InvalidParameterError(f"size must be a positive number or None; got {size!r}.")
    ground: Axes = axes(ax) if centres.shape[1] == 2 else axes_3d(ax)
    if beneath is not None:
        _draw_data(ground, beneath)
    plates = centres.shape[1] == 3 and sides.shape[1] == 2
    (_draw_plates if plates else _draw_lines)(ground, centres, size * sides)
    _finish(ground)
    return ground


def manifold(data: ArrayLike, curved: ArrayLike, ax: Axes | None = None) -> Axes:
    """What a model reconstructs, a curve or a surface, beside PCA's line or plane.

    PCA of the data at hand is drawn with as many components as the curved manifold has
    dimensions, over the extent of the data along each.

    Args:
        data: Rows, (n, 2) or (n, 3).
        curved: Reconstructions in their order along the manifold: a curve (m, d), or in three
            dimensions a surface (a, b, 3), such as the decoded points of a grid of codes.
        ax: Where to draw, with ``projection="3d"`` for three dimensions; a new figure if None.

    Returns:
        The axes.

    Raises:
        InvalidDataError: Shapes that don't fit together, or a number that is not finite.
        InvalidParameterError: Axes of other dimensions.
    """
    rows = points(data, "data", (2, 3))
    sheet = np.asarray(curved).ndim == 3
    shape = finite(curved, "curved", "(m, d) or (a, b, 3)", 3 if sheet else 2)
    same_width("curved", shape, "data", rows)
    if sheet and rows.shape[1] == 2:
        raise InvalidDataError("A surface needs three dimensions; give a curve (m, 2).")
    corners = _principal(rows, 2 if sheet else 1)
    flat = rows.shape[1] == 2
    ground: Axes = axes(ax) if flat else axes_3d(ax)
    _draw_data(ground, rows)
    sheets: Sequence[Patch] = ()
    if sheet:
        sheets = _draw_sheets(ground, corners, shape)
    else:
        ground.plot(*corners.T, color=RED, ls="--", lw=1.8, label="PCA")
        ground.plot(*shape.T, color=ink(ground), lw=2.0, label="autoencoder")
    _finish(ground, sheets)
    return ground


# ---- tangents -----------------------------------------------------------------------------------


def _sides(space: Any, centres: Array) -> Array:
    """Directions (n, k, d) of lengths 0 … 1."""
    given = getattr(space, "directions", space)
    directions = finite(given, "directions", "(n, k, d)", 3)
    same_length("where", centres, "directions", directions)
    same_width("directions", directions, "where", centres)
    if directions.shape[1] > 2:
        raise InvalidDataError(
            f"One or two directions can be drawn at a point; got {directions.shape[1]}. Take the "
            "leading ones: tangent_space(model, X, k=2)."
        )
    values = getattr(space, "singular_values", None)
    if values is None:
        return directions
    lengths = finite(values, "singular_values", "(n, k)", 2)
    if lengths.shape != directions.shape[:2]:
        raise InvalidDataError(
            f"There must be one singular value for each direction, {directions.shape[:2]}; got "
            f"{lengths.shape}."
        )
    longest = lengths.max(1, keepdims=True)
    relative = np.divide(lengths, longest, out=np.ones_like(lengths), where=longest > 0)
    scaled: Array = directions * relative[..., None]
    return scaled


def _neighbourly(centres: Array) -> float:
    """Nearly half the median distance between neighbours; half a unit for one point."""
    distinct = np.unique(centres, axis=0)
    if len(distinct) == 1:
        return 0.5
    distances = np.asarray(cKDTree(distinct).query(distinct, k=2)[0])
    return SHARE * float(np.median(distances[:, 1]))


def _draw_lines(ax: Any, centres: Array, sides: Array) -> None:
    ends = np.stack([centres[:, None] - sides, centres[:, None] + sides], axis=2)
    segments = ends.reshape(-1, 2, centres.shape[1])
    style: dict[str, Any] = {"colors": [RED], "lw": 1.6, "label": "tangents"}
    ax.plot(*centres.T, "o", ms=2.2, color=ink(ax))
    if centres.shape[1] == 2:
        ax.add_collection(LineCollection(list(segments), **style))
    else:
        ax.add_collection3d(Line3DCollection(segments, **style))


def _draw_plates(ax: Any, centres: Array, sides: Array) -> None:
    one, two = sides[:, 0], sides[:, 1]
    corners = [centres + a * one + b * two for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
    plates = np.stack(corners, axis=1)
    colors = _lit(plates)[:, None] * np.array(to_rgb(LIT))
    style: dict[str, Any] = {"facecolors": colors, "edgecolors": GREY, "lw": 0.4}
    ax.add_collection3d(Poly3DCollection(plates, label="tangent planes", **style))


# ---- PCA ----------------------------------------------------------------------------------------


def _principal(rows: Array, k: int) -> Array:
    """PCA's line through the rows (2, d), or its plane (MESH, MESH, d)."""
    mean = rows.mean(0)
    _, _, directions = np.linalg.svd(rows - mean, full_matrices=False)
    if len(directions) < k:
        raise InvalidDataError(f"PCA with {k} components needs as many rows; got {len(rows)}.")
    place = (rows - mean) @ directions[:k].T
    low, high = place.min(0), place.max(0)
    ends = np.linspace(low, high, 2 if k == 1 else MESH)
    if k == 1:
        flat: Array = mean + ends @ directions[:1]
    else:
        flat = mean + np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1) @ directions[:2]
    return flat


def _draw_sheets(ax: Any, plane: Array, surface: Array) -> Sequence[Patch]:
    """Both in one collection, whose facets hide each other as they lie in depth."""
    flat, curved = _facets(plane), _facets(surface)
    bright = _lit(curved)[:, None] * np.array(to_rgb(LIT))
    colors = np.concatenate([np.tile(to_rgb(RED), (len(flat), 1)), bright])
    edges = [RED] * len(flat) + [GREY] * len(curved)
    everything = np.concatenate([flat, curved])
    style: dict[str, Any] = {"facecolors": colors, "edgecolors": edges, "lw": 0.3}
    ax.add_collection3d(Poly3DCollection(everything, rasterized=True, **style))
    return Patch(fc=RED, label="PCA"), Patch(fc=LIT, ec=GREY, lw=0.5, label="autoencoder")


def _facets(sheet: Array) -> Array:
    """The quadrangles of a grid of points, at most MESH on each side, (m, 4, 3)."""
    a, b = (
        np.unique(np.linspace(0, size - 1, min(size, MESH)).round().astype(int))
        for size in sheet.shape[:2]
    )
    net = sheet[np.ix_(a, b)]
    corners = (net[:-1, :-1], net[1:, :-1], net[1:, 1:], net[:-1, 1:])
    return np.stack(corners, axis=2).reshape(-1, 4, 3)


def _lit(facets: Array) -> Array:
    """Brightness 0.45 … 1 of facets under one light, the same from both sides, (m,)."""
    normal = np.cross(facets[:, 2] - facets[:, 0], facets[:, 3] - facets[:, 1])
    length = np.linalg.norm(normal, axis=1)
    cosine = np.abs(normal @ LIGHT) / np.where(length > 0, length, 1)
    brightness: Array = 0.45 + 0.55 * cosine
    return brightness


# ---- what they share ----------------------------------------------------------------------------


def _draw_data(ax: Any, rows: Array) -> None:
    size, alpha = dot(len(rows))
    scatter(ax, rows, "data", color=OTHER, s=size, alpha=alpha, lw=0)


def _finish(ax: Any, sheets: Sequence[Patch] = ()) -> None:
    label_data_axes(ax)
    if ax.name == "3d":
        quieten_3d(ax)
        handles, _ = ax.get_legend_handles_labels()
        ax.legend(handles=[*handles, *sheets], frameon=False, loc="upper left")
    else:
        ax.autoscale_view()
        ax.set_aspect("equal")
        quieten(ax)
        legend_above(ax)
