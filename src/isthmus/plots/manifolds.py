"""Curves and surfaces in two and three dimensions: their tangents, and PCA beside them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_real
from isthmus.plots._arrays import Array, finite, points, same_length, same_width
from isthmus.plots._axes import (
    axes,
    axes_3d,
    ink,
    label_data_axes,
    legend_above,
    quieten,
    quieten_3d,
)
from isthmus.plots._styles import BLUE, OTHER, RED, dot, scatter

# lines of a surface's net on each side
MOST_MESH = 24


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
    if sheet:
        _draw_sheets(ground, corners, shape)
    else:
        ground.plot(*corners.T, color=RED, ls="--", lw=1.8, label="PCA")
        ground.plot(*shape.T, color=ink(ground), lw=2.0, label="autoencoder")
    _finish(ground)
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
    """Half the median distance between neighbours; half the unit for one point."""
    distinct = np.unique(centres, axis=0)
    if len(distinct) == 1:
        return 0.5
    distances = np.asarray(cKDTree(distinct).query(distinct, k=2)[0])
    return 0.5 * float(np.median(distances[:, 1]))


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
    # light from one side: planes of other directions differ in brightness
    style: dict[str, Any] = {"shade": True, "facecolors": BLUE, "edgecolors": ink(ax), "lw": 0.4}
    plates = Poly3DCollection(np.stack(corners, axis=1), label="tangent planes", **style)
    ax.add_collection3d(plates)


# ---- PCA ----------------------------------------------------------------------------------------


def _principal(rows: Array, k: int) -> Array:
    """The ends (2, d) of PCA's line through the rows, or the corners (2, 2, d) of its plane."""
    mean = rows.mean(0)
    _, _, directions = np.linalg.svd(rows - mean, full_matrices=False)
    if len(directions) < k:
        raise InvalidDataError(f"PCA with {k} components needs as many rows; got {len(rows)}.")
    place = (rows - mean) @ directions[:k].T
    low, high = place.min(0), place.max(0)
    if k == 1:
        ends: Array = mean + np.array([low, high]) @ directions[:1]
        return ends
    grid = np.stack(np.meshgrid([low[0], high[0]], [low[1], high[1]], indexing="ij"), axis=-1)
    corners: Array = mean + grid @ directions[:2]
    return corners


def _draw_sheets(ax: Any, corners: Array, shape: Array) -> None:
    plane, surface = np.moveaxis(corners, -1, 0), np.moveaxis(shape, -1, 0)
    ax.plot_surface(*plane, color=RED, alpha=0.25, edgecolor=RED, ls="--", label="PCA")
    mesh: dict[str, Any] = {"lw": 0.6, "rcount": MOST_MESH, "ccount": MOST_MESH}
    ax.plot_wireframe(*surface, color=ink(ax), label="autoencoder", **mesh)


# ---- what they share ----------------------------------------------------------------------------


def _draw_data(ax: Any, rows: Array) -> None:
    size, alpha = dot(len(rows))
    scatter(ax, rows, "data", color=OTHER, s=size, alpha=alpha, lw=0)


def _finish(ax: Any) -> None:
    label_data_axes(ax)
    if ax.name == "3d":
        quieten_3d(ax)
        ax.legend(frameon=False, loc="upper left")
    else:
        ax.autoscale_view()
        ax.set_aspect("equal")
        quieten(ax)
        legend_above(ax)
