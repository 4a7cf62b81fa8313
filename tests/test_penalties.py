"""Ω(h, x): against straightforward numpy, and in whatever units the data are."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import kl_div

from isthmus import L1, Balance, Contractive, Curvature, InvalidParameterError, KLSparsity
from isthmus._registry import to_card
from isthmus.networks import MLP
from isthmus.penalties import PENALTIES, Maps

N, D, K = 12, 7, 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows() -> torch.Tensor:
    return torch.randn(N, D, dtype=torch.float64, generator=generator(1))


def network(widths=(D, 5, K), name="tanh") -> MLP:
    return MLP(widths, name, generator(2)).double()


def maps(encoder: torch.nn.Module, mean_activation: str = "sigmoid", seed: int = 5) -> Maps:
    function = torch.sigmoid if mean_activation == "sigmoid" else lambda a: a
    decoder = MLP([K, 4, D], "silu", generator(3)).double()
    return Maps(
        encoder=encoder,
        decoder=decoder,
        n_components=K,
        mean_activation=mean_activation,
        code=lambda x: function(encoder(x)),
        decode=lambda h: torch.sin(decoder(h)),
        mean=torch.sin,
        mean_is_featurewise=True,
        generator=generator(seed),
    )


def evaluate(penalty, x=None, mean_activation="sigmoid") -> tuple[np.ndarray, np.ndarray]:
    """Ω and the code it was given."""
    x, known = rows() if x is None else x, maps(network(), mean_activation)
    h = known.code(x)
    return penalty(x, h, known).detach().numpy(), h.detach().numpy()


# ---- values -------------------------------------------------------------------------------------


def test_l1_is_the_sum_of_absolute_values():
    value, h = evaluate(L1(0.3), mean_activation="identity")
    np.testing.assert_allclose(value, 0.3 * np.abs(h).sum(1), rtol=1e-12)


def test_kl_sparsity_is_the_divergence_of_the_batch_activity_in_every_row():
    value, h = evaluate(KLSparsity(0.7, target=0.2))
    rho, activity = 0.2, h.mean(0)
    divergence = kl_div(rho, activity) + kl_div(1 - rho, 1 - activity)
    np.testing.assert_allclose(value, np.full(N, 0.7 * divergence.sum()), rtol=1e-12)


def test_kl_sparsity_is_zero_at_its_target_only():
    known = maps(network())
    for activity in (0.05, 0.06, 0.04, 0.9):
        h = torch.full((N, K), activity, dtype=torch.float64)
        value = float(KLSparsity(1.0, target=0.05)(rows(), h, known)[0])
        assert (value < 1e-12) == (activity == 0.05)
        assert value > -1e-12


@pytest.mark.parametrize("logit", [-80.0, -40.0, -20.0, 0.0, 10.0])
def test_kl_sparsity_wakes_units_that_are_nearly_always_off(logit):
    """d/dη [ρ log ρ/ρ̂ + …] = ρ̂ − ρ for a sigmoid unit that is the same in all rows."""
    eta = torch.full((4, 1), logit, requires_grad=True)
    value = KLSparsity(1.0, target=0.05)(rows(), torch.sigmoid(eta), maps(network()))
    value.mean().backward()
    truth = 1 / (1 + math.exp(-logit)) - 0.05
    assert float(eta.grad.sum()) == pytest.approx(truth, rel=1e-3)


def test_kl_sparsity_is_finite_where_a_unit_is_stuck():
    for activity in (0.0, 1.0):
        h = torch.full((4, 2), activity, requires_grad=True)
        value = KLSparsity()(rows(), h, maps(network()))
        value.sum().backward()
        assert torch.isfinite(value).all()
        assert torch.isfinite(h.grad).all()


def test_balance_is_the_squared_means_and_the_squared_correlations():
    value, h = evaluate(Balance(0.4))
    signs = 2 * h - 1
    moment = signs.T @ signs / N
    off_diagonal = moment - np.diag(np.diag(moment))
    truth = 0.4 * ((signs.mean(0) ** 2).sum() + (off_diagonal**2).sum())
    np.testing.assert_allclose(value, np.full(N, truth), rtol=1e-12)


def test_balance_is_zero_for_bits_that_waste_nothing_and_one_each_for_wasted_ones():
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * K).double()
    known = maps(network())
    assert float(Balance(1.0)(every, every, known)[0]) == 0
    stuck = every.clone()
    stuck[:, 0] = 1
    assert float(Balance(1.0)(stuck, stuck, known)[0]) == 1
    copied = every.clone()
    copied[:, 0] = copied[:, 1]
    assert float(Balance(1.0)(copied, copied, known)[0]) == 2


def jacobians(function, x: torch.Tensor) -> np.ndarray:
    """(n, k, d) by plain autograd, row by row."""
    found = [
        torch.autograd.functional.jacobian(lambda r: function(r.unsqueeze(0)).squeeze(0), row)
        for row in x
    ]
    return torch.stack(found).numpy()


def map_of(known: Maps, of: str):
    if of == "encoder":
        return known.code
    return lambda x: known.decode(known.code(x))


@pytest.mark.parametrize("of", ["encoder", "reconstruction"])
@pytest.mark.parametrize("output", ["identity", "sigmoid"])
def test_contractive_is_the_squared_norm_of_the_jacobian(of, output):
    known = maps(network(), output)
    value = Contractive(0.6, of=of)(rows(), known.code(rows()), known).detach().numpy()
    function = map_of(known, of)
    truth = 0.6 * (jacobians(function, rows()) ** 2).sum((1, 2))
    np.testing.assert_allclose(value, truth, rtol=1e-10)


def test_contractive_sees_through_any_module():
    module = torch.nn.Sequential(
        torch.nn.Linear(D, 6), torch.nn.Softplus(), torch.nn.Linear(6, K)
    ).double()
    known = maps(module)
    value = Contractive(1.0)(rows(), known.code(rows()), known).detach().numpy()
    np.testing.assert_allclose(value, (jacobians(known.code, rows()) ** 2).sum((1, 2)), rtol=1e-10)


@pytest.mark.parametrize("of", ["encoder", "reconstruction"])
def test_an_estimate_has_the_exact_mean_and_repeats_with_its_generator(of):
    part = Contractive(0.6, of=of, method="estimate", n_probes=2)
    known = maps(network())
    h = known.code(rows())
    first, second = (part(rows(), h, maps(network(), seed=s)).detach() for s in (5, 6))
    assert (first != second).any()
    torch.testing.assert_close(first, part(rows(), h, maps(network())).detach(), rtol=0, atol=0)
    draws = torch.stack([part(rows(), h, known).detach() for _ in range(2000)])
    exact = Contractive(0.6, of=of, method="exact")(rows(), h, known).detach()
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - exact).abs() < 3.5 * error).all()  # 3 standard errors of 12 rows


def test_auto_is_exact_for_narrow_codes_and_an_estimate_for_wide_ones():
    known = maps(network())
    assert Contractive().choice(rows(), known).method == "exact"
    wide = MLP([D, 80, 70], "tanh", generator()).double()
    chosen = Contractive().choice(rows(), replace(maps(wide), n_components=70))
    assert chosen.method == "exact"  # from the side of the data, which is narrow
    x = torch.randn(N, 90, dtype=torch.float64, generator=generator(1))
    wide = MLP([90, 80, 70], "tanh", generator()).double()
    chosen = Contractive().choice(x, replace(maps(wide), n_components=70))
    assert chosen.method == "estimate"
    assert L1().choice(rows(), known) is None


@pytest.mark.parametrize("of", ["encoder", "reconstruction"])
@pytest.mark.parametrize("widths", [(D, K), (D, 5, K)], ids=str)
def test_curvature_is_the_distance_of_the_jacobians_at_neighbours(of, widths):
    part, known = Curvature(0.6, std=0.3, of=of, method="exact", n_draws=3), maps(network(widths))
    value = part(rows(), known.code(rows()), known).detach().numpy()
    draws, function = generator(5), map_of(known, of)
    truth = np.zeros(N)
    for _ in range(3):
        noise = 0.3 * torch.randn(N, D, dtype=torch.float64, generator=draws)
        change = jacobians(function, rows()) - jacobians(function, rows() + noise)
        truth += 0.6 / 3 * (change**2).sum((1, 2))
    np.testing.assert_allclose(value, truth, rtol=1e-9)


def test_curvature_of_little_noise_is_the_squared_second_derivative():
    known, std = maps(network()), 1e-4
    part = Curvature(1.0, std=std, method="exact", n_draws=4000)
    value = part(rows(), known.code(rows()), known).detach().numpy() / std**2
    hessian = torch.autograd.functional.hessian
    truth = [
        sum(
            hessian(lambda r, j=j: known.code(r.unsqueeze(0))[0, j], row).square().sum().item()
            for j in range(K)
        )
        for row in rows()
    ]
    np.testing.assert_allclose(value, truth, rtol=0.1)


def test_a_linear_code_has_no_curvature():
    known = maps(network((D, K)), "identity")
    assert (Curvature(1.0)(rows(), known.code(rows()), known) == 0).all()


class Stuck(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x.detach())


@pytest.mark.parametrize("method", ["exact", "estimate"])
@pytest.mark.parametrize("of", ["encoder", "reconstruction"])
def test_a_module_without_a_derivative_is_refused_by_name(of, method):
    known = maps(network())
    stuck = Stuck(D, K).double()
    known = replace(known, encoder=stuck, code=stuck)
    with pytest.raises(InvalidParameterError, match="Stuck can't be differentiated"):
        Contractive(of=of, method=method)(rows(), known.code(rows()), known)


@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_is_a_number_per_row_with_its_weight_in_it(name):
    part = PENALTIES[name]
    value, _ = evaluate(part)
    assert value.shape == (N,)
    assert (value >= 0).all()
    twice, _ = evaluate(type(part)(weight=2 * part.weight))
    np.testing.assert_allclose(twice, 2 * value, rtol=1e-12)
    assert (evaluate(type(part)(weight=0.0))[0] == 0).all()


@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_reaches_the_weights(name):
    known = maps(network())
    PENALTIES[name](rows(), known.code(rows()), known).mean().backward()
    for weight in known.encoder.parameters():
        assert torch.isfinite(weight.grad).all()
    assert known.encoder.linear_layers[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", PENALTIES)
def test_one_row_is_enough(name):
    value, _ = evaluate(PENALTIES[name], x=rows()[:1])
    assert np.isfinite(value).all()


# ---- units --------------------------------------------------------------------------------------


class Rescaled(torch.nn.Module):
    """f(unit · z): the same map for data that were divided by ``unit``."""

    def __init__(self, module: torch.nn.Module, unit: float) -> None:
        super().__init__()
        self.module, self.unit = module, unit

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.module(self.unit * z)


@pytest.mark.parametrize("name", ["l1", "kl_sparsity", "balance", "contractive", "curvature"])
@pytest.mark.parametrize("unit", [0.01, 7.0])
def test_a_penalty_is_the_same_whatever_unit_the_network_works_in(name, unit):
    part, inner = PENALTIES[name], network()
    plain, scaled = maps(inner), maps(Rescaled(inner, unit))
    one = part(rows(), plain.code(rows()), plain)
    two = part.in_units(unit)(rows() / unit, scaled.code(rows() / unit), scaled)
    torch.testing.assert_close(one, two, rtol=1e-10, atol=0)


@pytest.mark.parametrize("unit", [0.01, 7.0])
def test_contraction_of_the_reconstruction_has_no_unit(unit):
    inner = network()
    for part in (Contractive(0.3, of="reconstruction"), Curvature(0.3, of="reconstruction")):
        plain, scaled = maps(inner), maps(Rescaled(inner, unit))
        inside = replace(
            scaled,
            decode=lambda h, known=scaled: known.decode(h) / unit,
            mean=lambda out: out.sin() / unit,
        )
        one = part(rows(), plain.code(rows()), plain)
        two = part.in_units(unit)(rows() / unit, scaled.code(rows() / unit), inside)
        torch.testing.assert_close(one, two, rtol=1e-8, atol=0)


# ---- refusals and values ------------------------------------------------------------------------


@pytest.mark.parametrize("part", [KLSparsity(), Balance()], ids=repr)
def test_penalties_on_activities_refuse_codes_that_are_no_activities(part):
    with pytest.raises(InvalidParameterError, match=rf"{type(part).__name__}.*sigmoid"):
        evaluate(part, mean_activation="identity")


@pytest.mark.parametrize("kind", [Contractive, Curvature, L1, KLSparsity, Balance])
@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan, "1", None, True])
def test_a_weight_outside_its_range_is_refused(kind, weight):
    with pytest.raises(InvalidParameterError, match=f"{kind.__name__}'s weight"):
        kind(weight)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Contractive(of="decoder"), "of"),
        (lambda: Contractive(method="fast"), "method"),
        (lambda: Contractive(n_probes=0), "n_probes"),
        (lambda: Contractive(n_probes=1.5), "n_probes"),
        (lambda: Contractive(n_probes=True), "n_probes"),
        (lambda: Curvature(std=0.0), "std"),
        (lambda: Curvature(std=math.inf), "std"),
        (lambda: Curvature(of="decoder"), "of"),
        (lambda: Curvature(method="fast"), "method"),
        (lambda: Curvature(n_draws=0), "n_draws"),
        (lambda: Curvature(n_probes="1"), "n_probes"),
        (lambda: KLSparsity(target=0.0), "target"),
        (lambda: KLSparsity(target=1.0), "target"),
        (lambda: KLSparsity(target=None), "target"),
    ],
)
def test_other_arguments_outside_their_range_are_refused(make, word):
    with pytest.raises(InvalidParameterError, match=f"'s {word} must"):
        make()


@pytest.mark.parametrize("name", PENALTIES)
def test_parts_are_values(name):
    part = PENALTIES[name]
    assert part == PENALTIES[name]
    assert hash(part) == hash(PENALTIES[name])
    assert PENALTIES.from_card(json.loads(json.dumps(to_card(part)))) == part
