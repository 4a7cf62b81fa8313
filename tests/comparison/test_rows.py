"""Rows are drawn fairly from data of any kind, and divided with each class's share."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.comparison.rows import divide, draw_rows
from isthmus.data.columns import column_of, without

NUMBERS = np.arange(600.0).reshape(200, 3)
MAKES = {
    "array": lambda x: x,
    "images": lambda x: x.reshape(-1, 3, 1),
    "list": lambda x: x.tolist(),
    "sparse": sp.csr_array,
    "pandas": lambda x: pd.DataFrame(x, columns=list("abc"), index=range(5, 5 + len(x))),
    "polars": lambda x: pl.DataFrame(x, schema=list("abc")),
    "arrow": lambda x: pa.table(dict(zip("abc", x.T, strict=True))),
    "record batch": lambda x: MAKES["arrow"](x).to_batches()[0],
    "batches": lambda x: lambda: iter(np.array_split(x, 7)),
}


def numbers_of(rows):
    if isinstance(rows, pa.Table):
        return np.column_stack([column.to_numpy() for column in rows.columns])
    dense = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
    return dense.reshape(len(dense), -1)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("n_most", [50, 200, 500])
def test_rows_of_every_make(make, n_most):
    drawn = draw_rows(MAKES[make](NUMBERS), n_most, 0)
    assert drawn.n_given == 200
    assert len(drawn.index) == min(n_most, 200)
    assert (np.diff(drawn.index) > 0).all()
    assert np.array_equal(numbers_of(drawn.rows), NUMBERS[drawn.index])


def test_a_file_in_pieces(tmp_path):
    table = MAKES["arrow"](NUMBERS)
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=30)
    drawn = draw_rows(str(tmp_path / "*.parquet"), 60, 1)
    assert np.array_equal(numbers_of(drawn.rows), NUMBERS[drawn.index])


@pytest.mark.parametrize("make", ["array", "batches"])
def test_every_row_is_as_likely(make):
    counts = np.zeros(200)
    for seed in range(200):
        counts[draw_rows(MAKES[make](NUMBERS), 50, seed).index] += 1
    # each count is binomial with mean 50 and standard deviation 6.1
    assert abs(counts.mean() - 50) < 1e-9
    assert counts.std() == pytest.approx(6.1, rel=0.2)


def test_a_cell_is_refused_by_its_own_row():
    wrong = NUMBERS.copy()
    wrong[150, 2] = np.inf
    for make in ("array", "batches"):
        with pytest.raises(InvalidDataError, match=r"inf in row 150, column 2"):
            draw_rows(MAKES[make](wrong), 20, 0)
    with pytest.raises(InvalidDataError, match=r"'c'.*row 150|row 150.*'c'"):
        draw_rows(MAKES["pandas"](wrong), 20, 0)
    assert draw_rows(MAKES["pandas"](wrong), 20, 0, drop=["c"]).rows.shape == (20, 2)


def test_few_rows():
    with pytest.raises(InvalidDataError, match=r"9 rows, too few .* at least 10"):
        draw_rows(NUMBERS[:9], 100, 0)


@pytest.mark.parametrize("make", ["pandas", "polars", "arrow"])
def test_a_column_of_a_frame(make):
    values, rest = column_of(MAKES[make](NUMBERS), "b")
    assert values == NUMBERS[:, 1].tolist()
    assert np.array_equal(numbers_of(rest), NUMBERS[:, [0, 2]])
    with pytest.raises(InvalidParameterError, match=r"no column named 'bb'.*Did you mean 'b'"):
        column_of(MAKES[make](NUMBERS), "bb")
    with pytest.raises(InvalidDataError, match="no column beside 'a'"):
        column_of(without(MAKES[make](NUMBERS), ["b", "c"]), "a")


@pytest.mark.parametrize("make", ["array", "sparse"])
def test_a_column_of_an_array(make):
    values, rest = column_of(MAKES[make](NUMBERS), 1)
    assert values == NUMBERS[:, 1].tolist()
    assert np.array_equal(numbers_of(rest), NUMBERS[:, [0, 2]])
    with pytest.raises(InvalidParameterError, match="no column named '3'"):
        column_of(MAKES[make](NUMBERS), "3")


def test_images_have_no_columns():
    with pytest.raises(InvalidDataError, match=r"shape \(3, 1\) have no column 'y'"):
        column_of(NUMBERS.reshape(-1, 3, 1), "y")


def test_every_class_is_in_every_part_by_its_share():
    classes = np.repeat([0, 1, 2], [1000, 100, 1])
    known = np.ones(1101, bool)
    known[::10] = False
    known[-1] = True
    parts = divide(1101, classes, known, 3)
    assert sorted([*parts.learn, *parts.validation, *parts.test]) == list(range(1101))
    assert set(parts.train) | set(np.flatnonzero(~known)) == set(parts.learn)
    assert len(parts.test) == round(0.3 * known.sum())
    assert len(parts.validation) == round(0.1 * known.sum())
    shares = [
        np.bincount(classes[part], minlength=3) / len(part)
        for part in (parts.train, parts.validation, parts.test)
    ]
    assert all(share[1] == pytest.approx(0.09, abs=0.02) for share in shares)
    assert 1100 in parts.train  # the only row of its class


def test_without_labels_there_are_two_parts():
    parts = divide(100, None, np.zeros(100, bool), 0)
    assert (len(parts.learn), len(parts.test)) == (70, 30)
    assert not len(parts.train)
    assert sorted([*parts.learn, *parts.test]) == list(range(100))
