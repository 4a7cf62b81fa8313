"""The loop: an iterator that yields one record per epoch; the caller prints, stops or saves.

    for epoch in train(model, objective, rows, plan):
        print(epoch.number, epoch.nll)

When the iterator ends, for whatever reason (all epochs done, early stopping, the caller's break,
Ctrl-C), the model holds its best weights: those with the lowest held-out nll, or the last ones if
no rows were held out.

A step with a gradient that is not finite is skipped. If steps keep failing, the learning rate is
halved and the last good weights come back; if that does not help either, a `TrainingError` names
the column or the layer, and the model keeps the last good weights.
"""

import math
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Generic

import torch

from isthmus._errors import IsthmusWarning, TrainingError
from isthmus.objective import Terms
from isthmus.training.contracts import B, Goal, Learner, M
from isthmus.training.evaluation import validate
from isthmus.training.freed import freed_memory_kept
from isthmus.training.optimizers import Stepper, WarmUpAndCosine
from isthmus.training.precision import is_small, on_one_thread, wants_half_precision
from isthmus.training.rows import HeldOut, Rows

WINDOW = 64
MOST_SLOWDOWNS = 10


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        optimizer: A name in `isthmus.training.optimizers.OPTIMIZERS`.
        learning_rate: The highest rate of the schedule.
        batch_size: Rows per step.
        max_epochs: Passes over the rows at most.
        patience: Epochs without a better held-out nll after which training stops.
        precision: A name in `isthmus.training.precision.PRECISIONS`.
    """

    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    batch_size: int = 256
    max_epochs: int = 100
    patience: int = 10
    precision: str = "auto"


@dataclass(frozen=True)
class Epoch:
    """What happened in one pass over the rows. All figures are means per row, in nats.

    Attributes:
        number: Counted from 1.
        nll: −log p(x | h) while training, under corruption and noise.
        kl: KL(p(h | x̃) ‖ p(h)) while training; 0 for a code without a prior.
        penalties: λ Ω by name.
        validation_nll: Of the held-out rows, uncorrupted: the negative of their score (for a
            stochastic code with a few draws for each row, the same in every epoch); None without
            held-out rows.
        seconds: Since the epoch began, validation included.
        rows_per_second: Of the training part.
        learning_rate: At the end of the epoch.
        skipped_steps: Steps that were left out because their gradient was not finite.
        best: Whether the weights are the best so far.
    """

    number: int
    nll: float
    kl: float
    penalties: dict[str, float]
    validation_nll: float | None
    seconds: float
    rows_per_second: float
    learning_rate: float
    skipped_steps: int
    best: bool


class _Weights:
    """A copy of a model's parameters that can be taken and put back."""

    def __init__(self, model: Learner) -> None:
        self._live = list(model.state_dict().values())
        self._kept = [tensor.clone() for tensor in self._live]

    def take(self) -> None:
        for kept, live in zip(self._kept, self._live, strict=True):
            kept.copy_(live)

    def put_back(self) -> None:
        for kept, live in zip(self._kept, self._live, strict=True):
            live.copy_(kept)


class _Best:
    """The weights with the lowest held-out nll, or the latest where nothing is held out."""

    def __init__(self, model: Learner, patience: int) -> None:
        self._weights = _Weights(model)
        self._patience = patience
        self._lowest = math.inf
        self._waited = 0
        self._any = False

    def see(self, validation_nll: float | None) -> bool:
        """Whether these weights are the best so far; keeps them if they are."""
        better = validation_nll is None or validation_nll < self._lowest
        if better:
            self._weights.take()
            self._lowest = math.inf if validation_nll is None else validation_nll
        self._waited = 0 if better else self._waited + 1
        self._any = self._any or better
        return better

    @property
    def tired(self) -> bool:
        """Whether the patience is used up."""
        return self._waited >= self._patience

    def put_back(self) -> None:
        """Give the model its best weights; before the end of a first epoch there are none."""
        if self._any:
            self._weights.put_back()


@dataclass
class _Sums:
    """Running sums over the rows of an epoch."""

    n_rows: int = 0
    n_skipped: int = 0
    totals: dict[str, float] = field(default_factory=dict)

    def add(self, terms: Terms) -> None:
        self.n_rows += len(terms.nll)
        named = {"nll": terms.nll, **terms.penalties}
        if terms.kl is not None:
            named["kl"] = terms.kl
        for name, values in named.items():
            self.totals[name] = self.totals.get(name, 0.0) + float(values.sum())

    def means(self) -> dict[str, float]:
        """Per row; infinite where a skipped step had no number."""
        values = {name: total / self.n_rows for name, total in self.totals.items()}
        return {name: math.inf if math.isnan(value) else value for name, value in values.items()}


