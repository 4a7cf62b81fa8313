"""The manifold that a model has learned: its tangents, its dimension, and walks along it.

For noise of variance σ² on the rows, the best reconstruction is r(x) = E[x' | x], and

    ∂r/∂x = Cov[x' | x] / σ²

so an eigenvalue λ of the Jacobian is what is left of the noise in a direction. Where the rows
vary by s² in that direction, λ = s² / (s² + σ²): near 1 along the manifold, near 0 across it. A
direction belongs to the manifold where the rows vary by more than the noise, λ > ½: that is the
rule of `local_dimension`. A penalised r has the same eigenvalues for small σ (Alain and Bengio,
2014), and one without noise is a projection, whose eigenvalues are 1 and 0. Eigenvalues do not
depend on the columns' units, singular values do; and as r = g∘f, those that are not 0 are the
eigenvalues of the small matrix ∂f/∂x · ∂g/∂h, k × k.

The *tangents* themselves are singular vectors: left ones of ∂r/∂x, the directions in which the
reconstruction moves most; or, where the encoder contracts, right ones of ∂f/∂x, the directions in
x that move the code most (Rifai et al., 2011).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_real, is_whole
from isthmus.analysis.jacobians import differential, require_of
from isthmus.analysis.learned import Learned, learned
from isthmus.derivatives import OfFunction, leading_singular

Array = NDArray[Any]
CORRECTIONS = 2
MOST_ROWS_AT_ONCE = 128


@dataclass(frozen=True)
class TangentSpace:
    """The leading tangent directions at points.

    Attributes:
        directions: In the user's units, of unit length and orthogonal to each other, the leading
            one first, (n, k, d). Their signs mean nothing, nor does one with singular value 0.
        singular_values: How far code or reconstruction move for a unit step along them, (n, k).
    """

    directions: Array
    singular_values: Array


def tangent_space(
    model: Any, X: ArrayLike, k: int, of: str = "reconstruction", verbose: int = 0
) -> TangentSpace:
    """The k leading directions of the manifold at each point.

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Points, rows as in ``fit``.
        k: How many directions, at most the rank that the Jacobian can have.
        of: ``"reconstruction"``: left singular vectors of ∂r/∂x, in which r(x) moves most.
            ``"encoder"``: right singular vectors of ∂f/∂x, in which the code moves most. These
            are tangents only where f itself contracts, as with ``Contractive(of="encoder")``:
            else a code may answer to noise, and leave it to the decoder to take no notice.
        verbose: Whether a bar is shown on a terminal.

    Raises:
        InvalidParameterError: A k that is not a whole number from 1 to the rank, or another
            ``of``.
        InvalidDataError: Points of another width, missing or infinite values.
    """
    known = learned(model, X)
    d, units = known.matrix.n_features, known.model.shape.n_components
    require_of(of)
    _require_count(k, min(d, units), units, d)

    def leading(x: Tensor) -> tuple[Tensor, Tensor]:
        if of == "reconstruction":
            return _moved(known, x, k)
        values, directions = leading_singular(known.encode, x, k)
        return directions, values

    rows = units if of == "encoder" else d
    return TangentSpace(*known.over_rows(leading, 3 * min(rows, MOST_ROWS_AT_ONCE) * d, verbose))


def _moved(known: Learned, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k leading left singular vectors of ∂r/∂x (m, k, d), and singular values (m, k)."""
    values, directions = leading_singular(known.reconstruct, x, k)
    images = differential(known, x, "reconstruction").push(directions)
    # of unit length and orthogonal, even where a singular value is next to 0
    left: Tensor = torch.linalg.qr(images.mT)[0].mT
    return left, values


def local_dimension(
    model: Any, X: ArrayLike, threshold: float = 0.5, verbose: int = 0
) -> NDArray[np.intp]:
    """In how many directions the manifold extends at each point.

    The number of eigenvalues of ∂r/∂x whose real part is above ½: the directions in which the
    rows vary by more than the noise of the training. It needs a model that had a reason to
    contract (noise, a penalty, or a narrow code), and counts on the scale of that noise: a
    direction in which the rows vary by less than σ is noise as well.

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Points, rows as in ``fit``.
        threshold: In place of ½: s²/(s² + σ²), the part of the noise that must be kept.
        verbose: Whether a bar is shown on a terminal.

    Returns:
        Whole numbers (n,), from 0 to the width of code or rows.

    Raises:
        InvalidParameterError: A threshold outside (0, 1).
        InvalidDataError: Points of another width, missing or infinite values.
    """
    if not (is_real(threshold) and 0 < threshold < 1):
        raise InvalidParameterError(f"threshold must lie between 0 and 1; got {threshold!r}.")
    known = learned(model, X)
    narrow = min(known.model.shape.n_components, known.matrix.n_features)
    cells = 3 * narrow * (known.cells + narrow)
    found = known.over_rows(lambda x: _eigenvalues(known, x), cells, verbose)
    return np.asarray((found > threshold).sum(1), np.intp)


