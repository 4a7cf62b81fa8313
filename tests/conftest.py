"""What every test gets: the real data where they are, and no state shared between tests."""

import os
from pathlib import Path

import numpy as np
import pytest

PLACES = (os.environ.get("ISTHMUS_DATA", ""), Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def real_data():
    """A function from a file's name to its path; skips where the data sets are absent."""

    def find(name: str) -> Path:
        for place in PLACES:
            if place and (Path(place) / name).is_file():
                return Path(place) / name
        pytest.skip(f"{name} is not here: set ISTHMUS_DATA to the folder that holds it")

    return find


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
