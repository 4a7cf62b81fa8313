"""log p(x) against the closed form, and errors that cover it as often as they say."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from isthmus import (
    Autoencoder,
    BernoulliCode,
    Categorical,
    Columns,
    Gaussian,
    GaussianCode,
    InvalidDataError,
    InvalidParameterError,
    Poisson,
)
from isthmus.analysis import annealed_log_evidence, log_evidence, parzen_log_likelihood
from tests.likelihoods.cases import MEMBERS, draw_data
from tests.problems import LinearVariational, make_model, wake

PROBLEMS = {
    "best encoder": LinearVariational(),
    "too narrow and shifted": LinearVariational(width=0.6, shift=0.5),
    "correlated posterior": LinearVariational(alike=1.0),
    "many units": LinearVariational(20, 8, 0.5, width=0.8, shift=0.2),
}
RUNS = 100


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_log_evidence_is_the_closed_form_and_its_error_is_honest(problem):
    truth = problem.log_evidence
    found = [
        log_evidence(problem.model, problem.rows, 400, random_state=seed) for seed in range(RUNS)
    ]
    estimates = np.stack([each.log_evidence for each in found])
    errors = np.stack([each.standard_error for each in found])
    assert np.abs(estimates[0] - truth).mean() < 0.005 * np.abs(truth).mean()
    scaled = (estimates - truth) / errors
    # of 2,000 intervals; the rows of a run are independent draws
    assert 0.93 < (np.abs(scaled) < 1.96).mean() < 0.97
    assert abs(scaled.mean()) < 0.15


def test_one_narrow_encoder_would_be_believed_wrongly():
    """Why draws from p(h | x) alone don't do: their own error is far too small."""
    problem = PROBLEMS["too narrow and shifted"]
    z, generator = torch.from_numpy(problem.rows), torch.Generator().manual_seed(0)
    with torch.no_grad():
        bounds = torch.stack([problem.model.importance_bound(z, 400, generator) for _ in range(9)])
    bounds = bounds.numpy()
    ours = log_evidence(problem.model, problem.rows, 400, random_state=0)
    assert (problem.log_evidence - bounds.mean(0)).mean() > 0.1
    assert np.abs(ours.log_evidence - problem.log_evidence).mean() < 0.05


def test_annealing_agrees():
    problem = PROBLEMS["correlated posterior"]
    rows, truth = problem.rows, problem.log_evidence
    found = annealed_log_evidence(problem.model, rows, 150, 32, n_leapfrog=6, random_state=0)
    scaled = (found.log_evidence - truth) / found.standard_error
    assert np.abs(scaled).max() < 4
    assert np.sqrt((scaled**2).mean()) < 2
    assert found.standard_error.max() < 0.6
    other = log_evidence(problem.model, rows, random_state=0)
    gap = found.log_evidence - other.log_evidence
    assert (np.abs(gap) < 4 * np.hypot(found.standard_error, other.standard_error)).all()


MIXED = Columns((Gaussian(), Categorical(3), Poisson(), Gaussian("row")))
DECODED = {**MEMBERS, "a table with holes": MIXED}


def decoded(member):
    """A model of one unit, rows for it, and log p(x) by quadrature over the unit."""
    if isinstance(member, Columns):
        rows = torch.cat([draw_data(part, 100, 1, seed=4) for part in member.parts], 1)[:9]
        model = wake(make_model(rows, member, GaussianCode(), 1), size=0.3)
        rows[::2, 0] = rows[::3, 1] = torch.nan
    else:
        rows = draw_data(member, 9, 4, seed=4)
        model = wake(make_model(rows, member, GaussianCode(), 1), size=0.3)
    h = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        log_p = torch.stack([-model.nll(x.expand(len(h), -1), h) for x in rows])
    log_p += torch.from_numpy(norm.logpdf(h[:, 0].numpy()))
    return model, rows, (log_p.logsumexp(1) + np.log(18 / 4000)).numpy()


@pytest.mark.parametrize("member", DECODED.values(), ids=DECODED)
def test_any_likelihood_by_quadrature(member):
    model, rows, truth = decoded(member)
    found = log_evidence(model, rows.numpy(), 2000, random_state=0)
    gap = np.abs(found.log_evidence - truth)
    assert (gap < 4.5 * found.standard_error + 1e-9 * np.abs(truth)).all()
    assert found.standard_error.max() < 0.2


@pytest.mark.parametrize("name", ["Gaussian(scale='row', floor=0.001)", "a table with holes"])
def test_annealing_of_a_nonlinear_decoder_by_quadrature(name):
    model, rows, truth = decoded(DECODED[name])
    found = annealed_log_evidence(model, rows.numpy(), 40, 32, random_state=0)
    assert (np.abs(found.log_evidence - truth) < 4.5 * found.standard_error + 1e-9).all()


