"""Odd tables that strangers bring: each works, or is refused and the message says what to do."""

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus import Autoencoder, FileFormatError, InvalidDataError, IsthmusError, IsthmusWarning

N = 200
FAST = {"hidden": (4,), "max_epochs": 1, "random_state": 0}


def table(**more):
    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(size=N), "b": rng.poisson(2, N), "t": rng.choice(["x", "y"], N)}
    return pd.DataFrame({**columns, **more})


def fit(X, **more):
    return Autoencoder(2, **FAST, **more).fit(X)


def works(model, X):
    """Codes, scores and filled cells without NaN."""
    assert np.isfinite(model.transform(X)).all()
    assert not np.isnan(model.score_samples(X)).any()
    return model.impute(X)


@pytest.fixture(scope="module")
def model():
    return fit(table())


# ---- columns --------------------------------------------------------------------------------


def test_mixed_types_in_one_column():
    odd = table(m=[1, "two", 3.0, None] * (N // 4))
    with pytest.raises(
        InvalidDataError, match=r"'m' holds .*1 in row 0 and 'two' in row 1.*categ"
    ):
        fit(odd)
    works(fit(odd, likelihood={"m": "categorical"}), odd)


@pytest.mark.parametrize("method", ["fit", "transform", "impute", "score_samples", "partial_fit"])
def test_infinite_values(model, method):
    odd = table()
    odd.loc[7, "a"] = -np.inf
    with pytest.raises(InvalidDataError, match=r"'a' is -inf in row 7.*Replace"):
        getattr(Autoencoder(2, **FAST) if method == "fit" else model, method)(odd)


def test_all_missing_in_training_but_not_later():
    model = fit(table(e=np.nan))
    with pytest.warns(IsthmusWarning, match=r"200 cells .*column 'e' \(200; it was all missing\)"):
        filled = model.impute(table(e=1.5))
    assert (filled["e"] == 1.5).all()  # what was observed stays
    with pytest.warns(IsthmusWarning, match="all missing"):
        assert np.isfinite(model.score_samples(table(e=1.5))).all()


@pytest.mark.parametrize("nothing", [np.nan, None, pd.NA, pd.NaT])
def test_all_missing_later_but_not_in_training(model, nothing):
    # whatever type an empty column was given when it was read
    filled = works(model, table(a=[nothing] * N, t=[nothing] * N))
    assert np.isfinite(filled["a"].astype(float)).all()
    assert set(filled["t"]) <= {"x", "y"}
    back = model.reconstruct(table(t=[nothing] * N))
    assert set(back["t"]) <= {"x", "y"}


@pytest.mark.parametrize("kind", ["double", "string", "timestamp[us]", "int32", "null", "bool"])
def test_an_empty_column_of_any_type(model, kind):
    nothing = pa.nulls(N, pa.type_for_alias(kind))
    arrow = pa.Table.from_pandas(table(), preserve_index=False)
    for name in ("a", "b", "t"):
        given = arrow.set_column(arrow.column_names.index(name), name, nothing)
        for frame in (given, pl.from_arrow(given), given.to_pandas()):
            filled = nw.from_native(works(model, frame), eager_only=True)
            values = filled[name].to_list()
            assert all(value in ("x", "y") if name == "t" else value == value for value in values)


def test_a_category_seen_once():
    odd = table()
    odd.loc[0, "t"] = "once"
    assert works(fit(odd), odd).equals(odd)


def test_huge_and_tiny_numbers_in_one_column(model):
    odd = table(a=np.where(np.arange(N) % 2, 1e300, 1e-300))
    works(fit(odd), odd)
    works(fit(odd[["a", "b"]].to_numpy()), odd[["a", "b"]].to_numpy())
    scores = model.score_samples(odd)
    assert np.isneginf(scores[1::2]).all()
    assert np.isfinite(scores[::2]).all()


# ---- names ----------------------------------------------------------------------------------


def test_two_columns_of_one_name(tmp_path):
    twice = table().set_axis(["a", "a", "t"], axis=1)
    pq.write_table(pa.table([[1.0, 2.0], [2.0, 3.0]], names=["a", "a"]), tmp_path / "x.parquet")
    for given in (twice, tmp_path / "x.parquet", lambda: iter([twice])):
        with pytest.raises(InvalidDataError, match=r"same name \(.*'a'.*\); rename one"):
            fit(given)


def test_names_that_are_integers():
    given = table().set_axis([5, 0, 2], axis=1)
    model = fit(given)
    assert list(works(model, given).columns) == [5, 0, 2]
    np.testing.assert_array_equal(model.transform(given[[2, 5, 0]]), model.transform(given))


def test_columns_in_another_order(model):
    given = table()
    other = given[["t", "b", "a"]]
    np.testing.assert_array_equal(model.transform(other), model.transform(given))
    assert list(model.impute(other).columns) == ["t", "b", "a"]
    # rows of numbers alone are like an array, and scikit-learn wants their order
    numbers = given[["a", "b"]].astype(float)
    with pytest.raises(InvalidDataError, match="Give the columns that fit saw, in order"):
        fit(numbers, likelihood="gaussian").transform(numbers[["b", "a"]])


def test_a_column_less_and_a_column_more(model):
    with pytest.raises(InvalidDataError, match=r"lacks 1 of the 3 columns: 'a'.*Add them"):
        model.transform(table().drop(columns="a"))
    with pytest.warns(IsthmusWarning, match="1 columns are not of the training data.*'z'"):
        model.transform(table(z=1))


# ---- files and batches ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for i in range(3):
        given = pa.Table.from_pandas(table(), preserve_index=False)
        pq.write_table(given, tmp_path / f"{i}.parquet", row_group_size=50)
    return tmp_path


def spoil(path, group):
    """Overwrite a row group's first column."""
    column = pq.ParquetFile(path).metadata.row_group(group).column(0)
    with open(path, "rb+") as file:
        file.seek(column.dictionary_page_offset or column.data_page_offset)
        file.write(b"\xff" * column.total_compressed_size)


def test_a_file_cut_off_or_spoilt_in_the_middle(folder):
    from isthmus.data import read

    spoil(folder / "1.parquet", 2)
    for refused in (lambda: fit(folder), lambda: read(folder / "1.parquet")):
        with pytest.raises(
            FileFormatError, match=r"Row group 2 of \S*1\.parquet .*Write the file"
        ):
            refused()
    path = folder / "1.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for refused in (lambda: fit(folder), lambda: read(path)):
        with pytest.raises(FileFormatError, match=r"1\.parquet .*from row group 0 on.*Write the"):
            refused()


def test_files_of_different_schemas(folder):
    changed = table().drop(columns="b")
    pq.write_table(pa.Table.from_pandas(changed), folder / "1.parquet")
    with pytest.raises(InvalidDataError, match=r"1\.parquet has no column 'b'.*one schema"):
        fit(folder)
    pq.write_table(pa.Table.from_pandas(changed.assign(b="u")), folder / "1.parquet")
    with pytest.raises(
        InvalidDataError, match=r"'b' is int64 in .* but \w*string in .*one schema"
    ):
        fit(folder)


def test_a_generator_that_raises_half_way(model, tmp_path):
    def batches():
        yield table()
        raise KeyError("lost")

    for function in (fit, model.transform, lambda X: model.impute_to(X, tmp_path / "x.csv")):
        with pytest.raises(
            InvalidDataError, match="failed after 1 of them, with KeyError: 'lost'"
        ):
            function(batches)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["parquet", "npy"])
def test_an_empty_file(tmp_path, ending):
    (tmp_path / f"x.{ending}").touch()
    with pytest.raises(IsthmusError, match=r"empty|from row group 0 on"):
        fit(tmp_path / f"x.{ending}")


def test_a_table_without_rows(tmp_path):
    none = table()[:0]
    pq.write_table(pa.Table.from_pandas(none), tmp_path / "x.parquet")
    for given in (none, tmp_path / "x.parquet", lambda: iter([none])):
        with pytest.raises(InvalidDataError, match=r"at least 1|minimum of 1"):
            fit(given)


def test_a_column_of_one_text_is_drawn_as_that_text():
    odd = table(same=["same", None] * (N // 2))
    for filled in fit(odd, encoder="gaussian").impute(odd, n_draws=3, random_state=0):
        assert set(filled["same"]) == {"same"}
    assert set(fit(odd, encoder="gaussian").sample(300)["same"].to_pylist()) == {"same"}
