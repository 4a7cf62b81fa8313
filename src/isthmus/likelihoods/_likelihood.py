"""What every p(x | h) answers.

The decoder emits η, the *natural description* of a distribution over one row x of d features; the
likelihood says how many numbers η has, what they mean, and what follows from them. Features are
independent given h, so every log-probability is a sum over features:

    log p(x | h) = Σ_j log p(x_j | η_j(h))

Vocabulary used in every docstring of this room: n rows, d features, K levels. η is a tuple with
one tensor per parameter: ``(n, d)`` where the parameter is predicted from the row's code,
``(d,)`` or ``(1,)`` where it is one number per feature or one for all, ``(n, d, K)`` where a
parameter has K numbers per feature. All log-probabilities are in nats with every constant kept.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._errors import InvalidParameterError, SupportError
from isthmus._registry import is_real
from isthmus.sparse import Batch, SparseBatch

Eta = tuple[Tensor, ...]
Scaling = Literal["feature", "common", "rank", "none"]
Entry = Literal["identity", "log1p", "one_hot", "table"]
Divisor = float | Tensor


@dataclass(frozen=True)
class Parameter:
    """One parameter of the distribution of a feature.

    Attributes:
        name: What it is, such as ``"mean"`` or ``"log_scale"``.
        varies: ``"row"``: predicted by the decoder; ``"feature"`` / ``"shared"``: learned, one
            number per feature / one for all; ``"fixed"``: given by the user, never learned.
        width: How many numbers it has per feature (K logits for a category of K levels).
        covers: How many features it belongs to; None for all d of them.
    """

    name: str
    varies: str = "row"
    width: int = 1
    covers: int | None = None

    def shape(self, n_features: int) -> tuple[int, ...]:
        """The shape of its constant, the same for all rows, in data of d features."""
        whole = self.varies in ("row", "feature")
        size = self.covers or (n_features if whole else 1)
        return (size,) if self.width == 1 else (size, self.width)


@dataclass(frozen=True)
class Support:
    """The values that can have positive probability.

    Attributes:
        description: The set in words, for error messages: "counts 0, 1, 2, …".
        contains: A function from an array (n, d) to a boolean array (n, d); NaN is never inside.
        advice: A sentence for those whose data are fractions, in place of the usual one.
    """

    description: str
    contains: Callable[[NDArray[Any]], NDArray[np.bool_]]
    advice: str | None = None


@dataclass(frozen=True)
class Traits:
    """What a likelihood is, as data.

    Attributes:
        parameters: The parameters in the order in which η holds them.
        support: Where x may lie.
        scaling: How the data are scaled before the likelihood sees them: each column by its own
            standard deviation, all by one common number, each by its ranks (see
            `isthmus.ranks`), or not at all.
        entry: How the encoder sees x: as it is, log(1 + x), one 0/1 column per level, or each
            column of a table in its own way.
        factorised: Whether a feature has a probability by itself, so that a missing one can be
            left out; not so where the row's total is given.
        columns: The traits of each column by itself where they differ; then NaN is a cell that
            was not observed, and its log-probability is 0.
    """

    parameters: tuple[Parameter, ...]
    support: Support
    scaling: Scaling = "none"
    entry: Entry = "identity"
    factorised: bool = True
    columns: "tuple[Traits, ...] | None" = None

    @property
    def outputs(self) -> int:
        """Network outputs per feature: the numbers that the decoder predicts from the code."""
        return sum(p.width for p in self.parameters if p.varies == "row")

    def width(self, n_features: int) -> int:
        """Network outputs for d features."""
        return sum(
            (p.covers or n_features) * p.width for p in self.parameters if p.varies == "row"
        )


class Likelihood(ABC):
    """p(x | h): the object that fixes output units, loss, samples and every reported number.

    Members are frozen dataclasses without weights. Values of x and η are in the units in which
    the network works, that is after the scaling named in `traits`.

    Attributes:
        reads_sparse: Whether `_nll` and `_slope` take a `SparseBatch` as it is; for other members
            it is made dense.
    """

    reads_sparse: ClassVar[bool] = False

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """Parameters, support, scaling and entry of this member."""

    @abstractmethod
    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """The best constant: the η, the same for every row, that maximises Σ log p(x).

        It is the output bias at step 0.

        Args:
            x: Data (n, d) in float64, n ≥ 1.
            unit: The common number by which the data were divided (1 unless scaling is
                ``"common"``), for parameters that the user fixed in the data's own units; one
                for each column, (d,), where columns are divided by their own.

        Returns:
            One float64 tensor per parameter: ``(d,)`` (or ``(d, K)``) for ``"row"`` and
            ``"feature"``, ``(1,)`` for ``"shared"`` and ``"fixed"``.
        """

    @abstractmethod
    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        """log p(x_j | η_j), (n, d), in at least float32."""

    @abstractmethod
    def _mean(self, eta: Eta) -> Tensor:
        """E[x_j | η_j], (n, d)."""

    @abstractmethod
    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        """One draw of x for each row of η, (n, d)."""

    def log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        """log p(x_j | η_j) in nats, all constants kept.

        Args:
            x: Data (n, d).
            eta: One tensor per parameter. Half-precision tensors are computed with in float32.

        Returns:
            Tensor (n, d). Its row sums are log p(x | h).
        """
        return self._log_prob(_full(x), tuple(map(_full, eta)))

    def nll(self, x: Batch, eta: Eta) -> Tensor:
        """−log p(x | h) = −Σ_j log p(x_j | η_j) for each row, (n,): what training minimises.

        Equal to the row sums of `log_prob`; a member may reach them in fewer passes over x.
        """
        return self._nll(self._read(x), tuple(map(_full, eta)))

    def _read(self, x: Batch) -> Any:
        """x as `_nll` and `_slope` take it."""
        if not isinstance(x, SparseBatch):
            return _full(x)
        return x.map(_full) if self.reads_sparse else _full(x.dense())

    def _nll(self, x: Tensor, eta: Eta) -> Tensor:
        return -self._log_prob(x, eta).sum(1)

    @torch.no_grad()
    def slope(self, x: Batch, eta: Eta, weight: float = 1.0) -> tuple[Tensor, Eta]:
        """`nll`, and the slope of its weighted sum over rows in every number of η.

        Members with a closed form give it in a few passes; for others torch differentiates.

        Args:
            x: Data (n, d).
            eta: As in `log_prob`.
            weight: w, of every row.

        Returns:
            −log p(x | h) for each row, (n,), and ∂(w Σ_i nll_i)/∂η, of the shapes of η.
        """
        return self._slope(self._read(x), tuple(map(_full, eta)), weight)

    def _by_cell(self, x: Tensor, eta: Eta) -> tuple[Tensor, Eta] | None:
        """−log p(x_j | η_j), (n, d), and its slope in each number that cell j is given.

        None without a closed form. A slope may have any shape that spreads to (n, d).
        """
        return None

    def _slope(self, x: Tensor, eta: Eta, weight: float) -> tuple[Tensor, Eta]:
        cells = self._by_cell(x, eta)
        if cells is not None:
            return _summed(cells, eta, None, weight)
        with torch.enable_grad():
            leaves = tuple(part.detach().requires_grad_() for part in eta)
            nll = self._nll(x, leaves)
            slopes = torch.autograd.grad(weight * nll.sum(), leaves, materialize_grads=True)
        return nll.detach(), slopes

    def _slope_of_cells(
        self, x: Tensor, eta: Eta, missing: Tensor, weight: float
    ) -> tuple[Tensor, Eta]:
        """As `_slope` where missing cells don't count; x is any value of the support there."""
        found = self._by_cell(x, eta)
        if found is not None:
            return _summed(found, eta, missing, weight)
        if any(p.varies != "row" for p in self.traits.parameters):
            with torch.enable_grad():
                leaves = tuple(part.detach().requires_grad_() for part in eta)
                nll = -self._log_prob(x, leaves).masked_fill(missing, 0.0).sum(1)
                slopes = torch.autograd.grad(weight * nll.sum(), leaves, materialize_grads=True)
            return nll.detach(), slopes
        # each cell as a row of its own, so that its part can be left out of every sum
        cells = tuple(part.flatten(0, 1).unsqueeze(1) for part in eta)
        nll, slopes = self._slope(x.reshape(-1, 1), cells, weight)
        clear = missing.reshape(-1, 1)
        return nll.view_as(x).masked_fill(missing, 0.0).sum(1), tuple(
            slope.masked_fill(clear, 0.0).view_as(part)
            for slope, part in zip(slopes, eta, strict=True)
        )

    def mean(self, eta: Eta) -> Tensor:
        """E[x | η], (n, d); for categories, which have no mean, the most probable level."""
        return self._mean(tuple(map(_full, eta)))

    def sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        """One draw from p(x | η), (n, d), with randomness from ``generator`` only."""
        return self._sample(tuple(map(_full, eta)), generator)

    def check(
        self, x: NDArray[Any], *, names: Sequence[str] | None = None, first_row: int = 0
    ) -> None:
        """Refuse data outside the support.

        Args:
            x: A block of rows (n, d), in the user's own units.
            names: The columns' names for the message; positions when None.
            first_row: The number of the block's first row in the whole data.

        Raises:
            SupportError: With the value, its row and column, and the likelihood that would fit.
        """
        support = self.traits.support
        outside = ~support.contains(x)
        if not outside.any():
            return
        missing = ~np.isfinite(x)
        row, column = np.argwhere(missing if missing.any() else outside)[0]
        name = repr(str(names[column])) if names is not None else str(column)
        self.refuse(x[row, column], f"row {first_row + row} of column {name}", x)

    def refuse(self, value: float, where: str, x: NDArray[Any]) -> NoReturn:
        """Refuse a value, with the likelihood that would fit data like x."""
        support = self.traits.support
        if not np.isfinite(x).all():
            advice = (
                "Only Columns takes missing values, and none takes infinite ones: impute them or "
                "drop the row."
            )
        elif support.advice and suggest(x) == "continuous_bernoulli":
            advice = support.advice
        else:
            advice = f"For data like these use likelihood={suggest(x)!r}."
        raise SupportError(
            f"{type(self).__name__} needs {support.description}, but {where} is {value}. {advice}"
        )


