"""The verb ``info``: what a model's file or a file of data holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from isthmus.cli import options
from isthmus.cli.show import show

if TYPE_CHECKING:
    import pyarrow as pa

    from isthmus.data import Column, Matrix, Schema

MOST_NAMED = 20
MOST_LINES = 50
LOG_WIDTH = 160


def info(path: options.AnyFile, key: options.Key = None) -> None:
    """Describe a model or data.

    Of a model: its format, parts, sizes and training. Of data: rows, columns, type, range,
    constant columns, missing values, and the likelihood that `fit` would choose. A table with
    names is also printed column by column on standard error: kind, likelihood and why.
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
        if hasattr(rows, "schema"):
            return {"data": str(path), **describe_table(rows)}
        return {"data": str(path), **describe_data(as_matrix(rows))}


def describe_table(table: "pa.Table") -> dict[str, Any]:
    """Sizes and the schema of a table, which is also printed on standard error.

    A table of numbers is described as data besides; it has no schema if a value is infinite.
    """
    from isthmus.data import SchemaBuilder, as_matrix

    found: dict[str, Any] = {}
    if _all_numbers(table):
        found = describe_data(as_matrix(table))
        if found["infinite_values"]:
            return {**found, "schema": None}
    schema = SchemaBuilder().add(table).describe()
    print_schema(schema)
    rest = {
        "rows": table.num_rows,
        "columns": len(schema),
        "names": schema.names[:MOST_NAMED],
        "missing_values": sum(column.stats.missing for column in schema),
        "likelihood": "columns",
    }
    return {**rest, **found, "schema": [_column(column) for column in schema]}


def _all_numbers(table: "pa.Table") -> bool:
    from pyarrow import types

    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    kinds = table.schema.types
    return all(types.is_null(kind) or any(test(kind) for test in tests) for kind in kinds)


def _column(column: "Column") -> dict[str, Any]:
    """One column of a schema, without more than the first of its levels."""
    stats = vars(column.stats)
    return {
        "name": column.name,
        "kind": column.kind,
        "likelihood": column.likelihood,
        "type": column.dtype,
        **(stats if not column.coded else {name: stats[name] for name in ("observed", "missing")}),
        "levels": {"count": len(column.levels), "first": column.levels[:MOST_NAMED]},
        "reason": column.reason,
    }


def print_schema(schema: "Schema") -> None:
    """The schema as a table on standard error, without the columns after the first ones."""
    from rich.console import Console
    from rich.table import Table

    from isthmus.data.schema import HEAD

    table = Table(*HEAD, box=None, pad_edge=False)
    for line in schema.table()[:MOST_LINES]:
        table.add_row(*map(_plain_text, line))
    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    console.print(table)
    if len(schema) > MOST_LINES:
        console.print(f"… {len(schema) - MOST_LINES} columns more")


def _plain_text(words: str) -> Any:
    from rich.text import Text

    return Text(words)  # names and levels may hold what looks like markup


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
