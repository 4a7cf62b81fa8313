"""64 numbers for each image: what a plain classifier makes of them.

    ISTHMUS_DATA=folder python benchmarks/features.py [--data fashion_mnist] [--seeds 3]
        [--only pca denoising …] [--rows 60000] [--epochs 20] [--validate]

For each representation, made without labels from the training images: accuracy on the 10,000 test
images of logistic regression on standardised numbers and of 10 nearest neighbours, fitted on all
training images; processor seconds to make the representation, to fit, and to predict; megabytes of
the numbers of the training images. ``--validate`` tests on the last 10,000 training images in
place of the test images, and fits on the others: for choosing.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import (
    Autoencoder,
    Contractive,
    GaussianCode,
    Masking,
    Neighbours,
    PatchFeatures,
    Warp,
)

UNITS, HELD_OUT = 64, 10_000
WAYS: dict[str, dict[str, Any]] = {
    "usual": {},
    "denoising": {"corruption": Masking(0.5)},
    "contractive": {"penalty": Contractive(0.1)},
    "variational": {"encoder": GaussianCode()},
    "neighbours": {"penalty": Neighbours(1000), "corruption": Masking(0.5)},
    "warped": {"corruption": Warp(28, shift=3, angle=15, stretch=0.2), "hidden": (2048,)},
}
ON_PATCHES = ("patches, pca", "patches, denoising")
Codes = Callable[[np.ndarray], np.ndarray]


def flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(np.float32) / 255


def learned(name: str, train: np.ndarray, seed: int, epochs: int) -> Codes:
    """From images to numbers."""
    if name == "raw":
        return flat
    if name == "pca":
        pca = PCA(UNITS, random_state=seed).fit(flat(train))
        return lambda x: pca.transform(flat(x))
    if name == "patches, pca":
        linear = make_pipeline(PatchFeatures(random_state=seed), PCA(UNITS, random_state=seed))
        linear.fit(train)
        return lambda x: linear.transform(x)
    model = Autoencoder(
        UNITS,
        likelihood="gaussian_shared",
        batch_size=512,
        max_epochs=epochs,
        validation_fraction=0,
        random_state=seed,
        **{"hidden": (1024,), **WAYS.get(name, WAYS["denoising"])},
    )
    if name == "patches, denoising":
        model = make_pipeline(PatchFeatures(random_state=seed), model)
    model.fit(train)
    return lambda x: model.transform(x).astype(np.float32)


def classified(kind: str, codes: tuple[np.ndarray, ...]) -> dict[str, float]:
    """Accuracy and processor seconds of a classifier on these numbers."""
    x, y, new, truth = codes
    if kind == "logistic":
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    else:
        classifier = KNeighborsClassifier(10, algorithm="brute")
    began = time.process_time()
    classifier.fit(x, y)
    fitted = time.process_time()
    accuracy = float(np.mean(classifier.predict(new) == truth))
    ended = time.process_time()
    return {"accuracy": accuracy, "fit s": fitted - began, "predict s": ended - fitted}


def measure(name: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    path = Path(os.environ.get("ISTHMUS_DATA", ".")) / f"{given.data}.npz"
    data = np.load(path, allow_pickle=False)
    x, y, new, truth = (data[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    if given.validate:
        x, y, new, truth = x[:-HELD_OUT], y[:-HELD_OUT], x[-HELD_OUT:], y[-HELD_OUT:]
    x, y = x[: given.rows], y[: given.rows]
    began = time.process_time()
    encode = learned(name, x, seed, given.epochs)
    seconds = time.process_time() - began
    codes = encode(x), y, encode(new), truth
    record = {"way": name, "seed": seed, "units": codes[0].shape[1], "make s": seconds}
    record["megabytes"] = codes[0].nbytes / 2**20
    return {**record, **{kind: classified(kind, codes) for kind in given.classifiers}}


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion_mnist", choices=("mnist", "fashion_mnist"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["raw", "pca", *WAYS, *ON_PATCHES])
    parser.add_argument("--classifiers", nargs="*", default=["logistic", "neighbours"])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--validate", action="store_true")
    given = parser.parse_args()
    means: dict[str, list[dict[str, Any]]] = {}
    for seed in range(given.seeds):
        for name in given.only:
            if name == "raw" and seed:
                continue
            record = measure(name, seed, given)
            means.setdefault(name, []).append(record)
            print(json.dumps(rounded(record)), flush=True)
    for name, records in means.items():
        found = {k: np.mean([r[k]["accuracy"] for r in records]) for k in given.classifiers}
        print(f"{name:12}", {k: round(float(v), 4) for k, v in found.items()}, len(records))


if __name__ == "__main__":
    main()
