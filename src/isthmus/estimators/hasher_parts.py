"""What the parameters of a `SemanticHasher` mean."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus._errors import InvalidParameterError
from isthmus.binary import METRICS, Metric, Rounds, read_effort
from isthmus.data import Matrix, summarise
from isthmus.encoders import BitEncoder
from isthmus.estimators.resolve import Recipe, number, read_plan, read_recipe, whole
from isthmus.hashing.codes import check_n_bits
from isthmus.likelihoods import LIKELIHOODS, Gaussian, Likelihood, Multinomial
from isthmus.penalties import Balance
from isthmus.training import Plan

TRAINING_ROWS = 1 << 18
FIRST_PART = 0.2


@dataclass(frozen=True)
class HasherParts:
    """The parts of a hasher.

    Attributes:
        recipe: Sizes and parts of its model.
        plan: How it is trained.
        rounds: How often bits are flipped.
        metric: What near means.
    """

    recipe: Recipe
    plan: Plan
    rounds: Rounds
    metric: Metric


def read_parts(params: dict[str, Any]) -> HasherParts:
    """The parts that a hasher's parameters describe.

    Args:
        params: As from ``get_params``.

    Raises:
        InvalidParameterError: A value outside its range, or an unknown name.
        UnsupportedTypeError: An object of the wrong kind.
    """
    n_bits = check_n_bits(params["n_bits"])
    balance = number("balance", params["balance"], -1e-300, float("inf"))
    recipe = read_recipe(
        {
            **params,
            "n_components": n_bits,
            "network": "shortcut",
            "tied": False,
            "corruption": None,
            "penalty": Balance(balance) if balance else None,
        }
    )
    if not isinstance(recipe.encoder, BitEncoder):
        raise InvalidParameterError(
            f"encoder must give bits: 'noisy_sigmoid' or 'bernoulli'; got {params['encoder']!r}."
        )
    read_effort("refine", params["refine"])
    plan = read_plan({**params, "optimizer": "adamw", "patience": 1})
    n_rounds = whole("rounds", params["rounds"], 0)
    prior = number("prior", params["prior"], -1e-300, float("inf"))
    up = tuple(whole("decoder_hidden", width, 1) for width in params["decoder_hidden"])
    return HasherParts(
        replace(recipe, decoder_hidden=up),
        plan,
        Rounds(n_rounds, _passes(plan.max_epochs, n_rounds), prior),
        METRICS.resolve(params["metric"]),
    )


def _passes(max_epochs: int, n_rounds: int) -> int:
    """Passes over the rows in each round: what the first part leaves, in equal parts."""
    return max(1, round((1 - FIRST_PART) * max_epochs / (n_rounds + 1)))


def likelihood_for(given: Any, matrix: Matrix) -> Likelihood:
    """p(x | code): ``"auto"`` takes sparse rows for documents, others for points in space."""
    if not (isinstance(given, str) and given == "auto"):
        return LIKELIHOODS.resolve(given)
    if not matrix.is_sparse:
        return Gaussian("shared")
    summary = summarise(matrix)
    if not summary.non_negative:
        return Gaussian("shared")
    return Multinomial(weighted=not summary.integral)


def of_directions(likelihood: Likelihood, metric: Metric) -> bool:
    """Whether rows are divided by their length: where that keeps what the likelihood is of."""
    weighted = isinstance(likelihood, Multinomial) and likelihood.weighted
    return metric.of_directions and (weighted or likelihood.traits.scaling == "common")


def some_rows(matrix: Matrix, seed: int) -> Matrix:
    """At most 262,144 rows, chosen at random."""
    if len(matrix) <= TRAINING_ROWS:
        return matrix
    chosen = np.random.default_rng(seed).choice(len(matrix), TRAINING_ROWS, replace=False)
    chosen.sort()
    return replace(matrix, values=matrix.values[chosen])
