"""Freed memory stays with the process while a model trains.

Each step frees what the next one asks for again. The C library gives arrays of megabytes back to
the system, which clears every page before it hands it out anew: of a step on 20,000 columns, or of
a convolutional one, that took 30 to 40 %. Here it may keep `KEPT_BYTES` until the training ends.

Only glibc can be told so (and not if the user has set it up already); elsewhere nothing changes.
What it is told cannot be read, so afterwards it gets what its own rule would end with: that rule
raises both thresholds when large arrays are freed, up to `LARGEST_IN_HEAP` and twice that.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

KEPT_BYTES = 1 << 28
LARGEST_IN_HEAP = 1 << 25  # glibc takes no more
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

_lock, _depth = Lock(), 0


@contextmanager
def freed_memory_kept(*, wanted: bool = True) -> Iterator[None]:
    """Let the C library keep freed memory inside the block, and give it back afterwards.

    Giving back takes a quarter of a millisecond.
    """
    if not wanted:
        yield
        return
    _enter(1)
    try:
        yield
    finally:
        _enter(-1)


def _enter(step: int) -> None:
    """Several blocks may overlap, of several threads: the first sets, the last puts back."""
    global _depth  # the allocator is the process's too
    library = _glibc()
    if library is None:
        return
    with _lock:
        was, _depth = _depth, _depth + step
        if was == 0:
            library.mallopt(M_MMAP_THRESHOLD, LARGEST_IN_HEAP)
            library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        elif _depth == 0:
            library.mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_IN_HEAP)
            library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc and has been told nothing by the user."""
    told = any(name.startswith("MALLOC_") for name in os.environ)
    if told or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    try:
        library = ctypes.CDLL(None)
        known = all(hasattr(library, name) for name in ("gnu_get_libc_version", "mallopt"))
    except (OSError, TypeError):  # Windows has no library of this name
        return None
    return library if known else None
