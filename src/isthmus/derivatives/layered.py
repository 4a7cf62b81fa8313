"""Jacobians of the maps that a model learns, and their norms.

For a network a₁ = W₁x + b₁, a_{l+1} = W_{l+1} φ(a_l) + b_{l+1}, code h = s(a_L), the chain rule is

    ∂h/∂x = S′ W_L D_{L−1} W_{L−1} ⋯ D₁ W₁ ,      D_l = diag φ′(a_l),  S′ = diag s′(a_L)

so its squared Frobenius norm needs no automatic differentiation. The product is taken from the
code's side, which is the narrow one; and where the input is wider than the first layer, the last
factor W₁ enters through its Gram matrix W₁W₁ᵀ, so that no array with d columns per row is made:
‖M W₁‖² = tr(M W₁W₁ᵀ Mᵀ). For one layer this is the closed form of Rifai et al. (2011),
Σ_i s′(a_i)² ‖W_i‖².

Other modules go through `torch.func`, exactly as well, at k backward passes.
"""

from torch import Tensor
from torch.nn import functional as F

from isthmus.activations import activation
from isthmus.networks import MLP


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
    slopes, last_input = _slopes(network, x)
    last = network.linear_layers[-1]
    weight = last.weight[:n_outputs]
    outer = activation(output_activation).derivative(
        F.linear(last_input, weight, last.bias[:n_outputs])
    )
    if not slopes:
        return outer.square() @ weight.square().sum(1)
    product = weight * slopes[-1].unsqueeze(1)
    inner = network.linear_layers[:-1]
    for layer, slope in zip(reversed(inner[1:]), reversed(slopes[:-1]), strict=True):
        product = (product @ layer.weight) * slope.unsqueeze(1)
    return (outer.square() * _row_norms(product, inner[0].weight)).sum(1)


def _slopes(network: MLP, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """φ′ at each hidden layer, and the input of the last layer."""
    phi = activation(network.activation_name)
    slopes = []
    for layer in network.linear_layers[:-1]:
        a = layer(x)
        slopes.append(phi.derivative(a))
        x = phi.function(a)
    return slopes, x


def _row_norms(product: Tensor, weight: Tensor) -> Tensor:
    """‖row of M W‖² for each row of M (n, k, m): (n, k)."""
    n_out, n_in = weight.shape
    if n_in > n_out:
        gram = weight @ weight.T
        return ((product @ gram) * product).sum(2)
    return (product @ weight).square().sum(2)
