import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from isthmus import CodeStore, SemanticHasher
from isthmus.hashing import engines, inverted
from isthmus.hashing.embedded import Embedded

TOPICS = {
    "sea": "boat sail wave harbour anchor captain storm tide",
    "kitchen": "pan oven butter flour salt pepper knife recipe",
    "space": "rocket orbit moon shuttle planet engine launch star",
}
FEW = ("--bits", 16, "--max-epochs", 2, "--seed", 0)

AGAIN = ("--text", "body", "--id", "doc", "--add", "--quiet")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """120 texts of three topics, one of them empty, with a year and an id; and their vectors."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    names = [list(TOPICS)[i % 3] for i in range(120)]
    texts = [" ".join(rng.choice(TOPICS[name].split(), 6)) for name in names]
    texts[7] = "¿?"
    vectors = np.eye(3, 12)[np.arange(120) % 3] + 0.2 * rng.normal(size=(120, 12))
    table = pa.table(
        {
            "doc": [f"doc-{i}" for i in range(120)],
            "body": texts,
            "topic": names,
            "year": [1990 + i % 10 for i in range(120)],
            "embedding": vectors.tolist(),
        }
    )
    parquet.write_table(table.drop_columns("embedding"), folder / "texts.parquet")
    parquet.write_table(table.drop_columns("body"), folder / "vectors.parquet")
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "one.npy", np.eye(3, 12)[1:2])
    return folder


@pytest.fixture(scope="module")
def indexed(corpus):
    """The texts, indexed once."""
    from isthmus.cli import main

    options = ("--text", "body", "--id", "doc", *map(str, FEW), "--quiet")
    with pytest.raises(SystemExit) as end:
        main(["index", str(corpus / "texts.parquet"), "-o", str(corpus / "texts.store"), *options])
    assert end.value.code == 0
    return corpus / "texts.store"


def test_texts_are_found_by_their_words(run, indexed):
    ended = run("search", indexed, "moon rocket", "-k", 5)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["found"]
    assert [each["payload"]["topic"] for each in found] == ["space"] * 5
    assert all(
        "moon" in each["payload"]["body"] or "rocket" in each["payload"]["body"] for each in found
    )
    scores = [each["score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[0] <= 1
    assert found[0]["id"].startswith("doc-")


def test_filters_hold(run, indexed):
    ended = run(
        "search", indexed, "boat", "--where", "year>=1995", "--where", 'topic=["sea","space"]'
    )
    found = json.loads(ended.out)["found"]
    assert found
    assert all(each["payload"]["year"] >= 1995 for each in found)
    assert {each["payload"]["topic"] for each in found} <= {"sea", "space"}


def test_a_text_without_words_is_left_out(run, indexed, corpus):
    assert (
        json.loads(run("index", corpus / "texts.parquet", "-o", indexed, *AGAIN).out)["left_out"]
        == 1
    )
    with CodeStore(indexed) as store:
        assert len(store) == 119
        assert store.get(["doc-7"]) == [None]
    ended = run("search", indexed, "xyzzy")
    assert ended.code == 2
    assert "no word that the index knows" in ended.err


def test_rows_are_added_with_the_same_hasher(run, indexed, corpus, tmp_path):
    parquet.write_table(
        pa.table(
            {
                "doc": ["new", "new"],
                "body": ["rocket moon", "butter butter oven"],
                "topic": ["space", "kitchen"],
                "year": [2019, 2020],
            }
        ),
        tmp_path / "more.parquet",
    )
    ended = run(
        "index", tmp_path / "more.parquet", "-o", indexed, "--text", "body", "--id", "doc", "--add"
    )
    assert ended.code == 0, ended.err
    record = json.loads(ended.out)
    assert (record["rows"], record["left_out"], record["stored"]) == (2, 0, 120)
    found = json.loads(run("search", indexed, "butter oven", "-k", 1).out)["found"]
    assert (found[0]["id"], found[0]["payload"]["year"]) == ("new", 2020)
    with CodeStore(indexed) as store:
        store.delete(["new"])


@pytest.mark.parametrize(
    "given", [("vectors.parquet", "--vectors", "embedding"), ("vectors.npy",)]
)
def test_vectors_are_found_by_what_their_codes_decode_to(run, corpus, tmp_path, given):
    data, *options = given
    store = tmp_path / "v.store"
    ended = run("index", corpus / data, *options, "-o", store, *FEW, "--refine", "none")
    assert ended.code == 0, ended.err
    record = json.loads(ended.out)
    assert (record["rows"], record["stored"], record["left_out"]) == (120, 120, 0)
    assert record["words"] is None
    ended = run("search", store, "--queries", corpus / "one.npy", "-k", 10)
    assert ended.code == 0, ended.err
    (found,) = json.loads(ended.out)["found"]
    assert sum(each["id"] % 3 == 1 for each in found) >= 9
    assert run("search", store, "words").code == 2
    # without ids of their own rows are counted on, and replace nothing
    ended = run("index", corpus / data, *options, "-o", store, "--add", "--quiet")
    assert json.loads(ended.out)["stored"] == 240
    with CodeStore(store) as opened:
        assert sorted(opened.codes()[0]) == list(range(240))


def test_refusals(run, indexed, corpus, tmp_path):
    def refused(*arguments):
        ended = run(*arguments)
        assert ended.code == 2
        assert ended.err.count("\n") == 1
        return ended.err

    texts = corpus / "texts.parquet"
    assert "is there already" in refused("index", texts, "--text", "body", "-o", indexed)
    assert "no store" in refused("search", tmp_path / "no.store", "x")
    assert "which column" in refused("index", texts, "-o", tmp_path / "a.store")
    assert "no column" in refused("index", texts, "--text", "no", "-o", tmp_path / "a.store")
    assert "--files" in refused("index", texts, "--text", "body", "-o", "milvus://localhost:1/x")
    assert "one query" in refused("search", indexed)
    assert "k must be" in refused("search", indexed, "boat", "-k", 0)
    assert "--metric with --text" in refused(
        "index", texts, "--text", "body", "-o", tmp_path / "a.store", "--metric", "euclidean"
    )
    assert "--bits with --add" in refused(
        "index", texts, "--text", "body", "-o", indexed, "--add", "--bits", 16
    )
    assert "8 to 4096" in refused(
        "index", texts, "--text", "body", "-o", tmp_path / "a.store", "--bits", 0
    )
    assert "is no filter" in refused("search", indexed, "boat", "--where", "year")
    assert not (tmp_path / "a.store").exists()
    indexed.with_name("alone.store").write_bytes(indexed.read_bytes())
    assert "keep them together" in refused("search", indexed.with_name("alone.store"), "x")


def test_what_cannot_be_made_is_refused_before_anything_is_learned(
    run, corpus, tmp_path, monkeypatch
):
    """A folder that isn't there, a full store on a server, and one that takes no such codes."""

    def refused(output, *options):
        beside = ("--files", tmp_path / "beside")
        ended = run("index", corpus / "vectors.npy", "-o", output, *FEW, *beside, *options)
        assert ended.code == 2
        assert ended.err.count("\n") == 1
        return ended.err

    def at(name):
        return f"server://{tmp_path}/{name}"

    def learned(*_):
        raise AssertionError("it was learned for nothing")

    monkeypatch.setitem(
        engines.ENGINES,
        "server",
        lambda opening: Embedded(opening._replace(path=opening.path.removeprefix("server://"))),
    )
    with monkeypatch.context() as patch:
        patch.setattr(SemanticHasher, "fit", learned)
        assert "must exist" in refused(tmp_path / "nowhere" / "a.store")
        assert "no engine named 'redis'" in refused("redis://host:1/x")
        CodeStore(at("longer"), 32).close()
        assert "already, of 0 codes of 32 bits" in refused(at("longer"))
        CodeStore(at("taken"), 16, fingerprint="other").close()
        assert "of the hasher 'other'" in refused(at("taken"))
        with CodeStore(at("full"), 16) as store:
            store.upsert([1, 2], np.zeros((2, 2), np.uint8))
        assert "already, of 2 codes" in refused(at("full"))
    CodeStore(at("empty"), 16).close()
    for name in ("new", "empty"):
        beside = ("--files", tmp_path / name, "--refine", "none")
        ended = run("index", corpus / "vectors.npy", "-o", at(name), *FEW, *beside)
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["stored"] == 120
    assert {each.name for each in tmp_path.glob("*.store")} == set()


