"""One registry per family: names, objects and cards, and a clear refusal of anything else."""

from dataclasses import dataclass

import numpy as np
import pytest

import isthmus
from isthmus import (
    Categorical,
    FileFormatError,
    Gaussian,
    InvalidParameterError,
    Masking,
    UnsupportedTypeError,
)
from isthmus._registry import Registry, is_real, is_whole, to_card
from isthmus.corruptions import CORRUPTIONS
from isthmus.encoders import ENCODERS
from isthmus.likelihoods import LIKELIHOODS
from isthmus.penalties import PENALTIES

FAMILIES = {r.family: r for r in (LIKELIHOODS, ENCODERS, CORRUPTIONS, PENALTIES)}
EVERY = pytest.mark.parametrize("registry", FAMILIES.values(), ids=FAMILIES)


@EVERY
def test_every_name_makes_a_member_that_the_package_exports(registry):
    assert len(registry) == len(list(registry)) > 0
    for name in registry:
        member = registry[name]
        assert isinstance(member, registry.kind)
        assert name in registry
        assert getattr(isthmus, type(member).__name__) is type(member)


@EVERY
def test_every_final_class_of_a_family_has_a_name(registry):
    def final(kind: type) -> set[type]:
        below = kind.__subclasses__()
        return {kind} if not below else set().union(*map(final, below))

    exported = {getattr(isthmus, name) for name in isthmus.__all__}
    assert set(registry.readable().values()) == final(registry.kind) & exported


@EVERY
def test_names_and_objects_resolve_to_the_same(registry):
    for name in registry:
        member = registry[name]
        assert registry.resolve(name) == member
        assert registry.resolve(member) is member


@EVERY
def test_a_wrong_name_is_refused_with_all_names_and_the_nearest(registry):
    name = next(iter(registry))
    with pytest.raises(InvalidParameterError, match=f"Did you mean '{name}'") as refusal:
        registry.resolve(name[:-1])
    assert all(other in str(refusal.value) for other in registry)
    with pytest.raises(InvalidParameterError, match=r"no .* named 'qqqq'"):
        registry.resolve("qqqq")


@EVERY
def test_a_class_in_place_of_an_object_is_told_apart(registry):
    kind = type(registry[next(iter(registry))])
    with pytest.raises(UnsupportedTypeError, match=rf"{kind.__name__}\(\)"):
        registry.resolve(kind)


@EVERY
@pytest.mark.parametrize("given", [None, 3, 1.5, ["gaussian"], object(), int])
def test_anything_else_is_refused_with_its_type(registry, given):
    with pytest.raises(UnsupportedTypeError, match=f"{registry.family} must be a"):
        registry.resolve(given)


def test_a_member_of_another_family_is_refused():
    with pytest.raises(UnsupportedTypeError, match=r"corruption must be .*Gaussian"):
        CORRUPTIONS.resolve(Gaussian())


@EVERY
@pytest.mark.parametrize(
    "card",
    [
        {},
        {"kind": "Nothing"},
        {"kind": None},
        {"kind": ["Gaussian"]},
        {"kind": "os.system"},
        {"kind": "Gaussian", "command": "rm"},
        {"kind": "Gaussian", "scale": -1},
        {"kind": "Gaussian", "scale": [1]},
        {"kind": "Masking", "rate": 7},
        {"kind": "Deterministic", "activation": ["tanh"]},
        {"kind": "L1", "weight": None},
    ],
    ids=str,
)
def test_an_edited_card_is_refused_as_a_damaged_file(registry, card):
    with pytest.raises(FileFormatError, match=f"describes a {registry.family}"):
        registry.from_card(card)


def test_a_card_is_plain_data():
    assert to_card(Masking(0.5)) == {
        "kind": "Masking",
        "rate": 0.5,
        "rescale": True,
        "targets": "all",
    }
    card = to_card(Categorical(np.int64(3)))
    assert type(card["levels"]) is int
    for thing in (3, "gaussian", Gaussian):
        with pytest.raises(UnsupportedTypeError, match="card"):
            to_card(thing)


def test_numbers_are_numbers_whoever_made_them():
    assert all(map(is_real, [1, 0.5, np.float32(1), np.int8(1), float("nan")]))
    assert not any(map(is_real, [True, np.True_, "1", None, [1], 1j]))
    assert all(map(is_whole, [1, -3, np.uint8(1)]))
    assert not any(map(is_whole, [True, 1.0, np.float64(1), "1", None]))


def test_a_new_family_needs_no_more_than_its_members():
    @dataclass(frozen=True)
    class Colour:
        shade: str = "dark"

    colours = Registry("colour", Colour, {"plain": Colour, "light": lambda: Colour("light")})
    assert colours.from_card(to_card(colours["light"])) == Colour("light")
