"""Verbs that judge rows: ``score``, with p-values and reasons if wanted."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.cli import options
from isthmus.cli.apply import feature_names
from isthmus.cli.ending import about
from isthmus.cli.show import show

if TYPE_CHECKING:
    import pyarrow as pa

    from isthmus import Autoencoder

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
N_REASONS = 3


def score(
    model: options.ModelFile,
    data: options.DataFile,
    output: options.NewRows = None,
    by_feature: options.ByFeature = False,
    flag: options.Flag = None,
    key: options.Key = None,
) -> None:
    """Score rows by their log-likelihood.

    It is in nats per row, and higher is better. For a stochastic code it is the evidence lower
    bound. Nats and bits per dimension are of the negative log-likelihood, where lower is better.
    With -o the score of each row is written; with --by-feature, each feature's part of it; with
    --flag, the p-value of each row among rows that `fit` held out, whether it is flagged, and
    the three columns that explain it.
    """
    from isthmus import load
    from isthmus.cli.targets import MOST_PRINTED, require_rows_target, write_rows
    from isthmus.data import open_data

    require_rows_target(output)
    if flag is not None:
        flag_rows(model, data, output, flag, key)
        return
    estimator = load(model)
    rows = open_data(data, key)
    with about(data):
        parts = estimator.score_features(rows) if by_feature else None
        scores = estimator.score_samples(rows) if parts is None else parts.sum(1)
    record = score_summary(scores, estimator.n_features_in_)
    names = feature_names(estimator)
    if parts is not None:
        by_name = names or [str(column) for column in range(parts.shape[1])]
        record["features"] = dict(zip(by_name, parts.mean(0, dtype="float64"), strict=True))
    if output is not None:
        write_rows(*((scores, output, ["score"]) if parts is None else (parts, output, names)))
        record = {"output": output, **record}
    elif len(scores) <= MOST_PRINTED:
        record["scores"] = scores
        if parts is not None:
            record["feature_scores"] = parts
    show(record)


def flag_rows(model: Path, data: Path, output: str | None, level: float, key: str | None) -> None:
    """Scores, p-values, flags and reasons of rows; what is flagged is shown, all is written."""
    from isthmus import analysis, load
    from isthmus.cli.targets import write_rows
    from isthmus.data import open_data

    estimator = load(model)
    rows = open_data(data, key)
    with about(data):
        reference = estimator._reference()
        parts = estimator.score_features(rows)
    scores = parts.sum(1)
    p = analysis.p_values(scores, reference.sum(1, dtype="float64"))
    flagged = analysis.flags(p, level)
    odd = analysis.reasons(parts, reference, N_REASONS)
    table = _judged(estimator, scores, p, flagged, odd)
    record = {
        **score_summary(scores, estimator.n_features_in_),
        "level": level,
        "reference_rows": len(reference),
        "flagged": int(flagged.sum()),
    }
    if output is None:
        show({**record, "rows_flagged": _shown(table)})
    else:
        write_rows(table, output, None)
        show({"output": output, **record})


def _judged(estimator: "Autoencoder", scores: Any, p: Any, flagged: Any, odd: Any) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    names = feature_names(estimator) or [str(j) for j in range(estimator.n_features_in_)]
    columns: dict[str, Any] = {"score": scores, "p_value": p, "flagged": flagged}
    known = np.array(names, dtype=object)
    for place in range(odd.shape[1]):
        pairs = zip(known[odd[:, place]], flagged, strict=True)
        named = [name if is_odd else None for name, is_odd in pairs]
        columns[f"reason_{place + 1}"] = pa.array(named, pa.string())
    return pa.table(columns)


def _shown(table: "pa.Table") -> list[dict[str, Any]]:
    """The most unusual ones of the flagged rows, with their numbers."""
    from isthmus.cli.targets import MOST_PRINTED

    every = [{"row": row, **record} for row, record in enumerate(table.to_pylist())]
    flagged = sorted((each for each in every if each.pop("flagged")), key=lambda e: e["p_value"])
    return flagged[:MOST_PRINTED]


def score_summary(scores: Any, n_features: int) -> dict[str, Any]:
    """Mean, range and quantiles of scores in nats per row; per dimension of −log p."""
    import numpy as np

    mean = float(np.mean(scores, dtype=np.float64))
    quantiles = np.quantile(scores.astype(np.float64), QUANTILES)
    return {
        "rows": len(scores),
        "columns": n_features,
        "mean": mean,
        "nats_per_dimension": -mean / n_features,
        "bits_per_dimension": -mean / n_features / math.log(2),
        "minimum": scores.min(),
        "maximum": scores.max(),
        "quantiles": {
            f"{level:g}": value for level, value in zip(QUANTILES, quantiles, strict=True)
        },
    }
