"""``NAME[:VALUE…]`` as a part: ``masking:0.3`` is ``Masking(0.3)``.

The texts after the colons are the part's arguments in their order, as in Python: a number where
the text is one, true and false, else the text itself.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from isthmus._errors import InvalidParameterError
from isthmus._registry import Registry

PATCHES = ("n_atoms", "patch_size", "grid")


def read_part(registry: Registry[Any], option: str, text: str) -> Any:
    """The part that an option's text describes.

    Args:
        registry: The parts of this family.
        option: The option, for messages, such as ``"--penalty"``.
        text: A name, or a name with values.

    Returns:
        The name itself where no value is given, as a user of Python would write it; else an
        object.

    Raises:
        InvalidParameterError: An unknown name, too many values or unsuitable ones.
    """
    name, *values = text.split(":")
    try:
        member = registry[name]
        return replace(member, **_arguments(name, member, values)) if values else name
    except InvalidParameterError as error:
        raise InvalidParameterError(f"{option} {text}: {error}") from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        given = ", ".join(repr(value) for value in values)
        raise InvalidParameterError(
            f"{option} {text}: {name} can't be made with {given}; expected are "
            f"{_signature(member)}."
        ) from error


def read_parts(registry: Registry[Any], option: str, texts: Sequence[str] | None) -> Any:
    """All parts of an option that may be repeated, or None."""
    return [read_part(registry, option, text) for text in texts] if texts else None


def read_likelihood(text: str, columns: Sequence[str] | None) -> Any:
    """The likelihood of all columns, or of some by name where ``--column`` is given.

    Raises:
        InvalidParameterError: Both are given, or a text without a name or a likelihood.
    """
    from isthmus.estimators.resolve import FROM_DATA
    from isthmus.likelihoods import LIKELIHOODS

    if not columns:
        return text if text in FROM_DATA else read_part(LIKELIHOODS, "--likelihood", text)
    if text != "auto":
        raise InvalidParameterError(
            f"--likelihood {text} is for all columns and --column for one; give one of the two."
        )
    by_name: dict[Any, Any] = {}
    for given in columns:
        name, equals, part = given.rpartition("=")
        if not (name and equals and part):
            raise InvalidParameterError(
                f"--column {given}: expected a column and a likelihood, such as age=student_t."
            )
        by_name[name] = read_part(LIKELIHOODS, f"--column {name}", part)
    return by_name


def read_patches(text: str | None, columns: Sequence[str] | None) -> dict[str, int] | None:
    """Parameters of `isthmus.PatchFeatures` from text such as ``128:6:3``; None for None.

    Raises:
        InvalidParameterError: Something that is no whole number, too many, or ``--column`` beside.
    """
    if text is None:
        return None
    if columns:
        raise InvalidParameterError(
            f"--column {columns[0]} is for a table, and --patches {text} for images; give one of "
            "the two."
        )
    values = text.split(":")
    if len(values) > len(PATCHES) or not all(map(str.isdecimal, values)):
        raise InvalidParameterError(
            f"--patches {text}: expected how many patterns, and if wanted the pixels along a "
            "patch's side and the cells along an image's side, such as 128 or 128:6:3."
        )
    return dict(zip(PATCHES, map(int, values), strict=False))


def read_value(text: str) -> bool | int | float | str:
    """A number where the text is one, true and false, else the text."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def require_level(option: str, level: float | None) -> None:
    """Refuse a part of ordinary rows that is none.

    Raises:
        InvalidParameterError: It does not lie between 0 and 1.
    """
    if level is not None and not 0 < level < 1:
        raise InvalidParameterError(f"{option} {level:g}: the level must lie between 0 and 1.")


def read_widths(text: str) -> tuple[int, ...]:
    """Widths of layers from text such as ``512,256``; () for ``none`` and for nothing.

    Raises:
        InvalidParameterError: Something that is not a whole number.
    """
    if text.strip() in ("", "none"):
        return ()
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise InvalidParameterError(
            f"--hidden {text}: expected whole numbers with commas between them, such as 512,256, "
            "or none."
        ) from error


def _arguments(name: str, member: Any, values: Sequence[str]) -> dict[str, Any]:
    known = _names(member)
    if len(values) > len(known):
        takes = f"takes only {_signature(member)}" if known else "takes no value"
        raise InvalidParameterError(
            f"{name} {takes}; leave {':'.join(values[len(known) :])!r} out."
        )
    if "" in values:
        raise InvalidParameterError("there is no value after a colon.")
    return dict(zip(known, map(read_value, values), strict=False))


def _names(member: Any) -> list[str]:
    return [field.name for field in fields(member) if field.init] if is_dataclass(member) else []


def _signature(member: Any) -> str:
    return ", ".join(f"{name} (such as {getattr(member, name)})" for name in _names(member))
