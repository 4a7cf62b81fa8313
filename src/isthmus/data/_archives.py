"""NPZ archives: which of their arrays are the data.

An archive is a zip of NPY files. It holds a sparse matrix when it has the members that
`scipy.sparse.save_npz` writes, or a CSR array's own parts; else the data are the member that
``key`` names, the one with a usual name, or the only one of two or more dimensions. The headers
alone decide: no other member is read.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from isthmus._errors import FileFormatError, InvalidParameterError

USUAL = ("x", "x_train", "data", "train", "features", "images")
CSR_PARTS = {"data", "indices", "indptr", "shape"}


def read_npz(path: Path, key: str | None = None) -> Any:
    """The array, or the CSR array, that an NPZ file holds.

    Args:
        path: An existing file.
        key: A member's name.

    Raises:
        InvalidParameterError: No member of this name, or several that could be meant.
        FileFormatError: The member holds Python objects.
        Exception: Whatever zipfile and numpy raise for a damaged file.
    """
    shapes = _shapes(path)
    if key is None and "format" in shapes:
        return sp.load_npz(path)
    if key is None and shapes.keys() >= CSR_PARTS:
        return _read_csr(path)
    name = _choose(path, shapes, key)
    with np.load(path, allow_pickle=False) as archive:
        try:
            return archive[name]
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise FileFormatError(
                f"{path} holds Python objects (a pickle) in {name!r}, which are never loaded "
                "because they could run code. Save the array with a numeric type."
            ) from error


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each member, from its header; () where the header is of a rare version."""
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shapes: dict[str, tuple[int, ...]] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if not member.endswith(".npy"):
                continue
            with archive.open(member) as file:
                read_header = headers.get(np.lib.format.read_magic(file))
                shape = read_header(file)[0] if read_header else ()
            shapes[member.removesuffix(".npy")] = shape
    return shapes


def _read_csr(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as archive:
        parts = (archive["data"], archive["indices"], archive["indptr"])
        n, d = (int(size) for size in archive["shape"])
    csr = sp.csr_array(parts, shape=(n, d))
    csr.check_format(full_check=True)  # damaged indices would be followed outside of memory
    return csr


def _choose(path: Path, shapes: dict[str, tuple[int, ...]], key: str | None) -> str:
    described = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
    if key is not None:
        if key not in shapes:
            raise InvalidParameterError(f"{path} has no array {key!r}; its arrays: {described}.")
        return key
    usual = [name for name in shapes if name.lower() in USUAL and len(shapes[name]) > 1]
    candidates = sorted(usual, key=lambda name: USUAL.index(name.lower()))
    if candidates:
        return candidates[0]
    candidates = [name for name, shape in shapes.items() if len(shape) > 1]
    if len(candidates) != 1:
        raise InvalidParameterError(
            f"{path} has {len(candidates)} arrays of 2 or more dimensions and none with a usual "
            f"name; say which by key=. Its arrays: {described}."
        )
    return candidates[0]