def test_search_by_the_nearest_cells(run, indexed, monkeypatch):
    monkeypatch.setattr(inverted, "FEW", 20)
    scanned = run("search", indexed, "moon rocket", "-k", 5)
    ended = run("search", indexed, "moon rocket", "-k", 5, "--index", "ivf")
    assert ended.code == 0, ended.err
    # a short list of 200 holds all there are
    assert ended.out == scanned.out
    ended = run("search", indexed, "moon rocket", "--index", "hnsw")
    assert ended.code == 2
    assert "no index named 'hnsw'" in ended.err


def test_files_of_strangers(run, indexed, tmp_path):
    for name in ("store", "store.hasher.safetensors", "store.words.npz"):
        (tmp_path / name).write_bytes(
            (indexed.parent / name.replace("store", indexed.name, 1)).read_bytes()
        )
    for content in ("[]", "{", '{"format": 1, "text": "body"}', '{"format": 9, "text": "body"}'):
        (tmp_path / "store.words.npz").write_text(content)
        ended = run("search", tmp_path / "store", "boat")
        assert ended.code == 2, ended.err
    (tmp_path / "store.words.npz").unlink()
    ended = run("search", tmp_path / "store", "boat")
    assert ended.code == 2
    assert "codes of the hasher" in ended.err
