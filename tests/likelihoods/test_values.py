"""Likelihoods as values: traits, supports, cards, and the refusal of what makes no sense."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

import isthmus
from isthmus import (
    Bernoulli,
    Categorical,
    Gaussian,
    InvalidParameterError,
    Laplace,
    Multinomial,
    NegativeBinomial,
    Poisson,
    StudentT,
    SupportError,
    ZeroInflatedNegativeBinomial,
)
from isthmus._registry import to_card
from isthmus.likelihoods import LIKELIHOODS, suggest
from tests.likelihoods.cases import MEMBERS, draw_data
from tests.problems import make_model

EVERY = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)


# ---- traits -------------------------------------------------------------------------------------


@EVERY
def test_outputs_are_what_the_decoder_must_emit(member):
    x = draw_data(member, 20, 3)
    traits = member.traits
    assert traits.outputs == sum(p.width for p in traits.parameters if p.varies == "row")
    model = make_model(x.float(), member)
    rows = model.decoder_network(torch.zeros(7, 3))
    assert rows.shape == (7, 3 * traits.outputs)
    for part, parameter in zip(model.decode(torch.zeros(7, 3)), traits.parameters, strict=True):
        lead = {"row": (7, 3), "feature": (3,)}.get(parameter.varies, (1,))
        assert part.shape == lead + ((parameter.width,) if parameter.width > 1 else ())


@EVERY
def test_columns_are_scaled_as_the_family_allows(member):
    shared = getattr(member, "scale", "") == "shared" or isinstance(
        getattr(member, "scale", ""), float
    )
    real = member.traits.support.description == "finite real numbers"
    wanted = ("common" if shared else "feature") if real else "none"
    wanted = "rank" if getattr(member, "ranked", False) else wanted
    assert member.traits.scaling == wanted


def test_categories_without_a_number_of_levels_say_so():
    with pytest.raises(InvalidParameterError, match=r"levels=None.*at fit"):
        _ = Categorical().traits


# ---- supports -----------------------------------------------------------------------------------


@EVERY
def test_values_inside_the_support_pass(member):
    member.check(draw_data(member, 50, 4).numpy())
    member.check(np.empty((0, 4)))


@EVERY
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_missing_and_infinite_values_are_outside_every_support(member, value):
    x = draw_data(member, 6, 4).numpy()
    x[3, 2] = value
    with pytest.raises(SupportError, match=rf"row 13 of column 'c' is {value}\b") as refusal:
        member.check(x, names=["a", "b", "c", "d"], first_row=10)
    assert "likelihood=" not in str(refusal.value)


OUTSIDE = [
    pytest.param(member, value, id=f"{name}-{value:g}")
    for name, member in MEMBERS.items()
    for value in (-1.0, 0.5, 2.0, 2.5, -0.5, 1e9, 300.0)
    if not member.traits.support.contains(np.array([[value]])).all()
]


@pytest.mark.parametrize(("member", "value"), OUTSIDE)
def test_a_refusal_names_the_place_the_value_and_a_likelihood_that_fits(member, value):
    x = draw_data(member, 6, 4).numpy()
    x[2, 1] = value
    with pytest.raises(SupportError) as refusal:
        member.check(x, first_row=100)
    message = str(refusal.value)
    assert message.startswith(f"{type(member).__name__} needs ")
    assert f"row 102 of column 1 is {value}" in message
    if "ContinuousBernoulli()" in message:
        other = isthmus.ContinuousBernoulli()
    else:
        other = LIKELIHOODS[message.split("likelihood='")[1].split("'")[0]]
    other.check(x)


def test_grey_values_are_told_that_the_cross_entropy_is_no_density():
    with pytest.raises(SupportError, match=r"not a density.*ContinuousBernoulli\(\).*fractions"):
        Bernoulli().check(np.array([[0.0, 0.25]]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.float16, np.float32])
@EVERY
def test_supports_read_every_type_of_number(member, dtype):
    x = np.array([[0, 1], [1, 0]], dtype=dtype)
    member.check(x)
    assert suggest(x) == "bernoulli"


def test_suggestions_are_the_simplest_family_that_holds_the_data():
    assert suggest(np.array([[0.0, 7.0]])) == "poisson"
    assert suggest(np.array([[0.0, 0.5]])) == "continuous_bernoulli"
    assert suggest(np.array([[0.0, 1.5]])) == "gaussian"
    assert suggest(np.array([[-1.0, 1.0]])) == "gaussian"


# ---- values -------------------------------------------------------------------------------------


@EVERY
def test_members_are_frozen_hashable_values(member):
    twin = dataclasses.replace(member)
    assert twin == member
    assert hash(twin) == hash(member)
    assert len({member, twin}) == 1
    name = dataclasses.fields(member)[0].name if dataclasses.fields(member) else "anything"
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
        setattr(member, name, 1)


def test_members_differ_from_each_other():
    assert len(set(MEMBERS.values())) == len(MEMBERS)


@EVERY
def test_a_card_goes_through_json_and_back(member):
    assert LIKELIHOODS.from_card(json.loads(json.dumps(to_card(member)))) == member


@EVERY
def test_repr_evaluates_to_the_member(member):
    names = {name: getattr(isthmus, name) for name in isthmus.__all__}
    assert eval(repr(member), names) == member


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Gaussian(0), "scale"),
        (lambda: Gaussian(-1.0), "scale"),
        (lambda: Gaussian(math.nan), "scale"),
        (lambda: Gaussian(math.inf), "scale"),
        (lambda: Gaussian(None), "scale"),
        (lambda: Gaussian(True), "scale"),
        (lambda: Gaussian("rows"), "scale"),
        (lambda: Gaussian("row", floor=0), "floor"),
        (lambda: Gaussian("row", floor="a"), "floor"),
        (lambda: Laplace("each"), "scale"),
        (lambda: Laplace(1.0), "scale"),
        (lambda: Laplace(floor=1.0), "floor"),
        (lambda: StudentT(1.0), "df"),
        (lambda: StudentT(math.inf), "df"),
        (lambda: StudentT("row"), "df"),
        (lambda: StudentT(None), "df"),
        (lambda: StudentT(scale="one"), "scale"),
        (lambda: StudentT(floor=math.nan), "floor"),
        (lambda: Bernoulli("yes"), "fractions"),
        (lambda: Categorical(1), "levels"),
        (lambda: Categorical(2.5), "levels"),
        (lambda: Categorical("3"), "levels"),
        (lambda: NegativeBinomial("rows"), "dispersion"),
        (lambda: NegativeBinomial(1.0), "dispersion"),
        (lambda: ZeroInflatedNegativeBinomial(None), "dispersion"),
        (lambda: Multinomial(0), "total"),
        (lambda: Multinomial(1.5), "total"),
        (lambda: Multinomial(math.nan), "total"),
    ],
)
def test_arguments_outside_their_range_are_refused_by_name(make, word):
    with pytest.raises(InvalidParameterError, match=word):
        make()


def test_numbers_of_numpy_are_numbers():
    assert Gaussian(np.float32(0.5)) == Gaussian(0.5)
    assert Categorical(np.int64(4)) == Categorical(4)
    assert json.dumps(to_card(Gaussian(np.float32(0.5)))) == json.dumps(to_card(Gaussian(0.5)))
    assert json.dumps(to_card(Categorical(np.int64(4)))) == json.dumps(to_card(Categorical(4)))
    assert Poisson() == Poisson()
