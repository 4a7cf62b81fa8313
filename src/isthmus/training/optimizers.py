"""The step: optimisers by name, the learning rate's course, and a guard against bad steps.

Weights decay, biases and learned scales do not; learned scales (a Gaussian's σ) move ten times
faster, for they have a whole log-scale to travel and the networks only small corrections.

**The guard.** A step whose gradient is not finite is skipped; one whose gradient is many times
longer than usual is shortened to that length. "Usual" is a running mean of the gradient's length,
so the limit needs no units.
"""

import math
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import SGD, Muon

from isthmus._registry import unknown_name
from isthmus.training.contracts import Learner
from isthmus.training.gradients import Gradients, laid_out_as, length

SCALE_SPEED = 10.0
WEIGHT_DECAY = 0.01
CLIP_FACTOR = 5.0
USUAL_DECAY = 0.05

Group = dict[str, Any]


class Optimizer(Protocol):
    """What a `Stepper` needs of an optimiser: that of `torch.optim`, or one like it."""

    param_groups: list[Group]

    @property
    def state(self) -> MutableMapping[Any, dict[str, Any]]:
        """What is kept of earlier steps, by parameter and name."""

    def step(self) -> Any:
        """Move the parameters along their gradients."""


class FusedAdamW:
    """AdamW (Loshchilov and Hutter, 2019) by torch's fused kernel, called directly.

    The steps are those of ``torch.optim.AdamW(fused=True)``, and without weight decay those of
    ``Adam`` (Kingma and Ba, 2015). The bookkeeping of `torch.optim` around the same kernel takes
    ten times as long as the kernel for a small network, and a tenth of its whole step.

    Args:
        groups: Parameters (``params``) with their learning rate (``lr``) and ``weight_decay``.
    """

    betas = (0.9, 0.999)
    eps = 1e-8

    def __init__(self, groups: list[Group]) -> None:
        self.param_groups = groups
        self.state: dict[Any, dict[str, Any]] = {
            p: {"mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
            for group in groups
            for p in group["params"]
        }
        self._counts = [torch.zeros((), device=group["params"][0].device) for group in groups]
        # a look-up by parameter takes as long as a small tensor's arithmetic
        self._held = [[(p, self.state[p]) for p in group["params"]] for group in groups]

    @torch.no_grad()
    def step(self) -> None:
        """One step for every parameter that has a gradient."""
        for group, count, held in zip(self.param_groups, self._counts, self._held, strict=True):
            moving = [(p, p.grad, kept) for p, kept in held if p.grad is not None]
            if not moving:
                continue
            count += 1
            torch._fused_adamw_(
                [p for p, _, _ in moving],
                [gradient for _, gradient, _ in moving],
                [kept["mean"] for _, _, kept in moving],
                [kept["square"] for _, _, kept in moving],
                [],
                [count] * len(moving),
                lr=group["lr"],
                beta1=self.betas[0],
                beta2=self.betas[1],
                weight_decay=group["weight_decay"],
                eps=self.eps,
                amsgrad=False,
                maximize=False,
            )


@dataclass(frozen=True)
class _Groups:
    """A model's parameters by how they are treated."""

    weights: list[nn.Parameter]
    biases: list[nn.Parameter]
    scales: list[nn.Parameter]

    @classmethod
    def of(cls, model: Learner, parameters: Sequence[nn.Parameter]) -> "_Groups":
        known = {id(parameter) for parameter in model.parameters_of_all_rows.values()}
        moving = [p for p in parameters if p.requires_grad]
        scales = [p for p in moving if id(p) in known]
        rest = [p for p in moving if id(p) not in known]
        # a level's vector is a place, not a map: it is neither decayed nor made orthogonal
        vectors = set() if model.table is None else {id(p) for p in model.table.parameters()}
        weights = [p for p in rest if p.ndim > 1 and id(p) not in vectors]
        chosen = {id(p) for p in weights}
        return cls(weights, [p for p in rest if id(p) not in chosen], scales)

    def with_rates(self, learning_rate: float, decay: float) -> list[Group]:
        fast = SCALE_SPEED * learning_rate
        if not decay:  # one group is one pass of the optimiser
            weights, biases = [*self.weights, *self.biases], []
        else:
            weights, biases = self.weights, self.biases
        groups: list[Group] = [
            {"params": weights, "lr": learning_rate, "weight_decay": decay},
            {"params": biases, "lr": learning_rate, "weight_decay": 0.0},
            {"params": self.scales, "lr": fast, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]


def _adamw(groups: _Groups, learning_rate: float) -> list[Optimizer]:
    return [FusedAdamW(groups.with_rates(learning_rate, WEIGHT_DECAY))]


def _adam(groups: _Groups, learning_rate: float) -> list[Optimizer]:
    return [FusedAdamW(groups.with_rates(learning_rate, 0.0))]


def _sgd(groups: _Groups, learning_rate: float) -> list[Optimizer]:
    return [SGD(groups.with_rates(learning_rate, 0.0), momentum=0.9, nesterov=True, fused=True)]


def _muon(groups: _Groups, learning_rate: float) -> list[Optimizer]:
    """Muon for matrices (Jordan et al., 2024), AdamW for everything else."""
    matrices = [p for p in groups.weights if p.ndim == 2]
    others = [p for p in groups.weights if p.ndim != 2]
    rest = _Groups(others, groups.biases, groups.scales)
    optimizers = _adamw(rest, learning_rate)
    if matrices:
        optimizers.append(
            Muon(
                matrices,
                lr=learning_rate,
                weight_decay=WEIGHT_DECAY,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers


OPTIMIZERS: dict[str, Callable[[_Groups, float], list[Optimizer]]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
    "muon": _muon,
}


def require_optimizer(name: str) -> None:
    """Refuse a name that no optimiser has.

    Raises:
        InvalidParameterError: With the names there are.
    """
    if name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)


@dataclass(frozen=True)
class Part:
    """Parameters that move at a speed of their own.

    Attributes:
        parameters: Each is in one part only.
        speed: A factor of the learning rate.
    """

    parameters: tuple[nn.Parameter, ...]
    speed: float = 1.0


class Stepper:
    """Turns gradients into steps: optimiser, schedule and guard in one.

    Args:
        model: Whose parameters move.
        optimizer: A name in `OPTIMIZERS`.
        learning_rate: The highest rate.
        schedule: From the number of a step to a factor of the learning rate.
        parts: All parameters that move, if they do so at different speeds.
    """

    def __init__(
        self,
        model: Learner,
        optimizer: str,
        learning_rate: float,
        schedule: Callable[[int], float],
        parts: Sequence[Part] = (),
    ) -> None:
        require_optimizer(optimizer)
        parts = parts or (Part(tuple(model.parameters())),)
        self._make: Callable[[], list[Optimizer]] = lambda: [
            each
            for part in parts
            if any(p.requires_grad for p in part.parameters)
            for each in OPTIMIZERS[optimizer](
                _Groups.of(model, part.parameters), part.speed * learning_rate
            )
        ]
        self._schedule = schedule
        self._gradients = Gradients([p for p in model.parameters() if p.requires_grad])
        self.slowdown = 1.0
        self.n_steps = 0
        self.n_skipped = 0
        self._usual = 0.0
        self.restart()

    def restart(self) -> None:
        """Forget momentum and second moments, as after a return to older weights."""
        self._optimizers = self._make()
        self._groups = [group for opt in self._optimizers for group in opt.param_groups]
        self._highest = [float(group["lr"]) for group in self._groups]

    @torch.no_grad()
    def settle(self) -> None:
        """Lay out momentum and second moments as the weights are now, whose layout may change.

        It does where the first sparse rows come after dense ones: see `isthmus.sparse.in_columns`.
        """
        for optimizer in self._optimizers:
            for parameter, held in optimizer.state.items():
                for name, values in held.items():
                    if isinstance(values, Tensor):
                        held[name] = laid_out_as(parameter, values)

    @property
    def rate(self) -> float:
        """The factor of the learning rate at the present step."""
        return self.slowdown * self._schedule(self.n_steps)

    def step(self) -> None:
        """One guarded step on the gradients that are there."""
        if self._guard():
            rate = self.rate
            for group, highest in zip(self._groups, self._highest, strict=True):
                group["lr"] = rate * highest
            for optimizer in self._optimizers:
                optimizer.step()
        else:
            self.n_skipped += 1
        self.n_steps += 1

    def release(self) -> None:
        """Let go of the gradients."""
        self._gradients.release()

    def _guard(self) -> bool:
        """Whether the gradients are finite; shortens them where they are unusually long."""
        gradients = self._gradients.read()
        if not gradients:
            return True
        norm = length(gradients)
        if not math.isfinite(norm):
            return False
        usual = self._usual or norm
        longest = CLIP_FACTOR * usual
        if norm > longest:
            torch._foreach_mul_(gradients, longest / norm)
            norm = longest
        self._usual = usual + USUAL_DECAY * (norm - usual)
        return True


@dataclass(frozen=True)
class WarmUpAndCosine:
    """The learning rate rises linearly over the first steps and falls to 0 along a half cosine.

    Loshchilov and Hutter (2017), with warm-up.

    Attributes:
        n_steps: Steps in the whole training.
        warm_up: Steps of the rise.
    """

    n_steps: int
    warm_up: int

    @classmethod
    def over(cls, n_steps: int) -> "WarmUpAndCosine":
        """A rise over the first twentieth of the steps, 200 at most."""
        return cls(n_steps, min(200, n_steps // 20))

    def __call__(self, step: int) -> float:
        """The factor of the learning rate at this step, counted from 0."""
        if step < self.warm_up:
            return (step + 1) / (self.warm_up + 1)
        done = (step - self.warm_up) / max(1, self.n_steps - self.warm_up)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def steady(step: int) -> float:
    """A rise over 100 steps, then no decay: for training without a known end."""
    return min(1.0, (step + 1) / 100)
