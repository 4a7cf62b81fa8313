"""The gradients of a step, as one piece of memory where they keep their places."""

import math
from collections.abc import Sequence
from operator import is_

import torch
from torch import Tensor, nn


def laid_out_as(parameter: Tensor, values: Tensor) -> Tensor:
    """The values in the order in memory of the parameter's, by which fused kernels go."""
    if values.shape != parameter.shape or values.stride() == parameter.stride():
        return values
    return torch.empty_like(parameter).copy_(values)


class Gradients:
    """What lies in the ``grad`` of some parameters, from step to step.

    Gradients that were written over in place since the last step, as `backpropagation` does, are
    moved into one tensor of which each is a part from then on. Their length is then one product,
    where tens of small tensors take longer to collect than to add up. Gradients that are new
    tensors in each step, as automatic differentiation makes them, stay as they are.

    Args:
        parameters: Whose.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = parameters
        self._all: list[Tensor] = []
        self._joined: Tensor | None = None

    def read(self) -> list[Tensor]:
        """All that there are, each laid out in memory as its parameter."""
        found = [p.grad for p in self._parameters if p.grad is not None]
        if len(found) == len(self._all) and all(map(is_, found, self._all)):
            if self._joined is None:
                self._join()
        else:
            self._joined, self._all = None, self._in_order()
        return self._all

    def length(self) -> float:
        """The Euclidean length of all that were read, together; waits for the device."""
        if self._joined is not None:
            return math.sqrt(float(torch.dot(self._joined, self._joined)))
        return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(self._all))))

    def multiply(self, factor: float) -> None:
        """Make all that were read longer or shorter."""
        torch._foreach_mul_(self._all if self._joined is None else [self._joined], factor)

    def release(self) -> None:
        """Let go of them."""
        for parameter in self._parameters:
            parameter.grad = None
        self._joined, self._all = None, []

    def _in_order(self) -> list[Tensor]:
        for parameter in self._parameters:
            if parameter.grad is not None and parameter.grad.stride() != parameter.stride():
                parameter.grad = laid_out_as(parameter, parameter.grad)
        return [p.grad for p in self._parameters if p.grad is not None]

    def _join(self) -> None:
        """Into one tensor, if they are of one kind and each fills its place without gaps."""
        moving = [p for p in self._parameters if p.grad is not None]
        kinds = {(p.dtype, p.device) for p in moving}
        if len(kinds) != 1 or not all(_fills(gradient) for gradient in self._all):
            return
        joined = torch.empty(sum(map(len, map(torch.flatten, self._all)))).to(self._all[0])
        first = 0
        for parameter, gradient in zip(moving, self._all, strict=True):
            place = joined.as_strided(gradient.shape, gradient.stride(), first)
            parameter.grad = place.copy_(gradient)
            first += gradient.numel()
        self._joined, self._all = joined, [p.grad for p in moving if p.grad is not None]


def _fills(values: Tensor) -> bool:
    """Whether the values lie in one piece of memory, in whatever order."""
    room = 1
    for stride, size in sorted(zip(values.stride(), values.shape, strict=True)):
        if size > 1 and stride != room:
            return False
        room *= size
    return values.layout == torch.strided
