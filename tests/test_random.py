"""Seeds, generators and well spread points."""

import numpy as np
import pytest
import scipy.stats
import torch

from isthmus import InvalidParameterError
from isthmus._random import draw_seed, latin_hypercube, make_generator


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1, np.int32(5), np.uint64(2**62), True])
def test_an_integer_stands_for_itself(seed):
    assert draw_seed(seed) == int(seed)
    assert type(draw_seed(seed)) is int


def test_none_is_a_new_seed_each_time():
    seeds = {draw_seed(None) for _ in range(50)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_is_drawn_from(make):
    one, two = make(3), make(3)
    first, second = draw_seed(one), draw_seed(one)
    assert first != second
    assert [draw_seed(two), draw_seed(two)] == [first, second]


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30, "0", 1.5, [1], np.random])
def test_others_are_refused(seed):
    with pytest.raises(InvalidParameterError, match=r"random_state must be .*; got"):
        draw_seed(seed)


def test_generators_of_one_seed_agree_and_leave_the_global_one_alone():
    before = torch.get_rng_state()
    draws = [torch.rand(5, generator=make_generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5, generator=make_generator(2**63 - 1))


@pytest.mark.parametrize(("n_points", "n_dimensions"), [(1, 1), (32, 5), (100, 3), (7, 40)])
def test_a_latin_hypercube_has_one_point_in_each_slice(n_points, n_dimensions):
    points = latin_hypercube(n_points, n_dimensions, make_generator(0))
    assert points.shape == (n_points, n_dimensions)
    slices = (points * n_points).floor().long().sort(dim=0).values
    assert torch.equal(slices, torch.arange(n_points).unsqueeze(1).expand_as(slices))
    assert ((points > 0) & (points < 1)).all()


def test_the_axes_of_a_latin_hypercube_are_in_independent_order():
    points = latin_hypercube(2000, 2, make_generator(0)).numpy()
    assert abs(np.corrcoef(points.T)[0, 1]) < 5 / np.sqrt(2000)
    assert scipy.stats.kstest(points[:1000, 0], "uniform").pvalue > 1e-4


def test_averages_over_it_have_less_error_than_over_independent_points():
    def error(points):
        return float((points.square().sum(1).mean() - 5 / 3).abs())

    spread = [error(latin_hypercube(32, 5, make_generator(seed))) for seed in range(30)]
    loose = [error(torch.rand(32, 5, generator=make_generator(seed))) for seed in range(30)]
    assert np.mean(spread) < 0.1 * np.mean(loose)
