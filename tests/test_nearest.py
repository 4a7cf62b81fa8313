"""Nearest rows against brute force, and in groups where there are too many."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from isthmus import nearest as nearest_module
from isthmus.nearest import nearest, nearest_in_groups, squared_distances


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


@pytest.mark.parametrize(("n", "m", "d"), [(7, 9, 3), (1, 5, 1), (4, 1, 600)])
def test_squared_distances_are_those_of_scipy(n, m, d):
    a, b = draws(n, d), draws(m, d, 1)
    np.testing.assert_allclose(squared_distances(a, b), cdist(a, b) ** 2, rtol=1e-10)


def test_distances_far_from_the_origin_keep_their_digits():
    a = draws(50, 3).float()
    far = (a + 4096).float()
    np.testing.assert_allclose(squared_distances(far, far), cdist(far, far) ** 2, atol=1e-4)
    # without the centre, float32 would be off by whole units here
    assert np.abs((far @ far.T).numpy() - far.double().numpy() @ far.double().numpy().T).max() > 1


def test_the_distance_of_a_row_to_itself_is_not_negative():
    assert (squared_distances(draws(200, 40).float(), draws(200, 40).float()) >= 0).all()


@pytest.mark.parametrize("cells", [1, 100, 1 << 23])
def test_the_nearest_rows_are_those_of_brute_force(monkeypatch, cells):
    monkeypatch.setattr(nearest_module, "BLOCK_CELLS", cells)
    x = draws(60, 4)
    distances = cdist(x, x)
    np.fill_diagonal(distances, np.inf)
    for k in (1, 5, 59):
        np.testing.assert_array_equal(nearest(x, k), distances.argsort(axis=1)[:, :k])


def test_a_row_is_never_its_own_neighbour_whatever_its_copies():
    same = torch.zeros(9, 3)
    assert (nearest(same, 8).sort(dim=1).values != torch.arange(9)[:, None]).all()


def test_one_group_is_searched_whole():
    x = draws(40, 3)
    np.testing.assert_array_equal(
        nearest_in_groups(lambda i: x[i], 40, 6, generator()), nearest(x, 6)
    )


@pytest.mark.parametrize("n", [33, 40, 101])
def test_groups_are_searched_each_for_itself(monkeypatch, n):
    monkeypatch.setattr(nearest_module, "GROUP_ROWS", 20)
    x = draws(n, 3)
    near = nearest_in_groups(lambda i: x[i], n, 4, generator())
    groups = torch.randperm(n, generator=generator()).tensor_split(-(-n // 20))
    assert all(len(group) <= 20 for group in groups)
    for group in groups:
        np.testing.assert_array_equal(near[group], group[nearest(x[group], 4)])


def test_groups_are_small_where_rows_are_wide(monkeypatch):
    monkeypatch.setattr(nearest_module, "GROUP_CELLS", 60)
    x, seen = draws(21, 6), []

    def rows(index):
        seen.append(len(index))
        return x[index]

    near = nearest_in_groups(rows, 21, 30, generator())
    assert max(seen) <= 10
    assert near.shape == (21, 6), "as many as the smallest group has"


@pytest.mark.parametrize("n", [2, 3])
def test_few_rows_have_the_neighbours_that_there_are(n):
    x = draws(n, 2)
    near = nearest_in_groups(lambda i: x[i], n, 15, generator())
    assert near.shape == (n, n - 1)
    assert all(set(row.tolist()) == set(range(n)) - {i} for i, row in enumerate(near))
