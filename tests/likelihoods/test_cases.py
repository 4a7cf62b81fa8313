"""The inputs of the laws are tested too: they vary, and they cover the edges of each support."""

import numpy as np
import pytest
import torch

from isthmus import Bernoulli, Categorical, Multinomial
from isthmus.likelihoods import LIKELIHOODS
from tests.likelihoods.cases import (
    EXACT_TRUTHS,
    MEMBERS,
    RANGES,
    TRUTHS,
    draw_data,
    draw_eta,
    expectation,
    in_every_cell,
    points,
    truth,
)

EVERY = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)


def test_every_family_has_members_and_a_truth():
    classes = set(LIKELIHOODS.classes().values())
    assert {type(member) for member in MEMBERS.values()} == classes
    assert set(TRUTHS) == set(EXACT_TRUTHS) == classes


@EVERY
def test_eta_varies_over_its_range_and_has_the_shapes_of_its_parameters(member):
    eta = draw_eta(member, 200, 5)
    other = draw_eta(member, 200, 5, seed=1)
    for part, changed, parameter in zip(eta, other, member.traits.parameters, strict=True):
        lead = {"row": (200, 5), "feature": (5,)}.get(parameter.varies, (1,))
        assert part.shape == lead + ((parameter.width,) if parameter.width > 1 else ())
        assert part.dtype == torch.float64
        if parameter.varies == "row":
            low, high = RANGES[parameter.name]
            spread = (part - low) / (high - low)
            assert 0 <= float(spread.min()) < 0.05
            assert 0.95 < float(spread.max()) <= 1
        assert torch.equal(part, changed) == (parameter.varies == "fixed")


@EVERY
def test_data_vary_and_hold_the_edges(member):
    x = draw_data(member, 200, 5)
    member.check(x.numpy())
    assert (x.std(0) > 0).all()
    assert not torch.equal(x, draw_data(member, 200, 5, seed=1))
    support = member.traits.support.description
    if support == "finite real numbers":
        assert {0.0, 25.0} <= set(x.flatten().tolist())
        assert (x < 0).any()
    elif isinstance(member, Categorical):
        assert set(x.unique().tolist()) == set(range(member.levels))
    else:
        top = 250.0 if support.startswith("counts") else 1.0
        assert {0.0, 1.0, top} <= set(x.flatten().tolist())
        inner = ((x > 0) & (x < 1)).any()
        assert bool(inner) == (support == "numbers in [0, 1]")


@EVERY
def test_scipys_truth_and_the_exact_one_agree_near_by(member):
    x, eta = draw_data(member, 6, 4), draw_eta(member, 6, 4)
    torch.testing.assert_close(truth(member, x, eta), truth(member, x, eta, exact=True))


@EVERY
def test_an_eta_in_every_cell_is_the_same_eta(member):
    x, eta = draw_data(member, 6, 4), draw_eta(member, 6, 4)
    cells = in_every_cell(member, eta, 6, 4)
    assert all(part.shape[:2] == (6, 4) for part in cells)
    torch.testing.assert_close(member.log_prob(x, eta), member.log_prob(x, cells))


def test_expectations_of_a_known_distribution():
    eta = (torch.tensor([[0.0, 2.0]], dtype=torch.float64),)
    p = eta[0].sigmoid()[0]
    torch.testing.assert_close(expectation(Bernoulli(), eta, lambda x: 3 * x), 3 * p)


def test_the_grid_of_a_document_holds_every_document_once():
    rows = points(Multinomial(total=7), 3)
    assert len(rows) == 36
    assert len(np.unique(rows.numpy(), axis=0)) == 36
    assert (rows.sum(1) == 7).all()
