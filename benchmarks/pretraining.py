"""Does pretraining help? Few labels, deep sigmoid networks, deep codes, and a table.

    ISTHMUS_DATA=folder python benchmarks/pretraining.py labels [--data mnist fashion_mnist]
        [--sizes 100 600 1000 3000] [--seeds 5]
    ISTHMUS_DATA=folder python benchmarks/pretraining.py basic [--seeds 3]
    ISTHMUS_DATA=folder python benchmarks/pretraining.py deep
    ISTHMUS_DATA=folder python benchmarks/pretraining.py adult [--seeds 5]

``labels``: test errors with few labels, for as many draws of the labels as there are seeds: a
network from scratch and with pretraining on all rows; from scratch with labelled rows warped; and
pretrained with labels that first spread over a graph of codes and predictions for warped rows made
consistent on all rows, the classes keeping their shares. With the fewest labels also consistency
from scratch, and without the graph. ``--only`` names others: "pretrained, warped" and "pretrained,
adversarial".

``basic``: 10,000 training rows of MNIST, 2,000 for validation, 10,000 test rows, three sigmoid
layers of 1,000: without pretraining, stacked usual, denoising and contractive autoencoders
(Vincent et al., 2010; Rifai et al., 2011); and layers of silu units without pretraining.

``deep``: the squared error of a test row of MNIST through 784-1000-500-250-30 (Hinton and
Salakhutdinov, 2006), of the whole at once and, with ``--stacked``, layer by layer first.

``adult``: 2 % of the labels, beside gradient boosting.

``--rows`` and ``--epochs`` (a factor) make it small, to see whether it works. Prints a JSON object
for each run, then means with their 95 % intervals (Student's t over the seeds). Seconds are of the
processor.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator

from isthmus import (
    Autoencoder,
    Bernoulli,
    Contractive,
    Deterministic,
    Masking,
    PretrainedClassifier,
    StackedAutoencoder,
    Warp,
    load,
    save,
)

# digits are written in many ways; a dress that is stretched is another garment
WARPS = {
    "mnist": Warp(28, shift=3, angle=15, stretch=0.2),
    "fashion_mnist": Warp(28, shift=1.5, angle=3, stretch=0.05),
}
# digits are in clusters; classes of garments lie upon each other, and most rows are sure of none
CONFIDENCES = {"mnist": 0.9, "fashion_mnist": None}
Fit = Callable[[np.ndarray, np.ndarray], Any]


def read(name: str) -> Any:
    return np.load(Path(os.environ["ISTHMUS_DATA"]) / f"{name}.npz", allow_pickle=False)


def images(name: str, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training rows and their classes, test rows and theirs."""
    file = read(name)
    x, y = file["x_train"][:n_rows], file["y_train"][:n_rows].astype(np.int64)
    return x, y, file["x_test"], file["y_test"].astype(np.int64)


