"""Problems whose answer is known in closed form.

Each is a frozen object that draws its data and gives the truth, so that a test reads as a
sentence: fit this, compare with that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.stats as st
import torch
from scipy.optimize import brentq, minimize
from scipy.special import entr, gammaln, logsumexp, softmax, xlogy

from isthmus import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Gaussian,
    Laplace,
    Multinomial,
    NegativeBinomial,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
)
from isthmus.encoders import Deterministic, Encoder, GaussianCode
from isthmus.entry import entry_width
from isthmus.likelihoods import Likelihood
from isthmus.model import Model, Shape
from isthmus.networks import MLP


@dataclass(frozen=True)
class LinearGaussian:
    """x = W h + b + σ ε with h ~ N(0, I): what PCA and probabilistic PCA describe exactly.

    Attributes:
        n_features: d.
        n_components: k.
        noise: σ.
        n_rows: n.
        seed: Of W, b and the rows.
    """

    n_features: int = 10
    n_components: int = 3
    noise: float = 0.3
    n_rows: int = 2000
    seed: int = 0

    @cached_property
    def rows(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        weights = rng.normal(size=(self.n_features, self.n_components))
        codes = rng.normal(size=(self.n_rows, self.n_components))
        noise = self.noise * rng.normal(size=(self.n_rows, self.n_features))
        return codes @ weights.T + rng.normal(size=self.n_features) + noise

    @cached_property
    def covariance(self) -> np.ndarray:
        """Of the rows at hand, (d, d): what a model fitted to them should know."""
        return np.cov(self.rows, rowvar=False, bias=True)

    def wiener(self, std: float) -> np.ndarray:
        """The best linear denoiser's matrix Σ(Σ + σ²I)⁻¹ for Gaussian noise of this std."""
        identity = np.eye(self.n_features)
        return self.covariance @ np.linalg.inv(self.covariance + std**2 * identity)


def make_model(
    rows: torch.Tensor,
    likelihood: Likelihood,
    encoder: Encoder | None = None,
    n_components: int = 3,
    hidden: tuple[int, ...] = (8,),
    activation: str = "tanh",
    seed: int = 0,
    scale: torch.Tensor | None = None,
) -> Model:
    """An untrained model for rows that are divided by ``scale`` already."""
    encoder = encoder or Deterministic()
    generator = torch.Generator().manual_seed(seed)
    d = rows.shape[1]
    traits = likelihood.traits
    down = MLP(
        [entry_width(traits, d), *hidden, n_components * encoder.outputs], activation, generator
    )
    up = MLP([n_components, *hidden[::-1], traits.width(d)], activation, generator)
    start = likelihood.start(rows.double())
    shape = Shape(d, n_components)
    scale = torch.ones(d) if scale is None else scale
    return Model(likelihood, encoder, (down, up), shape, start, torch.zeros(d), scale)


