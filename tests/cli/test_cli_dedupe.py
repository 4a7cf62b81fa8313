import json

import numpy as np
import pytest

from isthmus import CodeStore
from isthmus.data import read
from isthmus.hashing import pack


@pytest.fixture
def store(tmp_path):
    """Forty random codes, then a copy of the first, one 1 bit from the second, and a chain."""
    bits = np.random.default_rng(0).random((40, 64)) > 0.5
    near = bits[:1], bits[1:2].copy(), bits[2:3].copy(), bits[2:3].copy()
    near[1][0, 5] ^= True
    near[2][0, :2] ^= True
    near[3][0, :4] ^= True
    path = tmp_path / "a.store"
    with CodeStore(path, 64) as made:
        names = [*range(40), "copy", "one", "two", "four"]
        made.upsert(names, pack(np.concatenate([bits, *near])))
    return path


def test_duplicates_and_what_they_duplicate(run, store, tmp_path):
    ended = run(
        "dedupe", store, "-r", 2, "-o", tmp_path / "d.csv", "--pairs", tmp_path / "p.parquet"
    )
    assert ended.code == 0, ended.err
    record = json.loads(ended.out)
    assert (record["codes"], record["clusters"], record["duplicates"]) == (44, 3, 4)
    assert record["pairs"] == 4
    assert read(tmp_path / "d.csv").to_pydict() == {
        "id": ["copy", "one", "two", "four"],
        "duplicate_of": [0, 1, 2, 2],
        "distance": [0, 1, 2, 4],
    }
    pairs = read(tmp_path / "p.parquet").to_pylist()
    found = {(pair["id"], pair["other"], pair["distance"]) for pair in pairs}
    assert found == {("0", "copy", 0), ("1", "one", 1), ("2", "two", 2), ("two", "four", 2)}


def test_equal_codes_only_by_default(run, store):
    record = json.loads(run("dedupe", store).out)
    assert record["shown"] == [{"id": "copy", "duplicate_of": "0", "distance": 0}]
    assert record["removed"] == 0


def test_what_is_removed_is_gone(run, store, tmp_path):
    assert json.loads(run("dedupe", store, "-r", 2, "--remove").out)["removed"] == 4
    with CodeStore(store) as opened:
        assert opened.codes()[0] == list(range(40))
    ended = run("dedupe", store, "-r", 2, "--pairs", tmp_path / "none.csv")
    assert json.loads(ended.out)["pairs"] == 0
    assert read(tmp_path / "none.csv").column_names == ["id", "other", "distance"]


def test_refusals(run, store, tmp_path):
    for arguments, message in (
        ((tmp_path / "no.store",), "no store"),
        ((store, "-r", -1), "radius"),
        ((store, "-o", tmp_path / "x.npy"), "no name for a table"),
        ((store, "--pairs", tmp_path / "no" / "x.csv"), "no folder"),
    ):
        ended = run("dedupe", *arguments)
        assert ended.code == 2, ended.err
        assert message in ended.err
    assert not (tmp_path / "no.store").exists()


def test_an_empty_store(run, tmp_path):
    CodeStore(tmp_path / "e.store", 8).close()
    record = json.loads(run("dedupe", tmp_path / "e.store", "-r", 3).out)
    assert (record["codes"], record["clusters"], record["duplicates"]) == (0, 0, 0)
