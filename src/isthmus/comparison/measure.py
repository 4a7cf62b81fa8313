"""Every representation with every judge, measured on the same rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from isthmus.analysis.labels import take
from isthmus.analysis.paired import Differences, accuracy_differences, r2_differences
from isthmus.comparison import judges
from isthmus.comparison.features import Raw
from isthmus.comparison.judges import JUDGES, Features, Judged, Task
from isthmus.comparison.labels import Labels
from isthmus.comparison.representations import Representation
from isthmus.comparison.rows import Parts
from isthmus.comparison.rule import Candidate, Verdict, decide
from isthmus.comparison.units import count_units, kept

Array = NDArray[Any]
Record = dict[str, Any]
Begin = Callable[[str], None]
N_COLUMNS = 5
SINGLE = 4


@dataclass(frozen=True, eq=False)
class Tried:
    """A representation and what the judges made of it.

    Attributes:
        representation: Itself.
        codes: Features of the test rows, (n, k).
        encode_seconds: For the test rows.
        n_bytes: Of the features of one row.
        judged: What each judge made of it; empty without labels.
    """

    representation: Representation
    codes: Array
    encode_seconds: float
    n_bytes: float
    judged: dict[str, Judged] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The judge that did best on validation rows, the first one of equals."""
        scores = {
            name: np.nan_to_num(each.validation, nan=-np.inf) for name, each in self.judged.items()
        }
        return max(scores, key=lambda name: scores[name])

    @property
    def chosen(self) -> Judged:
        """What this judge made."""
        return self.judged[self.best]


@dataclass(frozen=True, eq=False)
class Bench:
    """The rows on which everything is tried.

    Attributes:
        raw: Makes raw features.
        rows: All drawn rows.
        labels: Theirs; None for the half of the report that needs none.
        parts: Who learns, who chooses, who is measured.
        task: What the judges tell; None without labels.
    """

    raw: Raw
    rows: Any
    labels: Labels | None
    parts: Parts
    task: Task | None

    def try_out(self, each: Representation, n_bytes: float, begin: Begin) -> Tried:
        """One representation with all judges.

        Args:
            each: The representation.
            n_bytes: Of its features of one row.
            begin: Is told what begins.
        """
        test = take(self.rows, self.parts.test)
        codes, seconds = judges.timed(lambda: each.encode(test))
        if self.labels is None or self.task is None:
            return Tried(each, codes, seconds, n_bytes)
        train, validation = (take(self.rows, i) for i in (self.parts.train, self.parts.validation))
        inputs = [self._features(each, rows) for rows in (train, validation)]
        inputs.append(self._features(each, test, codes))
        judged = {}
        for name in JUDGES:
            begin(f"{each.name}: {name}")
            judged[name] = self._judge(each, name, inputs)
        return Tried(each, codes, seconds, n_bytes, judged)

    def _features(self, each: Representation, rows: Any, codes: Array | None = None) -> Features:
        plain = each.encode(rows) if codes is None else codes
        return Features(plain, self.raw.for_trees(rows) if each.name == "raw" else plain)

    def _judge(self, each: Representation, name: str, inputs: Sequence[Features]) -> Judged:
        assert self.labels is not None
        assert self.task is not None
        train, validation, test = (features.of(name) for features in inputs)
        is_raw = each.name == "raw"
        width = train.shape[1]
        coded = self.raw.coded if is_raw else np.zeros(width, bool)
        estimator = judges.make(name, self.task, len(train), width, raw=is_raw, coded=coded)
        values = self.labels.values
        return judges.judge(
            estimator,
            (train, values[self.parts.train]),
            (validation, values[self.parts.validation]),
            test,
        )

    @property
    def truth(self) -> Array:
        """The labels of the test rows."""
        assert self.labels is not None
        truth: Array = self.labels.values[self.parts.test]
        return truth

    def score(self, told: Array) -> float:
        """Accuracy or R² of predictions of the test rows."""
        assert self.labels is not None
        if self.labels.numeric:
            return float(r2_score(self.truth, told))
        return float(np.mean(told == self.truth))

    def differences(self, others: Sequence[Array], reference: Array) -> Differences:
        """Simultaneous intervals of differences between predictions of the test rows."""
        assert self.labels is not None
        if self.labels.numeric:
            return r2_differences(np.array(others), reference, self.truth)
        hits = np.array(others) == self.truth
        return accuracy_differences(hits, reference == self.truth)


