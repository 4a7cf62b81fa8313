"""The verb ``impute``: missing cells filled in."""

from pathlib import Path

from isthmus._progress import counting
from isthmus.cli import options
from isthmus.cli.ending import about
from isthmus.cli.show import show


def impute(
    model: options.ModelFile,
    data: options.DataFile,
    output: options.NewTable,
    n_draws: options.NDraws = None,
    random_state: options.Seed = None,
    drop: options.Drop = None,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Fill in missing cells.

    Observed cells stay as they are, and so do columns that are left out. Best from a model that
    was fitted with --corruption masking:0.25:true:hidden. From large files, folders and patterns
    to a .parquet or .csv file it goes block by block.
    """
    from isthmus._random import draw_seed
    from isthmus.cli.models import load_for
    from isthmus.cli.targets import require_rows_target, write_rows
    from isthmus.data import count_rows, is_source, open_data
    from isthmus.data.columns import put_back, without
    from isthmus.estimators.outflow import count_holes, numbered, write_filled
    from isthmus.estimators.resolve import whole

    require_rows_target(output)
    estimator = load_for("impute", model)
    if n_draws is not None:
        whole("n_draws", n_draws, 1)
    whole_rows, aside = open_data(data, key), drop or ()
    outputs = numbered(output, n_draws)
    if is_source(whole_rows):
        _require_growing(output)
        seed = draw_seed(estimator.random_state if random_state is None else random_state)
        how = (outputs, n_draws, seed)
        with about(data), counting(not quiet, count_rows(whole_rows)) as tick:
            n_rows, n_filled = write_filled(estimator, whole_rows, *how, tick, aside)
    else:
        with about(data):
            rows = without(whole_rows, aside)
            filled = estimator.impute(rows, n_draws, random_state)
        for each, path in zip([filled] if n_draws is None else filled, outputs, strict=True):
            write_rows(put_back(each, whole_rows, aside), path, None)
        n_rows, n_filled = rows.shape[0], count_holes(rows)
    show(
        {
            "output": outputs[0] if n_draws is None else outputs,
            "rows": n_rows,
            "columns": estimator.n_features_in_,
            "filled": n_filled,
        }
    )


def _require_growing(output: str) -> None:
    from isthmus._errors import InvalidParameterError
    from isthmus.data.growing import GROWING

    if Path(output).suffix.lower() not in GROWING:
        raise InvalidParameterError(
            f"{output} can't be written block by block, as data of this size are; give a file "
            f"ending in {' or '.join(GROWING)}."
        )
