"""From a recipe and data to a model that has not been trained."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._random import make_generator
from isthmus.data import Data, Matrix, Quantiles, Summary, fit_quantiles, pixel_divisor, survey
from isthmus.data.infer import holds_pixels
from isthmus.data.quantiles import LARGEST
from isthmus.entry import entry_weights, entry_width
from isthmus.estimators.resolve import Given, Recipe, read_likelihood, require_one_per_column
from isthmus.likelihoods import Eta, Likelihood
from isthmus.likelihoods._likelihood import REAL
from isthmus.model import Model, Shape, ranked_columns
from isthmus.networks import (
    MLP,
    ConvDecoder,
    ConvEncoder,
    Decoder,
    Shifted,
    Shortcut,
    TiedMLP,
    image_shape,
    quartered,
)
from isthmus.training import on_one_thread

START_CELLS = 1 << 20
LEAST_START_ROWS = 64


@dataclass(frozen=True)
class Units:
    """How the data are scaled: z = (x − center) / scale.

    Attributes:
        center: (d,) in float64.
        scale: (d,) in float64, all alike for isotropic families, ones for discrete ones.
        common: The number that lengths in x are divided by where there is a common one, else 1.
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    common: float


def units_for(likelihood: Likelihood, summary: Summary) -> Units:
    """The scaling that this likelihood asks for.

    A constant column is centred but not blown up: its scale is its own size (1 if that is 0).
    """
    traits = likelihood.traits
    kind = traits.scaling
    ones = np.ones_like(summary.mean)
    if kind in ("none", "rank"):
        return Units(np.zeros_like(ones), ones, 1.0)
    if kind == "common":
        common = summary.common_std if summary.common_std > 0 else 1.0
        return Units(summary.mean, common * ones, common)
    size = np.where(summary.mean == 0, 1.0, np.abs(summary.mean))
    scale = np.where(summary.constant, size, summary.std)
    # in a table, the columns that are to be scaled
    chosen = np.array([column.scaling == "feature" for column in traits.columns or (traits,)])
    return Units(np.where(chosen, summary.mean, 0.0), np.where(chosen, scale, 1.0), 1.0)


def fit_maps(
    likelihood: Likelihood, matrix: Data, summary: Summary, rows: NDArray[np.float64]
) -> dict[int, Quantiles]:
    """For each column that is to be mapped by its ranks, its map.

    Args:
        likelihood: Says which columns these are.
        matrix: For the columns' names.
        summary: Of all rows: their number, and the ends of the columns.
        rows: A sample of them, in the user's units.

    Raises:
        InvalidDataError: A value beyond ±1e307, by its column.
    """
    maps = {}
    for j in ranked_columns(likelihood, len(summary.mean)):
        seen = rows[~np.isnan(rows[:, j]), j]
        low, high = float(summary.minimum[j]), float(summary.maximum[j])
        if max(-low, high) > LARGEST:
            raise InvalidDataError(
                f"Column {matrix.name(j)} goes from {low:.4g} to {high:.4g}, and ranks are made "
                "of numbers up to 1e307. Divide the column by a constant, or drop it."
            )
        # of a column without a cell in the sample the ends are known, or nothing
        some = seen if len(seen) else np.array([low, high])
        maps[j] = fit_quantiles(some).reaching(low, high, int(summary.n_observed[j]))
    return maps


def _scaled(
    x: NDArray[np.float64], units: Units, maps: dict[int, Quantiles]
) -> NDArray[np.float64]:
    """z of rows in the user's units; x is overwritten."""
    for j, each in maps.items():
        x[:, j] = each.forward(x[:, j])
    x -= units.center
    x /= units.scale
    return x


@dataclass(frozen=True)
class Beginning:
    """What stands before the first step.

    Attributes:
        data: The data, divided as pixels are.
        model: Random hidden layers, the best constant at the output.
        divisor: What uint8 rows are divided by from now on.
        sample: z of a uniform sample of rows, float64 (m, d), in the order of the data.
    """

    data: Data
    model: Model
    divisor: float
    sample: NDArray[np.float64]

    @property
    def matrix(self) -> Matrix:
        """The data, which are in memory."""
        assert isinstance(self.data, Matrix)
        return self.data


