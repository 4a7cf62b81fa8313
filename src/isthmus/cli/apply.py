"""Verbs that use a fitted model: ``transform``, ``inverse``, ``score``, ``sample``."""

import math
from typing import TYPE_CHECKING, Any

from isthmus.cli import options
from isthmus.cli.ending import about
from isthmus.cli.show import show

if TYPE_CHECKING:
    from isthmus import Autoencoder
    from isthmus.data import Stream

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def transform(
    model: options.ModelFile,
    data: options.DataFile,
    output: options.NewRows = None,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Write the code of each row.

    From large files, folders and patterns to a .parquet file it goes block by block, so that
    neither need fit in memory.
    """
    from isthmus import load
    from isthmus.cli.targets import deliver, require_few, require_rows_target
    from isthmus.data import Stream, open_data

    require_rows_target(output)
    estimator = load(model)
    rows = open_data(data, key)
    require_few(rows.shape[0], output)
    with about(data):
        if isinstance(rows, Stream) and output is not None and _is_parquet(output):
            show(_stream_codes(estimator, rows, output, quiet))
            return
        codes = estimator.transform(rows)
    deliver(codes, output, list(estimator.get_feature_names_out()))


def _is_parquet(output: str) -> bool:
    return output.lower().endswith(".parquet")


def _stream_codes(
    estimator: "Autoencoder", rows: "Stream", output: str, quiet: bool
) -> dict[str, Any]:
    from isthmus.estimators.outflow import write_codes
    from isthmus.estimators.progress import counting

    with counting(0 if quiet else 1, rows.shape[0]) as tick:
        n_rows = write_codes(estimator, rows, output, tick=tick)
    dtype = "float64" if rows.dtype.itemsize > 4 else "float32"
    width = len(estimator.get_feature_names_out())
    return {"output": output, "rows": n_rows, "row_shape": [width], "dtype": dtype}


def inverse(
    model: options.ModelFile,
    codes: options.CodeFile,
    output: options.NewRowsOrImages = None,
    key: options.Key = None,
) -> None:
    """Decode codes to rows.

    Each row is the expected one for its code, in the units of the data.
    """
    from isthmus import load
    from isthmus.cli.targets import deliver, require_few, require_images, require_rows_target
    from isthmus.data import read

    require_rows_target(output, images=True)
    estimator = load(model)
    require_images(estimator.row_shape_, output)
    given = read(codes, key)
    require_few(given.shape[0], output)
    with about(codes):
        rows = estimator.inverse_transform(given)
    deliver(rows, output, _feature_names(estimator))


def score(
    model: options.ModelFile,
    data: options.DataFile,
    output: options.NewRows = None,
    by_feature: options.ByFeature = False,
    key: options.Key = None,
) -> None:
    """Score rows by their log-likelihood.

    It is in nats per row, and higher is better. For a stochastic code it is the evidence lower
    bound. Nats and bits per dimension are of the negative log-likelihood, where lower is better.
    With -o the score of each row is written; with --by-feature, each feature's part of it.
    """
    from isthmus import load
    from isthmus.cli.targets import MOST_PRINTED, require_rows_target, write_rows
    from isthmus.data import open_data

    require_rows_target(output)
    estimator = load(model)
    rows = open_data(data, key)
    with about(data):
        parts = estimator.score_features(rows) if by_feature else None
        scores = estimator.score_samples(rows) if parts is None else parts.sum(1)
    record = score_summary(scores, estimator.n_features_in_)
    names = _feature_names(estimator)
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


def sample(
    model: options.ModelFile,
    n_samples: options.NSamples = 1,
    output: options.NewRowsOrImages = None,
    mean: options.Mean = False,
    random_state: options.Seed = None,
) -> None:
    """Draw new rows from a model.

    Its code must have a prior to draw from: --encoder gaussian or bernoulli.
    """
    from isthmus import load
    from isthmus.cli.targets import deliver, require_few, require_images, require_rows_target

    require_rows_target(output, images=True)
    require_few(n_samples, output)
    estimator = load(model)
    require_images(estimator.row_shape_, output)
    rows = estimator.sample(n_samples, mean=mean, random_state=random_state)
    deliver(rows, output, _feature_names(estimator))


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


def _feature_names(estimator: "Autoencoder") -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]
