"""Freed memory stays while a model trains, and goes back afterwards."""

import os
import platform

import numpy as np
import pytest
import torch

from isthmus import Autoencoder
from isthmus.training import freed, freed_memory_kept

TOLD = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or TOLD,
    reason="needs glibc that nobody has set up",
)


class Library:
    """Writes down what it is told."""

    def __init__(self):
        self.told = []

    def mallopt(self, what, value):
        self.told.append((what, value))

    def malloc_trim(self, keep):
        self.told.append(("trim", keep))


@pytest.fixture
def library(monkeypatch):
    library = Library()
    monkeypatch.setattr(freed, "_glibc", lambda: library)
    return library


SET = [(freed.M_MMAP_THRESHOLD, 1 << 25), (freed.M_TRIM_THRESHOLD, 1 << 28)]
PUT_BACK = [(freed.M_TRIM_THRESHOLD, 1 << 26), ("trim", 0)]


def test_the_last_of_several_blocks_puts_back(library):
    with freed_memory_kept(), freed_memory_kept():
        pass
    assert library.told == SET + PUT_BACK


def test_an_error_puts_back_too(library):
    with pytest.raises(KeyError), freed_memory_kept():
        raise KeyError
    assert library.told == SET + PUT_BACK


def test_nothing_is_done_where_it_is_not_wanted(library):
    with freed_memory_kept(wanted=False):
        pass
    assert library.told == []


@pytest.mark.parametrize("stop", [False, True])
def test_training_keeps_memory_until_it_ends(library, stop, monkeypatch):
    seen = []

    class Watched(Autoencoder):
        def _receive(self, *given):
            seen.append(list(library.told))
            super()._receive(*given)

    def broken(*_):
        seen.append(list(library.told))
        raise KeyboardInterrupt

    model = Watched(2, hidden=(4,), max_epochs=1, validation_fraction=0)
    rows = np.random.default_rng(0).normal(size=(20, 3))
    if stop:
        monkeypatch.setattr("isthmus.objective.Objective.descend", broken)
        with pytest.warns(match="Stopped by the user"):
            model.fit(rows)
        assert seen[-1] == SET
    else:
        model.fit(rows)
    assert seen[0] == []
    assert library.told == SET + PUT_BACK


def test_a_transform_of_many_rows_keeps_memory_and_one_of_few_does_not(library):
    rows = np.random.default_rng(0).normal(size=(300, 3))
    model = Autoencoder(2, hidden=(4,), max_epochs=1, validation_fraction=0).fit(rows)
    library.told.clear()
    model.transform(rows[:10])
    assert library.told == []
    model.transform(rows)
    assert library.told == SET + PUT_BACK


@glibc
def test_memory_that_is_freed_is_used_again():
    import resource

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            arrays = [torch.ones(1 << 22) for _ in range(4)]  # 4 × 16 MB
            del arrays
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with freed_memory_kept():
        faults()
        kept = faults()
    assert kept < 1000  # of 81,920 pages that are written to, which are all anew without it


@pytest.fixture
def unknown():
    """What the system is has not been found out yet, nor will be kept."""
    freed._glibc.cache_clear()
    yield
    freed._glibc.cache_clear()


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_ARENA_MAX", "2"), ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=131072")],
)
def test_what_the_user_has_set_stays(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert freed._glibc() is None
    with freed_memory_kept():
        pass


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("error", [OSError, TypeError])
def test_other_systems_have_no_such_library(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr(freed.ctypes, "CDLL", missing)
    monkeypatch.setattr(os, "environ", {})
    assert freed._glibc() is None
    with freed_memory_kept():
        pass
