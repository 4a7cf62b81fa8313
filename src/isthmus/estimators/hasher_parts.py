"""What the parameters of a `SemanticHasher` mean."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from isthmus._errors import InvalidParameterError
from isthmus._registry import is_real
from isthmus.binary import METRICS, Faithful, Metric, Rounds, read_effort
from isthmus.data import Matrix, summarise
from isthmus.encoders import BitEncoder, NoisySigmoid
from isthmus.estimators.resolve import Recipe, read_plan, read_recipe, whole
from isthmus.hashing.codes import check_n_bits
from isthmus.likelihoods import LIKELIHOODS, Gaussian, Likelihood, Multinomial
from isthmus.penalties import Balance
from isthmus.training import Plan

TRAINING_ROWS = 1 << 18
FIRST_PART = 0.2
WIDE, WIDEST, MANY_BITS = (2048,), (4096,), 128
STEPS, LEAST_BATCH = 32, 32
NOISE, NOISE_OF_MANY = 32.0, 4.0
PRIOR, PRIOR_OF_MANY = 1.0, 2.0


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
    balance = _weight("balance", params["balance"])
    faithful = _weight("faithful", params["faithful"])
    metric = METRICS.resolve(params["metric"])
    recipe = read_recipe(
        {
            **params,
            "encoder": _encoder(params["encoder"], n_bits),
            "n_components": n_bits,
            "network": "shortcut",
            "tied": False,
            "penalty": [Balance(balance)] if balance else None,
        }
    )
    if not isinstance(recipe.encoder, BitEncoder):
        raise InvalidParameterError(
            f"encoder must give bits: 'noisy_sigmoid' or 'bernoulli'; got {params['encoder']!r}."
        )
    if faithful:
        penalty = Faithful(faithful, directions=metric.of_directions)
        objective = replace(recipe.objective, penalties=(*recipe.objective.penalties, penalty))
        recipe = replace(recipe, objective=objective)
    read_effort("refine", params["refine"])
    plan = read_plan({**params, "optimizer": "adamw", "patience": 1})
    n_rounds = whole("rounds", params["rounds"], 0)
    prior = _prior(params["prior"], n_bits)
    return HasherParts(
        replace(recipe, decoder_hidden=_widths(params["decoder_hidden"])),
        plan,
        Rounds(n_rounds, _passes(plan.max_epochs, n_rounds), prior),
        metric,
    )


def _encoder(given: Any, n_bits: int) -> Any:
    if given is not None:
        return given
    # of many bits much noise costs neighbours by Hamming distance
    return NoisySigmoid(NOISE if n_bits <= MANY_BITS else NOISE_OF_MANY)


def _prior(given: Any, n_bits: int) -> float:
    if given is not None:
        return _weight("prior", given)
    # many bits decode well with fewer flips, and flips cost neighbours by Hamming distance
    return PRIOR if n_bits <= MANY_BITS else PRIOR_OF_MANY


def _widths(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise InvalidParameterError(
            f"decoder_hidden must be a tuple of widths, such as (1024,) or (), or None; "
            f"got {given!r}."
        )
    return tuple(whole("decoder_hidden", width, 1) for width in given)


def decoder_for(parts: HasherParts, likelihood: Likelihood) -> HasherParts:
    """The same with the decoder's widths where they were left open: few for documents."""
    if parts.recipe.decoder_hidden is not None:
        return parts
    wide = WIDEST if parts.recipe.n_components > MANY_BITS else WIDE
    up = wide if likelihood.traits.factorised else ()
    return replace(parts, recipe=replace(parts.recipe, decoder_hidden=up))


def _weight(name: str, value: Any) -> float:
    if not (is_real(value) and 0 <= value < inf):
        raise InvalidParameterError(f"{name} must be a finite number, 0 or more; got {value!r}.")
    return float(value)


def _passes(max_epochs: int, n_rounds: int) -> int:
    """Passes over the rows in each round: what the first part leaves, in equal parts."""
    return max(1, round((1 - FIRST_PART) * max_epochs / (n_rounds + 1)))


def plan_for(plan: Plan, n_rows: int) -> Plan:
    """The plan with batches so small that a pass over few rows is 32 steps, 32 rows at least."""
    return replace(plan, batch_size=min(plan.batch_size, max(LEAST_BATCH, n_rows // STEPS)))


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
