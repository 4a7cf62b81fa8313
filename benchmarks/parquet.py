"""Parquet larger than memory: peak resident set of fit and transform, and speed beside memory.

    python benchmarks/parquet.py [--rows 5000000] [--in-memory 1000000] [--folder FOLDER]

The file is made first, block by block: 50 columns of float64 (`--dtype float32` for half the size)
with ten common causes, in row groups of 100,000 rows; 2 GB for five million. Then each of these is
a process of its own:

- `fit` from the file, one epoch, and `transform` of the file to another one: the peak resident set
  is everything, interpreter and torch among it;
- one epoch from a file of fewer rows, and of the same rows as an array in memory, in turns: rows
  per second of processor time on one thread, so that other work on the machine counts little.

Prints one line of JSON for each. The files are deleted at the end.
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
import pyarrow as pa
from pyarrow import parquet

N_COLUMNS, N_CAUSES, GROUP = 50, 10, 100_000
FIT = {"hidden": (256,), "max_epochs": 1, "batch_size": 1024, "random_state": 0}


def make(path: Path, n_rows: int, dtype: str) -> None:
    """Rows with ten causes and noise, row group by row group."""
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(N_CAUSES, N_COLUMNS)).astype(dtype)
    schema = pa.schema([(f"c{j}", pa.from_numpy_dtype(np.dtype(dtype))) for j in range(N_COLUMNS)])
    with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for first in range(0, n_rows, GROUP):
            m = min(GROUP, n_rows - first)
            causes = rng.standard_normal((m, N_CAUSES), dtype)
            rows = causes @ loadings + rng.standard_normal((m, N_COLUMNS), dtype)
            columns = [pa.array(np.ascontiguousarray(column)) for column in rows.T]
            writer.write_table(pa.table(columns, schema=schema), GROUP)


def fit(path: Path, folder: Path) -> dict[str, Any]:
    """One epoch from the file; the model is saved."""
    from isthmus import Autoencoder, save

    model = Autoencoder(N_CAUSES, **FIT).fit(path)
    save(model, folder / "model.safetensors")
    return {"rows_per_second": round(model.history_[0].rows_per_second)}


def transform(path: Path, folder: Path) -> dict[str, Any]:
    """The codes of the file's rows, in another file."""
    from isthmus import load

    return {"rows": load(folder / "model.safetensors").transform_to(path, folder / "c.parquet")}


def epoch(path: Path, folder: Path, *, in_memory: bool) -> dict[str, Any]:
    """One epoch of training by itself, on the processor's clock."""
    import torch

    from isthmus import Autoencoder
    from isthmus.data import read
    from isthmus.estimators.construct import begin
    from isthmus.estimators.learn import split
    from isthmus.estimators.resolve import read_plan, read_recipe
    from isthmus.estimators.tables import open_rows
    from isthmus.training import train

    torch.set_num_threads(1)
    params = Autoencoder(N_CAUSES, **FIT).get_params(deep=False)
    plan, recipe = read_plan(params), read_recipe(params)
    opened = open_rows(as_array(read(path)) if in_memory else path, "gaussian")
    begun = begin(recipe, opened.likelihood, opened.data, 0, torch.device("cpu"))
    parts = split(begun, 0.1, 0)
    generator = torch.Generator().manual_seed(0)
    what = (begun.model, recipe.objective, parts.rows, plan, generator, parts.held_out)
    began = time.process_time()
    (record,) = train(*what)
    seconds = time.process_time() - began
    return {"rows_per_second": round(len(parts.rows) / seconds), "nll": record.validation_nll}


def as_array(table: Any) -> np.ndarray:
    """The columns of an Arrow table as (n, d)."""
    return np.column_stack([column.to_numpy() for column in table.columns])


WORKERS = {
    "fit": fit,
    "transform": transform,
    "epoch from the file": lambda path, folder: epoch(path, folder, in_memory=False),
    "epoch in memory": lambda path, folder: epoch(path, folder, in_memory=True),
}


def worker(name: str, path: Path) -> dict[str, Any]:
    """One of the workers, and what it took."""
    began, cpu = time.perf_counter(), time.process_time()
    figures = WORKERS[name](path, path.parent)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return {
        "what": name,
        **figures,
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(time.process_time() - cpu, 1),
        "peak_mb": round(peak),
    }


def measured(name: str, path: Path) -> dict[str, Any]:
    """The figures of a worker in a fresh process."""
    command = [sys.executable, __file__, "--worker", name, "--folder", str(path)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ)
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    print(json.dumps(figures), flush=True)
    return figures


def compare(path: Path, turns: int) -> None:
    """Epochs from the file and in memory, in turns; the median of the ratios."""
    ratios = []
    for _ in range(turns):
        streamed = measured("epoch from the file", path)["rows_per_second"]
        ratios.append(streamed / measured("epoch in memory", path)["rows_per_second"])
    print(json.dumps({"from the file / in memory": round(float(np.median(ratios)), 3)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--in-memory", type=int, default=1_000_000, help="rows of the comparison")
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="where the files are made; by default a temporary one"
    )
    parser.add_argument("--worker", default="")
    chosen = parser.parse_args()
    if chosen.worker:
        print(json.dumps(worker(chosen.worker, chosen.folder)))
        return
    with TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "rows.parquet"
        make(path, chosen.rows, chosen.dtype)
        print(json.dumps({"rows": chosen.rows, "file_mb": round(path.stat().st_size / 1e6)}))
        measured("fit", path)
        measured("transform", path)
        path.unlink()
        make(path, chosen.in_memory, chosen.dtype)
        compare(path, chosen.turns)


if __name__ == "__main__":
    main()
