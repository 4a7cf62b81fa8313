"""One contender in a process of its own: python worker.py CONTENDER FOLDER TASK cold|warm.

FOLDER holds train.npy and held_out.npy, TASK is a `Task` in JSON. The last line on standard
output is one JSON object: seconds, held-out squared error per row, version; or what is missing.
Importing is not timed. A warm start is a first training on two batches, not timed either, in which
libraries load and compile what they need; after a cold start that is on the clock.
"""

import json
import sys
import time
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

from task import Task, Trained


def run(name: str, folder: Path, task: Task, *, cold: bool) -> dict[str, object]:
    """Train and measure."""
    try:
        train = import_module(f"contenders.{name}").train
    except ModuleNotFoundError as error:
        return {"missing": f"there is no module {error.name}"}
    X, held_out = np.load(folder / "train.npy"), np.load(folder / "held_out.npy")
    if not cold:
        train(X[: 2 * task.batch_size], task)
    began = time.perf_counter()
    trained: Trained = train(X, task)
    seconds = time.perf_counter() - began
    residual = held_out.astype(np.float64) - trained.reconstruct(held_out)
    return {
        "seconds": seconds,
        "squared_error": float(np.square(residual).sum(1).mean()),
        "loop_rows_per_second": trained.loop_rows_per_second,
        "version": version("torch" if name == "bare" else name.replace("_", "-")),
    }


def main() -> None:
    name, folder, task, start = sys.argv[1:]
    fields = json.loads(task)
    fields["widths"] = tuple(fields["widths"])
    with redirect_stdout(sys.stderr):
        result = run(name, Path(folder), Task(**fields), cold=start == "cold")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
