"""FAISS's hashes and quantisers at a given number of bits, in the peers' environment.

    python quantizers.py FOLDER N_BITS NAME

FOLDER holds base.npy and queries.npy, float32. It writes found.npz there: the bits of base and
queries for a hash, the nearest rows of each query for a quantiser. The last line on standard
output is one JSON object: seconds of the processor to train and to encode the base, milliseconds
per query, bytes per vector, bytes of the model; or why the name is left out.

RaBitQ keeps two numbers of 4 bytes with its bits, so that at the same bytes it has 64 bits less,
one for each principal direction.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

N_NEAREST = 200
Record = dict[str, Any]

TRANSFORMS: dict[str, Callable[[int, int], Any]] = {
    "sign": faiss.RandomRotationMatrix,
    "PCA-sign": faiss.PCAMatrix,
    "ITQ": lambda d, n_bits: faiss.ITQTransform(d, n_bits, True),
}
FACTORIES = {
    "PQ": "PQ{bytes}",
    "OPQ": "OPQ{bytes},PQ{bytes}",
    "RQ": "RQ{bytes}x8",
    "LSQ": "LSQ{bytes}x8",
    "RaBitQ": "PCAR{rest},RaBitQ",
}


def clock(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and seconds of the processor."""
    began = time.process_time()
    done = work()
    return done, time.process_time() - began


def hashed(name: str, base: np.ndarray, queries: np.ndarray, n_bits: int) -> Record:
    """Bits by the signs of a linear map, about the mean where the map is learned."""
    d = base.shape[1]
    transform = TRANSFORMS[name](d, n_bits)
    _, training = clock(lambda: transform.train(base))
    bits, encoding = clock(lambda: transform.apply(base) > 0)
    return {
        "base": np.packbits(bits, axis=1),
        "queries": np.packbits(transform.apply(queries) > 0, axis=1),
        "train_s": training,
        "encode_s": encoding,
        "model_bytes": 4 * (d + 1) * n_bits,
        "bytes": n_bits // 8,
    }


def locality(base: np.ndarray, queries: np.ndarray, n_bits: int) -> Record:
    """Random directions with thresholds at their medians."""
    index = faiss.IndexLSH(base.shape[1], n_bits, True, True)
    _, training = clock(lambda: index.train(base))
    codes, encoding = clock(lambda: index.sa_encode(base))
    # FAISS numbers bits from the lowest; distances are the same
    return {
        "base": codes,
        "queries": index.sa_encode(queries),
        "train_s": training,
        "encode_s": encoding,
        "model_bytes": 4 * (base.shape[1] + 1) * n_bits,
        "bytes": n_bits // 8,
    }


def quantised(name: str, base: np.ndarray, queries: np.ndarray, n_bits: int) -> Record:
    """The nearest rows by the distance of each query to what the codes decode to."""
    n_bytes, d = n_bits // 8, base.shape[1]
    if name == "RaBitQ" and n_bits <= 64:
        return {"missing": "its two numbers alone take 64 bits"}
    if name in ("PQ", "OPQ") and d % n_bytes:
        wide = -(-d // n_bytes) * n_bytes
        base, queries = (np.pad(x, [(0, 0), (0, wide - d)]) for x in (base, queries))
    rest = min(d, n_bits - 64)
    index = faiss.index_factory(base.shape[1], FACTORIES[name].format(bytes=n_bytes, rest=rest))
    _, training = clock(lambda: index.train(base))
    _, encoding = clock(lambda: index.add(base))
    (_, rows), asking = clock(lambda: index.search(queries, N_NEAREST))
    code = index.sa_code_size()
    return {
        "rows": rows,
        "train_s": training,
        "encode_s": encoding,
        "query_ms": 1e3 * asking / len(queries),
        "model_bytes": max(0, faiss.serialize_index(index).nbytes - code * len(base)),
        "bytes": code,
    }


def measure(name: str, base: np.ndarray, queries: np.ndarray, n_bits: int) -> Record:
    if name in TRANSFORMS or name == "LSH":
        if n_bits > base.shape[1]:
            return {"missing": f"{base.shape[1]} columns can't be turned to {n_bits}"}
        if name == "LSH":
            return locality(base, queries, n_bits)
        return hashed(name, base, queries, n_bits)
    return quantised(name, base, queries, n_bits)


def main() -> None:
    folder, n_bits, name = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    base, queries = np.load(folder / "base.npy"), np.load(folder / "queries.npy")
    faiss.omp_set_num_threads(1)
    record = measure(name, base, queries, n_bits)
    arrays = {key: record.pop(key) for key in ("base", "queries", "rows") if key in record}
    if arrays:
        np.savez(folder / "found.npz", **arrays)
    print(json.dumps(record))


if __name__ == "__main__":
    main()