def _eigenvalues(known: Learned, x: Tensor) -> Tensor:
    """Real parts of the eigenvalues of ∂r/∂x that can differ from 0, (m, min(k, d))."""
    h = known.encode(x)
    if h.shape[1] <= x.shape[1]:
        outward = OfFunction(known.decode, h).push(_every_step(h))
        moved = differential(known, x, "encoder").push(outward)
    else:
        moved = differential(known, x, "reconstruction").push(_every_step(x))
    found: Tensor = torch.linalg.eigvals(moved).real
    return found


def _every_step(x: Tensor) -> Tensor:
    """A unit step along each axis at every row, (m, d, d)."""
    return torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand(len(x), -1, -1)


def _require_count(k: int, rank: int, units: int, d: int) -> None:
    if not (is_whole(k) and 1 <= k <= rank):
        raise InvalidParameterError(
            f"k must be a whole number from 1 to {rank}, the highest rank of a Jacobian of "
            f"{units} units by {d} columns; got {k!r}."
        )


# ---- walking ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Walk:
    """A way along the manifold.

    Attributes:
        points: In the user's units, (steps + 1, d); the first is the start, moved onto the
            manifold.
        codes: f of each of them, (steps + 1, k).
    """

    points: Array
    codes: Array


def walk(model: Any, x: ArrayLike, direction: ArrayLike, steps: int) -> Walk:
    """Go along the manifold from a point, as straight on as it allows.

    A step goes along the tangent; then the part of r(x) − x that is normal to the manifold brings
    the point back to it (the other part would draw it towards denser places); then the direction
    is turned into the tangent space of the new point, which is parallel transport to first order.
    The tangent space is spanned by the left singular vectors of ∂r/∂x, as many as
    `local_dimension` counts at the start. No geodesic is computed.

    Args:
        model: A fitted estimator, or its ``model_``.
        x: Where to start: a row (d,), or an array (1, d) or frame of one row as in ``fit``.
        direction: Where to go, (d,), in the user's units; the length of its tangent part is the
            length of a step.
        steps: How many.

    Raises:
        InvalidParameterError: Not a whole number of steps; a direction that is not finite, of
            another width, or has no part along the manifold.
        InvalidDataError: Not one point, of another width, missing or infinite; or a place where
            the model knows no manifold, for all directions contract.
    """
    if not (is_whole(steps) and steps >= 1):
        raise InvalidParameterError(f"steps must be a whole number, 1 or more; got {steps!r}.")
    known = learned(model, np.asarray(x)[None] if np.ndim(x) == 1 else x)
    if len(known.matrix) != 1:
        raise InvalidDataError(f"A walk starts at one point; got {len(known.matrix)} rows.")
    known = known.at(known.matrix.rows(0, 1, np.float64))
    given = _require_direction(direction, known.matrix.n_features)
    return _walked(known, known.tensor(given), steps)


@torch.no_grad()
def _walked(known: Learned, direction: Tensor, steps: int) -> Walk:
    x = known.tensor(known.matrix.rows(0, 1, np.float64))
    count = int((_eigenvalues(known, x) > 0.5).sum())
    if not count:
        raise InvalidDataError(
            "The model knows no manifold at the start: its reconstruction contracts in every "
            "direction. Start at a row like those of the training."
        )
    x, tangents = _back(known, x, count)
    forward = tangents @ (tangents.T @ direction)
    length = float(forward.norm())
    if length <= 1e-6 * float(direction.norm()):
        raise InvalidParameterError(
            "direction has no part along the manifold at the start; take one of tangent_space."
        )
    points = [x]
    for _ in range(steps):
        x, tangents = _back(known, x + forward, count)
        forward = tangents @ (tangents.T @ forward)
        forward = forward * (length / forward.norm())
        points.append(x)
    way = torch.cat(points)
    return Walk(way.cpu().numpy(), known.encode(way).cpu().numpy())


def _back(known: Learned, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The point (1, d) brought back to the manifold, and the tangents there as columns."""
    for _ in range(CORRECTIONS):
        tangents = _tangents(known, x, count)
        gap = (known.reconstruct(x) - x).squeeze(0)
        x = x + gap - tangents @ (tangents.T @ gap)
    return x, _tangents(known, x, count)


def _tangents(known: Learned, x: Tensor, count: int) -> Tensor:
    return _moved(known, x, count)[0].squeeze(0).mT


def _require_direction(direction: ArrayLike, n_features: int) -> Array:
    given = np.asarray(direction, np.float64).reshape(-1)
    if given.shape != (n_features,) or not np.isfinite(given).all() or not given.any():
        raise InvalidParameterError(
            f"direction must have {n_features} finite numbers, not all 0; got {direction!r}."
        )
    return given
