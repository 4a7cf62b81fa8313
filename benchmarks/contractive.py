"""The contractive penalty: what it costs, and what it does to a code.

    python benchmarks/contractive.py speed [--threads 2] [--repeats 15] [--processor-time]
    python benchmarks/contractive.py mnist [--rows 10000] [--epochs 30] [--seeds 3]

**speed** takes ‖∂f/∂x‖²_F of an encoder 784-1024-256-32 of sigmoids at 256 rows, forward and
backward, in four ways, in turn in one process: isthmus' exact norm and its estimate, a loop over
the code's units with ``torch.autograd.grad(create_graph=True)``, and ``vmap(jacrev)``; in float32,
and in bfloat16, which is what ``precision="auto"`` takes here: isthmus by ``half=True``, the
others under ``torch.autocast``. Then a training step of the autoencoder with this encoder: without
penalty, with the estimate, and exact, in both precisions. It prints medians and ratios.

**mnist** trains the five autoencoders of Rifai et al. (2011, table 1) on digits: 784-1000, tied
sigmoids, Adam. Each strength is chosen by a logistic probe on an inner split of the training rows,
as is the probe's own regularisation. Then three seeds are trained on all of these rows, and tested
on the 10,000 test digits: mean ‖∂f/∂x‖_F, saturated units (below 0.05 or above 0.95), nll and root
mean squared error of the reconstruction, error of the probe on frozen codes. The norm *at equal
reconstruction* is the least on the inner split among the strengths whose nll is no higher than
that of the contractive one chosen. The likelihood is the continuous Bernoulli, which is the
paper's cross-entropy with its normalising constant. Needs ``ISTHMUS_DATA`` with ``mnist.npz``. One
line of JSON for each training, then the table.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.func import jacrev, vmap

from isthmus import Autoencoder, Contractive, Deterministic, GaussianNoise, Masking
from isthmus.derivatives import OfLayers, estimated_norm, layers_of
from isthmus.objective import Objective
from isthmus.penalties import Maps, Penalty
from isthmus.training import Stepper, steady

WIDTHS, ROWS = (784, 1024, 256, 32), 256
Clock = Callable[[], float]


# ---- speed --------------------------------------------------------------------------------------


def norms(model: Any, x: Tensor, *, half: bool) -> dict[str, Callable[[], Tensor]]:
    """Σ over rows of ‖∂f/∂x‖²_F in each way."""
    network, k = model.encoder_network, WIDTHS[-1]
    generator = torch.Generator().manual_seed(0)

    def code(rows: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            out = network(rows)
        return torch.sigmoid(out.float())

    def layers() -> OfLayers:
        return OfLayers(layers_of(network, k, "sigmoid"), x, half=half)

    def loop() -> Tensor:
        points = x.clone().requires_grad_()
        h, total = code(points), torch.zeros(())
        for j in range(k):
            (row,) = torch.autograd.grad(h[:, j].sum(), points, create_graph=True)
            total = total + row.square().sum()
        return total

    def one(row: Tensor) -> Tensor:
        return code(row.unsqueeze(0)).squeeze(0)

    return {
        "isthmus, exact": lambda: layers().squared_norm().sum(),
        "isthmus, estimate": lambda: estimated_norm(layers(), 1, generator).sum(),
        "loop over code units": loop,
        "vmap(jacrev)": lambda: vmap(jacrev(one))(x).square().sum(),
    }


def steps(model: Any, x: Tensor, *, half: bool) -> dict[str, Callable[[], None]]:
    """One training step without penalty and with each."""
    generator = torch.Generator().manual_seed(0)
    stepper = Stepper(model, "adamw", 1e-3, steady)

    def step(*penalties: Penalty) -> Callable[[], None]:
        objective = Objective((), penalties)

        def run() -> None:
            with model.computing_in_half_precision(half):
                objective.descend(model, x, generator, 0.5, 1 / len(x))
            stepper.step()

        return run

    return {
        "step without penalty": step(),
        "step, estimate": step(Contractive(0.1, method="estimate")),
        "step, exact": step(Contractive(0.1, method="exact")),
    }


def medians(ways: dict[str, Callable[[], Any]], repeats: int, clock: Clock) -> dict[str, float]:
    """Seconds of each way, in turn, after one round that doesn't count."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(repeats + 1):
        for name, way in ways.items():
            began = clock()
            way()
            if i:
                taken[name].append(clock() - began)
    return {name: statistics.median(each) for name, each in taken.items()}


