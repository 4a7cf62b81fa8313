"""Searches that look at the nearest cells only."""

import numpy as np
import pytest
from stores import FILTERS, Truth, some_bits, some_payloads

from isthmus import CodeStore, InvalidParameterError
from isthmus.hashing import inverted, pack
from isthmus.hashing.cells import Cells, learn, majorities, two_nearest
from isthmus.hashing.codes import as_words
from isthmus.hashing.index import Bits, Scan, Weights
from isthmus.hashing.inverted import Inverted, milestone

ALL = 1 << 16  # probes: every cell


@pytest.fixture
def path(tmp_path):
    return tmp_path / "codes.store"


@pytest.fixture
def small(monkeypatch):
    """Cells for stores of any size."""
    monkeypatch.setattr(inverted, "FEW", 20)
    monkeypatch.setattr(inverted, "ENOUGH", 1)
    monkeypatch.setattr(inverted, "PART_OF", 0)


def structured(n, n_bits=128, seed=0):
    """Signs of noisy low-rank Gaussians: near codes lie near, and there are no clusters."""
    rng = np.random.default_rng(seed)
    maps = np.random.default_rng(99).normal(size=(24, n_bits)) / np.sqrt(np.arange(1, 25))[:, None]
    points = rng.normal(size=(n, 24)) @ maps
    return pack(points + 0.7 * rng.normal(size=(n, n_bits)) > 0)


def hamming(a, b):
    return np.unpackbits(a[:, None] ^ b[None], axis=2).sum(axis=2)


def recall(truth, found):
    """The share of the k nearest that was found; equals count alike, whichever they are."""
    return np.mean(
        [(b.distances <= a.distances[-1]).mean() for a, b in zip(truth, found, strict=True)]
    )


# ---- cells ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [61, 256, 1025])
@pytest.mark.parametrize("n_bits", [8, 64, 100, 200])
def test_a_majority_has_the_least_sum_of_distances(n_bits, n):
    codes = pack(some_bits(n, n_bits))
    (centre,) = majorities(as_words(codes), 1, np.random.default_rng(0))
    least = hamming(codes, codes).sum(axis=1).min()
    bits = np.unpackbits(codes, axis=1, count=n_bits)
    truth = pack(2 * bits.sum(axis=0, keepdims=True) > n)
    assert (centre == as_words(truth)[0]).all()
    assert hamming(truth, codes).sum() <= least


@pytest.mark.parametrize("n", [1, 2, 70])
def test_the_two_nearest_centres_are_brute_force(n):
    codes, centres = pack(some_bits(300, 70)), pack(some_bits(n, 70, seed=1))
    order = np.argsort(hamming(codes, centres), axis=1, kind="stable")
    found = two_nearest(as_words(codes), as_words(centres))
    assert len(found) == min(n, 2)
    for i, each in enumerate(found):
        assert (each == order[:, i]).all()


def test_a_code_is_in_the_nearest_cell_of_its_two_nearest_groups():
    rng = np.random.default_rng(0)
    codes, groups, centres = (pack(rng.random((n, 72)) < 0.5) for n in (500, 6, 40))
    starts = [0, 3, 4, 15, 16, 30, 40]
    near = np.argsort(hamming(codes, groups), axis=1, kind="stable")[:, :2]
    group = np.repeat(np.arange(6), np.diff(starts))
    apart = hamming(codes, centres).astype(float)
    apart[(group != near[:, :1]) & (group != near[:, 1:])] = np.inf
    cells = Cells(as_words(groups), as_words(centres), starts)
    assert (cells.of(as_words(codes)) == apart.argmin(axis=1)).all()


def test_cells_follow_clusters():
    rng = np.random.default_rng(0)
    centres = rng.random((30, 128)) < 0.5
    cluster = rng.integers(0, 30, 4000)
    words = as_words(pack(centres[cluster] ^ (rng.random((4000, 128)) < 0.05)))
    cells = learn(words, 60)
    assert 30 <= len(cells) <= 70
    of = cells.of(words)
    # a cell is made of one cluster, but for few codes
    shared = np.zeros((len(cells), 30), int)
    np.add.at(shared, (of, cluster), 1)
    assert shared.max(axis=1).sum() > 0.97 * 4000
    assert (learn(words, 60).of(words) == of).all()


def test_cells_of_few_different_codes():
    words = as_words(pack(np.repeat(some_bits(3, 64), 500, axis=0)))
    cells = learn(words, 50)
    assert len(cells) == len(np.unique(words))
    crowd = np.concatenate(
        [np.repeat(words[:1], 9000, axis=0), as_words(pack(some_bits(900, 64)))]
    )
    assert len(learn(crowd, 50)) > 30
    assert len(learn(words[:1], 1)) == 1
    assert (learn(words[:1], 1).of(words[:1]) == 0).all()