class _Run(Generic[M, B]):
    """The state of one training: what has been done, what was last known to be good."""

    def __init__(
        self,
        model: M,
        objective: Goal[M, B],
        rows: Rows[B],
        plan: Plan,
        generator: torch.Generator,
        tick: Callable[[int], None],
        stepper: Stepper | None,
    ) -> None:
        self.model, self.objective, self.rows, self.plan = model, objective, rows, plan
        self.generator, self.tick = generator, tick
        self.batch_size = min(plan.batch_size, len(rows))
        self.n_steps = count_steps(len(rows), plan)
        self.stepper = stepper or Stepper(
            model, plan.optimizer, plan.learning_rate, WarmUpAndCosine.over(self.n_steps)
        )
        self.stepper.settle()
        # divided by the full batch size, so that a row of a short last batch weighs no more
        self._weight = 1 / self.batch_size
        self.small = is_small(model, self.batch_size)
        self.half_precision = wants_half_precision(plan.precision, model, self.batch_size)
        self._good = _Weights(model)
        self._seen_skipped = self.stepper.n_skipped
        self._window_began = self.stepper.n_steps
        self._slowdowns = 0
        self._batches: Iterator[B] = iter(())

    def end(self) -> None:
        """Stop what still reads ahead for a pass that was broken off; let go of the gradients."""
        if isinstance(self._batches, Generator):
            self._batches.close()
        self.stepper.release()

    def epoch(self) -> _Sums:
        """One pass over the rows in a new order."""
        sums = _Sums()
        self._batches = self.rows.batches(self.batch_size, self.generator)
        for z in self._batches:
            progress = min(1.0, self.stepper.n_steps / self.n_steps)
            terms = self.objective.descend(self.model, z, self.generator, progress, self._weight)
            self.stepper.step()
            sums.add(terms)
            self.tick(len(z))
            if self.stepper.n_steps - self._window_began >= WINDOW:
                sums.n_skipped += self._look_back(z)
        sums.n_skipped += self._look_back(z)
        return sums

    def _look_back(self, z: B) -> int:
        """Act on the steps since the last look; how many of them were skipped."""
        n_steps = self.stepper.n_steps - self._window_began
        skipped = self.stepper.n_skipped - self._seen_skipped
        self._window_began += n_steps
        self._seen_skipped += skipped
        if not skipped:
            self._good.take()
            self._slowdowns = 0
        elif skipped > n_steps // 4:
            self._slow_down(z)
        return skipped

    def _slow_down(self, z: B) -> None:
        self._good.put_back()
        self._slowdowns += 1
        if self._slowdowns > MOST_SLOWDOWNS:
            raise TrainingError(
                f"Training can't go on: {where_not_finite(self.model, self.objective, z)}, even "
                f"with the learning rate halved {MOST_SLOWDOWNS} times. The model keeps its last "
                "good weights. Look for extreme values in the data, or lower learning_rate."
            )
        self.stepper.slowdown *= 0.5
        self.stepper.restart()
        warnings.warn(
            "Gradients were not finite; went back to the last good weights with half the "
            f"learning rate (now {self.stepper.rate * self.plan.learning_rate:.3g}).",
            IsthmusWarning,
            stacklevel=2,
        )


def where_not_finite(model: M, objective: Goal[M, B], z: B) -> str:
    """The first place, in the order of computation, where a batch gives no finite number."""
    found = objective.suspect(model, z)
    if found is not None:
        return found
    objective.descend(model, z, torch.Generator(model.device), 1.0, 1.0)
    broken = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
    ]
    return f"the gradient of {broken[0] if broken else 'a layer'} is not finite"


def count_steps(n_rows: int, plan: Plan) -> int:
    """Steps of the whole training of so many rows."""
    return -(-n_rows // min(plan.batch_size, n_rows)) * plan.max_epochs


def train(
    model: M,
    objective: Goal[M, B],
    rows: Rows[B],
    plan: Plan,
    generator: torch.Generator,
    held_out: HeldOut[B] | None = None,
    tick: Callable[[int], None] = lambda n: None,
    stepper: Stepper | None = None,
) -> Iterator[Epoch]:
    """Train the model in place.

    Args:
        model: Its weights change.
        objective: What is minimised, in the units of the scaled data.
        rows: Training rows.
        plan: How.
        generator: Source of order, corruption and noise, on the model's device.
        held_out: Rows for early stopping; without them there is none.
        tick: Called after each step with the number of its rows.
        stepper: One to go on with; a new one with warm-up and cosine decay if None.

    Yields:
        One record per epoch.

    Raises:
        TrainingError: Training can't go on; the model holds the last good weights.
    """
    run = _Run(model, objective, rows, plan, generator, tick, stepper)
    best = _Best(model, plan.patience)
    with freed_memory_kept():
        try:
            for number in range(1, plan.max_epochs + 1):
                began = time.perf_counter()
                model.train()
                with (
                    model.computing_in_half_precision(run.half_precision),
                    on_one_thread(wanted=run.small),
                ):
                    sums = run.epoch()
                means = sums.means()
                trained = time.perf_counter() - began
                model.eval()
                validation_nll = None
                if held_out is not None:
                    validation_nll = validate(model, held_out, objective)
                yield Epoch(
                    number=number,
                    nll=means.pop("nll"),
                    kl=means.pop("kl", 0.0),
                    penalties=means,
                    validation_nll=validation_nll,
                    best=best.see(validation_nll),
                    seconds=time.perf_counter() - began,
                    rows_per_second=len(rows) / trained,
                    learning_rate=run.stepper.rate * plan.learning_rate,
                    skipped_steps=sums.n_skipped,
                )
                if best.tired:
                    break
        finally:
            run.end()
            model.zero_grad()
            best.put_back()
            model.eval()
