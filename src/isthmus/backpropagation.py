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

from isthmus.networks import MLP
from isthmus.sparse import Batch, SparseBatch, linear, weight_gradient

NARROW = 12


@dataclass(frozen=True)
class Trace:
    """What the way back needs of the way through.

    Attributes:
        inputs: What each layer was given, (n, width in).
        sums: a_l of each layer but the last, (n, width out).
        weights: W_l in the type in which they were used.
    """

    inputs: list[Batch]
    sums: list[Tensor]
    weights: list[Tensor]

    def to_input(self, g: Tensor) -> Tensor:
        """G_1 W_1, the gradient with respect to the network's input, (n, first width)."""
        return _product(g, self.weights[0])


def forward(mlp: MLP, x: Batch, *, half: bool) -> tuple[Tensor, Trace]:
    """The network's output, in the type of x, and the trace of the way through.

    Args:
        mlp: The network.
        x: Its input (n, first width).
        half: Whether to compute in bfloat16.
    """
    layers, function = mlp.linear_layers, mlp.activation.function
    trace, last = Trace([], [], []), layers[-1]
    given: Batch = x.bfloat16() if half and isinstance(x, Tensor) else x
    for layer in layers:
        # a product with few non-zeros costs less than the conversion of its weights
        weight, bias = _parameters(layer, half and isinstance(given, Tensor))
        trace.inputs.append(given)
        trace.weights.append(weight)
        out = linear(given, weight, bias)
        if half:
            out = out.bfloat16()
        given = out
        if layer is not last:
            trace.sums.append(out)
            given = function(out)
    return out.to(x.dtype), trace


def backward(mlp: MLP, trace: Trace, gradient: Tensor, *, add: bool = False) -> Tensor:
    """Put the gradients of all weights and biases in their ``grad``.

    Args:
        mlp: The network.
        trace: From `forward` of the same weights.
        gradient: Of a number, with respect to the output (n, last width).
        add: To what is there, in place of writing over it.

    Returns:
        The gradient with respect to the first layer's sums, G_1; see `Trace.to_input`.
    """
    layers, chain = mlp.linear_layers, mlp.activation.chain
    g = gradient.to(trace.weights[-1].dtype)
    for i in range(len(layers) - 1, -1, -1):
        layer, given = layers[i], trace.inputs[i]
        if isinstance(given, SparseBatch):
            put(layer.weight, weight_gradient(given, g.to(layer.weight.dtype)), add=add)
        else:
            _put_product(layer.weight, g.T, given, add=add)
        # at the output before its rounding: a sum in another type would make a copy of all first
        _put_sum(layer.bias, gradient if i == len(layers) - 1 else g, add=add)
        if i:
            assert isinstance(given, Tensor)
            g = chain(_product(g, trace.weights[i]), trace.sums[i - 1], given)
    return g


def put(parameter: Tensor, gradient: Tensor, *, add: bool = False) -> None:
    """Make this the parameter's ``grad``, or add it to that."""
    held = parameter.grad
    if held is None:
        parameter.grad = gradient.to(parameter.dtype)
    elif add:
        held += gradient
    else:
        held.copy_(gradient)


def _put_product(parameter: Tensor, left: Tensor, right: Tensor, *, add: bool) -> None:
    held = parameter.grad
    if held is None or add or held.dtype != left.dtype or _is_narrow(right):
        put(parameter, _product(left, right), add=add)
    else:
        torch.mm(left, right, out=held)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Left times right, (n, m) times (m, k)."""
    return (right.T @ left.T).T if _is_narrow(right) else left @ right


def _is_narrow(right: Tensor) -> bool:
    """Whether a product by a few columns is faster turned on its side: up to eight times."""
    few = 1 < right.shape[1] <= NARROW
    return few and right.dtype == torch.float32 and right.device.type == "cpu"


def _put_sum(parameter: Tensor, rows: Tensor, *, add: bool) -> None:
    held = parameter.grad
    if held is None or add:
        put(parameter, rows.sum(0, dtype=parameter.dtype), add=add)
    else:
        torch.sum(rows, 0, dtype=parameter.dtype, out=held)


def _parameters(layer: nn.Linear, half: bool) -> tuple[Tensor, Tensor]:
    if half:
        return layer.weight.bfloat16(), layer.bias.bfloat16()
    return layer.weight, layer.bias
