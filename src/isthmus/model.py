"""The model: the only room with parameters.

It joins two networks to the two distributions: the encoder network gives the η of p(h | x), the
decoder network the row-dependent part of the η of p(x | h); parameters that are learned once per
feature or once for all (a Gaussian's σ, a count's dispersion) are weights here as well.

The data are scaled on the way in, z = (x − center) / scale, as the likelihood asks: each column
by its own standard deviation, all columns by one common number, or not at all. By the change of
variables every log-density in the user's units is the one in z minus Σ_j log scale_j, so

    log p(x | h) = log p(z | h) − Σ_j log scale_j

and a *row* of this room is always a row of z, unless a name says otherwise. At step 0 the decoder
emits the likelihood's best constant for every code, so that training starts from the entropy of
the columns and not from somewhere worse. A column with heavy tails may be mapped by its ranks in
place of that, z = t(x): then −log t′(x) stands for its log scale_j, a number of its own for each
cell (see `isthmus.ranks`).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus._errors import InvalidParameterError
from isthmus._random import make_generator
from isthmus.backpropagation import put
from isthmus.encoders import Encoder
from isthmus.entry import TableEntry, entry_width
from isthmus.likelihoods import Eta, Likelihood
from isthmus.networks import MLP, Decoder
from isthmus.numerics import missing_cells
from isthmus.ranks import Ranks
from isthmus.sparse import Batch, SparseBatch, dense

EVIDENCE_POINTS = 32


@dataclass(frozen=True)
class Shape:
    """The sizes that a model is built for.

    Attributes:
        n_features: d.
        n_components: k.
    """

    n_features: int
    n_components: int


def ranked_columns(likelihood: Likelihood, n_features: int) -> list[int]:
    """The numbers of the columns that are mapped by their ranks."""
    columns = likelihood.traits.columns or (likelihood.traits,) * n_features
    return [j for j, column in enumerate(columns) if column.scaling == "rank"]


class Model(nn.Module):
    """Encoder and decoder networks, their distributions, and the scaling of the data.

    Args:
        likelihood: p(x | h).
        encoder: p(h | x).
        networks: Encoder network (n, d') to (n, k·q) and decoder network (n, k) to (n, d·q').
        shape: d and k.
        start: The likelihood's best constant for the scaled data, from `Likelihood.start`.
        center: Subtracted from each column, (d,).
        scale: Divides each column, (d,); all alike for isotropic families, ones for discrete.
    """

    center: Tensor
    scale: Tensor
    table: TableEntry | None
    ranks: Ranks | None

    def __init__(
        self,
        likelihood: Likelihood,
        encoder: Encoder,
        networks: tuple[nn.Module, Decoder],
        shape: Shape,
        start: Eta,
        center: Tensor,
        scale: Tensor,
    ) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.encoder = encoder
        self.shape = shape
        self.half_precision = False
        self.encoder_network, decoder = networks
        assert isinstance(decoder, nn.Module)
        self.decoder_network: nn.Module = decoder
        # in float64: a column such as 1e9 ± 1 loses everything if its mean is rounded
        self.register_buffer("center", center.double())
        self.register_buffer("scale", scale.double())
        self.log_volume = float(scale.double().log().sum())
        columns = likelihood.traits.columns
        self.table = None if columns is None else TableEntry(columns)
        ranked = ranked_columns(likelihood, shape.n_features)
        self.ranks = Ranks(ranked) if ranked else None
        self.parameters_of_all_rows = nn.ParameterDict()
        self._place(likelihood, start, decoder)

    def _place(self, likelihood: Likelihood, start: Eta, decoder: Decoder) -> None:
        by_row = []
        for parameter, value in zip(likelihood.traits.parameters, start, strict=True):
            if parameter.varies == "row":
                by_row.append(value.float().reshape(-1))
            elif parameter.varies == "fixed":
                self.register_buffer(f"fixed_{parameter.name}", value.float())
            else:
                self.parameters_of_all_rows[parameter.name] = nn.Parameter(value.float())
        decoder.begin_at(torch.cat(by_row))
        self._traits = likelihood.traits

    # ---- the way in -------------------------------------------------------------------------

    def scaled(self, x: Tensor) -> Tensor:
        """z = (x − center) / scale, from rows in the user's units (n, d), in the type of x."""
        if self._traits.scaling == "none":
            return x
        if self.ranks is not None:
            x = self.ranks(x)
        center = self.center.to(x.dtype)
        z = x - center
        if x.dtype != self.center.dtype:
            # what rounding took from the centre: 1e6 ± 1 has no digit to lose
            z -= (self.center - center.double()).to(x.dtype)
        return z.div_(self.scale.to(x.dtype))

    def unscaled(self, z: Tensor) -> Tensor:
        """x = center + scale · z, back in the user's units."""
        if self._traits.scaling == "none":
            return z
        x = self.center.to(z.dtype) + self.scale.to(z.dtype) * z
        return x if self.ranks is None else self.ranks.inverse(x)

    def enter(self, z: Batch) -> Batch:
        """What the encoder network sees of z: z, log(1 + z), or 0/1 columns for each level.

        Of a table: see `entry`.
        """
        if self.table is not None:
            seen: Tensor = self.table(z)
            return seen
        if self._traits.entry == "identity":
            return z
        if self._traits.entry == "log1p":
            return z.map(torch.log1p) if isinstance(z, SparseBatch) else torch.log1p(z)
        assert isinstance(z, Tensor)
        return F.one_hot(z.long(), self.entry_width).flatten(1).to(z.dtype)

    @property
    def entry_width(self) -> int:
        """Columns that one feature has in front of the encoder network (not for a table)."""
        return self._traits.outputs if self._traits.entry == "one_hot" else 1

    @property
    def n_entered(self) -> int:
        """Columns of all features in front of the encoder network."""
        return entry_width(self._traits, self.shape.n_features)

    @property
    def layers(self) -> tuple[MLP, MLP] | None:
        """Encoder and decoder network, if both are plain fully connected layers."""
        networks: tuple[nn.Module, ...] = (self.encoder_network, self.decoder_network)
        down, up = networks
        return (down, up) if isinstance(down, MLP) and isinstance(up, MLP) else None

    @property
    def convolves(self) -> bool:
        """Whether some layers are convolutions, which may be far wider than a row."""
        return any(weight.ndim > 2 for weight in self.parameters())

    # ---- the way through --------------------------------------------------------------------

    def encode(self, entered: Batch) -> Tensor:
        """The η of p(h | x), (n, k·q), in at least float32."""
        return self._through(self.encoder_network, entered)

    def decode(self, h: Tensor) -> Eta:
        """The η of p(x | h) for codes (n, k), in at least float32."""
        return self._eta(self.decoded(h))

    def decoded(self, h: Tensor) -> Tensor:
        """The decoder network's output for codes (n, k), in at least float32."""
        return self._through(self.decoder_network, h)

    def _through(self, network: Callable[[Batch], Tensor], rows: Batch) -> Tensor:
        if not self.half_precision:
            return network(rows)
        with torch.autocast(rows.device.type, dtype=torch.bfloat16):
            out = network(rows)
        return out.float()

    def _eta(self, out: Tensor) -> Eta:
        d = self.shape.n_features
        eta, first = [], 0
        for parameter in self._traits.parameters:
            if parameter.varies == "row":
                m = parameter.covers or d
                last = first + parameter.width * m
                block = out[:, first:last] if last - first < out.shape[1] else out
                eta.append(block if parameter.width == 1 else block.view(len(out), m, -1))
                first = last
            elif parameter.varies == "fixed":
                eta.append(getattr(self, f"fixed_{parameter.name}"))
            else:
                eta.append(self.parameters_of_all_rows[parameter.name])
        return tuple(eta)

    def code(self, z: Batch) -> Tensor:
        """E[h | x], (n, k): deterministic, row by row."""
        return self.encoder.mean(self.encode(self.enter(z)))

    def reconstruct_entered(self, entered: Tensor) -> Tensor:
        """r = E[x | f(x)] in what the encoder network sees, (n, d) to (n, d).

        Raises:
            InvalidParameterError: The features are categories.
        """
        h = self.encoder.mean(self.encode(entered))
        return self.mean_entered(self.decoded(h))

    def mean_entered(self, out: Tensor) -> Tensor:
        """E[x | h] in what the encoder network sees, (n, d), from the decoder's output.

        Raises:
            InvalidParameterError: The features are categories.
        """
        kinds = [column.entry for column in self._traits.columns or (self._traits,)]
        if "one_hot" in kinds:
            raise InvalidParameterError(
                "The reconstruction of a category is one of its levels, which has no derivative. "
                "Use Contractive(of='encoder')."
            )
        return dense(self.enter(self.likelihood.mean(self._eta(out))))

    @property
    def mean_is_featurewise(self) -> bool:
        """Whether column j of the mean depends on the numbers of feature j alone."""
        if self._traits.columns is not None or not self._traits.factorised:
            return False
        return all(p.width == 1 for p in self._traits.parameters if p.varies == "row")

    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        """log p(z_j | h), (n, d), in nats of the scaled data; 0 where a cell is missing."""
        return self.likelihood.log_prob(z, self.decode(h))

    def nll(self, z: Batch, h: Tensor) -> Tensor:
        """−log p(x | h) in nats and in the user's units, (n,)."""
        return self.likelihood.nll(z, self.decode(h)) + self._log_volume_of(z)

    def _log_volume_of(self, z: Batch) -> Tensor | float:
        """Σ_j log ∂x_j/∂z_j over the observed cells of each row."""
        observed = self._observed(z)
        if self.ranks is not None:
            volumes = self._log_volumes(dense(z))
            return (volumes if observed is None else volumes * observed).sum(1)
        if observed is None:
            return self.log_volume
        return observed.to(z.dtype) @ self.log_scale.to(z.dtype)

    def _log_volumes(self, z: Tensor) -> Tensor:
        """log ∂x_j/∂z_j, what a cell's log-density loses in the user's units: (d,) or (n, d)."""
        if self.ranks is None:
            return self.log_scale.to(z.dtype)
        return (self.log_scale - self.ranks.log_slope(z)).to(z.dtype)

    def _observed(self, z: Batch) -> Tensor | None:
        """Which cells of a table are there, (n, d); None where all are."""
        missing = None if self.table is None else missing_cells(dense(z))
        return None if missing is None else ~missing

    def slope(self, z: Batch, out: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """−log p(x | h), (n,), and the slope of its weighted sum in the decoder's output.

        The slopes in what is learned for all rows alike go to these parameters' ``grad``.

        Args:
            z: Scaled rows (n, d).
            out: The decoder network's output.
            weight: Of every row in the sum.
        """
        nll, slopes = self.likelihood.slope(z, self._eta(out), weight)
        by_row = []
        for parameter, slope in zip(self._traits.parameters, slopes, strict=True):
            if parameter.varies == "row":
                by_row.append(slope.flatten(1))
            elif parameter.varies != "fixed":
                put(self.parameters_of_all_rows[parameter.name], slope)
        nll += self._log_volume_of(z)
        return nll, by_row[0] if len(by_row) == 1 else torch.cat(by_row, 1)

    def mean(self, h: Tensor) -> Tensor:
        """E[x | h] in the user's units, (n, d); of a column mapped by ranks the median."""
        return self.mean_of(self.decoded(h))

    def mean_of(self, out: Tensor) -> Tensor:
        """E[x | h] in the user's units, (n, d), from the decoder's output."""
        return self.unscaled(self.likelihood.mean(self._eta(out)))

    def sample(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of x for each code, in the user's units, (n, d)."""
        return self.unscaled(self.likelihood.sample(self.decode(h), generator))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.center.device

    # ---- what is reported -------------------------------------------------------------------

    @property
    def log_scale(self) -> Tensor:
        """log scale_j, (d,) in float64; 0 for columns that are mapped by ranks."""
        return self.scale.double().log()

    def evidence(
        self, z: Tensor, noise: Sequence[Tensor] | Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The evidence bound in the user's units: E[log p(x_j | h)] (n, d), and KL (n, k).

        For a deterministic code the expectation is the value at h = f(x). For a stochastic one
        it is an average over draws of the code. Of a table, a missing cell has 0, and so has the
        divergence of a row without any cell, whose code is distributed as the prior.

        Args:
            z: Scaled rows (n, d).
            noise: What the draws are made of, each (n, k) or (k,); `EVIDENCE_POINTS` well spread
                points that are the same for every row if None.
        """
        eta = self.encode(self.enter(z))
        if not self.encoder.stochastic:
            log_prob = self.log_prob(z, self.encoder.mean(eta))
        else:
            draws = self._evidence_points(eta) if noise is None else noise
            log_prob = torch.zeros_like(z)
            for draw in draws:
                log_prob += self.log_prob(z, self.encoder.draw(eta, draw)) / len(draws)
        kl, volume, observed = self._kl(eta, z), self._log_volumes(z), self._observed(z)
        return log_prob - (volume if observed is None else volume * observed), kl

    def _kl(self, eta: Tensor, z: Batch) -> Tensor:
        """KL(p(h | x) ‖ p(h)) per unit, (n, k); 0 for a row of a table without any cell."""
        kl, observed = self.encoder.kl(eta), self._observed(z)
        return kl if observed is None else kl.masked_fill(~observed.any(1, keepdim=True), 0.0)

    def cost(self, z: Batch, noise: Sequence[Tensor]) -> Tensor:
        """The negative evidence bound of each row in the user's units, (n,).

        Args:
            z: Scaled rows (n, d).
            noise: As in `evidence`.
        """
        eta = self.encode(self.enter(z))
        if not self.encoder.stochastic:
            return self.nll(z, self.encoder.mean(eta))
        costs = [self.nll(z, self.encoder.draw(eta, draw)) for draw in noise]
        return torch.stack(costs).mean(0) + self._kl(eta, z).sum(1)

    def _evidence_points(self, eta: Tensor) -> Tensor:
        points = self.encoder.design(EVIDENCE_POINTS, self.shape.n_components, make_generator(0))
        return points.to(eta)

    def importance_bound(self, z: Tensor, n_samples: int, generator: torch.Generator) -> Tensor:
        """log (1/K) Σ_s p(x | h_s) p(h_s) / p(h_s | x), h_s ~ p(h | x), K samples: (n,).

        Burda et al. (2016): never below the evidence bound in expectation, and log p(x) in the
        limit. For a code without a prior it is log p(x | f(x)).
        """
        eta = self.encode(self.enter(z))
        if not self.encoder.stochastic:
            return self.log_prob(z, self.encoder.mean(eta)).sum(1) - self._log_volume_of(z)
        total = z.new_full((len(z),), -math.inf)
        size = (len(z), self.shape.n_components)
        for _ in range(n_samples):
            h = self.encoder.draw(eta, self.encoder.draw_noise(size, generator))
            weight = self.log_prob(z, h).sum(1) + self.encoder.log_ratio(h, eta)
            total = torch.logaddexp(total, weight)
        bound = total - math.log(n_samples) - self._log_volume_of(z)
        observed = self._observed(z)
        return bound if observed is None else bound.masked_fill(~observed.any(1), 0.0)

    @contextmanager
    def computing_in_half_precision(self, half: bool) -> Iterator[None]:
        """Networks in bfloat16 inside the block; weights and likelihood stay in float32."""
        before, self.half_precision = self.half_precision, half
        try:
            yield
        finally:
            self.half_precision = before
