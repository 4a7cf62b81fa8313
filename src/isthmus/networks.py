"""The maps between data and code: fully connected, convolutional, or the user's own.

A network is a plain `nn.Module` from a matrix to a matrix. An encoder takes rows (n, d) to
(n, k·q), a decoder takes codes (n, k) to (n, d·q), where q is what the encoder part or the
likelihood asks for per unit or feature; the q blocks lie one after the other.

**Initialisation keeps unit variance through depth.** If a layer's input is φ(z) with z ~ N(0, 1),
its pre-activation has variance 1 when the weights are N(0, g²/fan-in) with

    g² = 1 / E[φ(z)²]

computed here by quadrature for any φ (√2 for ReLU, which is He et al., 2015; 1 for the identity,
which is LeCun et al., 1998). Biases start at zero. A decoder's last layer starts at zero weights,
so that at step 0 every row is given the best constant of its likelihood (see `model`).
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus._errors import InvalidParameterError
from isthmus.activations import Activation, activation
from isthmus.sparse import Batch, linear


class Decoder(Protocol):
    """A network whose output can be set to a constant, as every decoder of a model can."""

    def __call__(self, h: Tensor) -> Tensor:
        """(n, k) to (n, d·q)."""

    def begin_at(self, constant: Tensor) -> None:
        """Make the network emit ``constant`` (d·q,) for every code."""


class _Linear(nn.Linear):
    """Without torch's own initialisation, which draws from the global state."""

    def reset_parameters(self) -> None:
        """Nothing: see `_initialise`."""


class _Conv2d(nn.Conv2d):
    """Without torch's own initialisation, which draws from the global state."""

    def reset_parameters(self) -> None:
        """Nothing: see `_initialise`."""


