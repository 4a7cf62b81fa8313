"""Short lists of codes, decoded and put in the order of the metric."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError
from isthmus.binary import Metric
from isthmus.data import Matrix

BLOCK_ROWS = 256

Floats = NDArray[np.float32]


def reranked(
    queries: Matrix, codes: ArrayLike, decode: Callable[[ArrayLike], Floats], metric: Metric
) -> Floats:
    """The scores of decoded codes for each query.

    Args:
        queries: Rows (n, d) as the hasher compares them.
        codes: Packed codes, (m, bytes) for all queries alike or (n, m, bytes), a list for each.
        decode: From codes (m, bytes) to rows (m, d).
        metric: Of the scores.

    Returns:
        Scores (n, m), higher is nearer.

    Raises:
        InvalidDataError: Another number of lists than of queries.
    """
    table = np.asarray(codes)
    if table.ndim != 3:
        decoded = torch.from_numpy(decode(table))
        blocks = (torch.from_numpy(x) for _, x in queries.blocks(np.float32, BLOCK_ROWS))
        return np.concatenate([metric.scores(block, decoded).numpy() for block in blocks])
    if len(table) != len(queries):
        raise InvalidDataError(
            f"codes must be a table (m, bytes), or a list for each of the {len(queries)} "
            f"queries, (n, m, bytes); got shape {table.shape}."
        )
    scores = np.empty(table.shape[:2], np.float32)
    for first, block in queries.blocks(np.float32, BLOCK_ROWS):
        for i, query in enumerate(torch.from_numpy(block), first):
            decoded = torch.from_numpy(decode(table[i]))
            scores[i] = metric.scores(query.unsqueeze(0), decoded).numpy()[0]
    return scores
