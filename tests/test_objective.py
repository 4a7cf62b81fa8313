"""J, term by term and row by row: −log p + KL + Σ λΩ, nothing reduced, in the user's units."""

import itertools
import math

import pytest
import torch

from isthmus import (
    L1,
    Balance,
    Bernoulli,
    BernoulliCode,
    Categorical,
    Columns,
    ContinuousBernoulli,
    Contractive,
    Curvature,
    Deterministic,
    Gaussian,
    GaussianCode,
    GaussianNoise,
    InvalidParameterError,
    KLSparsity,
    Laplace,
    Masking,
    NegativeBinomial,
    NoisySigmoid,
    Poisson,
    StudentT,
    Walkback,
    ZeroInflatedNegativeBinomial,
)
from isthmus.encoders import ENCODERS
from isthmus.model import Model, Shape
from isthmus.networks import ConvDecoder, ConvEncoder, Shifted
from isthmus.objective import Objective
from tests.likelihoods.cases import MEMBERS, draw_data, generator
from tests.problems import make_model, wake

N, D, K = 9, 6, 3


def awake(member, encoder=None, **how) -> tuple[Model, torch.Tensor]:
    """A float64 model with random weights, and rows for it."""
    z = draw_data(member, N, D, seed=4)
    return wake(make_model(z.float(), member, encoder, n_components=K, **how), size=0.2), z


# ---- terms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_terms_are_per_row_and_their_sum_is_the_total(member, name):
    encoder = ENCODERS[name]
    model, z = awake(member, encoder)
    terms = Objective((Masking(0.2),), (L1(0.1), Contractive(0.2)))(model, z, generator())
    parts = [terms.nll, *terms.penalties.values()]
    assert (terms.kl is None) == (terms.kl_cost is None) == (not encoder.stochastic)
    if encoder.stochastic:
        assert terms.kl.shape == (N,)
        parts.append(terms.kl_cost)
    assert all(part.shape == (N,) and torch.isfinite(part).all() for part in parts)
    torch.testing.assert_close(terms.total(), torch.stack(parts).sum(0))


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
@torch.no_grad()
def test_nll_is_minus_the_sum_of_log_probs_at_the_code(member):
    model, z = awake(member)
    terms = Objective()(model, z, generator())
    truth = -model.log_prob(z, model.code(z)).sum(1)
    torch.testing.assert_close(terms.nll, truth, rtol=1e-10, atol=1e-9)
    for i in range(N):
        row = Objective()(model, z[i : i + 1], generator()).nll
        torch.testing.assert_close(row, terms.nll[i : i + 1], rtol=1e-10, atol=1e-9)


@torch.no_grad()
def test_divergences_are_the_codes_and_their_cost_the_weighted_ones():
    model, z = awake(Gaussian(), GaussianCode(kl_weight=0.3, free_bits=0.4))
    terms = Objective()(model, z, generator())
    kl = model.encoder.kl(model.encode(model.enter(z)))
    torch.testing.assert_close(terms.kl, kl.sum(1))
    torch.testing.assert_close(terms.kl_cost, model.encoder.kl_objective(kl))
    assert not torch.equal(terms.kl, terms.kl_cost)


@torch.no_grad()
def test_the_code_is_that_of_the_corrupted_row_and_the_likelihood_that_of_the_clean_one():
    model, z = awake(Gaussian())
    nothing = Objective((Masking(1.0),))(model, z, generator()).nll
    truth = -model.log_prob(z, model.code(torch.zeros_like(z))).sum(1)
    torch.testing.assert_close(nothing, truth)


