"""Categories side by side, each with its own number of levels: what `Columns` makes of them.

    log p(x_j; η) = η_{j,x_j} − log Σ_{k < K_j} e^{η_{j,k}}

The logits of all columns lie one after the other, K_1 + K_2 + … in a row, and none is there to
fill a gap: two thousand columns are one block, and one with ten thousand levels widens no other.
A sum over the levels of a column is a sum over a segment of that row.
"""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from isthmus.likelihoods._likelihood import (
    Divisor,
    Eta,
    Likelihood,
    Parameter,
    Support,
    Traits,
    is_level,
)
from isthmus.likelihoods.categorical import UNSEEN

SMALL = 1e-30


@dataclass(frozen=True)
class _Places:
    """Where the logits of each column are.

    Attributes:
        first: The place of each column's first logit, (m,).
        owner: Whose each logit is, (L,).
        sizes: How many logits each column has, (m,).
    """

    first: Tensor
    owner: Tensor
    sizes: Tensor


@dataclass(frozen=True)
class Levels(Likelihood):
    """x_j ~ Categorical(softmax(η_j)) for m columns of K_1, …, K_m levels, L logits in all.

    Args:
        levels: The K of each column.
    """

    levels: tuple[int, ...]

    @cached_property
    def traits(self) -> Traits:
        """One logit for each level of each column."""
        highest = np.array(self.levels) - 1
        return Traits(
            parameters=(Parameter("logits", covers=sum(self.levels)),),
            support=Support("level codes", partial(is_level, highest)),
            entry="one_hot",
        )

    @cached_property
    def _known(self) -> dict[torch.device, _Places]:
        return {}

    def _places(self, device: torch.device) -> _Places:
        if device not in self._known:
            sizes = torch.tensor(self.levels, device=device)
            owner = torch.arange(len(sizes), device=device).repeat_interleave(sizes)
            self._known[device] = _Places(sizes.cumsum(0) - sizes, owner, sizes)
        return self._known[device]

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """Logarithms of the frequencies among the cells that are not NaN.

        A level that never occurs counts as half a row; in a column without cells all do.
        """
        at, observed = self._places(x.device), ~x.isnan()
        cells = x.nan_to_num().long() + at.first
        counts = torch.bincount(cells[observed], minlength=len(at.owner))
        n = observed.sum(0).clamp_min(1).index_select(0, at.owner)
        return ((counts.to(x.dtype).clamp_min(UNSEEN) / n).log(),)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        logits = torch.atleast_2d(eta[0])
        at = self._places(logits.device)
        top = _of_segments("max", logits.detach(), at)
        sums = _of_segments("sum", (logits - top.index_select(1, at.owner)).exp(), at)
        chosen = logits.expand(len(x), -1).gather(1, x.long() + at.first)
        log_prob: Tensor = chosen - top - sums.log()
        return log_prob

    def _slope(self, x: Tensor, eta: Eta, weight: float) -> tuple[Tensor, Eta]:
        return self._slope_of_cells(x, eta, None, weight)

    def _slope_of_cells(
        self, x: Tensor, eta: Eta, missing: Tensor | None, weight: float
    ) -> tuple[Tensor, Eta]:
        logits, at = eta[0], self._places(x.device)
        places = x.long() + at.first
        slope, sums, top = _exponentials(logits, at)
        nll = sums.log().sub_(logits.gather(1, places))
        if top is not None:
            nll += top
        share, own = sums.reciprocal_().mul_(weight), slope.new_full((1, 1), -weight).expand_as(x)
        if missing is not None:
            nll, share = nll.masked_fill_(missing, 0.0), share.masked_fill_(missing, 0.0)
            own = own.masked_fill(missing, 0.0)
        slope *= share.index_select(1, at.owner)
        return nll.sum(1), (slope.scatter_add_(1, places, own),)

    def _mean(self, eta: Eta) -> Tensor:
        logits = torch.atleast_2d(eta[0])
        at = self._places(logits.device)
        top = _of_segments("max", logits, at)
        level = torch.arange(len(at.owner), device=logits.device) - at.first[at.owner]
        least = logits == top.index_select(1, at.owner)
        # the first of those that are equally probable
        named = torch.where(least, level, at.sizes[at.owner] - 1).to(logits.dtype)
        return _of_segments("min", named, at)

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        # the level whose η − log E is largest, E ~ Exponential, has the softmax's probabilities
        noise = torch.empty_like(eta[0]).exponential_(generator=generator).log_()
        return self._mean((eta[0] - noise,))


def _exponentials(logits: Tensor, at: _Places) -> tuple[Tensor, Tensor, Tensor | None]:
    """e^(η − c), (n, L), their sums (n, m), and c (n, m), which is None for 0.

    Without a shift if none is needed, and else by each column's largest logit.
    """
    powers = logits.exp()
    sums = _of_segments("sum", powers, at)
    low, high = sums.aminmax()
    # far from the ends of float32, so that nothing that counts was lost
    if float(low) > SMALL and float(high) < 1 / SMALL:
        return powers, sums, None
    top = _of_segments("max", logits, at)
    powers = (logits - top.index_select(1, at.owner)).exp_()
    return powers, _of_segments("sum", powers, at), top


def _of_segments(what: str, values: Tensor, at: _Places) -> Tensor:
    """The sum, or the largest or smallest, of each column's numbers in a row: (n, L) to (n, m)."""
    lengths = at.sizes.expand(len(values), -1).contiguous()
    found: Tensor = torch.segment_reduce(values, what, lengths=lengths, axis=1, unsafe=True)
    return found
