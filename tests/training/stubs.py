"""Rows to train on, and parts that fail on purpose."""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import torch

from isthmus import Gaussian
from isthmus.likelihoods import Likelihood
from isthmus.penalties import Penalty

N, D = 160, 5


def data(n=N, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(n, 2))
    rows = codes @ np.random.default_rng(9).normal(size=(2, D)) + 0.3 * rng.normal(size=(n, D))
    return torch.from_numpy(rows).float()


@dataclass(frozen=True)
class Fails(Penalty):
    """0, but not a number (or infinite) at the steps that `when` says."""

    when: object
    value: float = math.nan
    steps: itertools.count = field(default_factory=itertools.count, compare=False)

    def __call__(self, x, h, maps):
        bad = self.when(next(self.steps))
        return 0 * h.sum(1) + (self.value * h.sum(1) if bad else 0)

    def in_units(self, unit):
        return self


@dataclass(frozen=True)
class BreaksIn(Likelihood):
    """A Gaussian that gives no number in one column."""

    column: int = 2
    whole: Gaussian = field(default_factory=Gaussian)

    @property
    def traits(self):
        return self.whole.traits

    def start(self, x, unit=1.0):
        return self.whole.start(x, unit)

    def _log_prob(self, x, eta):
        factor = torch.ones(x.shape[1])
        factor[self.column] = math.nan
        return factor * self.whole._log_prob(x, eta)

    def _mean(self, eta):
        return self.whole._mean(eta)

    def _sample(self, eta, generator):
        return self.whole._sample(eta, generator)
