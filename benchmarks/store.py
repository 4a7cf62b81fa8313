"""A store of codes: seconds to write, to open and to dedupe, milliseconds per query.

    python benchmarks/store.py [--rows 1000000] [--queries 50] [--costs]
    python benchmarks/store.py --at postgresql://… | milvus://… [--rows 200000]
    python benchmarks/store.py --ivf [--rows 10000000] [--codes codes.npy]

Codes are the signs of random projections of a Gaussian mixture, 128 and 64 bits, so that distances
are as uneven as those of data; with ``--ivf`` also those of noisy Gaussians of rank 32, which have
no clusters, or packed codes from a file, its last rows as queries. Times are processor time of
this process: run it with ``OMP_NUM_THREADS=1``. One line of JSON for each length, with faiss where
it is installed and without.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from isthmus import CodeStore
from isthmus.hashing import Ball, Hits, ball, clusters, pack, scan
from isthmus.hashing.ball import PATIENCE
from isthmus.hashing.codes import as_words


def codes_of(n: int, n_bits: int) -> np.ndarray:
    """Codes of n points around 1,000 centres in 48 dimensions."""
    rng = np.random.default_rng(0)
    centres, maps = rng.normal(size=(1000, 48)), rng.normal(size=(48, n_bits))
    parts = []
    for start in range(0, n, 50_000):
        count = min(50_000, n - start)
        points = centres[rng.integers(0, 1000, count)] + 0.3 * rng.normal(size=(count, 48))
        parts.append(pack(points @ maps > 0))
    return np.concatenate(parts)


def gaussian_codes(n: int, n_bits: int) -> np.ndarray:
    """Signs of Gaussians of rank 32, the variances 1, 1/2, 1/3 …, and half as large a noise."""
    rng = np.random.default_rng(0)
    scales = np.arange(1, 33, dtype=np.float32) ** -0.5
    maps = rng.standard_normal((32, n_bits), np.float32) * scales[:, None]
    noise = np.float32(0.5 * np.sqrt((scales**2).sum()))
    parts = []
    for start in range(0, n, 50_000):
        count = min(50_000, n - start)
        points = rng.standard_normal((count, 32), np.float32) @ maps
        parts.append(pack(points + noise * rng.standard_normal(points.shape, np.float32) > 0))
    return np.concatenate(parts)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def per_query(
    ask: Callable[[np.ndarray], object], queries: np.ndarray, n_before: int = 0
) -> float:
    """The median milliseconds of single queries, after some that don't count."""
    for query in queries[:n_before]:
        ask(query)
    return round(1e3 * float(np.median([seconds(lambda q=q: ask(q)) for q in queries])), 3)


def measure(n: int, n_bits: int, n_queries: int) -> dict[str, object]:
    codes = codes_of(n + n_queries, n_bits)
    base, queries = codes[:n], codes[n:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "codes.store")
        with CodeStore(path, n_bits) as store:
            payloads = [{"year": 1990 + i % 30} for i in range(n)]
            row: dict[str, object] = {"n": n, "n_bits": n_bits}
            row["write_s"] = round(seconds(lambda: store.upsert(range(n), base, payloads)), 2)
        opened: list[CodeStore] = []
        row["open_s"] = round(seconds(lambda: opened.append(CodeStore(path))), 2)
        with opened[0] as store:
            if find_spec("faiss"):
                store.search(queries[0], 10)  # loads it
                row["search_faiss_ms"] = per_query(lambda q: store.search(q, 10), queries, 10)
            kernel, scan._faiss = scan._faiss, lambda: None  # type: ignore[assignment]  # as if it were not installed
            row["search_numpy_ms"] = per_query(lambda q: store.search(q, 10), queries, 10)
            scan._faiss = kernel
            weights = np.random.default_rng(1).normal(size=(5, n_bits))
            row["search_weighted_ms"] = per_query(lambda q: store.search(q, 10), weights)
            row["within_2_scanned_ms"] = per_query(lambda q: store.within(q, 2), queries[:20])
            for _ in range(PATIENCE):
                store.within(queries[0], 2)
            row["within_2_ms"] = per_query(lambda q: store.within(q, 2), queries)
            found: list[np.ndarray] = []
            row["dedupe_2_s"] = round(seconds(lambda: found.append(clusters(base, n_bits, 2))), 2)
            row["dedupe_2_clusters"] = len(np.unique(found[0]))
            where = {"year": {"<": 1993}}
            row["filtered_first_ms"] = per_query(lambda q: store.search(q, 10, where), queries[:1])
            row["filtered_again_ms"] = per_query(lambda q: store.search(q, 10, where), queries)
    return row


def costs(n: int, n_bits: int, n_queries: int) -> dict[str, object]:
    """What look-ups and sorting cost, in codes that are compared and in scans."""
    codes = as_words(codes_of(n + n_queries, n_bits))
    words, queries = codes[:n], codes[n:]
    scanned = per_query(lambda q: scan.in_range(words, q, 2), queries)
    sort = 1e3 * seconds(lambda: np.argsort(ball.mixed(words)))
    each = Ball(words, n_bits)
    each._asked = PATIENCE
    radius = 2 if ball.n_flips(n_bits, 2) <= ball.MOST_FLIPS else 1
    each.within(queries[0], radius)
    looked_up = per_query(lambda q: each.within(q, radius), queries)
    each._alike(queries[0], 3)
    candidates = [len(each._alike(q, 3)) for q in queries]
    shared = per_query(lambda q: hamming_sorted(each, q), queries)
    return {
        "n": n,
        "n_bits": n_bits,
        "scan_ms": scanned,
        "sort_in_scans": round(sort / scanned, 1),
        "look_up_in_codes": round(looked_up / ball.n_flips(n_bits, radius) * n / scanned, 1),
        "candidate_in_codes": round(shared / float(np.median(candidates)) * n / scanned, 1),
    }


