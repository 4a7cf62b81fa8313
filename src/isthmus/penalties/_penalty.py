"""What every penalty has: its weight, and the maps that it may look into."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real
from isthmus.derivatives import (
    Choice,
    Composed,
    Differential,
    Featurewise,
    OfFunction,
    OfLayers,
    layers_of,
)


@dataclass(frozen=True)
class Maps:
    """The functions of a model that a penalty may look into.

    Attributes:
        encoder: The encoder network, (n, d) to (n, k·q).
        decoder: The decoder network, (n, k) to (n, d·q).
        n_components: k.
        mean_activation: The name of s in f(x) = s(first k outputs).
        code: f itself, (n, d) to (n, k).
        decode: g, (n, k) to (n, d), so that r = g∘f = E[x | f(x)] in what the encoder sees.
        mean: From the decoder's output to E[x | h] in what the encoder sees.
        mean_is_featurewise: Whether each column of it depends on its own feature's numbers alone.
        generator: The training's source of randomness.
        half: Whether the networks compute in bfloat16.
    """

    encoder: nn.Module
    decoder: nn.Module
    n_components: int
    mean_activation: str
    code: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]
    mean: Callable[[Tensor], Tensor]
    mean_is_featurewise: bool
    generator: torch.Generator
    half: bool = False

    def differential(self, x: Tensor, of: str) -> Differential:
        """∂f/∂x or ∂r/∂x at the rows of a batch, through the layers where there are any.

        Args:
            x: What the encoder sees, (n, d).
            of: ``"encoder"`` or ``"reconstruction"``.

        Raises:
            InvalidParameterError: A module of the user's that has no derivative.
        """
        layers = layers_of(self.encoder, self.n_components, self.mean_activation)
        first: Differential
        if layers is None:
            first = OfFunction(self.code, x, type(self.encoder).__name__)
        else:
            first = OfLayers(layers, x, half=self.half)
        return first if of == "encoder" else Composed(first, self._of_decoder(first.out))

    def _of_decoder(self, h: Tensor) -> Differential:
        layers = layers_of(self.decoder)
        if layers is None:
            # the user's own class, which the model wraps
            module = getattr(self.decoder, "module", self.decoder)
            return OfFunction(self.decode, h, type(module).__name__)
        inner = OfLayers(layers, h, half=self.half)
        if self.mean(inner.out) is inner.out:  # the decoder's output is the mean itself
            return inner
        if self.mean_is_featurewise:
            return Composed(inner, Featurewise(self.mean, inner.out))
        return Composed(inner, OfFunction(self.mean, inner.out, "The likelihood's mean"))


class Penalty(ABC):
    """Ω(h, x), a frozen object with its weight λ."""

    @abstractmethod
    def __call__(self, x: Tensor, h: Tensor, maps: Maps) -> Tensor:
        """Ω for each row, (n,), with the weight in it.

        Args:
            x: The batch as the encoder sees it, uncorrupted, (n, d).
            h: Its code, (n, k).
            maps: The functions that may be differentiated.
        """

    @abstractmethod
    def in_units(self, unit: float) -> "Penalty":
        """The same penalty for data that are divided by ``unit``."""

    @property
    def needs_full_precision(self) -> bool:
        """Whether it compares numbers so close that bfloat16 would not tell them apart."""
        return False

    def choice(self, x: Tensor, maps: Maps) -> Choice | None:
        """How Ω is computed, and why; None where there is one way only."""
        return None

    def n_near(self) -> int:
        """How many nearest rows half of a batch is drawn from; 0 where any batch will do."""
        return 0


def require_weight(name: str, weight: float) -> None:
    """Refuse a weight that is no finite number, 0 or more."""
    if not (is_real(weight) and 0 <= weight < math.inf):
        raise InvalidParameterError(
            f"{name}'s weight must be a finite number, 0 or more; got {weight!r}."
        )


def require_count(name: str, what: str, count: float) -> None:
    """Refuse what is no whole number, 1 or more."""
    if not (is_real(count) and count >= 1 and float(count).is_integer()):
        raise InvalidParameterError(
            f"{name}'s {what} must be a whole number, 1 or more; got {count!r}."
        )


def require_positive(name: str, what: str, value: float) -> None:
    """Refuse what is no finite number above 0."""
    if not (is_real(value) and 0 < value < math.inf):
        raise InvalidParameterError(
            f"{name}'s {what} must be a finite number above 0; got {value!r}."
        )
