"""Large data on the command line: read and written block by block, with the results of memory."""

import os
import resource

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_cases import FAST

from isthmus import load
from isthmus.data import open_data, read
from isthmus.data.sources import all_pieces

MASKING = ("--corruption", "masking:0.25:true:hidden")


def rows(n=900):
    """Numbers, counts and text, with holes, two of them odd."""
    rng = np.random.default_rng(0)
    size = rng.normal(10, 2, n)
    price = size * 3 + rng.normal(0, 0.5, n)
    price[[400, 700]] = [1000, -1000]
    return pa.table(
        {
            "size": pa.array(size, mask=rng.random(n) < 0.2),
            "price": price,
            "visits": rng.poisson(3, n),
            "kind": pa.array(np.where(size > 10, "big", "small"), mask=rng.random(n) < 0.2),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same rows as one file and as a set of two, and numbers alone."""
    folder, table = tmp_path_factory.mktemp("large"), rows()
    pq.write_table(table, folder / "all.parquet")
    (folder / "set").mkdir()
    pq.write_table(table[:500], folder / "set" / "0.parquet", row_group_size=200)
    pq.write_table(table[500:], folder / "set" / "1.parquet", row_group_size=200)
    numbers = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)
    np.save(folder / "numbers.npy", numbers)
    pq.write_table(pa.table(list(numbers.T), names=list("abcd")), folder / "numbers.parquet")
    return folder


@pytest.fixture
def model(run, folder, tmp_path):
    path = tmp_path / "m.safetensors"
    ended = run("fit", folder / "set", "-o", path, *FAST, *MASKING)
    assert ended.code == 0, ended.err
    kinds = [part["kind"] for part in ended.json["likelihood"]["parts"]]
    assert (ended.json["rows"], kinds[-1]) == (900, "Categorical")
    return path


def test_a_table_of_several_kinds_goes_through_every_verb(run, folder, model, tmp_path):
    twin, whole = load(model), read(folder / "all.parquet")
    codes = tmp_path / "c.parquet"
    assert run("transform", model, folder / "set", "-o", codes).json["rows"] == 900
    expected = twin.transform(whole)
    np.testing.assert_array_equal(np.column_stack(read(codes).columns), expected)
    (tmp_path / "codes").mkdir()
    os.rename(codes, tmp_path / "codes" / "c.parquet")
    back = tmp_path / "back.parquet"
    said = run("inverse", model, tmp_path / "codes", "-o", back).json
    assert (said["rows"], said["row_shape"]) == (900, [4])
    assert read(back).equals(twin.inverse_transform(expected))
    filled = tmp_path / "f.csv"
    said = run("impute", model, folder / "set", "-o", filled).json
    assert said["filled"] == sum(column.null_count for column in whole.columns)
    assert not any(column.null_count for column in read(filled).columns)
    said = run("impute", model, folder / "set", "-o", filled, "-m", 2).json
    assert said["output"] == [str(tmp_path / f"f-{i}.csv") for i in (1, 2)]
    one, two = (read(path) for path in said["output"])
    assert not one["size"].equals(two["size"])
    ended = run("impute", model, folder / "set", "-o", tmp_path / "f.npy")
    assert ended.code == 2
    assert "ending in .parquet or .csv" in ended.line


@pytest.mark.parametrize("name", ["numbers.parquet", "numbers.npy"])
def test_info_of_large_files_is_that_of_small_ones(run, folder, monkeypatch, name):
    from isthmus.data import _parquet

    small = run("info", folder / name)
    monkeypatch.setattr("isthmus.data.stream.LARGE_BYTES", 1)
    monkeypatch.setattr(_parquet, "PIECE_BYTES", 70 * 16)
    monkeypatch.setattr("isthmus.data.sources.block_rows", lambda *sizes: 70)
    assert len(list(all_pieces(open_data(folder / name)))) > 2
    large = run("info", folder / name)
    assert (large.code, large.err) == (0, small.err)
    assert set(large.json) == set(small.json)
    for what, value in small.json.items():
        if what == "schema":  # sums of parts round differently
            for one, other in zip(value, large.json[what], strict=True):
                assert other == {
                    k: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v
                    for k, v in one.items()
                }
        elif what != "bytes" or name.endswith("npy"):
            assert large.json[what] == value, what


def test_info_of_a_set_of_files_is_that_of_one(run, folder):
    one, parts = run("info", folder / "all.parquet"), run("info", folder / "set")
    assert parts.err == one.err
    for name in ("rows", "columns", "names", "missing_values", "likelihood"):
        assert parts.json[name] == one.json[name]
    assert [column["kind"] for column in parts.json["schema"]] == [
        "positive", "real", "count", "categorical",
    ]  # fmt: skip


def test_info_counts_on_after_an_infinite_cell(run, tmp_path):
    (tmp_path / "set").mkdir()
    for i, cell in enumerate([np.inf, np.nan, -np.inf]):
        table = pa.table({"a": [1.0, cell], "b": [2, 2]})
        pq.write_table(table, tmp_path / "set" / f"{i}.parquet")
    said = run("info", tmp_path / "set").json
    assert (said["rows"], said["infinite_values"], said["missing_values"]) == (6, 2, 1)
    assert said["constant_columns"]["first"] == ["b"]
    assert (said["schema"], said["likelihood"]) == (None, None)


# ---- scores ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "parquet", "npy", "feather"])
def test_scores_are_written_as_they_come(run, folder, model, tmp_path, ending):
    twin, whole = load(model), read(folder / "all.parquet")
    path = tmp_path / f"s.{ending}"
    said = run("score", model, folder / "set", "-o", path).json
    expected = twin.score_samples(whole)
    found = read(path)
    found = found if ending == "npy" else found["score"].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert said["mean"] == pytest.approx(expected.mean())
    assert (said["minimum"], said["maximum"]) == (expected.min(), expected.max())
    assert said["quantiles"]["0.05"] == pytest.approx(np.quantile(expected, 0.05))
    said = run("score", model, folder / "set", "-o", path, "--by-feature").json
    parts = twin.score_features(whole)
    found = np.asarray(read(path)) if ending == "npy" else np.column_stack(read(path).columns)
    np.testing.assert_allclose(found, parts, rtol=1e-12)
    assert list(said["features"]) == whole.column_names
    np.testing.assert_allclose(list(said["features"].values()), parts.mean(0), rtol=1e-9)


def test_flags_of_parts_are_those_of_the_whole(run, folder, model, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.estimators.outflow.ROWS", 250)
    whole = run("score", model, folder / "all.parquet", "--flag", 0.05).json
    parts = run("score", model, folder / "set", "--flag", 0.05).json
    assert parts["flagged"] == whole["flagged"]
    assert parts["rows_flagged"] == whole["rows_flagged"]
    assert {400, 700} <= {row["row"] for row in parts["rows_flagged"]}
    out = tmp_path / "s.parquet"
    assert run("score", model, folder / "set", "--flag", 0.05, "-o", out).code == 0
    assert read(out)["flagged"].to_pylist().count(True) == whole["flagged"]
    np.testing.assert_array_equal(
        read(out)["p_value"].to_numpy(), load(model).p_values(read(folder / "all.parquet"))
    )


def test_flags_and_parts_of_features_go_together(run, folder, model, tmp_path):
    out = tmp_path / "s.parquet"
    said = run("score", model, folder / "set", "--flag", 0.05, "--by-feature", "-o", out).json
    names = ["size", "price", "visits", "kind"]
    assert list(said["features"]) == names
    found = read(out)
    assert found.column_names == [
        "score", "p_value", "flagged", "reason_1", "reason_2", "reason_3",
        *(f"{name}_nats" for name in names),
    ]  # fmt: skip
    parts = np.column_stack([found[f"{name}_nats"] for name in names])
    np.testing.assert_allclose(parts.sum(1), found["score"].to_numpy(), rtol=1e-9)
    shown = run("score", model, folder / "set", "--flag", 0.05, "--by-feature").json
    assert set(shown["rows_flagged"][0]) >= {"row", "p_value", "price_nats"}


def test_a_flag_is_checked_before_anything_is_read(run, tmp_path):
    ended = run("score", "none.safetensors", "none.csv", "--flag", 2)
    assert ended.code == 2
    assert "--flag 2: the level must lie between 0 and 1" in ended.line
    ended = run("score", "none.safetensors", "none.csv", "--flag", 0.1, "-o", tmp_path / "s.npy")
    assert ended.code == 2
    assert "has no place for the names that flags come with" in ended.line


def test_quantiles_of_very_many_scores_are_of_a_sample(monkeypatch):
    from isthmus.cli import scores

    monkeypatch.setattr(scores, "MOST_KEPT", 20_000)
    every = np.random.default_rng(0).normal(size=400_000)
    some = scores.Scores()
    for block in every.reshape(100, 4000):
        some.add(block)
    said = some.summary(1)
    assert said["mean"] == pytest.approx(every.mean(), rel=1e-9)
    assert (said["minimum"], said["maximum"]) == (every.min(), every.max())
    assert sum(map(len, some._kept)) <= 20_000
    some.add(np.zeros((10, 5)))
    assert all(each.base is None for each in some._kept[-1:])  # nothing of the parts stays
    for level, value in said["quantiles"].items():
        # five standard errors of a rank among 10,000 scores or more
        rank = (every <= value).mean()
        assert abs(rank - float(level)) < 5 * np.sqrt(float(level) * (1 - float(level)) / 10_000)


# ---- a full disk ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["transform", "inverse", "score", "impute", "fit"])
def test_a_full_disk_is_one_line_and_leaves_nothing(run, folder, model, tmp_path, verb):
    codes = tmp_path / "c.parquet"
    run("transform", model, folder / "set", "-o", codes)
    given = {"inverse": (model, codes), "fit": (folder / "set",)}.get(
        verb, (model, folder / "set")
    )
    ending = "safetensors" if verb == "fit" else "parquet"
    out, more = tmp_path / f"new.{ending}", (*FAST, "-k", 2) if verb == "fit" else ()
    before = sorted(tmp_path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        ended = run(verb, *given, "-o", out, *more)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.code == 1
    assert f"{out.name} can't be written" in ended.line
    assert "too large" in ended.line
    assert sorted(tmp_path.iterdir()) == before
