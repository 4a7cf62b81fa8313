"""Sparse counts that stay sparse, beside batches that are made dense: rows per second and memory.

    python benchmarks/sparse_counts.py [--likelihood poisson] [--before OTHER_CHECKOUT/src]

Data: counts drawn from twenty topics whose words follow a power law, 100,000 rows of 20,000
columns, one cell in two hundred above zero, in CSR. The network is 20,000 – 128 – 32 – 128 –
20,000. Each way trains one epoch in a process of its own, whose peak resident set is everything:
interpreter, torch, the CSR array, the checks of the data, the model and its moments. Dense batches
need only a few thousand rows to show their speed; the sparse way trains on these rows too, and the
losses of both are printed, for they must agree. Rows per second are those of the epoch without
validation. With ``--before``, an older version's way is measured as well.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.sparse import csr_array, load_npz, save_npz

N_ROWS, N_COLUMNS, FEW_ROWS = 100_000, 20_000, 4_000
TOPICS, NON_ZEROS = 20, 100


def counts(n: int) -> csr_array:
    """Documents of about 130 words, of which about 100 are different."""
    rng = np.random.default_rng(0)
    law = 1 / (100 + np.arange(N_COLUMNS)) ** 1.1
    ends = [np.cumsum(rng.permutation(law)) for _ in range(TOPICS)]
    lengths = rng.gamma(4, 1.05 * NON_ZEROS / 4, n).astype(int) + 1
    row = np.repeat(np.arange(n), lengths)
    topic = rng.integers(TOPICS, size=n)[row]
    # a fifth of the words is of any topic
    topic = np.where(rng.random(len(row)) < 0.2, rng.integers(TOPICS, size=len(row)), topic)
    column = np.empty(len(row), dtype=np.int32)
    for number, end in enumerate(ends):
        mine = np.flatnonzero(topic == number)
        column[mine] = np.searchsorted(end, rng.random(len(mine)) * end[-1], side="right")
    ones = np.ones(len(row), dtype=np.float32)
    table = csr_array((ones, (row, column)), shape=(n, N_COLUMNS))
    table.sum_duplicates()
    return table


def worker(way: str, data: Path, n: int, how: dict[str, str]) -> dict[str, Any]:
    """One epoch, and what it took; in a process of its own."""
    x = load_npz(data)[:n]
    if way == "dense":
        _make_batches_dense()
    from isthmus import Autoencoder

    before = _peak()
    began = time.perf_counter()
    model = Autoencoder(32, hidden=(128,), max_epochs=1, random_state=0, **how).fit(x)
    epoch = model.history_[0]
    return {
        "way": way,
        "rows": n,
        "rows_per_second": round(epoch.rows_per_second, 1),
        "fit_seconds": round(time.perf_counter() - began, 1),
        "peak_mb": round(_peak()),
        "peak_before_mb": round(before),
        "nll": epoch.nll,
        "validation_nll": epoch.validation_nll,
    }


def _make_batches_dense() -> None:
    from isthmus.sparse import dense
    from isthmus.training.rows import SparseRows

    sparse = SparseRows.batch
    SparseRows.batch = lambda self, index: dense(sparse(self, index))


def _peak() -> float:
    """The peak resident set, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measured(
    way: str, data: Path, n: int, how: dict[str, str], source: str = ""
) -> dict[str, Any]:
    """The figures of a worker in a fresh process."""
    environment = {**os.environ, **({"PYTHONPATH": source} if source else {})}
    command = [sys.executable, __file__, "--worker", way, "--data", str(data)]
    command += ["--rows", str(n), "--likelihood", how["likelihood"]]
    command += ["--precision", how["precision"]]
    ended = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--likelihood", default="negative_binomial")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rows", type=int, default=N_ROWS)
    parser.add_argument("--few", type=int, default=FEW_ROWS)
    parser.add_argument("--before", default="", help="folder of an older version's sources")
    parser.add_argument("--worker", default="")
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args()
    how = {"likelihood": chosen.likelihood, "precision": chosen.precision}
    if chosen.worker:
        print(json.dumps(worker(chosen.worker, chosen.data, chosen.rows, how)))
        return
    with TemporaryDirectory() as folder:
        data = Path(folder) / "counts.npz"
        table = counts(chosen.rows)
        print(f"{table.nnz / table.shape[0] / table.shape[1]:.2%} non-zero, {table.nnz:,} numbers")
        save_npz(data, table, compressed=False)
        del table
        ways = [("sparse", chosen.few, ""), ("dense", chosen.few, "")]
        if chosen.before:
            ways.append(("before", chosen.few, chosen.before))
        for way, n, source in [*ways, ("sparse", chosen.rows, "")]:
            print(json.dumps(measured(way, data, n, how, source)), flush=True)


if __name__ == "__main__":
    main()
