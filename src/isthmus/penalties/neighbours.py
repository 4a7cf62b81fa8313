"""A penalty on the map that the codes make: rows that are near in x are to be near in h.

The similarity of two places of the map is that of Student's t, as in t-SNE (van der Maaten and
Hinton, 2008),

    w(h, h') = (1 + ‖h − h'‖²/ν)^(−(ν + 1)/2) ,     q(j | i) = w(h_i, h_j) / Σ_{l ≠ i} w(h_i, h_l)

with the sum over the other rows of the batch, and Ω = −log q(j | i) for the row j that is nearest
to i in x. If j is drawn from p(j | i), the mean of Ω is the cross-entropy of p and q, that is
KL(p ‖ q) and a constant. So it is t-SNE with noise-contrastive sampling (Damrich et al., 2023,
who also show UMAP to be of this kind), and with a network in place of free points parametric t-SNE
(van der Maaten, 2009) and parametric UMAP (Sainburg et al., 2021).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.nearest import nearest, squared_distances
from isthmus.penalties._penalty import (
    Maps,
    Penalty,
    require_count,
    require_positive,
    require_weight,
)


@dataclass(frozen=True)
class Neighbours(Penalty):
    """−λ log q(j | i): the code is a map on which neighbours lie together, and others apart.

    With ``n_components=2`` it makes pictures in the manner of t-SNE and UMAP, in which new rows
    have a place (`transform`) and places have a row (`inverse_transform`).

    Half of each batch are rows in random order, the other half neighbours of these: each one of
    the ``n_neighbors`` rows that are nearest in what the encoder sees. They are found when `fit`
    begins, among all training rows up to 32,768 of them, and in random groups of so many among
    more. Rows that are read in passes, and those of `partial_fit`, have the neighbours that
    happen to be in their batch: take large batches.

    It departs from t-SNE in its P, which is alike for the n_neighbors nearest rows and 0 for
    others, and in that each row has a q of its own over a batch.

    Args:
        weight: λ. −log p is a sum over features, so a map asks for a weight in the order of the
            number of features; more makes clusters clearer and reconstruction worse.
        n_neighbors: Fewer show finer structure, more show coarser structure.
        freedom: ν, the degrees of freedom of Student's t. None is k − 1 for a code of k numbers
            (van der Maaten, 2009), and 1 at least.
    """

    weight: float = 100.0
    n_neighbors: int = 15
    freedom: float | None = None

    def __post_init__(self) -> None:
        require_weight("Neighbours", self.weight)
        require_count("Neighbours", "n_neighbors", self.n_neighbors)
        if self.freedom is not None:
            require_positive("Neighbours", "freedom", self.freedom)

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """−λ log q(j | i), j the nearest other row of the batch; 0 for a single row."""
        if len(h) == 1:
            return 0 * h.sum(1)
        freedom = max(1.0, h.shape[1] - 1.0) if self.freedom is None else self.freedom
        log_w = torch.log1p(squared_distances(h, h) / freedom) * (-0.5 * (freedom + 1))
        own = torch.eye(len(h), dtype=torch.bool, device=h.device)
        log_q = log_w.masked_fill(own, -torch.inf).log_softmax(1)
        return -self.weight * log_q.gather(1, nearest(x, 1)).squeeze(1)

    def in_units(self, unit: float) -> Penalty:
        """The same: which rows are nearest has no unit."""
        return self

    def n_near(self) -> int:
        """n_neighbors."""
        return self.n_neighbors
