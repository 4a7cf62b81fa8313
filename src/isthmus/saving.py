"""The file of a model: numbers and JSON, never code.

One safetensors file: the tensors, and in its header a *card*, a JSON object that says what they
belong to. Reading it can't run anything. It is written under a temporary name and renamed, so a
full disk or a crash leaves the old file as it was.

The card carries a format version and the SHA-256 of itself and the tensors, so that a file that
was cut off, damaged or edited is refused by name instead of giving wrong numbers. (The sum is no
signature: who wants to deceive can compute a new one. Whoever reads a card must check it.)
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from isthmus._errors import FileFormatError, UnsupportedTypeError
from isthmus._files import atomic_write

FORMAT = 1
KEY = "isthmus"

Path = str | os.PathLike[str]


def write_model(path: Path, card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a card and its tensors.

    Args:
        path: The file; an old one is replaced when the new one is complete.
        card: Plain JSON data.
        tensors: By name, on any device.

    Raises:
        InvalidParameterError: The folder doesn't exist, or ``path`` is a folder.
        UnsupportedTypeError: Something that is no tensor, such as the extra state of a module.
        OSError: The file can't be written; the old one is still there.
    """
    numbers: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise UnsupportedTypeError(
                f"The state {name!r} of the model is a {type(tensor).__name__}; only tensors can "
                "be saved. Keep it in a buffer of the module."
            )
        # a copy of its own for each name: the format has no place for shared memory
        numbers[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    full = {"format": FORMAT, **card}
    text = json.dumps({**full, "sha256": digest(full, numbers)}, allow_nan=False)
    with atomic_write(path) as temporary:
        mode = stat.S_IMODE(temporary.stat().st_mode)
        try:
            save_file(numbers, temporary, metadata={KEY: text})
        except SafetensorError as error:
            raise OSError(f"{os.fspath(path)} can't be written: {error}") from error
        # safetensors puts a file of its own there, which only its owner may read
        temporary.chmod(mode)


def read_card(path: Path) -> dict[str, Any]:
    """The card of a model file, without its tensors, and so without a check of the whole.

    Raises:
        FileNotFoundError: There is no such file.
        FileFormatError: It is not a model file, or of a later format.
        OSError: The file can't be opened.
    """
    return _read(path, tensors=False)[0]


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Card and tensors of a model file.

    The tensors are windows on the file: copy what must outlive it.

    Raises:
        FileNotFoundError: There is no such file.
        FileFormatError: It is not a model file, damaged, edited, or of a later format.
        OSError: The file can't be opened.
    """
    card, tensors = _read(path, tensors=True)
    said = card.pop("sha256", None)
    if said != digest(card, tensors):
        raise FileFormatError(
            f"{os.fspath(path)} is damaged: its card and its numbers are not those that were "
            "saved. Restore it from a copy or train again."
        )
    return card, tensors


def _read(path: Path, *, tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    name = os.fspath(path)
    if os.path.isdir(path):
        raise FileFormatError(f"{name} is a folder, not a model file; give the file's name.")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no model file {name}; check the name and the folder.")
    with open(path, "rb"):  # what can't be opened is an OSError with its own reason
        pass
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            numbers = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118  # safe_open is no dict
    except Exception as error:  # the format's reader has errors of many kinds for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileFormatError(
            f"{name} is not a model file, or it is cut off or damaged ({reason}). "
            "Restore it from a copy or train again."
        ) from error
    if text is None:
        raise FileFormatError(
            f"{name} is a safetensors file, but not one of Isthmus; read it with safetensors."
        )
    return _parse(name, text), numbers


def _parse(name: str, text: str) -> dict[str, Any]:
    try:
        card = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{name} has a card that is not JSON ({error}). Restore it from a copy."
        ) from error
    if not isinstance(card, dict) or type(card.get("format")) is not int:
        raise FileFormatError(
            f"{name} has a card without a format version. Restore it from a copy."
        )
    if card["format"] != FORMAT:
        raise FileFormatError(
            f"{name} has format {card['format']}, but this version reads format {FORMAT}; "
            "update isthmus."
        )
    return card


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def digest(card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of a card and of names, types, shapes and numbers, in the order of the names."""
    total = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
