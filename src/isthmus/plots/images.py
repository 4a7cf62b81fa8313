"""Rows that are images, side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.plots._axes import axes


def images(
    rows: ArrayLike,
    ax: Axes | None = None,
    *,
    n_columns: int | None = None,
    row_names: Sequence[str] | None = None,
    limits: tuple[float, float] | None = None,
    cmap: str = "gray",
) -> Axes:
    """Images side by side, from left to right and from top to bottom.

    Args:
        rows: (n, H, W), or (n, H, W, C) with 1, 3 or 4 channels.
        ax: Where to draw; a new figure if None.
        n_columns: Images in one line; about as many as there are lines if None.
        row_names: A name for each line, written on its left.
        limits: The values shown as the darkest and the lightest; what lies outside is shown as
            these. If None, 0 and 255 for uint8, else the lowest and the highest value.
        cmap: Matplotlib's name of the colours for one channel: ``"gray"`` shows high values
            light, ``"gray_r"`` dark.

    Returns:
        The axes, with all images as one picture: line i, column j begins at pixel
        (i (H + g), j (W + g)), where g = max(1, H // 8) is the gap.

    Raises:
        InvalidDataError: Rows that are no images, none, or NaN in them.
        InvalidParameterError: No columns, or not one name per line.
    """
    tiles = tiles_of(rows)
    n = len(tiles)
    width = n_columns if n_columns is not None else int(np.ceil(np.sqrt(n)))
    if width < 1:
        raise InvalidParameterError(f"n_columns must be 1 or more; got {n_columns!r}.")
    n_lines = -(-n // width)
    if row_names is not None and len(row_names) != n_lines:
        raise InvalidParameterError(
            f"row_names has {len(row_names)} names for {n_lines} lines of images; "
            "give one for each line."
        )
    ax = axes(ax)
    show_tiles(ax, tiles, (n_lines, width), np.arange(n), limits, cmap)
    ax.set_xticks([])
    ax.set_yticks([])
    if row_names is not None:
        height = tiles.shape[1]
        middles = np.arange(n_lines) * (height + gap_of(tiles)) + (height - 1) / 2
        ax.set_yticks(middles, row_names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


# ---- tiles, for maps too ------------------------------------------------------------------------


def tiles_of(rows: ArrayLike) -> NDArray[Any]:
    """Rows as images (n, H, W) or (n, H, W, 3 or 4), finite."""
    tiles = np.asarray(rows)
    if tiles.ndim == 4 and tiles.shape[3] == 1:
        tiles = tiles[..., 0]
    if tiles.size == 0 or not (tiles.ndim == 3 or (tiles.ndim == 4 and tiles.shape[3] in (3, 4))):
        raise InvalidDataError(
            "images needs rows of shape (n, H, W), or (n, H, W, C) with 1, 3 or 4 channels; got "
            f"{np.shape(rows)}. Rows that were laid flat can be reshaped."
        )
    bad = ~np.isfinite(tiles).reshape(len(tiles), -1).all(1)
    if bad.any():
        raise InvalidDataError(f"Image {int(bad.argmax())} has a value that is not finite.")
    return tiles


def gap_of(tiles: NDArray[Any]) -> int:
    """Pixels between two images."""
    return max(1, int(tiles.shape[1]) // 8)


def show_tiles(
    ax: Axes,
    tiles: NDArray[Any],
    grid: tuple[int, int],
    cells: NDArray[np.intp],
    limits: tuple[float, float] | None,
    cmap: str,
) -> AxesImage:
    """Draw images as one picture; what is between them lets the ground through.

    Args:
        ax: Where to draw.
        tiles: From `tiles_of`.
        grid: Lines and columns of cells.
        cells: The cell of each tile, counted line by line.
        limits: The values shown as the darkest and the lightest, or None.
        cmap: The colours of one channel.
    """
    low, high = limits if limits is not None else _range(tiles)
    if not low < high:
        high = low + 1
    picture = _mosaic(np.clip(tiles.astype(np.float64), low, high), grid, cells)
    if tiles.ndim == 3:
        return ax.imshow(picture, cmap=cmap, vmin=low, vmax=high, interpolation="none")
    return ax.imshow(_transparent((picture - low) / (high - low)), interpolation="none")


def _range(tiles: NDArray[Any]) -> tuple[float, float]:
    return (0.0, 255.0) if tiles.dtype == np.uint8 else (float(tiles.min()), float(tiles.max()))


def _mosaic(
    tiles: NDArray[np.float64], grid: tuple[int, int], cells: NDArray[np.intp]
) -> np.ma.MaskedArray[Any, Any]:
    """All images in one, with gaps that are masked."""
    gap, (height, width), (n_lines, n_columns) = gap_of(tiles), tiles.shape[1:3], grid
    shape = (n_lines * (height + gap) - gap, n_columns * (width + gap) - gap, *tiles.shape[3:])
    mosaic: np.ma.MaskedArray[Any, Any] = np.ma.MaskedArray(np.zeros(shape), mask=True)
    for cell, tile in zip(cells, tiles, strict=True):
        top, left = (cell // n_columns) * (height + gap), (cell % n_columns) * (width + gap)
        mosaic[top : top + height, left : left + width] = tile
    return mosaic


def _transparent(picture: np.ma.MaskedArray[Any, Any]) -> NDArray[np.float64]:
    """Colours as RGBA, where the gaps let the background through."""
    opaque = (~np.ma.getmaskarray(picture)[..., :1]).astype(np.float64)
    colors = picture.filled(0.0)
    alpha = opaque * colors[..., 3:] if colors.shape[-1] == 4 else opaque
    return np.concatenate([colors[..., :3], alpha], axis=-1)
