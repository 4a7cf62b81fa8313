import json

import pytest

from isthmus._errors import FileFormatError
from isthmus.data import read


def lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_each_line_is_a_row(tmp_path):
    records = [
        {"body": "one\ntwo \u2028 ünï", "year": 1993},
        {"body": None, "year": 1994},
        {"year": 1},
    ]
    table = read(lines(tmp_path / "a.jsonl", records))
    assert table.to_pydict() == {
        "body": ["one\ntwo \u2028 ünï", None, None],
        "year": [1993, 1994, 1],
    }


def test_a_line_of_any_length(tmp_path):
    long = "x" * 20_000_000
    table = read(lines(tmp_path / "a.jsonl", [{"b": "y"}, {"b": long}, {"b": "z"}]))
    assert table["b"].to_pylist() == ["y", long, "z"]


def test_lists_are_vectors(tmp_path):
    table = read(lines(tmp_path / "a.jsonl", [{"v": [1, 2.5]}, {"v": [3, 4]}]))
    assert table["v"].to_pylist() == [[1.0, 2.5], [3.0, 4.0]]


@pytest.mark.parametrize("content", ["{", "[1, 2]\n", '{"a": 1}\n{"a": "text"}\n', "text\n"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(FileFormatError, match="JSONL"):
        read(tmp_path / "a.jsonl")
