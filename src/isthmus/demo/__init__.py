"""`isthmus demo`: four choices of the parts of J(x) on the same digits, with pictures.

The data are the 1,797 handwritten digits that scikit-learn ships: 8×8 pixels with grey levels
from 0 to 16. A usual, a variational, a denoising and a contractive autoencoder have the same
network, the same likelihood (a Gaussian with one learned scale) and the same number of units; each
differs from the usual one in one part. All are measured on the same held-out digits, beside PCA
with as many components.

`experiment` trains and measures, `pictures` draws and says what is to be seen, `pages` puts the
report together.
"""

import errno
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from isthmus._errors import InvalidParameterError
from isthmus._files import write_json, write_text
from isthmus._progress import steps
from isthmus.data import write
from isthmus.demo.experiment import PARTS, Digits, measure, train
from isthmus.demo.pages import compose, print_table
from isthmus.estimators import save


def run(folder: Path, verbose: bool, max_epochs: int = 60) -> Mapping[str, Any]:
    """Train, measure, print a table on standard error, and write a report.

    Args:
        folder: Made if it does not exist; gets ``report.html``, ``report.json``, one
            ``.safetensors`` file for each autoencoder, and ``held-out.npy``. Files of these names
            are replaced, each as a whole, when all training is done.
        verbose: Whether anything is printed.
        max_epochs: Passes over the training digits at most, for each autoencoder.

    Returns:
        The figures of the report, as plain JSON data.

    Raises:
        InvalidParameterError: The folder's name is that of a file.
        OSError: A file can't be written; an old one of its name is still there.
    """
    began = time.perf_counter()
    _require(folder)
    digits = Digits.split()
    with steps(verbose, 2 * len(PARTS) + 1) as begin, one_thread():
        trained = [train(name, digits, max_epochs, begin) for name in PARTS]
        begin("drawing the report")
        record = measure(trained, digits, max_epochs)
        html = compose(trained, digits, record, folder)
    for each in trained:
        save(each.model, folder / f"{each.name}.safetensors")
    write(folder / "held-out.npy", digits.test)
    write_text(folder / "report.html", html)
    record = {"report": str(folder / "report.html"), **record, "seconds": _since(began)}
    write_json(folder / "report.json", record)
    if verbose:
        print_table(record)
        print(f"The report is {folder / 'report.html'}", file=sys.stderr)
    return record


def _require(folder: Path) -> None:
    """Make the folder, and find out before the training whether it can be written to."""
    if folder.exists() and not folder.is_dir():
        raise InvalidParameterError(f"{folder} is a file; give the name of a folder.")
    folder.mkdir(exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "No permission to write in this folder", str(folder))


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 2)


@contextmanager
def one_thread() -> Iterator[None]:
    """Networks this small are as fast on one thread, and wait for no second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
