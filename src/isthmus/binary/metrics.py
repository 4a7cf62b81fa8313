"""How a query and a decoded row are compared.

| name | score, higher is nearer | what is hashed |
|---|---|---|
| ``cosine`` | q′x / (‖q‖ ‖x‖) | x / ‖x‖, where the likelihood is isotropic |
| ``euclidean`` | −‖q − x‖² | x |
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus._registry import Registry


class Metric(ABC):
    """A frozen object."""

    @property
    @abstractmethod
    def of_directions(self) -> bool:
        """Whether the length of a row is left out of account."""

    @abstractmethod
    def compared(self, x: Tensor) -> Tensor:
        """What of rows (n, d) is compared, (n, d)."""

    @abstractmethod
    def bit_weights(self, q: Tensor, weights: Tensor) -> Tensor:
        """How much each bit is worth to a query, (m, k).

        Args:
            q: Queries (m, d).
            weights: From `isthmus.binary.queries.fit_weights`, (k, d + 1).
        """

    @abstractmethod
    def scores(self, q: Tensor, x: Tensor) -> Tensor:
        """Higher is nearer, (m, n).

        Args:
            q: Queries (m, d).
            x: Rows: (n, d) the same for all queries, or (m, n, d) a list for each.
        """


def _products(q: Tensor, x: Tensor) -> Tensor:
    if x.ndim == 2:
        return q @ x.T
    return torch.einsum("md,mnd->mn", q, x)


@dataclass(frozen=True)
class Cosine(Metric):
    """The cosine of the angle between query and row; 0 where one of them is zero."""

    @property
    def of_directions(self) -> bool:
        """Yes."""
        return True

    def compared(self, x: Tensor) -> Tensor:
        """x / ‖x‖."""
        return F.normalize(x, dim=-1)

    def bit_weights(self, q: Tensor, weights: Tensor) -> Tensor:
        """W′q / ‖q‖."""
        return self.compared(q) @ weights[:, :-1].T

    def scores(self, q: Tensor, x: Tensor) -> Tensor:
        """q′x / (‖q‖ ‖x‖)."""
        return _products(self.compared(q), self.compared(x))


@dataclass(frozen=True)
class Euclidean(Metric):
    """The squared distance of query and row, negated."""

    @property
    def of_directions(self) -> bool:
        """No."""
        return False

    def compared(self, x: Tensor) -> Tensor:
        """x itself."""
        return x

    def bit_weights(self, q: Tensor, weights: Tensor) -> Tensor:
        """2 W′q − v."""
        return 2 * q @ weights[:, :-1].T - weights[:, -1]

    def scores(self, q: Tensor, x: Tensor) -> Tensor:
        """−‖q − x‖²."""
        norms = q.square().sum(1, keepdim=True) + x.square().sum(-1)
        return 2 * _products(q, x) - norms


METRICS: Registry[Metric] = Registry(
    "metric",
    Metric,  # type: ignore[type-abstract]  # mypy wants a concrete class where isinstance does not
    {"cosine": Cosine, "euclidean": Euclidean},
)
