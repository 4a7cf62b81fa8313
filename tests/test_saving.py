"""The file of a model: numbers and JSON, damaged in every way that can be thought of."""

import errno
import json
import os
import pickle
import struct
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from isthmus import FileFormatError, InvalidParameterError, UnsupportedTypeError, saving
from isthmus.saving import FORMAT, KEY, read_card, read_model, write_model

CARD = {"name": "ä", "numbers": [1, 0.1, -1e300, 2**60], "inner": {"nothing": None, "yes": True}}
TENSORS = {
    "weight": torch.arange(12, dtype=torch.float32).reshape(3, 4) / 7,
    "center": torch.tensor([1e9 + 1, -0.0, 5e-324], dtype=torch.float64),
    "scalar": torch.tensor(3),
    "bits": torch.tensor([True, False]),
    "half": torch.tensor([1.5], dtype=torch.bfloat16),
    "empty": torch.empty(0, 5),
}


@pytest.fixture
def path(tmp_path):
    write_model(tmp_path / "m.safetensors", CARD, TENSORS)
    return tmp_path / "m.safetensors"


def refused(path, what="", read=read_model):
    with pytest.raises(FileFormatError, match=what or None) as caught:
        read(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert text.endswith(".")
    return text


def parts(path):
    """Header of a safetensors file, and the rest."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def put(path, header, rest):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


def put_card(path, text):
    """Replace the card's text, leaving the numbers as they are."""
    header, rest = parts(path)
    header["__metadata__"][KEY] = text
    put(path, header, rest)


# ---- whole ----------------------------------------------------------------------------------


def test_what_is_written_is_read(path):
    card, tensors = read_model(path)
    assert card == {"format": FORMAT, **CARD}
    assert read_card(path).items() >= CARD.items()
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert (
            tensors[name].numpy(force=True).tobytes() == tensor.numpy().tobytes()
            if (tensor.dtype != torch.bfloat16)
            else torch.equal(tensors[name], tensor)
        )


def test_the_same_model_gives_the_same_bytes(path, tmp_path):
    write_model(tmp_path / "again", dict(reversed(CARD.items())), dict(reversed(TENSORS.items())))
    write_model(tmp_path / "twice", CARD, TENSORS)
    assert (tmp_path / "twice").read_bytes() == path.read_bytes()
    assert parts(tmp_path / "again")[1] == parts(path)[1]


def test_strided_shared_and_differentiated_tensors_are_written_by_value(tmp_path):
    whole = torch.arange(6.0).reshape(2, 3)
    given_ = {"a": whole, "b": whole.T, "c": whole[:, 1], "d": torch.nn.Parameter(whole)}
    write_model(tmp_path / "m", {}, given_)
    _, tensors = read_model(tmp_path / "m")
    assert all(torch.equal(tensors[name], value) for name, value in given_.items())


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_others_may_read_what_the_system_lets_them_read(tmp_path):
    plain, path = tmp_path / "plain", tmp_path / "model.safetensors"
    plain.touch()
    write_model(path, {}, {"w": torch.ones(2)})
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    write_model(path, {}, {"w": torch.zeros(2)})
    assert path.stat().st_mode & 0o777 == 0o640


def test_only_tensors_are_written(tmp_path):
    with pytest.raises(UnsupportedTypeError, match=r"state 'extra' .* is a dict; only tensors"):
        write_model(tmp_path / "m", {}, {"extra": {}})
    with pytest.raises(ValueError, match="JSON"):
        write_model(tmp_path / "m", {"nll": float("nan")}, TENSORS)
    with pytest.raises(InvalidParameterError, match="doesn't exist"):
        write_model(tmp_path / "none" / "m", CARD, TENSORS)
    assert list(tmp_path.iterdir()) == []


# ---- a full disk ----------------------------------------------------------------------------


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["save_file", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(path, monkeypatch, step):
    before = path.read_bytes()
    monkeypatch.setattr(saving if step == "save_file" else os, step, full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_model(path, CARD, {"weight": torch.zeros(5)})
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


# the operating system's own limit on the size of a file: a full disk, in earnest
LIMITED = """
import resource, sys, torch
from isthmus.saving import write_model

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_model(sys.argv[1], {}, {"weight": torch.zeros(100_000)})
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="the limit is one of POSIX")
def test_when_the_system_refuses_the_old_file_is_still_there(path):
    before = path.read_bytes()
    command = [sys.executable, "-c", LIMITED, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "can't be written: " in ended.stdout
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    card, _ = read_model(path)
    assert card["name"] == "ä"


# ---- damaged --------------------------------------------------------------------------------


def test_what_is_not_there(tmp_path):
    for read in (read_model, read_card):
        with pytest.raises(FileNotFoundError, match=r"no model file .*none; check the name"):
            read(tmp_path / "none")
        refused(tmp_path, "is a folder", read)


class Trap:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return open, (self.place, "w")


@pytest.mark.parametrize("read", [read_model, read_card])
def test_other_files_are_refused_and_not_executed(tmp_path, read):
    trap = tmp_path / "executed"
    others = {
        "empty": b"",
        "text": b"just some words, and a few more of them\n" * 10,
        "short": b"1234567",
        "zeros": bytes(1000),
        "ones": b"\xff" * 1000,
        "pickle": pickle.dumps(Trap(trap)),
        "old pickle": pickle.dumps(Trap(trap), protocol=0),
        "header of 8 exabytes": struct.pack("<Q", 2**63) + b"{}",
        "header without end": struct.pack("<Q", 100) + b'{"a":',
        "header of a list": struct.pack("<Q", 2) + b"[]",
        "deep header": struct.pack("<Q", 200_000) + b"[" * 200_000,
    }
    for name, raw in others.items():
        (tmp_path / name).write_bytes(raw)
        refused(tmp_path / name, "is not a model file, or it is cut off or damaged", read)
    torch.save({"weight": Trap(trap)}, tmp_path / "torch")
    refused(tmp_path / "torch", "is not a model file", read)
    save_file(TENSORS, tmp_path / "foreign", metadata={"format": "pt"})
    refused(tmp_path / "foreign", "a safetensors file, but not one of Isthmus", read)
    assert not trap.exists()


@pytest.mark.parametrize("read", [read_model, read_card])
def test_a_file_cut_off_anywhere_is_refused(path, read):
    raw = path.read_bytes()
    for length in {*range(0, len(raw), 37), *range(12), len(raw) - 1}:
        path.write_bytes(raw[:length])
        refused(path, "cut off", read)
    path.write_bytes(raw + b"\0")
    refused(path, "is not a model file", read)


def test_every_changed_byte_is_noticed(path):
    raw = bytearray(path.read_bytes())
    header, _ = parts(path)
    first = len(raw) - sum(tensor.numel() * tensor.element_size() for tensor in TENSORS.values())
    for place in [*range(0, first, 11), *range(first, len(raw))]:
        damaged = raw.copy()
        damaged[place] ^= 0x04
        path.write_bytes(damaged)
        refused(path)
    assert header


def test_changed_numbers_and_cards_are_noticed(path):
    header, rest = parts(path)
    weight = header.pop("weight")
    for changed in (
        {"other": weight},
        {"weight": {**weight, "shape": [4, 3]}},
        {"weight": {**weight, "dtype": "I32"}},
    ):
        put(path, {**header, **changed}, rest)
        refused(path, "card and its numbers are not those that were saved")
    put(path, {**header, "weight": weight}, rest)
    read_model(path)
    card = json.loads(header["__metadata__"][KEY])
    for changed in (
        {**card, "name": "b"},
        {**card, "more": 1},
        {**card, "sha256": "0" * 64},
        {name: value for name, value in card.items() if name != "sha256"},
        {name: value for name, value in card.items() if name != "inner"},
    ):
        put_card(path, json.dumps(changed))
        refused(path, "not those that were saved")


CARDS = {
    "no JSON": ("{", "not JSON"),
    "a list": ("[1]", "without a format version"),
    "no format": ('{"a": 1}', "without a format version"),
    "format true": ('{"format": true}', "without a format version"),
    "format 1.0": ('{"format": 1.0}', "without a format version"),
    "later format": (
        f'{{"format": {FORMAT + 1}}}',
        r"has format 2, but .* reads format 1; update",
    ),
    "format 0": ('{"format": 0}', "has format 0"),
    "NaN": ('{"format": 1, "a": NaN}', "NaN is no number"),
    "Infinity": ('{"format": 1, "a": -Infinity}', "-Infinity is no number"),
    "deep": ("[" * 100_000, "not JSON"),
    "a number of 10,000 digits": ('{"format": 1' + "0" * 10_000 + "}", "not JSON"),
}


@pytest.mark.parametrize(("text", "what"), CARDS.values(), ids=CARDS)
@pytest.mark.parametrize("read", [read_model, read_card])
def test_wrong_cards_are_refused(path, read, text, what):
    put_card(path, text)
    refused(path, what, read)


def test_huge_shapes_take_no_memory(path):
    header, rest = parts(path)
    for shape in ([2**40, 2**20], [2**63, 2], [-1, 5]):
        put(path, {**header, "weight": {**header["weight"], "shape": shape}}, rest)
        refused(path, "is not a model file")
    for offsets in ([0, 2**62], [2**62, 2**63], [8, 4]):
        put(path, {**header, "weight": {**header["weight"], "data_offsets": offsets}}, rest)
        refused(path, "is not a model file")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_damage_is_refused_or_harmless(path, tmp_path, data):
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        stop = start + data.draw(st.integers(0, 20))
        raw[start:stop] = data.draw(st.binary(max_size=20))
    damaged = tmp_path / "damaged"
    damaged.write_bytes(raw)
    try:
        card, tensors = read_model(damaged)
    except FileFormatError:
        return
    # what is still read must be what was saved
    assert card == {"format": FORMAT, **CARD}
    assert saving.digest({}, tensors) == saving.digest({}, TENSORS)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path, raw):
    (tmp_path / "any").write_bytes(raw)
    refused(tmp_path / "any")
