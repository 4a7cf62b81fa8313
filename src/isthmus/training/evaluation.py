"""Means over rows that are not trained on."""

import torch

from isthmus._random import make_generator
from isthmus.training.contracts import B, Goal, M
from isthmus.training.rows import HeldOut

BLOCK_CELLS = 1 << 22
MOST_ROWS = 4096


@torch.no_grad()
def validate(model: M, rows: HeldOut[B], objective: Goal[M, B]) -> float:
    """The mean cost of these rows in nats, for early stopping: the same draws at every call.

    See `isthmus.objective.Objective.cost`.
    """
    size = min(MOST_ROWS, max(1, BLOCK_CELLS // model.shape.n_features))
    generator = make_generator(0, model.device)
    total = torch.zeros((), dtype=torch.float64)
    for z in rows.blocks(size, model.device):
        total += objective.cost(model, z, generator).sum(dtype=torch.float64).cpu()
    return float(total) / len(rows)
