"""Codes whose distances follow those of the rows."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real
from isthmus.numerics import bisect
from isthmus.penalties import Maps, Penalty

SHARE = 50 / 2048
FITTED_ROWS = 64
FEWEST = 4


def temperature(scores: Tensor, n_rows: int) -> float:
    """τ at which softmax(scores / τ) has the perplexity of 50 rows among 2,048.

    Among other numbers of rows it is the same share of them, 2 at least. The entropy is averaged
    over the queries (van der Maaten and Hinton, 2008, set one for each).

    Args:
        scores: Of queries with rows (m, n); −∞ of each for itself.
        n_rows: n.
    """
    scores = scores.double()
    seen = scores[scores.isfinite()]
    spread = float(seen.std()) if len(seen) > 1 else 0.0
    if not spread > 0:
        return 1.0
    wanted = math.log(max(2.0, SHARE * n_rows))

    def excess(log_tau: Tensor) -> Tensor:
        share = torch.softmax(scores / log_tau.exp(), 1).nan_to_num()
        entropy: Tensor = torch.special.entr(share).sum(1).mean()
        return wanted - entropy

    ends = torch.tensor([1e-4, 1e4], dtype=torch.float64) * spread
    return float(bisect(excess, ends[0].log(), ends[1].log()).exp())


@dataclass(frozen=True)
class Faithful(Penalty):
    """λ KL(p ‖ q): the code's neighbours of a row are to be the row's.

    With x the rows of a batch as the encoder sees them and s = 2h − 1 their codes,

        p_ij ∝ exp(−‖x_i − x_j‖² / τ) ,      q_ij ∝ exp(α s_i′s_j) ,      j ≠ i

    where s_i′s_j is the number of bits less twice the Hamming distance, τ gives p the perplexity
    of 50 rows among 2,048, and α is the best for the batch. As in stochastic neighbour embedding
    (Hinton and Roweis, 2003), with bits in place of a plane.

    Args:
        weight: λ.
        directions: Whether rows are divided by their length first.
    """

    weight: float = 1.0
    directions: bool = False

    def __post_init__(self) -> None:
        if not (is_real(self.weight) and 0 <= self.weight < math.inf):
            raise InvalidParameterError(
                f"Faithful's weight must be a finite number, 0 or more; got {self.weight!r}."
            )

    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """λ Σ_j p_ij log p_ij / q_ij for each row."""
        n = len(x)
        if n < FEWEST:
            return h.new_zeros(n)
        itself = torch.eye(n, dtype=torch.bool, device=x.device)
        with torch.no_grad():
            rows = F.normalize(x, dim=1) if self.directions else x
            norms = rows.square().sum(1)
            scores = 2 * rows @ rows.T - norms - norms.unsqueeze(1)
            scores.masked_fill_(itself, -torch.inf)
            p = torch.softmax(scores / temperature(scores[:FITTED_ROWS], n), 1)
        signs = 2 * h - 1
        alike = signs @ signs.T / h.shape[1]
        factor = _best_factor(p[:FITTED_ROWS], alike.detach()[:FITTED_ROWS], itself[:FITTED_ROWS])
        log_q = (factor * alike).masked_fill(itself, -torch.inf).log_softmax(1)
        cross = -(p * log_q.masked_fill(itself, 0.0)).sum(1)
        entropy: Tensor = torch.special.entr(p).sum(1)
        return self.weight * (cross - entropy)

    def in_units(self, unit: float) -> Penalty:
        """The same."""
        return self


@torch.no_grad()
def _best_factor(p: Tensor, alike: Tensor, itself: Tensor) -> float:
    """The α > 0 with the least KL(p ‖ softmax(α alike)), which is convex in α."""
    wanted = (p * alike).sum()

    def excess(log_factor: Tensor) -> Tensor:
        q = (log_factor.exp() * alike).masked_fill(itself, -torch.inf).softmax(1)
        found: Tensor = (q * alike).sum()
        return wanted - found

    ends = torch.tensor([1e-3, 1e4], device=p.device, dtype=p.dtype).log()
    return float(bisect(excess, ends[0], ends[1]).exp())
