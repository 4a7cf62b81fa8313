"""How well images are kept: Fashion-MNIST through 64 numbers, beside PCA, and every combination.

    ISTHMUS_DATA=folder-with-fashion_mnist.npz python benchmarks/fashion.py [--combinations]

Prints the squared error of a held-out row (784 pixels in [0, 1], summed), its ratio to PCA's with
as many numbers, seconds, and the peak resident set; with ``--combinations`` five epochs of each
combination of likelihood, encoder, corruption and penalty that makes sense for pixels, and whether
everything stayed finite.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA

from isthmus import (
    Autoencoder,
    Balance,
    Bernoulli,
    Contractive,
    Gaussian,
    GaussianNoise,
    Masking,
    NoisySigmoid,
    SaltAndPepper,
)

COMBINATIONS = {
    "gaussian per feature": {"likelihood": "gaussian"},
    "gaussian per row": {"likelihood": Gaussian("row")},
    "laplace": {"likelihood": "laplace"},
    "student t": {"likelihood": "student_t"},
    "continuous bernoulli": {"likelihood": "continuous_bernoulli"},
    "cross-entropy": {"likelihood": Bernoulli(fractions=True)},
    "negative binomial of bytes": {"likelihood": "negative_binomial"},
    "poisson of bytes": {"likelihood": "poisson"},
    "multinomial of bytes": {"likelihood": "multinomial"},
    "variational": {"encoder": "gaussian"},
    "variational, continuous bernoulli": {
        "encoder": "gaussian",
        "likelihood": "continuous_bernoulli",
    },
    "bits": {"encoder": "bernoulli", "likelihood": Bernoulli(fractions=True)},
    "noisy sigmoid, balance": {"encoder": NoisySigmoid(grow=True), "penalty": Balance()},
    "masking": {"corruption": Masking(0.5)},
    "noise": {"corruption": GaussianNoise(0.3)},
    "salt and pepper, then masking": {"corruption": [SaltAndPepper(0.2), Masking(0.2)]},
    "contractive": {"penalty": Contractive(0.1), "hidden": (128,)},
    "convolutional": {"network": "conv"},
    "tied": {"tied": True},
}


def pixels() -> tuple[np.ndarray, np.ndarray]:
    path = Path(os.environ.get("ISTHMUS_DATA", ".")) / "fashion_mnist.npz"
    with np.load(path) as data:
        return data["x_train"], data["x_test"]


def squared_error(model: Autoencoder, images: np.ndarray) -> float:
    restored = model.reconstruct(images)
    # a count likelihood reads bytes as counts
    unit = 1.0 if restored.max() < 20 else 255.0
    return float(np.square(restored / unit - images / 255.0).sum((1, 2)).mean())


def pca_error(train: np.ndarray, test: np.ndarray, n_components: int) -> float:
    flat, held_out = (part.reshape(len(part), -1) / 255.0 for part in (train, test))
    pca = PCA(n_components, svd_solver="covariance_eigh").fit(flat)
    restored = pca.inverse_transform(pca.transform(held_out))
    return float(np.square(restored - held_out).sum(1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--combinations", action="store_true")
    parser.add_argument("--max-epochs", type=int, default=100)
    options = parser.parse_args()
    train, test = pixels()
    began = time.perf_counter()
    model = Autoencoder(64, max_epochs=options.max_epochs, random_state=0).fit(train)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    error, least = squared_error(model, test), pca_error(train, test, 64)
    record = {"error": error, "pca": least, "ratio": error / least}
    print(json.dumps({**record, "seconds": seconds, "peak_mib": peak, "epochs": model.n_iter_}))
    for name, parts in COMBINATIONS.items() if options.combinations else ():
        began = time.perf_counter()
        model = Autoencoder(64, max_epochs=5, random_state=0, **parts).fit(train)
        finite = all(torch.isfinite(weight).all() for weight in model.model_.parameters())
        record = {
            "combination": name,
            "error": squared_error(model, test),
            "score": model.score(test),
            "finite": finite and all(np.isfinite(epoch.nll) for epoch in model.history_),
            "skipped_steps": sum(epoch.skipped_steps for epoch in model.history_),
            "seconds": time.perf_counter() - began,
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
