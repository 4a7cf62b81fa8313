"""Means over rows that are not trained on."""

import torch

from isthmus._random import make_generator
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.training.rows import HeldOut

BLOCK_CELLS = 1 << 22
MOST_ROWS = 4096
DRAWS = 4


@torch.no_grad()
def validate(model: Model, rows: HeldOut, objective: Objective | None = None) -> float:
    """The mean negative score of these rows in nats: for early stopping.

    For a code without a prior it is −log p(x | f(x)). For a stochastic one it is the negative
    evidence bound, an average over a few draws for each row that are the same at every call. An
    objective that counts only hidden cells is measured on them, for it trains nothing else: the
    same cells at every call.
    """
    if objective is not None and objective.share(model.shape.n_features) < 1:
        return _of_hidden_cells(model, rows, objective)
    k, size = model.shape.n_components, max(1, BLOCK_CELLS // model.shape.n_features)
    generator = make_generator(0, model.device)
    total = torch.zeros((), dtype=torch.float64)
    for z in rows.blocks(min(MOST_ROWS, size), model.device):
        noise = [model.encoder.draw_noise((len(z), k), generator) for _ in range(DRAWS)]
        total += model.cost(z, noise).sum(dtype=torch.float64).cpu()
    return float(total) / len(rows)


def _of_hidden_cells(model: Model, rows: HeldOut, objective: Objective) -> float:
    generator = make_generator(0, model.device)
    total = torch.zeros((), dtype=torch.float64)
    for _ in range(DRAWS):
        for z in rows.blocks(MOST_ROWS, model.device):
            terms = objective(model, z, generator)
            nll = terms.nll if terms.kl is None else terms.nll + terms.kl
            total += nll.sum(dtype=torch.float64).cpu()
    return float(total) / (DRAWS * len(rows))
