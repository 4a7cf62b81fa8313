"""One of K levels: softmax.

    log p(x; η) = η_x − log Σ_k e^{η_k} ,       x ∈ {0, …, K − 1}

Each column holds level codes. The encoder sees a column as K columns of 0 and 1.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_whole
from isthmus.likelihoods._likelihood import (
    Divisor,
    Eta,
    Likelihood,
    Parameter,
    Support,
    Traits,
    is_level,
)

UNSEEN = 0.5


@dataclass(frozen=True)
class Categorical(Likelihood):
    """x_j ~ Categorical(softmax(η_j)), the same number of levels in every column.

    Args:
        levels: K, 2 or more; None counts the levels of the data at fit.

    Raises:
        InvalidParameterError: No whole number, or fewer than 2 levels.
    """

    levels: int | None = None

    def __post_init__(self) -> None:
        if self.levels is not None and not (is_whole(self.levels) and self.levels >= 2):
            raise InvalidParameterError(
                "Categorical's levels must be a whole number, 2 or more, or None; "
                f"got {self.levels!r}."
            )

    @property
    def traits(self) -> Traits:
        """K logits per feature.

        Raises:
            InvalidParameterError: The levels have not been counted yet.
        """
        if self.levels is None:
            raise InvalidParameterError(
                "Categorical(levels=None) counts its levels at fit; before that it has no "
                "outputs. Give the number of levels."
            )
        highest = self.levels - 1
        return Traits(
            parameters=(Parameter("logits", width=self.levels),),
            support=Support(
                f"level codes 0, 1, …, {highest}",
                partial(is_level, highest),
            ),
            entry="one_hot",
        )

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """Logarithms of the frequencies; a level that never occurs counts as half a row."""
        d, levels = x.shape[1], self.traits.outputs
        cells = x.long() + levels * torch.arange(d)
        counts = torch.bincount(cells.flatten(), minlength=d * levels).view(d, levels)
        return ((counts.to(x.dtype).clamp_min(UNSEEN) / len(x)).log(),)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        chosen = x.long().unsqueeze(-1)
        logits = eta[0].expand(*chosen.shape[:-1], -1)
        return logits.log_softmax(-1).gather(-1, chosen).squeeze(-1)

    def _slope(self, x: Tensor, eta: Eta, weight: float) -> tuple[Tensor, Eta]:
        chosen = x.long().unsqueeze(-1)
        log_prob = eta[0].log_softmax(-1)
        nll = -log_prob.gather(-1, chosen).squeeze(-1).sum(1)
        slope = log_prob.exp_()
        slope.scatter_add_(-1, chosen, slope.new_full((1, 1, 1), -1.0).expand(chosen.shape))
        return nll, (slope.mul_(weight),)

    def _mean(self, eta: Eta) -> Tensor:
        return eta[0].argmax(-1).to(eta[0].dtype)

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        logits = eta[0]
        draws = torch.multinomial(
            logits.softmax(-1).reshape(-1, logits.shape[-1]), 1, generator=generator
        )
        return draws.reshape(logits.shape[:-1]).to(logits.dtype)
