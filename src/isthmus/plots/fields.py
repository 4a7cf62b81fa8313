"""What a denoiser does in the plane: the arrows g(f(x)) − x among the data."""

from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real
from isthmus.plots._arrays import Array, points, same_length
from isthmus.plots._axes import GREY, axes, ink, label_data_axes, legend_above, quieten
from isthmus.plots._styles import BLUE, COLORS, dot, scatter

# beyond this many spacings of the grid an arrow would run into the next ones
MOST_SPACINGS = 1.4


class Field(Protocol):
    """What `isthmus.analysis.vector_field` gives."""

    @property
    def points(self) -> Any:
        """Where the arrows begin, (m, 2)."""

    @property
    def arrows(self) -> Any:
        """r(x) − x at each of them, (m, 2)."""


def denoising_field(
    field: Field,
    ax: Axes | None = None,
    *,
    training: ArrayLike | None = None,
    corrupted: ArrayLike | None = None,
    manifold: ArrayLike | None = None,
    scale: float | None = None,
) -> Axes:
    """Arrows from points to their reconstructions, g(f(x)) − x, with the data beneath.

    For a denoising autoencoder they estimate σ² times the gradient of the log-density (Alain and
    Bengio, 2014): they lead to the manifold and vanish on it, and also half-way between two parts
    of it.

    Args:
        field: Points and arrows, (m, 2) each, as of `isthmus.analysis.vector_field`.
        ax: Where to draw; a new figure if None.
        training: Rows that the model was trained on, (n, 2).
        corrupted: Corrupted rows, (n, 2); a thin line joins each with its training row if there
            are as many.
        manifold: The curve that data lie on, in its order, (n, 2).
        scale: Length of the drawn arrows in units of their true length; chosen so that they don't
            run into each other if None, and written beside their name if it isn't 1.

    Returns:
        The axes, with equal units on both sides; the arrows are the last collection.

    Raises:
        InvalidDataError: Points or arrows of another shape, or not finite.
        InvalidParameterError: A scale that is not positive.
    """
    if scale is not None and not (is_real(scale) and 0 < scale < np.inf):
        raise InvalidParameterError(f"scale must be a positive number or None; got {scale!r}.")
    start, arrows = points(field.points, "field.points"), points(field.arrows, "field.arrows")
    same_length("field.points", start, "field.arrows", arrows)
    rows = None if training is None else points(training, "training")
    noisy = None if corrupted is None else points(corrupted, "corrupted")
    ax = axes(ax)
    if manifold is not None:
        curve = points(manifold, "manifold")
        ax.plot(
            *curve.T, color=COLORS[1], alpha=0.6, lw=5, solid_capstyle="round", label="manifold"
        )
    _draw_rows(ax, rows, noisy)
    factor = _fitting(start, arrows) if scale is None else scale
    ax.quiver(
        *start.T, *(factor * arrows).T, angles="xy", scale_units="xy", scale=1,
        color=ink(ax), width=0.0028, headwidth=4.5, zorder=4,
    )  # fmt: skip
    name = "g(f(x)) − x" if factor == 1 else f"g(f(x)) − x, × {factor:.2g}"
    ax.plot([], [], color=ink(ax), marker=r"$\rightarrow$", ls="", ms=11, label=name)
    ax.update_datalim(start)
    ax.autoscale_view()
    ax.set_aspect("equal")
    label_data_axes(ax)
    quieten(ax)
    legend_above(ax)
    return ax


def _draw_rows(ax: Axes, rows: Array | None, noisy: Array | None) -> None:
    """Training rows as dots, corrupted ones as crosses, and what became of which."""
    if rows is not None:
        size, alpha = dot(len(rows))
        scatter(ax, rows, "training", color=BLUE, s=size, alpha=alpha, lw=0, zorder=3)
    if noisy is None:
        return
    if rows is not None and len(rows) == len(noisy):
        joined = np.full((len(rows), 3, 2), np.nan)
        joined[:, 0], joined[:, 1] = rows, noisy
        ax.plot(*joined.reshape(-1, 2).T, color=GREY, lw=0.5, ls=":")
    scatter(ax, noisy, "corrupted", color=GREY, s=2 * dot(len(noisy))[0], marker="x", lw=0.7)


def _fitting(start: Array, arrows: Array) -> float:
    """The largest factor, 1 at most, that keeps most arrows out of each other's way."""
    area = float(np.prod(np.ptp(start, axis=0)))
    long = float(np.quantile(np.linalg.norm(arrows, axis=1), 0.85))
    if area == 0 or long == 0:
        return 1.0
    return min(1.0, MOST_SPACINGS * float(np.sqrt(area / len(start))) / long)
