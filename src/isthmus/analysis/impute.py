"""Missing cells filled in: the conditional mean or mode, or joint draws.

A model that was trained with hidden cells (`Masking`) gives p(x_j | what is seen) for each cell
in one pass. From these one-cell conditionals come joint ones, in two ways:

* **Chain.** p(x_a, x_b | seen) = p(x_a | seen) · p(x_b | seen, x_a): the missing cells are drawn
  one after the other in a random order, each seen by those that follow (Uria et al., 2014). Means
  and modes are read off the first pass.
* **Gibbs.** Each missing cell is drawn again and again from p(x_j | all others). A linear network
  can't adapt to which cells are seen, but gets this one conditional exactly right. In place of
  draws the means are put in, Gauss-Seidel fashion: for normal data that converges to E[x | seen].

Which one predicts hidden cells better is tried on rows with some cells hidden on purpose.

**Spread.** A cell that is hidden is predicted worse than one that is seen, and few columns are
normal about their prediction. So real columns are drawn as prediction plus a residual that was
measured in just this way on cells hidden on purpose, from rows of which about as much was unseen;
other kinds are drawn from the likelihood.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus._errors import InvalidDataError
from isthmus.likelihoods import Eta
from isthmus.model import Model

Array = NDArray[Any]
Choose = Callable[[Eta, Tensor], Tensor]

SWEEPS = 25
STEPS = 32  # columns of a wide table are visited in this many groups
LEVELS = 101
ORDERS = 32
ROWS = 2048
TRIED_ROWS = 8192
REPEATED_ROWS = 4096
STRATA = 5
TRIED_CELLS = 1 << 20  # of a wide table fewer rows are tried
COMPARED_ROWS = 1024
COMPARED_CELLS = 1 << 17
COMPARED_SWEEPS = 5
FEWEST_RESIDUALS = 20


@dataclass(frozen=True)
class Spread:
    """What trying on hidden cells has taught.

    Attributes:
        gibbs: Whether the missing cells are visited again and again.
        residuals: Quantiles of (cell − prediction) in scaled units, (STRATA, LEVELS, d), by the
            part of the row that was unseen; NaN where the likelihood itself is drawn from.
    """

    gibbs: bool
    residuals: Tensor


@torch.no_grad()
def try_on_hidden(model: Model, z: Tensor, generator: torch.Generator) -> Spread | None:
    """Hide cells, predict them, and keep what was learnt.

    Args:
        model: In float32.
        z: Scaled rows that were held out if possible, (n, d), with NaN for missing cells.
        generator: Which cells are hidden.

    Returns:
        None for a model without a place for missing cells.
    """
    if model.table is None:
        return None
    wide = TRIED_CELLS // z.shape[1] + 1
    z = z[: min(TRIED_ROWS, wide)]
    # few rows are tried again and again, each time with other cells hidden
    z = z.repeat(max(1, min(REPEATED_ROWS, wide) // len(z)), 1)
    chance = torch.rand(z.shape, generator=generator, device=z.device)
    # of each row another part, from nothing to everything
    rates = torch.rand((len(z), 1), generator=generator, device=z.device)
    hidden = (chance < rates) & ~z.isnan()
    few = slice(min(COMPARED_ROWS, COMPARED_CELLS // z.shape[1] + 1))
    gibbs = _sweeps_help(model, z[few], hidden[few], generator)
    # orders of visits differ from part to part, so that each column is the first one somewhere
    parts = [
        _errors(model, some, hid, generator, chain=True)
        for some, hid in zip(z.chunk(ORDERS), hidden.chunk(ORDERS), strict=True)
    ]
    errors, strata = (torch.cat(each) for each in zip(*parts, strict=True))
    if gibbs:
        # with all others given; the chain only starts the visits
        errors[strata == 0] = torch.nan
        alone, _ = _errors(model, z, hidden, generator, chain=False)
        errors = torch.cat([errors, alone])
        strata = torch.cat([strata, torch.zeros_like(strata)])
    return Spread(gibbs, _quantiles(errors, strata, model.table.is_real))


def _errors(
    model: Model, z: Tensor, hidden: Tensor, generator: torch.Generator, *, chain: bool
) -> tuple[Tensor, Tensor]:
    """Cell − prediction where one was hidden, else NaN, and strata; of the chain or one by one."""
    state = z.masked_fill(hidden, torch.nan) if chain else z
    errors = torch.full_like(z, torch.nan)
    strata = torch.zeros(z.shape, dtype=torch.long, device=z.device)
    for block in _visits(z, generator):
        seen = state.clone()
        seen[:, block] = seen[:, block].masked_fill(hidden[:, block], torch.nan)
        error = z - model.likelihood.mean(_eta(model, seen))
        errors[:, block] = error[:, block].masked_fill(~hidden[:, block], torch.nan)
        strata[:, block] = _stratum(seen).unsqueeze(1)
        if chain:
            state[:, block] = z[:, block]
    return errors, strata


def _sweeps_help(model: Model, z: Tensor, hidden: Tensor, generator: torch.Generator) -> bool:
    """Whether hidden cells are more probable once the others have been filled in."""
    holes = z.masked_fill(hidden, torch.nan)
    wanted = z.masked_fill(~hidden, torch.nan)
    once = model.likelihood.log_prob(wanted, _eta(model, holes)).sum()
    missing = holes.isnan()
    choose = _typical(model)
    filled = torch.where(missing, choose(_eta(model, holes), holes), holes)
    for _ in range(COMPARED_SWEEPS):
        _sweep(model, filled, missing, choose, generator)
    again = torch.zeros_like(once)
    for block in _visits(z, generator):
        seen = filled.clone()
        seen[:, block] = seen[:, block].masked_fill(missing[:, block], torch.nan)
        again += model.likelihood.log_prob(wanted, _eta(model, seen))[:, block].sum()
    return bool(again > once)


def _stratum(seen: Tensor) -> Tensor:
    """Which of STRATA parts of a row is missing, (n,)."""
    missing = seen.isnan().sum(1)
    return ((missing - 1) * STRATA // seen.shape[1]).clamp(0, STRATA - 1)


def _quantiles(errors: Tensor, strata: Tensor, is_real: Tensor) -> Tensor:
    """At LEVELS midpoints, by column and stratum, over all strata where one has few.

    NaN for other kinds, and for columns of which too few cells were hidden.
    """
    levels = (torch.arange(LEVELS, device=errors.device, dtype=errors.dtype) + 0.5) / LEVELS
    errors = errors.where(errors.isfinite() & is_real, torch.nan)
    parts = [errors, *(errors.where(strata == s, torch.nan) for s in range(STRATA))]
    every, *own = (torch.nanquantile(part, levels, dim=0) for part in parts)
    many, *enough = (part.isfinite().sum(0) >= FEWEST_RESIDUALS for part in parts)
    every = every.where(many, torch.nan)
    return torch.stack([q.where(e, every) for q, e in zip(own, enough, strict=True)])


@torch.no_grad()
def fill(
    model: Model,
    x: Array,
    spread: Spread | None,
    generator: torch.Generator,
    *,
    draw: bool,
    first_row: int = 0,
) -> Array:
    """The rows with every missing cell filled in.

    Args:
        model: Of a table, in the precision that is to be computed with.
        x: Rows in the user's units, float64 (n, d), NaN where a cell is missing.
        spread: From `try_on_hidden`; None to draw from the likelihood alone.
        generator: Of draws and of the order of visits.
        draw: A joint draw of the missing cells; else their means or modes.
        first_row: What messages call the first row.

    Returns:
        Array (n, d) in float64, the observed cells as they were.

    Raises:
        InvalidDataError: A row so far out that its prediction is not a number.
    """
    result = x.copy()
    dtype = next(model.parameters()).dtype
    (incomplete,) = np.nonzero(np.isnan(x).any(1))
    for first in range(0, len(incomplete), ROWS):
        rows = incomplete[first : first + ROWS]
        given = torch.from_numpy(x[rows]).to(model.device)
        missing = given.isnan()
        z = model.scaled(given).to(dtype)
        z = _table(model, z, missing, spread, generator, draw=draw)
        _require_finite(z, first_row + rows)
        filled = model.unscaled(z.double()).cpu().numpy()
        result[rows] = np.where(missing.cpu().numpy(), filled, x[rows])
    return result


def _table(
    model: Model,
    z: Tensor,
    missing: Tensor,
    spread: Spread | None,
    generator: torch.Generator,
    *,
    draw: bool,
) -> Tensor:
    """Chain or Gibbs, for scaled rows with NaN."""
    typical = _typical(model)
    gibbs = spread is not None and spread.gibbs
    if draw:
        choose = _drawn(model, spread, generator)
        _sweep(model, z, missing, choose, generator)
    else:
        choose = typical
        z = torch.where(missing, typical(_eta(model, z), z), z)
    for _ in range(SWEEPS if gibbs else 0):
        _sweep(model, z, missing, choose, generator)
    return z


def _sweep(
    model: Model, z: Tensor, missing: Tensor, choose: Choose, generator: torch.Generator
) -> None:
    """Choose every missing cell once, in place, given the others as they are now."""
    for block in _visits(z, generator):
        (rows,) = missing[:, block].any(1).nonzero(as_tuple=True)
        if not len(rows):
            continue
        seen, holes = z[rows], torch.zeros_like(missing[rows])
        holes[:, block] = missing[rows][:, block]
        holed = seen.masked_fill(holes, torch.nan)
        chosen = choose(_eta(model, holed), holed)
        z[rows] = torch.where(holes, chosen, seen)


def _visits(z: Tensor, generator: torch.Generator) -> Sequence[Tensor]:
    """The columns in a random order, one by one or in STEPS groups."""
    order = torch.randperm(z.shape[1], generator=generator, device=z.device)
    return order.chunk(min(STEPS, len(order)))


def _eta(model: Model, z: Tensor) -> Eta:
    return model.decode(model.code(z))


def _typical(model: Model) -> Choose:
    """The mean; the nearest whole number where the mean can't occur, as for counts and bits."""
    contains = model.likelihood.traits.support.contains

    def choose(eta: Eta, seen: Tensor) -> Tensor:
        mean = model.likelihood.mean(eta)
        inside = torch.from_numpy(contains(mean.cpu().numpy())).to(mean.device)
        return torch.where(inside, mean, mean.round())

    return choose


