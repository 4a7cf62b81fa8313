"""A hasher that reconstructs neighbours finds rows of the same kind."""

import numpy as np
from sklearn.datasets import load_digits

from isthmus import NeighbourWalk, NoisySigmoid, SemanticHasher

PARTS = {"encoder": NoisySigmoid(8.0, grow=True), "hidden": (128,), "decoder_hidden": ()}
PARTS |= {"rounds": 0, "refine": "none", "metric": "euclidean", "max_epochs": 60}


def same_class(corruption) -> float:
    """Of held-out digits' nearest 100 by 32 bits: how many are of their class."""
    digits = load_digits()
    train, test = digits.data[:1400], digits.data[1400:]
    hasher = SemanticHasher(32, corruption=corruption, random_state=0, **PARTS).fit(train)
    apart = (hasher.bits(test)[:, None] != hasher.bits(train)).sum(2)
    near = apart.argsort(1, kind="stable")[:, :100]
    return float(np.mean(digits.target[:1400][near] == digits.target[1400:, None]))


def test_what_near_rows_have_in_common_is_their_kind():
    plain, common = same_class(None), same_class(NeighbourWalk(5))
    # 142 of 1,400 are of a class: no more than that by chance
    assert common > plain + 0.05
    assert common > 0.65
