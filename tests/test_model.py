"""The model: where it starts, in what units it speaks, and the bounds that it reports."""

import itertools
import math

import numpy as np
import pytest
import torch

from isthmus import BernoulliCode, Categorical, Deterministic, Gaussian, GaussianCode, NoisySigmoid
from isthmus.encoders import ENCODERS
from isthmus.model import Model
from isthmus.objective import Objective
from tests.likelihoods.cases import MEMBERS, draw_data, generator
from tests.problems import least_nll, make_model, wake

EVERY = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
N, D = 500, 4


# ---- step 0 -------------------------------------------------------------------------------------


@EVERY
def test_training_starts_at_the_entropy_of_the_columns(member):
    """One number for likelihood, units, reduction and initialisation."""
    x = draw_data(member, N, D, seed=5)
    model = make_model(x.float(), member, ENCODERS["gaussian"])
    terms = Objective()(model, x.float(), generator())
    assert float(terms.nll.detach().mean()) == pytest.approx(
        least_nll(member, x.numpy()), rel=2e-6
    )


@EVERY
def test_at_step_0_every_code_is_decoded_to_the_best_constant(member):
    x = draw_data(member, 50, D)
    model = make_model(x.float(), member)
    one, two = model.decode(torch.zeros(1, 3)), model.decode(torch.full((1, 3), 7.0))
    for a, b, start in zip(one, two, member.start(x), strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(a.reshape(-1), start.float().reshape(-1))


@EVERY
def test_weights_hold_what_is_learned_and_nothing_else(member):
    model = make_model(draw_data(member, 50, D).float(), member)
    kinds = {p.name: p.varies for p in member.traits.parameters}
    learned = {name for name, varies in kinds.items() if varies in ("feature", "shared")}
    assert set(model.parameters_of_all_rows) == learned
    fixed = {name for name, _ in model.named_buffers() if name.startswith("fixed_")}
    assert fixed == {f"fixed_{name}" for name, varies in kinds.items() if varies == "fixed"}


# ---- units --------------------------------------------------------------------------------------


def test_scaling_is_undone_on_the_way_out():
    x = torch.randn(6, 3, dtype=torch.float64, generator=generator())
    model = make_model(x.float(), Gaussian(), scale=torch.tensor([2.0, 1e-3, 1e4]))
    model.center.copy_(torch.tensor([1.0, -5.0, 1e6]))
    torch.testing.assert_close(model.unscaled(model.scaled(x)), x)
    torch.testing.assert_close(model.scaled(x)[:, 2], (x[:, 2] - 1e6) / 1e4)


def test_means_and_samples_are_in_the_users_units():
    z = torch.randn(4000, 2, generator=generator())
    scale = torch.tensor([3.0, 1e-3])
    model = make_model(z, Gaussian(), scale=scale).double()
    model.center.copy_(torch.tensor([10.0, -2.0]))
    h = torch.zeros(4000, 3, dtype=torch.float64)
    truth = model.center + scale * z.double().mean(0)
    torch.testing.assert_close(model.mean(h)[0], truth, rtol=1e-6, atol=0)
    draws = model.sample(h, generator())
    assert ((draws.mean(0) - truth).abs() < 5 * scale / math.sqrt(4000)).all()
    torch.testing.assert_close(draws.std(0), scale.double(), rtol=0.1, atol=0)


@pytest.mark.parametrize("member", [m for m in MEMBERS.values() if m.traits.scaling != "none"])
def test_densities_lose_the_logarithm_of_the_scale(member):
    z, scale = draw_data(member, 5, D).float(), torch.tensor([0.1, 2.0, 30.0, 1e4])
    plain, scaled = make_model(z, member), make_model(z, member, scale=scale)
    torch.testing.assert_close(
        scaled.evidence(z)[0], plain.evidence(z)[0] - scale.log(), rtol=1e-6, atol=1e-5
    )
    shift = float(scale.log().sum())
    assert scaled.log_volume == pytest.approx(shift)
    one, two = (m.importance_bound(z, 3, generator()) for m in (plain, scaled))
    torch.testing.assert_close(two, one - shift, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("member", [m for m in MEMBERS.values() if m.traits.entry == "log1p"])
def test_counts_enter_as_logarithms(member):
    x = draw_data(member, 5, D)
    torch.testing.assert_close(make_model(x.float(), member).enter(x), (1 + x).log())


def test_categories_enter_as_one_column_per_level():
    x = torch.tensor([[0.0, 2.0], [1.0, 0.0]])
    model = make_model(x, Categorical(3))
    assert model.entry_width == 3
    assert model.enter(x).tolist() == [[1, 0, 0, 0, 0, 1], [0, 1, 0, 1, 0, 0]]


# ---- evidence -----------------------------------------------------------------------------------


def exact_bits(model: Model, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """log p(x) and the evidence bound for a code of few bits, by going through all codes."""
    k = model.shape.n_components
    p = torch.sigmoid(model.encode(model.enter(z)))
    joint, bound = [], torch.zeros(len(z), dtype=z.dtype)
    for bits in itertools.product([0.0, 1.0], repeat=k):
        h = torch.tensor(bits, dtype=z.dtype).expand(len(z), k)
        log_prob = model.log_prob(z, h).sum(1)
        joint.append(log_prob - k * math.log(2))
        chance = torch.where(h > 0, p, 1 - p).prod(1)
        bound += chance * (joint[-1] - chance.log())
    return torch.stack(joint).logsumexp(0), bound


def exact_gaussian(model: Model, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """log p(x) and the evidence bound for a code of one unit, by a fine sum over its line."""
    grid = torch.linspace(-12, 12, 4801, dtype=z.dtype)
    step = float(grid[1] - grid[0])
    eta = model.encode(model.enter(z))
    mean, log_scale = model.encoder.split(eta)
    log_prob = torch.stack(
        [model.log_prob(z, h.expand(len(z), 1)).sum(1) for h in grid.unsqueeze(1)], 1
    )
    log_prior = torch.distributions.Normal(0.0, 1.0).log_prob(grid)
    posterior = torch.distributions.Normal(mean, log_scale.exp())
    chance = posterior.log_prob(grid).exp() * step
    evidence = (log_prob + log_prior + math.log(step)).logsumexp(1)
    bound = (chance * (log_prob + log_prior - posterior.log_prob(grid))).sum(1)
    return evidence, bound


BOUNDED = {
    "bits": (BernoulliCode(), 3, exact_bits),
    "gaussian": (GaussianCode(), 1, exact_gaussian),
}


@pytest.fixture(params=BOUNDED.values(), ids=BOUNDED)
def bounded(request):
    """A model whose code has a prior, rows, and their exact log p(x) and evidence bound."""
    encoder, k, exact = request.param
    z = draw_data(Gaussian(), 5, D, seed=2).clamp(-3, 3)
    model = wake(make_model(z.float(), Gaussian(), encoder, n_components=k), size=0.3)
    with torch.no_grad():
        if encoder.outputs == 2:  # wider than the posterior, or the weights have no variance
            last = model.encoder_network.linear_layers[-1]
            last.weight[1:], last.bias[1:] = 0.0, 0.3
        return model, z, *exact(model, z)


@torch.no_grad()
def test_evidence_is_the_expected_log_prob_less_the_divergence(bounded):
    model, z, log_evidence, bound = bounded
    log_prob, kl = model.evidence(z)
    assert log_prob.shape == (5, D)
    assert kl.shape == (5, model.shape.n_components)
    assert (bound < log_evidence - 1e-3).all()
    # the average over 32 fixed points is not the expectation, but near
    spread = log_evidence - bound
    assert ((log_prob.sum(1) - kl.sum(1) - bound).abs() < 0.15 * (1 + spread)).all()


@torch.no_grad()
def test_evidence_of_a_linear_gaussian_model_is_exact():
    """E log N(x; W h + b, σ²) = log N(x; W μ + b, σ²) − Σ_j ‖W_j‖² σ_j² / 2σ², h ~ N(μ, σ_j²)."""
    z = draw_data(Gaussian(), 6, D)
    model = wake(make_model(z.float(), Gaussian(0.7), GaussianCode(), hidden=()))
    mean, log_scale = model.encoder.split(model.encode(z))
    weight = model.decoder_network.linear_layers[0].weight
    spread = log_scale.exp().square() @ weight.square().T / (2 * 0.7**2)
    truth = model.log_prob(z, mean) - spread
    torch.testing.assert_close(model.evidence(z)[0].sum(1), truth.sum(1), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_importance_bound_lies_between_the_evidence_bound_and_the_evidence(bounded):
    model, z, log_evidence, bound = bounded
    source, repeats = generator(), 100
    before = bound
    for n_samples in (1, 4, 32):
        draws = torch.stack([model.importance_bound(z, n_samples, source) for _ in range(repeats)])
        error = 5 * draws.std(0) / math.sqrt(repeats)
        mean = draws.mean(0)
        assert (mean >= before - error).all(), "more samples never lower the bound"
        assert (mean <= log_evidence + error).all()
        if n_samples == 1:
            assert ((mean - bound).abs() <= error).all(), "one sample is the evidence bound"
        before = mean - error


@torch.no_grad()
def test_importance_bound_tends_to_the_evidence(bounded):
    model, z, log_evidence, _ = bounded
    found = model.importance_bound(z, 4000, generator())
    torch.testing.assert_close(found, log_evidence, rtol=0, atol=0.05)


@pytest.mark.parametrize("encoder", [Deterministic(), NoisySigmoid()], ids=repr)
@torch.no_grad()
def test_without_a_prior_both_bounds_are_the_log_prob_at_the_code(encoder):
    z = draw_data(Gaussian(), 5, D)
    model = wake(make_model(z.float(), Gaussian(), encoder))
    truth = model.log_prob(z, model.code(z))
    log_prob, kl = model.evidence(z)
    torch.testing.assert_close(log_prob, truth)
    assert kl.abs().sum() == 0
    torch.testing.assert_close(model.importance_bound(z, 7, generator()), truth.sum(1))


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_code_and_evidence_are_row_by_row(name):
    z = draw_data(Gaussian(), 7, D)
    model = wake(make_model(z.float(), Gaussian(), ENCODERS[name]))
    for i in range(7):
        torch.testing.assert_close(model.code(z)[i : i + 1], model.code(z[i : i + 1]))
        for one, all_of_them in zip(model.evidence(z[i : i + 1]), model.evidence(z), strict=True):
            torch.testing.assert_close(one[0], all_of_them[i])


# ---- half precision -----------------------------------------------------------------------------


@torch.no_grad()
def test_half_precision_is_for_the_networks_only_and_ends_with_its_block():
    z = draw_data(Gaussian("row"), 20, D).float()
    model = wake(make_model(z, Gaussian("row"), hidden=(64,))).float()
    full = model.log_prob(z, model.code(z))
    with model.computing_in_half_precision(True):
        half = model.log_prob(z, model.code(z))
        assert all(part.dtype == torch.float32 for part in model.decode(model.code(z)))
        assert all(weight.dtype == torch.float32 for weight in model.parameters())
    assert not model.half_precision
    assert not torch.equal(full, half)
    assert np.median((full - half).abs().numpy()) < 0.1
