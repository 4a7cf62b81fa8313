"""Learned bits beside the hashes and quantisers of FAISS, at the same bytes.

    python benchmarks/hashing.py --what vectors embeddings.npz --bits 128
    ISTHMUS_DATA=folder python benchmarks/hashing.py --what texts --bits 16 32 64 128 --seeds 3
    ISTHMUS_DATA=folder python benchmarks/hashing.py --what images mnist fashion_mnist

``vectors``: 1,000 rows drawn with seed 0 are queries, the others the base; the truth is the ten
nearest by cosine. ``texts``: test posts of 20 Newsgroups are queries, training posts the base, and
what is found is right if it is of the same group. ``images``: the same with classes.

Learned bits are asked in three ways (DESIGN.md has them): Hamming; a real-valued query against
bits; decoded, a short list of 200 and all rows. Where distances are equal, the mean over their
orders is reported. FAISS runs in the peers' environment (``--peers``), in a process of its own,
and so does nothing else meanwhile. Seconds are those of the processor: with ``OMP_NUM_THREADS=1``
they are a thread's. ``--json FILE`` writes every record, and what FAISS did is read from there
again in place of being run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corpora
import isthmus
from asking import SHORT, Way, by_bits, by_rows, by_score, by_weights, clock, ranked_again
from corpora import Corpus
from isthmus.hashing.codes import as_words
from rankings import average_precision, by_distance, expected_hits, nearest_ten

HERE = Path(__file__).parent
PEERS = HERE.parent / ".peers" / "bin" / "python"
HASHES, QUANTISERS = ("sign", "PCA-sign", "ITQ", "LSH"), ("PQ", "OPQ", "RQ", "LSQ", "RaBitQ")
BLOCK = 256
# for what is of the same kind, in place of what is nearest
KINDS = {
    "corruption": isthmus.NeighbourWalk(5, steps=2),
    "encoder": isthmus.NoisySigmoid(8.0, grow=True),
    "hidden": (512,),
    "decoder_hidden": (),
    "rounds": 0,
    "refine": "none",
    "batch_size": 1024,
    "max_epochs": 30,
}
AMONG = 500  # by bits, before TF-IDF ranks them again

Record = dict[str, Any]


def faiss(corpus: Corpus, name: str, n_bits: int, python: str) -> Record:
    """What one of FAISS's methods took and found; arrays are in its record."""
    if not Path(python).exists():
        raise SystemExit(f"There is no {python}: make the peers' environment, or give --peers.")
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "base.npy"), corpus.base_vectors)
        np.save(Path(folder, "queries.npy"), corpus.query_vectors)
        command = [python, str(HERE / "quantizers.py"), folder, str(n_bits), name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        record: Record = json.loads(done.stdout.splitlines()[-1])
        if "missing" not in record:
            record.update(np.load(Path(folder, "found.npz")))
    return record


def ways_of_faiss(record: Record, n: int, n_bits: int) -> dict[str, Way]:
    if "rows" in record:
        return {"decoded, all": by_rows(record["rows"], n)}
    return {"Hamming": by_bits(record["base"], record["queries"], n_bits)}


def learn(corpus: Corpus, n_bits: int, seed: int, options: Record) -> tuple[Any, Record]:
    """A hasher of the base, its codes, and what that took."""
    hasher = isthmus.SemanticHasher(n_bits, random_state=seed, **options)
    _, training = clock(lambda: hasher.fit(corpus.base_vectors))
    codes, encoding = clock(lambda: hasher.transform(corpus.base_vectors))
    model_bytes = sum(each.nbytes for each in hasher.model_.state_dict().values())
    return hasher, {
        "base": codes,
        "train_s": training,
        "encode_s": encoding,
        "model_bytes": model_bytes,
        "bytes": codes.shape[1],
    }


def ways_of_hasher(hasher: Any, codes: NDArray[np.uint8], corpus: Corpus) -> dict[str, Way]:
    """Hamming, asymmetric, decoded short list and, of vectors, decoded scan."""
    n_bits, queries = hasher.n_bits, corpus.query_vectors
    hamming = by_bits(codes, hasher.transform(queries, hasher.refine_of_queries), n_bits)
    weighted = by_weights(codes, hasher.query(queries), n_bits)

    def decoded_scores(some: slice, rows: NDArray[np.int64]) -> NDArray:
        return hasher.rerank(queries[some], codes[rows])

    ways = {
        "Hamming": hamming,
        "real-valued query": weighted,
        f"decoded, {SHORT} by Hamming": ranked_again(hamming, decoded_scores, SHORT),
        f"decoded, {SHORT} by real-valued query": ranked_again(weighted, decoded_scores, SHORT),
    }
    if not len(corpus.base_labels):
        decoded = hasher.decode(codes)
        decoded = (decoded / np.linalg.norm(decoded, axis=1, keepdims=True)).T
        ways["decoded, all"] = by_score(lambda some: queries[some] @ decoded)
    return ways


def exact(corpus: Corpus) -> Way:
    """By the cosine of the rows themselves."""
    queries, base = corpus.queries, corpus.base
    if isinstance(base, np.ndarray):
        return by_score(lambda some: queries[some] @ base.T)
    transposed = base.T.tocsr()
    return by_score(lambda some: (queries[some] @ transposed).toarray())


def among(way: Way, corpus: Corpus) -> Way:
    """A short list by bits, ranked again by the cosine of the rows themselves."""

    def scores(some: slice, rows: NDArray[np.int64]) -> NDArray:
        asked = corpus.queries[some]
        return np.stack([np.ravel((asked[i] @ corpus.base[r].T).todense())
                         for i, r in enumerate(rows)])  # fmt: skip

    return ranked_again(way, scores, AMONG)


def blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def recall(way: Way, corpus: Corpus) -> Record:
    """Which part of the true ten is among the first 10 and the first 100."""
    truth, parts = exact(corpus), []
    for some in blocks(corpus.queries.shape[0]):
        relevant = nearest_ten(truth.distances(some))
        distances = way.distances(some)
        parts.append([expected_hits(distances, relevant, k) / 10 for k in (10, 100)])
    found = np.concatenate(parts, axis=1).mean(1)
    return {"recall@10": found[0], "in 100": found[1]}


def precision(way: Way, corpus: Corpus) -> Record:
    """Which part of the first 100 has the query's label."""
    parts = []
    for some in blocks(corpus.queries.shape[0]):
        relevant = corpus.query_labels[some][:, None] == corpus.base_labels
        parts.append(expected_hits(way.distances(some), relevant, 100) / 100)
    return {"precision@100": np.concatenate(parts).mean()}


def mean_average_precision(
    base: NDArray[np.uint8], queries: NDArray[np.uint8], corpus: Corpus, n_bits: int
) -> Record:
    """By Hamming distance, of the first 1,000 rows and of all."""
    words = as_words(base), as_words(queries)
    tables = by_distance(*words, corpus.base_labels, corpus.query_labels, n_bits)
    return {
        "mAP@1000": average_precision(*tables, 1000).mean(),
        "mAP@all": average_precision(*tables).mean(),
    }


def measure(ways: dict[str, Way], record: Record, corpus: Corpus) -> Iterator[Record]:
    """A record for each way to ask."""
    costs = {key: value for key, value in record.items() if not isinstance(value, np.ndarray)}
    judge = precision if len(corpus.base_labels) else recall
    for name, way in ways.items():
        yield {"query_ms": way.milliseconds(), "asked": name, **costs, **judge(way, corpus)}


def rows_of_faiss(
    corpus: Corpus, name: str, n_bits: int, given: argparse.Namespace
) -> Iterator[Record]:
    record = faiss(corpus, name, n_bits, given.peers)
    if "missing" in record:
        print(f"{name} is left out: {record['missing']}", file=sys.stderr)
    elif given.what == "images":
        found = mean_average_precision(record["base"], record["queries"], corpus, n_bits)
        yield {"method": name, "asked": "Hamming", **found, **costs_of(record)}
    else:
        ways = ways_of_faiss(record, corpus.base.shape[0], n_bits)
        if given.what == "texts" and "base" in record:
            ways[f"TF-IDF of {AMONG} by Hamming"] = among(ways["Hamming"], corpus)
        for row in measure(ways, record, corpus):
            yield {"method": name, **row}


def costs_of(record: Record) -> Record:
    return {key: value for key, value in record.items() if not isinstance(value, np.ndarray)}


def options_of(given: argparse.Namespace, n_bits: int) -> Record:
    """Of SemanticHasher: its defaults for vectors, bits for kinds otherwise."""
    # few bits must all be used, many need not
    kinds: Record = {} if given.what == "vectors" else {**KINDS, "balance": 1.6 / n_bits}
    if given.what == "images":
        near = isthmus.NeighbourWalk(5, steps=2, metric="euclidean")
        kinds = {
            **kinds,
            "corruption": near,
            "metric": "euclidean",
            "balance": 0.3,
            "max_epochs": 12,
        }
    return {**kinds, **given.options}


def rows_of_hasher(
    corpus: Corpus, n_bits: int, seed: int, given: argparse.Namespace
) -> Iterator[Record]:
    hasher, record = learn(corpus, n_bits, seed, options_of(given, n_bits))
    what = {"method": "learned", "seed": seed}
    if given.what == "images":
        asked = hasher.transform(corpus.query_vectors)
        found = mean_average_precision(record["base"], asked, corpus, n_bits)
        yield {**what, "asked": "Hamming", **found, **costs_of(record)}
        return
    ways = ways_of_hasher(hasher, record["base"], corpus)
    if given.what == "texts":
        ways[f"TF-IDF of {AMONG} by Hamming"] = among(ways["Hamming"], corpus)
    for row in measure(ways, record, corpus):
        yield {**what, **row}


FIGURES = ("recall@10", "in 100", "precision@100", "mAP@1000", "mAP@all")


def table(rows: list[Record], what: str, n_bits: int) -> str:
    """Markdown, the mean over seeds; the best of each figure in bold, ours or not."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["asked"]), []).append(row)
    figures = [name for name in FIGURES if any(name in row for row in rows)]
    means = {
        key: {name: float(np.mean([row[name] for row in group])) for name in figures}
        for key, group in groups.items()
    }
    coded = [key for key, group in groups.items() if group[0].get("bytes")]
    best = {name: max((means[key][name] for key in coded), default=1.0) for name in figures}
    lines = [
        f"### {what}, {n_bits} bits",
        "",
        f"| method | asked by | {' | '.join(figures)} | train, s | encode, s | query, ms "
        "| bytes a row | model, MB |",
        "|---|---|" + "---:|" * (len(figures) + 5),
    ]
    for key, group in groups.items():
        shown = [f"{means[key][name]:.3f}" for name in figures]
        cells = [
            f"**{cell}**" if key in coded and means[key][name] == best[name] else cell
            for name, cell in zip(figures, shown, strict=True)
        ]
        lines.append(f"| {' | '.join([*key, *cells, *cost_cells(group)])} |")
    return "\n".join(lines)


def cost_cells(group: list[Record]) -> list[str]:
    def cell(name: str, digits: int, scale: float = 1.0) -> str:
        values = [row[name] for row in group if row.get(name) is not None]
        return f"{np.mean(values) * scale:.{digits}f}" if values else ""

    return [
        cell("train_s", 1),
        cell("encode_s", 1),
        cell("query_ms", 2),
        cell("bytes", 0),
        cell("model_bytes", 2, 1e-6),
    ]


def corpora_of(given: argparse.Namespace) -> Iterator[tuple[str, Corpus]]:
    if given.what == "texts":
        yield "20 Newsgroups", corpora.texts()
    for name in given.names:
        corpus = corpora.images(name) if given.what == "images" else corpora.vectors(Path(name))
        yield Path(name).stem, corpus


def run(what: str, corpus: Corpus, n_bits: int, given: argparse.Namespace) -> list[Record]:
    """All rows of one table; whatever of FAISS's is in the file is taken from there."""
    about = {"what": what, "n_bits": n_bits}
    kept = json.loads(given.json.read_text()) if given.json and given.json.exists() else []
    rows = [row for row in kept if row.items() >= about.items() and row["method"] != "learned"]
    others = [row for row in kept if not row.items() >= about.items()]
    for found in turns(corpus, n_bits, given, {row["method"] for row in rows}):
        rows += [{**about, **row} for row in found]
        if given.json:
            given.json.write_text(json.dumps(others + rows, indent=1, default=float))
    return rows


def turns(
    corpus: Corpus, n_bits: int, given: argparse.Namespace, known: set[str]
) -> Iterator[Iterator[Record]]:
    """Each method's rows in turn."""
    images = given.what == "images"
    if not images and "rows" not in known:
        each = measure({"cosine": exact(corpus)}, {}, corpus)
        yield ({"method": "rows", **row} for row in each)
    for name in HASHES if images else (*HASHES, *QUANTISERS):
        if name not in known and name in given.only:
            yield rows_of_faiss(corpus, name, n_bits, given)
    for seed in range(given.seeds):
        yield rows_of_hasher(corpus, n_bits, seed, given)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="files of vectors, or mnist, fashion_mnist")
    parser.add_argument("--what", choices=("vectors", "texts", "images"), default="vectors")
    parser.add_argument("--bits", type=int, nargs="+", default=[128])
    parser.add_argument("--only", nargs="+", default=[*HASHES, *QUANTISERS], help="of FAISS")
    parser.add_argument("--seeds", type=int, default=1, help="hashers; 0 for FAISS alone")
    parser.add_argument("--options", type=json.loads, default={}, help="of SemanticHasher, JSON")
    parser.add_argument("--peers", metavar="PYTHON", default=str(PEERS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    if given.what != "texts" and not given.names:
        parser.error("name the files of vectors, or the sets of images")
    if any(n % 8 for n in given.bits):
        parser.error("FAISS's quantisers are for whole bytes: give multiples of 8")
    return given


def main() -> None:
    given = parse()
    for what, corpus in corpora_of(given):
        for n_bits in given.bits:
            print(table(run(what, corpus, n_bits, given), what, n_bits), flush=True)


if __name__ == "__main__":
    main()
