"""The contract of a store: brute force over what was acknowledged, whatever happens to it."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from isthmus import CodeStore, FileFormatError, InvalidDataError, InvalidParameterError
from isthmus.hashing import pack, unpack


def some_bits(n, n_bits, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((4, n_bits)) < 0.5)[rng.integers(0, 4, n)] ^ (
        rng.random((n, n_bits)) < 0.05
    )


def some_payloads(n):
    groups = ("red", "blüe", 'qu"ote')
    return [{"year": 1990 + i % 7, "group": groups[i % 3], "even": i % 2 == 0} for i in range(n)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "codes.store"


class Truth:
    """What a store must answer, from a dictionary and NumPy."""

    def __init__(self, n_bits):
        self.n_bits, self.items = n_bits, {}

    def upsert(self, ids, codes, payloads):
        for name, code, payload in zip(ids, codes, payloads, strict=True):
            self.items.pop(name, None)
            self.items[name] = code, payload

    def all_near(self, query, fits=lambda payload: True):
        names = [name for name, (_, payload) in self.items.items() if fits(payload)]
        if not names:
            return [], np.zeros(0, int)
        bits = unpack(np.stack([self.items[name][0] for name in names]), self.n_bits)
        distances = (bits != unpack(query[None], self.n_bits)).sum(axis=1)
        order = np.argsort(distances, kind="stable")
        return [names[i] for i in order], distances[order]

    def agrees(self, store, queries, where=None, fits=lambda payload: True):
        for k in (1, 7, len(self.items) + 5):
            for query, hits in zip(queries, store.search(queries, k, where), strict=True):
                names, distances = self.all_near(query, fits)
                assert hits.ids == names[:k]
                assert (hits.distances == distances[:k]).all()
        for radius in (0, 2, self.n_bits // 4, self.n_bits):
            for query, hits in zip(queries, store.within(queries, radius, where), strict=True):
                names, distances = self.all_near(query, fits)
                count = int((distances <= radius).sum())
                assert hits.ids == names[:count]
                assert (hits.distances == distances[:count]).all()


@pytest.mark.parametrize("n_bits", [8, 13, 64, 100, 128])
def test_a_store_is_brute_force_through_writes_and_reopening(path, n_bits):
    rng, truth = np.random.default_rng(1), Truth(n_bits)
    queries = pack(some_bits(4, n_bits, seed=3))
    with CodeStore(path, n_bits) as store:
        for turn in range(6):
            ids = [int(i) if i % 2 else f"n{i}" for i in rng.permutation(200)[:60]]
            codes, payloads = pack(some_bits(60, n_bits, seed=turn % 3)), some_payloads(60)
            store.upsert(ids, codes, payloads)
            truth.upsert(ids, codes, payloads)
            gone = [*ids[:10], "nobody"]
            assert store.delete(gone) == 10
            for name in gone[:10]:
                del truth.items[name]
            assert len(store) == len(truth.items)
            truth.agrees(store, queries)
    with CodeStore(path) as store:
        assert store.n_bits == n_bits
        truth.agrees(store, queries)
        for name, item in zip(truth.items, store.get(truth.items), strict=True):
            code, payload = truth.items[name]
            assert (item.id, item.payload) == (name, payload)
            assert (item.code == code).all()
        assert store.get(["nobody"]) == [None]


FILTERS = {
    "equal": ({"year": 1993}, lambda p: p["year"] == 1993),
    "range": ({"year": {">=": 1991, "<": 1994}}, lambda p: 1991 <= p["year"] < 1994),
    "in": ({"group": ["red", "blüe"]}, lambda p: p["group"] in ("red", "blüe")),
    "quote": ({"group": 'qu"ote'}, lambda p: p["group"] == 'qu"ote'),
    "and": (
        {"group": "red", "year": {">": 1992.5}, "even": True},
        lambda p: p["group"] == "red" and p["year"] > 1992.5 and p["even"],
    ),
    "true is not 1": ({"even": 1}, lambda p: False),
    "mixed in": ({"year": [1990, True, "1991", None]}, lambda p: p["year"] == 1990),
    "nothing": ({"year": []}, lambda p: False),
    "absent": ({"month": None}, lambda p: False),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters(path, name):
    where, fits = FILTERS[name]
    truth = Truth(24)
    ids, codes, payloads = range(150), pack(some_bits(150, 24)), some_payloads(150)
    truth.upsert(ids, codes, payloads)
    with CodeStore(path, 24) as store:
        store.upsert(ids, codes, payloads)
        truth.agrees(store, pack(some_bits(3, 24, seed=3)), where, fits)


def test_a_list_of_thousands_in_a_filter(path):
    with CodeStore(path, 8) as store:
        store.upsert([1, 2], np.zeros((2, 1), np.uint8), [{"x": 5}, {"x": -1}])
        hits = store.search(np.zeros(1, np.uint8), 5, {"x": list(range(5000))})
        assert hits[0].ids == [1]


def test_real_valued_queries(path):
    bits, queries = some_bits(50, 20), np.random.default_rng(0).normal(size=(3, 20))
    with CodeStore(path, 20) as store:
        store.upsert(range(50), pack(bits))
        for query, hits in zip(queries, store.search(queries, 5), strict=True):
            truth = (np.abs(query) * (bits != (query > 0))).sum(axis=1)
            assert hits.distances == pytest.approx(np.sort(truth)[:5])
            assert truth[hits.ids] == pytest.approx(hits.distances)


def test_two_stores_on_one_file_see_each_other(path):
    queries, truth = pack(some_bits(3, 16, seed=9)), Truth(16)
    with CodeStore(path, 16) as one, CodeStore(path) as other:
        for turn, (writer, reader) in enumerate([(one, other), (other, one)] * 3):
            codes, ids = pack(some_bits(40, 16, seed=turn)), range(20 * turn, 20 * turn + 40)
            writer.upsert(ids, codes, some_payloads(40))
            truth.upsert(ids, codes, some_payloads(40))
            truth.agrees(reader, queries)
            writer.delete([20 * turn])
            del truth.items[20 * turn]
            truth.agrees(reader, queries)


WRITER = """
import sys
import numpy as np
from isthmus import CodeStore
path, name = sys.argv[1:]
with CodeStore(path, 64) as store:
    turn = 0
    while True:
        ids = [f"{name}/{turn}/{i}" for i in range(20)]
        store.upsert(ids, np.full((20, 8), turn % 256, np.uint8), [{"turn": turn}] * 20)
        if turn:
            store.delete([f"{name}/{turn - 1}/0"])
        print(turn, flush=True)
        turn += 1
