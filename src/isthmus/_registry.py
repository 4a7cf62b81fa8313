"""One registry per family: the names that users, the command line, docs and tests all read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, Generic, TypeGuard, TypeVar

import numpy as np

from isthmus._errors import FileFormatError, InvalidParameterError, UnsupportedTypeError

T = TypeVar("T")


def unknown_name(family: str, name: object, names: Iterable[str]) -> InvalidParameterError:
    """The refusal of a name that no member of a family has, with the nearest one that has."""
    known = list(names)
    near = get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return InvalidParameterError(
        f"There is no {family} named {name!r}; the names are {', '.join(known)}.{hint}"
    )


class Registry(Generic[T]):
    """The members of one family of parts, by name.

    Args:
        family: What a member is called in a message, such as ``"likelihood"``.
        kind: The abstract class of the family.
        members: For each name a function without arguments that makes the default member.
        composites: Classes of the family that are made of a list of members and have no name.
    """

    def __init__(
        self,
        family: str,
        kind: type[T],
        members: Mapping[str, Callable[[], T]],
        composites: tuple[type[T], ...] = (),
    ) -> None:
        self.family = family
        self.kind = kind
        self._members = dict(members)
        self._composites = composites

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def resolve(self, given: str | T) -> T:
        """The object that is meant by an object or by a name.

        Args:
            given: A member of the family, or one of the registry's names.

        Raises:
            InvalidParameterError: No member has this name; the nearest names are suggested.
            UnsupportedTypeError: Neither a name nor a member of the family.
        """
        if isinstance(given, str):
            return self[given]
        if isinstance(given, type) and issubclass(given, self.kind):
            raise UnsupportedTypeError(
                f"{self.family} was given the class {given.__name__}; give an object, "
                f"such as {given.__name__}(), or a name."
            )
        if not isinstance(given, self.kind):
            raise UnsupportedTypeError(
                f"{self.family} must be a {self.kind.__name__} or one of the names "
                f"{', '.join(self._members)}; got {given!r} of type {type(given).__name__}."
            )
        return given

    def __getitem__(self, name: str) -> T:
        if name not in self._members:
            raise unknown_name(self.family, name, self._members)
        return self._members[name]()

    def classes(self) -> dict[str, type[T]]:
        """The classes of the members by their class name."""
        made = (make() for make in self._members.values())
        return {type(member).__name__: type(member) for member in made}

    def readable(self) -> dict[str, type[T]]:
        """The classes that a card may name: those of the members, and the composites."""
        return {**self.classes(), **{kind.__name__: kind for kind in self._composites}}

    def from_card(self, card: Mapping[str, Any]) -> T:
        """The member that `to_card` described.

        Raises:
            FileFormatError: The card names no member of this family, or arguments it has not.
        """
        try:
            arguments = {
                name: tuple(map(self.from_card, value)) if isinstance(value, list) else value
                for name, value in card.items()
                if name != "kind"
            }
            return self.readable()[card["kind"]](**arguments)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileFormatError(
                f"The card describes a {self.family} that can't be made: {dict(card)!r} ({error})."
            ) from error


def to_card(part: Any) -> dict[str, Any]:
    """A frozen part as plain JSON data: its class name and its arguments."""
    if not is_dataclass(part) or isinstance(part, type):
        raise UnsupportedTypeError(f"{part!r} is not a part that a card can describe.")
    values = {field.name: getattr(part, field.name) for field in fields(part) if field.init}
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in values.items()
    }
    return {"kind": type(part).__name__, **plain}


def is_real(value: object) -> TypeGuard[float]:
    """Whether an argument is a number, of Python or numpy, and not True or False."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether an argument is an integer, of Python or numpy, and not True or False."""
    return isinstance(value, Integral) and not isinstance(value, bool)
