"""Virtual labels: what a row without a label asks of its corrupted copy.

The model's prediction for the clean row is what it must find again in the copy. Where labels have
spread over a graph of near rows (see `isthmus.training.spread`), they are a prior,

    p(ŷ | x) ∝ p(y | f(x)) s(y)

At first the head says nothing and near labels all. A row where the two disagree is sure of
nothing: it asks for little, and where a threshold is set it is left out until one gives in.

Few labels are easily outvoted: a class that wins a little more than its part of the rows is then
learned from these, wins more, and may swallow its neighbours. Where the shares of the classes are
known they are a second prior (`aligned`; distribution alignment in Berthelot et al., 2020).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.likelihoods import Eta, Likelihood


def with_prior(eta: Eta, log_prior: Tensor) -> Eta:
    """Logits of classes with a prior: p(y | h) s(y), up to its sum.

    Args:
        eta: Of one categorical feature, (n, 1, K) or of that many numbers.
        log_prior: log s, (n, K).
    """
    return (eta[0] + log_prior.to(eta[0].dtype).view_as(eta[0]), *eta[1:])


def aligned(eta: Eta, shares: Tensor) -> Eta:
    """Logits moved toward these shares of the classes in the mean of the rows.

        p(ŷ | x) ∝ p(y | x) π(y) / p̄(y)

    with p̄ the mean of p over the rows, and over as many more rows of the shares π as there are
    classes: a class that few rows would show anyhow isn't judged by them.

    Args:
        eta: Of one categorical feature, (n, 1, K) or of that many numbers.
        shares: π, (K,), above 0, of sum 1.
    """
    log_prob = eta[0].flatten(1).log_softmax(1)
    shares = shares.to(log_prob.dtype)
    n, n_classes = log_prob.shape
    found = (log_prob.exp().sum(0) + n_classes * shares) / (n + n_classes)
    return ((log_prob + shares.log() - found.log()).view_as(eta[0]), *eta[1:])


class Virtual(ABC):
    """What a row without a label asks of its corrupted copy: the prediction for the clean one."""

    @abstractmethod
    def __call__(
        self, likelihood: Likelihood, eta: Eta, found: Eta, generator: torch.Generator
    ) -> Tensor:
        """The cost of what is predicted for the copies, in nats, (n,).

        Args:
            likelihood: p(y | h).
            eta: Of the clean rows, without a graph.
            found: Of their copies.
            generator: Source of draws.
        """


@dataclass(frozen=True)
class Expected(Virtual):
    """KL(p(y | h) ‖ p(y | h̃)) of classes."""

    def __call__(
        self, likelihood: Likelihood, eta: Eta, found: Eta, generator: torch.Generator
    ) -> Tensor:
        """See `Virtual`."""
        target, log_prob = (each[0].flatten(1).log_softmax(1) for each in (eta, found))
        return (target.exp() * (target - log_prob)).sum(1)


@dataclass(frozen=True)
class Confident(Virtual):
    """−log p(ŷ | h̃) of the most probable class ŷ; it counts where it is at least so probable.

    Attributes:
        least: The probability.
    """

    least: float

    def __call__(
        self, likelihood: Likelihood, eta: Eta, found: Eta, generator: torch.Generator
    ) -> Tensor:
        """See `Virtual`."""
        y = likelihood.mean(eta)
        probability = likelihood.log_prob(y, eta).exp()
        return (probability[:, 0] >= self.least).to(y.dtype) * likelihood.nll(y, found)


@dataclass(frozen=True)
class Drawn(Virtual):
    """−log p(ŷ | h̃) of a draw ŷ of p(y | h): the divergence, up to a constant, in the mean."""

    def __call__(
        self, likelihood: Likelihood, eta: Eta, found: Eta, generator: torch.Generator
    ) -> Tensor:
        """See `Virtual`."""
        return likelihood.nll(likelihood.sample(eta, generator), found)
