"""Pictures of training, codes and rows, drawn on matplotlib's axes.

Every function takes arrays or records and an `Axes`, draws on it and returns it. Without one it
makes a figure of its own, which is then ``ax.figure``:

    plots.code_map(codes, labels).figure.savefig("map.png")

Nothing goes through pyplot: no window opens, no backend is chosen, and no figure stays in memory
after its last reference. The user's own matplotlib settings hold.

| function | shows |
|---|---|
| `learning_curves` | nll by epoch, of the training and of the held-out rows |
| `code_map` | codes of two units, coloured by label |
| `images` | rows that are images, side by side |
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError

if TYPE_CHECKING:
    from isthmus.training import Epoch

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
MOST_CATEGORIES = 20
NAMES = ("legend", "centre", "none")


def learning_curves(history: Sequence["Epoch"], ax: Axes | None = None) -> Axes:
    """The nll of each epoch, in training and on held-out rows.

    The training curve is −log p(x | h) + KL as it was while the weights moved, under corruption
    and noise, without penalties; the held-out curve is the negative score of rows that were not
    trained on. A dot marks the epoch whose weights were kept.

    Args:
        history: Records as in ``Autoencoder.history_``, one per epoch.
        ax: Where to draw; a new figure if None.

    Returns:
        The axes: nats per row against the number of the epoch.

    Raises:
        InvalidDataError: There are no epochs.
    """
    if not history:
        raise InvalidDataError("There are no epochs to draw; give the history_ of a fitted model.")
    ax = _axes(ax)
    numbers = np.array([epoch.number for epoch in history])
    trained = _finite([epoch.nll + epoch.kl for epoch in history])
    dot = "." if len(history) == 1 else ""
    ax.plot(numbers, trained, color=COLORS[0], marker=dot, label="training")
    kept = [epoch for epoch in history if epoch.validation_nll is not None]
    if kept:
        held_out = _finite([epoch.validation_nll for epoch in kept])
        known = [epoch.number for epoch in kept]
        ax.plot(known, held_out, color=COLORS[6], marker=dot, label="held out")
        best = max((i for i, epoch in enumerate(kept) if epoch.best), default=None)
        if best is not None:
            ax.plot(known[best], held_out[best], "o", color=COLORS[6], label="kept")
    ax.set_xlabel("epoch")
    ax.set_ylabel("nats per row")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    _quieten(ax)
    ax.legend(frameon=False)
    return ax


def code_map(
    codes: ArrayLike,
    labels: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    names: str = "legend",
) -> Axes:
    """A map of codes of two units: one dot for each row.

    Dots shrink and grow transparent as their number rises, and are drawn in a random (fixed)
    order, so that no label hides the others. Beyond some thousands they are pixels even in a
    vector file: a million rows make a small one.

    Words, booleans and whole numbers of at most 20 different values are categories: the ten most
    frequent have colours that colour-blind readers can tell apart, the rest is grey. Other
    numbers are a scale with a bar of colours; where one is NaN, the dot is grey.

    Args:
        codes: (n, 2).
        labels: (n,); None for dots of one colour.
        ax: Where to draw; a new figure if None.
        names: Where the categories' names stand: ``"legend"``, ``"centre"`` for the median of
            each one's dots, or ``"none"``.

    Returns:
        The axes, with the dots as their first collection, in their random order.

    Raises:
        InvalidDataError: Not two columns, not one label per row, or a code that is not finite.
        InvalidParameterError: An unknown place for the names.
    """
    if names not in NAMES:
        raise InvalidParameterError(f"names must be one of {', '.join(NAMES)}; got {names!r}.")
    points = _points(codes)
    order = np.random.default_rng(0).permutation(len(points))
    ax = _axes(ax)
    size, alpha = _dot(len(points))
    style: dict[str, Any] = {
        "s": size,
        "alpha": alpha,
        "linewidths": 0,
        "rasterized": len(points) > MOST_VECTOR_POINTS,
    }
    x, y = points[order].T
    if labels is None:
        ax.scatter(x, y, color=COLORS[0], **style)
    else:
        values = _labels(labels, len(points))
        if values.dtype.kind in "iuf" and not _categorical(values):
            _draw_scale(ax, points[order], values[order], style)
        else:
            kinds, index = _categories(values)
            colors = ListedColormap([*COLORS[: len(kinds)], OTHER])
            style |= {"cmap": colors, "vmin": -0.5, "vmax": len(kinds) + 0.5}
            ax.scatter(x, y, c=index[order], **style)
            _name(ax, points, kinds, index, names)
    ax.set_xlabel("unit 1")
    ax.set_ylabel("unit 2")
    _quieten(ax)
    return ax


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
    tiles = _tiles(rows)
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
    low, high = limits if limits is not None else _range(tiles)
    if not low < high:
        high = low + 1
    picture = _mosaic(np.clip(tiles.astype(np.float64), low, high), width)
    ax = _axes(ax)
    gap = _gap(tiles)
    if tiles.ndim == 3:
        ax.imshow(picture, cmap=cmap, vmin=low, vmax=high, interpolation="none")
    else:
        ax.imshow(_transparent((picture - low) / (high - low)), interpolation="none")
    ax.set_xticks([])
    ax.set_yticks([])
    if row_names is not None:
        height = tiles.shape[1]
        middles = np.arange(n_lines) * (height + gap) + (height - 1) / 2
        ax.set_yticks(middles, row_names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


# ---- what they share ----------------------------------------------------------------------------


def _axes(ax: Axes | None) -> Axes:
    return Figure(layout="constrained").add_subplot() if ax is None else ax


def _quieten(ax: Axes) -> None:
    """The data should be what is seen first."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#808080")
    ax.tick_params(color="#808080")


