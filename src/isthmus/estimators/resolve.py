"""The border: names become objects here, once, and nowhere else is a name compared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from torch import nn

from isthmus._errors import InvalidDataError, InvalidParameterError, UnsupportedTypeError
from isthmus._registry import Registry
from isthmus.activations import activation
from isthmus.corruptions import CORRUPTIONS
from isthmus.data import Data, Matrix, Summary, check_finite, infer_columns, infer_likelihood
from isthmus.encoders import ENCODERS, Encoder
from isthmus.likelihoods import LIKELIHOODS, Categorical, Columns, Likelihood
from isthmus.objective import Objective
from isthmus.penalties import PENALTIES
from isthmus.training import Plan, require_optimizer, require_precision

T = TypeVar("T")

Network = str | tuple[nn.Module, nn.Module]
NETWORKS = ("mlp", "conv", "shortcut")
Given = str | Likelihood | list[str | Likelihood] | tuple[str | Likelihood, ...]
ByName = Mapping[Any, str | Likelihood]
MOST_LEVELS = 1000

FROM_DATA = ("auto", "robust")


@dataclass(frozen=True)
class Recipe:
    """What an estimator's parameters mean, before any data are seen.

    Attributes:
        n_components: k.
        hidden: Hidden widths of the encoder; the decoder has them reversed.
        activation: A name in `isthmus.activations.ACTIVATIONS`.
        network: ``"mlp"``, ``"conv"``, ``"shortcut"``, or a pair of the user's modules.
        tied: Whether the decoder uses the encoder's weights.
        encoder: p(h | x).
        objective: Corruptions and penalties, in the user's units.
        decoder_hidden: Hidden widths of the decoder where they are others.
    """

    n_components: int
    hidden: tuple[int, ...]
    activation: str
    network: Network
    tied: bool
    encoder: Encoder
    objective: Objective
    decoder_hidden: tuple[int, ...] | None = None

    @property
    def up(self) -> tuple[int, ...]:
        """Hidden widths of the decoder."""
        return self.hidden[::-1] if self.decoder_hidden is None else self.decoder_hidden


def read_recipe(params: dict[str, Any]) -> Recipe:
    """The recipe that an estimator's parameters describe.

    Args:
        params: As from ``get_params``.

    Raises:
        InvalidParameterError: A value outside its range, or an unknown name.
        UnsupportedTypeError: An object of the wrong kind.
    """
    hidden = params["hidden"]
    if isinstance(hidden, Integral) or not isinstance(hidden, Iterable):
        raise InvalidParameterError(
            f"hidden must be a tuple of widths, such as (256,) or (); got {hidden!r}."
        )
    activation(params["activation"])
    network, tied = params.get("network", "mlp"), truth("tied", params.get("tied", False))
    if isinstance(network, list):
        network = tuple(network)
    _require_network(network, tied)
    return Recipe(
        n_components=whole("n_components", params["n_components"], 1),
        hidden=tuple(whole("hidden", width, 1) for width in hidden),
        activation=params["activation"],
        network=network,
        tied=tied,
        encoder=ENCODERS.resolve(params["encoder"]),
        objective=Objective(
            several(CORRUPTIONS, params["corruption"]), several(PENALTIES, params["penalty"])
        ),
    )


def read_plan(params: dict[str, Any]) -> Plan:
    """How to train, from an estimator's parameters."""
    require_optimizer(params["optimizer"])
    return Plan(
        optimizer=params["optimizer"],
        learning_rate=number("learning_rate", params["learning_rate"], 0.0, float("inf")),
        batch_size=whole("batch_size", params["batch_size"], 1),
        max_epochs=whole("max_epochs", params["max_epochs"], 1),
        patience=whole("patience", params["patience"], 1),
        precision=require_precision(params["precision"]),
    )


def is_read_from_data(given: Any) -> bool:
    """Whether it stands for the likelihood that suits the data."""
    return isinstance(given, str) and given in FROM_DATA


def as_meant(inferred: str, given: Any) -> str:
    """What was read from the data, but heavy tails for ``"robust"`` where it would be a normal."""
    return "student_t" if given == "robust" and inferred == "gaussian" else inferred


def read_likelihood(given: Given, matrix: Data, summary: Summary) -> Likelihood:
    """p(x | h) for these data: ``"auto"`` and ``"robust"`` read them; categories are counted.

    A list has one entry per column. Where cells are missing, one likelihood for all columns
    becomes one for each of them, so that what is missing can be left out.

    Args:
        given: An object, a name, ``"auto"`` or ``"robust"``; or a list of one for each column,
            without ``"robust"``.
        matrix: The data.
        summary: Its summary.

    Raises:
        InvalidParameterError: Another number of likelihoods than of columns.
        InvalidDataError: Missing cells under a likelihood of all columns together.
    """
    if isinstance(given, list | tuple):
        likelihood: Likelihood = Columns(_one_for_each(given, matrix, summary))
    else:
        if is_read_from_data(given):
            given = as_meant(infer_likelihood(matrix, summary), given)
        likelihood = LIKELIHOODS.resolve(given)
    if summary.has_missing and not isinstance(likelihood, Columns):
        likelihood = _for_each_column(likelihood, matrix)
    if isinstance(likelihood, Columns):
        return _counted(likelihood, matrix, summary)
    if isinstance(likelihood, Categorical) and likelihood.levels is None:
        widest = int(summary.maximum.argmax())
        return Categorical(levels=_count_levels(matrix, summary, widest))
    return likelihood


