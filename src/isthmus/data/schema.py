"""What each column of a table is: kind, likelihood, levels, and what scaling needs.

| kind | a column of | likelihood |
|---|---|---|
| ``real`` | numbers, among them a negative or a zero; durations, in days | ``gaussian`` |
| ``positive`` | numbers above 0 | ``gaussian`` |
| ``count`` | integers ≥ 0 that vary like counts | ``poisson``, ``negative_binomial`` |
| ``ordinal`` | few different integers that are no counts: ratings, rooms | ``gaussian`` |
| ``binary`` | booleans, or 0 and 1 | ``bernoulli`` |
| ``categorical`` | text, categories, objects | ``categorical`` |
| ``date`` | dates and times, as days since 1970-01-01 | ``gaussian`` |
| ``constant`` | one value | as its values ask for |
| ``missing`` | nothing | ``gaussian`` |
| ``identifier`` | a name or number of the row | – |

`isthmus.data.infer` says what varies like counts.

An ordinal column stays a number. Its levels have an order, which a categorical likelihood forgets;
a mean of ratings means something; and a value that training never saw, an 11 where there were 1 to
10, must look strange to the model instead of missing. Where the numbers are codes without an
order, say ``"categorical"``.

An identifier says nothing about other rows, and a model that reads it learns the rows by heart.
`infer_schema` refuses it by name; only a description holds this kind.

Levels are kept by their text in the order in which the data showed them, so that calling them
otherwise changes no code and hence no score.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

from isthmus._errors import FileFormatError
from isthmus._registry import is_whole
from isthmus.data.cells import Name
from isthmus.data.summary import Summary

KINDS = (
    "real",
    "positive",
    "count",
    "ordinal",
    "binary",
    "categorical",
    "date",
    "constant",
    "missing",
    "identifier",
)
LIKELIHOODS = (  # those of one column, by the names of their registry
    "gaussian",
    "gaussian_ranked",
    "laplace",
    "student_t",
    "bernoulli",
    "continuous_bernoulli",
    "categorical",
    "poisson",
    "negative_binomial",
    "zero_inflated_negative_binomial",
)
MOST_LEVELS = 100_000
HEAD = ("column", "kind", "likelihood", "type", "missing", "values", "why")
SHOWN = 3


@dataclass(frozen=True)
class Stats:
    """The observed cells of a column, in the user's units; level codes for a category.

    Attributes:
        observed: How many cells are not missing.
        missing: How many are.
        mean: Their mean; 0 where nothing is observed, and so below.
        std: Their population standard deviation; exactly 0 where all are equal.
        minimum: The smallest.
        maximum: The largest.
    """

    observed: int
    missing: int
    mean: float = 0.0
    std: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: As the user calls it; the position in an array without names.
        kind: One of `KINDS`.
        likelihood: A name of the likelihoods' registry. Who has an object for this column
            (``StudentT(3)``) overrides the name by one that needs the same values, and uses the
            object.
        levels: The text of each level code; empty for columns of numbers.
        dtype: The type in which the cells came, for people.
        family: What the cells are read as: see `isthmus.data.cells`.
        integral: Whether all observed cells are integers.
        reason: Why this kind, in a few words.
        stats: What the observed cells are like.
    """

    name: Name
    kind: str
    likelihood: str
    stats: Stats
    levels: tuple[str, ...] = ()
    dtype: str = "double"
    family: str = "number"
    integral: bool = False
    reason: str = ""

    @property
    def coded(self) -> bool:
        """Whether the matrix holds level codes in place of numbers."""
        return self.likelihood == "categorical" or bool(self.levels)

    @property
    def n_levels(self) -> int:
        """K for a categorical likelihood: never below 2, whatever the data showed."""
        return max(2, len(self.levels))


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in the order of the matrix.

    Args:
        columns: One `Column` each.
    """

    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @property
    def names(self) -> tuple[Name, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def named(self) -> bool:
        """Whether the columns have names of their own; those of an array are positions."""
        return any(isinstance(name, str) for name in self.names)

    def summary(self) -> Summary:
        """Centre, spread and range of the columns as scaling wants them, without another pass."""

        def each(name: str) -> Any:
            return np.array([getattr(column.stats, name) for column in self.columns], np.float64)

        return Summary(
            n_rows=max((c.stats.observed + c.stats.missing for c in self.columns), default=0),
            mean=each("mean"),
            std=each("std"),
            minimum=each("minimum"),
            maximum=each("maximum"),
            constant=np.array([column.kind in ("constant", "missing") for column in self.columns]),
            integral_columns=np.array(
                [column.integral or column.coded for column in self.columns]
            ),
            n_observed=np.array([column.stats.observed for column in self.columns], np.int64),
        )

    def table(self) -> list[tuple[str, ...]]:
        """One line of words per column, under the titles of `HEAD`."""
        return [
            (
                str(column.name),
                column.kind,
                column.likelihood,
                column.dtype,
                str(column.stats.missing),
                _values(column),
                column.reason,
            )
            for column in self.columns
        ]

    def card(self) -> dict[str, Any]:
        """The schema as plain JSON."""
        return {"columns": [_column_card(column) for column in self.columns]}

    @classmethod
    def from_card(cls, card: Any) -> "Schema":
        """The schema that `card` described; nothing in it is believed.

        Raises:
            FileFormatError: A part is missing, of another type, or contradicts another.
        """
        listed = card.get("columns") if isinstance(card, Mapping) else None
        if not isinstance(listed, list) or not listed:
            raise FileFormatError("The card of a schema has no list of columns.")
        schema = cls(tuple(_read_column(each, j) for j, each in enumerate(listed)))
        names = schema.names
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise FileFormatError(f"The card of a schema has two columns named {twice!r}.")
        return schema


def _values(column: Column) -> str:
    stats = column.stats
    if not stats.observed:
        return ""
    if column.coded:
        more = len(column.levels) - SHOWN
        ending = f", … {more} more" if more > 0 else ""
        return ", ".join(level[:20] for level in column.levels[:SHOWN]) + ending
    if column.family == "date":
        days = (stats.minimum, stats.maximum)
        return " to ".join(str(np.datetime64(0, "D") + int(np.floor(day))) for day in days)
    if stats.minimum == stats.maximum:
        return f"{stats.minimum:.6g}"
    return f"{stats.minimum:.6g} to {stats.maximum:.6g}, mean {stats.mean:.6g}"


def _column_card(column: Column) -> dict[str, Any]:
    return {**asdict(column), "levels": list(column.levels)}


def _read_column(card: Any, position: int) -> Column:
    try:
        _expect(isinstance(card, Mapping), "it is no object")
        _expect(set(card) == {field.name for field in fields(Column)}, f"it has {sorted(card)}")
        column = Column(
            **{**card, "stats": _read_stats(card["stats"]), "levels": _read_levels(card["levels"])}
        )
        _expect(isinstance(column.name, str) or is_whole(column.name), "its name is no name")
        _expect(column.kind in KINDS, f"there is no kind {column.kind!r}")
        _expect(column.likelihood in LIKELIHOODS, f"no column has {column.likelihood!r}")
        _expect(isinstance(column.integral, bool), "'integral' is neither true nor false")
        for part in (column.dtype, column.family, column.reason):
            _expect(isinstance(part, str), f"{part!r} is no text")
        highest = column.n_levels - 1
        coded = column.coded and column.stats.observed > 0
        _expect(not coded or bool(column.levels), "it has codes but no levels")
        _expect(not coded or 0 <= column.stats.minimum <= column.stats.maximum <= highest, "codes")
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"The card of a schema has a column {position} that can't be read: {error}."
        ) from error
    return column


def _read_stats(card: Any) -> Stats:
    _expect(isinstance(card, Mapping), "its stats are no object")
    stats = Stats(**card)
    for count in (stats.observed, stats.missing):
        _expect(is_whole(count) and count >= 0, f"{count!r} is no number of cells")
    for value in (stats.mean, stats.std, stats.minimum, stats.maximum):
        real = isinstance(value, float | int) and not isinstance(value, bool)
        _expect(real and isfinite(value), f"{value!r} is no finite number")
    _expect(stats.std >= 0, f"its std is {stats.std}")
    _expect(stats.minimum <= stats.mean <= stats.maximum, "its mean lies outside its range")
    return stats


def _read_levels(levels: Any) -> tuple[str, ...]:
    _expect(isinstance(levels, Sequence) and not isinstance(levels, str), "its levels are no list")
    _expect(len(levels) <= MOST_LEVELS, f"it has {len(levels)} levels")
    _expect(all(isinstance(level, str) for level in levels), "a level is no text")
    _expect(len(set(levels)) == len(levels), "two levels are equal")
    return tuple(levels)


def _expect(true: bool, otherwise: str) -> None:
    if not true:
        raise ValueError(otherwise)
