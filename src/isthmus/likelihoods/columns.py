"""Tables: a likelihood for each column, and cells that were not observed.

    log p(x | h) = Σ_{j observed} log p_j(x_j; η_j(h))

A NaN is a cell that nobody saw. Given h the columns are independent, so leaving its term out is
the integral over all that it could have been: what is left is the exact log-density of the
observed cells (Little and Rubin, 1987, "missing at random").

Nothing is shared between columns: one scale for all features means, in a table, one for each, and
a σ that is fixed stays in the units of its own column. So columns may change places, and each may
be rescaled, without a change to the others.

**Groups.** Columns of equal parts are computed together, so that 2,000 columns cost as many tensor
operations as two. Categories of K levels are computed together with others of up to P ≥ K, with
−∞ for the logits that they have not; the padding at most doubles the logits.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from itertools import islice
from math import inf
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._errors import InvalidParameterError, UnsupportedTypeError
from isthmus.likelihoods._likelihood import (
    Divisor,
    Eta,
    Likelihood,
    Parameter,
    Support,
    Traits,
)
from isthmus.likelihoods.categorical import Categorical
from isthmus.likelihoods.gaussian import Gaussian

FEW_LEVELS = 64
MOST_SHOWN = 8


@dataclass(frozen=True, repr=False)
class Columns(Likelihood):
    """x_j ~ parts[j] for each column j; NaN is a cell that was not observed.

    Args:
        parts: One likelihood per column, in the columns' order. ``Categorical()`` counts the
            levels of its column at fit.

    Raises:
        InvalidParameterError: No parts, or one whose columns have no probability by themselves.
        UnsupportedTypeError: A part that is no likelihood.

    Example:
        >>> Columns((Gaussian(), Categorical(3))).traits.width(2)
        4
    """

    parts: tuple[Likelihood, ...]

    def __post_init__(self) -> None:
        if isinstance(self.parts, str | Likelihood) or not isinstance(self.parts, Sequence):
            raise UnsupportedTypeError(
                f"Columns takes a tuple with one likelihood per column; got {self.parts!r}."
            )
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts:
            raise InvalidParameterError("Columns needs one likelihood per column; got none.")
        for part in set(map(_hashable, self.parts)):
            _require_part(part)

    def __repr__(self) -> str:
        counts = Counter(self.parts)
        shown = [f"{count} × {part!r}" for part, count in counts.items()][:MOST_SHOWN]
        more = f", {len(counts) - MOST_SHOWN} more kinds" if len(counts) > MOST_SHOWN else ""
        return f"Columns({', '.join(shown)}{more})"

    def __reduce__(self) -> tuple[type["Columns"], tuple[tuple[Likelihood, ...]]]:
        return Columns, (self.parts,)

    @property
    def traits(self) -> Traits:
        """The parameters of all groups, one after the other, and the traits of each column.

        Raises:
            InvalidParameterError: The levels of a category have not been counted yet.
        """
        return self._traits

    @cached_property
    def _traits(self) -> Traits:
        known = {part: part.traits for part in set(self.parts)}
        columns = tuple(known[part] for part in self.parts)
        return Traits(
            parameters=tuple(p for i, group in enumerate(self._groups) for p in group.named(i)),
            support=Support("values that each column's likelihood takes", self._contains),
            scaling="feature" if any(c.scaling != "none" for c in columns) else "none",
            entry="table",
            columns=columns,
        )

    @cached_property
    def _groups(self) -> "tuple[_Group, ...]":
        return tuple(_grouped(self.parts))

    @cached_property
    def _order(self) -> Tensor:
        """The columns, group by group."""
        return torch.tensor([column for group in self._groups for column in group.columns])

    @cached_property
    def _inverse(self) -> Tensor:
        return self._order.argsort()

    @cached_property
    def _in_order(self) -> bool:
        return bool((self._order == torch.arange(len(self.parts))).all())

    def _by_group(self, eta: Eta) -> "Iterator[tuple[_Group, Eta]]":
        """Each group with its own parameters."""
        parameters = iter(eta)
        for group in self._groups:
            yield group, group.limited(tuple(islice(parameters, group.n_parameters)))

    def _in_users_order(self, blocks: list[Tensor]) -> Tensor:
        joined = torch.cat(blocks, -1)
        return (
            joined if self._in_order else joined.index_select(-1, self._inverse.to(joined.device))
        )

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """The best constant of each column by itself, over its observed cells.

        A column without any starts where its kind is vague: at mean 0 and scale 1 of the scaled
        data, at equal frequencies of all levels, at one half.
        """
        units = torch.as_tensor(unit, dtype=x.dtype, device=x.device).expand(x.shape[1])
        return tuple(
            part
            for group in self._groups
            for part in group.start(x[:, list(group.columns)], units[list(group.columns)])
        )

    def _cells(self, x: Tensor, eta: Eta) -> Tensor:
        """log p of all cells, group by group, with 0 for those that are missing."""
        if not self._in_order:
            x = x.index_select(1, self._order.to(x.device))
        missing = x.isnan()
        # filled first and cleared afterwards: a NaN would reach the gradient through a product
        blocks = x.masked_fill(missing, 0.0).split([len(g.columns) for g in self._groups], 1)
        found = [
            group.part.log_prob(block, own)
            for block, (group, own) in zip(blocks, self._by_group(eta), strict=True)
        ]
        return torch.cat(found, 1).masked_fill(missing, 0.0)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        return self._in_users_order([self._cells(x, eta)])

    def _nll(self, x: Tensor, eta: Eta) -> Tensor:
        return -self._cells(x, eta).sum(1)

    def _slope(self, x: Tensor, eta: Eta, weight: float) -> tuple[Tensor, Eta]:
        if not self._in_order:
            x = x.index_select(1, self._order.to(x.device))
        missing = x.isnan()
        sizes = [len(group.columns) for group in self._groups]
        blocks = zip(
            x.masked_fill(missing, 0.0).split(sizes, 1), missing.split(sizes, 1), strict=True
        )
        nll, slopes = x.new_zeros(len(x)), []
        for (group, own), (block, holes) in zip(self._by_group(eta), blocks, strict=True):
            found, slope = group.slope(block, own, holes, weight)
            nll += found
            slopes += slope
        return nll, tuple(slopes)

    def _mean(self, eta: Eta) -> Tensor:
        return self._in_users_order([g.part.mean(own) for g, own in self._by_group(eta)])

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        return self._in_users_order(
            [group.part.sample(own, generator) for group, own in self._by_group(eta)]
        )

    def _contains(self, x: NDArray[Any]) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = np.isnan(x)
        for group in self._groups:
            inside[:, group.columns] |= group.contains(x[:, group.columns])
        return inside

    def check(
        self, x: NDArray[Any], *, names: Sequence[str] | None = None, first_row: int = 0
    ) -> None:
        """Refuse a value that its column's likelihood can't have; NaN is none.

        Raises:
            SupportError: With the value, its row and column, and the likelihood that would fit.
        """
        outside = ~self._contains(x)
        if not outside.any():
            return
        row, column = np.argwhere(outside)[0]
        name = repr(str(names[column])) if names is not None else str(column)
        values = x[:, column]
        self.parts[column].refuse(
            values[row], f"row {first_row + row} of column {name}", values[~np.isnan(values)]
        )


@dataclass(frozen=True, eq=False)
class _Group:
    """Columns that are computed together.

    Attributes:
        part: A likelihood for them all.
        columns: Their numbers.
        levels: How many levels each of them has, if they are categories.
    """

    part: Likelihood
    columns: tuple[int, ...]
    levels: tuple[int, ...] | None = None

    @cached_property
    def n_parameters(self) -> int:
        """How many tensors of η are theirs."""
        return len(self.part.traits.parameters)

    def named(self, number: int) -> list[Parameter]:
        """The parameters of the part, for these columns only."""
        return [
            replace(p, name=f"{p.name}_{number}", covers=len(self.columns))
            for p in self.part.traits.parameters
        ]

    @cached_property
    def _excess(self) -> Tensor | None:
        """Which logits a column hasn't, (m, P) booleans."""
        if self.levels is None or len(set(self.levels)) == 1:
            return None
        return torch.arange(max(self.levels)) >= torch.tensor(self.levels).unsqueeze(1)

    def limited(self, eta: Eta) -> Eta:
        """η with a logit of −∞ for each level that a column hasn't."""
        if self._excess is None:
            return eta
        return (eta[0].masked_fill(self._excess.to(eta[0].device), -inf),)

    @cached_property
    def _of_cells(self) -> Likelihood | None:
        """The part with all of η for each cell, if its slope is as cheap so."""
        varies = {p.varies for p in self.part.traits.parameters}
        if isinstance(self.part, Gaussian) and self.part.scale == "feature":
            return replace(self.part, scale="row")
        return self.part if varies == {"row"} else None

    def slope(
        self, x: Tensor, eta: Eta, missing: Tensor, weight: float
    ) -> tuple[Tensor, list[Tensor]]:
        """As `Likelihood.slope`, for cells x (n, m) of which some don't count."""
        if self._of_cells is None:
            with torch.enable_grad():
                leaves = [part.detach().requires_grad_() for part in eta]
                cells = self.part.log_prob(x, tuple(leaves)).masked_fill(missing, 0.0)
                nll = -cells.sum(1)
                slopes = torch.autograd.grad(weight * nll.sum(), leaves, materialize_grads=True)
            return nll.detach(), list(slopes)
        # each cell as a row of its own, so that its part can be left out of every sum
        rows = tuple(
            part.expand(*x.shape, *part.shape[2:]).flatten(0, 1).unsqueeze(1) for part in eta
        )
        nll, found = self._of_cells.slope(x.reshape(-1, 1), rows, weight)
        summed = []
        for part, slope in zip(eta, found, strict=True):
            whole = slope.view(*x.shape, *part.shape[2:])
            hole = missing.unsqueeze(2) if part.ndim == 3 else missing
            whole = whole.masked_fill_(hole, 0.0)
            summed.append(whole if part.ndim > 1 else whole.sum(0))
        return nll.view(x.shape).masked_fill(missing, 0.0).sum(1), summed

    def contains(self, x: NDArray[Any]) -> NDArray[np.bool_]:
        """Which values are in the support, (n, m)."""
        inside = self.part.traits.support.contains(x)
        return inside if self.levels is None else inside & (x < np.array(self.levels))

    def start(self, x: Tensor, units: Tensor) -> Eta:
        """The best constants of these columns, (m, …): those with equally many cells at a time."""
        observed = ~x.isnan()
        counts = observed.sum(0)
        shapes = [p.shape(len(counts)) for p in self.named(0)]
        eta = tuple(torch.zeros(shape, dtype=x.dtype) for shape in shapes)
        for count in counts.unique().tolist():
            place = (counts == count).nonzero().squeeze(1)
            # columns are independent, so their cells need not stand in the same rows
            cells = x[:, place].T[observed[:, place].T].view(len(place), -1).T
            if not count:
                cells = self._vague.to(x.dtype).unsqueeze(1).expand(-1, len(place))
            for whole, own in zip(eta, self.part.start(cells, units[place]), strict=True):
                whole[place] = own
        return eta

    @property
    def _vague(self) -> Tensor:
        """Values that stand for a column without any."""
        if self.levels is not None:
            return torch.arange(max(self.levels))
        return torch.tensor([0, 1] if self.part.traits.scaling == "none" else [-1, 1])


