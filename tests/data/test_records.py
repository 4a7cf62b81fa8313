import datetime

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus.data import write
from isthmus.data.records import BLOCK_ROWS, Reading, sample

TABLE = pa.table(
    {
        "name": ["a", "b", "c"],
        "body": ["one text", None, "three"],
        "year": [1993, 1994, None],
        "day": [datetime.date(2020, 1, 2), None, datetime.date(2021, 3, 4)],
        "score": [0.5, float("nan"), 2.0],
        "vector": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    }
)


@pytest.fixture
def path(tmp_path):
    parquet.write_table(TABLE, tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_texts(path):
    (block,) = Reading(path, text="body", id="name").blocks()
    assert block.ids == ["a", "b", "c"]
    assert block.content == ["one text", "", "three"]
    assert block.payloads[1] == {
        "body": None,
        "year": 1994,
        "day": None,
        "score": None,
        "vector": [3.0, 4.0],
    }
    assert block.payloads[0]["day"] == "2020-01-02"


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float32()),
        pa.list_(pa.int64()),
        pa.list_(pa.float64(), 2),
        pa.large_list(pa.float16()),
    ],
)
def test_vectors(tmp_path, kind):
    values = TABLE["vector"].combine_chunks().to_pylist()
    if pa.types.is_integer(kind.value_type):
        values = [[int(x) for x in row] for row in values]
    if kind.value_type == pa.float16():
        values = [[np.float16(x) for x in row] for row in values]
    table = TABLE.set_column(5, "vector", pa.array(values, kind))
    parquet.write_table(table, tmp_path / "t.parquet")
    (block,) = Reading(tmp_path / "t.parquet", vectors="vector").blocks()
    assert block.content.dtype == np.float32
    assert block.content.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert block.ids == [0, 1, 2]
    assert set(block.payloads[0]) == {"name", "body", "year", "day", "score"}


def test_rows_of_an_array_are_vectors(tmp_path):
    x = np.arange(2.0 * BLOCK_ROWS + 6).reshape(-1, 2)
    np.save(tmp_path / "x.npy", x)
    blocks = list(Reading(tmp_path / "x.npy").blocks())
    assert [id for block in blocks for id in block.ids] == list(range(len(x)))
    assert np.array_equal(np.concatenate([block.content for block in blocks]), x)
    assert Reading(tmp_path / "x.npy").count() == len(x)


def test_ids_go_on_from_part_to_part(tmp_path):
    for part in range(3):
        write(tmp_path / f"{part}.csv", np.array(["x", "y"]), ["body"])
        from isthmus.data import read

        parquet.write_table(read(tmp_path / f"{part}.csv"), tmp_path / f"{part}.parquet")
    blocks = list(Reading(tmp_path / "*.parquet", text="body").blocks())
    assert [id for block in blocks for id in block.ids] == list(range(6))


def test_refusals(path, tmp_path):
    def first(**given):
        return next(Reading(path, **given).blocks())

    with pytest.raises(InvalidParameterError, match="which column"):
        first()
    with pytest.raises(InvalidParameterError, match="not both"):
        first(text="body", vectors="vector")
    with pytest.raises(InvalidDataError, match="no column 'nothing'"):
        first(text="nothing")
    with pytest.raises(InvalidDataError, match=r"column 'year' is 1993"):
        first(text="year")
    with pytest.raises(InvalidDataError, match="list of numbers"):
        first(vectors="body")
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    with pytest.raises(InvalidParameterError, match="is an array"):
        next(Reading(tmp_path / "x.npy", text="body").blocks())


@pytest.mark.parametrize("rows", [[[1.0], [1.0, 2.0]], [[1.0], None], [None, None], [[], []]])
def test_uneven_vectors_are_refused(tmp_path, rows):
    table = pa.table({"v": pa.array(rows, pa.list_(pa.float32()))})
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InvalidDataError, match=r"Row [01], column 'v'"):
        next(Reading(tmp_path / "t.parquet", vectors="v").blocks())


def test_a_sample_is_uniform(path):
    def counts(seed):
        blocks = Reading(path, vectors="vector").blocks()
        return sample(blocks, 2, seed)[:, 0]

    drawn = np.concatenate([counts(seed) for seed in range(600)])
    for value in (1, 3, 5):
        assert abs((drawn == value).sum() - 400) < 4 * np.sqrt(600 * 2 / 9)
    assert sample(Reading(path, text="body").blocks(), 9, 0) == ["one text", "", "three"]
