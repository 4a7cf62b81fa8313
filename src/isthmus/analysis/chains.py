"""Chains: rows of data that a denoising model walks to, one state after the other.

**Corrupt and reconstruct** (Bengio et al., 2013). A model that was trained to undo a corruption
C(x̃ | x) knows p(x | x̃). Taking turns,

    x̃_t ~ C(x̃ | x_t) ,      x_{t+1} ~ p(x | h) ,  h ~ p(h | x̃_t)

is a Gibbs sampler of the joint distribution p(x) C(x̃ | x), so that the states are distributed as
the data, whatever the corruption is, if only p(x | h) is the true p(x | x̃). A likelihood has one
mode for each code: that fits where the corruption is small against the gaps between modes. Then
a chain seldom leaves the mode it is in. Training with `Walkback` makes its steps longer.

**Langevin** (Alain and Bengio, 2014). Of noise of standard deviation σ the best reconstruction
gives the score of p_σ, the density of the data with that noise added, and with it a diffusion:

    x_{t+1} = x_t + (ε/2) (r(x_t) − x_t)/σ² + √ε z_t ,     z_t ~ N(0, I)

Its states are distributed as p_σ, not p: each variance is σ² larger. And no step is ever refused,
so that a finite ε has a bias of its own: where log p_σ has curvature c ≤ 1/σ², the variance is
too large by the factor 1/(1 − cε/4).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._random import RandomState, draw_seed, make_generator
from isthmus._registry import is_real, is_whole
from isthmus.analysis.fields import noise_levels
from isthmus.analysis.learned import Learned, learned
from isthmus.corruptions import CORRUPTIONS, Corruption
from isthmus.objective import Objective

Array = NDArray[Any]
Given = str | Corruption | Sequence[str | Corruption]
MOST_ROWS = 4096
BLOCK_CELLS = 1 << 22


def sample_chain(
    model: Any,
    X: ArrayLike,
    n_steps: int | None = None,
    walkback: int = 1,
    *,
    corruption: Given | None = None,
    random_state: RandomState = None,
) -> Iterator[Array]:
    """States of the chain that corrupts and reconstructs, one chain from each row.

    The first states remember where they began. How soon a chain forgets depends on the corruption:
    start from several places, and leave out what comes before they agree.

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Where the chains begin, (n, d), rows as in `fit`.
        n_steps: How many states are given; None for no end.
        walkback: How many times each state is corrupted and reconstructed to give the next one.
            (For walks that the model is trained on, see `isthmus.Walkback`.)
        corruption: C(x̃ | x), as in `isthmus.Autoencoder`; the one of the training if None.
            A corruption that mixes rows, such as `Swap`, mixes the chains of a block of rows.
        random_state: Seed; None is a new one each time.

    Yields:
        States (n, d), draws of x in the user's units; of a table its columns as numbers.

    Raises:
        InvalidParameterError: No corruption is known, or n_steps or walkback is below 1.
        InvalidDataError: Points of another width, or a chain that ran out of what can be computed.
        SupportError: A value that the likelihood can't have.
    """
    known = learned(model, X, of_numbers=False)
    objective = _objective(known, corruption)
    _require_count("walkback", walkback)
    generator = make_generator(draw_seed(random_state), known.model.device)

    def step(z: Tensor) -> Tensor:
        for _ in range(walkback):
            z = objective.step(known.model, z, generator).to(z.dtype)
        return z

    return _states(known, step, _steps(n_steps))


def langevin(
    model: Any,
    X: ArrayLike,
    sigma: float | ArrayLike | None = None,
    step: float = 0.1,
    n_steps: int | None = None,
    *,
    random_state: RandomState = None,
) -> Iterator[Array]:
    """States of unadjusted Langevin dynamics along the score (r(x) − x)/σ², one chain per row.

    The states are distributed as the data with noise of standard deviation σ added, up to the bias
    of a finite step (see the module), which is at most 2.6 % of a variance for the default.

    Args:
        model: A fitted estimator, or its ``model_``.
        X: Where the chains begin, (n, d), real numbers.
        sigma: σ in the user's units, one number or one for each column; the noise that the model
            was trained with if None. For a reconstruction-contractive model it is √λ.
        step: ε/σ², in (0, 4): from 4 on the dynamics may diverge. Where columns have a σ each,
            so they have an ε.
        n_steps: How many states are given; None for no end.
        random_state: Seed; None is a new one each time.

    Yields:
        States (n, d) in the user's units.

    Raises:
        InvalidParameterError: σ is not known or not positive, the step is not in (0, 4), or
            n_steps is below 1.
        InvalidDataError: Points of another width, missing values, categories, or a chain that ran
            out of what can be computed.
    """
    known = learned(model, X)
    _require_measurable(known)
    if not (is_real(step) and 0 < step < 4):
        raise InvalidParameterError(
            f"step must lie above 0 and below 4, where the dynamics diverge; got {step!r}."
        )
    generator = make_generator(draw_seed(random_state), known.model.device)
    spread = math.sqrt(step) * known.tensor(
        noise_levels(known, sigma) / known.model.scale.cpu().numpy()
    )

    def move(z: Tensor) -> Tensor:
        noise = torch.empty_like(z).normal_(generator=generator)
        r = known.model.scaled(known.reconstruct(known.model.unscaled(z)))
        return torch.lerp(z, r, step / 2).addcmul_(noise, spread)

    return _states(known, move, _steps(n_steps))


def _states(
    known: Learned, step: Callable[[Tensor], Tensor], n_steps: int | None
) -> Iterator[Array]:
    """The states after each step, in the user's units; all n chains go on together.

    A chain is kept in the model's own units, and steps are made for blocks of rows.
    """
    model, n, d = known.model, len(known.matrix), known.matrix.n_features
    known.check_support()
    z = torch.empty((n, d), dtype=known.dtype)
    for first, block in known.matrix.blocks(np.float64, MOST_ROWS):
        z[first : first + len(block)] = model.scaled(torch.from_numpy(block).to(model.device))
    return _going(known, z, step, n_steps)


def _going(
    known: Learned, z: Tensor, step: Callable[[Tensor], Tensor], n_steps: int | None
) -> Iterator[Array]:
    model, (n, d) = known.model, z.shape
    size = max(1, min(MOST_ROWS, BLOCK_CELLS // (8 * d)))
    done = 0
    while n_steps is None or done < n_steps:
        done += 1
        state = np.empty((n, d), z.numpy().dtype)
        for first in range(0, n, size):
            with torch.no_grad():  # not around a yield: the caller would be in it as well
                moved = step(z[first : first + size].to(model.device))
                z[first : first + size] = moved
                state[first : first + size] = model.unscaled(moved).cpu().numpy()
        _require_finite(state, done)
        yield state


def _require_finite(state: Array, done: int) -> None:
    lost = ~np.isfinite(state).all(1)
    if lost.any():
        raise InvalidDataError(
            f"The chain from row {int(lost.argmax())} ran out of what can be computed in step "
            f"{done}. Start nearer to the data, or take a smaller step or less corruption."
        )


def _objective(known: Learned, given: Given | None) -> Objective:
    """The corruption of the chain, in the units of the model."""
    if given is None:
        corruptions = known.corruptions or ()
    elif isinstance(given, list | tuple):
        corruptions = tuple(map(CORRUPTIONS.resolve, given))
    else:
        corruptions = (CORRUPTIONS.resolve(given),)  # type: ignore[arg-type]  # mypy can't rule out a list here
    if not corruptions:
        whose = (
            "this is a model without its training"
            if known.corruptions is None
            else ("this model was trained without one")
        )
        raise InvalidParameterError(
            f"A chain needs a corruption, but {whose}. Fit with corruption=GaussianNoise(...) or "
            "another one that the model learns to undo; or give the one that it can undo, "
            "sample_chain(..., corruption=...)."
        )
    return Objective(corruptions).in_units(known.unit)


def _require_measurable(known: Learned) -> None:
    """Refuse counts, between which there is nowhere to go."""
    traits = known.model.likelihood.traits
    for j, column in enumerate(traits.columns or (traits,)):
        if column.entry == "log1p":
            raise InvalidDataError(
                f"Column {known.matrix.name(j)} holds counts, which don't move by small steps of "
                "any size; use sample_chain."
            )


def _steps(n_steps: int | None) -> int | None:
    if n_steps is not None:
        _require_count("n_steps", n_steps)
    return n_steps


def _require_count(name: str, value: Any) -> None:
    if not (is_whole(value) and value >= 1):
        raise InvalidParameterError(f"{name} must be a whole number, 1 or more; got {value!r}.")
