"""Verbs that judge rows: ``score``, with p-values and reasons if wanted.

Rows go by in blocks: what is said of each is written at once, and of all of them little is kept.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus._progress import counting
from isthmus.cli import options
from isthmus.cli.apply import feature_names
from isthmus.cli.ending import about
from isthmus.cli.show import show

if TYPE_CHECKING:
    import pyarrow as pa

    from isthmus import Autoencoder

N_REASONS = 3

Judge = Callable[[Any, Any], "pa.Table"]


def score(
    model: options.ModelFile,
    data: options.DataFile,
    output: options.NewRows = None,
    by_feature: options.ByFeature = False,
    flag: options.Flag = None,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Score rows by their log-likelihood.

    It is in nats per row, and higher is better. For a stochastic code it is the evidence lower
    bound. Nats and bits per dimension are of the negative log-likelihood, where lower is better.
    With -o the score of each row is written; with --by-feature, each feature's part of it; with
    --flag, the p-value of each row among rows that `fit` held out, whether it is flagged, and
    the three columns that explain it, followed with --by-feature by each feature's part.
    """
    from isthmus.cli.models import load_for
    from isthmus.cli.scores import Oddest, Scores
    from isthmus.cli.targets import require_rows_target
    from isthmus.data import count_rows, open_data

    require_rows_target(output)
    _require_table(output, flag)
    estimator = load_for("score", model)
    judge = None if flag is None else _judge(estimator, flag, by_feature)
    rows = open_data(data, key)
    scores, oddest = Scores(), Oddest()
    with (
        about(data),
        counting(not quiet, count_rows(rows)) as tick,
        _writing(output, _names(estimator, by_feature)) as add,
    ):
        for block in _blocks(estimator, rows, in_parts=by_feature or flag is not None):
            each = scores.add(block)
            if judge is None:
                add(block)
            else:
                table = judge(each, block)
                oddest.add(table)
                add(table)
            tick(len(block))
    record = scores.summary(estimator.n_features_in_)
    if by_feature:
        record["features"] = scores.features(_names(estimator, by_feature))
    if flag is not None:
        reference = len(estimator._reference())
        record |= {"level": flag, "reference_rows": reference, "flagged": oddest.count}
    if output is not None:
        record = {"output": output, **record}
    elif flag is not None:
        record["rows_flagged"] = oddest.rows
    elif scores.few is not None:
        record["scores"] = scores.few.sum(1) if by_feature else scores.few
        record |= {"feature_scores": scores.few} if by_feature else {}
    show(record)


def _require_table(output: str | None, flag: float | None) -> None:
    from isthmus._errors import InvalidParameterError
    from isthmus.data.files import TABLE_WRITERS

    if flag is None:
        return
    if not 0 < flag < 1:
        raise InvalidParameterError(f"--flag {flag:g}: the level must lie between 0 and 1.")
    if output is not None and Path(output).suffix.lower() not in TABLE_WRITERS:
        raise InvalidParameterError(
            f"{output} has no place for the names that --flag writes; give a file ending in "
            f"{', '.join(TABLE_WRITERS)}."
        )


def _names(estimator: "Autoencoder", by_feature: bool) -> list[str]:
    if not by_feature:
        return ["score"]
    return feature_names(estimator) or [str(j) for j in range(estimator.n_features_in_)]


def _blocks(estimator: "Autoencoder", rows: Any, *, in_parts: bool) -> Iterator[Any]:
    """Scores (m,), or (m, d) where their parts are wanted.

    Many at once: the reference scores are put in order for each group of rows.
    """
    from isthmus.estimators.outflow import grouped, score_blocks

    return grouped(score_blocks(estimator, rows, by_feature=in_parts))


def _writing(output: str | None, names: list[str]) -> Any:
    """A context with a function that adds a block, or a table, to the output, if there is one."""
    from contextlib import nullcontext

    from isthmus.cli.targets import growing_rows

    return nullcontext(lambda block: None) if output is None else growing_rows(output, names)


def _judge(estimator: "Autoencoder", level: float, by_feature: bool) -> Judge:
    """From scores (m,) and their parts (m, d) to what is said of each row."""
    import numpy as np
    import pyarrow as pa

    from isthmus import analysis

    reference = estimator._reference()
    whole = reference.sum(1, dtype="float64")
    names = _names(estimator, by_feature=True)
    known = np.array(names, dtype=object)

    def judge(scores: Any, parts: Any) -> "pa.Table":
        p = analysis.p_values(scores, whole)
        flagged = analysis.flags(p, level)
        odd = analysis.reasons(parts, reference, N_REASONS)
        columns: dict[str, Any] = {"score": scores, "p_value": p, "flagged": flagged}
        for place in range(odd.shape[1]):
            columns[f"reason_{place + 1}"] = pa.array(
                known[odd[:, place]], pa.string(), mask=~flagged
            )
        if by_feature:
            # a column may be called score itself
            columns |= {f"{name}_nats": part for name, part in zip(names, parts.T, strict=True)}
        return pa.table(columns)

    return judge