@torch.no_grad()
def test_noise_in_the_code_grows_with_the_progress():
    model, z = awake(Gaussian(), NoisySigmoid(5.0, grow=True))
    clean = -model.log_prob(z, model.code(z)).sum(1)
    begin, end = (Objective()(model, z, generator(), progress).nll for progress in (0.0, 1.0))
    torch.testing.assert_close(begin, clean)
    assert not torch.allclose(end, clean)


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_randomness_is_the_generators(name):
    model, z = awake(Gaussian(), ENCODERS[name])
    objective, before = Objective((GaussianNoise(0.5),)), torch.random.get_rng_state()
    one, two, three = (objective(model, z, generator(seed)).total() for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    assert torch.equal(torch.random.get_rng_state(), before)


# ---- units --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "member", [m for m in MEMBERS.values() if m.traits.scaling == "feature"], ids=repr
)
@pytest.mark.parametrize("c", [1e-3, 250.0])
@torch.no_grad()
def test_rescaling_a_column_moves_the_nll_by_its_logarithm(member, c):
    z = draw_data(member, N, D)
    plain = make_model(z.float(), member).double()
    scale = torch.ones(D).index_fill(0, torch.tensor(2), c)
    scaled = make_model(z.float(), member, scale=scale).double()
    x = z.clone()
    x[:, 2] *= c
    torch.testing.assert_close(scaled.scaled(x), z, rtol=1e-6, atol=1e-6)
    one, two = (Objective()(m, z, generator()).nll for m in (plain, scaled))
    torch.testing.assert_close(two, one + math.log(c), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "member", [m for m in MEMBERS.values() if m.traits.scaling == "common"], ids=repr
)
@pytest.mark.parametrize("c", [1e-3, 250.0])
@torch.no_grad()
def test_rescaling_all_columns_moves_the_nll_of_an_isotropic_family_by_d_logarithms(member, c):
    z = draw_data(member, N, D)
    plain = make_model(z.float(), member).double()
    scaled = make_model(z.float(), member, scale=torch.full((D,), c)).double()
    one, two = (Objective()(m, z, generator()).nll for m in (plain, scaled))
    torch.testing.assert_close(two, one + D * math.log(c), rtol=1e-6, atol=1e-6)


def test_units_reach_every_part():
    objective = Objective((GaussianNoise(0.6), Masking(0.1)), (Contractive(0.9), L1(0.2)))
    inside = objective.in_units(3.0)
    assert inside.corruptions == (GaussianNoise(0.6 / 3), Masking(0.1))
    assert inside.penalties == (Contractive(0.9 / 9), L1(0.2))


# ---- penalties ----------------------------------------------------------------------------------


def test_penalties_are_named_and_a_second_of_a_kind_is_numbered():
    parts = (L1(0.1), Contractive(0.1), L1(0.2), L1(0.3), Balance(), KLSparsity())
    names = ["L1", "Contractive", "L1_2", "L1_3", "Balance", "KLSparsity"]
    assert Objective((), parts).penalty_names == names
    model, z = awake(Gaussian(), Deterministic("sigmoid"))
    with torch.no_grad():
        found = Objective((), parts)(model, z, generator()).penalties
    assert list(found) == names
    torch.testing.assert_close(found["L1_3"], 3 * found["L1"])


def full_norm(function, x: torch.Tensor) -> torch.Tensor:
    """‖∂f/∂x‖² at each row from the whole Jacobian by plain autograd, differentiable."""
    norms = []
    for row in x:
        jacobian = torch.autograd.functional.jacobian(
            lambda r: function(r.unsqueeze(0)).squeeze(0), row, create_graph=True
        )
        norms.append(jacobian.square().sum())
    return torch.stack(norms)


def assert_is_the_full_jacobians(model: Model, z: torch.Tensor, of: str) -> None:
    """Contractive through the objective: value and gradient to 1e-8 in float64."""
    found = Objective((), (Contractive(0.5, of=of),))(model, z, generator())
    value = found.penalties["Contractive"]

    def code(x: torch.Tensor) -> torch.Tensor:
        return model.encoder.mean(model.encode(x))

    def reconstruct(x: torch.Tensor) -> torch.Tensor:
        mean = model.likelihood.mean(model.decode(code(x)))
        return mean.log1p() if model.likelihood.traits.entry == "log1p" else mean

    truth = 0.5 * full_norm(code if of == "encoder" else reconstruct, model.enter(z))
    torch.testing.assert_close(value, truth, rtol=1e-8, atol=1e-12)
    weights = [p for p in model.parameters() if p.requires_grad]
    got, wanted = (
        torch.autograd.grad(v.sum(), weights, allow_unused=True) for v in (value, truth)
    )
    assert any(g is not None and g.abs().sum() > 0 for g in got)
    for weight, one, other in zip(weights, got, wanted, strict=True):
        one, other = (torch.zeros_like(weight) if g is None else g for g in (one, other))
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-11)