def wake(model: Model, size: float = 0.5, seed: int = 1) -> Model:
    """The same model in float64 with noise on every weight, so that its code matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.empty(weight.shape, dtype=torch.float64).normal_(generator=generator)
            weight.add_(size * noise.to(weight))
    return model.double()


# ---- the nll of the best constant, which is where training starts -------------------------------


def least_nll(likelihood: Likelihood, x: np.ndarray) -> float:
    """min over constants η of the mean over rows of −Σ_j log p(x_j | η_j), x (n, d).

    In closed form where there is one: the entropy of the distribution that was fitted to each
    column, summed. Else by scipy's optimiser on scipy's log-probabilities.
    """
    return float(_LEAST[type(likelihood)](likelihood, x))


def _pooled(likelihood: Likelihood, column: np.ndarray) -> np.ndarray:
    """One number per feature, or their mean for each feature."""
    shared = likelihood.scale == "shared"
    return np.full_like(column, column.mean()) if shared else column


def _gaussian(likelihood: Gaussian, x: np.ndarray) -> float:
    if not isinstance(likelihood.scale, str):
        sigma = likelihood.scale
        entropy = 0.5 * np.log(2 * np.pi * sigma**2) + x.var(0) / (2 * sigma**2)
        return entropy.sum()
    variance = _pooled(likelihood, x.var(0))
    return 0.5 * np.log(2 * np.pi * np.e * variance).sum()


def _laplace(likelihood: Laplace, x: np.ndarray) -> float:
    deviation = np.abs(x - np.median(x, axis=0)).mean(0)
    return (1 + np.log(2 * _pooled(likelihood, deviation))).sum()


def _bernoulli(likelihood: Bernoulli, x: np.ndarray) -> float:
    return (entr(x.mean(0)) + entr(1 - x.mean(0))).sum()


def _categorical(likelihood: Categorical, x: np.ndarray) -> float:
    levels = np.arange(likelihood.levels)
    return entr((x[..., None] == levels).mean(0)).sum()


def _poisson(likelihood: Poisson, x: np.ndarray) -> float:
    mean = x.mean(0)
    return (mean - xlogy(mean, mean) + gammaln(x + 1).mean(0)).sum()


def _multinomial(likelihood: Multinomial, x: np.ndarray) -> float:
    words = x.sum(0)
    spread = gammaln(x + 1).sum(1) - gammaln(x.sum(1) + 1) - x @ np.log(words / words.sum())
    return spread.mean()


def _continuous_bernoulli(likelihood: ContinuousBernoulli, x: np.ndarray) -> float:
    def entropy(mean: float) -> float:
        eta = brentq(lambda e: 1 / -np.expm1(-e) - 1 / e - mean, -500, 499.9)
        return np.log(np.expm1(eta) / eta) - eta * mean

    return sum(entropy(mean) for mean in x.mean(0))


def _searched(
    log_prob: Callable[..., np.ndarray], x: np.ndarray, sizes: Sequence[int], begin: np.ndarray
) -> float:
    def nll(flat: np.ndarray) -> float:
        return -log_prob(x, *np.split(flat, np.cumsum(sizes)[:-1])).sum(1).mean()

    return minimize(nll, begin, jac="3-point", method="BFGS", options={"gtol": 1e-6}).fun


def _student(likelihood: StudentT, x: np.ndarray) -> float:
    d = x.shape[1]
    spread = 1 if likelihood.scale == "shared" else d
    begin = [np.median(x, axis=0), np.log(x.std(0)[:spread])]
    if not isinstance(likelihood.df, str):
        return _searched(
            lambda x, mean, log_scale: st.t.logpdf(x, likelihood.df, mean, np.exp(log_scale)),
            x, (d, spread), np.concatenate(begin),
        )  # fmt: skip
    return _searched(
        lambda x, mean, log_scale, log_df: st.t.logpdf(x, np.exp(log_df), mean, np.exp(log_scale)),
        x, (d, spread, d), np.concatenate([*begin, np.ones(d)]),
    )  # fmt: skip


def _negative_binomial(likelihood: NegativeBinomial, x: np.ndarray) -> float:
    def log_prob(x: np.ndarray, log_mean: np.ndarray, log_theta: np.ndarray) -> np.ndarray:
        theta = np.exp(log_theta)
        return st.nbinom.logpmf(x, theta, theta / (theta + np.exp(log_mean)))

    d = x.shape[1]
    thetas = 1 if likelihood.dispersion == "shared" else d
    return _searched(log_prob, x, (d, thetas), np.append(np.log(x.mean(0)), np.zeros(thetas)))


def _zero_inflated(likelihood: ZeroInflatedNegativeBinomial, x: np.ndarray) -> float:
    def log_prob(
        x: np.ndarray, log_mean: np.ndarray, log_theta: np.ndarray, logit: np.ndarray
    ) -> np.ndarray:
        theta = np.exp(log_theta)
        inner = st.nbinom.logpmf(x, theta, theta / (theta + np.exp(log_mean)))
        inner = inner + st.logistic.logsf(logit)
        return np.where(x == 0, np.logaddexp(st.logistic.logcdf(logit), inner), inner)

    d = x.shape[1]
    thetas = 1 if likelihood.dispersion == "shared" else d
    # the likelihood has more than one maximum where few zeros are extra
    return min(
        _searched(
            log_prob,
            x,
            (d, thetas, d),
            np.concatenate([np.log(x.mean(0)), np.zeros(thetas), np.full(d, logit)]),
        )
        for logit in (-6.0, -1.0)
    )


_LEAST: dict[type[Likelihood], Callable[..., float]] = {
    Gaussian: _gaussian,
    Laplace: _laplace,
    StudentT: _student,
    Bernoulli: _bernoulli,
    ContinuousBernoulli: _continuous_bernoulli,
    Categorical: _categorical,
    Poisson: _poisson,
    NegativeBinomial: _negative_binomial,
    ZeroInflatedNegativeBinomial: _zero_inflated,
    Multinomial: _multinomial,
}


# ---- densities with a score, and manifolds with tangents ----------------------------------------


@dataclass(frozen=True)
class NormalMixture:
    """A mixture of three normal densities in the plane, whose smoothed score is known.

    Attributes:
        n_rows: n.
        seed: Of the rows.
    """

    n_rows: int = 1000
    seed: int = 0

    weights = np.array([0.3, 0.5, 0.2])
    means = np.array([[-1.5, 0.0], [1.0, 1.0], [0.8, -1.2]])
    covariances = np.array(
        [[[0.3, 0.0], [0.0, 0.1]], [[0.25, 0.15], [0.15, 0.2]], [[0.15, 0.0], [0.0, 0.15]]]
    )

    @cached_property
    def rows(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        which = rng.choice(3, self.n_rows, p=self.weights)
        factors = np.linalg.cholesky(self.covariances)[which]
        return self.means[which] + np.einsum(
            "nij,nj->ni", factors, rng.normal(size=(self.n_rows, 2))
        )

    def _parts(self, x: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
        """log(w_k N_k(x)) (n, 3) and ∇ log N_k(x) (n, 3, 2) after smoothing."""
        precisions = np.linalg.inv(self.covariances + sigma**2 * np.eye(2))
        gaps = x[:, None] - self.means
        slopes = -np.einsum("kij,nkj->nki", precisions, gaps)
        half_logs = 0.5 * np.linalg.slogdet(precisions)[1] - np.log(2 * np.pi)
        logs = np.log(self.weights) + half_logs + 0.5 * (slopes * gaps).sum(2)
        return logs, slopes

    def log_density(self, x: np.ndarray, sigma: float) -> np.ndarray:
        """log p_σ, (n,), of the rows with noise of std σ."""
        return logsumexp(self._parts(x, sigma)[0], axis=1)

    def score(self, x: np.ndarray, sigma: float) -> np.ndarray:
        """∇ log p_σ, (n, 2)."""
        logs, slopes = self._parts(x, sigma)
        return np.einsum("nk,nki->ni", softmax(logs, axis=1), slopes)


def spiral(n_rows: int, noise: float, seed: int = 0) -> np.ndarray:
    """Rows (n, 2) about a spiral of one turn and a half, its arms half a unit apart."""
    rng = np.random.default_rng(seed)
    angle = np.pi * (1.5 + 3 * rng.random(n_rows))
    points = np.column_stack([np.cos(angle), np.sin(angle)]) * (angle / 12)[:, None]
    return points + noise * rng.normal(size=points.shape)


@dataclass(frozen=True)
class Manifold:
    """Points of a curve or surface with isotropic noise, and its tangents at the nearest point.

    Attributes:
        name: ``"circle"``, ``"sphere"``, ``"torus"`` (2 around 1) or ``"swiss_roll"`` (one turn
            and a half, π/2 apart); no curvature is above 1.
        n_rows: n.
        noise: Its std.
        seed: Of the points.
    """

    name: str
    n_rows: int = 2000
    noise: float = 0.03
    seed: int = 0

    @property
    def n_features(self) -> int:
        """The dimension around it."""
        return 2 if self.name == "circle" else 3

    @property
    def dimension(self) -> int:
        """Its own."""
        return 1 if self.name == "circle" else 2

    @cached_property
    def clean(self) -> np.ndarray:
        """Points on it, evenly spread, (n, d)."""
        rng = np.random.default_rng(self.seed)
        if self.name in ("circle", "sphere"):
            normals = rng.normal(size=(self.n_rows, self.n_features))
            return normals / np.linalg.norm(normals, axis=1, keepdims=True)
        if self.name == "torus":
            # the outer side has more area than the inner one
            inner = 2 * np.pi * rng.random(4 * self.n_rows)
            kept = inner[rng.random(len(inner)) < (2 + np.cos(inner)) / 3][: self.n_rows]
            around = 2 * np.pi * rng.random(self.n_rows)
            far = 2 + np.cos(kept)
            return np.column_stack([far * np.cos(around), far * np.sin(around), np.sin(kept)])
        # a piece of it has about the length t dt
        turn = np.pi * np.sqrt(1.5**2 + (4.5**2 - 1.5**2) * rng.random(self.n_rows))
        across = 21 * rng.random(self.n_rows)
        return np.column_stack([turn * np.cos(turn), across, turn * np.sin(turn)]) / 4

    @cached_property
    def rows(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed + 1)
        return self.clean + self.noise * rng.normal(size=self.clean.shape)

    def tangents(self, x: np.ndarray) -> np.ndarray:
        """Orthonormal tangents at the points of the manifold nearest to x: (n, k, d)."""
        normals = self._normals(x)
        # the other right singular vectors of a unit vector
        return np.linalg.svd(normals[:, None, :], full_matrices=True)[2][:, 1:]

    def _normals(self, x: np.ndarray) -> np.ndarray:
        """Unit normals at the nearest points, (n, d)."""
        if self.name == "swiss_roll":
            slope = _spiral_slope(_nearest_turn(4 * x[:, [0, 2]]))
            normals = np.column_stack([-slope[:, 1], np.zeros(len(x)), slope[:, 0]])
        elif self.name == "torus":
            middle = x * [1, 1, 0]
            normals = x - 2 * middle / np.linalg.norm(middle, axis=1, keepdims=True)
        else:
            normals = x
        return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _nearest_turn(y: np.ndarray) -> np.ndarray:
    """The t at which (t cos t, t sin t) is nearest to y (n, 2), by Gauss-Newton steps."""
    angle = np.arctan2(y[:, 1], y[:, 0])
    turn = angle + 2 * np.pi * np.round((np.hypot(*y.T) - angle) / (2 * np.pi))
    for _ in range(20):
        there = np.column_stack([turn * np.cos(turn), turn * np.sin(turn)])
        slope = _spiral_slope(turn)
        turn = turn + ((y - there) * slope).sum(1) / np.square(slope).sum(1)
    return turn


def _spiral_slope(turn: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(turn), np.sin(turn)
    return np.column_stack([cos - turn * sin, sin + turn * cos])


# ---- modes, and a model whose posterior is known ------------------------------------------------


@dataclass(frozen=True)
class Clusters:
    """Three round clusters in the plane, each N(μ_c, s² I).

    Attributes:
        distance: Between the first two.
        std: s.
        n_rows: n.
        seed: Of the rows.
    """

    distance: float = 2.0
    std: float = 0.25
    n_rows: int = 10_000
    seed: int = 0
    weights = np.array([0.5, 0.3, 0.2])

    @property
    def centers(self) -> np.ndarray:
        return self.distance * np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.8]])

    @cached_property
    def rows(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        chosen = rng.choice(3, self.n_rows, p=self.weights)
        noise = self.std * rng.normal(size=(self.n_rows, 2))
        return (self.centers[chosen] + noise).astype(np.float32)

    @property
    def mean(self) -> np.ndarray:
        return self.weights @ self.centers

    def covariance(self, noise: float = 0.0) -> np.ndarray:
        """Of rows with normal noise of this standard deviation added, (2, 2)."""
        between = (self.weights * self.centers.T) @ self.centers - np.outer(self.mean, self.mean)
        return between + (self.std**2 + noise**2) * np.eye(2)

    def nearest(self, rows: np.ndarray) -> np.ndarray:
        """The number of the nearest center of each row."""
        return ((rows[:, None] - self.centers) ** 2).sum(2).argmin(1)

    def shares(self, rows: np.ndarray) -> np.ndarray:
        """The part of the rows that is nearest to each center."""
        return np.bincount(self.nearest(rows), minlength=3) / len(rows)


@dataclass(frozen=True)
class LinearVariational:
    """x = W h + b + σ ε as a model with set weights, and an encoder that is wrong on purpose.

    p(h | x) is N(A(x − b), P⁻¹) with P = I + WᵀW/σ²; the encoder's covariance is diagonal, and
    its mean and width are off by as much as is asked for.

    Attributes:
        n_features: d.
        n_components: k.
        noise: σ.
        width: The encoder's standard deviations, as a multiple of the best ones.
        shift: The error of its mean, as a multiple of its standard deviation.
        alike: How much of W's first column the others have too, which correlates the posterior.
        n_rows: n.
    """

    n_features: int = 10
    n_components: int = 3
    noise: float = 0.3
    width: float = 1.0
    shift: float = 0.0
    alike: float = 0.0
    n_rows: int = 20

    @cached_property
    def loadings(self) -> np.ndarray:
        loadings = np.random.default_rng(0).normal(size=(self.n_features, self.n_components))
        return loadings + self.alike * loadings[:, :1]

    @cached_property
    def rows(self) -> np.ndarray:
        rng = np.random.default_rng(1)
        codes = rng.normal(size=(self.n_rows, self.n_components))
        noise = self.noise * rng.normal(size=(self.n_rows, self.n_features))
        return codes @ self.loadings.T + noise

    @property
    def precision(self) -> np.ndarray:
        """P, (k, k)."""
        return np.eye(self.n_components) + self.loadings.T @ self.loadings / self.noise**2

    @property
    def map_to_code(self) -> np.ndarray:
        """A, (k, d)."""
        return np.linalg.solve(self.precision, self.loadings.T) / self.noise**2

    @property
    def log_evidence(self) -> np.ndarray:
        """log N(x; 0, W Wᵀ + σ² I), (n,)."""
        covariance = self.loadings @ self.loadings.T + self.noise**2 * np.eye(self.n_features)
        return st.multivariate_normal(np.zeros(self.n_features), covariance).logpdf(self.rows)

    @cached_property
    def model(self) -> Model:
        k = self.n_components
        rows = torch.from_numpy(self.rows)
        model = make_model(rows, Gaussian(self.noise), GaussianCode(), k, ()).double()
        std = self.width / np.sqrt(np.diag(self.precision))
        with torch.no_grad():
            (weight, bias) = _layer(model.encoder_network)
            weight.zero_()[:k] = torch.from_numpy(self.map_to_code)
            bias[:k] = torch.from_numpy(self.shift * std)
            bias[k:] = torch.from_numpy(8 * np.arctanh(np.log(std) / 8))
            (weight, bias) = _layer(model.decoder_network)
            weight.copy_(torch.from_numpy(self.loadings))
            bias.zero_()
        return model


def _layer(network: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the only layer."""
    matrix, vector = sorted(network.parameters(), key=lambda p: -p.ndim)
    return matrix, vector
