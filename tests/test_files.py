"""Files are written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from isthmus import InvalidParameterError
from isthmus._files import atomic_write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "model.bin"
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".bin"
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["model.bin"]


def test_an_old_file_is_replaced_at_the_end(tmp_path):
    target = tmp_path / "model.bin"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with atomic_write(str(target)) as temporary:
        temporary.write_bytes(b"new and longer")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new and longer"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "disk full"), ValueError(), KeyboardInterrupt()]
)
@pytest.mark.parametrize("old", [b"old", None])
def test_an_error_leaves_everything_as_it_was(tmp_path, old, error):
    target = tmp_path / "model.bin"
    if old is not None:
        target.write_bytes(old)
    before = names(tmp_path)

    def write():
        with atomic_write(target) as temporary:
            temporary.write_bytes(b"half of")
            raise error

    with pytest.raises(type(error)):
        write()
    assert names(tmp_path) == before
    assert old is None or target.read_bytes() == old


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_of_the_last_steps_leaves_everything_as_it_was(tmp_path, monkeypatch, step):
    target = tmp_path / "model.bin"
    target.write_bytes(b"old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"), atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["model.bin"]


def test_a_folder_that_can_not_be_synced_is_no_failure(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, flags, *rest, **more):
        if os.path.isdir(path):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    with atomic_write(tmp_path / "model.bin") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "model.bin").read_bytes() == b"new"


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "model.bin", tmp_path / "link.bin"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["link.bin", "real"]


def test_the_longest_name_works(tmp_path):
    target = tmp_path / ("a" * 250 + ".bin")
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"


def test_a_missing_folder_and_a_folder_are_refused(tmp_path):
    missing = r"can't be written: the folder .*none doesn't exist\. Make it first\.$"
    with (
        pytest.raises(InvalidParameterError, match=missing),
        atomic_write(tmp_path / "none" / "a"),
    ):
        pass
    with pytest.raises(InvalidParameterError, match=r"it is a folder"), atomic_write(tmp_path):
        pass
    assert names(tmp_path) == []


# the operating system's own limit on the size of a file: what a full disk looks like to a program
LIMITED = """
import resource, sys
from pathlib import Path
from isthmus._files import atomic_write

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic_write(sys.argv[1]) as temporary:
        temporary.write_bytes(bytes(100_000))
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(os.name != "posix", reason="the limit is one of POSIX")
def test_when_the_system_refuses_the_old_file_is_still_there(tmp_path):
    target = tmp_path / "model.bin"
    target.write_bytes(b"old")
    command = [sys.executable, "-c", LIMITED, str(target)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "OSError"
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["model.bin"]