def some_labels(y: np.ndarray, size: int, seed: int) -> np.ndarray:
    """As many labels of each class, −1 for the other rows."""
    rng, few = np.random.default_rng(seed), np.full(len(y), -1)
    classes = np.unique(y)
    for each in classes:
        chosen = rng.choice(np.flatnonzero(y == each), size // len(classes), replace=False)
        few[chosen] = each
    return few


def report(record: dict[str, Any]) -> None:
    print(json.dumps(record), flush=True)


def print_means(errors: dict[str, list[float]], unit: str = "% errors") -> None:
    for name, values in errors.items():
        mean, n = np.mean(values), len(values)
        spread = np.std(values, ddof=1) if n > 1 else np.nan
        half = student.ppf(0.975, max(1, n - 1)) * spread / n**0.5
        print(f"{name:44} {mean:7.3f} ± {half:.3f} {unit} ({n} runs)", flush=True)


def times(epochs: float, factor: float) -> int:
    return max(1, round(epochs * factor))


# ---- few labels -----------------------------------------------------------------------------


def labels(asked: argparse.Namespace) -> None:
    for data in asked.data:
        x, y, x_test, y_test = images(data, asked.rows)
        network = Autoencoder(
            64,
            hidden=(512, 256) if asked.network == "mlp" else (256,),
            network=asked.network,
            likelihood="gaussian_shared",
            corruption=[WARPS[data], Masking(0.25)],
            max_epochs=times(16, asked.epochs),
            validation_fraction=0,
            random_state=0,
        )
        began = time.process_time()
        pretrained = FrozenEstimator(kept(network, asked.keep, f"{data}_{asked.network}", x))
        report({"data": data, "pretraining, s": time.process_time() - began})
        untrained = Autoencoder(**network.get_params())
        errors: dict[str, list[float]] = {}
        for size in asked.sizes:
            names = asked.only or [*ALWAYS, *(ONCE if size == asked.sizes[0] else [])]
            for seed in range(asked.seeds):
                few = some_labels(y, size, seed)
                models = label_models(
                    PretrainedClassifier(pretrained, random_state=seed),
                    PretrainedClassifier(untrained, pretrain=False, random_state=seed),
                    data,
                    size,
                    asked.epochs,
                )
                for name in names:
                    began = time.process_time()
                    error = 100 * (1 - models[name].fit(x, few).score(x_test, y_test))
                    errors.setdefault(f"{data}, {size} labels, {name}", []).append(error)
                    seconds = time.process_time() - began
                    report({"data": data, "labels": size, "seed": seed, name: error, "s": seconds})
        print_means(errors)


def kept(network: Autoencoder, folder: Path | None, name: str, x: np.ndarray) -> Autoencoder:
    """Fitted to the rows, or read from the folder where an earlier run has kept it."""
    if folder is None:
        return network.fit(x)
    path = folder / f"{name}.isthmus"
    if not path.exists():
        save(network.fit(x), path)
    return load(path)


ALWAYS = ("scratch", "pretrained", "scratch, warped", "pretrained, spread")
ONCE = ("scratch, consistent", "pretrained, consistent")


def label_models(
    pretrained: PretrainedClassifier,
    scratch: PretrainedClassifier,
    data: str,
    size: int,
    factor: float,
) -> dict[str, PretrainedClassifier]:
    """Each takes some 1,410 steps of 64 labelled rows, or of all that there are."""
    alone = {"validation_fraction": 0, "max_epochs": times(1410 / -(-size // 64), factor)}
    warped = {**alone, "corruption": WARPS[data]}
    consistent = {
        **warped,
        "max_epochs": times(6, factor),
        "learning_rate": 2e-3,
        "batch_size": 256,
        "labelled_batch_size": 64,
        "consistency": 1.0,
        "confidence": 0.9,
    }
    adversarial = {**consistent, "corruption": None, "confidence": None, "adversary": 2.0}

    # as many labels of each class are drawn, and there are about as many rows of each
    shared = {"neighbours": 8, "class_shares": "labels", "confidence": CONFIDENCES[data]}

    def made(model: PretrainedClassifier, how: dict[str, Any]) -> PretrainedClassifier:
        return PretrainedClassifier(**{**model.get_params(deep=False), **how})

    return {
        "scratch": made(scratch, alone),
        "pretrained": made(pretrained, alone),
        "scratch, warped": made(scratch, warped),
        "pretrained, warped": made(pretrained, warped),
        "scratch, consistent": made(scratch, consistent),
        "pretrained, consistent": made(pretrained, consistent),
        "pretrained, adversarial": made(pretrained, adversarial),
        "pretrained, spread": made(pretrained, {**consistent, **shared}),
    }


# ---- three sigmoid layers -------------------------------------------------------------------


def basic(asked: argparse.Namespace) -> None:
    x, y, x_test, y_test = images("mnist", min(asked.rows, 12_000))
    errors: dict[str, list[float]] = {}
    for seed in range(asked.seeds):
        for name, how in STACKS.items():
            if asked.only and name not in asked.only:
                continue
            began = time.process_time()
            pretrain = not name.startswith("none")
            model = sigmoid_stack(how, pretrain, seed, asked.epochs).fit(x, y)
            error = 100 * (1 - model.score(x_test, y_test))
            errors.setdefault(name, []).append(error)
            report({"seed": seed, name: error, "s": time.process_time() - began})
    print_means(errors)


STACKS: dict[str, dict[str, Any]] = {
    "none": {},
    "none, silu": {"activation": "silu", "encoder": Deterministic("silu")},
    "usual": {},
    "denoising": {"corruption": Masking(0.25, rescale=False)},
    "contractive": {"penalty": Contractive(0.1)},
}


def sigmoid_stack(
    how: dict[str, Any], pretrain: bool, seed: int, factor: float
) -> PretrainedClassifier:
    usual = {
        "activation": "sigmoid",
        "encoder": Deterministic("sigmoid"),
        "likelihood": Bernoulli(fractions=True),
        "layer_epochs": times(30, factor),
        "fine_tune": False,
        "validation_fraction": 0,
        "random_state": seed,
    }
    return PretrainedClassifier(
        StackedAutoencoder(1000, hidden=(1000, 1000), **{**usual, **how}),
        pretrain=pretrain,
        validation_fraction=1 / 6,
        max_epochs=times(60, factor),
        learning_rate=3e-4,
        patience=15,
        random_state=seed,
    )


# ---- a deep code ----------------------------------------------------------------------------


def deep(asked: argparse.Namespace) -> None:
    x, _, x_test, _ = images("mnist", asked.rows)
    truth = x_test.reshape(len(x_test), -1) / 255
    rows = x.reshape(len(x), -1) / 255
    pca = PCA(30, random_state=0).fit(rows)
    kept = pca.inverse_transform(pca.transform(truth))
    report({"PCA of 30": float(np.square(kept - truth).sum(1).mean())})
    shared = {
        "hidden": (1000, 500, 250),
        "likelihood": "gaussian_shared",
        "batch_size": 128,
        "learning_rate": 2e-3,
        "max_epochs": times(140, asked.epochs),
        "validation_fraction": 0,
        "random_state": 0,
    }
    stacked = {"layer_epochs": times(10, asked.epochs)} if asked.stacked else None
    kind = Autoencoder if stacked is None else StackedAutoencoder
    cpu, wall = time.process_time(), time.perf_counter()
    model = kind(30, **shared, **(stacked or {})).fit(x)
    found = model.reconstruct(x_test).reshape(len(x_test), -1)
    report(
        {
            f"{kind.__name__}, squared error": float(np.square(found - truth).sum(1).mean()),
            "processor minutes": (time.process_time() - cpu) / 60,
            "minutes": (time.perf_counter() - wall) / 60,
        }
    )


# ---- a table --------------------------------------------------------------------------------


def adult(asked: argparse.Namespace) -> None:
    file = read("adult")
    d = file["num"].shape[1]
    categories = np.where(file["cat"] < 0, np.nan, file["cat"].astype(np.float64))
    x, y = np.hstack([file["num"].astype(np.float64), categories]), file["y"].astype(np.int64)
    is_test = file["is_test"].astype(bool)
    chosen = np.flatnonzero(~is_test)[: asked.rows]
    x_train, y_train = x[chosen], y[chosen]
    likelihood = ["gaussian"] * d + ["categorical"] * (x.shape[1] - d)
    errors: dict[str, list[float]] = {}
    for seed in range(asked.seeds):
        # a fiftieth of all rows, by chance and not of each class alike
        rows = np.random.default_rng(seed).random(len(y_train)) < 1 / 50
        few = np.where(rows, y_train, -1)
        for name, fit in table_models(likelihood, d, seed, asked.epochs).items():
            began = time.process_time()
            error = 100 * (1 - fit(x_train, few).score(x[is_test], y[is_test]))
            errors.setdefault(name, []).append(error)
            report({"seed": seed, name: error, "s": time.process_time() - began})
    print_means(errors)


def table_models(likelihood: list[str], d: int, seed: int, factor: float) -> dict[str, Fit]:
    network = Autoencoder(
        64,
        hidden=(256,),
        likelihood=likelihood,
        corruption=Masking(0.25),
        max_epochs=times(20, factor),
        random_state=seed,
    )
    tuned = {"max_epochs": times(100, factor), "random_state": seed}
    steady = {**tuned, "max_epochs": times(10, factor), "corruption": Masking(0.25)}

    def boosted(x: np.ndarray, few: np.ndarray) -> HistGradientBoostingClassifier:
        kinds = [False] * d + [True] * (x.shape[1] - d)
        model = HistGradientBoostingClassifier(categorical_features=kinds, random_state=seed)
        return model.fit(x[few >= 0], few[few >= 0])

    return {
        "scratch": PretrainedClassifier(network, pretrain=False, **tuned).fit,
        "pretrained": PretrainedClassifier(network, **tuned).fit,
        "pretrained, consistent": PretrainedClassifier(network, consistency=1.0, **steady).fit,
        "gradient boosting": boosted,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["labels", "basic", "deep", "adult"])
    parser.add_argument("--data", nargs="+", default=["mnist", "fashion_mnist"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 600, 1000, 3000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=60_000, help="training rows at most")
    parser.add_argument("--epochs", type=float, default=1.0, help="a factor")
    parser.add_argument("--only", nargs="+", default=[], help="names of models")
    parser.add_argument("--network", choices=["mlp", "conv"], default="mlp")
    parser.add_argument("--keep", type=Path, help="a folder that pretrained networks are kept in")
    parser.add_argument("--stacked", action="store_true", help="layer by layer first")
    asked = parser.parse_args()
    {"labels": labels, "basic": basic, "deep": deep, "adult": adult}[asked.what](asked)
