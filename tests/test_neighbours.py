"""The map's penalty: against scipy's Student t, calculus, and what a map is for."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import entropy, ortho_group, t
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from isthmus import (
    Autoencoder,
    InvalidParameterError,
    IsthmusError,
    Neighbours,
    analysis,
    load,
    save,
)
from tests.training.stubs import data

N = 9


def places(k=2, seed=0, n=N):
    return torch.from_numpy(2 * np.random.default_rng(seed).normal(size=(n, k)))


def similarities(h, freedom):
    """q(j | i) of the rows of a batch, by scipy's density."""
    w = t.pdf(cdist(h, h), freedom)
    np.fill_diagonal(w, 0)
    return w / w.sum(1, keepdims=True)


def evaluate(part, x, h):
    return part(x, h, None)


@pytest.mark.parametrize(
    ("k", "given", "freedom"), [(1, None, 1), (2, None, 1), (5, None, 4), (3, 0.5, 0.5), (2, 7, 7)]
)
def test_it_is_minus_the_log_of_students_t_at_the_nearest_row(k, given, freedom):
    x, h = places(4, seed=1), places(k)
    distances = cdist(x, x) + np.diag(np.full(N, np.inf))
    q = similarities(h, freedom)[np.arange(N), distances.argmin(1)]
    value = evaluate(Neighbours(0.3, freedom=given), x, h)
    np.testing.assert_allclose(value, -0.3 * np.log(q), rtol=1e-10)


def test_its_mean_over_neighbours_is_the_divergence_of_p_and_q():
    """With p alike on three neighbours, the mean of Ω is KL(p ‖ q) + H(p)."""
    h, near = places(), np.array([[(i + s) % N for s in (1, 3, 4)] for i in range(N)])
    q, p = similarities(h, 1), np.zeros((N, N))
    np.put_along_axis(p, near, 1 / 3, axis=1)
    total = torch.zeros(N)
    for i in range(N):
        for j in near[i]:
            x = torch.arange(N).double().square()[:, None]  # any rows, but that i lies beside j
            x[i] = x[j] + 0.1
            total[i] += evaluate(Neighbours(1.0), x, h)[i] / 3
    np.testing.assert_allclose(total, entropy(p, q, axis=1) + math.log(3), rtol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 6])
def test_its_gradient_is_that_of_finite_differences(k):
    x, h = places(3, seed=1), places(k).requires_grad_()
    assert torch.autograd.gradcheck(lambda h: evaluate(Neighbours(0.7), x, h), h)


@pytest.mark.parametrize("k", [2, 6])
def test_turning_shifting_and_mirroring_the_map_change_nothing(k):
    x, h = places(3, seed=1), places(k)
    turn = torch.from_numpy(ortho_group.rvs(k, random_state=0))
    one, two = (evaluate(Neighbours(), x, each) for each in (h, h @ turn + 5))
    torch.testing.assert_close(one, two, rtol=1e-10, atol=0)


def test_the_data_count_by_which_row_is_nearest_only():
    h, x = places(), places(3, seed=1)
    one, two = (evaluate(Neighbours(), each, h) for each in (x, 300 * x - 7))
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_a_map_that_keeps_neighbours_costs_less_than_one_that_mixes_them():
    x = places(2, n=60)
    good = evaluate(Neighbours(), x, 5 * x).mean()
    for seed in range(5):
        mixed = x[torch.randperm(60, generator=torch.Generator().manual_seed(seed))]
        assert evaluate(Neighbours(), x, 5 * mixed).mean() > 1.2 * good


@pytest.mark.parametrize("far", [1e-30, 1e6, 1e15])
def test_extreme_maps_have_a_finite_value_and_gradient(far):
    x, h = places(3, seed=1).float(), (far * places()).float().requires_grad_()
    value = evaluate(Neighbours(), x, h)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(h.grad).all()


