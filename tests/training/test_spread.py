"""Labels spread over a graph: against scikit-learn, the inverse of the matrix, and geometry."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.semi_supervised import LabelSpreading

from isthmus.training import graph_rows, spread_labels
from isthmus.training import spread as spread_module
from isthmus.training.spread import DOUBT, FLOW, spread

K = 3


def cloud(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


def near_of(x, k):
    distances = cdist(x, x)
    np.fill_diagonal(distances, np.inf)
    return distances.argsort(1)[:, :k]


def joined(near):
    graph = np.zeros((len(near), len(near)))
    graph[np.arange(len(near))[:, None], near] = 1
    return np.maximum(graph, graph.T)


def few_labels(n, classes=K):
    y = np.full(n, -1)
    y[: 2 * classes] = np.arange(2 * classes) % classes
    return y


def one_hot(y, classes=K):
    return (y[:, None] == np.arange(classes)).astype(float)


def without_doubt(found):
    return (found - DOUBT / found.shape[1]) / (1 - DOUBT)


@pytest.mark.parametrize(("n", "k"), [(60, 5), (200, 8), (12, 11)])
def test_labels_spread_as_scikit_learn_spreads_them(n, k):
    x, y = cloud(n), few_labels(n)
    near = near_of(x, k)
    judge = LabelSpreading(lambda a, b: joined(near), alpha=FLOW, max_iter=20_000, tol=1e-10)
    truth = judge.fit(x, y).label_distributions_
    np.testing.assert_allclose(without_doubt(spread(near, one_hot(y))), truth, atol=1e-5)


def test_weights_of_labels_weigh_as_in_the_inverse():
    near, y = near_of(cloud(50), 4), one_hot(few_labels(50))
    y *= np.random.default_rng(1).uniform(0.2, 5, size=(50, 1))
    graph = joined(near)
    degree = graph.sum(1)
    flow = graph / np.sqrt(np.outer(degree, degree))
    truth = np.linalg.inv(np.eye(50) - FLOW * flow) @ y
    truth /= truth.sum(1, keepdims=True)
    np.testing.assert_allclose(without_doubt(spread(near, y)), truth, atol=1e-5)


def test_where_no_label_arrives_every_class_is_as_probable():
    x = cloud(40)
    x[20:] += 100
    found = spread(near_of(x, 3), one_hot(few_labels(40)))
    np.testing.assert_allclose(found[20:], 1 / K, rtol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    assert (found >= DOUBT / K).all()
    assert (np.ptp(found[:20], axis=1) > 0.02).all()


def test_two_rings_are_told_apart_by_a_label_each():
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1)
    x, truth = np.concatenate([ring, 2 * ring]), np.repeat([0, 1], 300)
    y = np.zeros((600, 2))
    y[0, 0] = y[450, 1] = 1
    prior = spread_labels(torch.from_numpy(x), np.arange(600), 600, y, 4)
    assert (prior(torch.arange(600)).argmax(1).numpy() == truth).all()


def test_rows_outside_of_the_graph_have_an_even_prior_and_others_their_own():
    x, y, chosen = cloud(30), one_hot(few_labels(30)), np.arange(0, 90, 3)
    prior = spread_labels(torch.from_numpy(x), chosen, 90, y, 4)
    np.testing.assert_allclose(prior(torch.tensor([1, 89])), np.log(1 / K), rtol=1e-6)
    np.testing.assert_allclose(
        prior(torch.from_numpy(chosen)).exp(), spread(near_of(x, 4), y), rtol=1e-5
    )


def test_two_rows_are_a_graph():
    prior = spread_labels(torch.tensor([[0.0], [1.0]]), np.arange(2), 2, np.eye(2), 8)
    assert prior(torch.arange(2)).argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize(("n", "n_labelled"), [(10, 4), (500, 40), (500, 200)])
def test_labelled_rows_come_first_into_the_graph(monkeypatch, n, n_labelled):
    monkeypatch.setattr(spread_module, "GRAPH_ROWS", 100)
    rng = np.random.default_rng(0)
    labelled = np.sort(rng.choice(n, n_labelled, replace=False))
    chosen = graph_rows(labelled, n, rng)
    assert len(chosen) == len(set(chosen)) == min(n, 100)
    assert (np.diff(chosen) > 0).all()
    assert len(np.intersect1d(chosen, labelled)) == min(n_labelled, 100)