def test_milestones_are_a_fixed_series(small):
    reached = {milestone(n) for n in range(20, 5000)}
    assert all(milestone(m) == m for m in reached)
    assert all(milestone(m - 1) < m for m in reached if m > 20)
    assert len(reached) < 40
    assert all(n / 1.3 < milestone(n) <= n for n in range(1, 5000))


# ---- the index alone ------------------------------------------------------------------------


@pytest.mark.parametrize("n_bits", [8, 13, 64, 200])
@pytest.mark.parametrize("n", [0, 1, 21, 700])
def test_with_all_cells_it_is_the_scan(n, n_bits, small, monkeypatch):
    monkeypatch.setattr(inverted, "BLOCK", 50)
    words, asked = as_words(pack(some_bits(700, n_bits)))[:n], some_bits(5, n_bits, seed=7)
    weights = np.random.default_rng(0).normal(size=(3, n_bits))
    fitting = np.flatnonzero(np.arange(n) % 3 != 1)
    for queries in (Bits(pack(asked)), Weights(weights)):
        for k in (1, 7, 200, 1000):
            for rows in (None, fitting):
                truth = list(Scan().nearest(words, queries, k, rows))
                found = list(Inverted(ALL).nearest(words, queries, k, rows))
                assert len(found) == len(truth)
                for (distances, near), (least, nearest) in zip(found, truth, strict=True):
                    assert distances.dtype == least.dtype
                    assert (distances == least).all()
                    assert (near == nearest).all()


def test_it_looks_at_the_nearest_cells_only(small):
    """What is found is the exact answer among the codes of the cells whose centres are nearest."""
    codes = structured(3000)
    words, index = as_words(codes), Inverted(3)
    queries = structured(20, seed=1)
    found = list(index.nearest(words, Bits(queries), 10, None))
    file = index._file
    centres = file.centres.view(np.uint8)
    for query, (distances, rows) in zip(queries, found, strict=True):
        cells = np.argsort(hamming(query[None], centres)[0], kind="stable")[:3]
        seen = np.flatnonzero(np.isin(file._of, cells))
        apart = hamming(query[None], codes[seen])[0]
        best = np.lexsort((seen, apart))[:10]
        assert (rows == seen[best]).all()
        assert (distances == apart[best]).all()


def test_cells_are_added_until_they_hold_enough(small, monkeypatch):
    words, query = as_words(structured(3000)), Bits(structured(1, seed=1))
    for k in (1, 500, 2999, 3000, 5000):
        ((distances, rows),) = Inverted(1).nearest(words, query, k, None)
        assert len(rows) == len(np.unique(rows)) == min(k, 3000)
        assert (np.diff(distances) >= 0).all()
    fitting = np.arange(0, 3000, 30)
    ((_, rows),) = Inverted(1).nearest(words, query, 60, fitting)
    assert len(rows) == 60
    assert np.isin(rows, fitting).all()
    monkeypatch.setattr(inverted, "ENOUGH", 100)
    for rows in (None, fitting):
        ((_, near),) = Inverted(1).nearest(words, query, 30, rows)
        ((_, truth),) = Scan().nearest(words, query, 30, rows)
        assert (near == truth).all()


def test_filters_lose_no_more_neighbours_than_other_searches(small):
    words, queries = as_words(structured(8000)), Bits(structured(100, seed=1))

    def found(rows):
        truth = map(Near, Scan().nearest(words, queries, 10, rows))
        return recall([*truth], [*map(Near, Inverted(8).nearest(words, queries, 10, rows))])

    some = np.flatnonzero(np.random.default_rng(0).random(8000) < 0.1)
    assert 0.5 < found(None) < 0.9
    assert found(some) > found(None) - 0.02


def test_real_valued_queries_look_at_twice_as_many_cells(small, monkeypatch):
    asked, true = [], inverted.probed
    monkeypatch.setattr(inverted, "probed", lambda *given: asked.append(given[2]) or true(*given))
    words = as_words(structured(3000))
    for queries in (Bits(structured(1)), Weights(np.ones((1, 128)))):
        for rows in (None, np.arange(750)):
            list(Inverted(8).nearest(words, queries, 5, rows))
    assert asked == [8, 16, 16, 32]


def test_all_are_compared_where_cells_would_be_half(small, monkeypatch):
    monkeypatch.setattr(inverted, "PART_OF", 2)
    monkeypatch.setattr(inverted, "ENOUGH", 10)
    words, query = as_words(structured(2000)), Bits(structured(1, seed=1))
    for k, rows in ((100, None), (40, np.arange(800))):
        index = Inverted(1)
        list(index.nearest(words, query, k, rows))
        assert index._file is None
        list(index.nearest(words, query, k - 1, rows))
        assert index._file is not None


