"""Documents: which of d words each of N draws gave.

    log p(x; η) = log N! − Σ_j log x_j! + Σ_j x_j log softmax(η)_j ,     N = Σ_j x_j

Salakhutdinov and Hinton (2009) hash documents with it. A document of N words counts N times as
much as one word, and N itself is given, not modelled.

Words may have weights in place of counts, such as TF-IDF: then x! is Γ(x + 1). That is no
distribution over real numbers, but the same sum, with the same optimum in η.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_whole
from isthmus.likelihoods import _closed
from isthmus.likelihoods._closed import MostlyZeros, Weight
from isthmus.likelihoods._likelihood import COUNTS, Divisor, Eta, Parameter, Support, Traits
from isthmus.numerics import log_poisson, log_saturated_poisson
from isthmus.sparse import SparseBatch

UNSEEN = 0.5
WEIGHTS = Support("weights of 0 or more", lambda x: (x >= 0) & np.isfinite(x))


@dataclass(frozen=True)
class Multinomial(MostlyZeros):
    """x ~ Multinomial(N, softmax(η)) over all d columns together.

    Its split over features is the one above, so that the parts sum to the whole and a word that
    was expected but is not there shows as well.

    Args:
        total: N for means and samples, whose length η does not say: 1 makes the mean the words'
            probabilities.
        weighted: Whether x holds weights of 0 or more, such as TF-IDF, and not only counts.

    Raises:
        InvalidParameterError: No whole number, or a total below 1.
    """

    total: int = 1
    weighted: bool = False

    def __post_init__(self) -> None:
        if not (is_whole(self.total) and self.total >= 1):
            raise InvalidParameterError(
                f"Multinomial's total must be a whole number, 1 or more; got {self.total!r}."
            )
        if not isinstance(self.weighted, bool):
            raise InvalidParameterError(
                f"Multinomial's weighted must be True or False; got {self.weighted!r}."
            )

    @property
    def traits(self) -> Traits:
        """One logit per word."""
        return Traits(
            parameters=(Parameter("logit"),),
            support=WEIGHTS if self.weighted else COUNTS,
            entry="log1p",
            factorised=False,
        )

    def start(self, x: Tensor, unit: Divisor = 1.0) -> Eta:
        """Logarithms of the words' counts; one that never occurs counts as half."""
        return (x.sum(0).clamp_min(UNSEEN).log(),)

    def _log_prob(self, x: Tensor, eta: Eta) -> Tensor:
        x, logit = torch.broadcast_tensors(x, eta[0])
        length = x.sum(-1, keepdim=True)
        if self.weighted:
            ways = torch.lgamma(length + 1) / length.clamp_min(torch.finfo(x.dtype).tiny)
            parts: Tensor = x * (logit.log_softmax(-1) + ways) - torch.lgamma(x + 1)
            return parts
        some = length.clamp_min(1)
        parts = log_poisson(x, logit.log_softmax(-1) + some.log())
        parts = parts - x * (log_saturated_poisson(length) / some)
        # an empty document is certain
        return parts * (length > 0).to(parts.dtype)

    def _of_non_zeros(self, x: SparseBatch, eta: Eta, weight: Weight) -> tuple[Tensor, Eta]:
        return _closed.multinomial(x, eta, weight)

    def _mean(self, eta: Eta) -> Tensor:
        return self.total * eta[0].softmax(-1)

    def _sample(self, eta: Eta, generator: torch.Generator) -> Tensor:
        words = torch.multinomial(
            eta[0].softmax(-1), self.total, replacement=True, generator=generator
        )
        return torch.zeros_like(eta[0]).scatter_add_(
            -1, words, torch.ones_like(words, dtype=eta[0].dtype)
        )
