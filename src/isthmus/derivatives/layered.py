"""Jacobians of fully connected layers, without automatic differentiation.

For a_1 = W_1 x + b_1, a_{l+1} = W_{l+1} φ(a_l) + b_{l+1}, h = s(a_L), the chain rule is

    ∂h/∂x = S′ W_L D_{L−1} W_{L−1} ⋯ D_1 W_1 ,      D_l = diag φ′(a_l),  S′ = diag s′(a_L)

For one layer ‖∂h/∂x‖² = Σ_i s′(a_i)² ‖W_i‖², the closed form of Rifai et al. (2011). For more, the
product is taken from the code's side if that is the narrow one; and where the input is wide, W_1
enters through its Gram matrix alone, ‖P W_1‖² = tr(P W_1W_1ᵀ Pᵀ), so that no array with d columns
per row is made. A decoder's last layer enters G Gᵀ in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.activations import Activation, activation
from isthmus.derivatives.contraction import contract, gram_is_cheaper
from isthmus.derivatives.differentials import Differential
from isthmus.networks import MLP, TiedMLP


@dataclass(frozen=True)
class Layer:
    """x ↦ φ(W x + b).

    Attributes:
        weight: W, (width out, width in).
        bias: b.
        activation: φ.
    """

    weight: Tensor
    bias: Tensor
    activation: Activation


def layers_of(
    network: nn.Module, n_outputs: int | None = None, last: str = "identity"
) -> tuple[Layer, ...] | None:
    """The layers of a fully connected network; None for any other module.

    Args:
        network: An encoder or decoder.
        n_outputs: How many of its outputs count, the first ones; None for all.
        last: The name of the activation that is put on them.
    """
    pairs: list[tuple[Tensor, Tensor]]
    if isinstance(network, MLP):
        pairs = [(layer.weight, layer.bias) for layer in network.linear_layers]
        between = network.activation
    elif isinstance(network, TiedMLP):
        pairs, between = network.linear_layers, network.activation
    else:
        return None
    *inner, (weight, bias) = pairs
    layers = [Layer(w, b, between) for w, b in inner]
    return (*layers, Layer(weight[:n_outputs], bias[:n_outputs], activation(last)))


class OfLayers(Differential):
    """Of fully connected layers, from their weights and the slopes of their activations.

    Args:
        layers: From the input on.
        x: Points (n, d).
        half: Whether to take products in bfloat16, as the networks do. What is given back has the
            type of x.
    """

    def __init__(self, layers: Sequence[Layer], x: Tensor, *, half: bool = False) -> None:
        self._type = x.dtype
        # the closed form of one layer has no product that would gain by it
        within = torch.bfloat16 if half and len(layers) > 1 else x.dtype
        self._weights = [layer.weight.to(within) for layer in layers]
        self._slopes: list[Tensor | None] = []
        self.n_inputs = x.shape[1]
        for layer, weight in zip(layers, self._weights, strict=True):
            x = F.linear(x.to(within), weight, layer.bias.to(within)).to(self._type)
            linear = layer.activation.name == "identity"
            self._slopes.append(None if linear else layer.activation.derivative(x))
            x = x if linear else layer.activation.function(x)
        self.out = x

    def pull(self, u: Tensor) -> Tensor:
        """From the last layer to the first."""
        u = u.to(self._weights[0].dtype)
        for weight, slope in zip(reversed(self._weights), reversed(self._slopes), strict=True):
            u = _scaled(u, slope) @ weight
        return u.to(self._type)

    def push(self, v: Tensor) -> Tensor:
        """From the first layer to the last."""
        v = v.to(self._weights[0].dtype)
        for weight, slope in zip(self._weights, self._slopes, strict=True):
            v = _scaled(v @ weight.T, slope)
        return v.to(self._type)

    def rows(self) -> Tensor:
        """The last weights, and through the other layers."""
        if len(self._weights) == 1:
            return self._last()
        rows = _scaled(self._above_first(), self._slopes[0]) @ self._weights[0]
        return rows.to(self._type)

    def columns(self) -> Tensor:
        """The first weights, and through the other layers."""
        v = self._below_last()
        if len(self._weights) == 1:
            return v
        return _scaled(v @ self._weights[-1].T, self._slopes[-1]).to(self._type)

    def passes(self) -> float:
        """Multiplications of `squared_norm` over those of one way through the layers."""
        if len(self._weights) == 1:
            return 1.0
        return min(self._work()) / sum(weight.numel() for weight in self._weights)

    def squared_norm(self) -> Tensor:
        """From the side that needs fewer multiplications."""
        if len(self._weights) == 1:
            return self._closed_form()
        from_code, from_input = self._work()
        if from_input < from_code:
            return self.columns().square().sum((1, 2))
        product, second = self._above_second()
        return contract(product, self._slopes[0], self._weights[0], second)

    def inner(self) -> Tensor:
        """J Jᵀ, (n, m, m)."""
        weight, slope = self._weights[0], self._slopes[0]
        if len(self._weights) == 1:
            gram = weight @ weight.T
            return self._sided(gram).expand(len(self.out), -1, -1)
        product = _scaled(self._above_first(), slope)
        if gram_is_cheaper(weight):
            return (product @ (weight @ weight.T) @ product.mT).to(self._type)
        product = product @ weight
        return (product @ product.mT).to(self._type)

    def outer(self) -> Tensor:
        """JᵀJ, (n, d, d); (d, d) for one linear layer."""
        weight = self._weights[-1]
        if self._slopes[-1] is None and len(self._weights) == 1:
            return weight.T @ weight
        if self._slopes[-1] is None and gram_is_cheaper(weight.T):
            columns = self._below_last()
            return (columns @ (weight.T @ weight) @ columns.mT).to(self._type)
        columns = self.columns()
        return columns @ columns.mT

    def trace_with(self, gram: Tensor) -> Tensor:
        """s′ᵀ (M ∘ WWᵀ) s′ for one layer and one M: no matrix per row at all."""
        slope, weight = self._slopes[0], self._weights[0]
        if len(self._weights) > 1 or gram.dim() > 2:
            return super().trace_with(gram)
        both = gram * (weight @ weight.T)
        if slope is None:
            return both.sum().expand(len(self.out))
        return ((slope @ both) * slope).sum(1)

    def difference_norm(self, other: Differential) -> Tensor:
        """‖J − J′‖²_F, (n,), to the Jacobian of the same layers at other points."""
        assert isinstance(other, OfLayers)
        if len(self._weights) == 1:
            one, two = self._slopes[0], other._slopes[0]
            if one is None or two is None:
                return self.out.new_zeros(len(self.out))
            return (one - two).square() @ self._weights[0].square().sum(1)
        mine = _scaled(self._above_first(), self._slopes[0])
        return contract(
            mine - _scaled(other._above_first(), other._slopes[0]), None, self._weights[0]
        )

    def _closed_form(self) -> Tensor:
        norms = self._weights[0].square().sum(1)
        slope = self._slopes[0]
        if slope is None:
            return norms.sum().expand(len(self.out))
        return slope.square() @ norms

    def _work(self) -> tuple[int, int]:
        """Multiplications of the norm from the side of the code and of the input, per row."""
        first, *others = (weight.numel() for weight in self._weights)
        width = len(self._weights[0])
        lowest = min(first, width * width) if gram_is_cheaper(self._weights[0]) else first
        return self.n_outputs * (sum(others[:-1]) + lowest), self.n_inputs * sum(others)

    def _above_first(self) -> Tensor:
        """S′ W_L D_{L−1} ⋯ W_2, (n, m, first width), for two layers or more."""
        product, second = self._above_second()
        return product if second is None else product @ second

    def _above_second(self) -> tuple[Tensor, Tensor | None]:
        """S′ W_L D_{L−1} ⋯ D_2, (n, m, second width), and W_2; for two layers S′ W_2 and None."""
        product = self._last()
        if len(self._weights) == 2:
            return product, None
        pairs = zip(self._weights[2:-1], self._slopes[2:-1], strict=True)
        for weight, slope in reversed(list(pairs)):
            product = _scaled(product, slope) @ weight
        return _scaled(product, self._slopes[1]), self._weights[1]

    def _below_last(self) -> Tensor:
        """(D_{L−1} ⋯ D_1 W_1)ᵀ, (n, d, last width but one); for one layer all of Jᵀ."""
        product = self._sided_first()
        for weight, slope in zip(self._weights[1:-1], self._slopes[1:-1], strict=True):
            product = _scaled(product @ weight.T, slope)
        return product

    def _sided_first(self) -> Tensor:
        slope, weight = self._slopes[0], self._weights[0].T
        if slope is None:
            return weight.expand(len(self.out), -1, -1)
        return weight * slope.to(weight.dtype).unsqueeze(1)

    def _last(self) -> Tensor:
        """S′ W_L, (n, m, width in)."""
        slope, weight = self._slopes[-1], self._weights[-1]
        if slope is None:
            return weight.expand(len(self.out), -1, -1)
        return weight * slope.to(weight.dtype).unsqueeze(2)

    def _sided(self, gram: Tensor) -> Tensor:
        slope = self._slopes[-1]
        return gram if slope is None else slope.unsqueeze(2) * gram * slope.unsqueeze(1)


def squared_norm_mlp(network: MLP, x: Tensor, n_outputs: int, output_activation: str) -> Tensor:
    """‖∂h/∂x‖²_F at each row for h = s(the first ``n_outputs`` outputs of an `MLP`), exactly.

    Args:
        network: Any depth, any activation of `ACTIVATIONS`.
        x: Points (n, d).
        n_outputs: How many of the network's outputs make the code.
        output_activation: The name of s.

    Returns:
        Tensor (n,), differentiable with respect to x and the weights.
    """
    layers = layers_of(network, n_outputs, output_activation)
    assert layers is not None
    return OfLayers(layers, x).squared_norm()


def _scaled(product: Tensor, slope: Tensor | None) -> Tensor:
    """Each row's matrix (n, q, m) with its columns times the slopes (n, m)."""
    return product if slope is None else product * slope.to(product.dtype).unsqueeze(1)