def _drawn(model: Model, spread: Spread | None, generator: torch.Generator) -> Choose:
    """Prediction plus residual where residuals are known, else a draw of the likelihood."""

    def choose(eta: Eta, seen: Tensor) -> Tensor:
        sample = model.likelihood.sample(eta, generator)
        if spread is None:
            return sample
        place = torch.rand(sample.shape, generator=generator, device=sample.device)
        place = (place.to(sample.dtype) * LEVELS - 0.5).clamp(0, LEVELS - 1)
        low = place.long().clamp(max=LEVELS - 2)
        table, stratum = spread.residuals.to(sample), _stratum(seen).unsqueeze(1)
        column = torch.arange(sample.shape[1], device=sample.device)
        below, above = (table[stratum, level, column] for level in (low, low + 1))
        residual = torch.lerp(below, above, place - low)
        drawn = model.likelihood.mean(eta) + residual
        return torch.where(drawn.isnan(), sample, drawn)

    return choose


def _require_finite(z: Tensor, rows: NDArray[np.intp]) -> None:
    wrong = ~z.isfinite().all(1)
    if wrong.any():
        raise InvalidDataError(
            f"Row {rows[int(wrong.int().argmax())]} is too far out to be imputed: its prediction "
            "is not a number. Look for an error or another unit in this row, or leave it out."
        )
