"""Means are expectations, samples have the distribution's moments and come from the generator."""

import math

import numpy as np
import pytest
import torch

from isthmus import Bernoulli, Categorical, Multinomial, StudentT
from tests.likelihoods.cases import MEMBERS, draw_data, draw_eta, expectation, generator

EVERY = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
WITH_MEAN = [member for member in MEMBERS.values() if not isinstance(member, Categorical)]
D, DRAWS = 3, 40_000


@pytest.mark.parametrize("member", WITH_MEAN, ids=repr)
def test_mean_is_the_expectation(member):
    for seed in range(3):
        eta = draw_eta(member, 1, D, seed)
        truth = expectation(member, eta, lambda x: x)
        torch.testing.assert_close(member.mean(eta)[0], truth, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("levels", [2, 5])
def test_a_category_has_no_mean_but_a_most_probable_level(levels):
    member = Categorical(levels)
    eta = draw_eta(member, 20, D)
    grid = torch.arange(levels).double().view(-1, 1, 1).expand(-1, 20, D)
    chances = torch.stack([member.log_prob(rows, eta) for rows in grid])
    assert torch.equal(member.mean(eta), chances.argmax(0).double())


@EVERY
def test_sample_moments_are_within_five_standard_errors(member):
    # the variance of a Student's t has no standard error for ν ≤ 4, that of its arctangent has
    observe = torch.arctan if isinstance(member, StudentT) else torch.clone
    for seed in range(2):
        eta = draw_eta(member, 1, D, seed)
        many = tuple(
            part.expand(DRAWS, *part.shape[1:]) if parameter.varies == "row" else part
            for part, parameter in zip(eta, member.traits.parameters, strict=True)
        )
        draws = observe(member.sample(many, generator(seed)))

        def moment(power: int) -> torch.Tensor:
            return expectation(member, eta, lambda x: observe(x) ** power)  # noqa: B023

        first, second, fourth = moment(1), moment(2), moment(4)
        error = ((second - first.square()) / DRAWS).sqrt()
        assert ((draws.mean(0) - first).abs() <= 5 * error + 1e-12).all()
        error = ((fourth - second.square()).clamp_min(0) / DRAWS).sqrt()
        assert ((draws.square().mean(0) - second).abs() <= 5 * error + 1e-12).all()


@EVERY
def test_rows_and_columns_of_a_sample_are_independent(member):
    eta = draw_eta(member, 1, 2)
    many = tuple(
        part.expand(DRAWS, *part.shape[1:]) if parameter.varies == "row" else part
        for part, parameter in zip(eta, member.traits.parameters, strict=True)
    )
    draws = torch.arctan(member.sample(many, generator())).numpy()
    pairs = [draws[1:, 0], draws[:-1, 0]] if isinstance(member, Multinomial) else [*draws.T]
    assert abs(np.corrcoef(pairs)[0, 1]) < 5 / math.sqrt(DRAWS)


@EVERY
def test_samples_lie_in_the_support(member):
    for seed in range(3):
        x = member.sample(draw_eta(member, 200, D, seed), generator(seed))
        member.check(x.numpy())
        assert x.shape == (200, D)
    if isinstance(member, Multinomial):
        assert (x.sum(1) == member.total).all()
    if isinstance(member, Bernoulli):
        assert set(x.unique().tolist()) == {0.0, 1.0}


@EVERY
@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_samples_depend_on_the_generator_only(member, default):
    eta, before = draw_eta(member, 50, D), torch.random.get_rng_state()
    one = member.sample(eta, generator(3))
    torch.manual_seed(7)
    torch.set_default_dtype(default)
    try:
        two, other = member.sample(eta, generator(3)), member.sample(eta, generator(4))
    finally:
        torch.set_default_dtype(torch.float32)
        torch.random.set_rng_state(before)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@EVERY
def test_sampling_and_scoring_leave_the_global_state_alone(member):
    eta, x = draw_eta(member, 10, D), draw_data(member, 10, D)
    before = torch.random.get_rng_state()
    member.sample(eta, generator())
    member.start(x)
    member.log_prob(x, eta)
    assert torch.equal(torch.random.get_rng_state(), before)
