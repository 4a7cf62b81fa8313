"""The contract of every engine: brute force over what was acknowledged."""

import sys

import numpy as np
import pytest
from servers import SERVERS
from stores import FILTERS, Truth, some_bits, some_payloads

from isthmus import (
    CodeStore,
    InvalidDataError,
    InvalidParameterError,
    MissingPackageError,
    UnreachableError,
)
from isthmus.hashing import milvus, pack
from isthmus.hashing.engines import ENGINES


def test_every_engine_is_tested():
    assert set(ENGINES) == {"file", *SERVERS}


@pytest.mark.parametrize("n_bits", [13, 64, 100])
def test_brute_force_through_writes_and_reopening(place, n_bits):
    rng, truth = np.random.default_rng(1), Truth(n_bits)
    queries = pack(some_bits(4, n_bits, seed=3))
    with CodeStore(place, n_bits) as store:
        assert store.exact
        assert store.ball
        assert store.weighted == (store.path.partition("://")[1] == "")
        truth.agrees(store, queries)
        for turn in range(3):
            ids = [int(i) if i % 2 else f"n{i}" for i in rng.permutation(200)[:60]]
            codes, payloads = pack(some_bits(60, n_bits, seed=turn % 2)), some_payloads(60)
            store.upsert(ids, codes, payloads)
            truth.upsert(ids, codes, payloads)
            gone = [*ids[:10], "nobody", ids[0]]
            assert store.delete(gone) == 10
            for name in gone[:10]:
                del truth.items[name]
            assert len(store) == len(truth.items)
        truth.agrees(store, queries)
    with CodeStore(place) as store:
        assert store.n_bits == n_bits
        truth.agrees(store, queries)
        for name, item in zip(truth.items, store.get(truth.items), strict=True):
            code, payload = truth.items[name]
            assert (item.id, item.payload) == (name, payload)
            assert (item.code == code).all()
        assert store.get(["nobody"]) == [None]
        names, codes = store.codes()
        assert names == list(truth.items)
        assert (codes == np.stack([code for code, _ in truth.items.values()])).all()


def test_ties_go_to_what_was_written_first(place, monkeypatch):
    """Thousands of duplicates, more than any one answer of a server may hold."""
    monkeypatch.setattr(milvus, "MOST", 64)
    truth, bits = Truth(20), np.zeros((250, 20), bool)
    bits[200:, 0] = True
    codes, ids = pack(bits), [f"n{i}" for i in np.random.default_rng(0).permutation(250)]
    with CodeStore(place, 20) as store:
        store.upsert(ids, codes)
        truth.upsert(ids, codes, [None] * 250)
        store.upsert([ids[0], ids[3]], codes[:2])
        truth.upsert([ids[0], ids[3]], codes[:2], [None] * 2)
        for query in codes[[0, 249]]:
            names, distances = truth.all_near(query)
            for k in (1, 5, 60):
                (hits,) = store.search(query, k)
                assert hits.ids == names[:k]
            for radius in (0, 1):
                (hits,) = store.within(query, radius)
                assert hits.ids == [
                    n for n, d in zip(names, distances, strict=True) if d <= radius
                ]


def test_filters(place):
    truth = Truth(24)
    ids, codes, payloads = range(150), pack(some_bits(150, 24)), some_payloads(150)
    truth.upsert(ids, codes, payloads)
    query = pack(some_bits(1, 24, seed=3))[0]
    with CodeStore(place, 24) as store:
        store.upsert(ids, codes, payloads)
        for where, fits in FILTERS.values():
            names, distances = truth.all_near(query, fits)
            (hits,) = store.search(query, 150, where)
            assert (hits.ids, hits.distances.tolist()) == (names, distances.tolist()), where
            (hits,) = store.within(query, 6, where)
            assert hits.ids == names[: int((distances <= 6).sum())], where


STRANGE = [
    "text",
    "ü\u2028\\\"'\n\t",
    "",
    "%s $1 {}",
    0,
    1,
    -1,
    2.5,
    0.1,
    -1e300,
    True,
    False,
    None,
]


def test_filters_on_strange_values(place):
    payloads = [{"x": value} for value in STRANGE] + [{}, [1], "x", 7, None, {"x": {"x": 1}}]
    code = np.zeros(2, np.uint8)
    with CodeStore(place, 16) as store:
        store.upsert(range(len(payloads)), [code] * len(payloads), payloads)
        for i, value in enumerate(STRANGE):
            assert store.within(code, 0, {"x": value})[0].ids == [i], value
            assert store.within(code, 0, {"x": [value, "no"]})[0].ids == [i], value
        numbers = [i for i, v in enumerate(STRANGE) if type(v) in (int, float) and v < 1]
        assert store.within(code, 0, {"x": {"<": 1}})[0].ids == numbers
        texts = [i for i, v in enumerate(STRANGE) if isinstance(v, str) and v >= "t"]
        assert store.within(code, 0, {"x": {">=": "t"}})[0].ids == texts


