"""Codes of bits: learned by an autoencoder, improved by flipping, asked with real numbers.

| module | what it holds |
|---|---|
| `rotation` | where the bits begin: rotated principal axes |
| `flips` | better codes for given networks, by flipping bits |
| `learn` | the alternation of flipping bits and learning from them |
| `queries` | what each bit is worth to a real-valued query |
| `metrics` | how a query and a decoded row are compared |

Codes are kept, and searched, by `isthmus.hashing`, which never imports torch.
"""

from isthmus.binary.flips import EFFORTS, Effort, curvature_of, energy, read_effort, refine
from isthmus.binary.learn import (
    Rounds,
    begin_with_rotation,
    encoded,
    log_odds,
    thresholded,
    with_codes,
)
from isthmus.binary.metrics import METRICS, Metric
from isthmus.binary.queries import fit_weights
from isthmus.binary.rotation import rotated_axes

__all__ = [
    "EFFORTS",
    "METRICS",
    "Effort",
    "Metric",
    "Rounds",
    "begin_with_rotation",
    "curvature_of",
    "encoded",
    "energy",
    "fit_weights",
    "log_odds",
    "read_effort",
    "refine",
    "rotated_axes",
    "thresholded",
    "with_codes",
]
