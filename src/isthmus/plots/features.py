"""How much each feature moves the code: bars, or an image for rows that are images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.plots._arrays import Array, finite
from isthmus.plots._axes import axes, quieten
from isthmus.plots._styles import BLUE

LABEL = "sensitivity ‖∂f/∂xⱼ‖ (code units per data unit)"


def sensitivity(
    values: Any,
    ax: Axes | None = None,
    *,
    names: Sequence[str] | None = None,
    most: int = 20,
    label: str = LABEL,
) -> Axes:
    """One number for each feature, of those that matter most, or as an image.

    Args:
        values: Such as ``sensitivity(model, X).features`` of `isthmus.analysis`, or what that
            gives as a whole, (d,); in the shape of the image, (H, W), for rows that are images.
        ax: Where to draw; a new figure if None.
        names: A name for each feature; ``x1``, ``x2``, … if None.
        most: How many features get a bar at most.
        label: What the numbers are, with their unit.

    Returns:
        The axes: horizontal bars from the largest value on top, or an image with a bar of colours
        that are ordered by brightness.

    Raises:
        InvalidDataError: Another shape, a negative number or one that is not finite, or not one
            name for each feature.
        InvalidParameterError: ``most`` is not positive.
    """
    given = np.asarray(getattr(values, "features", values))
    array = finite(given, "values", "(d,) or (H, W)", 2 if given.ndim == 2 else 1)
    if (array < 0).any():
        raise InvalidDataError(f"A sensitivity is 0 or more; got {array.min():g}.")
    if most < 1:
        raise InvalidParameterError(f"most must be 1 or more; got {most!r}.")
    ax = axes(ax)
    if array.ndim == 2:
        return _image(ax, array, label)
    names = [f"x{j + 1}" for j in range(len(array))] if names is None else list(names)
    if len(names) != len(array):
        raise InvalidDataError(f"There are {len(names)} names for {len(array)} features.")
    order = np.argsort(-array, kind="stable")[:most]
    places = np.arange(len(order))
    ax.barh(places, array[order], color=BLUE, height=0.7)
    ax.set_yticks(places, [names[j] for j in order])
    ax.invert_yaxis()
    ax.set_xlabel(label)
    if len(order) < len(array):
        ax.set_ylabel(f"the {len(order)} largest of {len(array)} features")
    quieten(ax)
    ax.tick_params(axis="y", length=0)
    return ax


def _image(ax: Axes, array: Array, label: str) -> Axes:
    shown = ax.imshow(array, cmap="viridis", vmin=0, interpolation="none")
    ax.set_xlabel("pixel, from the left")
    ax.set_ylabel("pixel, from the top")
    bar = ax.figure.colorbar(shown, ax=ax, label=label)
    bar.outline.set_visible(False)
    ax.spines[:].set_visible(False)
    return ax
