"""The verb ``impute``: missing cells filled in."""

from pathlib import Path
from typing import Any

from isthmus.cli import options
from isthmus.cli.ending import about
from isthmus.cli.show import show


def impute(
    model: options.ModelFile,
    data: options.DataFile,
    output: options.NewTable,
    n_draws: options.NDraws = None,
    random_state: options.Seed = None,
    key: options.Key = None,
) -> None:
    """Fill in missing cells.

    Observed cells stay as they are. Best from a model that was fitted with
    --corruption masking:0.25:true:hidden.
    """
    from isthmus import load
    from isthmus.cli.targets import require_rows_target, write_rows
    from isthmus.data import read

    require_rows_target(output)
    estimator = load(model)
    rows = read(data, key)
    with about(data):
        filled = estimator.impute(rows, n_draws, random_state)
    draws = [filled] if n_draws is None else filled
    outputs = [output] if n_draws is None else [_numbered(output, i + 1) for i in range(n_draws)]
    for each, path in zip(draws, outputs, strict=True):
        write_rows(each, path, None)
    show(
        {
            "output": outputs[0] if n_draws is None else outputs,
            "rows": rows.shape[0],
            "columns": estimator.n_features_in_,
            "filled": _count_missing(rows),
        }
    )


def _numbered(output: str, number: int) -> str:
    path = Path(output)
    return str(path.with_name(f"{path.stem}-{number}{path.suffix}"))


def _count_missing(rows: Any) -> int:
    import numpy as np

    if hasattr(rows, "column_names"):
        from isthmus.data.opening import open_table

        return sum(int(cells.missing.sum()) for cells in open_table(rows))
    return int(np.isnan(np.asarray(rows, dtype=float)).sum())
