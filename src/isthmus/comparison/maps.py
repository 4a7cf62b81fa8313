"""Two numbers for each row: the test rows on PCA's plane and on a map that keeps neighbourhoods.

The second one is the code of an autoencoder of two units with the penalty `Neighbours`, a
parametric t-SNE that can decode its places. It learns without the labels.
"""

import numpy as np

from isthmus.analysis.labels import take
from isthmus.comparison.judges import make
from isthmus.comparison.measure import Bench
from isthmus.comparison.pictures import Map
from isthmus.comparison.representations import (
    BATCH,
    Note,
    Representation,
    autoencoder,
    linear_codes,
)

MOST_STEPS = 1500


def draw_maps(bench: Bench, plan: tuple[int, int], note: Note) -> list[Map]:
    """The test rows on two maps.

    Args:
        bench: The rows; of fewer than two raw features there is no map.
        plan: Epochs at most, and the seed.
        note: Is told what the training warns of.
    """
    if bench.raw.width < 2:
        return []
    learn, test = (take(bench.rows, part) for part in (bench.parts.learn, bench.parts.test))
    epochs, seed = plan
    plane = linear_codes(bench.raw, learn, 2, seed)[0]
    # so that of many rows the map is not what takes longest
    enough = -(-MOST_STEPS * BATCH // len(bench.parts.learn))
    near = autoencoder("map", bench.raw, learn, 2, (min(epochs, enough), seed), note)
    made = []
    for name, each in (("PCA", plane), ("autoencoder with Neighbours", near)):
        if each.width == 2:
            told = None if bench.labels is None else _nearest_tell(bench, each)
            made.append(Map(name, each.encode(test), told))
    return made


def _nearest_tell(bench: Bench, each: Representation) -> float:
    """How well the nearest training rows on a map tell the label."""
    assert bench.labels is not None
    assert bench.task is not None
    train, values = take(bench.rows, bench.parts.train), bench.labels.values
    nothing = np.zeros(2, bool)
    near = make("neighbours", bench.task, len(bench.parts.train), 2, raw=False, coded=nothing)
    near.fit(each.encode(train), values[bench.parts.train])
    return bench.score(near.predict(each.encode(take(bench.rows, bench.parts.test))))
