"""What is fitted: a model whose code is bits, how they are flipped, and how it is asked."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.binary.flips import CURVATURE_ROWS, Effort, curvature_of, refine
from isthmus.binary.learn import encoded, log_odds, thresholded
from isthmus.binary.metrics import Metric
from isthmus.binary.queries import (
    Base,
    Queries,
    fit_weights,
    learn_queries,
    new_queries,
    temperature_of,
)
from isthmus.model import Model
from isthmus.sparse import Batch
from isthmus.training import Plan, RowsInMemory

BASE_ROWS = 1 << 15
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Coder:
    """Rows to codes, and rows to queries.

    Attributes:
        model: Encoder, decoder and likelihood.
        metric: What near means.
        prior: λ, the weight of the encoder's opinion while bits are flipped.
        curvature: H of `isthmus.binary.flips`, (k, k).
        queries: Real-valued queries.
    """

    model: Model
    metric: Metric
    prior: float
    curvature: Tensor
    queries: Queries

    def codes(self, z: Batch, effort: Effort) -> Tensor:
        """Codes of scaled rows, zeros and ones (n, k)."""
        odds = log_odds(self.model, z)
        return refine(self.model, z, thresholded(odds), self.prior * odds, self.curvature, effort)

    def asked(self, z: Batch) -> Tensor:
        """What each bit is worth to scaled rows as queries, (n, k)."""
        found: Tensor = self.queries(self.model, self.metric, z)
        return found

    def state(self) -> dict[str, Tensor]:
        """All numbers besides the model's, by name."""
        own = {f"queries.{name}": t for name, t in self.queries.state_dict().items()}
        return {"flips.curvature": self.curvature, **own}


@torch.no_grad()
def make_coder(
    model: Model,
    rows: RowsInMemory,
    metric: Metric,
    prior: float,
    effort: Effort,
    generator: torch.Generator,
) -> tuple[Coder, Base]:
    """A coder for a trained model, whose queries are those of least squares.

    Args:
        model: Trained.
        rows: Training rows, of which at most 32,768 are looked at.
        metric: What near means.
        prior: λ.
        effort: Of the codes that the queries are fitted to.
        generator: Of the choice, and of what the queries' network begins with.

    Returns:
        The coder, and the rows with their codes, which queries can learn from.
    """
    order = torch.randperm(len(rows), generator=generator, device=model.device)
    chosen = order[:BASE_ROWS]
    z = rows.batch(chosen[:CURVATURE_ROWS])
    curvature = curvature_of(model, z, thresholded(log_odds(model, z)))
    codes = encoded(model, rows, effort, prior, chosen)
    base = Base(model, rows, chosen, codes, metric)

    def decoded() -> Iterator[tuple[Tensor, Tensor]]:
        for part in codes.split(BLOCK_ROWS):
            h = part.to(model.device, torch.float32)
            yield h, metric.compared(model.mean(h).float())

    shape = model.shape
    weights = fit_weights(decoded(), shape.n_components, shape.n_features)
    queries = new_queries(model, weights, temperature_of(base, generator), generator)
    return Coder(model, metric, prior, curvature, queries), base


def teach(coder: Coder, base: Base, plan: Plan, generator: torch.Generator) -> None:
    """Let the coder's queries learn from the rows and their codes."""
    learn_queries(base, coder.queries, plan, generator)
