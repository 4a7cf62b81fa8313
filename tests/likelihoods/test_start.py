"""The best constant: no other η is more likely, and every column gives a finite one."""

import time

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from isthmus import (
    Categorical,
    ContinuousBernoulli,
    Gaussian,
    Laplace,
    Multinomial,
    NegativeBinomial,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
)
from tests.likelihoods.cases import MEMBERS, REAL, Likelihood, draw_data, generator

EVERY = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
COUNTS = [name for name, m in MEMBERS.items() if m.traits.support.description[:6] == "counts"]


def total(member: Likelihood, x: torch.Tensor, eta: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Mean log p of a row."""
    return member.log_prob(x, eta).sum(1).mean()


def learned(member: Likelihood) -> list[int]:
    return [i for i, p in enumerate(member.traits.parameters) if p.varies != "fixed"]


@EVERY
def test_nothing_near_is_more_likely(member):
    x = draw_data(member, 400, 5, seed=3)
    eta = [part.clone().requires_grad_() for part in member.start(x)]
    best = total(member, x, tuple(eta))
    free = [eta[i] for i in learned(member)]
    slopes = torch.autograd.grad(best, free)
    if not isinstance(member, Laplace):  # at a median the slope jumps over zero
        for slope in slopes:
            torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-6, rtol=0)
    source = generator()
    for size in (1e-3, 0.1, 1.0):
        for _ in range(10):
            moved = list(eta)
            for i in learned(member):
                moved[i] = eta[i] + size * torch.randn(eta[i].shape, generator=source)
            assert total(member, x, tuple(moved)) <= best + 1e-12


@EVERY
def test_shapes_are_those_of_the_parameters(member):
    x = draw_data(member, 50, 5)
    for part, parameter in zip(member.start(x), member.traits.parameters, strict=True):
        size = 1 if parameter.varies in ("shared", "fixed") else 5
        width = (parameter.width,) if parameter.width > 1 else ()
        assert part.shape == (size, *width)
        assert part.dtype == torch.float64


@pytest.mark.parametrize("inflated", [False, True])
@pytest.mark.parametrize("kind", [NegativeBinomial, ZeroInflatedNegativeBinomial])
@pytest.mark.parametrize("dispersion", ["feature", "shared"])
def test_start_of_counts_is_scipys_maximum(kind, dispersion, inflated, rng):
    x = rng.negative_binomial(1.3, 0.1, size=(600, 3)).astype(float)
    x *= rng.random(x.shape) < (0.6 if inflated else 1.0)
    member, x = kind(dispersion), torch.from_numpy(x)
    ours = member.start(x)
    sizes = [len(part) for part in ours]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.from_numpy(flat).requires_grad_()
        value = -total(member, x, point.split(sizes))
        value.backward()
        return float(value.detach()), point.grad.numpy()

    truths = [
        minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).fun
        for begin in (np.ones(sum(sizes)), np.concatenate(ours) + 0.3)
    ]
    assert -float(total(member, x, ours)) == pytest.approx(min(truths), abs=1e-6)


@pytest.mark.parametrize("scale", ["feature", "shared", "row"])
@pytest.mark.parametrize("df", [1.5, 4.0, 50.0, "feature"])
def test_start_of_students_t_is_scipys_maximum(df, scale, rng):
    x = torch.from_numpy(rng.standard_t(3, size=(600, 3)) * [1.0, 0.7, 1.5] + [0.0, 5.0, -1.0])
    member = StudentT(df, scale)
    ours = member.start(x)
    free = [part for i, part in enumerate(ours) if i in learned(member)]
    sizes = [len(part) for part in free]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.from_numpy(flat).requires_grad_()
        value = -total(member, x, (*point.split(sizes), *ours[len(free) :]))
        value.backward()
        return float(value.detach()), point.grad.numpy()

    begin = np.concatenate([x.median(0).values, np.ones(sum(sizes[1:]))])
    truth = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).fun
    assert -float(total(member, x, ours)) == pytest.approx(truth, abs=1e-6)


def test_learned_degrees_of_freedom_are_those_of_the_data(rng):
    x = torch.from_numpy(rng.standard_t([2.0, 5.0], size=(50_000, 2)))
    member = StudentT("feature")
    df = member.degrees(member.start(x)[2])
    torch.testing.assert_close(df, torch.tensor([2.0, 5.0]).double(), rtol=0.1, atol=0)


# ---- columns that have no interior optimum ------------------------------------------------------


def hard_columns(member: Likelihood) -> dict[str, torch.Tensor]:
    """Data (n, 3) at the ends: constant, one row, all zeros, all at the top, huge, tiny."""
    many = draw_data(member, 30, 3)
    top = {"values 0 or 1": 1.0, "numbers in [0, 1]": 1.0}.get(
        member.traits.support.description, 1e7
    )
    if isinstance(member, Categorical):
        top = member.levels - 1.0
    columns = {
        "one row": many[:1],
        "two equal rows": many[:1].expand(2, -1),
        "all zeros": torch.zeros_like(many),
        "all at the top": torch.full_like(many, top),
        "one other value": torch.zeros_like(many).index_fill(0, torch.tensor(0), top),
        "one constant column": many.index_fill(1, torch.tensor(1), 1.0),
    }
    if member.traits.support.description == "finite real numbers":
        columns |= {"huge": 1e6 * many, "tiny": 1e-9 * many, "negative": -many.abs() - 1e6}
    return columns


@EVERY
def test_every_column_gives_a_finite_start_and_likelihood_in_float32(member):
    for name, x in hard_columns(member).items():
        eta = tuple(part.float().requires_grad_() for part in member.start(x))
        assert all(torch.isfinite(part).all() for part in eta), name
        value = total(member, x.float(), eta)
        value.backward()
        assert torch.isfinite(value), name
        assert all(torch.isfinite(part.grad).all() for part in eta if part.grad is not None), name


@EVERY
def test_hard_columns_start_no_lower_than_a_plain_guess(member):
    for name, x in hard_columns(member).items():
        eta = member.start(x)
        plain = tuple(
            part if i not in learned(member) else torch.zeros_like(part)
            for i, part in enumerate(eta)
        )
        assert total(member, x, eta) >= total(member, x, plain) - 1e-9, name


@pytest.mark.parametrize("name", [n for n in REAL if isinstance(MEMBERS[n].scale, str)])
def test_a_constant_column_starts_at_the_floor_and_can_still_learn(name):
    member = MEMBERS[name]
    x = torch.full((20, 2), 3.0, dtype=torch.float64)
    eta = member.start(x)
    torch.testing.assert_close(eta[0], torch.full((2,), 3.0, dtype=torch.float64))
    log_scale = eta[1].requires_grad_()
    (member.log_prob(x + 1.0, (eta[0], log_scale, *eta[2:]))).sum().backward()
    assert (log_scale.grad.abs() > 1e-3).all()


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_that_never_occurred_is_still_possible(name):
    member = MEMBERS[name]
    x = torch.zeros(50, 2, dtype=torch.float64)
    eta = tuple(part.float() for part in member.start(x))
    x[0] = 3
    assert float(member.log_prob(x, eta)[0].min()) > -100


def test_counts_below_a_poissons_variance_start_as_a_poisson(rng):
    x = torch.from_numpy(rng.binomial(10, 0.9, size=(500, 2)).astype(float))
    poisson = float(total(Poisson(), x, Poisson().start(x)))
    for member in (NegativeBinomial(), ZeroInflatedNegativeBinomial()):
        assert float(total(member, x, member.start(x))) == pytest.approx(poisson, abs=1e-3)


def test_extra_zeros_are_found_and_none_are_invented(rng):
    member = ZeroInflatedNegativeBinomial()
    x = torch.from_numpy(rng.negative_binomial(2.0, 0.1, size=(20_000, 2)).astype(float))
    kept = torch.from_numpy(rng.random(20_000) < 0.7)
    x[:, 1] *= kept
    logit = member.start(x)[2]
    assert float(torch.sigmoid(logit[0])) < 0.01
    assert float(torch.sigmoid(logit[1])) == pytest.approx(0.3, abs=0.02)


def test_a_fixed_scale_is_in_the_datas_own_units():
    (_, log_scale) = Gaussian(0.5).start(torch.zeros(3, 2).double(), unit=4.0)
    assert float(log_scale.exp()) == pytest.approx(0.125)


def test_levels_that_never_occur_count_as_half_a_row():
    x = torch.tensor([[0.0], [0.0], [2.0], [0.0]], dtype=torch.float64)
    (logits,) = Categorical(4).start(x)
    torch.testing.assert_close(logits.exp() * 4, torch.tensor([[3, 0.5, 1, 0.5]]).double())
    (words,) = Multinomial().start(torch.tensor([[3.0, 0.0], [5.0, 0.0]]).double())
    torch.testing.assert_close(words.exp(), torch.tensor([8.0, 0.5]).double())


def test_columns_stuck_at_an_end_start_within_bounds():
    x = torch.tensor([[0.0, 1.0, 0.25]], dtype=torch.float64)
    (eta,) = ContinuousBernoulli().start(x)
    assert eta[0] == pytest.approx(-1e3)
    assert eta[1] == pytest.approx(1e3)
    assert float(ContinuousBernoulli().mean((eta,))[2]) == pytest.approx(0.25, rel=1e-9)


# ---- size ---------------------------------------------------------------------------------------


def seconds(work) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


@pytest.mark.parametrize(
    "member",
    [StudentT(), StudentT("feature"), NegativeBinomial(), ZeroInflatedNegativeBinomial()],
    ids=repr,
)
def test_the_start_costs_no_more_than_100_gradients(member, rng):
    """An iterative search is over in seconds on the million cells that a fit gives it."""
    size = (10_000, 20)
    x = rng.standard_t(3, size=size) if member.traits.scaling == "feature" else np.floor(
        rng.negative_binomial(0.8, 0.004, size=size) * (rng.random(size) < 0.8)
    )  # fmt: skip
    x = torch.from_numpy(x.astype(float))
    eta = tuple(part.requires_grad_() for part in member.start(x[:100]))
    one = min(seconds(lambda: total(member, x, eta).backward()) for _ in range(3))
    assert seconds(lambda: member.start(x)) < 100 * one


def test_many_levels_are_counted_at_once(rng):
    x = torch.arange(200_000, dtype=torch.float64).remainder(50_000).reshape(-1, 2)
    member = Categorical(50_000)
    (logits,) = member.start(x)
    truth = np.stack([np.bincount(column, minlength=50_000) for column in x.long().numpy().T])
    torch.testing.assert_close(
        logits.exp() * len(x), torch.from_numpy(truth).double().clamp_min(0.5)
    )
    assert seconds(lambda: member.start(x)) < 1