"""


@contextmanager
def a_writer(path, name):
    """A process that writes until the block ends; what it complained of is in the failure."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, str(path), name]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment
        ) as writer,
    ):
        try:
            yield writer
        finally:
            writer.kill()
            writer.wait()
            complaints.seek(0)
            print(complaints.read(), file=sys.stderr)


def turns(writer, count):
    """The next turns that a writer says are kept."""
    lines = [writer.stdout.readline() for _ in range(count)]
    assert all(lines), "the writer ended; its error is among what was captured"
    return [int(line) for line in lines]


def kept_whole(store, name, acknowledged):
    """Each batch is there as a whole, and all that were acknowledged are."""
    for turn in range(acknowledged + 2):
        items = store.get([f"{name}/{turn}/{i}" for i in range(20)])
        there = [item is not None for item in items]
        if turn <= acknowledged:
            assert all(there[1:])
        assert all(there[1:]) or not any(there)
        assert turn >= acknowledged or not there[0]
        assert all((item.code == turn % 256).all() for item in items if item is not None)


def test_nothing_acknowledged_is_lost_by_kill(path):
    rng = np.random.default_rng(0)
    for turn in range(20):
        with a_writer(path, f"w{turn}") as writer:
            said = turns(writer, int(rng.integers(1, 40)))
            writer.kill()
            said += [int(line) for line in writer.stdout.read().splitlines()]
        with CodeStore(path) as store:
            kept_whole(store, f"w{turn}", said[-1])


def test_two_processes_write_at_once(path):
    with a_writer(path, "a") as one, a_writer(path, "b") as other:
        said = [turns(each, 30)[-1] for each in (one, other)]
        with CodeStore(path) as store:
            assert len(store) >= 2 * 29 * 19
    with CodeStore(path) as store:
        n = store._connection.execute("SELECT count(*) FROM item").fetchone()[0]
        assert len(store) == n
        for name, last in zip(("a", "b"), said, strict=True):
            items = store.get([f"{name}/{turn}/5" for turn in range(last + 1)])
            assert None not in items


OPENERS = """
import sys
from multiprocessing import get_context
import numpy as np
from isthmus import CodeStore

def work(folder, together, name):
    for turn in range(60):
        together.wait()
        with CodeStore(f"{folder}/{turn}", 64) as store:
            store.upsert([name], ZEROS)

ZEROS = np.zeros((1, 8), np.uint8)
context = get_context("fork")
together = context.Barrier(3, timeout=30)
each = [context.Process(target=work, args=(sys.argv[1], together, n)) for n in range(3)]
[process.start() for process in each]
[process.join() for process in each]
sys.exit(max(process.exitcode for process in each))
"""


