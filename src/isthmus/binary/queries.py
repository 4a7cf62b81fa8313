"""Real-valued queries: how much each bit of a code is worth to a query.

A decoder takes codes to rows, and rows are compared with a query by a metric. Both are nearly
affine in the bits s_j = 2b_j − 1 of the code. With u(b) what the metric compares of the decoded
row (its direction for the cosine, the row itself for the Euclidean distance) and the least squares

    u(b) ≈ W s + c ,       ‖u(b)‖² ≈ v′s + e

over the codes of many rows, the query q ranks codes b by

    cosine:     q′u(b) ≈ a′s + constant ,                  a = W′q
    Euclidean:  2 q′u(b) − ‖u(b)‖² ≈ a′s + constant ,      a = 2 W′q − v

Ranking by a′s, the largest first, is ranking by Σ_j |a_j| [b_j ≠ (a_j > 0)], the smallest first:
the distance of a real-valued query in `isthmus.hashing`. In the language of product quantisation
it is the asymmetric distance (Jégou et al., 2011).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

RIDGE = 1e-6


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
