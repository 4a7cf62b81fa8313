"""Verbs that judge rows: ``score``, with p-values and reasons if wanted.

Rows go by in blocks: what is said of each is written at once, and of all of them little is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus._progress import counting
from isthmus.cli import options
from isthmus.cli.apply import feature_names
from isthmus.cli.ending import about
from isthmus.cli.show import show

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

N_REASONS = 3


def score(
    model: options.ModelFile,
    data: options.DataFile,
    output: options.NewRows = None,
    by_feature: options.ByFeature = False,
    flag: options.Flag = None,
    drop: options.Drop = None,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Score rows by their log-likelihood, and flag unusual ones.

    It is in nats per row, and higher is better. For a stochastic code it is the evidence lower
    bound. Nats and bits per dimension are of the negative log-likelihood, where lower is better.
    With -o the score of each row is written; with --by-feature, each feature's part of it; with
    --flag, or from a model that was fitted with --outliers, the p-value of each row among rows
    that `fit` held out, whether it is flagged, and the three columns that explain it, followed
    with --by-feature by each feature's part.
    """
    from isthmus.cli.models import load_for
    from isthmus.cli.parts import require_level
    from isthmus.cli.scores import Oddest, Scores
    from isthmus.cli.targets import require_rows_target
    from isthmus.data import count_rows, open_data
    from isthmus.estimators.chained import before_last

    require_rows_target(output)
    require_level("--flag", flag)
    _require_table(output, needed=flag is not None)
    estimator = load_for("score", model)
    rule = _rule(estimator, flag)
    _require_table(output, needed=rule is not None)
    names = _names(estimator)
    rows = open_data(data, key, drop or ())
    scores, oddest = Scores(), Oddest()
    with (
        about(data),
        counting(not quiet, count_rows(rows)) as tick,
        _writing(output, names if by_feature else ["score"]) as add,
    ):
        given = before_last(estimator, rows)
        for block in _blocks(estimator, given, in_parts=by_feature or rule is not None):
            each, parts = scores.add(block)
            if rule is None:
                add(parts if by_feature else each)
            else:
                table = rule.judge(each, parts, names, by_feature=by_feature)
                oddest.add(table)
                add(table)
            tick(len(block))
    record = scores.summary(len(names))
    if by_feature:
        record["features"] = scores.features(names)
    if rule is not None:
        record |= {**rule.record(), "flagged": oddest.count}
    if output is not None:
        record = {"output": output, **record}
    else:
        if rule is not None:
            record["rows_flagged"] = oddest.rows
        if scores.few is not None:
            record |= _of_few(scores.few, rule, by_feature=by_feature)
    show(record)


def _require_table(output: str | None, *, needed: bool) -> None:
    from isthmus._errors import InvalidParameterError
    from isthmus.data.files import TABLE_WRITERS

    if needed and output is not None and Path(output).suffix.lower() not in TABLE_WRITERS:
        raise InvalidParameterError(
            f"{output} has no place for the names that flags come with; give a file ending in "
            f"{', '.join(TABLE_WRITERS)}."
        )


def _names(estimator: Any) -> list[str]:
    """Of the numbers that are scored: their own, those that the step before gives, or places."""
    from isthmus.estimators.chained import scoring_autoencoder, steps_of

    autoencoder, before = scoring_autoencoder(estimator), steps_of(estimator)[:-1]
    names = feature_names(autoencoder)
    if names is None and before:
        return [str(name) for name in before[-1].get_feature_names_out()]
    return names or [str(j) for j in range(autoencoder.n_features_in_)]


def _blocks(estimator: Any, rows: Any, *, in_parts: bool) -> Iterator[Any]:
    """Scores (m,), or (m, 1 + d) with their parts where these are wanted.

    Many at once: the reference scores are put in order for each group of rows.
    """
    from isthmus.estimators.chained import scoring_autoencoder
    from isthmus.estimators.outflow import grouped, score_blocks

    return grouped(score_blocks(scoring_autoencoder(estimator), rows, by_feature=in_parts))


def _writing(output: str | None, names: list[str]) -> Any:
    """A context with a function that adds a block, or a table, to the output, if there is one."""
    from contextlib import nullcontext

    from isthmus.cli.targets import growing_rows

    return nullcontext(lambda block: None) if output is None else growing_rows(output, names)


def _of_few(few: Any, rule: "Rule | None", *, by_feature: bool) -> dict[str, Any]:
    """What is said of each row where they are few."""
    scores = few if few.ndim == 1 else few[:, 0]
    record = {"scores": scores}
    if rule is not None:
        record["p_values"] = rule.p_values(scores)
    if by_feature:
        record["feature_scores"] = few[:, 1:]
    return record


@dataclass(frozen=True)
class Rule:
    """Which rows are flagged, and what is said of them.

    Attributes:
        level: α.
        reference: Scores of the features of held-out rows (r, d); None without such rows.
        offset: A score below it is flagged; if None, a p-value of at most α.
    """

    level: float
    reference: "np.ndarray[Any, Any] | None"
    offset: float | None

    def p_values(self, scores: Any) -> Any:
        """Their ranks among those of the held-out rows, (m,); None without such rows."""
        from isthmus import analysis

        if self.reference is None:
            return None
        return analysis.p_values(scores, self.reference.sum(1, dtype="float64"))

    def judge(self, scores: Any, parts: Any, names: list[str], *, by_feature: bool) -> "pa.Table":
        """A table of one row for each score.

        Args:
            scores: (m,).
            parts: Of features, (m, d).
            names: d.
            by_feature: Whether the parts are columns of it.
        """
        import pyarrow as pa

        from isthmus import analysis

        p = self.p_values(scores)
        if self.offset is None:
            flagged = analysis.flags(p, self.level)
        else:
            flagged = scores.astype("float64") - self.offset < 0
        said = pa.nulls(len(scores), pa.float64()) if p is None else p
        columns: dict[str, Any] = {"score": scores, "p_value": said, "flagged": flagged}
        columns |= self._reasons(parts, flagged, names)
        if by_feature:
            # a column may be called score itself
            columns |= {f"{name}_nats": part for name, part in zip(names, parts.T, strict=True)}
        return pa.table(columns)

    def _reasons(self, parts: Any, flagged: Any, names: list[str]) -> dict[str, Any]:
        import numpy as np
        import pyarrow as pa

        from isthmus import analysis

        columns = [f"reason_{place + 1}" for place in range(min(N_REASONS, len(names)))]
        if self.reference is None:
            return {column: pa.nulls(len(parts), pa.string()) for column in columns}
        odd = analysis.reasons(parts, self.reference, N_REASONS)
        said = np.array(names, dtype=object)[odd]
        return {
            column: pa.array(each, pa.string(), mask=~flagged)
            for column, each in zip(columns, said.T, strict=True)
        }

    def record(self) -> dict[str, Any]:
        """The level, and whether enough rows were held out to promise it."""
        from isthmus.cli.composed import are_enough

        held_out = 0 if self.reference is None else len(self.reference)
        return {
            "level": self.level,
            "reference_rows": held_out,
            "calibrated": are_enough(held_out, self.level),
        }


def _rule(estimator: Any, flag: float | None) -> Rule | None:
    """The level that was asked for, or a detector's own."""
    from isthmus import OutlierDetector
    from isthmus.estimators.chained import scoring_autoencoder, steps_of

    last, autoencoder = steps_of(estimator)[-1], scoring_autoencoder(estimator)
    if isinstance(last, OutlierDetector) and flag in (None, last.level):
        return Rule(last.level, autoencoder._tried.reference, last.offset_)
    return None if flag is None else Rule(flag, autoencoder._reference(), None)
