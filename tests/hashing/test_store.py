"""A store that is a file: what happens to it from outside, and what it refuses."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
from stores import Truth, kept_whole, some_bits, some_payloads

from isthmus import CodeStore, FileFormatError, InvalidDataError, InvalidParameterError
from isthmus.hashing import pack


@pytest.fixture
def path(tmp_path):
    return tmp_path / "codes.store"


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
            truth.agrees(reader, queries, {"even": True}, lambda payload: payload["even"])
            writer.delete([20 * turn])
            del truth.items[20 * turn]
            truth.agrees(reader, queries)
            truth.agrees(writer, queries, {"even": True}, lambda payload: payload["even"])


def test_balls_follow_what_is_added_and_removed(path):
    code = np.zeros(8, np.uint8)
    with CodeStore(path, 64) as store, CodeStore(path) as other:
        for turn in range(5):
            store.upsert([turn], code)
            assert store.within(code, 0)[0].ids == list(range(turn + 1))
            assert other.within(code, 0)[0].ids == list(range(turn + 1))
        store.delete([2])
        assert store.within(code, 0)[0].ids == [0, 1, 3, 4]
        assert other.within(code, 0)[0].ids == [0, 1, 3, 4]


def test_a_new_file_waits_for_whoever_holds_it(path):
    """SQLite's timeout doesn't hold for the switch to a write-ahead log."""
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        release = Timer(0.3, holder.execute, ["ROLLBACK"])
        release.start()
        CodeStore(path, 16).close()
        release.join()


def test_filters_asked_again_are_remembered_while_nothing_is_written(path):
    code = np.zeros(1, np.uint8)
    with CodeStore(path, 8) as store:
        store.upsert(range(20), [code] * 20, [{"x": i} for i in range(20)])
        asked = []
        store._engine._connection.set_trace_callback(asked.append)
        for _ in range(2):
            for x in range(15):
                assert store.search(code, 2, {"x": x})[0].ids == [x]
        for _ in range(2):
            assert store.search(code, 2, {"x": {"<": 1.5}})[0].ids == [0, 1]
            assert sum("x" in each and "json_type" in each for each in asked) == 31
        store.upsert([99], code, [{"x": -1}])
        assert store.search(code, 9, {"x": {"<": 1.5}})[0].ids == [0, 1, 99]


def test_nothing_acknowledged_is_lost_by_kill(path, nursery):
    rng = np.random.default_rng(0)
    for turn in range(20):
        with nursery.writer(path, f"w{turn}") as writer:
            writer.turns(int(rng.integers(1, 40)))
            said = writer.kill()
        with CodeStore(path) as store:
            kept_whole(store, f"w{turn}", said)


OPENERS = """
import sys
from multiprocessing import get_context
import numpy as np
from isthmus import CodeStore

def work(folder, together, name):
    for turn in range(25):
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
    for turn in range(25):
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
    "list": (lambda s, c: s.search(c, 1, {"a": [*range(10_001)]}), InvalidParameterError, "most"),
    "large id": (lambda s, c: s.upsert([1 << 63], c), InvalidDataError, "64 bits"),
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


@pytest.mark.parametrize("edit", ["code = x'00'", "code = 'eight by'", "code = code || x'00'"])
def test_a_code_that_was_edited_is_refused(path, edit):
    with CodeStore(path, 64) as store:
        store.upsert(range(3), np.zeros((3, 8), np.uint8))
    with closing(sqlite3.connect(path)) as editor, editor:
        editor.execute(f"UPDATE item SET {edit} WHERE id = 1")
    with pytest.raises(FileFormatError, match="8 bytes long"):
        CodeStore(path)


def test_another_format_is_refused(path):
    CodeStore(path, 64).close()
    with closing(sqlite3.connect(path)) as editor:
        editor.execute("PRAGMA user_version = 99")
    with pytest.raises(FileFormatError, match="format 99"):
        CodeStore(path)


@pytest.mark.parametrize(("durability", "level"), [("process", 1), ("power", 2)])
def test_durability_is_what_sqlite_is_told(path, durability, level):
    with CodeStore(path, 64, durability=durability) as store:
        assert store._engine._connection.execute("PRAGMA synchronous").fetchone() == (level,)


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
