"""The vector field r(x) − x of a denoiser, and the density that it knows.

If x̃ = x + σ ε and r minimises the squared error of x given x̃, then r(x̃) = E[x | x̃], and

    (r(x) − x) / σ² = ∇ log p_σ(x) ,      p_σ = p ∗ N(0, σ² I)

exactly (Robbins, 1956; Miyasawa, 1961; Vincent, 2011): the *score* of the density of the noisy
rows. Penalising the reconstruction's Jacobian gives the same for small σ (Alain and Bengio,
2014). A density that is never computed can so be compared between points, by the work done along
any path between them:

    E(x) − E(x₀) = −∫ ∇ log p_σ · dx ,     E = −log p_σ

A network's field is only nearly a gradient, so two paths give nearly the same.

**Units.** All is in the user's. Where the columns have scales of their own, noise of one std in
column standard deviations is σ_j = std · s_j in column j, and the score (r_j − x_j) / σ_j².
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from isthmus._errors import InvalidDataError, InvalidParameterError, IsthmusWarning
from isthmus._registry import is_whole
from isthmus.analysis.learned import Learned, learned
from isthmus.corruptions import GaussianNoise
from isthmus.likelihoods import Gaussian
from isthmus.penalties import Contractive

Array = NDArray[Any]
NODES = 4
MOST_HALVINGS = 8
PATH_TOLERANCE = 1e-5
SAME_NOISE = 1e-3


def score_field(
    model: Any, X: ArrayLike, sigma: float | ArrayLike | None = None, verbose: int = 0
) -> Array:
    """∇ log p_σ(x) = (r(x) − x) / σ², the score of the rows with noise of std σ.

    It holds for a model that was trained with `GaussianNoise` of this σ and a likelihood whose
    best mean is the conditional mean, as a Gaussian's is (a Laplace's is the median).

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Points, rows as in ``fit``.
        sigma: σ in the user's units, one number or one for each column; None for that of the
            noise the model was trained with.
        verbose: Whether a bar is shown on a terminal.

    Returns:
        Array (n, d), nats per unit of each column.

    Raises:
        InvalidParameterError: A σ that is not positive, or none where the training had none.
        InvalidDataError: Points of another width, missing or infinite values.

    Warns:
        IsthmusWarning: The model was not trained with Gaussian noise of this σ.
    """
    known = learned(model, X)
    variance = known.tensor(noise_levels(known, sigma) ** 2)
    found: Array = known.over_rows(
        lambda x: (known.reconstruct(x) - x) / variance, known.cells, verbose
    )
    return found


@dataclass(frozen=True)
class VectorField:
    """Arrows on a grid.

    Attributes:
        points: The grid in the user's units, (m, 2), the first column varying fastest.
        arrows: r(x) − x at each of them, (m, 2).
    """

    points: Array
    arrows: Array


def vector_field(
    model: Any,
    low: float | Sequence[float],
    high: float | Sequence[float],
    n_per_axis: int = 20,
) -> VectorField:
    """r(x) − x on a grid: where a model of two columns moves points to.

    Args:
        model: A fitted estimator of two columns, or its ``model_``.
        low: The grid's lowest corner, a number for each column or one for both.
        high: Its highest corner.
        n_per_axis: Points along each axis.

    Raises:
        InvalidParameterError: Corners that are not in order, or fewer than two points per axis.
        InvalidDataError: A model of another width.
    """
    if not (is_whole(n_per_axis) and n_per_axis >= 2):
        raise InvalidParameterError(
            f"n_per_axis must be a whole number, 2 or more; got {n_per_axis!r}."
        )
    lowest, highest = _corner("low", low), _corner("high", high)
    if not (lowest < highest).all():
        raise InvalidParameterError(
            f"high must lie above low in both columns; got low={low!r} and high={high!r}."
        )
    axes = np.linspace(lowest, highest, n_per_axis)
    second, first = np.meshgrid(axes[:, 1], axes[:, 0], indexing="ij")
    points = np.column_stack([first.ravel(), second.ravel()])
    known = learned(getattr(model, "model_", model), points)
    arrows = known.over_rows(lambda x: known.reconstruct(x) - x, known.cells)
    return VectorField(points, arrows)


def energy_difference(
    model: Any, path: ArrayLike, sigma: float | ArrayLike | None = None
) -> Array:
    """E = −log p_σ along a path, relative to its first point.

    The path is followed in straight lines from point to point. Each is cut in halves until the
    integral (4 Gauss-Legendre nodes a piece) no longer changes.

    Args:
        model: A fitted estimator, or its ``model_``.
        path: Points (m, d) in order, m ≥ 2, rows as in ``fit``.
        sigma: As in `score_field`.

    Returns:
        Array (m,) in nats, the first one 0; a point with a lower energy has a higher density.

    Raises:
        InvalidDataError: A path of one point, of another width, missing or infinite values.
        InvalidParameterError: As in `score_field`.

    Warns:
        IsthmusWarning: As in `score_field`, or the integral still changes.
    """
    known = learned(model, path)
    if len(known.matrix) < 2:
        raise InvalidDataError(
            "A path needs two points or more, in order; got one. Energies are differences."
        )
    corners = known.matrix.rows(0, len(known.matrix), np.float64)
    lines = np.hstack([corners[:-1], np.diff(corners, axis=0)])
    sigmas = noise_levels(known, sigma)
    work = _work(known, lines, sigmas, 1)
    unsettled, change = np.arange(len(lines)), work
    for halvings in range(1, MOST_HALVINGS + 1):
        finer = _work(known, lines[unsettled], sigmas, 2**halvings)
        change = np.abs(finer - work[unsettled])
        work[unsettled] = finer
        unsettled = unsettled[change > PATH_TOLERANCE * (1 + np.abs(finer))]
        if not len(unsettled):
            break
    else:
        warnings.warn(
            f"The energy along the path still changes by {change.max():.2g} nats when the line "
            f"from point {unsettled[0]} is halved; give more points where the field bends.",
            IsthmusWarning,
            stacklevel=2,
        )
    return np.concatenate([[0.0], np.cumsum(work)])


def _work(known: Learned, lines: Array, sigmas: Array, n_pieces: int) -> Array:
    """−∫ score · dx along each line (m,), in pieces.

    Args:
        known: The model.
        lines: First point and whole step of each, side by side, (m, 2d).
        sigmas: σ_j, (d,).
        n_pieces: Equal parts of a line that have their own nodes.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    places = ((np.arange(n_pieces)[:, None] + (nodes + 1) / 2) / n_pieces).ravel()
    there = known.at(lines)
    along, weight = there.tensor(places), there.tensor(np.tile(weights / (2 * n_pieces), n_pieces))
    variance = there.tensor(sigmas**2)

    def of_lines(block: Tensor) -> Tensor:
        start, step = block.chunk(2, 1)
        points = (start.unsqueeze(1) + along.unsqueeze(1) * step.unsqueeze(1)).flatten(0, 1)
        score = (there.reconstruct(points) - points) / variance
        rates = (score.unflatten(0, (len(block), -1)) * step.unsqueeze(1)).sum(2)
        work: Tensor = -(rates @ weight)
        return work

    found: Array = there.over_rows(of_lines, len(places) * there.cells)
    return found


