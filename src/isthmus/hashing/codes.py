"""Codes as bytes and as words.

A code of n_bits bits is kept as ⌈n_bits / 8⌉ bytes, big-endian: bit j is bit 7 − (j mod 8) of byte
⌊j / 8⌋, as `numpy.packbits` has it. Bits beyond n_bits are 0, so that they never count in a
distance. For searching, codes are padded with zeros to whole words of 64 bits.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isthmus._errors import InvalidDataError, InvalidParameterError
from isthmus._registry import is_whole

Codes = NDArray[np.uint8]
Words = NDArray[np.uint64]

FEWEST, MOST = 8, 4096
WORD = 8  # bytes


def check_n_bits(n_bits: Any) -> int:
    """The number of bits of a code, 8 … 4,096.

    Raises:
        InvalidParameterError: It is no such number.
    """
    if not (is_whole(n_bits) and FEWEST <= n_bits <= MOST):
        raise InvalidParameterError(
            f"n_bits must be a whole number from {FEWEST} to {MOST}; got {n_bits!r}."
        )
    return int(n_bits)


def n_bytes(n_bits: int) -> int:
    """Bytes of a packed code."""
    return -(-n_bits // 8)


def pack(bits: ArrayLike) -> Codes:
    """Bits as bytes, the first bit highest.

    Args:
        bits: Booleans, or numbers 0 and 1, (n, n_bits).

    Returns:
        Codes (n, ⌈n_bits / 8⌉).

    Raises:
        InvalidDataError: No such table, or other numbers in it.
        InvalidParameterError: Fewer than 8 columns, or more than 4,096.
    """
    table = np.asarray(bits)
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        raise InvalidDataError(
            f"Bits must be a table (n, n_bits) of 0 and 1; got shape {table.shape} "
            f"of {table.dtype}."
        )
    check_n_bits(table.shape[1])
    wrong = (table != 0) & (table != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InvalidDataError(
            f"Bits must be 0 or 1; row {row}, column {column} is {table[row, column]}. "
            "Compare with a threshold first."
        )
    return np.packbits(table.astype(bool), axis=1)


def unpack(codes: ArrayLike, n_bits: int) -> NDArray[np.bool_]:
    """Bytes as bits: the inverse of `pack`.

    Args:
        codes: Packed codes (n, ⌈n_bits / 8⌉).
        n_bits: How many bits each has.

    Returns:
        Booleans (n, n_bits).

    Raises:
        InvalidDataError: The codes aren't of this length.
        InvalidParameterError: ``n_bits`` is outside 8 … 4,096.
    """
    packed = check_codes(codes, check_n_bits(n_bits))
    return np.unpackbits(packed, axis=1, count=n_bits).astype(bool)


def check_codes(codes: ArrayLike, n_bits: int) -> Codes:
    """Packed codes of this length, as one table; a single code is a table of one row.

    Raises:
        InvalidDataError: Another type or width, or bits set beyond the last one.
    """
    table = np.asarray(codes)
    table = table[None] if table.ndim == 1 else table
    width = n_bytes(n_bits)
    if table.dtype != np.uint8 or table.ndim != 2 or table.shape[1] != width:
        raise InvalidDataError(
            f"Codes of {n_bits} bits must be uint8 of shape (n, {width}); got {table.dtype} of "
            f"shape {table.shape}. Pack bits with isthmus.hashing.pack."
        )
    spare = 8 * width - n_bits
    beyond = table[:, -1] & np.uint8((1 << spare) - 1)
    if beyond.any():
        row = int(np.flatnonzero(beyond)[0])
        raise InvalidDataError(
            f"Row {row} has bits set beyond the {n_bits}th; the last {spare} bits of a code's "
            "last byte must be 0."
        )
    return np.ascontiguousarray(table)


def as_words(codes: Codes) -> Words:
    """Codes padded with zeros to whole words, (n, ⌈n_bits / 64⌉), byte by byte as they were."""
    n, width = codes.shape
    padded = np.zeros((n, -(-width // WORD) * WORD), dtype=np.uint8)
    padded[:, :width] = codes
    return padded.view(np.uint64)


def as_bytes(words: Words, n_bits: int) -> Codes:
    """Words as the packed codes (n, ⌈n_bits / 8⌉) that they were; a view, no copy."""
    flat = words.view(np.uint8).reshape(len(words), WORD * words.shape[1])
    return flat[:, : n_bytes(n_bits)]
