"""Codes in a collection of a Milvus server.

    milvus://user:password@host:19530/name

The collection has the index ``BIN_FLAT``, which compares with each code, so that the answer is
exact; every request asks for strong consistency, so that it sees all that was acknowledged.

Milvus gives its nearest in no order among equals, and never more than 16,384. So rows carry a
slot that rises with the time of writing: more are asked for than are wanted, equals are put in
the order of their slots, and where they go on beyond what was given, the rest is fetched by
slots, halved until a part is small enough. So a ball is whole however large it is.

A radius is exclusive there: r + 1 is asked for. Bits are padded with zeros to whole bytes. A batch
of rows isn't one transaction: one that fails may have been kept in part.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from isthmus._errors import (
    FileFormatError,
    InvalidDataError,
    InvalidParameterError,
    IsthmusError,
    UnreachableError,
)
from isthmus.hashing.checks import Id
from isthmus.hashing.codes import Codes, n_bytes
from isthmus.hashing.engine import (
    Engine,
    Hits,
    Item,
    Opening,
    address,
    bits_only,
    check_durability,
    check_same,
    check_scanned,
    loaded,
    needs_n_bits,
    tagged,
    untagged,
)
from isthmus.hashing.filters import Filter, milvus_expression, milvus_text

MOST = 16_384  # rows of one answer
MOST_ANSWERS = 1 << 18  # rows of one request, over all of its queries
LONGEST = 65_535  # bytes of an id and of a payload
AT_ONCE = 1_000  # rows and ids of one request
PATIENCE = 20.0  # seconds until a server that is silent counts as gone
APPLICATION, FORMAT = "isthmus", 1
GONE = (1, 2, 14)  # codes of errors: unexpected, connection, unavailable
END = (1 << 63) - 1  # of slots


class Milvus(Engine):
    """Codes in a collection of a Milvus server.

    Args:
        opening: The address, and what the store should hold.
    """

    exact = ball = True
    weighted = False
    max_k = MOST

    def __init__(self, opening: Opening) -> None:
        url, self._name, self.shown = address(
            opening.path, lambda url: url.path.strip("/"), "codes"
        )
        check_durability(self.shown, opening)
        check_scanned(self.shown, opening)
        self._pymilvus = loaded("pymilvus", "milvus", self.shown)
        self._next_slot = 0
        self._client: Any = None
        with self._asking():
            self._client = self._pymilvus.MilvusClient(
                uri=f"http://{url.netloc.rpartition('@')[2]}",
                user=unquote(url.username or ""),
                password=unquote(url.password or ""),
                timeout=PATIENCE,
            )
        try:
            self.n_bits, self.fingerprint = self._settle(opening)
            check_same(self.shown, opening, self.n_bits, self.fingerprint)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return int(self._query("", ["count(*)"])[0]["count(*)"])

    def close(self) -> None:
        """Leave the server."""
        if self._client is not None:
            with suppress(self._pymilvus.MilvusException):
                self._client.close()
            self._client = None

    def upsert(self, ids: list[Id], codes: Codes, payloads: list[str | None]) -> None:
        """Write rows; a batch that fails may be kept in part."""
        keys = [_fitting("id", tagged(name)) for name in ids]
        texts = [_fitting("payload", text or "null") for text in payloads]
        # later than all that this object wrote, and than what others wrote before
        first = max(time.time_ns(), self._next_slot)
        self._next_slot = first + len(ids)
        for start in range(0, len(ids), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            rows = zip(keys[part], map(bytes, codes[part]), texts[part], strict=True)
            data = [
                {"id": key, "slot": first + start + i, "code": code, "payload": _wrapped(text)}
                for i, (key, code, text) in enumerate(rows)
            ]
            with self._asking():
                self._client.upsert(self._name, data, timeout=PATIENCE)

    def delete(self, ids: Sequence[Id]) -> int:
        """Remove all of the ids that are there."""
        keys = [tagged(name) for name in ids]
        gone = 0
        for part in _parts(keys):
            there = [row["id"] for row in self._query(_among("id", part), ["id"])]
            if there:
                with self._asking():
                    self._client.delete(self._name, ids=there, timeout=PATIENCE)
            gone += len(there)
        return gone

    def get(self, ids: Sequence[Id]) -> dict[Id, Item]:
        """Codes and payloads as the server has them."""
        found = {}
        for part in _parts([tagged(name) for name in ids]):
            for row in self._query(_among("id", part), ["id", "code", "payload"]):
                name, code = untagged(row["id"]), np.frombuffer(row["code"][0], np.uint8)
                found[name] = Item(name, code, row["payload"]["p"])
        return found

    def search(self, codes: Codes, k: int, where: Filter) -> list[Hits]:
        """By comparing with each code, and once more where equals were cut off."""
        limit, clause = min(2 * k + 50, MOST), milvus_expression(where)
        answers = self._near(codes, limit, clause)
        return [
            self._best(query, near, k, limit, clause)
            for query, near in zip(codes, answers, strict=True)
        ]

    def search_weighted(self, weights: NDArray[Any], k: int, where: Filter) -> list[Hits]:
        """Refused: the server compares bits with bits."""
        raise bits_only(self.shown)

    def within(self, codes: Codes, radius: int, where: Filter) -> list[Hits]:
        """By comparing with each code."""
        clause, edge = milvus_expression(where), {"radius": min(radius, self.n_bits) + 1}
        answers = self._near(codes, MOST, clause, edge)
        found = []
        for query, near in zip(codes, answers, strict=True):
            if len(near) == MOST:
                near = list(self._rising(query, edge, clause, Span(0, END)))
            found.append(_hits(sorted(near)))
        return found

    def parts(self) -> Iterator[tuple[list[Id], Codes]]:
        """All ids and codes, in the order of their slots."""
        with self._asking():
            rows = self._client.query_iterator(
                self._name,
                batch_size=AT_ONCE,
                output_fields=["id", "slot", "code"],
                consistency_level="Strong",
            )
            found = []
            while part := rows.next():
                found += [(row["slot"], row["id"], row["code"][0]) for row in part]
        found.sort()
        packed = b"".join(code for *_, code in found)
        codes = np.frombuffer(packed, np.uint8).reshape(len(found), n_bytes(self.n_bits))
        yield [untagged(key) for _, key, _ in found], codes

    # ---- behind them ------------------------------------------------------------------------

    def _best(
        self, query: NDArray[np.uint8], near: list["Near"], k: int, limit: int, clause: str
    ) -> Hits:
        """The k nearest of what was found; equals of the last one are fetched if some may miss."""
        near = sorted(near)
        if len(near) < limit or near[-1].distance > near[k - 1].distance:
            return _hits(near[:k])
        last = near[-1].distance
        nearer = [each for each in near if each.distance < last]
        edge = {"radius": last + 1, "range_filter": last}
        for each in self._rising(query, edge, clause, Span(0, END)):
            nearer.append(each)
            if len(nearer) == k:
                break
        return _hits(nearer)

    def _rising(
        self, query: NDArray[np.uint8], edge: dict[str, int], clause: str, span: "Span"
    ) -> Iterator["Near"]:
        """All rows between two distances, by rising slots."""
        where = f"slot >= {span.start} and slot < {span.stop}"
        where = f"{where} and ({clause})" if clause else where
        near = self._near(query[None], MOST, where, edge)[0]
        if len(near) < MOST:
            yield from sorted(near, key=lambda each: each.slot)
            return
        middle = sorted(each.slot for each in near)[MOST // 2]
        yield from self._rising(query, edge, clause, Span(span.start, middle))
        yield from self._rising(query, edge, clause, Span(middle, span.stop))

    def _near(
        self, codes: Codes, limit: int, clause: str, edge: dict[str, int] | None = None
    ) -> list[list["Near"]]:
        found = []
        step = max(1, MOST_ANSWERS // limit)
        for start in range(0, len(codes), step):
            with self._asking():
                answers = self._client.search(
                    self._name,
                    [bytes(code) for code in codes[start : start + step]],
                    filter=clause,
                    limit=limit,
                    output_fields=["slot"],
                    search_params={"metric_type": "HAMMING", "params": edge or {}},
                    consistency_level="Strong",
                    timeout=PATIENCE,
                )
            found += [
                [Near(int(h["distance"]), h["entity"]["slot"], h["id"]) for h in answer]
                for answer in answers
            ]
        return found

    def _query(self, clause: str, fields: list[str]) -> list[dict[str, Any]]:
        with self._asking():
            rows = self._client.query(
                self._name,
                filter=clause,
                output_fields=fields,
                consistency_level="Strong",
                timeout=PATIENCE,
            )
        return list(rows)

    def _settle(self, opening: Opening) -> tuple[int, str | None]:
        """What the collection says of itself; it is made first where it isn't there."""
        with self._asking():
            if not self._client.has_collection(self._name):
                self._make(opening)
            text = self._client.describe_collection(self._name)["description"]
            self._client.load_collection(self._name)
        try:
            about = json.loads(text)
            if about["application"] != APPLICATION or about["format"] != FORMAT:
                raise ValueError(about)
            return int(about["n_bits"]), about["fingerprint"]
        except (ValueError, KeyError, TypeError) as error:
            raise FileFormatError(
                f"{self.shown} is a collection, but no store of codes of format {FORMAT}; give "
                "another name."
            ) from error

    def _make(self, opening: Opening) -> None:
        if opening.n_bits is None:
            raise needs_n_bits(self.shown)
        about = {"application": APPLICATION, "format": FORMAT, "n_bits": opening.n_bits}
        client, kinds = self._client, self._pymilvus.DataType
        schema = client.create_schema(
            auto_id=False,
            enable_dynamic_field=False,
            description=json.dumps({**about, "fingerprint": opening.fingerprint}),
        )
        schema.add_field("id", kinds.VARCHAR, max_length=LONGEST, is_primary=True)
        schema.add_field("slot", kinds.INT64)
        schema.add_field("code", kinds.BINARY_VECTOR, dim=8 * n_bytes(opening.n_bits))
        schema.add_field("payload", kinds.JSON)
        index = client.prepare_index_params()
        index.add_index("code", index_type="BIN_FLAT", metric_type="HAMMING")
        try:
            client.create_collection(
                self._name, schema=schema, index_params=index, consistency_level="Strong"
            )
        except self._pymilvus.MilvusException:
            # another process may have made it in the meantime
            if not client.has_collection(self._name):
                raise

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Milvus' errors as the library's."""
        try:
            yield
        except IsthmusError:
            raise
        except self._pymilvus.MilvusException as error:
            text = f"{self.shown}: {str(error.message) or type(error).__name__:.300}."
            if error.code in GONE:
                raise UnreachableError(
                    f"{text} Nothing of this call is acknowledged; if it wrote, a part may have "
                    "been kept. When the server answers again, write it again: ids are not "
                    "doubled."
                ) from error
            raise InvalidParameterError(f"{text} The server refuses this.") from error


class Near(NamedTuple):
    """A row that was found; in the order in which hits are given."""

    distance: int
    slot: int
    key: str


class Span(NamedTuple):
    """Slots from ``start`` to before ``stop``."""

    start: int
    stop: int


def _wrapped(text: str) -> dict[str, Any]:
    """A payload, and the names of its fields that are null, which Milvus can't look for."""
    payload = json.loads(text)
    fields = payload.items() if isinstance(payload, dict) else ()
    return {"p": payload, "n": [name for name, value in fields if value is None]}


def _fitting(what: str, text: str) -> str:
    size = len(text.encode())
    if size > LONGEST - 64:
        raise InvalidDataError(
            f"Milvus takes at most {LONGEST - 64} bytes of an {what}; {text!r:.60} has {size}. "
            "Keep it elsewhere, under a shorter name."
        )
    return text


def _among(field: str, values: Sequence[str]) -> str:
    return f"{field} in [{', '.join(map(milvus_text, values))}]"


def _parts(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), AT_ONCE):
        yield keys[start : start + AT_ONCE]


def _hits(near: list[Near]) -> Hits:
    distances = np.array([each.distance for each in near], np.int32)
    return Hits([untagged(each.key) for each in near], distances)
