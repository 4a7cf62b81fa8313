"""Rows in memory, in files and in batches, for what reads data in passes."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(230, 4)) * [1, 1e3, 1e-3, 1] + [0, 1e6, 0, 7]).astype(np.float32)
X[:, 3] = 7.0
NAMES = ["a", "b", "c", "d"]
FRAME = pd.DataFrame(X, columns=NAMES)


def table(rows, names=NAMES):
    return pa.table({name: rows[:, j] for j, name in enumerate(names)})


def write_folder(path):
    """The rows of X in three Parquet files of row groups of 30, and in an NPY file."""
    for i, part in enumerate((X[:100], X[100:107], X[107:])):
        pq.write_table(table(part), path / f"{i}.parquet", row_group_size=30)
    np.save(path / "all.npy", X)
    return path


class Batches:
    """Anew each time that it is asked."""

    def __init__(self, make=lambda rows: rows, rows=X, size=37):
        self.make, self.rows, self.size = make, rows, size

    def __iter__(self):
        return (
            self.make(self.rows[i : i + self.size]) for i in range(0, len(self.rows), self.size)
        )