def choose(bench: Bench, tried: Sequence[Tried], margin: float) -> tuple[Verdict, list[Candidate]]:
    """The verdict, and the representations as the rule sees them, raw features first."""
    raw, *others = tried
    found = bench.differences([each.chosen.told for each in others], raw.chosen.told)
    sides = [(0.0, 0.0, 0.0), *zip(found.estimate, found.low, found.high, strict=True)]
    n_test = len(bench.parts.test)
    candidates = [
        Candidate(
            each.representation.name,
            float(np.nan_to_num(each.chosen.validation, nan=-np.inf)),
            bench.score(each.chosen.told),
            float(side[0]),
            float(side[1]),
            float(side[2]),
            each.n_bytes,
            (each.encode_seconds + each.chosen.predict_seconds) / n_test,
        )
        for each, side in zip(tried, sides, strict=True)
    ]
    assert bench.labels is not None
    verdict = decide(candidates[0], candidates[1:], margin, numeric=bench.labels.numeric)
    return verdict, candidates


def figures(bench: Bench, tried: Sequence[Tried], candidates: Sequence[Candidate]) -> Record:
    """What the tables say of each representation, as plain JSON data."""
    record: Record = {}
    grid = dict(_grid(bench, tried)) if candidates else {}
    n_test = len(bench.parts.test)
    for place, each in enumerate(tried):
        is_of = each.representation
        record[is_of.name] = {
            "made_by": is_of.told,
            "numbers_per_row": is_of.width,
            "bytes_per_row": each.n_bytes,
            "learn_seconds": is_of.seconds,
            "encode_ms_per_1000_rows": 1e6 * each.encode_seconds / n_test,
            "encoder_bytes": is_of.n_bytes,
        }
        if candidates:
            chosen = candidates[place]
            record[is_of.name] |= {
                "judge": each.best,
                "score": chosen.score,
                "validation_score": each.chosen.validation,
                "difference": [chosen.difference, chosen.low, chosen.high],
                "predict_ms_per_1000_rows": 1e6 * chosen.seconds,
                "judges": grid[is_of.name],
            }
    return record


def _grid(bench: Bench, tried: Sequence[Tried]) -> Iterator[tuple[str, Record]]:
    """Each representation with each judge, against raw features with the same judge."""
    raw, *others = tried
    pairs = [(each, name) for each in others for name in JUDGES]
    told = np.array([each.judged[name].told for each, name in pairs])
    found = _of_pairs(bench, told, [raw.judged[name].told for _, name in pairs])
    n_test = len(bench.parts.test)
    for number, each in enumerate(tried):
        rows: Record = {}
        for place, name in enumerate(JUDGES):
            judged = each.judged[name]
            at = (number - 1) * len(JUDGES) + place
            rows[name] = {
                "score": bench.score(judged.told),
                "validation_score": judged.validation,
                "difference": None if number == 0 else [float(side[at]) for side in found],
                "fit_seconds": judged.fit_seconds,
                "predict_ms_per_1000_rows": 1e6 * judged.predict_seconds / n_test,
                "bytes": judged.n_bytes,
                "converged": judged.converged,
            }
        yield each.representation.name, rows


def _of_pairs(bench: Bench, told: Array, references: Sequence[Array]) -> tuple[Array, ...]:
    """Differences of pairs with references of their own; each interval by itself."""
    each = [bench.differences([one], other) for one, other in zip(told, references, strict=True)]
    return tuple(
        np.concatenate([getattr(found, side) for found in each])
        for side in ("estimate", "low", "high")
    )


def reconstruction(bench: Bench, tried: Sequence[Tried]) -> Record:
    """What comes back through each code, and how its units are used."""
    test = take(bench.rows, bench.parts.test)
    given = bench.raw.columns(test)
    record: Record = {}
    for each in tried:
        is_of = each.representation
        if is_of.restore is None:
            continue
        whole, columns = kept(bench.raw, given, is_of.restore(test))
        record[is_of.name] = {
            "kept": whole,
            "columns": {
                "best": _named(bench.raw, columns, -1),
                "worst": _named(bench.raw, columns),
            },
            "each": columns.tolist(),
            "units": asdict(count_units(each.codes)),
            "nats_per_row": None if is_of.model is None else is_of.model.score(test),
            "likelihood": None if is_of.model is None else type(is_of.model.likelihood_).__name__,
            "epochs": None if is_of.model is None else is_of.model.n_iter_,
        }
    return record


def _named(raw: Raw, columns: Array, sign: int = 1) -> list[tuple[str, float]]:
    """The columns of which least comes back, or with −1 most."""
    known = np.flatnonzero(np.isfinite(columns))
    order = known[np.argsort(sign * columns[known], kind="stable")][:N_COLUMNS]
    return [(raw.names[j], float(columns[j])) for j in order]
