"""The Jacobian of any function that treats rows independently, from its narrow side.

Reverse mode gives one row of J per pass and forward mode one column, so m outputs and d inputs
cost min(m, d) passes, which `torch.func` runs together. A pass is over the whole batch: because
row i of the output depends on row i of the input only, the gradient of Σ_i u·f(x_i) has uᵀJ(x_i)
in its row i.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """∂f/∂x at each row, (n, m, d), for any function that treats rows independently.

    Args:
        function: From (n, d) to (n, m), differentiable by torch.
        x: Points (n, d).

    Returns:
        Tensor (n, m, d), differentiable with respect to x and to the function's parameters.
    """
    out, pull = vjp(function, x)
    m, d = out.shape[1], x.shape[1]
    if m <= d:
        units = torch.eye(m, dtype=out.dtype, device=out.device)
        (rows,) = vmap(pull, out_dims=1)(units.unsqueeze(1).expand(-1, len(x), -1))
        assert isinstance(rows, Tensor)
        return rows
    units = torch.eye(d, dtype=x.dtype, device=x.device).unsqueeze(1).expand(-1, len(x), -1)
    columns: Tensor = vmap(lambda v: jvp(function, (x,), (v,))[1], out_dims=2)(units)
    return columns


def squared_norm(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """‖∂f/∂x‖²_F at each row, for any function that treats rows independently.

    Args:
        function: From (n, d) to (n, m), differentiable by torch.
        x: Points (n, d).

    Returns:
        Tensor (n,), differentiable with respect to x and to the function's parameters.
    """
    return jacobian(function, x).square().sum((1, 2))