def _summed(
    cells: tuple[Tensor, Eta], eta: Eta, missing: Tensor | None, weight: float
) -> tuple[Tensor, Eta]:
    """What `Likelihood._slope` gives, from what `Likelihood._by_cell` gives."""
    nll, slopes = cells
    if missing is not None:
        nll = nll.masked_fill(missing, 0.0)
        slopes = tuple(slope.masked_fill(missing, 0.0) for slope in slopes)
    whole = (
        slope.expand_as(nll).sum_to_size(p.shape) for slope, p in zip(slopes, eta, strict=True)
    )
    return nll.sum(1), tuple(slope * weight for slope in whole)


def suggest(x: NDArray[Any]) -> str:
    """The name of a likelihood whose support holds all of x, which is finite."""
    if not (x >= 0).all():
        return "gaussian"
    if (x == np.floor(x)).all():
        return "bernoulli" if x.max() <= 1 else "poisson"
    return "continuous_bernoulli" if x.max() <= 1 else "gaussian"


def _full(x: Tensor) -> Tensor:
    """x in float32 if it is narrower or holds integers, else as it is."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def require_scale(name: str, scale: str, floor: float) -> None:
    """Refuse a place for a learned scale that doesn't exist, or a floor that is no fraction."""
    if scale not in ("feature", "shared", "row"):
        raise InvalidParameterError(
            f"{name}'s scale must be 'feature', 'shared' or 'row'; got {scale!r}."
        )
    if not (is_real(floor) and 0 < floor < 1):
        raise InvalidParameterError(f"{name}'s floor must lie in (0, 1); got {floor!r}.")


def scaling_of(scale: str) -> Scaling:
    """A scale per column makes columns equivariant; one for all keeps their geometry."""
    return "feature" if scale in ("feature", "row") else "common"


def _is_unit(x: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray((x >= 0) & (x <= 1))


def _is_count(x: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray((x >= 0) & (x == np.floor(x)) & np.isfinite(x))


def is_level(highest: Any, x: NDArray[Any]) -> NDArray[np.bool_]:
    """Which cells are whole numbers from 0 to the highest, of all columns or of each, (d,)."""
    return np.asarray((x >= 0) & (x <= highest) & (x == np.floor(x)))


# named functions, for a model with a lambda in it can't be pickled
REAL = Support("finite real numbers", np.isfinite)
UNIT = Support("numbers in [0, 1]", _is_unit)
COUNTS = Support("counts 0, 1, 2, …", _is_count)
