"""What denoising and contraction learn of scores, fields and tangents, where the truth is known.

Run it from the repository's root, ``python -m benchmarks.geometry``; it prints one line of JSON
for each problem and seed. The seed is that of rows, weights and noise.

* score: mean cosine of (r(x) − x)/σ² with the closed form over draws of a mixture, and the
  relative error in root mean square;
* gap: root mean square distance of the fields of denoising and contraction on a spiral;
* tangents: the largest principal angle between ``tangent_space`` and the true tangents at noisy
  points, median and 95 % quantile in degrees, and the share of points whose ``local_dimension``
  is right.
"""

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from tests.problems import Manifold, NormalMixture, spiral

from isthmus import Autoencoder, Gaussian, GaussianNoise
from isthmus.analysis import (
    denoising_contractive_gap,
    local_dimension,
    score_field,
    tangent_space,
)

# noise σ, rows, units of the code, hidden widths, epochs, rows per step
MANIFOLDS = {
    "circle": (0.2, 10_000, 16, (32, 32), 40, 250),
    "sphere": (0.2, 10_000, 16, (32, 32), 40, 250),
    "torus": (0.2, 20_000, 32, (64, 64), 60, 500),
    "swiss_roll": (0.3, 20_000, 32, (64, 64), 60, 500),
}
COMMON = {"optimizer": "adam", "validation_fraction": 0, "likelihood": Gaussian(1.0)}


def scores(seed: int) -> Iterator[dict[str, Any]]:
    points = NormalMixture(5000, seed=1000 + seed).rows
    for sigma in (0.1, 0.3):
        for n_rows in (1000, 10_000, 100_000):
            model = Autoencoder(
                16,
                hidden=(32, 32),
                corruption=GaussianNoise(sigma),
                batch_size=1000,
                learning_rate=2e-2,
                max_epochs=4_000_000 // n_rows,
                random_state=seed,
                **COMMON,
            ).fit(NormalMixture(n_rows, seed=seed).rows.astype(np.float32))
            found, truth = score_field(model, points), NormalMixture().score(points, sigma)
            lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(truth, axis=1)
            yield {
                "problem": "score",
                "sigma": sigma,
                "rows": n_rows,
                "cosine": np.mean((found * truth).sum(1) / lengths),
                "error": np.linalg.norm(found - truth) / np.linalg.norm(truth),
            }


def gaps(seed: int) -> Iterator[dict[str, Any]]:
    model = Autoencoder(
        2,
        hidden=(32,),
        batch_size=300,
        max_epochs=800,
        learning_rate=2e-2,
        random_state=seed,
        precision="float32",
        **COMMON,
    )
    found = denoising_contractive_gap(
        model, spiral(300, 0.05, seed), [0.2, 0.1, 0.05], n_copies=16
    )
    for sigma, gap, relative in zip(found.sigmas, found.gaps, found.relative_gaps, strict=True):
        yield {"problem": "gap", "sigma": sigma, "gap": gap, "relative": relative}


def tangents(seed: int) -> Iterator[dict[str, Any]]:
    for name, (sigma, n_rows, width, hidden, epochs, batch) in MANIFOLDS.items():
        model = Autoencoder(
            width,
            hidden=hidden,
            corruption=GaussianNoise(sigma),
            batch_size=batch,
            learning_rate=1e-2,
            max_epochs=epochs,
            random_state=seed,
            **COMMON,
        ).fit(Manifold(name, n_rows, seed=10 * seed).rows.astype(np.float32))
        manifold = Manifold(name, seed=10 * seed + 5)
        right = local_dimension(model, manifold.rows) == manifold.dimension
        true = manifold.tangents(manifold.rows).transpose(0, 2, 1)
        for of in ("reconstruction", "encoder"):
            space = tangent_space(model, manifold.rows, manifold.dimension, of=of)
            cosines = np.linalg.svd(space.directions @ true)[1].min(1)
            angles = np.degrees(np.arccos(cosines.clip(0, 1)))
            yield {
                "problem": name,
                "of": of,
                "median": np.median(angles),
                "quantile": np.quantile(angles, 0.95),
                "dimension": right.mean(),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    for seed in range(parser.parse_args().seeds):
        for part in (scores, gaps, tangents):
            for line in part(seed):
                rounded = {
                    name: float(f"{value:.4g}") if isinstance(value, float) else value
                    for name, value in line.items()
                }
                print(json.dumps({"seed": seed, **rounded}), flush=True)


if __name__ == "__main__":
    main()