def speed(arguments: argparse.Namespace) -> None:
    """Print both tables."""
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.processor_time else time.perf_counter
    x = torch.rand(ROWS, WIDTHS[0], generator=torch.Generator().manual_seed(0))
    estimator = Autoencoder(
        WIDTHS[-1],
        hidden=WIDTHS[1:-1],
        activation="sigmoid",
        encoder=Deterministic("sigmoid"),
        likelihood="continuous_bernoulli",
        max_epochs=1,
        precision="float32",
        random_state=0,
    ).fit(x.numpy())
    model = estimator.model_

    def backward(way: Callable[[], Tensor]) -> Callable[[], None]:
        def run() -> None:
            model.zero_grad()
            way().backward()

        return run

    ways, several = {}, {}
    for half, precision in ((False, "float32"), (True, "bfloat16")):
        for name, way in norms(model, x, half=half).items():
            ways[f"{name}, {precision}"] = backward(way)
        for name, one in steps(model, x, half=half).items():
            several[f"{name}, {precision}"] = one
    _print_ratios(medians(ways, arguments.repeats, clock))
    print()
    model.zero_grad()
    _print_ratios(medians(several, arguments.repeats, clock))


def _print_ratios(seconds: dict[str, float]) -> None:
    """Over the first way of each precision."""
    print("| way | milliseconds | over the first | over the first in bfloat16 |")
    print("|---|---:|---:|---:|")
    one, other = (next(v for n, v in seconds.items() if n.endswith(kind)) for kind in ("32", "16"))
    for name, value in seconds.items():
        print(f"| {name} | {1e3 * value:.1f} | {value / one:.2f} | {value / other:.2f} |")


# ---- digits -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WeightDecay(Penalty):
    """λ ‖W‖²_F of the one matrix that encoder and decoder share."""

    weight: float

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """The same for every row."""
        (layer,) = maps.encoder.linear_layers  # type: ignore[union-attr, misc]  # one linear layer
        return (self.weight * layer.weight.square().sum()).expand(len(h))

    def in_units(self, unit: float) -> Penalty:
        """The same: pixels are not scaled."""
        return self


Make = Callable[[float], dict[str, Any]]
MODELS: dict[str, tuple[Make, tuple[float, ...]]] = {
    "AE": (lambda strength: {}, (0.0,)),
    "AE, weight decay": (lambda s: {"penalty": WeightDecay(s)}, (0.003, 0.006, 0.01, 0.02)),
    "DAE, masking": (lambda s: {"corruption": Masking(s)}, (0.1, 0.3, 0.5)),
    "DAE, Gaussian": (lambda s: {"corruption": GaussianNoise(s)}, (0.1, 0.3, 0.5)),
    "CAE": (lambda s: {"penalty": Contractive(s)}, (0.05, 0.1, 0.2, 0.4)),
}
PAPER = {  # test error %, ‖J‖ in 1e-4, saturated %
    "CAE": (1.14, 0.73, 86.36),
    "DAE, Gaussian": (1.18, 0.86, 17.77),
    "DAE, masking": (1.57, 7.87, 68.19),
    "AE, weight decay": (1.68, 5.00, 12.97),
    "AE": (1.78, 17.5, 49.90),
}
PROBES = (0.01, 0.1, 1.0)


def trained(x: np.ndarray, params: dict[str, Any], epochs: int, seed: int) -> Autoencoder:
    """784-1000, tied, sigmoid."""
    settings = {
        "hidden": (),
        "tied": True,
        "encoder": Deterministic("sigmoid"),
        "likelihood": "continuous_bernoulli",
        "optimizer": "adam",
        "learning_rate": 0.01,
        "max_epochs": epochs,
        "validation_fraction": 0,
        "random_state": seed,
    }
    return Autoencoder(1000, **(settings | params)).fit(x)


@torch.no_grad()
def measured(model: Autoencoder, x: np.ndarray) -> dict[str, float]:
    """Norm of the Jacobian, saturation and error of the reconstruction at these rows."""
    inner = model.model_
    layers = layers_of(inner.encoder_network, 1000, "sigmoid")
    rows = torch.from_numpy(x)
    codes = model.transform(x)
    return {
        "norm": float(OfLayers(layers, rows).squared_norm().sqrt().mean()),
        "saturated": float(((codes < 0.05) | (codes > 0.95)).mean()),
        "nll": -model.score(x),
        "rmse": float(np.sqrt(np.mean((model.reconstruct(x) - x) ** 2))),
    }