def test_strange_ids_and_payloads_come_back(place):
    ids = ["", "ünï", "𝄞" * 10, "nul\0inside", "x" * 60_000, "5", 5, -(1 << 63), np.int64(7)]
    payloads = [None, {}, [], "text", 5, 0.1, {"ü": [1, {"deep": None}]}, True, {"a": 1e16}]
    codes = pack(some_bits(len(ids), 16))
    with CodeStore(place, 16) as store:
        store.upsert(ids, codes, payloads)
        items = store.get([*ids, "6", 6, "i5"])
        assert [item.id for item in items[:-3]] == ids
        assert [type(item.id) for item in items[5:7]] == [str, int]
        assert [item.payload for item in items[:-3]] == payloads
        assert items[-3:] == [None] * 3
        assert len(store) == len(ids)
        assert store.delete(["5", "nul\0inside"]) == 2
        assert [item is None for item in store.get(["5", 5, "nul\0inside"])] == [True, False, True]


def test_two_processes_write_at_once(place, nursery):
    with nursery.writer(place, "a") as one, nursery.writer(place, "b") as other:
        for each in (one, other):
            each.turns(4)
        said = [each.kill() for each in (one, other)]
    with CodeStore(place) as store:
        for name, last in zip("ab", said, strict=True):
            items = store.get(
                [f"{name}/{turn}/{i}" for turn in range(last + 1) for i in range(20)]
            )
            assert None not in [item for i, item in enumerate(items) if i % 20]
            assert [item for i, item in enumerate(items[: 20 * last]) if i % 20 == 0] == [
                None
            ] * last
        assert len(store) == len(store.codes()[0])


def test_what_is_not_meant_is_refused(place):
    code = np.zeros(2, np.uint8)
    with CodeStore(place, 16, fingerprint="one") as store:
        store.upsert(["here"], code)
        with pytest.raises(InvalidDataError, match="given twice"):
            store.upsert(["x", "x"], [code, code])
        if store.max_k is not None:
            with pytest.raises(InvalidParameterError, match="at most"):
                store.search(code, store.max_k + 1)
            with pytest.raises(InvalidParameterError, match="bits with bits"):
                store.search(np.zeros(16), 1)
        assert store.search(code, 3)[0].ids == ["here"]
        assert store.search(np.zeros((0, 2), np.uint8), 3) == []
    with pytest.raises(InvalidParameterError, match="16 bits, not of 24"):
        CodeStore(place, 24)
    with pytest.raises(InvalidParameterError, match="'one', not of 'two'"):
        CodeStore(place, fingerprint="two")
    with pytest.raises(InvalidParameterError, match="needs n_bits"):
        CodeStore(place + "_new")
    with pytest.raises(InvalidParameterError, match="closed"):
        len(store)


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_goes_away_is_an_error(name, servers):
    server = servers(name)
    code = np.zeros(8, np.uint8)
    with CodeStore(server.path("gone"), 64) as store:
        store.upsert(["here"], code)
        server.end("die")
        calls = (
            lambda: store.upsert(["lost"], code),
            lambda: store.delete(["here"]),
            lambda: store.get(["here"]),
            lambda: store.search(code, 1),
            lambda: store.within(code, 1),
            lambda: store.codes(),
            lambda: len(store),
        )
        for call in calls:
            with pytest.raises(UnreachableError, match="gone"):
                call()
    with pytest.raises(UnreachableError):
        CodeStore(server.path("gone"), 64)


def test_a_connection_that_was_cut_is_made_anew(servers):
    server, code = servers("postgresql"), np.zeros(2, np.uint8)
    psycopg = pytest.importorskip("psycopg")
    with CodeStore(server.path("cut"), 16) as store:
        store.upsert(["here"], code)
        with psycopg.connect(server.address, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        with pytest.raises(UnreachableError, match="write it again"):
            store.upsert(["lost"], code)
        assert [item is None for item in store.get(["here", "lost"])] == [False, True]
        store.upsert(["lost"], code)
        assert len(store) == 2


def test_unknown_engines_and_names_are_refused():
    with pytest.raises(InvalidParameterError, match="no engine named 'redis'"):
        CodeStore("redis://host/1", 16)
    for path in ("milvus://u:secret@host:1/No-Name", "postgresql://u:secret@host/db#No-Name"):
        with pytest.raises(InvalidParameterError, match="lower-case") as caught:
            CodeStore(path, 16)
        assert "secret" not in str(caught.value)


def test_durability_is_that_of_a_file_only():
    for path in ("milvus://host:1/x", "postgresql://host/db#x"):
        with pytest.raises(InvalidParameterError, match="durability"):
            CodeStore(path, 16, durability="power")


def test_an_engine_whose_package_is_missing_says_what_to_install(monkeypatch):
    for path, package, extra in (
        ("milvus://u:secret@host:1/x", "pymilvus", "milvus"),
        ("postgresql://u:secret@host/db#x", "psycopg", "postgres"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingPackageError, match=rf"isthmus\[{extra}\]") as caught:
            CodeStore(path, 16)
        assert "secret" not in str(caught.value)


def test_a_file_may_be_named_as_an_address(tmp_path):
    CodeStore(f"file://{tmp_path}/x", 16).close()
    with CodeStore(tmp_path / "x") as store:
        assert store.n_bits == 16
