"""Greedy layer-wise training: each layer is an autoencoder of what the layer below it gives.

    h⁰ = x ,    hˡ = s(Wˡ hˡ⁻¹ + bˡ) ,    layer l minimises J over rows hˡ⁻¹

Layer 1 reconstructs x under the likelihood of x. A hidden layer above reconstructs the clean code
of the layer below from a corrupted copy of it (Vincent et al., 2010; Rifai et al., 2011): where
that is a sigmoid, each unit is the probability of a bit, and −log p is the cross-entropy; else it
is a Gaussian about s(W′ hˡ + b′), for the decoder of the whole has s there as well.

Each layer's two matrices then become a layer of encoder and decoder of the whole. What a layer is
trained on is computed once and *overwritten* by what the next layer needs, in the same memory; if
that would be too much, it is computed anew for each batch.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.activations import activation
from isthmus.encoders import Deterministic, Encoder
from isthmus.likelihoods import Bernoulli, Gaussian, Likelihood
from isthmus.model import Model, Shape
from isthmus.networks import MLP
from isthmus.objective import Objective
from isthmus.sparse import Batch
from isthmus.training import Epoch, HeldOut, Plan, Rows, train

CACHE_BYTES = 1 << 30
BITS: dict[str, Likelihood] = {"sigmoid": Bernoulli(fractions=True)}  # by a unit's activation
LAYER_ROWS = 4096
SAMPLE_ROWS = 4096


@dataclass(frozen=True)
class Layer:
    """How one layer is trained.

    Attributes:
        objective: Corruption and penalties, for data in the units of the layer's input.
        plan: How.
    """

    objective: Objective
    plan: Plan


class Mirrored(nn.Module):
    """A linear decoder with the hidden layer's activation at its end: s(W′ h + b′).

    Args:
        linear: W′ and b′.
        activation_name: s, a name in `isthmus.activations.ACTIVATIONS`.
    """

    def __init__(self, linear: MLP, activation_name: str) -> None:
        super().__init__()
        self.linear = linear
        self._activation = activation(activation_name)

    def forward(self, h: Tensor) -> Tensor:
        """(n, width of the layer) to (n, width of its input)."""
        out: Tensor = self._activation.function(self.linear(h))
        return out

    @torch.no_grad()
    def begin_at(self, constant: Tensor) -> None:
        """Zero weights, and as bias the constant: s is close to the identity where it is large."""
        self.linear.begin_at(constant)


class Cache:
    """The codes of all rows by the layers so far, overwritten layer by layer.

    Args:
        n_rows: n.
        widest: The largest width of a layer.
        device: Where.
    """

    def __init__(self, n_rows: int, widest: int, device: torch.device) -> None:
        self._memory = torch.empty(n_rows * widest, device=device)
        self._n_rows, self._width = n_rows, 0

    @property
    def rows(self) -> Tensor:
        """The codes (n, width of the layer), a view."""
        return self._memory[: self._n_rows * self._width].view(self._n_rows, self._width)

    def fill(self, blocks: Iterator[Tensor], width: int) -> None:
        """Take the first layer's codes, block by block."""
        self._width, first = width, 0
        for block in blocks:
            self.rows[first : first + len(block)] = block
            first += len(block)

    @torch.no_grad()
    def advance(self, function: Callable[[Tensor], Tensor], width: int) -> None:
        """Put each row's next code in the place of its old one.

        Narrower rows are written from the first on and wider ones from the last on, so that no
        row is overwritten before it has been read.

        Args:
            function: From codes (m, width of the layer) to (m, ``width``).
            width: Of the next layer.
        """
        old, starts = self.rows, range(0, self._n_rows, LAYER_ROWS)
        new = self._memory[: self._n_rows * width].view(self._n_rows, width)
        for first in starts if width <= self._width else reversed(starts):
            new[first : first + LAYER_ROWS] = function(old[first : first + LAYER_ROWS].clone())
        self._width = width

    def __len__(self) -> int:
        return self._n_rows

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """See `isthmus.training.Rows`."""
        order = torch.randperm(len(self), generator=generator, device=generator.device)
        for index in order.split(batch_size):
            yield self.rows.index_select(0, index)


@dataclass(frozen=True)
class Above:
    """Rows seen through the layers so far, computed anew for each batch.

    Attributes:
        rows: Below, to train on or held out.
        function: From their batches to codes.
    """

    rows: "Rows[Batch] | HeldOut[Batch]"
    function: Callable[[Batch], Tensor]

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """See `isthmus.training.Rows`."""
        assert hasattr(self.rows, "batches")
        for batch in self.rows.batches(batch_size, generator):
            yield self._codes(batch)

    def blocks(self, size: int, device: torch.device) -> Iterator[Tensor]:
        """See `isthmus.training.HeldOut`."""
        assert hasattr(self.rows, "blocks")
        for block in self.rows.blocks(size, device):
            yield self._codes(block)

    @torch.no_grad()
    def _codes(self, batch: Batch) -> Tensor:
        return self.function(batch)


