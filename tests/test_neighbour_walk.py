"""Rows reconstructed to rows near them: which are near, where walks end, and what that costs."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from isthmus import Gaussian, InvalidParameterError, NeighbourWalk, Poisson
from isthmus.objective import Objective
from isthmus.sparse import SparseBatch, take
from tests.likelihoods.cases import draw_data
from tests.problems import make_model, wake

N, D, K = 12, 6, 3


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(n: int = N) -> torch.Tensor:
    """Rows with many zeros, no two of them alike."""
    x = torch.rand(n, D, generator=generator(), dtype=torch.float64)
    return x * (torch.rand(n, D, generator=generator(2)) < 0.7)


def transitions(part: NeighbourWalk, x: torch.Tensor) -> np.ndarray:
    """The walk's matrix by scikit-learn's neighbours, (n, n)."""
    n = len(x)
    found = NearestNeighbors(n_neighbors=part.n_neighbors, metric=part.metric).fit(x.numpy())
    step = np.eye(n)
    for i, row in enumerate(found.kneighbors(return_distance=False)):
        step[i, row] = 1
    return np.linalg.matrix_power(step / step.sum(1, keepdims=True), part.steps)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("make", [lambda x: x, SparseBatch.of], ids=["dense", "sparse"])
def test_near_rows_are_those_of_scikit_learn(metric, make):
    x = some(40)
    near = NeighbourWalk(4, metric=metric).near(make(x))
    truth = NearestNeighbors(n_neighbors=4, metric=metric).fit(x.numpy())
    assert torch.equal(near[:, 0], torch.arange(40))
    assert np.array_equal(
        np.sort(near[:, 1:].numpy()), np.sort(truth.kneighbors(return_distance=False))
    )


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_walks_end_where_the_powers_of_their_matrix_say(steps):
    part, x, n_draws = NeighbourWalk(K, steps), some(), 2000
    truth, source = transitions(part, x), generator()
    ends = torch.stack([part.aims(x, source) for _ in range(n_draws)])
    share = np.stack([(ends == j).double().mean(0).numpy() for j in range(N)], axis=1)
    errors = np.sqrt(truth * (1 - truth) / n_draws)
    assert (np.abs(share - truth) <= 5 * errors + 1e-12).all()


@pytest.mark.parametrize("member", [Gaussian("shared"), Poisson()], ids=repr)
def test_the_objective_is_the_mean_over_the_ends(member):
    """Σ_j P_ij [−log p(x_j | f(x_i))], whether terms are summed or descended on."""
    z = draw_data(member, N, D, seed=4)
    model = wake(make_model(z.float(), member, n_components=2), size=0.2)
    part, n_draws = NeighbourWalk(K, 2, "euclidean"), 300
    with torch.no_grad():
        truth_of = torch.stack([model.nll(row.expand(N, D), model.encode(model.enter(z)))
                                for row in z], dim=1)  # fmt: skip
    chance = torch.from_numpy(transitions(part, model.enter(z)))
    truth = (chance * truth_of).sum(1)
    spread = ((chance * truth_of.square()).sum(1) - truth.square()).clamp_min(0)
    source = generator()
    for way in (Objective((part,)), Objective((part,)).descend):
        mean = sum(way(model, z, source).nll.detach() for _ in range(n_draws)) / n_draws
        assert ((mean - truth).abs() <= 5 * (spread / n_draws).sqrt() + 1e-9).all()


def test_gradients_are_those_of_the_rows_that_are_aimed_at():
    z = draw_data(Gaussian("shared"), N, D, seed=4)
    model = wake(make_model(z.float(), Gaussian("shared"), n_components=2), size=0.2)
    part = NeighbourWalk(K)
    ends = part.aims(model.enter(z), generator(5))
    assert not torch.equal(ends, torch.arange(N))
    model.zero_grad()
    model.nll(z[ends], model.encode(model.enter(z))).sum().backward()
    truth = [parameter.grad.clone() for parameter in model.parameters()]
    Objective((part,)).descend(model, z, generator(5))
    for parameter, grad in zip(model.parameters(), truth, strict=True):
        torch.testing.assert_close(parameter.grad, grad)


def test_rows_of_nothing_and_rows_alone_stay_where_they_are():
    x = some()
    x[3] = 0
    x[5], x[:5, 0], x[6:, 0] = 0, 0, 0
    x[5, 0] = 1  # has no word in common with any other
    ends = torch.stack(
        [NeighbourWalk(K, 4).aims(SparseBatch.of(x), generator(s)) for s in range(50)]
    )
    for row in (3, 5):
        assert (ends[:, row] == row).all()
        others = torch.arange(N) != row
        assert (ends[:, others] != row).all()
    assert NeighbourWalk().aims(x[:1], generator()).tolist() == [0]
    assert set(NeighbourWalk(100, 1).aims(x[:2], generator()).tolist()) <= {0, 1}


def test_rows_of_a_sparse_batch_are_taken_in_any_order():
    x, chosen = some(), torch.tensor([4, 4, 0, 11, 3])
    x[3] = 0
    assert torch.equal(take(SparseBatch.of(x), chosen).dense(), x[chosen])
    assert take(SparseBatch.of(x), chosen[:0]).shape == (0, D)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_neighbors", 0), ("n_neighbors", 1.5), ("steps", -1), ("steps", True), ("metric", "l1")],
)
def test_what_it_can_not_be_is_refused(name, value):
    with pytest.raises(InvalidParameterError, match=f"NeighbourWalk's {name} must be"):
        NeighbourWalk(**{name: value})