CODES = [Deterministic(), Deterministic("sigmoid"), GaussianCode(), BernoulliCode()]


@pytest.mark.parametrize("encoder", CODES, ids=repr)
@pytest.mark.parametrize("hidden", [(), (5,), (8, 4), (3, 7, 5)])
@pytest.mark.parametrize("activation", ["silu", "relu", "tanh"])
def test_contractive_is_the_full_jacobian_of_the_code(encoder, hidden, activation):
    model, z = awake(Gaussian(), encoder, hidden=hidden, activation=activation)
    assert_is_the_full_jacobians(model, z[:4], "encoder")


@pytest.mark.parametrize(
    "member",
    [
        Gaussian(),
        Gaussian("row"),
        Laplace(),
        StudentT(),
        Bernoulli(),
        ContinuousBernoulli(),
        Poisson(),
        NegativeBinomial(),
        ZeroInflatedNegativeBinomial(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("encoder", [Deterministic(), GaussianCode()], ids=repr)
def test_contractive_is_the_full_jacobian_of_the_reconstruction(member, encoder):
    model, z = awake(member, encoder)
    assert_is_the_full_jacobians(model, z[:4], "reconstruction")


def test_levels_have_no_derivative():
    model, z = awake(Categorical(4), Deterministic())
    with pytest.raises(InvalidParameterError, match="of='encoder'"):
        Objective((), (Contractive(of="reconstruction"),))(model, z, generator())


@pytest.mark.parametrize("of", ["encoder", "reconstruction"])
@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 2)])
def test_contractive_sees_through_convolutions(shape, of):
    d = math.prod(shape)
    pair = (
        ConvEncoder(shape, [4, K], "silu", generator(1)),
        ConvDecoder(shape, [K, 4], 1, "silu", generator(2)),
    )
    model, z = with_networks(pair, d)
    assert_is_the_full_jacobians(model, z, of)


@pytest.mark.parametrize("of", ["encoder", "reconstruction"])
def test_contractive_sees_through_the_users_modules(of):
    torch.manual_seed(0)
    down = torch.nn.Sequential(torch.nn.Linear(D, 5), torch.nn.GELU(), torch.nn.Linear(5, K))
    up = torch.nn.Sequential(torch.nn.Linear(K, D), torch.nn.Hardtanh())
    model, z = with_networks((down, Shifted(up, D)), D)
    assert_is_the_full_jacobians(model, z, of)


def with_networks(pair, d: int) -> tuple[Model, torch.Tensor]:
    z = torch.randn(3, d, generator=generator(), dtype=torch.float64)
    start = Gaussian().start(z)
    model = Model(
        Gaussian(), Deterministic(), pair, Shape(d, K), start, torch.zeros(d), torch.ones(d)
    )
    return wake(model, size=0.2), z


# ---- tables -------------------------------------------------------------------------------------

TABLE = (Gaussian(), Categorical(3), Poisson(), Bernoulli(), Categorical(70), Gaussian())


def table(holes: bool) -> tuple[Model, torch.Tensor]:
    """An awake model of mixed columns and four rows for it."""
    likelihood, rng = Columns(TABLE), generator(6)
    columns = [
        torch.randint(part.levels, (N,), generator=rng).double()
        if isinstance(part, Categorical)
        else draw_data(part, N, 1, seed=j)[:, 0].double()
        for j, part in enumerate(TABLE)
    ]
    z = torch.stack(columns, 1)
    model = make_model(z, likelihood, n_components=K)
    model.table.begin(torch.zeros(len(TABLE), dtype=torch.bool), rng)
    if holes:
        z = z.masked_fill(torch.rand(z.shape, generator=rng) < 0.3, math.nan)
    return wake(model, size=0.2), z[:4]