def _grouped(parts: Sequence[Likelihood]) -> Iterator[_Group]:
    """Equal parts together, and categories in buckets of similar numbers of levels."""
    equal: dict[Likelihood, list[int]] = {}
    categories: list[tuple[int, int]] = []
    for column, part in enumerate(parts):
        if isinstance(part, Categorical):
            categories.append((part.traits.outputs, column))
        else:
            equal.setdefault(_by_itself(part), []).append(column)
    for part, columns in equal.items():
        yield _Group(part, tuple(columns))
    for bucket in _buckets(categories):
        levels, numbers = zip(*sorted(bucket, key=lambda pair: pair[1]), strict=True)
        yield _Group(Categorical(max(levels)), numbers, levels)


def _buckets(categories: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Pairs (levels, column), widest first, where padding to the widest at most doubles the sum.

    Many levels stand with no fewer than half as many; few stand together while the sum allows it.
    """
    bucket: list[tuple[int, int]] = []
    total = 0
    for levels, column in sorted(categories, key=lambda pair: (-pair[0], pair[1])):
        widest = bucket[0][0] if bucket else levels
        padded = widest * (len(bucket) + 1)
        fits = 2 * levels >= widest or (widest <= FEW_LEVELS and padded <= 2 * (total + levels))
        if not fits:
            yield bucket
            bucket, total = [], 0
        bucket.append((levels, column))
        total += levels
    if bucket:
        yield bucket


def _by_itself(part: Likelihood) -> Likelihood:
    """The part for one column: what it shares between features is the column's own."""
    own: Any = part
    names = [field.name for field in fields(own)] if is_dataclass(own) else []
    shared = {name: "feature" for name in names if getattr(own, name) == "shared"}
    return replace(own, **shared) if shared else part


def _hashable(part: Any) -> Any:
    try:
        hash(part)
    except TypeError as error:
        raise UnsupportedTypeError(
            f"Each part of Columns must be a likelihood, such as Gaussian(); got {part!r}."
        ) from error
    return part


def _require_part(part: Any) -> None:
    if not isinstance(part, Likelihood):
        raise UnsupportedTypeError(
            f"Each part of Columns must be a likelihood, such as Gaussian(); got {part!r} of "
            f"type {type(part).__name__}."
        )
    if isinstance(part, Columns):
        raise InvalidParameterError("A part of Columns can't be Columns itself; list its parts.")
    if getattr(part, "size", None) is not None:
        raise InvalidParameterError(
            f"{part!r} takes a row's total over all columns for its size, and a column has none "
            f"by itself, so it can't be a part of Columns. Use {type(part).__name__}() without "
            "size."
        )
    uncounted = isinstance(part, Categorical) and part.levels is None
    if not uncounted and not part.traits.factorised:
        raise InvalidParameterError(
            f"{part!r} gives a probability to all columns together and none to one of them, so "
            "it can't be a part of Columns. Use Poisson() or NegativeBinomial() for counts."
        )
