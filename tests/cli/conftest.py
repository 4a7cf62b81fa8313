"""Data of every format, one small model, and a function that runs a command."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_cases import NAMES, Ended

from isthmus.cli import main


@pytest.fixture
def run(capsys) -> Callable[..., Ended]:
    def command(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(end.value.code, out, err)

    return command


@pytest.fixture(scope="session")
def table() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(60, 5))


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (40, 6, 7), dtype=np.uint8)


@pytest.fixture(scope="session")
def files(tmp_path_factory, table, images) -> Path:
    """A folder with the same table in every format, images, and a fitted model of each."""
    from PIL import Image

    from isthmus import Autoencoder, save
    from isthmus.data import read, write

    folder = tmp_path_factory.mktemp("files")
    for ending in ("npy", "csv", "parquet", "feather", "arrow"):
        write(folder / f"table.{ending}", table, None if ending == "npy" else NAMES)
    np.savez(folder / "table.npz", first=table, second=table[:, :3])
    write(folder / "few.csv", table[:3], NAMES)
    write(folder / "narrow.npy", table[:, :3])
    np.save(folder / "images.npy", images)
    (folder / "images").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / "images" / f"{i:02}.png")
    params = {"max_epochs": 2, "hidden": (8,), "random_state": 0}
    parts = {"encoder": "gaussian", "likelihood": "gaussian"}
    model = Autoencoder(2, **params, **parts).fit(read(folder / "table.csv"))
    save(model, folder / "table.safetensors")
    save(Autoencoder(3, **params, **parts).fit(images), folder / "images.safetensors")
    return folder