def _corner(name: str, given: float | Sequence[float]) -> Array:
    corner = np.asarray(given, np.float64)
    if corner.shape not in ((), (2,)) or not np.isfinite(corner).all():
        raise InvalidParameterError(
            f"{name} must be a finite number, or one for each of two columns; got {given!r}."
        )
    return np.broadcast_to(corner, (2,))


# ---- σ ------------------------------------------------------------------------------------------


def noise_levels(known: Learned, sigma: float | ArrayLike | None) -> Array:
    """σ_j in the user's units, (d,): as given, or those of the training.

    Raises:
        InvalidParameterError: σ is not positive, or unknown.

    Warns:
        IsthmusWarning: The training was another, with the condition under which r(x) − x is a
            score.
    """
    own = noise_std(known)
    if sigma is not None:
        given = _require_sigma(sigma, known.matrix.n_features)
        _warn_of_other_training(known, own, given)
        return given
    if own is None:
        raise InvalidParameterError(
            "The model was not trained with GaussianNoise, or only its model_ was given, so its σ "
            "is unknown: give sigma. " + _condition()
        )
    silent = np.flatnonzero(own == 0)
    if len(silent):
        raise InvalidParameterError(
            f"Column {known.matrix.name(int(silent[0]))} had no Gaussian noise in training, so "
            "its score is unknown. Give sigma, or train with GaussianNoise on columns of real "
            "numbers."
        )
    _warn_of_other_training(known, own, own)
    return own


