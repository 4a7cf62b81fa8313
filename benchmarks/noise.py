"""What noise before the sigmoid does to a hasher's code.

    python benchmarks/noise.py embeddings.npz [--noise 0 4 16 32] [--bits 128] [--rounds 0 5]

For each noise and number of rounds: the share of activations sigmoid(f(x)) outside [0.1, 0.9], and
what rounding them costs, as a share of the squared error that the decoder leaves with the
unrounded code; both of all base rows. Then recall of the ten nearest, asked by Hamming distance,
with a real-valued query, and decoded, as in ``hashing.py``, which has the same split.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import corpora
import isthmus
from asking import clock
from corpora import Corpus
from hashing import recall, ways_of_hasher

SMALL = 4096


@torch.no_grad()
def saturation(hasher: Any, rows: np.ndarray) -> dict[str, float]:
    """The share of activations that are nearly bits, and the cost of rounding them."""
    model = hasher.model_
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    outside, error, rounded = [], 0.0, 0.0
    for part in np.array_split(rows, -(-len(rows) // SMALL)):
        z = model.scaled(torch.as_tensor(part))
        h = torch.sigmoid(model.encode(model.enter(z)))
        outside.append(((h < 0.1) | (h > 0.9)).float().mean(1))
        error += float((model.mean(h) - torch.as_tensor(part)).square().sum())
        rounded += float((model.mean((h > 0.5).float()) - torch.as_tensor(part)).square().sum())
    return {"outside": float(torch.cat(outside).mean()), "rounding costs": rounded / error - 1}


def measure(
    corpus: Corpus, noise: float, given: argparse.Namespace, rounds: int
) -> dict[str, Any]:
    hasher = isthmus.SemanticHasher(
        given.bits,
        encoder=isthmus.NoisySigmoid(noise, grow=given.grow),
        rounds=rounds,
        random_state=given.seed,
        **given.options,
    )
    _, seconds = clock(lambda: hasher.fit(corpus.base_vectors))
    found: dict[str, Any] = {"noise": noise, "rounds": rounds, "train s": seconds}
    found |= saturation(hasher, corpus.base_vectors)
    ways = ways_of_hasher(hasher, hasher.transform(corpus.base_vectors), corpus)
    return found | {name: recall(way, corpus)["recall@10"] for name, way in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 4.0, 16.0, 32.0])
    parser.add_argument("--rounds", type=int, nargs="+", default=[0, 5])
    parser.add_argument("--bits", type=int, default=128)
    parser.add_argument("--grow", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", type=json.loads, default={}, help="of SemanticHasher, JSON")
    given = parser.parse_args()
    corpus = corpora.vectors(given.file)
    for rounds in given.rounds:
        for noise in given.noise:
            print(json.dumps(measure(corpus, noise, given, rounds)), flush=True)


if __name__ == "__main__":
    main()