def test_a_code_of_bits_by_enumeration():
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(12, 4)))
    model = wake(make_model(rows, Gaussian(0.7), BernoulliCode(), 5))
    bits = torch.tensor([[i >> j & 1 for j in range(5)] for i in range(32)]).double()
    with torch.no_grad():
        joint = torch.stack([model.log_prob(x[None], bits).sum(1) for x in rows])
    truth = (joint.logsumexp(1) - 5 * np.log(2)).numpy()
    found = log_evidence(model, rows.numpy(), 4000, random_state=0)
    assert (np.abs(found.log_evidence - truth) < 4 * found.standard_error).all()
    assert found.standard_error.max() < 0.2


def test_units_are_the_users_and_seeds_are_kept():
    rows = np.random.default_rng(0).normal(size=(300, 3)) * [1.0, 50.0, 1e-3]
    model = Autoencoder(
        2, hidden=(), encoder="gaussian", likelihood="gaussian", max_epochs=200, learning_rate=1e-2
    )
    model.set_params(random_state=0, validation_fraction=0).fit(rows)
    found = log_evidence(model, rows[:50], random_state=3)
    again = log_evidence(model, rows[:50], random_state=3)
    assert np.array_equal(found.log_evidence, again.log_evidence)
    bound = model.log_likelihood(rows[:50], 2000)
    np.testing.assert_allclose(found.log_evidence, bound, atol=0.1)
    assert (found.effective_samples > 100).all()


@pytest.mark.parametrize("function", [log_evidence, annealed_log_evidence])
def test_a_deterministic_code_has_no_evidence(function):
    rows = np.random.default_rng(0).normal(size=(50, 3))
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(rows)
    with pytest.raises(InvalidParameterError, match=r"Deterministic.*encoder='gaussian'"):
        function(model, rows)


def test_bad_input_is_refused_by_name():
    problem = PROBLEMS["best encoder"]
    with pytest.raises(InvalidParameterError, match="n_samples must be a whole number, 10"):
        log_evidence(problem.model, problem.rows, 1)
    with pytest.raises(InvalidDataError, match="columns"):
        log_evidence(problem.model, problem.rows[:, :4])
    with pytest.raises(InvalidDataError, match="Row 1 is too far out"):
        log_evidence(problem.model, np.array([[0.0], [1e200]]) * np.ones(10))
    with pytest.raises(InvalidParameterError, match="n_chains"):
        annealed_log_evidence(problem.model, problem.rows, 10, 1)
    bits = make_model(torch.from_numpy(problem.rows), Gaussian(1.0), BernoulliCode())
    with pytest.raises(InvalidParameterError, match="one of bits"):
        annealed_log_evidence(bits, problem.rows)


# ---- Parzen windows -------------------------------------------------------------------------


def test_windows_are_a_mean_of_normal_densities():
    rng = np.random.default_rng(0)
    samples, rows = rng.normal(size=(200, 3)) + 1e3, rng.normal(size=(30, 3)) + 1e3
    found = parzen_log_likelihood(samples, rows, 0.4)
    each = [multivariate_normal(s, 0.16 * np.eye(3)).pdf(rows) for s in samples]
    np.testing.assert_allclose(found.log_likelihood, np.log(np.mean(each, 0)), rtol=1e-8)
    assert found.bandwidth == 0.4


def test_the_bandwidth_is_the_best_on_the_validation_rows():
    rng = np.random.default_rng(0)
    samples, held_out = rng.normal(size=(400, 2)), rng.normal(size=(400, 2))
    found = parzen_log_likelihood(samples, held_out, validation=held_out)
    best = found.log_likelihood.mean()
    for factor in (0.8, 0.95, 1.05, 1.25):
        other = parzen_log_likelihood(samples, held_out, factor * found.bandwidth)
        assert other.log_likelihood.mean() < best
    # Silverman's rule for two dimensions: n^(−1/6)
    own = parzen_log_likelihood(samples, held_out)
    for each in (found, own):
        assert each.bandwidth == pytest.approx(400 ** (-1 / 6), rel=0.4)


def test_windows_mislead_as_the_docstring_says():
    """Theis et al. (2016): fewer windows at means of the data beat draws of the true density."""
    rng = np.random.default_rng(0)
    drawn, rows = rng.normal(size=(500, 50)), rng.normal(size=(500, 50))
    shrunk = np.array([[0.0], [1e-3]]) * np.ones(50)
    honest = parzen_log_likelihood(drawn, rows, validation=rows).log_likelihood.mean()
    useless = parzen_log_likelihood(shrunk, rows, validation=rows).log_likelihood.mean()
    assert useless > honest


def test_windows_refuse_bad_input():
    rows = np.random.default_rng(0).normal(size=(20, 3))
    for bandwidth in (0, -1.0, float("nan"), "wide"):
        with pytest.raises(InvalidParameterError, match="bandwidth must be a positive number"):
            parzen_log_likelihood(rows, rows, bandwidth)
    with pytest.raises(InvalidDataError, match="2 columns, but the samples have 3"):
        parzen_log_likelihood(rows, rows[:, :2])
    with pytest.raises(InvalidDataError, match="One sample"):
        parzen_log_likelihood(rows[:1], rows)
