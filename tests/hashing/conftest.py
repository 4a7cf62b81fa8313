"""Stores of every engine, and processes that write to them."""

from contextlib import ExitStack
from itertools import count
from tempfile import TemporaryFile

import pytest
from servers import SERVERS, running
from stores import Nursery


@pytest.fixture(scope="session")
def servers():
    """A function from an engine's name to its server, started when it isn't running."""
    with ExitStack() as stack:
        found = {}

        def server(name):
            if name not in found or not found[name].running:
                found[name] = stack.enter_context(running(name))
            return found[name]

        yield server


NUMBER = count()


@pytest.fixture(params=["file", *SERVERS])
def place(request, tmp_path):
    """The path of a new store, of every engine in turn."""
    if request.param == "file":
        return str(tmp_path / "codes.store")
    server = request.getfixturevalue("servers")(request.param)
    return server.path(f"test_{next(NUMBER)}")


@pytest.fixture(scope="session")
def nursery(tmp_path_factory):
    with TemporaryFile("w+") as errors:
        made = Nursery(tmp_path_factory.mktemp("writers"), errors)
        yield made
        made.close()
