"""The conventions of the library as laws: seeds, rows, units, bounds, samples."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from isthmus import (
    Autoencoder,
    BernoulliCode,
    Categorical,
    Contractive,
    Deterministic,
    Gaussian,
    GaussianCode,
    InvalidParameterError,
    Laplace,
    Masking,
    NoisySigmoid,
    StudentT,
    Swap,
)
from isthmus.likelihoods import LIKELIHOODS
from tests.estimators.tables import COUNTS, DATA, REAL, UNIT, data_for

FAMILIES = list(LIKELIHOODS)
ENCODERS = [Deterministic(), GaussianCode(), NoisySigmoid(1.0), BernoulliCode()]
BOUNDED = [GaussianCode(), BernoulliCode()]
SMALL = {"n_components": 4, "hidden": (16,), "max_epochs": 3, "batch_size": 64, "random_state": 0}


def small(**changes):
    return Autoencoder(**{**SMALL, **changes})


def weights(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.model_.state_dict().items()}


# ---- seeds ----------------------------------------------------------------------------------

RANDOM = {
    "usual": {},
    "variational": {"encoder": "gaussian"},
    "bits": {"encoder": "bernoulli", "corruption": ["masking", "salt_and_pepper"]},
    "denoising": {"corruption": ["gaussian_noise", Swap(0.3)], "optimizer": "muon"},
    "contractive": {"penalty": "contractive", "optimizer": "sgd"},
    "estimated": {"penalty": [Contractive(0.1, method="estimate"), "curvature"]},
    "half precision": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("how", RANDOM.values(), ids=RANDOM)
def test_the_same_seed_gives_the_same_bytes(how):
    first, second, other = (small(**how, random_state=s).fit(REAL) for s in (3, 3, 4))
    assert weights(first) == weights(second)
    assert weights(first) != weights(other)
    for one, two in zip(first.history_, second.history_, strict=True):
        assert (one.nll, one.kl, one.validation_nll) == (two.nll, two.kl, two.validation_nll)


@pytest.mark.parametrize("how", RANDOM.values(), ids=RANDOM)
def test_global_generators_are_neither_read_nor_moved(how):
    np.random.seed(1)  # the global state is what is tested
    torch.manual_seed(1)
    first = weights(small(**how).fit(REAL))
    np.random.seed(2)
    torch.manual_seed(2)
    before = np.random.get_state()[1:3], torch.get_rng_state()
    model = small(**how).fit(REAL)
    assert weights(model) == first
    model.transform(REAL), model.log_likelihood(REAL, 2), model.partial_fit(REAL)
    if model.model_.encoder.stochastic:
        model.sample(3)
    small(**how, random_state=None).fit(REAL)
    after = np.random.get_state()[1:3], torch.get_rng_state()
    assert np.array_equal(before[0][0], after[0][0])
    assert before[0][1] == after[0][1]
    assert torch.equal(before[1], after[1])


def test_without_a_seed_fits_differ():
    assert weights(small(random_state=None).fit(REAL)) != weights(
        small(random_state=None).fit(REAL)
    )


def test_a_generator_as_random_state():
    for make in (np.random.default_rng, np.random.RandomState):
        one, two = (small(random_state=make(5)).fit(REAL) for _ in range(2))
        assert weights(one) == weights(two)


# ---- row by row -----------------------------------------------------------------------------

WIDTHS = {
    "aligned": (REAL, 4, (16,)),
    "one layer": (REAL, 8, ()),
    "odd": (REAL[:, :7], 5, (9, 11)),
}
PLACES = [0, 1, 2, 3, 5, 64, 100, 299]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize(("rows", "k", "hidden"), WIDTHS.values(), ids=WIDTHS)
def test_a_row_does_not_depend_on_its_company(rows, k, hidden, encoder, dtype):
    # Products of fewer than 4 rows run through other kernels of the processor's library than
    # those of many, so blocks are filled up; then the same bits come out, except where rows
    # begin at odd places in memory (widths not divisible by 4), where sums are split elsewhere.
    rows = rows.astype(dtype)
    model = small(n_components=k, hidden=hidden, encoder=encoder, likelihood="gaussian").fit(rows)
    for method in ("transform", "reconstruct", "score_samples", "score_features"):
        together = getattr(model, method)(rows)[PLACES]
        alone = np.concatenate([getattr(model, method)(rows[i : i + 1]) for i in PLACES])
        if rows.shape[1] == 7:
            tiny = 50 * np.finfo(dtype).eps
            assert np.allclose(alone, together, rtol=tiny, atol=tiny * np.abs(together).max())
        else:
            assert np.array_equal(alone, together), method


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_does_not_depend_on_its_company_whatever_the_family(family):
    rows = data_for(family)
    model = small(likelihood=family).fit(rows)
    for method in ("transform", "reconstruct", "score_samples"):
        together = getattr(model, method)(rows)[PLACES]
        alone = np.concatenate([getattr(model, method)(rows[i : i + 1]) for i in PLACES])
        assert np.array_equal(alone, together), method


def test_images_row_by_row():
    images = UNIT[:, :, None] * np.ones(8)
    model = small(network="conv", likelihood="gaussian_shared").fit(images)
    together = model.transform(images)[PLACES]
    alone = np.concatenate([model.transform(images[i : i + 1]) for i in PLACES])
    assert np.allclose(alone, together, rtol=1e-12, atol=1e-12)


def test_many_blocks_are_one():
    from isthmus.estimators import apply

    model = small(likelihood="gaussian").fit(REAL)
    many = np.tile(REAL, (30, 1))
    assert len(many) > 2 * apply.MOST_ROWS
    assert np.array_equal(model.transform(many), np.tile(model.transform(REAL), (30, 1)))
    assert np.array_equal(model.score_samples(many), np.tile(model.score_samples(REAL), 30))


def test_transform_is_deterministic():
    for encoder in ENCODERS:
        model = small(encoder=encoder).fit(REAL)
        assert np.array_equal(model.transform(REAL), model.transform(REAL))
        assert np.array_equal(model.score_samples(REAL), model.score_samples(REAL))


# ---- units ----------------------------------------------------------------------------------

EQUIVARIANT = [Gaussian("feature"), Gaussian("row"), Laplace(), StudentT(), Laplace("row")]
ISOTROPIC = [Gaussian("shared"), Laplace("shared"), StudentT(scale="shared")]
PENALISED = [{}, {"corruption": "gaussian_noise"}, {"penalty": Contractive(0.1)}]


@pytest.mark.parametrize("factor", [1024.0, 2.0**-10])
@pytest.mark.parametrize("likelihood", EQUIVARIANT, ids=str)
def test_a_column_in_another_unit_shifts_the_score_exactly(likelihood, factor):
    # a power of two changes no bit of the scaled data, so that nothing else may change either
    other = REAL.copy()
    other[:, 2] = factor * other[:, 2] + factor * 2.0**4
    model, changed = (small(likelihood=likelihood).fit(rows) for rows in (REAL, other))
    shift = np.zeros(8)
    shift[2] = -math.log(factor)
    found = changed.score_features(other) - model.score_features(REAL)
    assert np.allclose(found, shift, rtol=0, atol=1e-5)
    assert np.allclose(changed.transform(other), model.transform(REAL), rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [1e3, 1e-3])
@pytest.mark.parametrize("likelihood", EQUIVARIANT, ids=str)
def test_a_column_a_thousand_times_larger(likelihood, factor):
    other = REAL.copy()
    other[:, 5] *= factor
    model, changed = (small(likelihood=likelihood).fit(rows) for rows in (REAL, other))
    found = changed.score_samples(other) - model.score_samples(REAL)
    assert np.allclose(found, -math.log(factor), rtol=0, atol=1e-4)
    assert np.allclose(changed.transform(other), model.transform(REAL), rtol=0, atol=1e-4)
    back = changed.reconstruct(other)
    back[:, 5] /= factor
    assert np.allclose(back, model.reconstruct(REAL), rtol=0, atol=1e-4)


@pytest.mark.parametrize("factor", [1e3, 1e-3])
@pytest.mark.parametrize("likelihood", ISOTROPIC, ids=str)
def test_isotropic_families_follow_all_columns_together(likelihood, factor):
    model, changed = (small(likelihood=likelihood).fit(rows) for rows in (REAL, factor * REAL))
    found = changed.score_samples(factor * REAL) - model.score_samples(REAL)
    assert np.allclose(found, -8 * math.log(factor), rtol=0, atol=1e-4)
    assert np.allclose(changed.transform(factor * REAL), model.transform(REAL), rtol=0, atol=1e-4)


@pytest.mark.parametrize("factor", [1e3, 1e-3])
def test_lengths_in_parts_are_in_the_users_unit_for_isotropic_families(factor):
    def fit(unit):
        from isthmus import GaussianNoise

        return small(
            likelihood=Gaussian(0.5 * unit),
            corruption=GaussianNoise(0.2 * unit),
            penalty=Contractive(0.1 * unit**2),
        ).fit(unit * REAL)

    model, changed = fit(1.0), fit(factor)
    found = changed.score_samples(factor * REAL) - model.score_samples(REAL)
    assert np.allclose(found, -8 * math.log(factor), rtol=0, atol=1e-4)
    assert np.allclose(changed.transform(factor * REAL), model.transform(REAL), rtol=0, atol=1e-4)


def test_the_score_is_scipys_density_in_the_users_units():
    rows = REAL * 10.0 ** np.arange(-4, 4) + 5
    model = small(likelihood="gaussian").fit(rows)
    inside = model.model_
    log_scale = model.likelihood_.log_scale(inside.parameters_of_all_rows["log_scale"].detach())
    sigma = (inside.scale * log_scale.double().exp()).numpy()
    truth = scipy.stats.norm.logpdf(rows, model.reconstruct(rows), sigma)
    assert np.allclose(model.score_features(rows), truth, rtol=1e-5, atol=1e-5)
    counts = small(likelihood="poisson").fit(COUNTS)
    truth = scipy.stats.poisson.logpmf(COUNTS, counts.reconstruct(COUNTS))
    assert np.allclose(counts.score_features(COUNTS), truth, rtol=1e-5, atol=1e-5)


def test_reconstructions_are_in_the_users_units():
    rows = 1e6 * REAL + 3e8
    model = small(max_epochs=60, learning_rate=1e-2, likelihood="gaussian_shared").fit(rows)
    error = np.square(model.reconstruct(rows) - rows).sum()
    assert error < 0.3 * np.square(rows - rows.mean(0)).sum()


# ---- scores ---------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_of_features_sum_to_the_rows(family, encoder):
    rows = data_for(family)
    model = small(likelihood=family, encoder=encoder).fit(rows)
    by_feature, by_row = model.score_features(rows), model.score_samples(rows)
    assert by_feature.shape == rows.shape
    assert by_row.shape == (300,)
    assert np.allclose(by_feature.sum(1), by_row, rtol=1e-6, atol=1e-6)
    assert model.score(rows) == pytest.approx(by_row.mean(), rel=1e-6)
    bound = model.log_likelihood(rows, n_samples=16)
    assert bound.shape == (300,)
    if model.model_.encoder.stochastic:
        assert bound.mean() >= by_row.mean() - 3 * (bound - by_row).std() / math.sqrt(300)
    else:
        assert np.allclose(bound, by_row, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("encoder", BOUNDED, ids=str)
def test_more_samples_give_a_higher_bound(encoder):
    model = small(encoder=encoder, max_epochs=20, likelihood="gaussian").fit(REAL)
    bounds = [model.log_likelihood(REAL, n_samples=k).mean() for k in (1, 8, 64)]
    assert model.score(REAL) < bounds[1] < bounds[2]
    assert np.array_equal(model.log_likelihood(REAL, 8), model.log_likelihood(REAL, 8))


def test_codes_and_reconstructions_fit_together():
    for encoder in ENCODERS:
        model = small(encoder=encoder).fit(REAL)
        codes = model.transform(REAL)
        assert np.array_equal(model.inverse_transform(codes), model.reconstruct(REAL))
        assert np.array_equal(small(encoder=encoder).fit_transform(REAL), codes)
    assert 0 <= model.transform(REAL).min() <= model.transform(REAL).max() <= 1  # bits


def test_learning_lowers_the_nll():
    model = small(max_epochs=30, learning_rate=1e-2).fit(REAL)
    baseline = scipy.stats.norm.logpdf(REAL, REAL.mean(0), REAL.std(0)).sum(1).mean()
    assert model.score(REAL) > baseline + 1
    assert model.history_[-1].nll < model.history_[0].nll - 1


# ---- samples --------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", BOUNDED, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_samples_lie_in_the_support(family, encoder):
    rows = data_for(family)
    model = small(likelihood=family, encoder=encoder, max_epochs=20, learning_rate=1e-2).fit(rows)
    drawn = model.sample(500)
    assert drawn.shape == (500, 8)
    assert model.likelihood_.traits.support.contains(drawn).all()
    assert np.array_equal(drawn, model.sample(500))
    assert not np.array_equal(drawn, model.sample(500, random_state=1))
    means = model.sample(500, mean=True)
    assert means.shape == (500, 8)
    assert np.isfinite(means).all()
    assert np.isfinite(model.score_samples(drawn)).all()


def test_samples_have_the_shape_and_the_place_of_the_data():
    images = 1e3 * REAL.reshape(300, 2, 4) + 1e6
    how = {
        "encoder": "gaussian",
        "likelihood": "gaussian",
        "max_epochs": 60,
        "learning_rate": 1e-2,
    }
    model = small(**how).fit(images)
    drawn = model.sample(5000)
    assert drawn.shape == (5000, 2, 4)
    error = 6 * images.std(0) / math.sqrt(300)
    assert (np.abs(drawn.mean(0) - images.mean(0)) < error).all()


@pytest.mark.parametrize("encoder", ["deterministic", "gaussian"])
@pytest.mark.parametrize(("scale", "place"), [(1e300, 0.0), (1.0, 1e9)])
def test_samples_of_far_and_of_fine_data_keep_their_digits(encoder, scale, place):
    rows = scale * REAL + place
    model = small(encoder=encoder, likelihood="gaussian", max_epochs=30, learning_rate=1e-2)
    drawn = model.fit(rows).sample(5000)
    error = 6 * REAL.std(0) / math.sqrt(len(REAL))
    assert (np.abs(((drawn - place) / scale).mean(0) - REAL.mean(0)) < error).all()
    assert len(np.unique(drawn[:, 0])) > 4900


@pytest.mark.parametrize("encoder", ["deterministic", "noisy_sigmoid"])
def test_codes_without_a_prior_are_sampled_from_their_density(encoder):
    model = small(encoder=encoder, max_epochs=60, learning_rate=1e-2).fit(REAL)
    drawn, means = model.sample(20_000), model.sample(20_000, mean=True)
    error = 6 * REAL.std(0) / math.sqrt(len(REAL))
    assert (np.abs(drawn.mean(0) - REAL.mean(0)) < error).all()
    np.testing.assert_allclose(drawn.std(0), REAL.std(0), rtol=0.15)
    np.testing.assert_allclose(means.std(0), model.reconstruct(REAL).std(0), rtol=0.15)
    assert np.array_equal(model.sample(7, random_state=1), model.sample(7, random_state=1))
    assert not np.array_equal(model.sample(7, random_state=1), model.sample(7, random_state=2))
    with pytest.raises(InvalidParameterError, match="n_samples must be a whole number"):
        model.sample(0)


# ---- batch by batch -------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_partial_fit_goes_on(encoder):
    model = Autoencoder(4, hidden=(16,), encoder=encoder, batch_size=32, random_state=0)
    model.set_params(learning_rate=1e-2)
    scores = []
    for _ in range(8):
        for batch in np.array_split(REAL, 3):
            model.partial_fit(batch)
        scores.append(model.score(REAL))
    assert scores[-1] > scores[0] + 0.5
    assert model.n_iter_ == len(model.history_) == 24
    assert [epoch.validation_nll for epoch in model.history_] == [None] * 24


def test_partial_fit_keeps_the_scaling_of_its_first_rows():
    model = small(likelihood="gaussian").partial_fit(REAL[:100])
    center = model.model_.center.clone()
    model.partial_fit(REAL[100:] + 7)
    assert torch.equal(model.model_.center, center)
    assert np.allclose(center.numpy(), REAL[:100].mean(0))


def test_partial_fit_goes_on_after_fit():
    model = small(max_epochs=1, likelihood="gaussian").fit(REAL)
    before = model.score(REAL)
    for _ in range(60):
        model.partial_fit(REAL)
    assert model.score(REAL) > before
    again = model.fit(REAL)
    assert len(again.history_) == 1
    assert again.score(REAL) == before


# ---- what is chosen and reported ------------------------------------------------------------

CHOICES = {
    "bits": (DATA["bernoulli"], "Bernoulli(fractions=False)"),
    "counts": (np.random.default_rng(1).poisson(3.0, (500, 8)), "Poisson(size=None)"),
    "wide counts": (
        np.random.default_rng(1).negative_binomial(1, 0.1, (500, 8)),
        "NegativeBinomial(dispersion='feature', size=None)",
    ),
    "numbers": (REAL, "Gaussian(scale='feature', floor=0.001)"),
    "pixels": ((255 * UNIT).astype(np.uint8), "Gaussian(scale='shared', floor=0.001)"),
}


@pytest.mark.parametrize(("rows", "likelihood"), CHOICES.values(), ids=CHOICES)
def test_auto_reads_the_data(rows, likelihood):
    assert repr(small().fit(rows).likelihood_) == likelihood


def test_levels_are_counted():
    assert small(likelihood="categorical").fit(DATA["categorical"]).likelihood_ == Categorical(4)


def test_the_report_says_how_the_code_is_used():
    usual = small().fit(REAL).code_report_
    assert set(usual) == {"unused_units"}
    variational = small(encoder="gaussian").fit(REAL).code_report_
    assert variational["kl"] > 0
    bits = small(encoder="noisy_sigmoid", corruption=Masking(0.1)).fit(REAL).code_report_
    assert 0 <= bits["saturation"] <= 1


def test_images_go_through_convolutions_a_few_at_a_time(monkeypatch):
    images = np.random.default_rng(0).random((600, 8, 8), dtype=np.float32)
    model = Autoencoder(2, hidden=(4,), network="conv", max_epochs=1, random_state=0).fit(images)
    sizes, code = [], type(model.model_).code

    def watched(self, z):
        sizes.append(len(z))
        return code(self, z)

    monkeypatch.setattr(type(model.model_), "code", watched)
    codes = model.transform(images)
    assert sizes == [256, 256, 88]
    np.testing.assert_allclose(codes[590:], model.transform(images[590:]), rtol=1e-5, atol=1e-6)
