"""The engines, by the scheme of a store's path; a path without one is a file."""

from collections.abc import Callable

from isthmus._registry import unknown_name
from isthmus.hashing.embedded import Embedded
from isthmus.hashing.engine import Engine, Opening
from isthmus.hashing.milvus import Milvus
from isthmus.hashing.postgres import Postgres

ENGINES: dict[str, Callable[[Opening], Engine]] = {
    "file": Embedded,
    "milvus": Milvus,
    "postgresql": Postgres,
}


def open_engine(opening: Opening) -> Engine:
    """The engine that a path names.

    Raises:
        InvalidParameterError: No engine has this scheme, or the store can't be opened so.
    """
    scheme, mark, rest = opening.path.partition("://")
    if not mark or scheme == "file":
        return ENGINES["file"](opening._replace(path=rest if mark else opening.path))
    if scheme not in ENGINES:
        raise unknown_name("engine", scheme, ENGINES)
    return ENGINES[scheme](opening)
