"""A table of numbers and categories: an epoch of Isthmus beside one of PyOD's AutoEncoder.

    python benchmarks/tables.py mixed --peers .peers/bin/python

50,000 rows of 20 numbers and 10 categories of 2 to 30 levels, all of them noisy functions of 6
hidden numbers. Both train 64 – 8 – 64 units by Adam on batches of 256 rows; Isthmus takes the
columns as they are, PyOD their one-hot matrix. Each runs in a process of its own, in turn, in two
ways:

- *warm*: an epoch without what comes before and after, by processor time on one thread, for other
  work on the machine hardly moves it: a training of five epochs minus one of one, divided by four;
- *cold*: all of `fit` with one epoch, the first of its process, as a script has it, by the clock
  and with all threads. PyOD compiles its scores in it, for seconds.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

LEVELS = (2, 3, 4, 5, 6, 8, 10, 12, 20, 30)
N_ROWS, N_NUMBERS, N_HIDDEN = 50_000, 20, 6
BATCH, UNITS, CODE = 256, 64, 8
EPOCHS = 4


def table() -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n, 20) and level codes (n, 10)."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(N_ROWS, N_HIDDEN))
    curved = np.tanh(hidden @ rng.normal(size=(N_HIDDEN, N_NUMBERS)) / 2)
    noise = 0.2 * rng.normal(size=curved.shape)
    numbers = curved + hidden @ rng.normal(size=(N_HIDDEN, N_NUMBERS)) / 3 + noise
    codes = [
        (hidden @ rng.normal(size=(N_HIDDEN, k)) + rng.gumbel(size=(N_ROWS, k))).argmax(1)
        for k in LEVELS
    ]
    return numbers, np.stack(codes, 1)


def isthmus(numbers: np.ndarray, codes: np.ndarray) -> Callable[[int, int], None]:
    """Training on the first rows for some epochs."""
    from isthmus import Autoencoder

    rows = np.concatenate([numbers, codes], 1)

    def train(n: int, epochs: int) -> None:
        Autoencoder(
            CODE,
            hidden=(UNITS,),
            activation="relu",
            likelihood=["gaussian"] * N_NUMBERS + ["categorical"] * len(LEVELS),
            optimizer="adam",
            batch_size=BATCH,
            max_epochs=epochs,
            validation_fraction=0,
            random_state=0,
        ).fit(rows[:n])

    return train


def pyod(numbers: np.ndarray, codes: np.ndarray, **how: object) -> Callable[[int, int], None]:
    """The same with the one-hot matrix; with PyOD's defaults where nothing else is said."""
    from pyod.models.auto_encoder import AutoEncoder

    hot = [np.eye(k)[code] for k, code in zip(LEVELS, codes.T, strict=True)]
    rows = np.concatenate([numbers, *hot], 1).astype(np.float32)

    def train(n: int, epochs: int) -> None:
        AutoEncoder(
            hidden_neuron_list=[UNITS, CODE],
            batch_size=BATCH,
            epoch_num=epochs,
            random_state=0,
            verbose=0,
            **how,
        ).fit(rows[:n])

    return train


def plain_pyod(numbers: np.ndarray, codes: np.ndarray) -> Callable[[int, int], None]:
    """Without batch normalisation, dropout and weight decay."""
    without = {"batch_norm": False, "dropout_rate": 0.0, "optimizer_params": {"weight_decay": 0}}
    return pyod(numbers, codes, **without)


CONTENDERS = {"isthmus": isthmus, "pyod": pyod, "pyod, plain": plain_pyod}


def worker(name: str, start: str) -> None:
    """Print the seconds of an epoch."""
    train = CONTENDERS[name](*table())
    if start == "cold":
        began = time.perf_counter()
        train(N_ROWS, 1)
        print(json.dumps(time.perf_counter() - began))
        return
    import torch

    torch.set_num_threads(1)
    seconds = []
    train(2 * BATCH, 1)
    for epochs in (1, 1 + EPOCHS):
        began = time.process_time()
        train(N_ROWS, epochs)
        seconds.append(time.process_time() - began)
    print(json.dumps((seconds[1] - seconds[0]) / EPOCHS))


def measure(peers: str, rounds: int) -> None:
    """All contenders in turn, several times; a line of JSON each, and the median ratios."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for start, surroundings in (("warm", one_thread), ("cold", dict(os.environ))):
        measured: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for name, seconds in measured.items():
                python = sys.executable if name == "isthmus" else peers
                command = [python, __file__, name, start]
                done = subprocess.run(
                    command, env=surroundings, check=True, stdout=subprocess.PIPE
                )
                seconds.append(json.loads(done.stdout.splitlines()[-1]))
                print(json.dumps({name: {start: seconds[-1]}}), flush=True)
        ratios = {
            name: round(median(np.divide(seconds, measured["isthmus"])), 2)
            for name, seconds in measured.items()
            if name != "isthmus"
        }
        print(json.dumps({f"isthmus is faster by, {start}": ratios}))


if __name__ == "__main__":
    worker(*sys.argv[1:])
