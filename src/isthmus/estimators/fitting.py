"""An autoencoder's `fit`, from parameters and data to a trained model."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from isthmus._random import draw_seed, make_generator
from isthmus.estimators import resolve
from isthmus.estimators.apply import common_unit, remember_columns
from isthmus.estimators.construct import Beginning, begin
from isthmus.estimators.held_out import try_out
from isthmus.estimators.learn import Split, encoded, follow, report, report_rows, split
from isthmus.estimators.progress import Display, display, say
from isthmus.estimators.resolve import fraction
from isthmus.estimators.tables import Opened, open_rows
from isthmus.stacking import Layer, train_layers
from isthmus.training import Epoch, Plan, find_device, near_rows, train


def begin_fit(estimator: Any, X: Any, opened: Opened, seed: int) -> Beginning:
    """Check the data, choose the parts and give an estimator its model at step 0.

    Args:
        estimator: An autoencoder, which gets all its fitted attributes.
        X: What the user gave.
        opened: The same, from `isthmus.estimators.tables.open_rows`.
        seed: Of the initial weights.

    Raises:
        IsthmusError: As in `isthmus.Autoencoder.fit`.
    """
    params = estimator.get_params(deep=False)
    recipe, data = resolve.read_recipe(params), opened.data
    begun = begin(recipe, opened.likelihood, data, seed, find_device(estimator.device))
    say(estimator.verbose)(f"likelihood: {begun.model.likelihood!r}")
    remember_columns(estimator, X, data, opened.schema)
    estimator.row_shape_ = data.row_shape
    estimator._pixel_divisor = begun.divisor
    estimator.history_ = []
    estimator.code_report_ = {}
    estimator._receive(begun.model, recipe, opened.schema)
    return begun


def fit_autoencoder(
    estimator: Any, X: Any, plan: Plan | None, layers: Sequence[Layer] = ()
) -> None:
    """Fit an estimator to rows.

    Args:
        estimator: An autoencoder, which gets all its fitted attributes.
        X: As in `isthmus.Autoencoder.fit`.
        plan: How the whole is trained; None for not at all.
        layers: How each layer is trained before that; none for not at all.

    Raises:
        IsthmusError: As in `isthmus.Autoencoder.fit`.
    """
    held_out = fraction("validation_fraction", estimator.validation_fraction)
    seed = draw_seed(estimator.random_state)
    begun = begin_fit(estimator, X, open_rows(X, estimator.likelihood), seed)
    parts, model = split(begun, held_out, seed), estimator.model_
    objective = estimator._recipe.objective.in_units(common_unit(model))
    if estimator.verbose:
        for line in objective.choices(model, parts.some(1)):
            say(estimator.verbose)(line)
        if objective.n_near:
            say(estimator.verbose)(f"looking for the {objective.n_near} nearest rows of each")
    generator = make_generator(seed, model.device)
    plans = [*(layer.plan for layer in layers), *([] if plan is None else [plan])]
    n_epochs = sum(each.max_epochs for each in plans)
    with display(estimator.verbose, len(parts.rows), n_epochs) as shown:
        going_on = _train_layers(estimator, layers, parts, generator, shown)
        if plan is not None and going_on:
            rows = near_rows(parts.rows, model, objective.n_near, generator)
            what = (model, objective, rows, plan, generator, parts.held_out)
            follow(train(*what, shown.tick), estimator.history_, shown.show)
    eta = encoded(model, parts.some(report_rows(estimator.n_features_in_)))
    estimator.code_report_ = report(model, eta, say(estimator.verbose))
    estimator._tried = try_out(model, parts, seed, hid=bool(objective.corruptions))


def _train_layers(
    estimator: Any,
    layers: Sequence[Layer],
    parts: Split,
    generator: torch.Generator,
    shown: Display,
) -> bool:
    """Greedily; whether Ctrl-C has not ended it."""
    if not layers:
        return True
    model, unit = estimator.model_, common_unit(estimator.model_)
    first = Layer(layers[0].objective.in_units(unit), layers[0].plan)
    history: list[list[Epoch]] = [[] for _ in layers]
    estimator.layer_history_ = history

    def epochs() -> Iterator[Epoch]:
        stages = (first, *layers[1:])
        what = (model, stages, parts.rows, parts.held_out, generator, shown.tick)
        for number, epoch in train_layers(*what):
            history[number].append(epoch)
            yield epoch

    return follow(epochs(), [], shown.show)
