"""A schema's figures, its card and the table that people see."""

import copy
import json

import numpy as np
import polars as pl
import pytest
from frames import MAKERS, N

from isthmus._errors import FileFormatError
from isthmus.data import Schema, SchemaBuilder, as_matrix, decode, encode, infer_schema, summarise
from isthmus.data.schema import HEAD

rng = np.random.default_rng(0)
n = 500

# ---- numbers --------------------------------------------------------------------------------


def test_stats_are_those_of_the_observed_cells():
    x = np.column_stack([1e9 + rng.normal(size=n), rng.poisson(2, n), np.full(n, np.nan)])
    x[::3, 0] = np.nan
    real, count, missing = infer_schema(x)
    seen = x[~np.isnan(x[:, 0]), 0]
    assert real.stats.mean == pytest.approx(seen.mean(), rel=1e-15)
    assert real.stats.std == pytest.approx((seen - 1e9).std(), rel=1e-12)
    assert (real.stats.minimum, real.stats.maximum) == (seen.min(), seen.max())
    assert count.integral
    assert not real.integral
    assert (missing.stats.observed, missing.stats.mean, missing.stats.std) == (0, 0, 0)


def test_the_summary_is_that_of_the_matrix():
    x = np.column_stack([rng.normal(size=n), rng.poisson(2, n), np.full(n, 3.0)])
    mine, truth = infer_schema(x).summary(), summarise(as_matrix(x))
    for name in ("mean", "std", "minimum", "maximum"):
        assert np.allclose(getattr(mine, name), getattr(truth, name), rtol=1e-13, atol=0)
    assert np.array_equal(mine.constant, truth.constant)
    assert np.array_equal(mine.integral_columns, truth.integral_columns)
    assert mine.n_rows == n


@pytest.mark.parametrize("size", [1, 7, 499])
@pytest.mark.parametrize("name", ["arrow", "polars", "pandas", "pandas objects"])
def test_parts_give_what_the_whole_gives(name, size):
    frame = MAKERS[name]()
    slicer = (
        (lambda i: frame.iloc[i : i + size])
        if hasattr(frame, "iloc")
        else (lambda i: frame.slice(i, size))
    )
    builder = SchemaBuilder()
    for start in range(0, N, size):
        builder.add(slicer(start))
    whole, parts = infer_schema(frame), builder.finish()
    for one, two in zip(whole, parts, strict=True):
        assert (one.name, one.kind, one.likelihood, one.levels) == (
            two.name, two.kind, two.likelihood, two.levels,
        )  # fmt: skip
        assert two.stats.std == pytest.approx(one.stats.std, rel=1e-12)
        assert two.stats.mean == pytest.approx(one.stats.mean, rel=1e-14)


def test_extremes_in_one_column():
    x = np.array([1e300, 1e-300, -1e300, 0.0])
    (column,) = infer_schema(x[:, None])
    assert column.stats.std == pytest.approx(1e300 * np.sqrt(0.5), rel=1e-12)
    (tiny,) = infer_schema(np.array([0.0, 1e-300, 2e-300])[:, None])
    assert tiny.stats.std == pytest.approx(1e-300 * np.sqrt(2 / 3), rel=1e-12)


# ---- the card and the table -----------------------------------------------------------------


def test_the_card_brings_the_schema_back():
    schema = infer_schema(MAKERS["pandas"]())
    card = json.loads(json.dumps(schema.card(), allow_nan=False))
    assert Schema.from_card(card) == schema


SPOILT = {
    "no list": lambda card: card.clear(),
    "empty": lambda card: card["columns"].clear(),
    "not an object": lambda card: card["columns"].__setitem__(0, "x"),
    "a field less": lambda card: card["columns"][0].pop("kind"),
    "a field more": lambda card: card["columns"][0].update(code="import os"),
    "kind": lambda card: card["columns"][0].update(kind="evil"),
    "kind of a type that can't be": lambda card: card["columns"][0].update(kind=["real"]),
    "likelihood": lambda card: card["columns"][0].update(likelihood="evil"),
    "name": lambda card: card["columns"][0].update(name=1.5),
    "name twice": lambda card: card["columns"][0].update(name="f"),
    "levels of numbers": lambda card: card["columns"][4].update(levels=[1, 2, 3]),
    "levels twice": lambda card: card["columns"][4].update(levels=["a", "a", "b"]),
    "text for levels": lambda card: card["columns"][4].update(levels="abc"),
    "too few levels": lambda card: card["columns"][4].update(levels=["a"]),
    "no levels": lambda card: card["columns"][4].update(levels=[]),
    "std": lambda card: card["columns"][0]["stats"].update(std=-1.0),
    "mean": lambda card: card["columns"][0]["stats"].update(mean=float("nan")),
    "mean outside": lambda card: card["columns"][0]["stats"].update(mean=1e9),
    "count": lambda card: card["columns"][0]["stats"].update(observed=-1),
    "true": lambda card: card["columns"][0]["stats"].update(observed=True),
    "stats": lambda card: card["columns"][0].update(stats=[1, 2]),
    "integral": lambda card: card["columns"][0].update(integral=1),
    "reason": lambda card: card["columns"][0].update(reason=None),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_spoilt_cards_are_refused(spoil):
    card = copy.deepcopy(infer_schema(MAKERS["pandas"]()).card())
    spoil(card)
    with pytest.raises(FileFormatError):
        Schema.from_card(card)


def test_the_table_has_a_line_for_each_column():
    lines = infer_schema(MAKERS["pandas"]()).table()
    assert len(lines) == 8
    assert {len(line) for line in lines} == {len(HEAD)}
    assert lines[4][:3] == ("job", "categorical", "categorical")
    assert lines[7][5] == "2021-03-04 to 2021-06-29"


def test_a_name_that_polars_takes_for_a_pattern_is_a_name():
    frame = pl.DataFrame({"a": [1, None], "*": [0.5, 1.5], "^a.*$": [2.0, None]})
    schema = infer_schema(frame)
    made = decode(encode(frame, schema), schema, frame)
    assert made.equals(frame)
    assert made.schema == frame.schema