@pytest.mark.skipif(os.name != "posix", reason="processes are forked, to open at one moment")
def test_a_new_file_may_be_opened_by_several_processes_at_one_moment(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", OPENERS, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    for turn in range(60):
        with CodeStore(tmp_path / str(turn)) as store:
            assert len(store) == 3


# ---- bad input ------------------------------------------------------------------------------


def test_other_bits_and_other_hashers_are_refused(path):
    with CodeStore(path, 16, fingerprint="one") as store:
        store.upsert(["a"], np.zeros((1, 2), np.uint8))
    with pytest.raises(InvalidParameterError, match="16 bits, not of 24"):
        CodeStore(path, 24)
    with pytest.raises(InvalidParameterError, match="'one', not of 'two'"):
        CodeStore(path, 16, fingerprint="two")
    with CodeStore(path) as store:
        assert (store.n_bits, store.fingerprint) == (16, "one")


def test_an_empty_store_takes_a_fingerprint_and_a_full_one_does_not(path, tmp_path):
    CodeStore(path, 16).close()
    CodeStore(path, 16, fingerprint="one").close()
    with CodeStore(path) as store:
        assert store.fingerprint == "one"
    with CodeStore(tmp_path / "full", 16) as store:
        store.upsert(["a"], np.zeros((1, 2), np.uint8))
    with pytest.raises(InvalidParameterError, match="None, not of 'one'"):
        CodeStore(tmp_path / "full", fingerprint="one")


REFUSED = {
    "k": (lambda s, c: s.search(c, 0), InvalidParameterError, "k must be"),
    "radius": (lambda s, c: s.within(c, -1), InvalidParameterError, "radius must be"),
    "width": (lambda s, c: s.search(np.zeros(3, np.uint8)), InvalidDataError, "uint8 of shape"),
    "weights": (lambda s, c: s.search(np.zeros(3)), InvalidDataError, "shape"),
    "infinite": (lambda s, c: s.search(np.full(16, np.inf)), InvalidDataError, "inf at bit 0"),
    "twice": (lambda s, c: s.upsert(["x", "x"], [c, c]), InvalidDataError, "'x' is given twice"),
    "text": (lambda s, c: s.upsert("xy", [c, c]), InvalidDataError, "list of ids"),
    "id": (lambda s, c: s.upsert([1.5], c), InvalidDataError, r"number 0 is 1\.5"),
    "surrogate": (lambda s, c: s.upsert(["\ud800"], c), InvalidDataError, "number 0"),
    "fewer": (lambda s, c: s.upsert(["x", "y"], c), InvalidDataError, "2 ids and 1 codes"),
    "payload": (lambda s, c: s.upsert(["x"], c, [{1, 2}]), InvalidDataError, "Payload 0"),
    "NaN": (lambda s, c: s.upsert(["x"], c, [float("nan")]), InvalidDataError, "Payload 0"),
    "payloads": (lambda s, c: s.upsert(["x"], c, []), InvalidDataError, "0 payloads"),
    "where": (lambda s, c: s.search(c, 1, "year"), InvalidParameterError, "dictionary"),
    "sign": (lambda s, c: s.search(c, 1, {"a": {"~": 1}}), InvalidParameterError, "comparisons"),
    "order": (lambda s, c: s.search(c, 1, {"a": {"<": None}}), InvalidParameterError, "order"),
    "field": (lambda s, c: s.search(c, 1, {'a"b': 1}), InvalidParameterError, "look at"),
    "value": (lambda s, c: s.search(c, 1, {"a": 1 << 70}), InvalidParameterError, "compare"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_leave_the_store_as_it_was(path, name):
    call, error, message = REFUSED[name]
    code = np.array([1, 2], np.uint8)
    with CodeStore(path, 16) as store:
        store.upsert(["here"], code)
        with pytest.raises(error, match=message):
            call(store, np.array(code))
        assert len(store) == 1
        assert store.search(code, 3)[0].ids == ["here"]


def test_strange_ids_come_back(path):
    ids = ["", "ünï", "𝄞" * 10, "nul\0inside", "x" * 1_000_000, "5", 5, -(1 << 63), np.int64(7)]
    codes = pack(some_bits(len(ids), 16))
    with CodeStore(path, 16) as store:
        store.upsert(ids, codes)
        assert [item.id for item in store.get(ids)] == ids
        assert len(store) == len(ids)


def test_files_that_are_no_stores(path, tmp_path):
    path.write_bytes(b"something else, and long enough to be looked at" * 50)
    with pytest.raises(FileFormatError, match="no store"):
        CodeStore(path, 16)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    before = foreign.read_bytes()
    with pytest.raises(FileFormatError, match="no store of codes"):
        CodeStore(foreign, 16)
    assert foreign.read_bytes() == before
    with pytest.raises(InvalidParameterError, match="must exist"):
        CodeStore(tmp_path / "nowhere" / "x", 16)
    with pytest.raises(InvalidParameterError, match="needs n_bits"):
        CodeStore(tmp_path / "new")


def test_a_damaged_store_is_refused(path):
    with CodeStore(path, 64) as store:
        store.upsert(range(2000), np.zeros((2000, 8), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(FileFormatError, match="damaged"):
        CodeStore(path)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_read_only_folder_is_refused():
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(InvalidParameterError, match="writable"):
            CodeStore(folder / "x", 16)
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)


def test_a_closed_store_says_so(path):
    store = CodeStore(path, 16)
    store.close()
    store.close()
    with pytest.raises(InvalidParameterError, match="closed"):
        len(store)
    with pytest.raises(InvalidParameterError, match="durability"):
        CodeStore(path, durability="none")


def test_nothing_loads_torch(path):
    code = (
        "import sys; from isthmus import CodeStore; CodeStore(sys.argv[1], 8).close(); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
