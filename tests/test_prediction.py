"""p(y | h) and its objective against closed forms and torch's own gradients."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch.nn import functional as F

from isthmus import Categorical, Gaussian, GaussianNoise, Masking
from isthmus.objective import Objective
from isthmus.prediction import Labelled, Predictor, Supervision, Thaw, make_head
from isthmus.training import Part, Stepper, steady
from isthmus.virtual import Confident, Drawn, Expected, aligned
from tests.problems import make_model, wake

N, D, K = 40, 5, 3


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch(rng):
    z = torch.from_numpy(rng.normal(size=(N, D)))
    y = torch.from_numpy(rng.integers(0, K, size=(N, 1))).double()
    weight = torch.from_numpy(rng.uniform(0.5, 2, size=N))
    others = torch.from_numpy(rng.normal(size=(2 * N, D)))
    return Labelled(z, y, weight, others)


def predictor(z, likelihood=None, start=None, scaling=(0.0, 1.0), hidden=(6, 4)):
    model = make_model(z, Gaussian(), n_components=2, hidden=hidden)
    likelihood = likelihood or Categorical(K)
    if start is None:
        start = (torch.zeros(1, K, dtype=torch.float64),)
    head = make_head(likelihood, (2, 7), "tanh", start, scaling, generator())
    return Predictor(wake(model), wake(head)).double()


def supervision(*corruptions, reconstruction=0.0, consistency=0.0, virtual=None, thaw=None):
    return Supervision(
        Objective(corruptions), Objective(), reconstruction, consistency,
        virtual or Confident(0.6), thaw=thaw,
    )  # fmt: skip


def test_labels_cost_their_weighted_cross_entropy(batch):
    both = predictor(batch.z)
    logits = both.head.decoder_network(both.model.code(batch.z))
    expected = batch.weight * F.cross_entropy(logits, batch.y[:, 0].long(), reduction="none")
    terms = supervision()(both, batch, generator())
    torch.testing.assert_close(terms.nll, expected)
    assert terms.penalties == {}
    torch.testing.assert_close(supervision().cost(both, batch, generator()), expected)


def test_numbers_cost_their_gaussian_density_in_the_users_units(batch):
    center, scale = 40.0, 7.0
    start = (torch.zeros(1).double(), torch.zeros(1).double())
    both = predictor(batch.z, Gaussian("shared"), start, (center, scale))
    y = torch.linspace(20, 60, N).double()[:, None]
    labelled = Labelled(batch.z, both.head.scaled(y), torch.ones(N).double())
    h = both.model.code(batch.z)
    mean = both.head.mean(h)
    eta = both.head.decode(h)[1]
    std = scale * both.head.likelihood.log_scale(eta).exp()
    expected = -torch.distributions.Normal(mean, std).log_prob(y).sum(1)
    torch.testing.assert_close(supervision()(both, labelled, generator()).nll, expected)


def test_gradients_are_those_of_the_three_means(batch):
    both = predictor(batch.z)
    objective = supervision(reconstruction=0.3, consistency=2.0)
    terms = objective.descend(both, batch, generator(), weight=1 / len(batch.others))
    found = {name: p.grad.clone() for name, p in both.named_parameters() if p.grad is not None}
    both.zero_grad()

    def logits(z):
        return both.head.decoder_network(both.model.code(z))

    y = batch.y[:, 0].long()
    labels = (batch.weight * F.cross_entropy(logits(batch.z), y, reduction="none")).mean()
    probability, virtual = logits(batch.others).softmax(1).detach().max(1)
    sure = (probability >= 0.6).double()
    assert 0 < sure.sum() < len(sure)
    cross = F.cross_entropy(logits(batch.others), virtual, reduction="none")
    virtual_labels = 2.0 * (sure * cross).mean()
    rows = 0.3 * both.model.nll(batch.others, both.model.code(batch.others)).mean()
    (labels + virtual_labels + rows).backward()
    assert terms.penalties["consistency"][0].item() == pytest.approx(virtual_labels.item())
    assert terms.penalties["reconstruction"][0].item() == pytest.approx(rows.item())
    assert len(found) > 8
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, both.get_parameter(name).grad)


def test_a_short_batch_weighs_less(batch):
    both = predictor(batch.z)
    alone = Labelled(batch.z, batch.y, batch.weight)
    gradients = []
    for weight in (1 / N, 1 / (4 * N)):
        supervision().descend(both, alone, generator(), weight=weight)
        gradients.append(both.head.decoder_network.linear_layers[0].weight.grad.clone())
    torch.testing.assert_close(gradients[0], 4 * gradients[1])


def test_labelled_and_virtual_rows_are_corrupted_and_reconstructed_ones_by_their_own(batch):
    both = predictor(batch.z)
    clean = supervision(consistency=1.0)(both, batch, generator())
    noisy = supervision(GaussianNoise(0.5), consistency=1.0)(both, batch, generator())
    assert not torch.allclose(clean.nll, noisy.nll)
    assert not torch.allclose(clean.penalties["consistency"], noisy.penalties["consistency"])
    x = batch.z + 0.5 * torch.empty_like(batch.z).normal_(generator=generator())
    logits = both.head.decoder_network(both.model.code(x))
    expected = batch.weight * F.cross_entropy(logits, batch.y[:, 0].long(), reduction="none")
    torch.testing.assert_close(noisy.nll, expected)
    with_rows = supervision(Masking(0.5), reconstruction=1.0)(both, batch, generator())
    rows = both.model.nll(batch.others, both.model.code(batch.others)).mean()
    torch.testing.assert_close(with_rows.penalties["reconstruction"][0], rows)


def test_drawn_labels_cost_the_divergence_plus_the_entropy():
    p, n = Gaussian(1.0), 200_000
    zero = torch.zeros(1).double()
    mean, other = torch.zeros(n, 1).double(), torch.full((n, 1), 0.7).double()
    cross = Drawn()(p, (mean, zero), (other, zero), generator())
    expected = 0.5 * math.log(2 * math.pi * math.e) + 0.5 * 0.7**2
    error = float(cross.std()) / math.sqrt(n)
    assert abs(float(cross.mean()) - expected) < 5 * error


def test_expected_labels_cost_the_divergence(rng):
    one, two = (torch.from_numpy(rng.normal(size=(20, 1, 4))) for _ in range(2))
    found = Expected()(Categorical(4), (one,), (two,), generator())
    p, q = softmax(one[:, 0].numpy(), axis=1), softmax(two[:, 0].numpy(), axis=1)
    np.testing.assert_allclose(found, entropy(p, q, axis=1))


def test_what_near_labels_say_is_a_prior(batch, rng):
    """p(ŷ | x) ∝ p(y | f(x)) s(y), worked out beside the objective."""
    both, s = predictor(batch.z), rng.dirichlet(np.ones(K), size=2 * N)
    known = replace(batch, log_prior=torch.from_numpy(np.log(s)))
    objective = supervision(consistency=2.0, virtual=Expected())
    p = softmax(both.decode(both.code(batch.others))[0].detach()[:, 0].numpy(), axis=1)
    asked = p * s / (p * s).sum(1, keepdims=True)
    truth = 2.0 * entropy(asked, p, axis=1).mean()
    found = objective(both, known, generator()).penalties["consistency"][0].item()
    assert found == pytest.approx(truth, rel=1e-9)


def test_shares_of_classes_are_a_second_prior(batch, rng):
    """p(ŷ | x) ∝ p(y | f(x)) s(y) π(y) / p̄(y), worked out beside the objective."""
    both, s = predictor(batch.z), rng.dirichlet(np.ones(K), size=2 * N)
    known = replace(batch, log_prior=torch.from_numpy(np.log(s)))
    shares = rng.dirichlet(np.ones(K))
    objective = supervision(consistency=2.0, virtual=Expected())
    objective = replace(objective, shares=torch.from_numpy(shares))
    p = softmax(both.decode(both.code(batch.others))[0].detach()[:, 0].numpy(), axis=1)
    asked = p * s / (p * s).sum(1, keepdims=True)
    asked *= shares / ((asked.sum(0) + K * shares) / (2 * N + K))
    asked /= asked.sum(1, keepdims=True)
    truth = 2.0 * entropy(asked, p, axis=1).mean()
    found = objective(both, known, generator()).penalties["consistency"][0].item()
    assert found == pytest.approx(truth, rel=1e-9)


def test_aligned_rows_come_near_the_shares_in_their_mean(rng):
    shares = torch.tensor([0.7, 0.2, 0.1]).double()
    eta = (torch.from_numpy(rng.normal(size=(50_000, 1, 3))),)
    before, after = (each[0].flatten(1).softmax(1).mean(0) for each in (eta, aligned(eta, shares)))
    assert (after - shares).abs().max() < (before - shares).abs().max() / 4
    right = (shares.log().expand(40, 3).reshape(40, 1, 3),)
    torch.testing.assert_close(aligned(right, shares)[0], right[0])


def test_few_rows_of_many_classes_are_hardly_moved(rng):
    eta = (torch.from_numpy(rng.normal(size=(2, 1, 1000))),)
    even = torch.full((1000,), 1e-3).double()
    before, after = (each[0].flatten(1).softmax(1) for each in (eta, aligned(eta, even)))
    assert (before - after).abs().sum(1).max() < 0.01


def test_only_confident_classes_count():
    eta = torch.tensor([[[0.0, 0.0]], [[0.0, math.log(9)]], [[math.log(19), 0.0]]]).double()
    found = torch.tensor([[[0.0, 0.0]], [[0.0, math.log(3)]], [[0.0, math.log(3)]]]).double()
    cost = Confident(0.9 - 1e-6)(Categorical(2), (eta,), (found,), generator())
    np.testing.assert_allclose(cost, [0, -math.log(0.75), -math.log(0.25)])


def test_the_adversarys_step_is_along_the_weights_of_a_linear_classifier(batch):
    """Of two classes softmax(Wx), the divergence rises along ±(w_1 − w_0) only."""
    start = (torch.zeros(1, 2).double(),)
    model = wake(make_model(batch.z, Gaussian(), n_components=2, hidden=())).double()
    both = Predictor(model, wake(make_head(
        Categorical(2), (2,), "tanh", start, (0.0, 1.0), generator()
    )).double())  # fmt: skip
    down = both.model.encoder_network.linear_layers[0]
    up = both.head.decoder_network.linear_layers[0]
    line = ((up.weight @ down.weight)[1] - (up.weight @ down.weight)[0]).detach()
    objective = replace(supervision(consistency=1.0, virtual=Expected()), radius=0.5)
    batch = replace(batch, y=batch.y.clamp_max(1))
    cost = objective(both, batch, generator()).penalties["consistency"][0]
    logits = both.head.decoder_network(both.model.code(batch.others)).detach()
    p = logits.softmax(1)
    costs = []
    for sign in (-1, 1):
        moved = batch.others + sign * 0.5 * line / line.norm()
        q = both.head.decoder_network(both.model.code(moved)).softmax(1)
        costs.append((p * (p.log() - q.log())).sum(1))
    low, high = torch.minimum(*costs).mean(), torch.maximum(*costs).mean()
    assert float(low.detach()) <= float(cost.detach()) <= float(high.detach())
    assert float(low.detach()) > 0.8 * float(high.detach()) > 0
    random = replace(objective, radius=0.0, seen=Objective((GaussianNoise(0.5 / D**0.5),)))
    assert random(both, batch, generator()).penalties["consistency"][0].item() < float(
        low.detach()
    )


def test_layers_thaw_from_the_top_until_half_of_the_training_is_done(batch):
    both = predictor(batch.z)
    layers = tuple(tuple(layer) for layer in both.encoder_layers())
    assert [layer[0].shape for layer in layers] == [(6, 5), (4, 6), (2, 4)]
    thaw = Thaw(layers)
    for progress, free in ((0.0, 0), (0.16, 0), (0.17, 1), (0.34, 2), (0.5, 3), (1.0, 3)):
        thaw(progress)
        moving = [all(p.requires_grad for p in layer) for layer in layers]
        assert moving == [False] * (3 - free) + [True] * free
        assert all(p.requires_grad for p in both.head.parameters())


def test_frozen_layers_have_no_gradient(batch):
    both = predictor(batch.z)
    both.hold(2, decoder=True)
    supervision().descend(both, batch, generator())
    given = [layer[0].grad is not None for layer in both.encoder_layers()]
    assert given == [False, False, True]
    assert all(p.grad is None for p in both.model.decoder_network.parameters())


def test_parts_move_at_their_own_speeds(batch):
    both = predictor(batch.z)
    layers = both.encoder_layers()
    parts = [Part(tuple(layer), 0.5**i) for i, layer in enumerate(layers)]
    parts.append(Part(tuple(both.others())))
    before = [layer[0].detach().clone() for layer in layers]
    stepper = Stepper(both, "sgd", 1e-3, lambda step: 1.0, parts)
    supervision().descend(both, batch, generator())
    stepper.step()
    rates = [
        float(((old - layer[0]) / layer[0].grad).detach().median())
        for old, layer in zip(before, layers, strict=True)
    ]
    assert rates == pytest.approx([rates[0], rates[0] / 2, rates[0] / 4])
    assert rates[0] == pytest.approx(1.9e-3)  # Nesterov's first step is 1 + 0.9 times as long


def test_a_part_that_thaws_late_begins_its_moments_then(batch):
    """Adam's first step has the length of the rate in every number, whenever it comes."""
    both = predictor(batch.z)
    layers = tuple(tuple(layer) for layer in both.encoder_layers())
    parts = [*(Part(layer) for layer in layers), Part(tuple(both.others()))]
    stepper = Stepper(both, "adam", 1e-3, steady, parts)
    objective = supervision(thaw=Thaw(layers))
    for progress in (0.0, 0.1, 0.4):
        before = layers[-1][0].detach().clone()
        objective.descend(both, batch, generator(), progress)
        stepper.step()
    moved = np.abs((layers[-1][0].detach() - before).numpy())
    assert np.allclose(moved, 1e-3 * 3 / 100, rtol=1e-3)


def test_places_that_are_not_finite_are_named(batch):
    both = predictor(batch.z)
    assert supervision().suspect(both, batch) is None
    with torch.no_grad():
        both.head.decoder_network.linear_layers[0].bias[0] = math.nan
    assert "log-likelihood of a label" in supervision().suspect(both, batch)
    with torch.no_grad():
        both.model.encoder_network.linear_layers[-1].bias[1] = math.inf
    assert "code unit 1" in supervision().suspect(both, batch)
