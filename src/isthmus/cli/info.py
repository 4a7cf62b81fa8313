"""The verb ``info``: what a model's file or a file of data holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from isthmus.cli import options
from isthmus.cli.show import show

if TYPE_CHECKING:
    from isthmus.data import Matrix

MOST_NAMED = 20


def info(path: options.AnyFile, key: options.Key = None) -> None:
    """Describe a model or data.

    Of a model: its format, parts, sizes and training. Of data: rows, columns, type, range,
    constant columns, missing values, and the likelihood that `fit` would choose.
    """
    if path.suffix.lower() != ".safetensors":
        show(_describe(path, key))
        return
    if key is not None:
        raise typer.BadParameter(f"--key is for an .npz file, and {path} is a model's.")
    show(describe_model(path))


def describe_model(path: Path) -> dict[str, Any]:
    """The card of a model's file, with its records of epochs summed up.

    Raises:
        FileNotFoundError: There is no such file.
        FileFormatError: It is no model's file, or damaged.
    """
    from isthmus._errors import FileFormatError
    from isthmus.cli.fit import training_summary
    from isthmus.saving import read_model

    card, tensors = read_model(path)
    try:
        params, fitted = card["params"], card["fitted"]
        return {
            "model": str(path),
            "bytes": path.stat().st_size,
            "format": card["format"],
            "isthmus": card["isthmus"],
            "estimator": card["estimator"],
            "likelihood": card["likelihood"],
            "columns": fitted["n_features_in"],
            "row_shape": fitted["row_shape"],
            "names": fitted["feature_names_in"],
            "params": params,
            "numbers": sum(tensor.numel() for tensor in tensors.values()),
            "code_report": fitted["code_report"],
            "training": training_summary(card["history"], fitted["n_features_in"]),
        }
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{path} has a card without {error}.") from error


def _describe(path: Path, key: str | None) -> dict[str, Any]:
    from isthmus.cli.ending import about
    from isthmus.data import as_matrix, read

    rows = read(path, key)
    with about(path):
        return {"data": str(path), **describe_data(as_matrix(rows))}


def describe_data(matrix: "Matrix") -> dict[str, Any]:
    """Sizes, type, range and kind of data, in their own units."""
    import numpy as np

    from isthmus.data import infer_likelihood, summarise

    d = matrix.n_features
    missing, infinite = np.zeros(d, np.int64), np.zeros(d, np.int64)
    low, high = np.full(d, np.nan), np.full(d, np.nan)
    for _, block in matrix.blocks(np.float64):
        missing += np.isnan(block).sum(0)
        infinite += np.isinf(block).sum(0)
        low, high = np.fmin(low, np.fmin.reduce(block)), np.fmax(high, np.fmax.reduce(block))
    summary = None if missing.any() or infinite.any() else summarise(matrix)
    return {
        "rows": len(matrix),
        "columns": d,
        "row_shape": matrix.row_shape,
        "names": None if matrix.names is None else matrix.names[:MOST_NAMED],
        "dtype": matrix.dtype,
        "sparse": matrix.is_sparse,
        "bytes": matrix.nbytes,
        "minimum": np.fmin.reduce(low),
        "maximum": np.fmax.reduce(high),
        "constant_columns": _named(matrix, low == high if summary is None else summary.constant),
        "missing_values": int(missing.sum()),
        "missing_columns": _named(matrix, missing > 0),
        "infinite_values": int(infinite.sum()),
        "infinite_columns": _named(matrix, infinite > 0),
        "likelihood": None if summary is None else infer_likelihood(matrix, summary),
    }


def _named(matrix: "Matrix", chosen: Any) -> dict[str, Any]:
    """How many columns are chosen, and the names or positions of the first ones."""
    columns = [int(column) for column in chosen.nonzero()[0][:MOST_NAMED]]
    names = columns if matrix.names is None else [matrix.names[column] for column in columns]
    return {"count": int(chosen.sum()), "first": names}