def noise_std(known: Learned) -> Array | None:
    """σ_j of the Gaussian noise of the training in the user's units, (d,); None if unknown.

    Variances of several noises add. In a table only columns of real numbers have noise.
    """
    stds = [each.std for each in known.corruptions or () if isinstance(each, GaussianNoise)]
    if not any(stds):
        return None
    model, traits = known.model, known.model.likelihood.traits
    if traits.entry == "log1p":
        return None  # the noise was on log(1 + x), which is no noise of any σ on x
    std = math.hypot(*stds)
    scale = model.scale.cpu().numpy() if traits.scaling == "feature" else np.ones(len(model.scale))
    real = np.ones(len(scale)) if model.table is None else model.table.is_real.cpu().numpy()
    return np.asarray(std * scale * real, np.float64)


def _require_sigma(sigma: float | ArrayLike, n_features: int) -> Array:
    try:
        given = np.asarray(sigma, np.float64)
    except (TypeError, ValueError):
        given = np.zeros(())
    if given.shape not in ((), (n_features,)) or not (np.isfinite(given) & (given > 0)).all():
        raise InvalidParameterError(
            f"sigma must be a positive number, or one for each of the {n_features} columns; "
            f"got {sigma!r}."
        )
    return np.broadcast_to(given, (n_features,))


def _warn_of_other_training(known: Learned, own: Array | None, given: Array) -> None:
    if known.corruptions is None or _contracted(known, given):
        return  # of a model alone, nobody knows how it was trained
    others = [
        type(each).__name__ for each in known.corruptions if not isinstance(each, GaussianNoise)
    ]
    if own is None:
        what = "without Gaussian noise"
    elif not np.allclose(own, given, rtol=SAME_NOISE):
        what = f"with Gaussian noise of {_described(own)}, not {_described(given)}"
    elif others:
        what = f"with {', '.join(others)} besides Gaussian noise"
    else:
        return
    warnings.warn(f"The model was trained {what}. {_condition()}", IsthmusWarning, stacklevel=4)


def _contracted(known: Learned, sigmas: Array) -> bool:
    """Whether the training was contraction of r with the λ that stands for these σ."""
    objective, likelihood = known.objective, known.model.likelihood
    if objective is None or objective.corruptions:
        return False
    if not isinstance(likelihood, Gaussian) or isinstance(likelihood.scale, str):
        return False
    weights = [
        each.weight
        for each in objective.penalties
        if isinstance(each, Contractive) and each.of == "reconstruction"
    ]
    return np.allclose(2 * likelihood.scale**2 * sum(weights), sigmas**2, rtol=SAME_NOISE)


def _described(sigmas: Array) -> str:
    same = np.ptp(sigmas) == 0
    return f"σ = {sigmas[0]:.4g}" if same else f"σ = {sigmas.min():.4g} to {sigmas.max():.4g}"


def _condition() -> str:
    return (
        "(r(x) − x)/σ² is the score of the density only if r was trained to undo Gaussian noise "
        "of this σ; or, for small σ, with Contractive(λ, of='reconstruction') and Gaussian(s) "
        "where λ = σ²/(2s²)."
    )
