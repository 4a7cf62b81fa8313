"""Randomness: one generator per fit, and never the global state of numpy or torch."""

import secrets
from numbers import Integral

import numpy as np
import torch

from isthmus._errors import InvalidParameterError

RandomState = int | np.random.RandomState | np.random.Generator | None


def draw_seed(random_state: RandomState) -> int:
    """A seed below 2**63 from what scikit-learn users give as ``random_state``.

    An integer stands for itself; ``None`` asks the operating system; a numpy generator is drawn
    from (and so advances), as scikit-learn does.
    """
    if random_state is None:
        return secrets.randbits(63)
    if isinstance(random_state, Integral):
        if not 0 <= int(random_state) < 2**63:
            raise InvalidParameterError(
                f"random_state must be between 0 and 2**63 - 1; got {random_state}."
            )
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**63 - 1))
    raise InvalidParameterError(
        "random_state must be None, an integer, a numpy RandomState or a numpy Generator; "
        f"got {random_state!r}."
    )


def make_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator of its own on ``device``."""
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    return generator


def latin_hypercube(n_points: int, n_dimensions: int, generator: torch.Generator) -> torch.Tensor:
    """Points in the open unit cube, one in each of n_points equal slices of every axis.

    Averages over them have less error than over independent points (McKay et al., 1979).

    Returns:
        Tensor (n_points, n_dimensions), the middles of the slices in random order on each axis.
    """
    keys = torch.rand((n_points, n_dimensions), generator=generator, device=generator.device)
    return (keys.argsort(dim=0) + 0.5) / n_points