def test_rows_and_places_that_are_all_the_same_are_no_trouble():
    h = torch.zeros(N, 2, requires_grad=True)
    value = evaluate(Neighbours(1.0), torch.zeros(N, 3), h)
    value.sum().backward()
    np.testing.assert_allclose(value.detach(), math.log(N - 1), rtol=1e-6)
    assert (h.grad == 0).all()


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"n_neighbors": 2.5}, "n_neighbors"),
        ({"n_neighbors": "15"}, "n_neighbors"),
        ({"freedom": 0.0}, "freedom"),
        ({"freedom": math.nan}, "freedom"),
        ({"freedom": math.inf}, "freedom"),
        ({"weight": -1.0}, "weight"),
    ],
)
def test_arguments_outside_their_range_are_refused(how, word):
    with pytest.raises(InvalidParameterError, match=f"Neighbours's {word} must"):
        Neighbours(**how)


# ---- maps of data -------------------------------------------------------------------------------

HOW = {"hidden": (128, 64), "likelihood": "gaussian_shared", "learning_rate": 1e-2}
HOW |= {"validation_fraction": 0, "random_state": 0, "batch_size": 64}


def test_on_a_map_of_digits_neighbours_lie_together():
    X, y = load_digits(return_X_y=True)
    X, y, new, z = X[:600], y[:600], X[600:], y[600:]
    found, usual = (
        Autoencoder(2, penalty=each, max_epochs=60, **HOW).fit(X)
        for each in (Neighbours(500, n_neighbors=10), None)
    )
    ours, theirs = (analysis.neighbourhoods(X, each.transform(X)) for each in (found, usual))
    assert ours.kept > theirs.kept
    assert ours.continuity > theirs.continuity
    scores = [
        analysis.neighbour_accuracy(each.transform(X), y, each.transform(new), z)
        for each in (found, usual)
    ]
    assert scores[0] > scores[1] + 0.03
    # and places still have rows: better ones than PCA's
    pca = PCA(2).fit(X)
    flat = pca.inverse_transform(pca.transform(new))
    assert ((found.reconstruct(new) - new) ** 2).sum() < ((flat - new) ** 2).sum()


def test_the_same_seed_gives_the_same_map():
    X = data(80).numpy()
    how = {**HOW, "penalty": "neighbours", "max_epochs": 2}
    one, two = (Autoencoder(2, **how).fit_transform(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert len(np.unique(one, axis=0)) == 80


@pytest.mark.parametrize("n", [1, 2, 3, 5, 31])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 256])
def test_few_rows_and_small_batches_are_enough(n, batch_size):
    how = {**HOW, "batch_size": batch_size, "max_epochs": 2, "hidden": (4,)}
    codes = Autoencoder(2, penalty=Neighbours(), **how).fit_transform(data(n).numpy())
    assert np.isfinite(codes).all()


def test_constant_columns_and_missing_cells_are_no_trouble():
    X = data(60).double().numpy()
    X[:, 1] = 3.0
    X[::7, 2] = np.nan
    X[3] = np.nan
    made = Autoencoder(2, penalty=Neighbours(), max_epochs=2, random_state=0).fit(X)
    assert np.isfinite(made.transform(X)).all()


def test_rows_in_passes_and_more_batches_have_neighbours_in_their_batch(tmp_path):
    np.save(tmp_path / "rows.npy", data(300).numpy())
    how = {**HOW, "max_epochs": 3, "hidden": (16,)}
    made = Autoencoder(2, penalty=Neighbours(), **how).fit(tmp_path / "rows.npy")
    again = made.partial_fit(data(60).numpy())
    record = again.history_[-1].penalties["Neighbours"]
    assert 0 < record < 100 * math.log(256)


def test_it_goes_to_a_file_and_comes_back(tmp_path):
    penalty = Neighbours(50.0, n_neighbors=4, freedom=2.0)
    made = Autoencoder(2, penalty=penalty, max_epochs=1, random_state=0).fit(data(40).numpy())
    save(made, tmp_path / "map")
    assert load(tmp_path / "map").penalty == penalty


def test_infinite_cells_are_refused_before_neighbours_are_sought():
    X = data(40).numpy()
    X[3, 2] = np.inf
    with pytest.raises(IsthmusError, match="row 3"):
        Autoencoder(2, penalty=Neighbours()).fit(X)
