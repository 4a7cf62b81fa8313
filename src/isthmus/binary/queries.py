"""Real-valued queries: how much each bit of a code is worth to a query.

A query q ranks codes by a number per bit, the largest a(q)′s first, with the signs s_j = 2b_j − 1
of the bits. That is the order of Σ_j |a_j| [b_j ≠ (a_j > 0)], the smallest first: the distance of
a real-valued query in `isthmus.hashing` (the asymmetric distance of Jégou et al., 2011, for bits).

**Where a(q) begins.** Decoded rows are nearly affine in the bits. With u(b) what the metric
compares of the decoded row (its direction for the cosine, the row itself for the Euclidean
distance) and the least squares over the codes of many rows

    u(b) ≈ W s + c ,       ‖u(b)‖² ≈ v′s + e

the metric's score of the decoded row is nearly w(q)′s and a constant of the query:

    cosine:     q′u(b) ≈ w′s + … ,                    w(q) = W′q
    Euclidean:  2 q′u(b) − ‖u(b)‖² ≈ w′s + … ,        w(q) = 2 W′q − v

**What is learned.** Least squares weigh all rows alike, but a query's order is decided among its
neighbours, and there other bits count. So a network adds to w what brings the softmax of a′s
over many rows nearest to that of the true scores,

    min  E_q KL( softmax_i score(q, x_i) / τ  ‖  softmax_i a(q)′s_i ) ,
         a(q) = w(q) / τ + network(q) ,

where a training row is a query to all others but itself. τ is such that the softmax of the true
scores has the perplexity of 50 rows among 2,048 (as van der Maaten and Hinton, 2008, set theirs).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.binary.faithful import temperature
from isthmus.binary.metrics import Metric
from isthmus.model import Model
from isthmus.networks import Shortcut
from isthmus.sparse import Batch, dense
from isthmus.training import Plan, RowsInMemory
from isthmus.training.optimizers import FusedAdamW, WarmUpAndCosine

RIDGE = 1e-6
CANDIDATES = 2048
TEMPERATURE_ROWS = 256
PASSES = 4
LEAST_STEPS = 50
HIDDEN = 1024


class Regression:
    """Least squares of targets on codes, gathered block by block.

    Args:
        n_bits: k.
        n_targets: m.
    """

    def __init__(self, n_bits: int, n_targets: int) -> None:
        self._moments = torch.zeros(n_bits + 1, n_bits + 1, dtype=torch.float64)
        self._products = torch.zeros(n_bits + 1, n_targets, dtype=torch.float64)

    def add(self, h: Tensor, targets: Tensor) -> None:
        """Codes (n, k) of zeros and ones, and their targets (n, m)."""
        signs = torch.cat([2 * h - 1, torch.ones_like(h[:, :1])], 1)
        self._moments += (signs.T @ signs).double().cpu()
        self._products += (signs.T @ targets).double().cpu()

    def weights(self) -> Tensor:
        """W with its constant in the last row, (k + 1, m), float32.

        Bits that never change, or always together, share what is theirs (a small ridge).
        """
        moments = self._moments.clone()
        moments.diagonal().add_(RIDGE * moments[-1, -1])
        found: Tensor = torch.linalg.solve(moments, self._products)
        return found.float()


def fit_weights(blocks: Iterable[tuple[Tensor, Tensor]], n_bits: int, n_features: int) -> Tensor:
    """What each bit says of the decoded row, (k, d + 1): W′, and v in the last column.

    Args:
        blocks: Codes (n, k) and what the metric compares of their decoded rows, (n, d).
        n_bits: k.
        n_features: d.
    """
    regression = Regression(n_bits, n_features + 1)
    for h, decoded in blocks:
        norms = decoded.square().sum(1, keepdim=True)
        regression.add(h, torch.cat([decoded, norms], 1))
    return regression.weights()[:-1]


@dataclass(frozen=True)
class Base:
    """Rows that can be found, and queries made of them.

    Attributes:
        model: Scales the rows.
        rows: Rows, among others.
        chosen: Which of them these are, (n,).
        codes: Their codes, bool (n, k).
        metric: What near means.
    """

    model: Model
    rows: RowsInMemory
    chosen: Tensor
    codes: Tensor
    metric: Metric

    def batch(self, places: Tensor) -> Batch:
        """Scaled rows."""
        return self.rows.batch(self.chosen[places])

    def true(self, z: Batch) -> Tensor:
        """Rows in the user's units, (n, d)."""
        found: Tensor = self.model.unscaled(dense(z)).float()
        return found


