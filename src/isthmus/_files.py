"""Files are written whole or not at all.

A writer fills a temporary file in the folder of the target; only when it is complete and on the
disk does it take the target's name, in one step of the file system. Whoever opens the target,
at any moment and after any crash, finds the old file or the new one.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
