"""The Jacobian J (m × d) of a function at each row of a batch, as a linear map.

Two products with it cost about as much as the function itself:

    reverse mode   u ↦ uᵀJ   (*pull*)             forward mode   v ↦ Jv   (*push*)

and everything else is made of them, from the narrow side: all of J from min(m, d) products, its
norm through the narrowest place on the way. For r = g∘f that place is the code: with J = G F,

    ‖GF‖²_F = tr(GᵀG · FFᵀ)

needs two matrices of k × k for a row and none of d × d. A function must treat rows independently:
then one pass over the batch is one product for each of its rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor
from torch.func import vjp

from isthmus._errors import InvalidParameterError

Function = Callable[[Tensor], Tensor]


class Differential(ABC):
    """J at each row of a batch, (n, m, d), not necessarily made.

    All results are differentiable with respect to what the function is made of.

    Attributes:
        out: f(x), (n, m).
        n_inputs: d.
    """

    out: Tensor
    n_inputs: int

    @property
    def n_outputs(self) -> int:
        """m."""
        return self.out.shape[1]

    @abstractmethod
    def pull(self, u: Tensor) -> Tensor:
        """uᵀJ for q vectors per row: (n, q, m) to (n, q, d)."""

    @abstractmethod
    def push(self, v: Tensor) -> Tensor:
        """Jv for q vectors per row: (n, q, d) to (n, q, m)."""

    @abstractmethod
    def passes(self) -> float:
        """About how often `squared_norm` goes through the function."""

    def rows(self) -> Tensor:
        """J by its rows, (n, m, d), in reverse mode."""
        return self.pull(self._units(self.n_outputs))

    def columns(self) -> Tensor:
        """Jᵀ by the columns of J, (n, d, m), in forward mode."""
        return self.push(self._units(self.n_inputs))

    def matrix(self) -> Tensor:
        """J, (n, m, d), from its narrow side."""
        return self.rows() if self.n_outputs <= self.n_inputs else self.columns().mT

    def inner(self) -> Tensor:
        """J Jᵀ, (n, m, m)."""
        rows = self.rows()
        return rows @ rows.mT

    def outer(self) -> Tensor:
        """Jᵀ J, (n, d, d), or (d, d) where it is the same in every row."""
        columns = self.columns()
        return columns @ columns.mT

    def trace_with(self, gram: Tensor) -> Tensor:
        """tr(M J Jᵀ), (n,), for a symmetric M of m × m, of each row or of all."""
        return (self.inner() * gram).sum((1, 2))

    def squared_norm(self) -> Tensor:
        """‖J‖²_F, (n,)."""
        return self.matrix().square().sum((1, 2))

    def difference_norm(self, other: "Differential") -> Tensor:
        """‖J − J′‖²_F, (n,), to the Jacobian of the same function at other points."""
        return (self.matrix() - other.matrix()).square().sum((1, 2))

    def _units(self, size: int) -> Tensor:
        eye = torch.eye(size, dtype=self.out.dtype, device=self.out.device)
        return eye.expand(len(self.out), -1, -1)


class OfFunction(Differential):
    """Of any function of torch, by automatic differentiation.

    Args:
        function: From (n, d) to (n, m).
        x: Points (n, d).
        name: What the function is, for errors.

    Raises:
        InvalidParameterError: The function has no derivative that torch can take.
    """

    def __init__(self, function: Function, x: Tensor, name: str = "The function") -> None:
        self._function, self._name = function, name
        self._keep = torch.is_grad_enabled()
        with torch.enable_grad():
            self._x = x if x.requires_grad else x.detach().requires_grad_()
            self.out = function(self._x)
        self.n_inputs = x.shape[1]
        if not (self.out.is_floating_point() and self.out.requires_grad):
            _refuse(name, "its output doesn't depend on its input in a way that torch can follow")

    def pull(self, u: Tensor) -> Tensor:
        """uᵀJ, one backward pass for each of q."""
        return self._gradients(self.out, self._x, u, keep=self._keep)

    def push(self, v: Tensor) -> Tensor:
        """Jv = ∂/∂w ⟨wᵀJ, v⟩, whatever w is: backward through the backward pass.

        Every operation that has a second derivative has this, and many have no forward mode.
        """
        with torch.enable_grad():
            w = torch.zeros_like(self.out).requires_grad_()
            pulled = self._gradients(self.out, self._x, w.unsqueeze(1), keep=True).squeeze(1)
        return self._gradients(pulled, w, v, keep=self._keep)

    def _gradients(self, of: Tensor, by: Tensor, each: Tensor, *, keep: bool) -> Tensor:
        """The gradients of ⟨of, each⟩ for q vectors per row: (n, q, ·)."""
        try:
            (found,) = torch.autograd.grad(
                of,
                by,
                each.transpose(0, 1),
                is_grads_batched=True,
                create_graph=keep,
                retain_graph=True,
                allow_unused=True,
            )
        except (RuntimeError, NotImplementedError) as error:
            _explain(self._name, error)
        if found is None:
            _refuse(self._name, "no gradient reaches its input")
        return found.transpose(0, 1)

    def passes(self) -> float:
        """The narrow side."""
        return float(min(self.n_inputs, self.n_outputs))


class Featurewise(Differential):
    """Of r_j = r(η_j), each output from the numbers of its own feature: a diagonal per number.

    Args:
        function: From (n, q·d), q blocks of d columns, to (n, d).
        eta: Points (n, q·d).
    """

    def __init__(self, function: Function, eta: Tensor) -> None:
        self.out, pull = vjp(function, eta)[:2]
        self.n_inputs = eta.shape[1]
        # no other output depends on these numbers: the slope of the sum is the slope of each
        self._slopes: Tensor = pull(torch.ones_like(self.out))[0].view(
            len(eta), 1, -1, self.n_outputs
        )

    def pull(self, u: Tensor) -> Tensor:
        """u_j ∂r_j/∂η_j in every block."""
        return (u.unsqueeze(2) * self._slopes).flatten(2)

    def push(self, v: Tensor) -> Tensor:
        """Σ over blocks of ∂r_j/∂η_j v_j."""
        blocks = v.view(*v.shape[:2], -1, self.n_outputs)
        return (blocks * self._slopes).sum(2)

    def passes(self) -> float:
        """One, since a diagonal is its own norm."""
        return 1.0

    def squared_norm(self) -> Tensor:
        """The sum of squared slopes."""
        return self._slopes.square().sum((1, 2, 3))


class Composed(Differential):
    """Of g∘f: J = G F.

    Args:
        first: F, at the points.
        second: G, at f(points).
    """

    def __init__(self, first: Differential, second: Differential) -> None:
        self.first, self.second = first, second
        self.out, self.n_inputs = second.out, first.n_inputs

    def pull(self, u: Tensor) -> Tensor:
        """(uᵀG) F."""
        return self.first.pull(self.second.pull(u))

    def push(self, v: Tensor) -> Tensor:
        """G (F v)."""
        return self.second.push(self.first.push(v))

    def rows(self) -> Tensor:
        """G by its rows, through F."""
        return self.first.pull(self.second.rows())

    def columns(self) -> Tensor:
        """F by its columns, through G."""
        return self.second.push(self.first.columns())

    def matrix(self) -> Tensor:
        """G F, (n, m, d), as a product where the middle is the narrowest."""
        if self._at_the_waist:
            return self.second.columns().mT @ self.first.rows()
        return super().matrix()

    @property
    def _at_the_waist(self) -> bool:
        return self.first.n_outputs < min(self.n_inputs, self.n_outputs)

    def passes(self) -> float:
        """The narrowest of input, middle and output."""
        return float(min(self.n_inputs, self.first.n_outputs, self.n_outputs))

    def squared_norm(self) -> Tensor:
        """tr(GᵀG · FFᵀ), or from an end that is narrower than the middle."""
        if self._at_the_waist:
            return self.first.trace_with(self.second.outer())
        return super().squared_norm()

    def difference_norm(self, other: Differential) -> Tensor:
        """G F − G′F′ = [G, −G′] [F; F′], of which the middle is twice as wide."""
        if not (isinstance(other, Composed) and self._at_the_waist):
            return super().difference_norm(other)
        rows = torch.cat([self.first.rows(), other.first.rows()], 1)
        columns = torch.cat([self.second.columns(), -other.second.columns()], 1)
        return ((rows @ rows.mT) * (columns @ columns.mT)).sum((1, 2))


def jacobian(function: Function, x: Tensor, name: str = "The function") -> Tensor:
    """∂f/∂x at each row, (n, m, d), for any function that treats rows independently.

    Args:
        function: From (n, d) to (n, m), differentiable by torch.
        x: Points (n, d).
        name: What the function is, for errors.

    Returns:
        Tensor (n, m, d), differentiable with respect to x and to the function's parameters.

    Raises:
        InvalidParameterError: The function has no derivative that torch can take.
    """
    return OfFunction(function, x, name).matrix()


def squared_norm(function: Function, x: Tensor) -> Tensor:
    """‖∂f/∂x‖²_F at each row, (n,); arguments and errors as in `jacobian`."""
    return OfFunction(function, x).squared_norm()


def _refuse(name: str, why: str) -> NoReturn:
    raise InvalidParameterError(
        f"{name} can't be differentiated: {why}. A derivative needs operations of torch on "
        "floating-point numbers all the way, without detach(), item(), numpy or rounding to "
        "integers; change the module, or leave the penalty or the analysis out."
    )


def _explain(name: str, error: Exception) -> NoReturn:
    """Torch's own words, unless the reason is the machine."""
    if isinstance(error, torch.OutOfMemoryError):
        raise error
    first_line = str(error).strip().split("\n")[0]
    raise InvalidParameterError(
        f"{name} can't be differentiated by torch: {first_line} Change the module, use "
        "method='exact' or 'estimate' if the other one works, or leave the penalty out."
    ) from error