@on_one_thread(wanted=True)  # a sample is soon read, sooner than a second thread wakes
def begin(
    recipe: Recipe, given: Given, matrix: Data, seed: int, device: torch.device
) -> Beginning:
    """Look at the data, choose what depends on them, and make a model at step 0.

    Args:
        recipe: Sizes and parts.
        given: The likelihood: an object, a name, or ``"auto"``; or a list of one for each column.
        matrix: The data as given.
        seed: Of the initial weights, and of the sample of rows that sets the best constant.
        device: Where the model will live.

    Raises:
        InvalidDataError: Infinite or far too large values, or missing ones where the likelihood
            has no place for them.
        SupportError: A value that the likelihood can't have.
        InvalidParameterError: Networks that don't fit the data.
    """
    n_sample = max(LEAST_START_ROWS, START_CELLS // matrix.n_features)
    summary, rows = survey(matrix, n_sample, seed)
    if summary.unseen.all():
        raise InvalidDataError(
            "Input X contains NaN only: there is no value to learn from. Look at how it was read."
        )
    likelihood = read_likelihood(given, matrix, summary)
    counts = likelihood.traits.entry != "identity"
    divisor = pixel_divisor(matrix, summary, counts=counts)
    if divisor != 1:
        matrix = replace(matrix, divisor=divisor)
        summary, rows = survey(matrix, n_sample, seed)
    if likelihood.traits.support is not REAL:  # that all are finite, the summary has seen
        check_support(likelihood, matrix)
    units = units_for(likelihood, summary)
    maps = fit_maps(likelihood, matrix, summary, rows)
    with np.errstate(over="ignore"):  # what overflows is refused below, by name
        rows, ends = (
            _scaled(x, units, maps) for x in (rows, np.stack([summary.minimum, summary.maximum]))
        )
    by_column = likelihood.traits.columns is not None
    unit = torch.from_numpy(units.scale) if by_column else units.common
    start = likelihood.start(torch.from_numpy(rows), unit)
    _require_finite(likelihood, start, ends, matrix, summary)
    generator = make_generator(seed)
    model = assemble(recipe, likelihood, matrix.row_shape, start, units, generator)
    if model.table is not None:
        model.table.begin(torch.from_numpy(summary.unseen), generator)
    if model.ranks is not None:
        model.ranks.learn(list(maps.values()))
    model.to(device)
    # uint8 rows to come are pixels as well, even if these rows were not given as bytes
    known = holds_pixels(matrix) or counts
    return Beginning(matrix, model, divisor if known else 255.0, rows)


def check_support(likelihood: Likelihood, matrix: Data) -> None:
    """Refuse a value that the likelihood can't have, by row and column."""
    for first_row, block in matrix.blocks(np.float64):
        likelihood.check(block, names=matrix.names, first_row=first_row)


def _require_finite(
    likelihood: Likelihood,
    start: Eta,
    ends: NDArray[np.float64],
    matrix: Data,
    summary: Summary,
) -> None:
    """Refuse values so large, or a fixed scale so small, that no step could be computed."""
    with np.errstate(over="ignore"):
        narrow = torch.from_numpy(ends.astype(np.float32))
    log_prob = likelihood.log_prob(narrow, tuple(eta.float() for eta in start))
    lost = ~torch.isfinite(log_prob).all(0)
    if lost.any():
        column = int(lost.int().argmax())
        own = likelihood.traits.scaling in ("feature", "rank")
        advice = "" if own else ", or use likelihood='gaussian', which finds its own scale"
        raise InvalidDataError(
            f"The values of column {matrix.name(column)}, from {summary.minimum[column]:.4g} to "
            f"{summary.maximum[column]:.4g}, have no log-probability in float32 under "
            f"{likelihood!r}. Divide the column by a constant{advice}."
        )


def assemble(
    recipe: Recipe,
    likelihood: Likelihood,
    row_shape: tuple[int, ...],
    start: Eta,
    units: Units,
    generator: torch.Generator,
) -> Model:
    """Networks and distributions put together, without looking at data."""
    n_features = len(units.center)
    traits = likelihood.traits
    if traits.entry in ("one_hot", "table") and recipe.network == "conv":
        raise InvalidParameterError(
            "network='conv' is for pixels, not for the levels or the missing cells of "
            f"{likelihood!r}; use network='mlp'."
        )
    networks = _networks(
        recipe,
        row_shape,
        entry_width(traits, n_features),
        traits.width(n_features),
        generator,
    )
    model = Model(
        likelihood,
        recipe.encoder,
        networks,
        Shape(n_features, recipe.n_components),
        start,
        torch.from_numpy(units.center),
        torch.from_numpy(units.scale),
    )
    decoder = networks[1]
    if isinstance(decoder, Shifted):
        _require_fit(model, decoder.module)
    return model.eval()


def empty_start(likelihood: Likelihood, n_features: int) -> Eta:
    """A start of the right shapes, to be overwritten by weights from a file."""
    shapes = [parameter.shape(n_features) for parameter in likelihood.traits.parameters]
    return tuple(torch.zeros(shape, dtype=torch.float64) for shape in shapes)


def least_size(recipe: Recipe, likelihood: Likelihood, row_shape: Sequence[int]) -> int:
    """How many numbers a model of this recipe has at least, without making it.

    Biases and learned scales are not counted; nor are the weights of a user's modules.
    """
    d, traits = prod(row_shape), likelihood.traits
    if traits.columns is not None:
        require_one_per_column(len(traits.columns), d)
    first, last = entry_width(traits, d), traits.width(d)
    if not isinstance(recipe.network, str):
        return last
    if recipe.network == "conv":
        height, width, _ = image_shape(tuple(row_shape))
        first = ConvEncoder.channels[-1] * quartered(height) * quartered(width)
    down = [first, *recipe.hidden, recipe.n_components * recipe.encoder.outputs]
    up = [recipe.n_components, *recipe.up, first if recipe.network == "conv" else last]
    layers = [*pairwise(down), *([] if recipe.tied else pairwise(up))]
    return max(last, entry_weights(traits) + sum(a * b for a, b in layers))


def _networks(
    recipe: Recipe,
    row_shape: tuple[int, ...],
    n_inputs: int,
    n_outputs: int,
    generator: torch.Generator,
) -> tuple[nn.Module, Decoder]:
    n_code = recipe.n_components
    n_encoded = n_code * recipe.encoder.outputs
    name, down, up = recipe.activation, recipe.hidden, recipe.up
    if not isinstance(recipe.network, str):
        encoder, decoder = copy.deepcopy(recipe.network)
        return encoder, Shifted(decoder, n_outputs)
    if recipe.network == "conv":
        outputs = n_outputs // n_inputs
        return (
            ConvEncoder(row_shape, [*down, n_encoded], name, generator),
            ConvDecoder(row_shape, [n_code, *up], outputs, name, generator),
        )
    if recipe.network == "shortcut":
        signs = recipe.encoder.mean_activation == "sigmoid"
        return (
            Shortcut([n_inputs, *down, n_encoded], name, generator, unit=recipe.encoder.unit),
            Shortcut([n_code, *up, n_outputs], name, generator, signs=signs),
        )
    mlp = MLP([n_inputs, *down, n_encoded], name, generator)
    if not recipe.tied:
        return mlp, MLP([n_code, *up, n_outputs], name, generator)
    if n_outputs != n_inputs:
        raise InvalidParameterError(
            f"tied=True gives the decoder {n_inputs} outputs, but this likelihood needs "
            f"{n_outputs}: use tied=False, or a likelihood with one output per feature."
        )
    return mlp, TiedMLP(mlp, n_code)


def _require_fit(model: Model, decoder: nn.Module) -> None:
    """Refuse user modules of the wrong shape with the shapes that are wanted."""
    shape, encoder = model.shape, model.encoder
    n_in = model.n_entered
    wanted = (2, shape.n_components * encoder.outputs)
    _require_shape("encoder", model.encoder_network, (2, n_in), wanted)
    wanted = (2, model.likelihood.traits.width(shape.n_features))
    _require_shape("decoder", decoder, (2, shape.n_components), wanted)


@torch.no_grad()
def _require_shape(
    name: str, module: nn.Module, given: tuple[int, int], wanted: tuple[int, int]
) -> None:
    try:
        shape = tuple(module.eval()(torch.zeros(given)).shape)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise InvalidParameterError(
            f"The {name} module of network must take rows of shape (n, {given[1]}) to "
            f"(n, {wanted[1]}), but it failed: {error}"
        ) from error
    if shape != wanted:
        raise InvalidParameterError(
            f"The {name} module of network must take rows of shape (n, {given[1]}) to "
            f"(n, {wanted[1]}); it gave {('n', *shape[1:])} instead."
        )