def _one_for_each(
    given: Sequence[str | Likelihood], matrix: Data, summary: Summary
) -> tuple[Likelihood, ...]:
    """The likelihood of each column; ``"auto"`` reads the column."""
    require_one_per_column(len(given), matrix.n_features)
    inferred = infer_columns(matrix, summary)
    return tuple(
        LIKELIHOODS.resolve(inferred[column] if isinstance(part, str) and part == "auto" else part)
        for column, part in enumerate(given)
    )


def require_one_per_column(n_parts: int, n_features: int) -> None:
    """Refuse a number of likelihoods that isn't that of the columns."""
    if n_parts != n_features:
        raise InvalidParameterError(
            f"likelihood has {n_parts} parts, but X has {n_features} columns; give one for each "
            "column, in their order."
        )


def _for_each_column(likelihood: Likelihood, matrix: Data) -> Likelihood:
    uncounted = isinstance(likelihood, Categorical) and likelihood.levels is None
    if not uncounted and not likelihood.traits.factorised:
        if isinstance(matrix, Matrix):
            check_finite(matrix)  # says where
        raise InvalidDataError(
            f"Input X contains NaN. {likelihood!r} gives a probability to all columns together, "
            "so that a missing cell can't be left out. Impute the missing cells, or use a "
            "likelihood for each column, such as likelihood='poisson'."
        )
    return Columns((likelihood,) * matrix.n_features)


def _counted(columns: Columns, matrix: Data, summary: Summary) -> Columns:
    """The same with the number of levels of each category."""
    require_one_per_column(len(columns.parts), matrix.n_features)
    return Columns(
        tuple(
            Categorical(levels=_count_levels(matrix, summary, column))
            if isinstance(part, Categorical) and part.levels is None
            else part
            for column, part in enumerate(columns.parts)
        )
    )


def _count_levels(matrix: Data, summary: Summary, column: int) -> int:
    """One more than the largest code of a column, if that can be a number of levels."""
    levels = int(summary.maximum[column]) + 1
    most = max(MOST_LEVELS, summary.n_rows)
    if levels > most:
        raise InvalidDataError(
            f"Categorical counts levels from 0 to the largest code, but column "
            f"{matrix.name(column)} goes up to {summary.maximum[column]:.17g}, and at most {most} "
            "levels are taken for codes here. Number the levels without gaps "
            "(sklearn.preprocessing.OrdinalEncoder), or give Categorical(levels=...)."
        )
    return max(2, levels)


def several(registry: Registry[T], given: Any) -> tuple[T, ...]:
    """The objects that are meant by None, one part or a list of parts."""
    if given is None:
        return ()
    if isinstance(given, list | tuple):
        return tuple(registry.resolve(part) for part in given)
    return (registry.resolve(given),)


def _require_network(network: Any, tied: bool) -> None:
    if isinstance(network, str):
        if network not in NETWORKS:
            raise InvalidParameterError(
                f"network must be 'mlp', 'conv', 'shortcut' or a pair of modules; got {network!r}."
            )
    elif not (
        isinstance(network, tuple)
        and len(network) == 2
        and all(isinstance(module, nn.Module) for module in network)
    ):
        raise UnsupportedTypeError(
            "network must be 'mlp', 'conv' or a pair of torch modules (encoder, decoder); "
            f"got {network!r}."
        )
    if tied and network != "mlp":
        raise InvalidParameterError("tied=True needs network='mlp'.")


def whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least ``least``, or a refusal by name."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InvalidParameterError(
            f"{name} must be a whole number, {least} or more; got {value!r}."
        )
    return int(value)


def truth(name: str, value: Any) -> bool:
    """True or False, NumPy's as well, or a refusal by name."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidParameterError(f"{name} must be True or False; got {value!r}.")
    return bool(value)


def number(name: str, value: Any, low: float, high: float) -> float:
    """A number strictly between two others, or a refusal by name."""
    if isinstance(value, bool) or not isinstance(value, Real) or not low < float(value) < high:
        raise InvalidParameterError(
            f"{name} must be a number above {low:g} and below {high:g}; got {value!r}."
        )
    return float(value)


def fraction(name: str, value: Any) -> float:
    """A number in [0, 1), or a refusal by name."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise InvalidParameterError(f"{name} must be a number in [0, 1); got {value!r}.")
    return float(value)
