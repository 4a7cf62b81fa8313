"""Verbs that use a fitted model: ``transform``, ``inverse``, ``sample``."""

from typing import TYPE_CHECKING

from isthmus._progress import counting
from isthmus.cli import options
from isthmus.cli.ending import about
from isthmus.cli.show import show

if TYPE_CHECKING:
    from isthmus import Autoencoder


def transform(
    model: options.ModelFile,
    data: options.DataFile,
    output: options.NewRows = None,
    drop: options.Drop = None,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Write the code of each row.

    From large files, folders and patterns to a .parquet or .csv file it goes block by block, so
    that neither need fit in memory.
    """
    from isthmus.cli.models import load_for
    from isthmus.cli.targets import deliver, flows, require_few, require_rows_target
    from isthmus.data import count_rows, open_data
    from isthmus.estimators.chained import before_last, code_blocks, steps_of
    from isthmus.estimators.outflow import as_table, grouped, write_tables

    require_rows_target(output)
    estimator = load_for("transform", model)
    rows = open_data(data, key, drop or ())
    require_few(count_rows(rows), output)
    names = list(estimator.get_feature_names_out())
    if output is not None and flows(rows, output):
        with about(data), counting(not quiet, count_rows(rows)) as tick:
            blocks = grouped(code_blocks(estimator, rows))
            n_rows = write_tables(output, (as_table(block, names) for block in blocks), tick)
        show({"output": output, "rows": n_rows, "row_shape": [len(names)]})
        return
    with about(data):
        codes = steps_of(estimator)[-1].transform(before_last(estimator, rows))
    deliver(codes, output, names)


def inverse(
    model: options.ModelFile,
    codes: options.CodeFile,
    output: options.NewRowsOrImages = None,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Decode codes to rows.

    Each row is the expected one for its code, in the units of the data. From large files, folders
    and patterns to a .parquet or .csv file it goes block by block.
    """
    from isthmus.cli.models import load_for
    from isthmus.cli.targets import (
        deliver,
        flows,
        require_few,
        require_images,
        require_rows_target,
    )
    from isthmus.data import count_rows, open_data

    require_rows_target(output, images=True)
    estimator = load_for("inverse", model)
    require_images(estimator.row_shape_, output)
    given = open_data(codes, key)
    require_few(count_rows(given), output)
    if output is not None and flows(given, output):
        from isthmus.estimators.outflow import write_rows

        with about(codes), counting(not quiet, count_rows(given)) as tick:
            n_rows = write_rows(estimator, given, output, tick=tick)
        show({"output": output, "rows": n_rows, "row_shape": list(estimator.row_shape_)})
        return
    with about(codes):
        rows = estimator.inverse_transform(given)
    deliver(rows, output, feature_names(estimator))


def sample(
    model: options.ModelFile,
    n_samples: options.NSamples = 1,
    output: options.NewRowsOrImages = None,
    mean: options.Mean = False,
    random_state: options.Seed = None,
) -> None:
    """Draw new rows from a model.

    Codes are drawn from their prior, or where they have none (--encoder deterministic,
    noisy_sigmoid) from a Gaussian mixture fitted to codes of the training.
    """
    from isthmus.cli.models import load_for
    from isthmus.cli.targets import deliver, require_few, require_images, require_rows_target

    require_rows_target(output, images=True)
    require_few(n_samples, output)
    estimator = load_for("sample", model)
    require_images(estimator.row_shape_, output)
    rows = estimator.sample(n_samples, mean=mean, random_state=random_state)
    deliver(rows, output, feature_names(estimator))


def feature_names(estimator: "Autoencoder") -> list[str] | None:
    """The names of the columns that the model was fitted to, if they had any."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]
