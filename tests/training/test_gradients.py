"""Gradients in one piece of memory: the same numbers, the same steps."""

import math
import weakref

import pytest
import torch

from isthmus import Gaussian
from isthmus.objective import Objective
from isthmus.sparse import in_columns
from isthmus.training import OPTIMIZERS, DenseRows, Plan, Stepper, train
from isthmus.training.gradients import Gradients, length
from tests.problems import make_model
from tests.training.stubs import data


def parameters():
    made = [torch.nn.Parameter(torch.randn(shape)) for shape in ((3, 4), (5,), (1,), (2, 3, 2))]
    turned = torch.nn.Linear(4, 3)
    in_columns(turned)
    return [*made, turned.weight]


def write(chosen, seed):
    """New numbers where the gradients are, or new gradients."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in chosen:
        drawn = torch.randn(parameter.shape, generator=generator)
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        parameter.grad.copy_(drawn)


def test_are_joined_when_they_stay_in_their_places():
    chosen = parameters()
    gradients = Gradients(chosen)
    for seed in range(4):
        write(chosen, seed)
        apart = [p.grad.clone() for p in chosen]
        found = gradients.read()
        assert len(found) == (len(chosen) if seed == 0 else 1)
        torch.testing.assert_close([p.grad for p in chosen], apart, rtol=0, atol=0)
        assert [p.grad.stride() for p in chosen] == [p.stride() for p in chosen]
        truth = math.sqrt(sum(float(g.square().sum()) for g in apart))
        assert length(found) == pytest.approx(truth, rel=1e-5)
        torch._foreach_mul_(found, 0.5)
        torch.testing.assert_close([p.grad for p in chosen], [0.5 * g for g in apart])
    gradients.release()
    assert all(p.grad is None for p in chosen)
    assert gradients.read() == []


def test_new_tensors_stay_apart_and_one_without_is_left_out():
    chosen = parameters()
    gradients = Gradients(chosen)
    for seed in range(3):
        for parameter in chosen:
            parameter.grad = None
        write(chosen[1:], seed)
        assert len(gradients.read()) == len(chosen) - 1
        owners = {p.grad.untyped_storage().data_ptr() for p in chosen[1:]}
        assert len(owners) == len(chosen) - 1
    write(chosen, 0)
    assert len(gradients.read()) == len(chosen)


def test_gradients_of_the_last_step_are_not_kept_from_being_freed():
    chosen = parameters()
    gradients = Gradients(chosen)
    write(chosen, 0)
    gradients.read()
    last = [weakref.ref(p.grad) for p in chosen]
    for parameter in chosen:
        parameter.grad = None
    assert not any(each() is not None for each in last)


def test_mixed_types_stay_apart():
    chosen = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2).double())]
    gradients = Gradients(chosen)
    for _ in range(3):
        for parameter in chosen:
            parameter.grad = (
                torch.ones_like(parameter) if parameter.grad is None else parameter.grad
            )
        assert length(gradients.read()) == pytest.approx(2.0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_with_and_without_them_in_place_is_the_same(name, monkeypatch):
    def trained():
        rows = DenseRows(data())
        model = make_model(rows.values, Gaussian(), hidden=(16,))
        plan = Plan(name, 1e-2, 16, 5, precision="float32")
        list(train(model, Objective(), rows, plan, torch.Generator().manual_seed(0)))
        return [p.detach().clone() for p in model.parameters()]

    joined = trained()
    monkeypatch.setattr("isthmus.training.gradients._are_joinable", lambda gradients: False)
    torch.testing.assert_close(joined, trained(), rtol=1e-4, atol=1e-5)


def test_a_stepper_lets_go_of_gradients():
    model = make_model(data(), Gaussian())
    stepper = Stepper(model, "adamw", 1e-2, lambda step: 1.0)
    for _ in range(3):
        write(list(model.parameters()), 0)
        stepper.step()
    stepper.release()
    assert all(p.grad is None for p in model.parameters())
    for seed in range(3):
        write(list(model.parameters()), seed)
        stepper.step()
    assert (stepper.n_steps, stepper.n_skipped) == (6, 0)