def measure_ivf(name: str, codes: np.ndarray, n_queries: int) -> dict[str, object]:
    """Cells against the scan, in a store: recall of the 10 nearest, equals counting alike."""
    base, queries = codes[:-n_queries], codes[-n_queries:]
    sure = np.abs(np.random.default_rng(1).normal(size=(min(20, n_queries), 8 * codes.shape[1])))
    weights = np.where(np.unpackbits(queries[: len(sure)], axis=1), sure, -sure)
    row: dict[str, object] = {"codes": name, "n": len(base), "n_bits": 8 * codes.shape[1]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "codes.store")
        with CodeStore(path, 8 * codes.shape[1]) as store:
            for start in range(0, len(base), 500_000):
                part = base[start : start + 500_000]
                store.upsert(range(start, start + len(part)), part)
            truth = {k: store.search(queries, k) for k in (10, 100)}
            truth_weighted = store.search(weights, 10)
            row["scan_ms"] = per_query(lambda q: store.search(q, 10), queries, 10)
            row["scan_rewrite_one_s"] = round(
                seconds(lambda: rewrite(store, base[0], queries[0])), 2
            )
            row["scan_weighted_ms"] = per_query(lambda q: store.search(q, 10), weights[:5])
        with CodeStore(path, index="ivf") as store:
            row["build_s"] = round(seconds(lambda: store.search(queries[0], 10)), 1)
            index = store._engine._index
            file = index._file
            row["cells"] = len(file.centres)
            row["mb"] = round(sum(x.nbytes for x in (file._codes, file._rows, file._of)) / 1e6)
            for probes in (16, 32, 64, 128, 256):
                index._probes = probes
                found = {k: store.search(queries, k) for k in truth}
                row[f"probes_{probes}"] = {
                    "recall_10": recall(truth[10], found[10]),
                    "recall_100": recall(truth[100], found[100]),
                    "ms": per_query(lambda q: store.search(q, 10), queries, 10),
                    "weighted_recall_10": recall(truth_weighted, store.search(weights, 10)),
                    "weighted_ms": per_query(lambda q: store.search(q, 10), weights),
                }
            row["rewrite_one_s"] = round(seconds(lambda: rewrite(store, base[0], queries[0])), 2)
    return row


def rewrite(store: CodeStore, code: np.ndarray, query: np.ndarray) -> None:
    """Write an id again and search: gaps are closed."""
    store.upsert([0], code)
    store.search(query)


def recall(truth: list[Hits], found: list[Hits]) -> float:
    each = zip(truth, found, strict=True)
    return round(float(np.mean([(b.distances <= a.distances[-1]).mean() for a, b in each])), 4)


def measure_server(path: str, n: int, n_queries: int) -> dict[str, object]:
    """Seconds by the clock, since the work is another process's."""
    codes = codes_of(n + n_queries, 128)
    base, queries = codes[:n], codes[n:]
    row: dict[str, object] = {"at": path.partition(":")[0], "n": n, "n_bits": 128}

    def median_ms(ask: Callable[[np.ndarray], object]) -> float:
        times = []
        for query in queries:
            start = time.perf_counter()
            ask(query)
            times.append(time.perf_counter() - start)
        return round(1e3 * float(np.median(times)), 1)

    with CodeStore(path, 128) as store:
        start = time.perf_counter()
        for first in range(0, n, 20_000):
            part = base[first : first + 20_000]
            store.upsert(range(first, first + len(part)), part)
        row["write_s"] = round(time.perf_counter() - start, 1)
        row["search_ms"] = median_ms(lambda q: store.search(q, 10))
        row["within_2_ms"] = median_ms(lambda q: store.within(q, 2))
        start = time.perf_counter()
        store.search(queries, 10)
        row["search_batch_ms"] = round(1e3 * (time.perf_counter() - start) / len(queries), 1)
    return row


def hamming_sorted(each: Ball, query: np.ndarray) -> object:
    rows = np.unique(each._alike(query, 3))
    return scan.in_order(scan.hamming(each.words[rows], query).astype(np.int32), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--costs", action="store_true", help="what ball.py takes for granted")
    parser.add_argument("--at", help="the address of a new store on a server")
    parser.add_argument("--ivf", action="store_true", help="cells against the scan")
    parser.add_argument("--codes", help="a NumPy file of packed codes for --ivf")
    given = parser.parse_args()
    if given.ivf:
        n = given.rows + given.queries
        kinds = {"mixture": codes_of, "gaussian": gaussian_codes}
        if given.codes:
            kinds = {given.codes: lambda n, n_bits: np.load(given.codes, mmap_mode="r")[:n]}
        for name, make in kinds.items():
            print(json.dumps(measure_ivf(name, make(n, 128), given.queries)), flush=True)
        return
    if given.at:
        print(json.dumps(measure_server(given.at, given.rows, given.queries)), flush=True)
        return
    for n_bits in (128, 64):
        row = (costs if given.costs else measure)(given.rows, n_bits, given.queries)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
