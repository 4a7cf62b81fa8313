"""The verb ``report``: whether a code helps, in one page."""

from pathlib import Path
from typing import Any

from isthmus.cli import options
from isthmus.cli.ending import about
from isthmus.cli.show import show


def report(  # noqa: PLR0913  # one option for each of the settings
    data: options.DataFile,
    label: options.Label = None,
    output: options.NewReport = "report.html",
    drop: options.Drop = None,
    task: options.Task = "auto",
    n_components: options.CodeWidth = None,
    max_rows: options.MaxRows = 10_000,
    max_epochs: options.ReportEpochs = 60,
    margin: options.Margin = 0.02,
    random_state: options.FixedSeed = 0,
    key: options.Key = None,
    quiet: options.Quiet = False,
) -> None:
    """Say whether a code helps: raw features, PCA and autoencoders side by side.

    Each is judged by a linear model, by neighbours and by boosted trees on rows that were held
    out, with confidence intervals. One sentence says which to use, and it may be the raw features.
    Without a label the report says what comes back through each code. The page needs no network; a
    .json file beside it has the figures.
    """
    from isthmus.comparison import Settings, compare
    from isthmus.comparison.run import require_report
    from isthmus.data import open_data

    require_report(output)
    settings = Settings(n_components, task, max_rows, max_epochs, margin, random_state)
    rows = open_data(data, key)
    y = _labels(label, data, rows)
    with about(data):
        found = compare(rows, y, settings, name=data.name, drop=drop or (), verbose=not quiet)
    beside = found.write(output)
    record = found.record
    show(
        {
            "sentence": found.sentence,
            "use": record["use"],
            "why": record["why"],
            "report": output,
            "figures": str(beside),
            "rows": record["data"]["rows_used"],
            "test_rows": record["data"]["test"],
            "representations": {
                name: {part: each[part] for part in ("score", "difference") if part in each}
                for name, each in record["representations"].items()
            },
            "notes": record["notes"],
            "seconds": record["seconds"],
        }
    )


def _labels(label: str | None, data: Path, rows: Any) -> Any:
    """A column's name, or the labels that stand in a file of their own or beside the rows."""
    if label is None or (hasattr(rows, "column_names") and label in rows.column_names):
        return label
    from isthmus.data import read

    if data.suffix.lower() == ".npz":
        return read(data, label)
    if not Path(label).is_file():
        return label
    given = read(label)
    if hasattr(given, "column_names"):
        from isthmus._errors import InvalidDataError

        if len(given.column_names) != 1:
            raise InvalidDataError(
                f"{label} has {len(given.column_names)} columns; give a file of labels alone."
            )
        return given.column(0).to_pylist()
    return given
