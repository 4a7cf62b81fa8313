"""Curves: learning, the trade-off of a penalty, singular spectra, energy along a path."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from scipy.stats import t

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.plots._arrays import Array, finite, same_length
from isthmus.plots._axes import axes, ink, legend_above, name_series, quieten
from isthmus.plots._styles import BLUE, ORANGE, next_series

if TYPE_CHECKING:
    from isthmus.training import Epoch

# a wider range than this is drawn on a scale of powers
MOST_LINEAR_RANGE = 30.0
# where the names of a curve's points stand: above one curve, beneath the next
NEAR: dict[str, Any] = {"fontsize": "small", "textcoords": "offset points"}
BESIDE: tuple[dict[str, Any], ...] = (
    {**NEAR, "xytext": (4, 4)},
    {**NEAR, "xytext": (-4, -4), "ha": "right", "va": "top"},
)
SLOPES = {
    "encoder": "singular value of ∂f/∂x (code units per data unit)",
    "reconstruction": "singular value of ∂r/∂x",
}


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
    ax = axes(ax)
    numbers = np.array([epoch.number for epoch in history])
    trained = _with_gaps([epoch.nll + epoch.kl for epoch in history])
    mark = "." if len(history) == 1 else ""
    ax.plot(numbers, trained, color=BLUE, linestyle="--", marker=mark, label="training")
    kept = [epoch for epoch in history if epoch.validation_nll is not None]
    if kept:
        held_out = _with_gaps([epoch.validation_nll for epoch in kept])
        known = [epoch.number for epoch in kept]
        ax.plot(known, held_out, color=ORANGE, marker=mark, label="held out")
        best = max((i for i, epoch in enumerate(kept) if epoch.best), default=None)
        if best is not None:
            ax.plot(known[best], held_out[best], "o", color=ORANGE, label="kept")
    ax.set_xlabel("epoch")
    ax.set_ylabel("nats per row")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    quieten(ax)
    ax.legend(frameon=False)
    return ax


def trade_off(
    penalties: ArrayLike,
    errors: ArrayLike,
    weights: ArrayLike,
    ax: Axes | None = None,
    *,
    label: str | None = None,
) -> Axes:
    """Reconstruction error against penalty, as the penalty's weight λ moves.

    Each point is one trained model, with its λ beside it. Of two curves, the lower left one buys
    the same contraction for less error. Call it again on the same axes for another curve.

    Args:
        penalties: Ω of each model without its weight, such as the mean of ‖∂f/∂x‖², (m,).
        errors: Reconstruction error of each model, (m,).
        weights: λ of each model, (m,), in any order.
        ax: Where to draw; a new figure if None.
        label: A name for the curve.

    Returns:
        The axes, with one line more, whose points are in the order of λ.

    Raises:
        InvalidDataError: Arrays of other shapes or unequal lengths, or a number that is not
            finite.
    """
    x, y = finite(penalties, "penalties", "(m,)", 1), finite(errors, "errors", "(m,)", 1)
    lambdas = finite(weights, "weights", "(m,)", 1)
    same_length("penalties", x, "errors", y)
    same_length("penalties", x, "weights", lambdas)
    order = np.argsort(lambdas, kind="stable")
    x, y, lambdas = x[order], y[order], lambdas[order]
    ax = axes(ax)
    place = BESIDE[len(ax.lines) % len(BESIDE)]
    next_series(ax, x, y, label)
    if _wide(x):
        ax.set_xscale("log")
    for number, each in enumerate(lambdas):
        text = f"λ = {each:g}" if number == 0 else f"{each:g}"
        ax.annotate(text, (x[number], y[number]), color=ink(ax), **place)
    ax.margins(0.1)
    ax.set_xlabel(ax.get_xlabel() or "penalty Ω without its weight")
    ax.set_ylabel(ax.get_ylabel() or "reconstruction error")
    quieten(ax)
    name_series(ax, label)
    return ax


def spectrum(
    singular_values: ArrayLike,
    ax: Axes | None = None,
    *,
    of: str = "encoder",
    label: str | None = None,
    quantiles: tuple[float, float] = (0.05, 0.95),
) -> Axes:
    """The singular values of a Jacobian: their median over rows, in a band of quantiles.

    A manifold of k dimensions shows as k values that stay large and a fall after them
    (Rifai et al., 2011). Call it again on the same axes for another model.

    Args:
        singular_values: Of each row, (n, k), from the largest to the smallest.
        ax: Where to draw; a new figure if None.
        of: ``"encoder"`` or ``"reconstruction"``: whose Jacobian it is, for the axis.
        label: A name for the curve.
        quantiles: Over rows, where the band begins and ends.

    Returns:
        The axes, with one line and one band more; powers of ten where the range is wide.

    Raises:
        InvalidDataError: Not (n, k), not finite, negative, or not in order.
        InvalidParameterError: Quantiles that don't rise within [0, 1], or another ``of``.
    """
    low, high = quantiles
    if not 0 <= low <= high <= 1:
        raise InvalidParameterError(f"quantiles must rise within [0, 1]; got {quantiles!r}.")
    if of not in SLOPES:
        raise InvalidParameterError(f"of must be 'encoder' or 'reconstruction'; got {of!r}.")
    values = _spectra(singular_values)
    bottom, middle, top = np.quantile(values, (low, 0.5, high), axis=0)
    numbers = np.arange(1, values.shape[1] + 1)
    ax = axes(ax)
    line = next_series(ax, numbers, middle, label)
    if _wide(middle):
        ax.set_yscale("log")
    if ax.get_yscale() == "log":
        bottom = np.maximum(bottom, middle[middle > 0].min() * 1e-2)
    color = line.get_color()
    ax.fill_between(numbers, bottom, top, facecolor=color, alpha=0.2, edgecolor=color, lw=0.6)
    ax.set_xlabel("number of the singular value")
    ax.set_ylabel(SLOPES[of])
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    quieten(ax)
    name_series(ax, label)
    return ax


def label_efficiency(
    sizes: ArrayLike,
    scores: ArrayLike,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    level: float = 0.95,
) -> Axes:
    """Accuracy against the number of labels: the mean over seeds, with its interval.

    Call it again on the same axes for another estimator; of two curves, the upper one needs fewer
    labels for the same accuracy. The interval is Student's t over the seeds.

    Args:
        sizes: Numbers of labels, (m,).
        scores: Of each size and seed, (m, s); as in `isthmus.analysis.LabelEfficiency`.
        ax: Where to draw; a new figure if None.
        label: A name for the curve.
        level: The probability of each interval. One seed has none.

    Returns:
        The axes, with one line more and, for two seeds or more, one band; labels on a scale of
        powers.

    Raises:
        InvalidDataError: Other shapes, sizes below 1, or a number that is not finite.
        InvalidParameterError: A level outside (0, 1).
    """
    if not 0 < level < 1:
        raise InvalidParameterError(f"level must lie between 0 and 1; got {level!r}.")
    x, y = finite(sizes, "sizes", "(m,)", 1), finite(scores, "scores", "(m, s)", 2)
    same_length("sizes", x, "scores", y)
    if x.min() < 1:
        raise InvalidDataError(f"sizes must be 1 or more; got {x.min():g}.")
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    ax = axes(ax)
    line = next_series(ax, x, y.mean(1), label)
    n_seeds = y.shape[1]
    if n_seeds > 1:
        half = t.ppf((1 + level) / 2, n_seeds - 1) * y.std(1, ddof=1) / np.sqrt(n_seeds)
        low, high = y.mean(1) - half, y.mean(1) + half
        color = line.get_color()
        ax.fill_between(x, low, high, facecolor=color, alpha=0.2, edgecolor=color, lw=0.6)
    ax.set_xscale("log")
    ax.set_xlabel(ax.get_xlabel() or "labels")
    ax.set_ylabel(ax.get_ylabel() or "accuracy")
    quieten(ax)
    name_series(ax, label)
    return ax


def energy_profile(
    energy: ArrayLike,
    ax: Axes | None = None,
    *,
    path: ArrayLike | None = None,
    label: str | None = None,
) -> Axes:
    """Energy along a path, −log p up to a constant: valleys are where data are.

    Call it again on the same axes for another path.

    Args:
        energy: At each point of the path, relative to any of them, in nats, (m,).
        ax: Where to draw; a new figure if None.
        path: The points, (m, d): the axis is then the way along them in data units, else the
            share of the points passed.
        label: A name for the curve.

    Returns:
        The axes, with one line more.

    Raises:
        InvalidDataError: Fewer than two points, other shapes, or a number that is not finite.
    """
    heights = finite(energy, "energy", "(m,)", 1)
    if len(heights) < 2:
        raise InvalidDataError("A path has two points or more; energy has 1.")
    if path is None:
        along, name = np.linspace(0, 1, len(heights)), "share of the path"
    else:
        route = finite(path, "path", "(m, d)", 2)
        same_length("energy", heights, "path", route)
        steps = np.linalg.norm(np.diff(route, axis=0), axis=1)
        along, name = np.append(0.0, np.cumsum(steps)), "way along the path (data units)"
    ax = axes(ax)
    line = next_series(ax, along, heights, label)
    line.set_markevery(max(1, len(heights) // 12))
    ax.set_xlabel(name)
    ax.set_ylabel("energy, −log p + constant (nats)")
    quieten(ax)
    legend_above(ax)
    return ax


# ---- what they share ----------------------------------------------------------------------------


def _with_gaps(values: Sequence[float | None]) -> Array:
    """An epoch without a number is a gap in the line."""
    array = np.array(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def _wide(values: Array) -> bool:
    """Whether numbers are positive and of several orders of magnitude."""
    return bool(values.min() > 0 and values.max() > MOST_LINEAR_RANGE * values.min())


def _spectra(singular_values: ArrayLike) -> Array:
    values = finite(singular_values, "singular_values", "(n, k)", 2)
    wrong = (values < 0).any(1) | (np.diff(values, axis=1) > 1e-6 * values[:, :1]).any(1)
    if wrong.any():
        raise InvalidDataError(
            f"Row {int(wrong.argmax())} of singular_values is negative or not in falling order."
        )
    return values
