"""Denoising and contraction, trained side by side, and how far they are apart.

For small noise, r(x + σε) ≈ r(x) + σ J ε, and the squared error that a denoising autoencoder
minimises becomes that of a reconstruction-contractive one (Alain and Bengio, 2014, theorem 1):

    E ‖r(x + σε) − x‖² = ‖r(x) − x‖² + σ² ‖∂r/∂x‖²_F + σ² (r(x) − x) · Δr(x) + O(σ⁴)

For a linear r the first two terms are all. Otherwise what is left out is O(σ⁴) where r(x) − x is
O(σ²), as at the best r, and the two fields r(x) − x differ by O(σ⁴) (by O(σ²) where a code is too
narrow for r(x) to come near x). Here the likelihood is N(r(x), s²), whose −log is
‖x − r‖² / 2s²; so the penalty that goes with noise of σ has the weight

    λ = σ² / 2s²

The denoising training draws its noise, so its field has an error of sampling besides. Two things
make it small. The noise of a batch is given the moments that it has on average: mean 0, covariance
σ²I, and none with the rows. As the loss of a linear r depends on nothing else, its training has no
error of sampling at all. And a batch can hold several copies of each row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from torch import Tensor

from isthmus._errors import InvalidParameterError, UnsupportedTypeError
from isthmus._random import draw_seed
from isthmus._registry import is_real, is_whole
from isthmus.analysis.learned import learned
from isthmus.corruptions import Corruption
from isthmus.data import as_matrix
from isthmus.likelihoods import Gaussian
from isthmus.penalties import Contractive

Array = NDArray[Any]


@dataclass(frozen=True)
class _MatchedNoise(Corruption):
    """Gaussian noise that has, over a batch, exactly the first two moments it has on average.

    Args:
        std: σ, as of `GaussianNoise`.
    """

    std: float

    def __call__(self, x: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """x + std · ε; of fewer rows than there are moments, with plain ε ~ N(0, I)."""
        n, d = x.shape
        noise = torch.empty_like(x).normal_(generator=generator)
        if n > 2 * d + 1:
            known = torch.linalg.qr(torch.cat([x.new_ones(n, 1), x], 1))[0]
            noise -= known @ (known.T @ noise)
            factor = torch.linalg.cholesky(noise.T @ noise / n)
            noise = torch.linalg.solve_triangular(factor, noise.T, upper=False).T
        return torch.add(x, noise, alpha=self.std)

    def in_units(self, unit: float) -> Corruption:
        """std divided by the unit."""
        return replace(self, std=self.std / unit)


@dataclass(frozen=True)
class FieldGap:
    """Two fields r(x) − x over n points at each of m levels of noise.

    Attributes:
        sigmas: σ, (m,).
        denoising: The field of the model that was trained with noise, (m, n, d).
        contractive: The field of the model whose reconstruction was penalised, (m, n, d).
    """

    sigmas: Array
    denoising: Array
    contractive: Array

    @property
    def gaps(self) -> Array:
        """Root mean square over the points of the distance of the two, (m,), user's units."""
        return _size(self.denoising - self.contractive)

    @property
    def relative_gaps(self) -> Array:
        """The same divided by the root mean square of the denoising field, (m,)."""
        return self.gaps / _size(self.denoising)


def denoising_contractive_gap(
    autoencoder: Any, X: ArrayLike, sigmas: Sequence[float], n_copies: int = 1
) -> FieldGap:
    """Train a denoising and a reconstruction-contractive model at each σ, and compare.

    Both are clones of the autoencoder that begin from the same weights. Train them to the end:
    whole batches, many epochs, no weight decay; else the difference is one of the optimisation.

    Args:
        autoencoder: An unfitted estimator with ``likelihood=Gaussian(s)``, s a number, and
            without corruption and penalty, which are set here.
        X: Rows to train on, and points of the comparison.
        sigmas: Levels of noise in the user's units.
        n_copies: How often each row is in a batch of the denoising training, each time with
            noise of its own; the batch is larger by as much.

    Raises:
        InvalidParameterError: A σ that is not positive, a likelihood without a fixed scale, or
            an autoencoder with a corruption or a penalty of its own.
        UnsupportedTypeError: Not an estimator.
        InvalidDataError: As in ``fit``.
    """
    scale = _fixed_scale(autoencoder)
    levels = _require_sigmas(sigmas)
    if not (is_whole(n_copies) and n_copies >= 1):
        raise InvalidParameterError(
            f"n_copies must be a whole number, 1 or more; got {n_copies!r}."
        )
    same = clone(autoencoder).set_params(random_state=draw_seed(autoencoder.random_state))
    rows = as_matrix(X)
    values = rows.rows(0, len(rows), np.float64).reshape(-1, *rows.row_shape)
    copies = np.repeat(values, n_copies, axis=0)
    denoising, contractive = [], []
    for sigma in levels:
        noisy = clone(same).set_params(
            corruption=_MatchedNoise(sigma), batch_size=n_copies * same.batch_size
        )
        penalty = Contractive(sigma**2 / (2 * scale**2), of="reconstruction")
        smooth = clone(same).set_params(penalty=penalty)
        denoising.append(_field(noisy.fit(copies), values))
        contractive.append(_field(smooth.fit(values), values))
    return FieldGap(np.array(levels), np.stack(denoising), np.stack(contractive))


def _field(model: Any, X: Array) -> Array:
    known = learned(model, X)
    found: Array = known.over_rows(lambda x: known.reconstruct(x) - x, known.cells)
    return found


def _size(field: Array) -> Array:
    return np.asarray(np.sqrt(np.square(field).sum(2).mean(1)))


def _fixed_scale(autoencoder: Any) -> float:
    """s of the Gaussian likelihood that the autoencoder will have."""
    if not hasattr(autoencoder, "get_params") or not hasattr(autoencoder, "fit"):
        raise UnsupportedTypeError(
            f"Give an unfitted Autoencoder; got an object of {type(autoencoder).__name__}."
        )
    params = autoencoder.get_params(deep=False)
    for name in ("corruption", "penalty"):
        if params.get(name):
            raise InvalidParameterError(
                f"The autoencoder has a {name} of its own, {params[name]!r}; leave it out, for "
                "noise and penalty are set at each σ."
            )
    likelihood = params["likelihood"]
    if not isinstance(likelihood, Gaussian) or isinstance(likelihood.scale, str):
        raise InvalidParameterError(
            "Noise of σ goes with a penalty of weight σ²/2s² only where s is known: give the "
            f"autoencoder likelihood=Gaussian(s) with a number s; got {likelihood!r}."
        )
    return float(likelihood.scale)


def _require_sigmas(sigmas: Sequence[float]) -> list[float]:
    levels = list(np.atleast_1d(np.asarray(sigmas, object)))
    if not levels or not all(is_real(each) and 0 < each < np.inf for each in levels):
        raise InvalidParameterError(f"sigmas must be positive numbers; got {sigmas!r}.")
    return [float(each) for each in levels]