def train_layers(
    model: Model,
    layers: Sequence[Layer],
    rows: Rows[Batch],
    held_out: HeldOut[Batch] | None,
    generator: torch.Generator,
    tick: Callable[[int], None] = lambda n: None,
) -> Iterator[tuple[int, Epoch]]:
    """Train a model layer by layer, from the data up to the code.

    Args:
        model: Of two `MLP`s that mirror each other; gets the weights of each layer when that has
            been trained, or as far as it has been when the iterator is closed.
        layers: How each is trained, the code's last.
        rows: Training rows of the model.
        held_out: Rows for early stopping of each layer.
        generator: Source of all randomness.
        tick: Called after each step with the number of its rows.

    Yields:
        The number of the layer, from 0, and a record of each epoch.
    """
    stack = _Stack(model, rows, held_out, generator)
    for number, layer in enumerate(layers):
        shallow = stack.shallow(number)
        inputs, aside = stack.inputs()
        try:
            for epoch in train(
                shallow, layer.objective, inputs, layer.plan, generator, aside, tick
            ):
                yield number, epoch
        finally:
            stack.take(number, shallow)
        if number + 1 < len(layers):
            stack.climb(shallow)


class _Stack:
    """The layers so far, and the rows as the next one sees them."""

    def __init__(
        self,
        model: Model,
        rows: Rows[Batch],
        held_out: HeldOut[Batch] | None,
        generator: torch.Generator,
    ) -> None:
        assert model.layers is not None
        self._down, self._up = model.layers
        self._model, self._rows, self._held_out = model, rows, held_out
        self._generator = generator
        self._below: list[Model] = []
        widths = [layer.out_features for layer in self._down.linear_layers[:-1]]
        small = 4 * len(rows) * max(widths, default=0) <= CACHE_BYTES
        kept = small and hasattr(rows, "blocks") and bool(widths)
        self._cache = Cache(len(rows), max(widths), model.device) if kept else None

    def inputs(self) -> tuple[Rows[Batch], HeldOut[Batch] | None]:
        """What the next layer is trained on, and its held-out rows."""
        if not self._below:
            return self._rows, self._held_out
        aside = None if self._held_out is None else Above(self._held_out, self._codes)
        return self._cache or Above(self._rows, self._codes), aside

    def _codes(self, batch: Batch) -> Tensor:
        h = self._below[0].code(batch)
        for model in self._below[1:]:
            h = model.code(h)
        return h

    @torch.no_grad()
    def climb(self, shallow: Model) -> None:
        """Let the next layer see the rows through this one too."""
        self._below.append(shallow)
        if self._cache is None:
            return
        width = shallow.shape.n_components
        if len(self._below) == 1:
            assert hasattr(self._rows, "blocks")
            blocks = self._rows.blocks(LAYER_ROWS, self._model.device)
            self._cache.fill((shallow.code(block) for block in blocks), width)
        else:
            self._cache.advance(shallow.code, width)

    # ---- one layer by itself ----------------------------------------------------------------

    def shallow(self, number: int) -> Model:
        """An autoencoder of one hidden layer, which begins at the model's own weights."""
        down = self._down.linear_layers[number]
        is_code = number + 1 == len(self._down.linear_layers)
        name = self._down.activation_name
        encoder = self._model.encoder if is_code else Deterministic(name)
        encoding = MLP([down.in_features, down.out_features], name, self._generator)
        width = down.out_features // encoder.outputs
        up = self._up.linear_layers[-1 - number]
        decoding = MLP([width, up.out_features], name, self._generator)
        copy_linear(down, encoding.linear_layers[0])
        if number == 0:
            return self._of_rows(encoder, encoding, decoding, width)
        made = self._of_units(encoder, encoding, decoding, width)
        return made.to(self._model.device).eval()

    def _of_rows(self, encoder: Encoder, down: MLP, up: MLP, width: int) -> Model:
        """The first layer: the model itself with other networks."""
        made = copy.deepcopy(self._model)
        made.encoder_network, made.decoder_network = down, up
        made.encoder, made.shape = encoder, Shape(made.shape.n_features, width)
        up.begin_at(self._up.linear_layers[-1].bias)
        return made.to(self._model.device)

    def _of_units(self, encoder: Encoder, down: MLP, up: MLP, width: int) -> Model:
        """A layer above: of units, which are not scaled."""
        inputs, _ = self.inputs()
        sample = next(iter(inputs.batches(min(SAMPLE_ROWS, len(inputs)), self._generator)))
        assert isinstance(sample, Tensor)
        name, d = self._down.activation_name, down.linear_layers[0].in_features
        likelihood = BITS.get(name, Gaussian("shared"))
        start = likelihood.start(sample.double().cpu())
        units = torch.zeros(d, dtype=torch.float64), torch.ones(d, dtype=torch.float64)
        decoder = up if name in BITS else Mirrored(up, name)
        return Model(likelihood, encoder, (down, decoder), Shape(d, width), start, *units)

    @torch.no_grad()
    def take(self, number: int, shallow: Model) -> None:
        """Give the model this layer's weights."""
        down, up = shallow.encoder_network, shallow.decoder_network
        up = up.linear if isinstance(up, Mirrored) else up
        assert isinstance(down, MLP)
        assert isinstance(up, MLP)
        copy_linear(down.linear_layers[0], self._down.linear_layers[number])
        copy_linear(up.linear_layers[0], self._up.linear_layers[-1 - number])
        if number == 0:
            for name, value in shallow.parameters_of_all_rows.items():
                self._model.parameters_of_all_rows[name].copy_(value)
            if self._model.table is not None and shallow.table is not None:
                self._model.table.load_state_dict(shallow.table.state_dict())


@torch.no_grad()
def copy_linear(source: nn.Linear, target: nn.Linear) -> None:
    """Weight and bias of one layer to another."""
    target.weight.copy_(source.weight)
    assert source.bias is not None
    target.bias.copy_(source.bias)
