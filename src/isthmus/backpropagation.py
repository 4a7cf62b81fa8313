"""The chain rule of an `MLP`, written out.

With a_l = W_l φ(a_{l−1}) + b_l and G_l the gradient of a number with respect to a_l (n, width),

    ∂/∂W_l = G_lᵀ φ(a_{l−1}) ,     ∂/∂b_l = Σ_rows G_l ,     G_{l−1} = (G_l W_l) ∘ φ′(a_{l−1})

(Rumelhart, Hinton and Williams, 1986). Torch's automatic differentiation finds the same numbers,
but for networks of tens of units its bookkeeping takes longer than the arithmetic. In half
precision the products are of bfloat16 matrices; gradients of weights come in the weights' type.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.networks import MLP


@dataclass(frozen=True)
class Trace:
    """What the way back needs of the way through.

    Attributes:
        inputs: What each layer was given, (n, width in).
        sums: a_l of each layer but the last, (n, width out).
        weights: W_l in the type in which they were used.
    """

    inputs: list[Tensor]
    sums: list[Tensor]
    weights: list[Tensor]

    @torch.no_grad()
    def to_input(self, g: Tensor) -> Tensor:
        """G_1 W_1, the gradient with respect to the network's input, (n, first width)."""
        return g @ self.weights[0]


@torch.no_grad()
def forward(mlp: MLP, x: Tensor, *, half: bool) -> tuple[Tensor, Trace]:
    """The network's output, in the type of x, and the trace of the way through.

    Args:
        mlp: The network.
        x: Its input (n, first width).
        half: Whether to compute in bfloat16.
    """
    layers, function = mlp.linear_layers, mlp.activation.function
    trace = Trace([], [], [])
    out, last = (x.bfloat16() if half else x), layers[-1]
    for layer in layers:
        weight, bias = _parameters(layer, half)
        trace.inputs.append(out)
        trace.weights.append(weight)
        out = F.linear(out, weight, bias)
        if layer is not last:
            trace.sums.append(out)
            out = function(out)
    return out.to(x.dtype), trace


@torch.no_grad()
def backward(mlp: MLP, trace: Trace, gradient: Tensor) -> Tensor:
    """Put the gradients of all weights and biases in their ``grad``.

    Args:
        mlp: The network.
        trace: From `forward` of the same weights.
        gradient: Of a number, with respect to the output (n, last width).

    Returns:
        The gradient with respect to the first layer's sums, G_1; see `Trace.to_input`.
    """
    layers, chain = mlp.linear_layers, mlp.activation.chain
    g = gradient.to(trace.weights[0].dtype)
    for i in range(len(layers) - 1, -1, -1):
        layer = layers[i]
        layer.weight.grad = (g.T @ trace.inputs[i]).to(layer.weight.dtype)
        layer.bias.grad = g.sum(0, dtype=layer.bias.dtype)
        if i:
            g = chain(g @ trace.weights[i], trace.sums[i - 1], trace.inputs[i])
    return g


def _parameters(layer: nn.Linear, half: bool) -> tuple[Tensor, Tensor]:
    if half:
        return layer.weight.bfloat16(), layer.bias.bfloat16()
    return layer.weight, layer.bias