class Queries(nn.Module):
    """From scaled rows to what each bit is worth to them.

    Args:
        weights: From `fit_weights`, (k, d + 1).
        network: Adds to what the weights say, (n, d') to (n, k).
        temperature: τ.
    """

    weights: Tensor
    temperature: Tensor

    def __init__(self, weights: Tensor, network: Shortcut, temperature: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.register_buffer("temperature", torch.tensor(temperature))
        self.network = network

    def forward(self, model: Model, metric: Metric, z: Batch) -> Tensor:
        """a(q) in units of 1/τ, (n, k), for scaled rows (n, d)."""
        true = model.unscaled(dense(z)).float()
        found: Tensor = metric.bit_weights(true, self.weights) / self.temperature
        added: Tensor = self.network(model.enter(z))
        return found + added


def new_queries(
    model: Model, weights: Tensor, temperature: float, generator: torch.Generator
) -> Queries:
    """Queries that have learned nothing beyond the least squares.

    Args:
        model: What they are asked of.
        weights: From `fit_weights`.
        temperature: τ.
        generator: Source of the initial weights.
    """
    k = model.shape.n_components
    network = Shortcut([model.n_entered, HIDDEN, k], "gelu", generator)
    network.begin_at(torch.zeros(k))
    return Queries(weights, network, temperature).to(model.device)


def temperature_of(base: Base, generator: torch.Generator) -> float:
    """τ for these rows; see `isthmus.binary.faithful.temperature`."""
    order = torch.randperm(len(base.chosen), generator=generator, device=base.model.device)
    few, some = order[:TEMPERATURE_ROWS], order[:CANDIDATES]
    return temperature(_scores(base, base.batch(few), few, some), len(some))


def learn_queries(base: Base, queries: Queries, plan: Plan, generator: torch.Generator) -> None:
    """Fit the network.

    Args:
        base: The rows.
        queries: Its network's weights change.
        plan: Batch size and learning rate.
        generator: Source of the order and of the candidates.
    """
    n, device = len(base.chosen), base.model.device
    if n < 3:
        return
    size = min(plan.batch_size // 2 or 1, n)
    n_steps = max(LEAST_STEPS, PASSES * -(-n // size))
    schedule = WarmUpAndCosine.over(n_steps)
    parameters = list(queries.network.parameters())
    rate = plan.learning_rate / 3
    optimizer = FusedAdamW([{"params": parameters, "lr": rate, "weight_decay": 0.01}])
    for step in range(n_steps):
        asked = torch.randint(n, (size,), generator=generator, device=device)
        some = torch.randint(n, (min(n, CANDIDATES),), generator=generator, device=device)
        z = base.batch(asked)
        share = torch.softmax(_scores(base, z, asked, some) / queries.temperature, 1)
        signs = 2.0 * base.codes[some.cpu()].to(device, torch.float32) - 1
        itself = asked.unsqueeze(1) == some
        found = (queries(base.model, base.metric, z) @ signs.T).masked_fill(itself, -torch.inf)
        loss = -(share * found.log_softmax(1).masked_fill(itself, 0.0)).sum(1).mean()
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        optimizer.param_groups[0]["lr"] = rate * schedule(step)
        optimizer.step()


@torch.no_grad()
def _scores(base: Base, z: Batch, asked: Tensor, some: Tensor) -> Tensor:
    """Of the rows ``some`` for queries z, which are the rows ``asked``; −∞ of each for itself."""
    scores = base.metric.scores(base.true(z), base.true(base.batch(some)))
    return scores.masked_fill(asked.unsqueeze(1) == some, -torch.inf)
