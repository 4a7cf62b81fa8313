"""Steps: what torch's own optimisers would do, guarded; and the course of the learning rate."""

import math
from itertools import pairwise

import pytest
import torch

from isthmus import Gaussian, InvalidParameterError
from isthmus.objective import Objective
from isthmus.training import (
    OPTIMIZERS,
    DenseRows,
    Plan,
    Stepper,
    require_optimizer,
    steady,
    train,
    validate,
)
from isthmus.training.optimizers import CLIP_FACTOR, SCALE_SPEED, WEIGHT_DECAY, WarmUpAndCosine
from tests.problems import make_model
from tests.training.stubs import data


def constant(_step):
    return 1.0


def gradients(model, seed, size=1.0):
    """The same random gradients for every model of the same shape."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = size * torch.randn(parameter.shape, generator=generator)


def groups_of(model, decay):
    scales = list(model.parameters_of_all_rows.parameters())
    rest = [p for name, p in model.named_parameters() if "of_all_rows" not in name]
    return [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in rest if p.ndim == 1], "weight_decay": 0.0},
        {"params": scales, "lr": 1e-2 * SCALE_SPEED, "weight_decay": 0.0},
    ]


TWINS = {
    "adamw": lambda model: torch.optim.AdamW(groups_of(model, WEIGHT_DECAY), lr=1e-2),
    "adam": lambda model: torch.optim.Adam(groups_of(model, 0.0), lr=1e-2),
    "sgd": lambda model: torch.optim.SGD(
        groups_of(model, 0.0), lr=1e-2, momentum=0.9, nesterov=True
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_steps_are_those_of_torch(name):
    model, twin = (make_model(data(), Gaussian()) for _ in range(2))
    stepper, optimizer = Stepper(model, name, 1e-2, constant), TWINS[name](twin)
    for seed in range(20):
        gradients(model, seed)
        gradients(twin, seed)
        stepper.step()
        optimizer.step()
    for one, two in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-5, atol=1e-6)
    assert (stepper.n_steps, stepper.n_skipped) == (20, 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_lowers_the_loss(name):
    rows = DenseRows(data())
    model = make_model(rows.values, Gaussian(), hidden=(16,))
    plan = Plan(name, 1e-2, 16, 20, precision="float32")
    before = validate(model, rows, Objective())
    list(train(model, Objective(), rows, plan, torch.Generator().manual_seed(0)))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert validate(model, rows, Objective()) < before - 1


def test_unknown_names_are_refused():
    with pytest.raises(
        InvalidParameterError, match="no optimizer named 'lion'; the names are adamw"
    ):
        require_optimizer("lion")
    with pytest.raises(InvalidParameterError, match="'lion'"):
        Stepper(make_model(data(), Gaussian()), "lion", 1e-3, constant)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_step_with_a_gradient_that_is_not_finite_is_left_out(name, value):
    model = make_model(data(), Gaussian())
    stepper = Stepper(model, name, 1e-2, constant)
    gradients(model, 0)
    stepper.step()
    before = [parameter.clone() for parameter in model.parameters()]
    gradients(model, 1)
    model.encoder_network.linear_layers[0].weight.grad[0, 0] = value
    stepper.step()
    for one, two in zip(model.parameters(), before, strict=True):
        assert torch.equal(one, two)
    assert (stepper.n_steps, stepper.n_skipped) == (2, 1)
    gradients(model, 2)
    stepper.step()
    assert not torch.equal(model.encoder_network.linear_layers[0].weight, before[0])
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_of_zero_move_nothing_into_nan(name):
    model = make_model(data(), Gaussian())
    stepper = Stepper(model, name, 1e-2, constant)
    for size in (0.0, 0.0, 1.0, 0.0):
        gradients(model, 0, size)
        stepper.step()
    assert stepper.n_skipped == 0
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_a_gradient_that_is_much_too_long_is_shortened():
    # without momentum a step of SGD is as long as its gradient
    model = make_model(data(), Gaussian())
    stepper = Stepper(model, "sgd", 1.0, constant)
    for group in stepper._groups:
        group.update(momentum=0.0, nesterov=False)
    weight = model.encoder_network.linear_layers[0].weight

    def length_of_step(size):
        before = weight.detach().clone()
        gradients(model, 0, size)
        stepper.step()
        return float((weight.detach() - before).norm())

    usual = length_of_step(1.0)
    assert length_of_step(1.0) == pytest.approx(usual, rel=1e-4)
    assert length_of_step(3.0) == pytest.approx(3 * usual, rel=1e-4)
    assert CLIP_FACTOR * usual <= length_of_step(1e4) < 1.2 * CLIP_FACTOR * usual


def test_restarting_forgets_momentum():
    model, fresh = (make_model(data(), Gaussian()) for _ in range(2))
    stepper = Stepper(model, "adam", 1e-2, constant)
    gradients(model, 0)
    stepper.step()
    stepper.restart()
    fresh.load_state_dict(model.state_dict())
    other = Stepper(fresh, "adam", 1e-2, constant)
    for each, by in ((model, stepper), (fresh, other)):
        gradients(each, 1)
        by.step()
    for one, two in zip(model.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_rate_rises_and_falls_along_a_cosine():
    course = WarmUpAndCosine.over(1000)
    assert course.warm_up == 50
    rates = [course(step) for step in range(1001)]
    assert rates[:50] == [(step + 1) / 51 for step in range(50)]
    assert rates[50] == 1.0
    assert rates[525] == pytest.approx(0.5)
    assert rates[1000] == pytest.approx(0.0, abs=1e-12)
    assert all(later < earlier for earlier, later in pairwise(rates[50:]))
    assert course(5000) == rates[1000]
    assert WarmUpAndCosine.over(10**6).warm_up == 200
    assert [WarmUpAndCosine.over(1)(step) for step in (0, 1)] == [1.0, pytest.approx(0.0)]


def test_the_steady_rate_does_not_fall():
    assert steady(0) == 0.01
    assert [steady(step) for step in (99, 100, 10**6)] == [1.0, 1.0, 1.0]


def test_the_slowdown_multiplies_the_rate():
    stepper = Stepper(make_model(data(), Gaussian()), "adam", 1e-2, steady)
    stepper.slowdown = 0.25
    assert stepper.rate == 0.25 * steady(0)
