"""Learning bits: the decoder flips them, and both networks learn from what it found.

    repeat:   h_i ← the code of lowest E for each row, from the encoder's guess      (`flips`)
              θ   ← descend  Σ_i [ − log p(x_i | h_i) − log p(h_i | x_i) ]            (one pass)

The first term fits the decoder to the codes that there are, the second teaches the encoder to
give them by itself: then a code is near its optimum before any flip, and what the encoder can't
say is not said twice. Both steps lower the same sum, so the alternation descends on it (as in
coordinate descent; Carreira-Perpiñán and Raziperchikolaei, 2015, use it with a linear decoder).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.binary.flips import CURVATURE_ROWS, EFFORTS, Effort, curvature_of, refine
from isthmus.binary.rotation import rotated_axes
from isthmus.encoders import BitEncoder
from isthmus.model import Model
from isthmus.networks import Shortcut
from isthmus.sparse import Batch
from isthmus.training import Epoch, Plan, RowsInMemory, Stepper
from isthmus.training.optimizers import WarmUpAndCosine
from isthmus.training.precision import is_small, on_one_thread, wants_half_precision

START_ROWS = 20_000
START_ODDS = 2.0
SMALLEST_SPREAD = 1e-12
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Rounds:
    """How often the bits are flipped.

    Attributes:
        number: Alternations.
        epochs: Passes over the rows in each of them.
        prior: λ, the weight of the encoder's opinion while bits are flipped.
    """

    number: int
    epochs: int
    prior: float

    @property
    def passes(self) -> int:
        """Over the rows, in all; none where no bits are flipped."""
        return (self.number + 1) * self.epochs if self.number else 0


def log_odds(model: Model, z: Batch) -> Tensor:
    """log p(h_j = 1 | x) / p(h_j = 0 | x), (n, k)."""
    encoder = model.encoder
    assert isinstance(encoder, BitEncoder)
    return encoder.log_odds(model.encode(model.enter(z)))


def thresholded(odds: Tensor) -> Tensor:
    """The code that the encoder thinks most probable: zeros and ones (n, k)."""
    return (odds > 0).to(odds.dtype)


@torch.no_grad()
def begin_with_rotation(model: Model, rows: RowsInMemory, generator: torch.Generator) -> None:
    """Set the encoder to rotated principal axes.

    Networks of the user's own stay as they are.

    Args:
        model: Untrained.
        rows: Training rows; at most 20,000 of them are looked at.
        generator: On the model's device.
    """
    network, encoder = model.encoder_network, model.encoder
    if not isinstance(network, Shortcut):
        return
    assert isinstance(encoder, BitEncoder)
    order = torch.randperm(len(rows), generator=generator, device=model.device)[:START_ROWS]
    entered = model.enter(rows.batch(order))
    axes, mean = rotated_axes(entered, model.shape.n_components, generator)
    network.straight.weight.copy_(axes)
    network.straight.bias.copy_(-(axes @ mean))
    spread = float(encoder.log_odds(network(entered)).square().mean().sqrt())
    factor = START_ODDS / spread if spread > SMALLEST_SPREAD else 1.0
    network.straight.weight.mul_(factor)
    network.straight.bias.mul_(factor)


def with_codes(
    model: Model,
    rows: RowsInMemory,
    plan: Plan,
    rounds: Rounds,
    generator: torch.Generator,
    tick: Callable[[int], None] = lambda n: None,
    done: int = 0,
) -> Iterator[Epoch]:
    """Alternate between flipping bits and learning from them.

    Args:
        model: Its weights change.
        rows: Training rows.
        plan: Optimiser, learning rate, batch size and precision.
        rounds: How often.
        generator: Source of the order of the rows, on the model's device.
        tick: Called after each step with the number of its rows.
        done: Passes over the rows before these; records are counted on.

    Yields:
        One record per pass over the rows.
    """
    half = wants_half_precision(plan.precision, model, min(plan.batch_size, len(rows)))
    small = is_small(model, min(plan.batch_size, len(rows)))
    codes = encoded(model, rows, EFFORTS["none"], 0.0)
    for number in range(rounds.number + 1):
        n_steps = -(-len(rows) // min(plan.batch_size, len(rows))) * rounds.epochs
        schedule = WarmUpAndCosine.over(n_steps)
        stepper = Stepper(model, plan.optimizer, plan.learning_rate, schedule)
        for passed in range(rounds.epochs):
            began, skipped = time.perf_counter(), stepper.n_skipped
            with model.computing_in_half_precision(half), on_one_thread(wanted=small):
                nll, cross = _one_pass(model, rows, codes, plan, stepper, generator, tick)
            seconds = time.perf_counter() - began
            yield Epoch(
                number=done + number * rounds.epochs + passed + 1,
                nll=nll,
                kl=0.0,
                penalties={"bits": cross},
                validation_nll=None,
                seconds=seconds,
                rows_per_second=len(rows) / seconds,
                learning_rate=stepper.rate * plan.learning_rate,
                skipped_steps=stepper.n_skipped - skipped,
                best=True,
            )
        if number < rounds.number:
            codes = encoded(model, rows, EFFORTS["best"], rounds.prior)


@torch.no_grad()
def encoded(
    model: Model, rows: RowsInMemory, effort: Effort, prior: float, chosen: Tensor | None = None
) -> Tensor:
    """The codes of these rows, or of all, as bool (n, k)."""
    device = model.device
    chosen = torch.arange(len(rows), device=device) if chosen is None else chosen
    codes = torch.empty(len(chosen), model.shape.n_components, dtype=torch.bool)
    curvature = torch.empty(0)
    if effort.steps:
        z = rows.batch(chosen[:: max(1, len(chosen) // CURVATURE_ROWS)])
        curvature = curvature_of(model, z, thresholded(log_odds(model, z)))
    for place in torch.arange(len(chosen), device=device).split(BLOCK_ROWS):
        z = rows.batch(chosen[place])
        odds = log_odds(model, z)
        h = refine(model, z, thresholded(odds), prior * odds, curvature, effort)
        codes[place.cpu()] = h.cpu() > 0.5
    return codes


def _one_pass(
    model: Model,
    rows: RowsInMemory,
    codes: Tensor,
    plan: Plan,
    stepper: Stepper,
    generator: torch.Generator,
    tick: Callable[[int], None],
) -> tuple[float, float]:
    """One pass; the means of −log p(x | h) and −log p(h | x)."""
    encoder = model.encoder
    assert isinstance(encoder, BitEncoder)
    model.train()
    batch_size = min(plan.batch_size, len(rows))
    order = torch.randperm(len(rows), generator=generator, device=model.device)
    nlls, crosses = 0.0, 0.0
    for index in order.split(batch_size):
        z, h = rows.batch(index), codes[index.cpu()].to(model.device, torch.float32)
        model.zero_grad()
        odds = encoder.log_odds(model.encode(model.enter(z)))
        out = model.decoded(h)
        nll, slope = model.slope(z, out.detach(), 1 / batch_size)
        cross = F.binary_cross_entropy_with_logits(odds, h, reduction="sum")
        (cross / batch_size + (out * slope).sum()).backward()
        stepper.step()
        tick(len(index))
        nlls += float(nll.sum())
        crosses += float(cross.detach())
    model.zero_grad()
    model.eval()
    return nlls / len(rows), crosses / len(rows)
