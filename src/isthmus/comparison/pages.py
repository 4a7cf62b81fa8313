"""The report around the figures: one HTML file that needs nothing else."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus import __version__
from isthmus import report as pages
from isthmus.analysis.labels import take
from isthmus.comparison import pictures
from isthmus.comparison.judges import JUDGES
from isthmus.comparison.measure import Bench, Tried
from isthmus.comparison.pictures import Map
from isthmus.comparison.rule import BETTER, CHEAPER_WINS, RAW, span
from isthmus.report import Html

Array = NDArray[Any]
Record = Mapping[str, Any]

RULES = {
    BETTER: "its interval lies above 0",
    CHEAPER_WINS: "its interval lies above the margin, and it needs half the bytes or half the "
    "time",
    RAW: "no interval lies above 0, and none above the margin for half the bytes or half the time",
}
JUDGE_NAMES = {
    False: ("logistic regression", "10 nearest neighbours", "gradient boosting"),
    True: ("ridge regression", "10 nearest neighbours", "gradient boosting"),
}


@dataclass(frozen=True, eq=False)
class Shown:
    """What a page is made of.

    Attributes:
        bench: The rows.
        tried: The representations.
        maps: Maps of the test rows.
        record: The figures.
    """

    bench: Bench
    tried: Sequence[Tried]
    maps: Sequence[Map]
    record: Record


def compose(shown: Shown) -> str:
    """The report as HTML."""
    record = shown.record
    with pages.drawing_style():
        sections = [_top(record)]
        if record["label"] is not None:
            sections += [_scores(record), _costs(record), _judges(record)]
        sections.append(_returned(shown))
        if shown.maps:
            sections.append(pages.section("Maps", _maps(shown)))
        sections += [_method(record)]
        return pages.page(
            f"{record['data']['name']}: which features?", *sections, foot=_foot(record)
        )


def _top(record: Record) -> Html:
    data, label = record["data"], record["label"]
    used = "" if data["rows_used"] == data["rows"] else f" of {data['rows']:,}"
    about = f"{data['rows_used']:,}{used} rows, {_columns(data)}"
    if label is not None:
        kind = "a number" if not label["classes"] else f"{len(label['classes'])} classes"
        about += f"; the label is `{label['name']}` ({kind})"
    return pages.header(
        str(data["name"]),
        pages.lead(record["sentence"]),
        pages.paragraph(f"{about}."),
        pages.notices([_tidy(note) for note in record["notes"]]),
    )


def _columns(data: Record) -> str:
    shape = data["row_shape"]
    if len(shape) > 1:
        return f"images of {'×'.join(map(str, shape))}"
    width = f"{shape[0]:,} column{'s' if shape[0] != 1 else ''}"
    if data["raw_features"] == shape[0]:
        return width
    return f"{width}, which make {data['raw_features']:,} raw features"


def _tidy(note: str) -> str:
    return " ".join(note.split())


def _scores(record: Record) -> Html:
    label = record["label"]
    numeric = not label["classes"]
    rows = []
    for name, each in record["representations"].items():
        rows.append(
            [
                _marked(name, record["use"]),
                f"{each['numbers_per_row']:,}",
                _judge_name(each["judge"], numeric),
                _score(each["score"], numeric),
                "" if name == "raw" else _span(each["difference"], numeric),
            ]
        )
    constant = _score(label["constant_score"], numeric)
    head = ["", "numbers per row", "best judge", label["measure"], "difference"]
    return pages.section(
        "Does a code help?",
        pages.table(head, rows, left=(2,)),
        pages.aside(
            f"{'R²' if numeric else 'Accuracy'} on {record['data']['test']:,} test rows; "
            f"{'the mean' if numeric else 'the most frequent class'} alone has {constant}. The "
            "judge is chosen on other rows. Differences from raw features are paired, row by row, "
            "with simultaneous 95 % intervals."
        ),
        pictures.scores(record),
    )


def _marked(name: str, use: str | None) -> str:
    return f"{name} ←" if name == use else name


def _judge_name(judge: str, numeric: bool) -> str:
    return JUDGE_NAMES[numeric][JUDGES.index(judge)]


def _score(value: float, numeric: bool) -> str:
    return f"{value:.3f}".replace("-", "−") if numeric else f"{value:.1%}"


def _span(gain: Sequence[float], numeric: bool) -> str:
    difference, low, high = gain
    return span(difference, low, high, numeric)


def _costs(record: Record) -> Html:
    n = record["data"]["rows_used"]
    rows = []
    for name, each in record["representations"].items():
        judged = each["judges"][each["judge"]]
        rows.append(
            [
                _marked(name, record["use"]),
                _amount(each["bytes_per_row"] * n / 1e6),
                _amount((each["encoder_bytes"] + judged["bytes"]) / 1e6),
                _amount(each["learn_seconds"] + judged["fit_seconds"]),
                _amount(each["encode_ms_per_1000_rows"]),
                _amount(judged["predict_ms_per_1000_rows"]),
            ]
        )
    head = [
        "",
        "features, MB",
        "model, MB",
        "seconds to fit",
        "to encode 1,000 rows, ms",
        "to predict, ms",
    ]
    return pages.section(
        "What does it cost?",
        pages.table(head, rows),
        pages.aside(
            f"Features of all {n:,} rows: codes in single precision, raw ones in the smallest of "
            "the usual ways to keep them. A model is what encodes and the best judge. Seconds are "
            "of this machine while it did this, the least of three for encoding and predicting; "
            "encoding raw features is reading, filling and scaling columns."
        ),
    )


def _amount(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _judges(record: Record) -> Html:
    label = record["label"]
    numeric = not label["classes"]
    scores, costs, early = [], [], False
    for name, each in record["representations"].items():
        judged = [each["judges"][judge] for judge in JUDGES]
        early = early or not all(row["converged"] for row in judged)
        scores.append([name, *(_against_raw(row, numeric) for row in judged)])
        costs.append([name, *(_costs_of(row) for row in judged)])
    head = ["", *JUDGE_NAMES[numeric]]
    stopped = " * stopped after 300 steps, before it had converged." if early else ""
    return pages.section(
        "Judge by judge",
        pages.table(head, scores),
        pages.aside(
            f"{'R²' if numeric else 'Accuracy'}, and in brackets the 95 % interval of the "
            f"difference from raw features with the same judge{'' if numeric else ', in points'}. "
            "Here each interval holds by itself: of twenty, one may miss. The rule doesn't read "
            f"this table.{stopped}"
        ),
        pages.table(head, costs),
        pages.aside(
            "Seconds to fit, milliseconds to predict 1,000 rows, and megabytes of the judge."
        ),
    )


def _against_raw(row: Record, numeric: bool) -> str:
    score = _score(row["score"], numeric) + ("" if row["converged"] else " *")
    if row["difference"] is None:
        return score
    _, interval = _span(row["difference"], numeric).split("(")
    return f"{score} ({interval}"


def _costs_of(row: Record) -> str:
    return (
        f"{_amount(row['fit_seconds'])} s, {_amount(row['predict_ms_per_1000_rows'])} ms, "
        f"{_amount(row['bytes'] / 1e6)} MB"
    )


def _returned(shown: Shown) -> Html:
    record = shown.record
    rows, extremes = [], []
    for name, each in record["reconstruction"].items():
        units = each["units"]
        nats = each["nats_per_row"]
        rows.append(
            [
                name,
                _part(each["kept"]),
                f"{units['count']}",
                f"{units['dead']}",
                f"{units['redundant']}",
                f"{units['effective']:.1f}",
                "" if nats is None else f"{nats:,.1f}".replace("-", "−"),
            ]
        )
        extremes.append([name, *(_named(each["columns"][side]) for side in ("best", "worst"))])
    head = ["", "comes back", "units", "dead", "redundant", "effective", "nats per row"]
    likelihood = record["reconstruction"]["usual"]["likelihood"]
    parts = [
        pages.table(head, rows),
        pages.aside(
            "What comes back is R² on test rows, against the columns' means in training"
            f"{_of_categories(shown)}. Dead units don't vary; redundant ones follow linearly from "
            "the others, to 99 %; effective is the number of principal components that the code's "
            f"variance is worth. Nats are of the score under {likelihood}: the variational one's "
            "is a bound on log p(x), the others' is log p(x | f(x)), which doesn't pay for the "
            "code."
        ),
        _before_and_after(shown),
    ]
    if len(record["data"]["row_shape"]) == 1:
        parts += [pages.table(["", "best columns", "worst columns"], extremes, left=(1, 2))]
    return pages.section("What comes back?", *parts)


def _part(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.1%}".replace("-", "−")


def _named(columns: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {_part(value)}" for name, value in columns) or "–"


def _of_categories(shown: Shown) -> str:
    if not shown.bench.raw.coded.any():
        return ""
    return ", on average over columns; of a category it is the part of the wrong guesses saved"


def _before_and_after(shown: Shown) -> Html:
    record, bench = shown.record, shown.bench
    shape = tuple(record["data"]["row_shape"])
    if len(shape) == 1:
        return pictures.returned_columns(record, bench.raw.names)
    if len(shape) == 3 and shape[2] not in (1, 3):
        return Html("")
    test = take(bench.rows, bench.parts.test[: pictures.N_IMAGES])
    given = bench.raw.columns(test).reshape(-1, *shape)
    returned = {
        each.representation.name: each.representation.restore(test).reshape(-1, *shape)
        for each in shown.tried
        if each.representation.restore is not None
    }
    return pictures.returned_images(record, given, returned)


def _maps(shown: Shown) -> Html:
    labels = shown.bench.labels
    if labels is None:
        return pictures.maps(shown.maps, None, "")
    values: Array = labels.values[shown.bench.parts.test]
    if labels.classes:
        values = np.array(labels.classes)[values]
    return pictures.maps(shown.maps, values, shown.record["label"]["measure"])


def _method(record: Record) -> Html:
    data, settings = record["data"], record["settings"]
    made = [[name, f"`{each['made_by']}`"] for name, each in record["representations"].items()]
    parts = [
        pages.paragraph(
            f"Representations learned without labels from {data['learn']:,} rows and are measured "
            f"on {data['test']:,} others. All codes have the same number of units, and the "
            "autoencoders the same network; each differs from the usual one in one part. Nothing "
            f"was tuned. One training, with seed {settings['random_state']}: another one would "
            "move the figures of codes a little, which the intervals don't say; they speak of "
            "other rows."
        )
    ]
    if record["label"] is not None:
        parts += _of_the_rule(record)
    parts.append(pages.table(["", "made by"], made, left=(1,)))
    return pages.section("How it was measured", *parts)


def _of_the_rule(record: Record) -> list[Html]:
    data, settings, label = record["data"], record["settings"], record["label"]
    margin = settings["margin"]
    size = f"{margin:g}" if not label["classes"] else f"{100 * margin:g} points"
    trees = f"{label['boosting_rounds']} rounds"
    if label["boosting_features"] < 1:
        trees += f" and {label['boosting_features']:.0%} of the raw features at each split"
    kind = "paired R², delta method" if not label["classes"] else "Bonett and Price, 2012"
    return [
        pages.paragraph(
            f"The rule: a code is better if its interval lies above 0. Else it is as good and "
            f"cheaper if its interval lies above the margin, −{size}, and it needs at most half "
            "the bytes or half the time. Else: raw features. Here "
            f"{RULES[record['why']]}."
        ),
        pages.aside(
            f"Judges learned from {data['train']:,} labelled rows; {data['validation']:,} chose "
            f"the best judge of each representation. Intervals ({kind}) hold all together with "
            "95 % (largest of correlated t, Hothorn, Bretz and Westfall, 2008). Gradient "
            f"boosting has {trees}, so that the report ends in minutes. Raw features: missing "
            "cells are filled with the mean and marked, categories are one-hot; boosting gets "
            "holes and categories as they are."
        ),
    ]


def _foot(record: Record) -> str:
    import sklearn
    import torch

    return (
        f"isthmus {__version__}, torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"Python {platform.python_version()}; {record['seconds']:.0f} seconds."
    )
