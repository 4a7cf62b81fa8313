"""Tables at the border: names, types and levels on the user's side, numbers on the model's.

A frame gets a `Schema`, and each of its columns a likelihood of its own (`Columns`), where its
columns are of several kinds or have holes. A frame of one kind without holes is like an array.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from narwhals.dependencies import is_into_dataframe

from isthmus._errors import InvalidParameterError
from isthmus.data import (
    Data,
    Matrix,
    Schema,
    SchemaBuilder,
    Stream,
    Unseen,
    as_data,
    as_stream,
    decode,
    encode_part,
)
from isthmus.data import encode as encoded
from isthmus.data.convert import is_all_sparse, is_record_batch
from isthmus.data.decode import own_type
from isthmus.data.opening import open_table
from isthmus.data.sources import all_pieces, open_source
from isthmus.estimators.resolve import ByName, Given, as_meant, is_read_from_data
from isthmus.likelihoods import LIKELIHOODS, Categorical, Columns, Likelihood


@dataclass(frozen=True)
class Opened:
    """What `fit` was given, ready to be looked at.

    Attributes:
        data: The rows as numbers.
        likelihood: For these numbers; may still be ``"auto"`` or ``"robust"``.
        schema: What the columns are, where each has a likelihood of its own.
    """

    data: Data
    likelihood: Given
    schema: Schema | None = None


def open_rows(X: Any, likelihood: Given | ByName) -> Opened:
    """Look at the columns of a table, once, and give each its likelihood.

    Args:
        X: As in `Autoencoder.fit`.
        likelihood: One for all columns, ``"auto"`` or ``"robust"``, a list in the columns' order,
            or some columns' by name.

    Raises:
        InvalidDataError: A column that looks like an identifier, or holds several kinds of cells.
        SupportError: A cell that the likelihood of its column can't have.
        InvalidParameterError: A likelihood for a column that isn't there.
    """
    named = isinstance(likelihood, Mapping)
    is_auto = is_read_from_data(likelihood)
    is_list = isinstance(likelihood, list | tuple)
    if not (named or is_auto or (is_list and is_frame(X))):
        assert not isinstance(likelihood, Mapping)
        return Opened(as_data(X), likelihood)
    builder = _built(X, _wanted(X, likelihood))
    if builder is None:
        if isinstance(likelihood, Mapping):
            raise InvalidParameterError(
                "A likelihood for each column by name needs a table; X is an image, a sparse "
                "matrix, or rows without columns. Give one likelihood."
            )
        return Opened(as_data(X), likelihood)
    wanted, schema = builder
    if is_auto and _is_uniform(schema):
        assert not isinstance(likelihood, Mapping)
        return Opened(as_data(X), likelihood)
    parts = tuple(
        _part(column, wanted.get(column.name), as_meant(column.likelihood, likelihood))
        for column in schema
    )
    return Opened(encode(X, schema), Columns(parts), schema)


def encode(X: Any, schema: Schema) -> Data:
    """The rows of a table as numbers, or a stream of such rows."""
    if isinstance(X, Matrix | Stream):
        return X

    def by_schema(piece: Any, unseen: Unseen, first_row: int) -> Matrix:
        return encode_part(piece, schema, unseen, first_row=first_row)

    stream = as_stream(X, encode=by_schema)
    return encoded(X, schema) if stream is None else stream


def as_users_rows(values: Any, schema: Schema, X: Any = None) -> Any:
    """Numbers as a table again: of the make of X, or an Arrow table if there is none.

    Args:
        values: (n, d) in the order of the schema.
        schema: What the columns are.
        X: A table whose make and types are taken, or anything else.
    """
    if X is not None and is_frame(X):
        return decode(values, schema, X)
    return decode(values, schema, _blank(schema)) if schema.named else values


def is_frame(X: Any) -> bool:
    """Whether X is a data frame in memory, of any make, with columns of its own."""
    return (is_into_dataframe(X) or is_record_batch(X)) and not is_all_sparse(X)


Wanted = dict[Any, str | Likelihood]


def _wanted(X: Any, likelihood: Any) -> Wanted:
    """The likelihoods that the user gives, by column."""
    if isinstance(likelihood, Mapping):
        return dict(likelihood)
    if isinstance(likelihood, list | tuple):
        names = open_table(X).names
        if len(names) != len(likelihood):
            raise InvalidParameterError(
                f"likelihood has {len(likelihood)} parts, but X has {len(names)} columns; give "
                "one for each column, in their order."
            )
        return dict(zip(names, likelihood, strict=True))
    return {}


def _built(X: Any, wanted: Wanted) -> tuple[Wanted, Schema] | None:
    """The schema of what has columns of its own, or is given likelihoods for its columns."""
    claims = {name: _claim(part) for name, part in wanted.items() if part != "auto"}
    builder = SchemaBuilder(claims)
    source = None if isinstance(X, np.ndarray | Matrix) else open_source(X)
    if source is None:
        if not (is_frame(X) or (wanted and isinstance(X, np.ndarray) and X.ndim == 2)):
            return None
        return wanted, builder.add(X).finish()
    for piece in all_pieces(source):
        if not (is_frame(piece) or wanted):
            return None
        builder.add(piece)
    return wanted, builder.finish()


def _is_uniform(schema: Schema) -> bool:
    """Whether one likelihood for all columns says all that there is to say."""
    kinds = {column.likelihood for column in schema}
    plain = all(column.family in ("number", "bool") and not column.coded for column in schema)
    return len(kinds) == 1 and plain and not any(column.stats.missing for column in schema)


def _claim(part: Any) -> str:
    """The name of a likelihood that needs the same values as this one."""
    if isinstance(part, str):
        return part
    for same in (lambda known: known == part, lambda known: type(known) is type(part)):
        for name in LIKELIHOODS:
            if same(LIKELIHOODS[name]):
                return name
    return LIKELIHOODS.resolve(part).__class__.__name__


def _part(column: Any, given: str | Likelihood | None, name: str) -> Likelihood:
    if isinstance(given, Likelihood) and not (
        isinstance(given, Categorical) and given.levels is None
    ):
        return given
    likelihood = LIKELIHOODS.resolve(name)
    if isinstance(likelihood, Categorical):
        return Categorical(column.n_levels)
    return likelihood


def _blank(schema: Schema) -> Any:
    """An Arrow table of no rows with the columns of the schema."""
    import pyarrow as pa

    return pa.table({str(c.name): pa.array([], own_type(c)) for c in schema})
