"""What the loop asks of a model, and of what it minimises: for any kind of batch.

An autoencoder's batch is scaled rows and its objective J(x); a classifier's is rows with labels
and its objective −log p(y | h). Both go through the same loop.
"""

from collections.abc import Iterator, Sized
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from isthmus.entry import TableEntry
from isthmus.likelihoods import Eta
from isthmus.model import Shape
from isthmus.objective import Terms
from isthmus.sparse import Batch


class Learner(Protocol):
    """A module with an encoder: `isthmus.model.Model`, or one that predicts from its code."""

    @property
    def shape(self) -> Shape:
        """d and k."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""

    @property
    def parameters_of_all_rows(self) -> nn.ParameterDict:
        """What is learned for all rows alike, such as a Gaussian's scale."""

    @property
    def table(self) -> TableEntry | None:
        """Of a table, what the encoder sees."""

    def code(self, z: Batch, /) -> Tensor:
        """E[h | x], (n, k)."""

    def decode(self, h: Tensor, /) -> Eta:
        """The η of what is predicted from codes (n, k)."""

    def computing_in_half_precision(self, half: bool, /) -> AbstractContextManager[None]:
        """Networks in bfloat16 inside the block."""

    # ---- of every torch module --------------------------------------------------------------

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All parameters by name."""

    def modules(self) -> Iterator[nn.Module]:
        """The module and all inside."""

    def state_dict(self) -> dict[str, Any]:
        """Parameters and buffers by name."""

    def train(self) -> Any:
        """Into training mode."""

    def eval(self) -> Any:
        """Out of training mode."""

    def zero_grad(self) -> None:
        """Forget the gradients."""


M = TypeVar("M", bound=Learner)
B = TypeVar("B", bound=Sized)
M_contra = TypeVar("M_contra", bound=Learner, contravariant=True)
B_contra = TypeVar("B_contra", bound=Sized, contravariant=True)


class Goal(Protocol[M_contra, B_contra]):
    """What is minimised: `isthmus.objective.Objective`, or one like it."""

    def descend(
        self,
        model: M_contra,
        z: B_contra,
        generator: torch.Generator,
        progress: float,
        weight: float,
    ) -> Terms:
        """The terms for a batch, and the gradient of their sum in the parameters' ``grad``.

        Args:
            model: The model.
            z: A batch.
            generator: Source of all randomness.
            progress: The part of the training that is done, in [0, 1].
            weight: Of every row in the sum.
        """

    def cost(self, model: M_contra, z: B_contra, generator: torch.Generator) -> Tensor:
        """What early stopping watches, for each held-out row, (n,), in nats.

        Args:
            model: The model.
            z: Some held-out rows.
            generator: Of draws, the same at every call over all rows.
        """

    def suspect(self, model: M_contra, z: B_contra) -> str | None:
        """The first place on the way forward where a batch gives no finite number, if any."""
