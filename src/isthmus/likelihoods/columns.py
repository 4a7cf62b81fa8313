"""Tables: a likelihood for each column, and cells that were not observed.

    log p(x | h) = Σ_{j observed} log p_j(x_j; η_j(h))

A NaN is a cell that nobody saw. Given h the columns are independent, so leaving its term out is
the integral over all that it could have been: what is left is the exact log-density of the
observed cells (Little and Rubin, 1987, "missing at random").

Nothing is shared between columns: one scale for all features means, in a table, one for each, and
a σ that is fixed stays in the units of its own column. So columns may change places, and each may
be rescaled, without a change to the others.

**Groups.** Columns of equal parts are computed together, so that 2,000 columns cost as many tensor
operations as two; and so are all categories, whatever their numbers of levels (see `_levels`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._errors import InvalidParameterError, UnsupportedTypeError
from isthmus.likelihoods._levels import Levels
from isthmus.likelihoods._likelihood import (
    Divisor,
    Eta,
    Likelihood,
    Parameter,
    Support,
    Traits,
)
from isthmus.likelihoods.categorical import Categorical
from isthmus.numerics import missing_cells

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
            yield group, tuple(islice(parameters, group.n_parameters))

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

    def _blocks(self, x: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """The cells of each group, with 0 for the missing ones; and which those are, (n, d)."""
        if not self._in_order:
            x = x.index_select(1, self._order.to(x.device))
        missing = missing_cells(x)
        # filled first and cleared afterwards: a NaN would reach the gradient through a product
        filled = x if missing is None else x.masked_fill(missing, 0.0)
        return list(filled.split(self._sizes, 1)), missing

    @cached_property
    def _sizes(self) -> list[int]:
        return [len(group.columns) for group in self._groups]

    def _cells(self, x: Tensor, eta: Eta) -> Tensor:
        """log p of all cells, group by group, with 0 for those that are missing."""
        blocks, missing = self._blocks(x)
        found = [
            group.part.log_prob(block, own)
            for block, (group, own) in zip(blocks, self._by_group(eta), strict=True)
        ]
        joined = torch.cat(found, 1)
        return joined if missing is None else joined.masked_fill(missing, 0.0)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        return self._in_users_order([self._cells(x, eta)])

    def _nll(self, x: Tensor, eta: Eta) -> Tensor:
        return -self._cells(x, eta).sum(1)

    def _slope(self, x: Tensor, eta: Eta, weight: float) -> tuple[Tensor, Eta]:
        blocks, missing = self._blocks(x)
        holes = [None] * len(blocks) if missing is None else missing.split(self._sizes, 1)
        nll = x.new_zeros(len(x))
        slopes: list[Tensor] = []
        for block, hole, (group, own) in zip(blocks, holes, self._by_group(eta), strict=True):
            if hole is None:
                found, slope = group.part._slope(block, own, weight)
            else:
                found, slope = group.part._slope_of_cells(block, own, hole, weight)
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
    """

    part: Likelihood
    columns: tuple[int, ...]

    @cached_property
    def n_parameters(self) -> int:
        """How many tensors of η are theirs."""
        return len(self.part.traits.parameters)

    def named(self, number: int) -> list[Parameter]:
        """The parameters of the part, for these columns only."""
        return [
            replace(p, name=f"{p.name}_{number}", covers=p.covers or len(self.columns))
            for p in self.part.traits.parameters
        ]

    def contains(self, x: NDArray[Any]) -> NDArray[np.bool_]:
        """Which values are in the support, (n, m)."""
        return self.part.traits.support.contains(x)

    def start(self, x: Tensor, units: Tensor) -> Eta:
        """The best constants of these columns, (m, …): those with equally many cells at a time."""
        if isinstance(self.part, Levels):
            return self.part.start(x)
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
        return torch.tensor([0, 1] if self.part.traits.scaling == "none" else [-1, 1])


def _grouped(parts: Sequence[Likelihood]) -> Iterator[_Group]:
    """Equal parts together, and all categories."""
    equal: dict[Likelihood, list[int]] = {}
    categories: list[int] = []
    for column, part in enumerate(parts):
        if isinstance(part, Categorical):
            categories.append(column)
        else:
            equal.setdefault(_by_itself(part), []).append(column)
    for part, columns in equal.items():
        yield _Group(part, tuple(columns))
    if categories:
        levels = tuple(parts[column].traits.outputs for column in categories)
        yield _Group(Levels(levels), tuple(categories))


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