@pytest.mark.parametrize("holes", [False, True], ids=["complete", "holes"])
def test_contractive_of_a_table_is_the_full_jacobian_in_what_the_encoder_sees(holes):
    model, z = table(holes)
    assert bool(z.isnan().any()) == holes
    assert_is_the_full_jacobians(model, z, "encoder")


def test_contraction_of_a_reconstructed_category_is_refused_in_a_table_too():
    model, z = table(holes=True)
    with pytest.raises(InvalidParameterError, match="of='encoder'"):
        Objective((), (Contractive(of="reconstruction"),))(model, z, generator())


def assert_descends_as_torch_would(objective, model, z):
    """The terms and every gradient of a step are those of automatic differentiation."""
    terms = objective.descend(model, z, generator(), 0.5, 1 / 8)
    found = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad()
    truth = objective(model, z, generator(), 0.5)
    (truth.total().sum() / 8).backward()
    wanted = {name: weight.grad for name, weight in model.named_parameters()}
    torch.testing.assert_close(terms.total(), truth.total().detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("holes", [False, True], ids=["complete", "holes"])
@pytest.mark.parametrize("corruptions", [(), (Masking(0.3), GaussianNoise(0.1))], ids=len)
@pytest.mark.parametrize("encoder", [Deterministic(), GaussianCode()], ids=repr)
def test_descending_on_a_table_is_what_torch_would_do(encoder, corruptions, holes):
    model, z = table(holes)
    model.encoder = encoder
    if encoder.stochastic:
        rows = z.nan_to_num(1.0)
        model = make_model(rows, Columns(TABLE), encoder, n_components=K)
        model = wake(model, size=0.2)
    assert model.layers is not None
    objective = Objective(corruptions)
    objective.descend(model, z + 0, generator(1), 0.2, 1)  # leaves gradients, to be written over
    assert_descends_as_torch_would(objective, model, z)


PENALTIES = {
    "of the code": (L1(0.1), Balance(0.2)),
    "of the code's Jacobian": (Contractive(0.3, method="exact"), Curvature(0.2)),
    "of the reconstruction's": (Contractive(0.3, of="reconstruction"), L1(0.1)),
    "estimated": (Contractive(0.3, method="estimate"), Contractive(0.1, "reconstruction")),
}


@pytest.mark.parametrize("penalties", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("encoder", [Deterministic("sigmoid"), NoisySigmoid()], ids=repr)
@pytest.mark.parametrize("member", [Gaussian(), ZeroInflatedNegativeBinomial()], ids=repr)
def test_descending_with_penalties_is_the_gradient_of_the_objective(penalties, encoder, member):
    model, z = awake(member, encoder)
    objective = Objective((GaussianNoise(0.2),), penalties)
    assert_descends_as_torch_would(objective, model, z)


def test_the_choice_of_each_jacobian_is_told():
    model, z = awake(Gaussian(), Deterministic())
    parts = (L1(0.1), Contractive(0.1), Contractive(0.1, method="estimate"))
    exact, asked = Objective((), parts).choices(model, z)
    assert exact.startswith("Contractive: exact (")
    assert asked == "Contractive_2: estimate (as asked)"


# ---- the five autoencoders ----------------------------------------------------------------------

FIVE = {
    "usual": (Deterministic(), Objective()),
    "variational": (GaussianCode(), Objective()),
    "denoising": (Deterministic(), Objective((GaussianNoise(0.3),))),
    "contractive": (Deterministic(), Objective((), (Contractive(0.1),))),
    "hashing": (NoisySigmoid(), Objective((), (Balance(),))),
}


@pytest.mark.parametrize(("encoder", "objective"), FIVE.values(), ids=FIVE)
@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_one_step_down_the_gradient_lowers_the_objective(encoder, objective, member):
    model, z = awake(member, encoder)
    begin = objective(model, z, generator()).total().mean()
    weights = list(model.parameters())
    slopes = torch.autograd.grad(begin, weights, allow_unused=True)
    assert all(slope is not None and torch.isfinite(slope).all() for slope in slopes)
    steepness = sum(float(slope.square().sum()) for slope in slopes)
    step = 1e-6 * float(begin.detach().abs()) / steepness
    with torch.no_grad():
        for weight, slope in zip(weights, slopes, strict=True):
            weight -= step * slope
        end = objective(model, z, generator()).total().mean()
    gain = float(begin.detach() - end)
    assert gain == pytest.approx(step * steepness, rel=0.05)


def test_the_rows_that_are_tried_differ():
    for member, seed in itertools.product(MEMBERS.values(), range(2)):
        z = draw_data(member, N, D, seed)
        assert len(z.unique(dim=0)) > N / 2
        assert z.std(0).min() > 0


# ---- the chain of the model and its corruption --------------------------------------------------


def linear(slope: float, noise: float) -> Model:
    """r(x) = slope · x in one column, with a draw of this standard deviation about it."""
    model = make_model(torch.zeros(4, 1), Gaussian(noise), n_components=1, hidden=()).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.0 if parameter.ndim == 1 else 1.0)
        model.decoder_network.layers[0].weight.fill_(slope)
    return model


def test_a_step_is_a_draw_from_the_reconstruction_of_the_corrupted_row():
    z = torch.full((40_000, 1), 2.0, dtype=torch.float64)
    after = Objective((GaussianNoise(0.3),)).step(linear(0.8, 0.5), z, generator())
    std = math.hypot(0.8 * 0.3, 0.5)
    assert float(after.mean()) == pytest.approx(1.6, abs=5 * std / 200)
    assert float(after.std()) == pytest.approx(std, rel=5 / 280)


@pytest.mark.parametrize("p", [0.5, 0.7])
def test_a_walk_goes_on_with_its_rate_and_is_corrupted_at_its_end(p):
    """After L steps the mean is a^L x; L is geometric, so E[x̃ | x] = x (1 − p)/(1 − p a)."""
    a, z = 0.8, torch.full((60_000, 1), 2.0, dtype=torch.float64)
    objective = Objective((GaussianNoise(0.3), Walkback(p)))
    seen, target = objective.corrupted(linear(a, 0.5), z, generator())
    assert target is z
    assert float(seen.mean()) == pytest.approx(
        2 * (1 - p) / (1 - p * a), abs=5 * float(seen.std()) / 60_000**0.5
    )
    still = float((Objective((Walkback(p),)).corrupted(linear(a, 0.5), z, generator())[0] == 2)
                  .double().mean())  # fmt: skip
    assert still == pytest.approx(1 - p, abs=5 * (p * (1 - p) / 60_000) ** 0.5)


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
@pytest.mark.parametrize("name", ENCODERS)
def test_any_model_walks_and_its_rows_stay_what_is_scored(member, name):
    model, z = awake(member, ENCODERS[name])
    kept = z.clone()
    objective = Objective((Walkback(0.6), Masking(0.2)))
    state = objective.step(model, z, generator())
    assert state.shape == z.shape
    assert member.traits.support.contains(model.unscaled(state).numpy()).all()
    terms = objective.descend(model, z, generator())
    assert torch.isfinite(terms.total()).all()
    assert torch.equal(z, kept)
    assert all(p.grad is not None for p in model.encoder_network.parameters())


def test_tables_walk_and_their_holes_stay_holes_of_the_target():
    member = Columns((Gaussian(), Categorical(3), Poisson()))
    parts = [draw_data(part, 200, 1, seed=4) for part in member.parts]
    z = torch.cat(parts, 1)
    model = wake(make_model(z.float(), member, None, n_components=K), size=0.2)
    z[::2, 0] = torch.nan
    objective = Objective((Walkback(0.9), Masking(0.4, targets="hidden")))
    _, target = objective.corrupted(model, z, generator())
    shown = ~target.isnan()
    assert torch.equal(target[shown], z[shown])
    assert target[::2, 0].isnan().all()
    assert 0 < float(shown.double().mean()) < 0.7
