"""What a store must answer, from a dictionary and NumPy; and processes that write to one."""

import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np

from isthmus.hashing import unpack


def some_bits(n, n_bits, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((4, n_bits)) < 0.5)[rng.integers(0, 4, n)] ^ (
        rng.random((n, n_bits)) < 0.05
    )


def some_payloads(n):
    groups = ("red", "blüe", 'qu"ote')
    return [{"year": 1990 + i % 7, "group": groups[i % 3], "even": i % 2 == 0} for i in range(n)]


class Truth:
    """What a store must answer."""

    def __init__(self, n_bits):
        self.n_bits, self.items = n_bits, {}

    def upsert(self, ids, codes, payloads):
        for name, code, payload in zip(ids, codes, payloads, strict=True):
            self.items.pop(name, None)
            self.items[name] = code, payload

    def all_near(self, query, fits=lambda payload: True):
        names = [name for name, (_, payload) in self.items.items() if fits(payload)]
        if not names:
            return [], np.zeros(0, int)
        bits = unpack(np.stack([self.items[name][0] for name in names]), self.n_bits)
        distances = (bits != unpack(query[None], self.n_bits)).sum(axis=1)
        order = np.argsort(distances, kind="stable")
        return [names[i] for i in order], distances[order]

    def agrees(self, store, queries, where=None, fits=lambda payload: True):
        most = store.max_k or len(self.items) + 5
        for k in (1, 7, min(most, len(self.items) + 5)):
            for query, hits in zip(queries, store.search(queries, k, where), strict=True):
                names, distances = self.all_near(query, fits)
                assert hits.ids == names[:k]
                assert (hits.distances == distances[:k]).all()
        for radius in (0, 2, self.n_bits // 4, self.n_bits):
            for query, hits in zip(queries, store.within(queries, radius, where), strict=True):
                names, distances = self.all_near(query, fits)
                count = int((distances <= radius).sum())
                assert hits.ids == names[:count]
                assert (hits.distances == distances[:count]).all()


FILTERS = {
    "equal": ({"year": 1993}, lambda p: p["year"] == 1993),
    "decimal": ({"year": 1993.0}, lambda p: p["year"] == 1993),
    "range": ({"year": {">=": 1991, "<": 1994}}, lambda p: 1991 <= p["year"] < 1994),
    "in": ({"group": ["red", "blüe"]}, lambda p: p["group"] in ("red", "blüe")),
    "text": ({"group": {">": "qu"}}, lambda p: p["group"] > "qu"),
    "quote": ({"group": 'qu"ote'}, lambda p: p["group"] == 'qu"ote'),
    "and": (
        {"group": "red", "year": {">": 1992.5}, "even": True},
        lambda p: p["group"] == "red" and p["year"] > 1992.5 and p["even"],
    ),
    "true is not 1": ({"even": 1}, lambda p: False),
    "1 is not true": ({"year": True}, lambda p: False),
    "mixed in": ({"year": [1990, True, "1991", None, 1.5]}, lambda p: p["year"] == 1990),
    "false or text": ({"even": [False, "x"]}, lambda p: not p["even"]),
    "nothing": ({"year": []}, lambda p: False),
    "absent": ({"month": None}, lambda p: False),
}

# one process, once loaded, makes the writers: each is there in a moment
NURSERY = """
import os, sys
import numpy as np
from isthmus import CodeStore

def write(path, name, log):
    log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with CodeStore(path, 64) as store:
        turn = 0
        while True:
            ids = [f"{name}/{turn}/{i}" for i in range(20)]
            store.upsert(ids, np.full((20, 8), turn % 256, np.uint8), [{"turn": turn}] * 20)
            if turn:
                store.delete([f"{name}/{turn - 1}/0"])
            os.write(log, f"{turn}\\n".encode())
            turn += 1

for line in sys.stdin:
    order, *rest = line.rstrip("\\n").split("\\t")
    if order == "kill":
        os.kill(int(rest[0]), 9)
        os.waitpid(int(rest[0]), 0)
        print("gone", flush=True)
        continue
    child = os.fork()
    if not child:
        try:
            write(*rest)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    print(child, flush=True)
"""


class Writer:
    """A process that writes batch after batch, and says of each that it is kept."""

    def __init__(self, nursery, process, log):
        self.nursery, self.process, self.log = nursery, process, log

    def turns(self, count):
        """Wait until so many batches are kept; the last one's number."""
        for _ in range(6000):
            said = self.log.read_text().splitlines() if self.log.exists() else []
            if len(said) >= count:
                return int(said[-1])
            self.nursery.wait(0.005)
        raise AssertionError(f"the writer said {said} only:\n{self.nursery.complaints()}")

    def kill(self):
        """End it at once; the number of the last batch that it said was kept."""
        if self.process:
            self.nursery.ask("kill", self.process)
            self.process = None
        return int(self.log.read_text().splitlines()[-1])


class Nursery:
    """The process that makes writers.

    Args:
        folder: Where they say what is kept.
        errors: A file to which they complain.
    """

    def __init__(self, folder, errors):
        self.folder, self.errors, self.count = folder, errors, 0
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )

    def ask(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.complaints()
        return answer

    @contextmanager
    def writer(self, path, name):
        self.count += 1
        log = self.folder / f"{self.count}.log"
        writer = Writer(self, int(self.ask("write", path, name, log)), log)
        try:
            yield writer
        finally:
            if writer.process:
                self.ask("kill", writer.process)

    def wait(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(self.complaints())

    def complaints(self):
        self.errors.seek(0)
        return self.errors.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def kept_whole(store, name, acknowledged):
    """Each batch is there as a whole, and all that were acknowledged are."""
    for turn in range(acknowledged + 2):
        items = store.get([f"{name}/{turn}/{i}" for i in range(20)])
        there = [item is not None for item in items]
        if turn <= acknowledged:
            assert all(there[1:])
        assert all(there[1:]) or not any(there)
        assert turn >= acknowledged or not there[0]
        assert all((item.code == turn % 256).all() for item in items if item is not None)