class _EnlargingConv2d(_Conv2d):
    """A 3×3 convolution of an image that is enlarged by the nearest neighbour.

    Of twice the size it is a transposed convolution, and 9/4 times fewer multiplications: what an
    output takes from one small pixel has one weight, the sum of those of its copies.
    """

    def forward(self, image: Tensor, size: tuple[int, int]) -> Tensor:  # type: ignore[override]  # nobody convolves with it without a size
        r"""(n, channels, height, width) to (n, channels out, \*size)."""
        if size != (2 * image.shape[2], 2 * image.shape[3]):
            return super().forward(F.interpolate(image, size=size))
        mirrored = self.weight.flip(2, 3).transpose(0, 1)
        copies = [F.pad(mirrored, (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)]
        kernel = torch.stack(copies).sum(0)
        return F.conv_transpose2d(image, kernel, self.bias, stride=2, padding=1)


def _linear(n_in: int, n_out: int, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = _Linear(n_in, n_out)
    _initialise(layer, n_in, gain, generator)
    return layer


def _begun(layer: nn.Conv2d, gain: float, generator: torch.Generator) -> nn.Conv2d:
    _initialise(layer, layer.weight[0].numel(), gain, generator)
    return layer


@torch.no_grad()
def _initialise(
    layer: nn.Linear | nn.Conv2d, fan_in: int, gain: float, generator: torch.Generator
) -> None:
    layer.weight.normal_(0.0, gain / math.sqrt(fan_in), generator=generator)
    assert layer.bias is not None
    layer.bias.zero_()


class MLP(nn.Module):
    """Fully connected layers with one activation between them and none after the last.

    Args:
        widths: Sizes from input to output, at least two.
        activation_name: A name in `ACTIVATIONS`.
        generator: Source of the initial weights.
        first_gain: 1 where the input has unit variance itself, φ's gain where it went through φ.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation_name: str,
        generator: torch.Generator,
        first_gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.activation_name = activation_name
        self.activation = activation(activation_name)
        gains = [first_gain] + [self.activation.gain] * (len(widths) - 2)
        self.layers = nn.ModuleList(
            _linear(n_in, n_out, gain, generator)
            for n_in, n_out, gain in zip(widths[:-1], widths[1:], gains, strict=True)
        )

    @cached_property
    def linear_layers(self) -> list[nn.Linear]:
        """The layers in order, typed."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @property
    def first_layers(self) -> list[nn.Linear]:
        """The layers that see the input."""
        return self.linear_layers[:1]

    def forward(self, x: Batch) -> Tensor:
        """(n, first width) to (n, last width)."""
        first, *others = self.linear_layers
        out = first(x) if isinstance(x, Tensor) else linear(x, first.weight, first.bias)
        for layer in others:
            out = layer(self.activation.function(out))
        return out

    @torch.no_grad()
    def begin_at(self, constant: Tensor) -> None:
        """Zero weights and this bias in the last layer."""
        last = self.linear_layers[-1]
        last.weight.zero_()
        last.bias.copy_(constant)


class Shortcut(nn.Module):
    """A linear map and hidden layers side by side: W x + b + MLP(x).

    The linear part learns at once what a linear map can; the hidden layers add the rest, and
    what the linear part says of each input can be read off W.

    Args:
        widths: Sizes from input to output, at least two; with two there is the linear map alone.
        activation_name: A name in `ACTIVATIONS`.
        generator: Source of the initial weights.
        signs: Whether inputs h in [0, 1] are read as 2h − 1 in [−1, 1].
        unit: What the sum is multiplied by, so that an optimiser's steps, which are of one size
            whatever the weights are for, suit outputs of this size.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation_name: str,
        generator: torch.Generator,
        *,
        signs: bool = False,
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        self.signs = signs
        self.unit = unit
        self.straight = _linear(widths[0], widths[-1], 1.0, generator)
        self.bent = MLP(widths, activation_name, generator) if len(widths) > 2 else None
        if self.bent is not None:
            # at first the linear part is all there is
            self.bent.begin_at(torch.zeros(widths[-1]))

    def forward(self, x: Batch) -> Tensor:
        """(n, first width) to (n, last width)."""
        if self.signs:
            assert isinstance(x, Tensor)
            x = 2 * x - 1
        out = linear(x, self.straight.weight, self.straight.bias)
        if self.bent is not None:
            out = out + self.bent(x)
        return out if self.unit == 1 else self.unit * out

    @property
    def first_layers(self) -> list[nn.Linear]:
        """The layers that see the input."""
        return [self.straight, *([] if self.bent is None else self.bent.linear_layers[:1])]

    @torch.no_grad()
    def begin_at(self, constant: Tensor) -> None:
        """Zero weights at the output, and this bias."""
        self.straight.weight.zero_()
        self.straight.bias.copy_(constant / self.unit)
        if self.bent is not None:
            self.bent.begin_at(torch.zeros_like(constant))


class TiedMLP(nn.Module):
    """The decoder whose weights are the encoder's, transposed, layer for layer.

    Only the biases are its own. For a stochastic encoder the rows of the last layer that give
    the mean are the ones shared.

    Args:
        encoder: The network whose weights are used; it stays the owner of them.
        n_components: Width of the code.
    """

    def __init__(self, encoder: MLP, n_components: int) -> None:
        super().__init__()
        # in a tuple, so that torch doesn't list the encoder's weights as this module's as well
        self._encoder = (encoder,)
        self._n_components = n_components
        inputs = [layer.in_features for layer in reversed(encoder.linear_layers)]
        self.biases = nn.ParameterList(torch.zeros(n) for n in inputs)

    @property
    def activation(self) -> Activation:
        """Between the layers: the encoder's."""
        return self._encoder[0].activation

    @property
    def linear_layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each layer in order."""
        weights = [layer.weight for layer in reversed(self._encoder[0].linear_layers)]
        weights[0] = weights[0][: self._n_components]
        return [(weight.T, bias) for weight, bias in zip(weights, self.biases, strict=True)]

    def forward(self, h: Tensor) -> Tensor:
        """(n, k) to (n, d)."""
        *inner, last = self.linear_layers
        for weight, bias in inner:
            h = self.activation.function(F.linear(h, weight, bias))
        return F.linear(h, *last)

    @torch.no_grad()
    def begin_at(self, constant: Tensor) -> None:
        """This bias in the last layer; the shared weights stay as they are."""
        self.biases[-1].copy_(constant)


class ConvEncoder(nn.Module):
    """Two strided 3×3 convolutions (32 and 64 channels), then an `MLP`.

    Args:
        row_shape: Height, width and, if there are any, channels (last) of one image.
        widths: Hidden widths and output width of the `MLP`.
        activation_name: A name in `ACTIVATIONS`.
        generator: Source of the initial weights.
    """

    channels = (32, 64)

    def __init__(
        self,
        row_shape: tuple[int, ...],
        widths: Sequence[int],
        activation_name: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.height, self.width, self.depth = image_shape(row_shape)
        first, second = self.channels
        self._activation = activation(activation_name)
        gain = self._activation.gain
        self.convolutions = nn.ModuleList(
            [
                _begun(_Conv2d(self.depth, first, 3, 2, 1), 1.0, generator),
                _begun(_Conv2d(first, second, 3, 2, 1), gain, generator),
            ]
        )
        features = second * quartered(self.height) * quartered(self.width)
        self.top = MLP([features, *widths], activation_name, generator, gain)

    def forward(self, x: Tensor) -> Tensor:
        """(n, height·width·depth) to (n, last width)."""
        image = x.view(-1, self.height, self.width, self.depth).permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            image = self._activation.function(convolution(image))
        out: Tensor = self.top(image.flatten(1))
        return out


class ConvDecoder(nn.Module):
    """The mirror of `ConvEncoder`: an `MLP`, then twice "enlarge and convolve".

    Enlarging by the nearest neighbour before a convolution leaves no checkerboard
    (Odena et al., 2016). Where the size doubles, both are taken at once, without the large image.

    Args:
        row_shape: Height, width and, if there are any, channels (last) of one image.
        widths: Width of the code and hidden widths of the `MLP`.
        outputs: Numbers per pixel that the likelihood asks for.
        activation_name: A name in `ACTIVATIONS`.
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        row_shape: tuple[int, ...],
        widths: Sequence[int],
        outputs: int,
        activation_name: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.height, self.width, self.depth = image_shape(row_shape)
        self.outputs = outputs
        self._activation = activation(activation_name)
        gain = self._activation.gain
        first, second = ConvEncoder.channels
        n_last = self.depth * outputs
        self._small = (second, quartered(self.height), quartered(self.width))
        self.bottom = MLP([*widths, math.prod(self._small)], activation_name, generator)
        self.convolutions = nn.ModuleList(
            [
                _begun(_EnlargingConv2d(second, first, 3, padding=1), gain, generator),
                _begun(_EnlargingConv2d(first, n_last, 3, padding=1), gain, generator),
            ]
        )
        self.offset = nn.Parameter(torch.zeros(outputs * self.height * self.width * self.depth))

    def forward(self, h: Tensor) -> Tensor:
        """(n, k) to (n, outputs·height·width·depth)."""
        function = self._activation.function
        image = function(self.bottom(h)).view(-1, *self._small)
        inner, last = self.convolutions
        halves = (halved(self.height), halved(self.width))
        image = function(inner(image, halves))
        image = last(image, (self.height, self.width))
        image = image.view(-1, self.outputs, self.depth, self.height, self.width)
        out: Tensor = image.permute(0, 1, 3, 4, 2).flatten(1) + self.offset
        return out

    @torch.no_grad()
    def begin_at(self, constant: Tensor) -> None:
        """Zero weights in the last convolution and this offset for each pixel."""
        last = self.convolutions[-1]
        assert isinstance(last, nn.Conv2d)
        last.weight.zero_()
        self.offset.copy_(constant)


class Shifted(nn.Module):
    """A user's decoder plus a learned constant, so that it too starts near the best constant.

    Args:
        module: The user's network, from (n, k) to (n, n_outputs).
        n_outputs: Width of its output.
    """

    def __init__(self, module: nn.Module, n_outputs: int) -> None:
        super().__init__()
        self.module = module
        self.offset = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, h: Tensor) -> Tensor:
        """(n, k) to (n, n_outputs)."""
        out: Tensor = self.module(h) + self.offset
        return out

    @torch.no_grad()
    def begin_at(self, constant: Tensor) -> None:
        """Set the offset; the user's weights stay as they are."""
        self.offset.copy_(constant)


def image_shape(row_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels of one image of this shape.

    Raises:
        InvalidParameterError: The rows are not images.
    """
    if len(row_shape) not in (2, 3):
        raise InvalidParameterError(
            "network='conv' needs images (N, H, W) or (N, H, W, C), but each row here has shape "
            f"{row_shape}. Reshape the data, or use network='mlp'."
        )
    height, width, *channels = row_shape
    return height, width, channels[0] if channels else 1


def halved(size: int) -> int:
    """The size that is left of ``size`` after one convolution with stride 2."""
    return (size + 1) // 2


def quartered(size: int) -> int:
    """The size that is left of ``size`` after two convolutions with stride 2."""
    return halved(halved(size))
