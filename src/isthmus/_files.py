"""Files are written whole or not at all.

A writer fills a temporary file in the folder of the target; only when it is complete and on the
disk does it take the target's name, in one step of the file system. Whoever opens the target,
at any moment and after any crash, finds the old file or the new one.
"""

import errno
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from isthmus._errors import InvalidParameterError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends without an error.

    The temporary file exists, is empty, has the ending of ``path`` and the permissions of the
    file that it replaces. A symbolic link stays one: its target is replaced.

    Args:
        path: The file to write; its folder must exist.

    Yields:
        The path to write to.

    Raises:
        InvalidParameterError: The folder doesn't exist, or ``path`` is a folder.
        OSError: The file system refuses. After this and after any other error ``path`` is as it
            was and the temporary file is gone.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise InvalidParameterError(
            f"{os.fspath(path)} can't be written: the folder {target.parent} doesn't exist. "
            "Make it first."
        )
    if target.is_dir():
        raise InvalidParameterError(
            f"{os.fspath(path)} can't be written: it is a folder. Give the name of a file."
        )
    # a short name of its own: the target's name may already be as long as the system allows
    temporary = target.parent / f".isthmus-{secrets.token_hex(8)}{target.suffix}"
    try:
        with open(temporary, "xb"):
            pass
        if target.exists():
            shutil.copymode(target, temporary)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def require_place(path: Path) -> None:
    """Find out before the work whether a file can be written later.

    Raises:
        InvalidParameterError: The folder doesn't exist, or ``path`` is a folder.
        PermissionError: The folder can't be written to.
    """
    if not path.parent.is_dir():
        raise InvalidParameterError(
            f"{path} can't be written: there is no folder {path.parent}. Make it first."
        )
    if path.is_dir():
        raise InvalidParameterError(f"{path} can't be written: it is a folder.")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            errno.EACCES, "No permission to write in this folder", str(path.parent)
        )


def write_text(path: Path, text: str) -> None:
    """Write a file as a whole.

    Raises:
        OSError: With the file's name; an old file is still there.
    """
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: Path, record: Any) -> None:
    """Write strict JSON: null stands for numbers that are not finite."""
    text = json.dumps(finite_only(record), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def finite_only(value: Any) -> Any:
    """Plain data with None in place of NaN and infinity, which JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite_only(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite_only(each) for each in value]
    return value


def _sync_folder(folder: Path) -> None:
    """Put the new name itself on the disk, where folders can be opened (not on Windows).

    The file is complete by then; some network file systems refuse this, and that is no failure.
    """
    if os.name != "posix":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
