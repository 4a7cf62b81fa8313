"""The gradients of a step, as one piece of memory where they keep their places."""

import math
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def laid_out_as(parameter: Tensor, values: Tensor) -> Tensor:
    """The values in the order in memory of the parameter's, by which fused kernels go."""
    if values.shape != parameter.shape or values.stride() == parameter.stride():
        return values
    return torch.empty_like(parameter).copy_(values)


def length(gradients: Sequence[Tensor]) -> float:
    """The Euclidean length of all together; waits for the device."""
    if len(gradients) == 1:
        flat = gradients[0].flatten()
        return math.sqrt(float(torch.dot(flat, flat)))
    return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients)))))


class Gradients:
    """What lies in the ``grad`` of some parameters, from step to step.

    Gradients that were written over in place since the last step, as `backpropagation` does, are
    moved into one tensor of which each is a part from then on. Their length is then one product,
    where tens of small tensors take longer to collect than to add up. Gradients that are new
    tensors in each step, as automatic differentiation makes them, stay as they are, and are not
    kept from being freed.

    Args:
        parameters: Whose.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = parameters
        self._last: list[weakref.ref[Tensor]] = []
        self._joined: Tensor | None = None

    def read(self) -> list[Tensor]:
        """As few tensors as hold all that there are; each ``grad`` lies as its parameter does."""
        found = self._found()
        stayed = len(found) == len(self._last) and all(
            gradient is last() for gradient, last in zip(found, self._last, strict=True)
        )
        if not stayed:
            self._joined = None
            return self._in_order()
        if self._joined is None and _are_joinable(found):
            self._joined = self._join(found)
        return found if self._joined is None else [self._joined]

    def release(self) -> None:
        """Let go of them."""
        for parameter in self._parameters:
            parameter.grad = None
        self._joined, self._last = None, []

    def _found(self) -> list[Tensor]:
        return [p.grad for p in self._parameters if p.grad is not None]

    def _in_order(self) -> list[Tensor]:
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad = laid_out_as(parameter, parameter.grad)
        return self._remembered()

    def _join(self, gradients: list[Tensor]) -> Tensor:
        joined = gradients[0].new_empty(sum(gradient.numel() for gradient in gradients))
        first = 0
        for parameter in self._parameters:
            if (gradient := parameter.grad) is not None:
                place = joined.as_strided(gradient.shape, gradient.stride(), first)
                parameter.grad = place.copy_(gradient)
                first += gradient.numel()
        self._remembered()
        return joined

    def _remembered(self) -> list[Tensor]:
        found = self._found()
        self._last = [weakref.ref(gradient) for gradient in found]
        return found


def _are_joinable(gradients: Sequence[Tensor]) -> bool:
    """Whether they are of one kind, and each fills its place without gaps."""
    kinds = {(gradient.dtype, gradient.device) for gradient in gradients}
    return len(kinds) == 1 and all(map(_fills, gradients))


def _fills(values: Tensor) -> bool:
    """Whether the values lie in one piece of memory, in whatever order."""
    room = 1
    for stride, size in sorted(zip(values.stride(), values.shape, strict=True)):
        if size > 1 and stride != room:
            return False
        room *= size
    return values.layout == torch.strided
