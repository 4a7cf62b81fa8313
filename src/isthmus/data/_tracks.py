"""What is kept of one column while its rows go by, and the verdict on it.

The moments, up to `FEW` different integers and up to `MOST_LEVELS` levels: bounded, whatever the
number of rows. What a user claims of a column is checked against every cell.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from isthmus._errors import InvalidDataError, SupportError
from isthmus.data.cells import NUMERIC, Cells, Name
from isthmus.data.infer import count_family
from isthmus.data.running import Running
from isthmus.data.schema import LIKELIHOODS, MOST_LEVELS, Column, Schema, Stats

ENOUGH = 100
DIFFERENT = 0.95
FEW = 20
ROWS_PER_VALUE = 5
TEXT_MAY_BE = ("levels", "0 and 1")

Verdict = tuple[str, str, str]  # kind, likelihood, reason
Test = Callable[[NDArray[np.float64]], NDArray[np.bool_]]


@dataclass(frozen=True)
class Claim:
    """What an override says: a kind (None: the inferred one), a likelihood, and what cells need.

    ``likelihood`` is None where the data choose between Poisson and negative binomial.
    """

    kind: str | None
    likelihood: str | None
    needs: str
    test: Test


def _any(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.ones(len(x), dtype=np.bool_)


def _counts(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((x >= 0) & (x == np.floor(x)))


_NUMBER = "numbers"
_COUNT = "counts 0, 1, 2, …"
_UNIT = "numbers in [0, 1]"
CLAIMS: dict[str, Claim] = {
    "gaussian": Claim(None, "gaussian", _NUMBER, _any),
    "gaussian_ranked": Claim(None, "gaussian_ranked", _NUMBER, _any),
    "laplace": Claim(None, "laplace", _NUMBER, _any),
    "student_t": Claim(None, "student_t", _NUMBER, _any),
    "bernoulli": Claim("binary", "bernoulli", "0 and 1", lambda x: (x == 0) | (x == 1)),
    "continuous_bernoulli": Claim(
        None, "continuous_bernoulli", _UNIT, lambda x: (x >= 0) & (x <= 1)
    ),
    "categorical": Claim("categorical", "categorical", "levels", _any),
    "poisson": Claim("count", "poisson", _COUNT, _counts),
    "negative_binomial": Claim("count", "negative_binomial", _COUNT, _counts),
    "zero_inflated_negative_binomial": Claim(
        "count", "zero_inflated_negative_binomial", _COUNT, _counts
    ),
    "real": Claim("real", "gaussian", _NUMBER, _any),
    "positive": Claim("positive", "gaussian", "numbers above 0", lambda x: x > 0),
    "count": Claim("count", None, _COUNT, _counts),
    "ordinal": Claim("ordinal", "gaussian", "integers", lambda x: x == np.floor(x)),
    "binary": Claim("binary", "bernoulli", "0 and 1", lambda x: (x == 0) | (x == 1)),
}
assert set(LIKELIHOODS) < set(CLAIMS)


class Track:
    """What is kept of one column."""

    def __init__(self, name: Name, claim: Claim | None) -> None:
        self.name = name
        self.claim = claim
        self.coded = claim is not None and claim.likelihood == "categorical"
        self.family = self.dtype = "missing"
        self.observed = self.missing = 0
        self.eps = 0.0
        self.example: tuple[Any, int] = (None, 0)
        self.numbers = Running()
        self.few: set[float] | None = set()
        self.levels: dict[str, int] = {}
        self.crowded = False

    def add(self, cells: Cells, first_row: int) -> None:
        if cells.family != "missing":
            self._settle(cells, first_row)
            if self.coded:
                self._add_labels(cells, first_row)
            else:
                self._add_numbers(cells, first_row)
        else:
            self.missing += len(cells)

    def _settle(self, cells: Cells, first_row: int) -> None:
        """Decide what the column holds, and refuse a part that holds something else."""
        told = self.claim is not None and self.claim.likelihood == "categorical"
        if cells.family == "mixed" and not told:
            refuse_mixed(self.name, [(value, first_row + row) for value, row in cells.oddity])
        value, row = cells.first()
        if self.family == "missing":
            self.family, self.dtype = cells.family, cells.dtype
            self.example = (value, first_row + row)
            self.coded = told or cells.family == "text"
            if cells.family == "text" and self.claim and self.claim.needs not in TEXT_MAY_BE:
                refuse_value(self.name, self.example, self.claim)
        elif self.family in NUMERIC and cells.family in NUMERIC:
            self.family = "bool" if self.family == cells.family == "bool" else "number"
        elif cells.family != self.family and not told:
            refuse_mixed(self.name, [self.example, (value, first_row + row)])

    def _add_numbers(self, cells: Cells, first_row: int) -> None:
        values = cells.numbers(first_row)
        holes = cells.missing
        seen = values[~holes] if holes.any() else values
        if self.claim is not None:
            wrong = ~self.claim.test(seen)
            if wrong.any():
                row = int(np.flatnonzero(~holes)[wrong.argmax()])
                refuse_value(self.name, (cells.value(row), first_row + row), self.claim)
        self.observed += len(seen)
        self.missing += len(values) - len(seen)
        self.eps = max(self.eps, _rounding(cells.dtype))
        self.numbers.add(seen)
        self._add_few(seen)

    def _add_few(self, seen: NDArray[np.float64]) -> None:
        if not self.numbers.integral:
            self.few = None
        for part in (seen[:1000], seen[1000:]):  # most columns give up at the first glance
            if self.few is not None:
                self.few |= set(pc.unique(pa.array(part)).to_pylist())
                self.few = self.few if len(self.few) <= FEW else None

    def _add_labels(self, cells: Cells, first_row: int) -> None:
        codes, texts = cells.labels()
        new = np.full(len(texts) + 1, -1)
        for code, text in enumerate(texts):
            if text in self.levels or len(self.levels) < MOST_LEVELS:
                new[code] = self.levels.setdefault(text, len(self.levels))
        present = new[codes][codes >= 0]
        self.missing += len(codes) - len(present)
        self.observed += len(present)
        self.numbers.add(present[present >= 0].astype(np.float64))
        self.crowded = self.crowded or bool((new[:-1] < 0).any())
        if self.claim and self.claim.needs == "0 and 1" and len(self.levels) > 2:
            row = int((new[codes] == 2).argmax())
            refuse_value(self.name, (list(self.levels)[2], first_row + row), self.claim)

    # ---- the verdict ------------------------------------------------------------------------

    def column(self, keep: bool) -> Column:
        """The column of all cells seen; ``keep`` takes an identifier for what it holds."""
        kind, likelihood, reason = self._verdict(keep)
        if self.crowded and (keep or self.claim):
            raise InvalidDataError(
                f"Column {self.name!r} has more than {MOST_LEVELS} different values, the most "
                "that a category can have. Drop it, or group its values."
            )
        return Column(
            name=self.name,
            kind=kind,
            likelihood=likelihood,
            stats=self._stats(),
            levels=tuple(self.levels) if self.coded else (),
            dtype=self.dtype,
            family=self.family,
            integral=not self.coded and self.observed > 0 and self.numbers.integral,
            reason=reason,
        )

    def _verdict(self, keep: bool) -> Verdict:
        found = self._kind()
        if self.claim is not None:
            return self._as_told(self.claim, found)
        why = self._identifier()
        if why is None:
            return found
        kind, likelihood, _ = found
        return (kind, likelihood, f"{why}; kept") if keep else ("identifier", likelihood, why)

    def _as_told(self, claim: Claim, found: Verdict) -> Verdict:
        kind, _, reason = found
        likelihood = claim.likelihood
        if likelihood is None:
            more = self.observed > 0 and self._counting() == "negative_binomial"
            likelihood = "negative_binomial" if more else "poisson"
        if kind in ("constant", "missing") or (claim.kind is None and kind == "date"):
            return kind, likelihood, f"{reason}; {likelihood} as told"
        plain = kind if kind in ("real", "positive", "ordinal") else self._sign()
        return claim.kind or plain, likelihood, "as told"

    def _kind(self) -> Verdict:
        """Kind, likelihood and reason, if it is no identifier and nobody said anything."""
        if not self.observed:
            return "missing", "categorical" if self.coded else "gaussian", "no cell is observed"
        if self.coded:
            return self._text_kind()
        if self.numbers.constant(self.eps):
            name = "bernoulli" if self.family == "bool" else "gaussian"
            return "constant", name, "one value throughout"
        if self.family == "bool":
            return "binary", "bernoulli", "booleans"
        if self.family == "date":
            return "date", "gaussian", "days since 1970-01-01"
        if self.family == "duration":
            return "real", "gaussian", "in days"
        return self._number_kind()

    def _text_kind(self) -> Verdict:
        several = len(self.levels) > 1
        what = f"{len(self.levels)} levels" if several else "one level throughout"
        return "categorical" if several else "constant", "categorical", what

    def _number_kind(self) -> Verdict:
        found = self.numbers
        if not found.integral:
            return self._sign(), "gaussian", "not all are integers"
        if found.low >= 0 and found.high <= 1:
            return "binary", "bernoulli", "only 0 and 1"
        if found.low >= 0 and self._counting() != "gaussian":
            more = self._counting() == "negative_binomial"
            return "count", self._counting(), f"varies {'more than' if more else 'like'} a Poisson"
        if self.few is not None and self.observed >= ROWS_PER_VALUE * len(self.few):
            return "ordinal", "gaussian", f"{len(self.few)} different integers, ordered"
        return self._sign(), "gaussian", "integers, but not like counts"

    def _sign(self) -> str:
        return "positive" if self.observed and self.numbers.low > 0 else "real"

    def _counting(self) -> str:
        """The rule book of whole matrices, read for the observed cells of one column."""
        if self.numbers.constant(self.eps):
            return "gaussian"
        summary = Schema((Column(self.name, "real", "gaussian", self._stats()),)).summary()
        return count_family(replace(summary, n_rows=self.observed), np.array([0]))

    def _identifier(self) -> str | None:
        """Why the column looks like an identifier, or None."""
        if self.observed < ENOUGH:
            return None
        if not self.coded:
            rising = self.numbers.integral and self.numbers.increasing and not self.missing
            number = self.family == "number"
            return "its integers increase from row to row" if rising and number else None
        if self.crowded:
            return f"it has more than {MOST_LEVELS} different values"
        if len(self.levels) < DIFFERENT * self.observed:
            return None
        return f"{len(self.levels)} of its {self.observed} values are different"

    def _stats(self) -> Stats:
        found = self.numbers
        if not found.n:
            return Stats(self.observed, self.missing)
        return Stats(self.observed, self.missing, found.mean, found.std, found.low, found.high)


def _rounding(dtype: str) -> float:
    """The relative rounding of computed numbers; half precision is too coarse to tell."""
    return {"float": 2.0**-23, "double": 2.0**-52}.get(dtype, 0.0)


def refuse_mixed(name: Name, found: list[tuple[Any, int]]) -> NoReturn:
    """Refuse a column that holds values of several kinds, by two of them and their rows."""
    shown = " and ".join(f"{value!r} in row {row}" for value, row in found)
    raise InvalidDataError(
        f"Column {name!r} holds values of different kinds: {shown}. Make them one kind, or say "
        f"{{{name!r}: 'categorical'}} to take each by its text."
    )


def refuse_value(name: Name, found: tuple[Any, int], claim: Claim) -> NoReturn:
    """Refuse an override for the first cell that contradicts it."""
    value, row = found
    said = claim.likelihood or claim.kind
    raise SupportError(
        f"Column {name!r} was said to be {said!r}, which needs {claim.needs}, but row {row} is "
        f"{value!r}. Choose what fits it, such as "
        f"{'categorical' if isinstance(value, str) else 'gaussian'!r}."
    )
