"""Norms of Jacobians from a few random products, and when they take the place of exact ones.

For a vector u of independent signs E[uuᵀ] = I, so that (Hutchinson, 1990)

    E‖uᵀJ‖² = tr(Jᵀ E[uuᵀ] J) = ‖J‖²_F ,      E‖Jv‖² = ‖J‖²_F likewise.

The signs lie on the narrow side, where the estimate varies less. One product costs about as much
as the function, whatever its size; the exact norm costs as many as the narrow side is wide.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.derivatives.differentials import Differential

MOST_PASSES = 16


@dataclass(frozen=True)
class Choice:
    """How a norm is found, and why.

    Attributes:
        method: ``"exact"`` or ``"estimate"``.
        passes: About how many ways through the network the exact norm takes.
        reason: In words.
    """

    method: str
    passes: float
    reason: str


def choose(differential: Differential, method: str = "auto") -> Choice:
    """Exact where that takes no more than `MOST_PASSES` ways through the network.

    Args:
        differential: What is to be measured; only its shapes count.
        method: ``"exact"`` and ``"estimate"`` stand for themselves.
    """
    passes = differential.passes()
    if method != "auto":
        return Choice(method, passes, "as asked")
    exact = passes <= MOST_PASSES
    return Choice(
        "exact" if exact else "estimate",
        passes,
        f"the exact norm takes about {passes:.3g} passes through the network, "
        f"{'not ' if exact else ''}more than {MOST_PASSES}",
    )


def estimated_norm(
    differential: Differential, n_probes: int, generator: torch.Generator
) -> Tensor:
    """An unbiased estimate of ‖J‖²_F at each row, (n,).

    Args:
        differential: J.
        n_probes: Products to average over.
        generator: Source of the signs, on the device of J.
    """
    products = _products(differential, _signs(differential, n_probes, generator))
    return products.square().sum((1, 2)) / float(n_probes)


def estimated_difference_norm(
    one: Differential, other: Differential, n_probes: int, generator: torch.Generator
) -> Tensor:
    """An unbiased estimate of ‖J − J′‖²_F at each row, (n,); arguments as in `estimated_norm`."""
    signs = _signs(one, n_probes, generator)
    difference = _products(one, signs) - _products(other, signs)
    return difference.square().sum((1, 2)) / float(n_probes)


def _reverse(differential: Differential) -> bool:
    return differential.n_outputs <= differential.n_inputs


def _signs(differential: Differential, n_probes: int, generator: torch.Generator) -> Tensor:
    """Independent ±1, (n, n_probes, narrow side)."""
    out = differential.out
    width = differential.n_outputs if _reverse(differential) else differential.n_inputs
    size = (len(out), n_probes, width)
    drawn = torch.randint(0, 2, size, generator=generator, device=out.device, dtype=torch.int8)
    return drawn.to(out.dtype).mul_(2).sub_(1)


def _products(differential: Differential, signs: Tensor) -> Tensor:
    return differential.pull(signs) if _reverse(differential) else differential.push(signs)