def _finite(values: Sequence[float | None]) -> NDArray[np.float64]:
    """An epoch without a number is a gap in the line."""
    array = np.array(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


# ---- maps ---------------------------------------------------------------------------------------


def _points(codes: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(codes, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InvalidDataError(
            f"A map needs codes of shape (n, 2); got {points.shape}. Take two of the columns, "
            "such as codes[:, :2], or fit a model with n_components=2."
        )
    bad = ~np.isfinite(points).all(1)
    if bad.any():
        raise InvalidDataError(
            f"The code of row {int(bad.argmax())} is not finite; leave such rows out."
        )
    return points


def _labels(labels: ArrayLike, n: int) -> NDArray[Any]:
    values = np.asarray(labels)
    if values.shape != (n,):
        raise InvalidDataError(
            f"labels must have shape ({n},), one for each code; got {values.shape}."
        )
    return values


def _categorical(values: NDArray[Any]) -> bool:
    """Whether numbers are names of classes, which files often hold as floats."""
    return bool((values == np.round(values)).all()) and len(np.unique(values)) <= MOST_CATEGORIES


def _dot(n: int) -> tuple[float, float]:
    """Area in square points and opacity of a dot, when there are n of them."""
    return float(np.clip(200 / np.sqrt(n), 0.5, 16)), float(np.clip(60 / np.sqrt(n), 0.1, 0.85))


def _categories(values: NDArray[Any]) -> tuple[list[str], NDArray[np.intp]]:
    """The names that get a colour, in order, and the number of each row's; the rest comes last."""
    kinds, index, counts = np.unique(
        values.astype(str) if values.dtype == object else values,
        return_inverse=True,
        return_counts=True,
    )
    if values.dtype.kind == "f":
        kinds = kinds.astype(int)
    frequent = np.sort(np.argsort(-counts, kind="stable")[: len(COLORS)])
    place = np.full(len(kinds), len(frequent))
    place[frequent] = np.arange(len(frequent))
    return [str(kind) for kind in kinds[frequent]], place[index]


def _name(
    ax: Axes, points: NDArray[np.float64], kinds: list[str], index: NDArray[np.intp], names: str
) -> None:
    if names == "centre":
        for number, kind in enumerate(kinds):
            x, y = np.median(points[index == number], axis=0)
            ax.annotate(kind, (x, y), ha="center", va="center", weight="bold", bbox=_HALO)
    elif names == "legend":
        colors = [*COLORS[: len(kinds)], *([OTHER] if (index == len(kinds)).any() else [])]
        texts = [*kinds, "other"][: len(colors)]
        dots = [Line2D([], [], ls="", marker="o", ms=5, color=color) for color in colors]
        ax.legend(dots, texts, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


_HALO = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.75}


def _draw_scale(
    ax: Axes, points: NDArray[np.float64], values: NDArray[Any], style: dict[str, Any]
) -> None:
    known = np.isfinite(values)
    x, y = points.T
    dots = ax.scatter(x[known], y[known], c=values[known], cmap="viridis", **style)
    if not known.all():
        ax.scatter(x[~known], y[~known], color=OTHER, **style)
    bar = ax.figure.colorbar(dots, ax=ax)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    bar.outline.set_visible(False)


# ---- images -------------------------------------------------------------------------------------


def _tiles(rows: ArrayLike) -> NDArray[Any]:
    """(n, H, W) or (n, H, W, 3 or 4), finite."""
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


def _range(tiles: NDArray[Any]) -> tuple[float, float]:
    return (0.0, 255.0) if tiles.dtype == np.uint8 else (float(tiles.min()), float(tiles.max()))


def _gap(tiles: NDArray[Any]) -> int:
    return max(1, int(tiles.shape[1]) // 8)


def _mosaic(tiles: NDArray[np.float64], n_columns: int) -> np.ma.MaskedArray[Any, Any]:
    """All images in one, with gaps that are masked."""
    gap, (n, height, width) = _gap(tiles), tiles.shape[:3]
    n_lines = -(-n // n_columns)
    shape = (n_lines * (height + gap) - gap, n_columns * (width + gap) - gap, *tiles.shape[3:])
    mosaic: np.ma.MaskedArray[Any, Any] = np.ma.MaskedArray(np.zeros(shape), mask=True)
    for i, tile in enumerate(tiles):
        top, left = (i // n_columns) * (height + gap), (i % n_columns) * (width + gap)
        mosaic[top : top + height, left : left + width] = tile
    return mosaic


def _transparent(picture: np.ma.MaskedArray[Any, Any]) -> NDArray[np.float64]:
    """Colours as RGBA, where the gaps let the background through."""
    opaque = (~np.ma.getmaskarray(picture)[..., :1]).astype(np.float64)
    colors = picture.filled(0.0)
    alpha = opaque * colors[..., 3:] if colors.shape[-1] == 4 else opaque
    return np.concatenate([colors[..., :3], alpha], axis=-1)
