"""What the code answers to: which columns move it, and which units answer at all.

    ‖∂f/∂x_j‖   how far the code moves for a unit step in column j,
    ‖∂h_i/∂x‖   how far unit i moves for a unit step in the direction that it likes best,

both averaged over rows. Columns in different units are compared by a step of one standard
deviation, s_j ‖∂f/∂x_j‖. A code's own units can be rescaled by the decoder, so figures for units
compare the units of one model, and not two models.

A sigmoid *saturates* where its slope is next to nothing: below 0.05 and above 0.95, as Rifai et
al. (2011) count. There its slope is 19 % of the steepest or less, and so it is said of any other
activation. A unit is *dead* where it is the same for all rows, or has no slope at any.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from isthmus.activations import Activation, activation
from isthmus.analysis.jacobians import differential
from isthmus.analysis.learned import Learned, learned
from isthmus.data import Matrix

Array = NDArray[Any]
# s′ / max s′ = 4 · 0.05 · 0.95 where a sigmoid is at 0.05 or 0.95
SATURATED = 0.19
DEAD = 1e-3


@dataclass(frozen=True)
class Sensitivity:
    """Averages over rows.

    Attributes:
        features: ‖∂f/∂x_j‖ in code units per unit of the column, (d,).
        scaled_features: The same per standard deviation of the column over the rows, (d,).
        units: ‖∂h_i/∂x‖ with x in column standard deviations, (k,).
        contraction: ‖∂f/∂x‖_F in the user's units.
        saturation: The share of rows at which each unit is saturated, (k,).
        spreads: The standard deviation of each unit over the rows, (k,).
        dead: Which units spread less than a thousandth of the widest one, or have less than a
            thousandth of its slope at every row, (k,).
    """

    features: Array
    scaled_features: Array
    units: Array
    contraction: float
    saturation: Array
    spreads: Array
    dead: NDArray[np.bool_]


@dataclass
class _Sums:
    """What is summed over rows; in float64."""

    features: Array
    units: Array
    saturated: Array
    steepest: Array
    codes: Array
    squares: Array

    @classmethod
    def of(cls, k: int, d: int) -> "_Sums":
        return cls(np.zeros(d), *(np.zeros(k) for _ in range(5)))


def sensitivity(model: Any, X: ArrayLike, verbose: int = 0) -> Sensitivity:
    """How the code answers to the columns, over the rows given.

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Points, rows as in ``fit``.
        verbose: Whether a bar is shown on a terminal.

    Raises:
        InvalidDataError: Points of another width, missing or infinite values.
    """
    known = learned(model, X)
    n, d, k = len(known.matrix), known.matrix.n_features, known.model.shape.n_components
    stds = _stds(known.matrix)
    sums, scale, first = _Sums.of(k, d), known.tensor(stds), _first_codes(known)

    def add(x: Tensor) -> Tensor:
        slopes = differential(known, x, "encoder").matrix()
        units = (slopes * scale).norm(dim=2)
        sums.features += _total(slopes.norm(dim=1))
        sums.units += _total(units)
        np.maximum(sums.steepest, units.amax(0).double().cpu().numpy(), out=sums.steepest)
        sums.saturated += _total(_saturated(known, x))
        # from a first code, so that a large mean takes no digits from the variance
        codes = known.encode(x).double() - first
        sums.codes += _total(codes)
        sums.squares += _total(codes.square())
        norm: Tensor = slopes.flatten(1).norm(dim=1)
        return norm

    norms = known.over_rows(add, 3 * k * d, verbose)
    spreads = np.sqrt(np.maximum(sums.squares / n - (sums.codes / n) ** 2, 0))
    features = sums.features / n
    return Sensitivity(
        features=features,
        scaled_features=features * stds,
        units=sums.units / n,
        contraction=float(np.mean(norms, dtype=np.float64)),
        saturation=sums.saturated / n,
        spreads=spreads,
        dead=_few(spreads) | _few(sums.steepest),
    )


def _total(values: Tensor) -> Array:
    return np.asarray(values.double().sum(0).cpu().numpy())


def _few(values: Array) -> NDArray[np.bool_]:
    """Which are next to nothing beside the largest; all, if that is 0."""
    return np.asarray(values <= DEAD * values.max())


@torch.no_grad()
def _first_codes(known: Learned) -> Tensor:
    row = known.tensor(known.matrix.rows(0, 1, np.float64))
    return known.encode(row).double()


def _saturated(known: Learned, x: Tensor) -> Tensor:
    """Where a unit's slope is small beside its activation's steepest, (m, k)."""
    model = known.model
    act = activation(model.encoder.mean_activation)
    a = model.encode(model.enter(model.scaled(x)))[:, : model.shape.n_components]
    return act.derivative(a).abs() <= SATURATED * _steepest(act)


def _steepest(act: Activation) -> float:
    """The largest slope of an activation, which all have between −5 and 5."""
    return float(act.derivative(torch.linspace(-5, 5, 1001)).abs().max())


def _stds(matrix: Matrix) -> Array:
    """The standard deviation of each column, (d,), in one pass."""
    first = matrix.rows(0, 1, np.float64)[0]
    total, squares = np.zeros_like(first), np.zeros_like(first)
    for _, block in matrix.blocks(np.float64):
        block -= first
        total += block.sum(0)
        squares += np.square(block).sum(0)
    n = len(matrix)
    return np.asarray(np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0)))