def probe_error(
    model: Autoencoder, train: tuple[Any, Any], test: tuple[Any, Any], strength: float
) -> float:
    """Part of the test rows that a logistic regression on the codes gets wrong."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=100, tol=1e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(model.transform(train[0]), train[1])
    return float(1 - probe.score(model.transform(test[0]), test[1]))


def mnist(arguments: argparse.Namespace) -> None:
    """Choose on an inner split, then measure on the test rows."""
    torch.set_num_threads(arguments.threads)
    data = np.load(Path(os.environ["ISTHMUS_DATA"], "mnist.npz"), allow_pickle=False)
    x, test_x = ((data[f"x_{p}"].reshape(-1, 784) / 255).astype(np.float32) for p in _PARTS)
    train = x[: arguments.rows], data["y_train"][: arguments.rows]
    test = test_x, data["y_test"]
    cut = arguments.rows * 4 // 5
    inner = tuple(each[:cut] for each in train), tuple(each[cut:] for each in train)
    tried = [
        _try(name, strength, *inner, arguments.epochs)
        for name, (_, strengths) in MODELS.items()
        for strength in strengths
    ]
    table = []
    for name in MODELS:
        best = min((one for one in tried if one["model"] == name), key=lambda one: one["error"])
        runs = [
            _final(name, best, train, test, arguments.epochs, s) for s in range(arguments.seeds)
        ]
        table.append((name, best, runs))
    _print_table(table, tried)


_PARTS = ("train", "test")


def _try(name: str, strength: float, train: Any, held_out: Any, epochs: int) -> dict[str, Any]:
    model = trained(train[0], MODELS[name][0](strength), epochs, 0)
    errors = {c: probe_error(model, train, held_out, c) for c in PROBES}
    c = min(errors, key=errors.__getitem__)
    found = {"model": name, "strength": strength, "c": c, "error": errors[c]}
    found |= measured(model, held_out[0])
    print(json.dumps({"split": "inner"} | found), flush=True)
    return found


def _final(
    name: str, best: dict[str, Any], train: Any, test: Any, epochs: int, seed: int
) -> dict[str, float]:
    model = trained(train[0], MODELS[name][0](best["strength"]), epochs, seed)
    found = measured(model, test[0]) | {"error": probe_error(model, train, test, best["c"])}
    print(json.dumps({"split": "test", "model": name, "seed": seed} | found), flush=True)
    return found


def _print_table(table: list[Any], tried: list[dict[str, Any]]) -> None:
    (limit,) = (best["nll"] for name, best, _ in table if name == "CAE")
    print(
        "| model | strength | norm of J | at equal nll | saturated | nll | RMSE | error of the "
        "probe | paper: norm, saturated, error |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for name, best, runs in table:

        def both(what: str, scale: float, unit: str, runs: Any = runs) -> str:
            values = [scale * run[what] for run in runs]
            return f"{np.mean(values):.3g} ± {np.std(values):.2g}{unit}"

        allowed = [one["norm"] for one in tried if one["model"] == name and one["nll"] <= limit]
        equal = f"{min(allowed):.3g}" if allowed else "none"
        error, norm, saturated = PAPER[name]
        print(
            f"| {name} | {best['strength']:g} | {both('norm', 1, '')} | {equal} | "
            f"{both('saturated', 100, ' %')} | {both('nll', 1, '')} | {both('rmse', 1, '')} | "
            f"{both('error', 100, ' %')} | {norm}e-4, {saturated} %, {error} % |"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("speed")
    one.add_argument("--threads", type=int, default=2)
    one.add_argument("--repeats", type=int, default=15)
    one.add_argument("--processor-time", action="store_true", help="for a busy machine")
    one.set_defaults(run=speed)
    two = verbs.add_parser("mnist")
    two.add_argument("--rows", type=int, default=10_000)
    two.add_argument("--epochs", type=int, default=30)
    two.add_argument("--seeds", type=int, default=3)
    two.add_argument("--threads", type=int, default=2)
    two.set_defaults(run=mnist)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
