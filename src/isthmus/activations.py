"""Elementwise functions between layers, with their derivatives and their variance."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus._registry import unknown_name

aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """An elementwise function φ and its derivative φ′, both of the pre-activation a.

    Attributes:
        name: Its key in `ACTIVATIONS`, by which it is pickled.
        function: φ(a).
        derivative: φ′(a), itself differentiable, because penalties on Jacobians are trained
            through.
        chain: From a gradient g with respect to φ(a), from a, and from φ(a): g · φ′(a), the
            gradient with respect to a, in one pass and without a graph.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    chain: Callable[[Tensor, Tensor, Tensor], Tensor]

    def __reduce__(self) -> tuple[Callable[[str], "Activation"], tuple[str]]:
        return activation, (self.name,)

    @property
    def gain(self) -> float:
        """g = E[φ(z)²]^(−½) for z ~ N(0, 1), by 101-point Gauss-Hermite quadrature."""
        nodes, weights = _quadrature()
        second_moment = float((weights * self.function(nodes).square()).sum())
        return 1 / math.sqrt(second_moment)


@cache
def _quadrature() -> tuple[Tensor, Tensor]:
    """Nodes and weights of E[f(z)], z ~ N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())


def _gelu_slope(a: Tensor) -> Tensor:
    density = torch.exp(-0.5 * a.square()) / math.sqrt(2 * math.pi)
    cumulative: Tensor = torch.special.ndtr(a)
    return cumulative + a * density


def _silu_slope(a: Tensor) -> Tensor:
    s = torch.sigmoid(a)
    return s * (1 + a * (1 - s))


_EVERY = (
    Activation("identity", lambda a: a, torch.ones_like, lambda g, a, out: g),
    Activation("silu", F.silu, _silu_slope, lambda g, a, out: aten.silu_backward(g, a)),
    Activation(
        "relu",
        F.relu,
        lambda a: (a > 0).to(a.dtype),
        lambda g, a, out: aten.threshold_backward(g, a, 0),
    ),
    Activation(
        "leaky_relu",
        F.leaky_relu,
        lambda a: 0.01 + 0.99 * (a > 0).to(a.dtype),
        lambda g, a, out: aten.leaky_relu_backward(g, a, 0.01, False),
    ),
    Activation(
        "elu",
        F.elu,
        lambda a: a.clamp_max(0).exp(),
        lambda g, a, out: aten.elu_backward(g, 1, 1, 1, False, a),
    ),
    Activation("gelu", F.gelu, _gelu_slope, lambda g, a, out: aten.gelu_backward(g, a)),
    Activation(
        "softplus",
        F.softplus,
        torch.sigmoid,
        lambda g, a, out: aten.softplus_backward(g, a, 1, 20),
    ),
    Activation(
        "tanh",
        torch.tanh,
        lambda a: 1 - torch.tanh(a).square(),
        lambda g, a, out: aten.tanh_backward(g, out),
    ),
    Activation(
        "sigmoid",
        torch.sigmoid,
        lambda a: torch.sigmoid(a) * torch.sigmoid(-a),
        lambda g, a, out: aten.sigmoid_backward(g, out),
    ),
    Activation("sin", torch.sin, torch.cos, lambda g, a, out: g * torch.cos(a)),
)

ACTIVATIONS = {each.name: each for each in _EVERY}


def activation(name: str) -> Activation:
    """The activation of this name.

    Raises:
        InvalidParameterError: There is none of this name.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
