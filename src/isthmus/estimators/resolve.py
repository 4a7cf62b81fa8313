"""The border: names become objects here, once, and nowhere else is a name compared."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeVar

from torch import nn

from isthmus._errors import InvalidDataError, InvalidParameterError, UnsupportedTypeError
from isthmus._registry import Registry
from isthmus.activations import activation
from isthmus.corruptions import CORRUPTIONS
from isthmus.data import Matrix, Summary, infer_likelihood
from isthmus.encoders import ENCODERS, Encoder
from isthmus.likelihoods import LIKELIHOODS, Categorical, Likelihood
from isthmus.objective import Objective
from isthmus.penalties import PENALTIES
from isthmus.training import Plan, require_optimizer, require_precision

T = TypeVar("T")

Network = str | tuple[nn.Module, nn.Module]
NETWORKS = ("mlp", "conv")
MOST_LEVELS = 1000


@dataclass(frozen=True)
class Recipe:
    """What an estimator's parameters mean, before any data are seen.

    Attributes:
        n_components: k.
        hidden: Hidden widths of the encoder; the decoder has them reversed.
        activation: A name in `isthmus.activations.ACTIVATIONS`.
        network: ``"mlp"``, ``"conv"``, or a pair of the user's modules.
        tied: Whether the decoder uses the encoder's weights.
        encoder: p(h | x).
        objective: Corruptions and penalties, in the user's units.
    """

    n_components: int
    hidden: tuple[int, ...]
    activation: str
    network: Network
    tied: bool
    encoder: Encoder
    objective: Objective


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
    network = params["network"]
    if isinstance(network, list):
        network = tuple(network)
    _require_network(network, params["tied"])
    return Recipe(
        n_components=whole("n_components", params["n_components"], 1),
        hidden=tuple(whole("hidden", width, 1) for width in hidden),
        activation=params["activation"],
        network=network,
        tied=bool(params["tied"]),
        encoder=ENCODERS.resolve(params["encoder"]),
        objective=Objective(
            _several(CORRUPTIONS, params["corruption"]), _several(PENALTIES, params["penalty"])
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


def read_likelihood(given: str | Likelihood, matrix: Matrix, summary: Summary) -> Likelihood:
    """p(x | h) for these data: ``"auto"`` reads them, and categories are counted.

    Args:
        given: An object, a name, or ``"auto"``.
        matrix: The data.
        summary: Its summary.
    """
    if isinstance(given, str) and given == "auto":
        given = infer_likelihood(matrix, summary)
    likelihood = LIKELIHOODS.resolve(given)
    if isinstance(likelihood, Categorical) and likelihood.levels is None:
        return Categorical(levels=_count_levels(matrix, summary))
    return likelihood


def _count_levels(matrix: Matrix, summary: Summary) -> int:
    """One more than the largest code, if that can be a number of levels."""
    column = int(summary.maximum.argmax())
    levels = int(summary.maximum[column]) + 1
    most = max(MOST_LEVELS, len(matrix))
    if levels > most:
        raise InvalidDataError(
            f"Categorical counts levels from 0 to the largest code, but column "
            f"{matrix.name(column)} goes up to {summary.maximum[column]:.17g}, and at most {most} "
            "levels are taken for codes here. Number the levels without gaps "
            "(sklearn.preprocessing.OrdinalEncoder), or give Categorical(levels=...)."
        )
    return max(2, levels)


def _several(registry: Registry[T], given: Any) -> tuple[T, ...]:
    if given is None:
        return ()
    if isinstance(given, list | tuple):
        return tuple(registry.resolve(part) for part in given)
    return (registry.resolve(given),)


def _require_network(network: Any, tied: bool) -> None:
    if isinstance(network, str):
        if network not in NETWORKS:
            raise InvalidParameterError(
                f"network must be 'mlp', 'conv' or a pair of modules; got {network!r}."
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