def test_newer_codes_are_found_before_they_are_in_the_lists(small, monkeypatch):
    monkeypatch.setattr(inverted, "GROWTH", 10.0)
    words, queries = as_words(structured(1020)), Bits(structured(5, seed=1))
    index, there = Inverted(ALL), np.arange(1000)

    def agrees():
        now = words[there]
        for rows in (None, np.arange(0, len(now), 2)):
            for k in (10, len(now)):
                truth = Scan().nearest(now, queries, k, rows)
                found = index.nearest(now, queries, k, rows)
                for (least, nearest), (distances, near) in zip(truth, found, strict=True):
                    assert (near == nearest).all()
                    assert (distances == least).all()
        file = index._file
        assert (file._sizes == np.bincount(file._of, minlength=len(file.centres))).all()
        assert file._sizes.sum() == len(now)
        return len(file._rows)

    assert agrees() == 1000
    there = np.arange(1010)
    assert agrees() == 1000
    kept = np.ones(1010, bool)
    kept[[0, 500, 1003]] = False
    index.keep(kept)
    there = there[kept]
    assert agrees() == 998
    there = np.append(there, np.arange(1010, 1020))
    assert agrees() == 998
    there = np.concatenate([there, np.arange(20)])
    assert agrees() == 1037


@pytest.mark.parametrize("step", ["keep", "follow"])
def test_a_file_that_is_half_changed_is_never_asked(step, small, monkeypatch):
    """Ctrl-C may come at any moment."""
    words, query = as_words(structured(600)), Bits(structured(1, seed=1))
    index = Inverted(ALL)
    list(index.nearest(words[:500], query, 5, None))

    def stopped(file, _):
        file._of = file._of[:7]
        raise KeyboardInterrupt

    call = {
        "keep": lambda: index.keep(np.arange(500) > 0),
        "follow": lambda: list(index.nearest(words, query, 5, None)),
    }[step]
    with monkeypatch.context() as patch:
        patch.setattr(inverted.InvertedFile, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            call()
    for now in (words[1:500], words):
        ((_, near),) = index.nearest(now, query, 5, None)
        ((_, truth),) = Scan().nearest(now, query, 5, None)
        assert (near == truth).all()


def test_recall_on_codes_with_structure(monkeypatch):
    """32 of about 310 cells find 0.989 here; docs/scale.md has what larger stores give."""
    monkeypatch.setattr(inverted, "FEW", 50_000)
    words, queries = as_words(structured(60_000)), structured(100, seed=1)
    truth = [*map(Near, Scan().nearest(words, Bits(queries), 10, None))]
    index = Inverted(32)
    found = [*map(Near, index.nearest(words, Bits(queries), 10, None))]
    assert 280 < len(index._file.centres) < 330
    assert recall(truth, found) > 0.97


class Near:
    def __init__(self, pair):
        self.distances, self.rows = pair


# ---- in a store -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_bits", [13, 64, 100])
def test_a_store_that_looks_everywhere_is_brute_force(path, n_bits, small):
    rng, truth = np.random.default_rng(1), Truth(n_bits)
    queries = pack(some_bits(4, n_bits, seed=3))
    with (
        CodeStore(path, n_bits, index="ivf", probes=ALL) as store,
        CodeStore(path, index="ivf", probes=ALL) as other,
    ):
        truth.agrees(store, queries)
        for turn in range(12):
            ids = [int(i) for i in rng.permutation(400)[:40]]
            codes, payloads = pack(some_bits(40, n_bits, seed=turn % 2)), some_payloads(40)
            (store, other)[turn % 2].upsert(ids, codes, payloads)
            truth.upsert(ids, codes, payloads)
            if turn % 3:
                assert store.delete(ids[: 10 * turn]) == len(ids[: 10 * turn])
                for name in ids[: 10 * turn]:
                    del truth.items[name]
            truth.agrees(store, queries)
            truth.agrees(other, queries, {"even": True}, lambda payload: payload["even"])
    with CodeStore(path, index="ivf", probes=ALL) as store:
        for where, fits in FILTERS.values():
            truth.agrees(store, queries, where, fits)


def test_few_probes_find_most_and_say_so(path, small):
    codes, queries = structured(4000), structured(40, seed=1)
    with CodeStore(path, 128) as store:
        store.upsert(range(4000), codes, [{"half": i % 2} for i in range(4000)])
        truth, half = store.search(queries), store.search(queries, 10, {"half": 1})
        balls = store.within(queries, 30)
        assert store.exact
    found = []
    for probes in (1, 8, 40):
        with CodeStore(path, index="ivf", probes=probes) as store:
            assert not store.exact
            assert store.ball
            found.append(recall(truth, store.search(queries)))
            for near, ball in zip(store.within(queries, 30), balls, strict=True):
                assert near.ids == ball.ids
            if probes == 40:
                assert recall(half, store.search(queries, 10, {"half": 1})) > 0.9
    assert found == sorted(found)
    assert found[0] < 0.6
    assert found[-1] > 0.9


def test_answers_are_those_of_a_store_that_is_opened_anew(path, small):
    """While a store only grows, whatever was asked in between."""
    queries = structured(20, seed=1)
    with CodeStore(path, 128, index="ivf", probes=2) as store:
        for turn in range(12):
            store.upsert(range(150 * turn, 150 * turn + 150), structured(150, seed=turn))
            hits = store.search(queries)
            with CodeStore(path, index="ivf", probes=2) as anew:
                for one, other in zip(hits, anew.search(queries), strict=True):
                    assert one.ids == other.ids
                    assert (one.distances == other.distances).all()


def test_cells_are_learned_anew_when_codes_change(path, small):
    """All codes are replaced by others: the cells follow, and most neighbours are found."""
    queries = structured(40, seed=1) ^ np.uint8(0x5A)
    with CodeStore(path, 128, index="ivf", probes=30) as store:
        store.upsert(range(4000), structured(4000))
        store.search(queries)
        before = store._engine._index._file.centres
        store.upsert(range(0, 4000, 8), structured(500, seed=3))
        store.search(queries)
        assert store._engine._index._file.centres is before
        store.upsert(range(4000), structured(4000, seed=2) ^ np.uint8(0x5A))
        found = store.search(queries)
        assert store._engine._index._file.centres is not before
    with CodeStore(path) as store:
        assert recall(store.search(queries), found) > 0.85


def test_nothing_and_little(path, small):
    code = np.zeros((1, 16), np.uint8)
    with CodeStore(path, 128, index="ivf", probes=1) as store:
        assert store.search(code)[0].ids == []
        assert store.search(code[:0]) == []
        store.upsert(["one"], code)
        assert store.search(code, 5)[0].ids == ["one"]
        store.upsert(range(100), np.repeat(code, 100, axis=0))
        assert store.search(code, 3)[0].ids == ["one", 0, 1]
        assert len(store.search(code, 500)[0].ids) == 101
        assert store.search(np.full(128, 2.0), 500)[0].distances.max() == 256
        store.delete(["one", *range(99)])
        assert store.search(code, 5)[0].ids == [99]
        store.delete([99])
        assert store.search(code, 5)[0].ids == []


def test_two_processes_write_while_it_is_asked(path, nursery, small):
    code = np.zeros(8, np.uint8)
    with nursery.writer(path, "a") as one, nursery.writer(path, "b") as two:
        one.turns(3)
        two.turns(3)
        with CodeStore(path, index="ivf", probes=ALL) as store:
            for turn in range(6, 20, 6):
                one.turns(turn)
                (hits,) = store.search(code, 1000)
                assert len(hits.ids) == len(set(hits.ids)) > 15 * turn
            one.kill()
            two.kill()
            (hits,) = store.search(code, 10_000)
            with CodeStore(path) as scanned:
                (truth,) = scanned.search(code, 10_000)
            assert hits.ids == truth.ids


def test_small_stores_are_scanned(path):
    codes = structured(500)
    with CodeStore(path, 128, index="ivf", probes=1) as store:
        store.upsert(range(500), codes)
        hits = store.search(codes[:20], 50)
        assert store._engine._index._file is None
    with CodeStore(path) as store:
        for one, other in zip(hits, store.search(codes[:20], 50), strict=True):
            assert one.ids == other.ids


def test_what_is_not_meant_is_refused(path):
    for options, message in (
        ({"index": "ifv"}, r"no index named 'ifv'; the names are scan, ivf. Did you mean 'ivf'"),
        ({"index": None}, "no index named None"),
        ({"index": ["ivf"]}, "no index named"),
        ({"index": "ivf", "probes": 0}, "probes must be a whole number, 1 or more; got 0"),
        ({"index": "ivf", "probes": 2.5}, r"got 2\.5"),
        ({"index": "ivf", "probes": True}, "got True"),
        ({"probes": 8}, "probes is 8, but index='scan' compares with all codes"),
    ):
        with pytest.raises(InvalidParameterError, match=message):
            CodeStore(path, 64, **options)
    assert not path.exists()


@pytest.mark.parametrize("at", ["milvus://u:secret@host:1/x", "postgresql://u:secret@host/db#x"])
def test_servers_refuse_it(at):
    with pytest.raises(InvalidParameterError, match="index='ivf' is for a store that") as caught:
        CodeStore(at, 64, index="ivf")
    assert "secret" not in str(caught.value)
