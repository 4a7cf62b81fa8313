"""From a table, or its parts one after the other, to its `Schema`.

One pass and bounded memory: of every column the moments, up to `FEW` different integers and up to
`MOST_LEVELS` levels are kept, whatever the number of rows. `infer_schema` is a `SchemaBuilder`
that is given one part.

A column looks like an **identifier** when 100 rows or more are observed and

- its integers are strictly increasing, and none is missing; or
- its texts are all different, or all but one in twenty.

Fewer rows prove nothing: five names are different in any table.

What the user says of a column is never doubted, but the cells must allow it: the first one that
doesn't is named by its value and its row.
"""

from collections.abc import Mapping
from typing import Any

from isthmus._errors import InvalidDataError
from isthmus._registry import unknown_name
from isthmus.data._tracks import CLAIMS, Track
from isthmus.data.cells import Name
from isthmus.data.opening import Table, open_table
from isthmus.data.schema import Column, Schema

Overrides = Mapping[Any, str]


def infer_schema(
    frame: Any, overrides: Overrides | None = None, *, keep_identifiers: bool = False
) -> Schema:
    """The kind and the likelihood of every column.

    Args:
        frame: A pandas, polars or Arrow frame, or an array (n, d) of numbers or objects.
        overrides: For a column's name (its position in an array) the name of a likelihood, or
            one of the kinds real, positive, count, ordinal, binary and categorical.
        keep_identifiers: Take columns that look like identifiers for what they hold.

    Raises:
        InvalidDataError: No rows, an infinite cell, cells of several kinds in one column, a
            column that looks like an identifier, or more levels than a category can have.
        SupportError: A cell that an override can't be true of, by its value and row.
        InvalidParameterError: An override of a column that isn't there, or of an unknown name.
    """
    return SchemaBuilder(overrides).add(frame).finish(keep_identifiers=keep_identifiers)


class SchemaBuilder:
    """A schema from the parts of a table, in one pass.

    Args:
        overrides: As for `infer_schema`.

    Raises:
        InvalidParameterError: An override that is no likelihood and no kind.
    """

    def __init__(self, overrides: Overrides | None = None) -> None:
        self.overrides = dict(overrides or {})
        for said in self.overrides.values():
            if said not in CLAIMS:
                raise unknown_name("likelihood or kind of a column", said, CLAIMS)
        self.n_rows = 0
        self._tracks: dict[Name, Track] = {}

    def add(self, frame: Any) -> "SchemaBuilder":
        """Take in the next rows; their columns may come in another order.

        Raises:
            InvalidDataError: As for `infer_schema`, or columns that are not those before.
            SupportError: A cell that an override can't be true of.
            InvalidParameterError: An override of a column that isn't there.
        """
        table = open_table(frame)
        if not self._tracks:
            self._start(table)
        elif set(table.names) != set(self._tracks):
            odd = sorted(map(repr, set(table.names) ^ set(self._tracks)))
            raise InvalidDataError(
                f"The rows from {self.n_rows} on have other columns than those before: "
                f"{', '.join(odd[:5])} on one side only. Give parts with the same columns."
            )
        for cells in table:
            self._tracks[cells.name].add(cells, self.n_rows)
        self.n_rows += table.n_rows
        return self

    def _start(self, table: Table) -> None:
        for name in self.overrides:
            if name not in table.names:
                raise unknown_name("column", name, map(str, table.names))
        claims = {name: CLAIMS[said] for name, said in self.overrides.items()}
        self._tracks = {name: Track(name, claims.get(name)) for name in table.names}

    def finish(self, *, keep_identifiers: bool = False) -> Schema:
        """The schema of all rows given so far.

        Raises:
            InvalidDataError: No rows, or a column that looks like an identifier.
        """
        columns = self._columns(keep_identifiers)
        named = [column for column in columns if column.kind == "identifier"]
        if named:
            names = ", ".join(repr(column.name) for column in named[:5])
            raise InvalidDataError(
                f"Column {names} looks like an identifier: {named[0].reason}. It says nothing "
                "about other rows; drop it, or keep it by saying what it is, such as "
                f"{{{named[0].name!r}: {_instead(named[0])!r}}}."
            )
        return Schema(columns)

    def describe(self) -> Schema:
        """The schema with columns of kind ``identifier``, for people; `encode` refuses it.

        Raises:
            InvalidDataError: No rows.
        """
        return Schema(self._columns(keep=False))

    def _columns(self, keep: bool) -> tuple[Column, ...]:
        if self.n_rows == 0:
            raise InvalidDataError("There are no rows to infer a schema from; give at least 1.")
        return tuple(track.column(keep) for track in self._tracks.values())


def _instead(column: Column) -> str:
    return "categorical" if column.family == "text" else "gaussian"
