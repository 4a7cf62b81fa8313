"""Annealed importance sampling from the prior of a code to its posterior.

Between p(h) and p(h) p(x | h) stand p(h) p(x | h)^β for 0 = β_0 < … < β_T = 1 (Neal, 2001):

    log w = Σ_t (β_t − β_{t−1}) log p(x | h_{t−1}) ,      h_t ~ T_t(h | h_{t−1})

where T_t leaves the density of β_t as it is; here it is one step of Hamiltonian Monte Carlo. Then
E[w] = p(x) exactly. Under β the variance of log p(x | h) is about k/2β², as long as the prior
hardly counts; so the β are spaced like a geometric series, which makes all its terms vary alike.
(Sigmoid spacing, as in Wu et al., 2017, is far too coarse near 0.)

How long a leapfrog step may be depends on β and on the row. It is found in a trial run of its
own, whose draws are thrown away: a length that depended on the chain's past would spoil E[w].
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.model import Model

STEEPNESS = 9.0
ACCEPTED = 0.65
FASTER, SLOWER = 1.05, 0.93
TRIAL_CHAINS = 4
TRIAL_MOVES = 2
FIRST_LENGTH, LONGEST = 0.3, 2.0


@dataclass(frozen=True)
class Ladder:
    """How many of everything.

    Attributes:
        n_temperatures: T.
        n_chains: Runs for each row.
        n_leapfrog: Leapfrog steps of each move.
    """

    n_temperatures: int
    n_chains: int
    n_leapfrog: int

    def heights(self) -> Tensor:
        """β_0 … β_T."""
        steps = torch.linspace(0, STEEPNESS, self.n_temperatures + 1, dtype=torch.float64)
        return steps.expm1() / math.expm1(STEEPNESS)


def anneal(model: Model, z: Tensor, ladder: Ladder, generator: torch.Generator) -> Tensor:
    """log w of each run, (n_chains, n), in the user's units.

    Args:
        model: With a normal code.
        z: Scaled rows (n, d).
        ladder: How many of everything.
        generator: Source of starts, momenta and refusals.
    """
    lengths = _lengths(model, z, ladder, generator)
    climb = _Climb(model, z, ladder.n_chains, ladder.n_leapfrog, generator)
    heights = ladder.heights().tolist()
    log_weight = torch.zeros(ladder.n_chains * len(z), dtype=torch.float64, device=z.device)
    for t in range(1, len(heights)):
        log_weight += (heights[t] - heights[t - 1]) * climb.log_prob.double()
        if t + 1 < len(heights):  # the last move would change no weight
            climb.move(heights[t], lengths[t])
    return log_weight.view(ladder.n_chains, len(z))


def _lengths(model: Model, z: Tensor, ladder: Ladder, generator: torch.Generator) -> list[Tensor]:
    """The leapfrog length of each row at each β, (n,), from a trial run."""
    climb = _Climb(model, z, TRIAL_CHAINS, ladder.n_leapfrog, generator)
    length = torch.full((len(z),), FIRST_LENGTH, dtype=z.dtype, device=z.device)
    lengths = [length]
    for beta in ladder.heights().tolist()[1:]:
        for _ in range(TRIAL_MOVES):
            accepted = climb.move(beta, length).view(TRIAL_CHAINS, -1).mean(0)
            faster = accepted > ACCEPTED
            length = torch.where(faster, length * FASTER, length * SLOWER).clamp_max(LONGEST)
        lengths.append(length)
    return lengths


class _Climb:
    """Chains of codes, m for each row, the rows of one chain together.

    Attributes:
        log_prob: log p(x | h) of each chain, (m·n,).
    """

    def __init__(
        self, model: Model, z: Tensor, m: int, n_leapfrog: int, generator: torch.Generator
    ) -> None:
        self._model, self._z, self._m = model, z.repeat(m, 1), m
        self._n_leapfrog, self._generator = n_leapfrog, generator
        self._h = self._normal()
        self.log_prob, self._slope = self._look(self._h)

    def _normal(self) -> Tensor:
        shape = (len(self._z), self._model.shape.n_components)
        draws = torch.randn(shape, generator=self._generator, device=self._z.device)
        return draws.to(self._z.dtype)

    def _look(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x | h), and its slope in h."""
        with torch.enable_grad():
            leaf = h.detach().requires_grad_()
            log_prob = -self._model.nll(self._z, leaf)
            (slope,) = torch.autograd.grad(log_prob.sum(), leaf)
        return log_prob.detach(), slope

    def move(self, beta: float, length: Tensor) -> Tensor:
        """One Hamiltonian step for p(h) p(x | h)^β; the chance of each that it was accepted."""
        e = length.repeat(self._m).unsqueeze(1)
        h, slope, momentum = self._h, self._slope, self._normal()
        start = momentum
        for _ in range(self._n_leapfrog):
            momentum = momentum + 0.5 * e * (beta * slope - h)
            h = h + e * momentum
            log_prob, slope = self._look(h)
            momentum = momentum + 0.5 * e * (beta * slope - h)
        gain = beta * (log_prob - self.log_prob).double()
        for new, old in ((h, self._h), (momentum, start)):
            gain -= 0.5 * (new.double().square() - old.double().square()).sum(1)
        chance = gain.clamp_max(0).exp().nan_to_num(nan=0.0)
        draws = torch.rand(len(chance), generator=self._generator, device=chance.device)
        taken = draws < chance
        self._h = torch.where(taken.unsqueeze(1), h, self._h)
        self._slope = torch.where(taken.unsqueeze(1), slope, self._slope)
        self.log_prob = torch.where(taken, log_prob, self.log_prob)
        return chance
