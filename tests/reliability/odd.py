"""Odd files made of good ones: changed behind their checksums, so that what stands behind those is reached."""

from __future__ import annotations

import gzip
import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable
from typing import Any
from zlib import adler32, crc32

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

Change = Callable[[bytes, random.Random], bytes]

VALUES = (
    None, True, False, 0, 1, -1, 7, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64 - 1, 2**70, 10**12, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", "a", "time", "seq", "weight", "event", "2025-01-01", "\0", "\ud800", "é" * 300, "[" * 100_000,
    [], {}, [[]], [None], [[1, 2], [3]], {"a": {"b": [1]}}, [0] * 40, [1.5] * 40,
    {"": []}, {"": ["float", "nan"]}, {"": ["int", "1" * 5000]}, {"": ["int", "x"]}, {"": ["dict", "[" * 100_000]},
    {"": ["json", "{}"]}, {"": ["array", "<f8", [2], "AAAAAAAAAAAAAAAAAAAAAA=="]}, {"": ["array", "<i8", [-1], ""]},
    {"": ["list", "<i8", [2, 1], "AAAAAAAAAAAAAAAAAAAAAA=="]}, {"": ["array", "|b1", [4], "AAEA/w=="]},
)  # fmt: skip
TOKENS = (
    b'"', b'""', b",", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"NaN", b"-inf", b"1e999", b"9" * 30, b"null",
    b"=1+1", b"'", b"{", b"[", b"[" * 2000, b'{"a":' * 2000, b"time", b"timestamp", b"event", b"seq", b"success",
    b"2025-01-01T00:00:00Z", b"9999-12-31", b"-0", b"007", b"true", b"\xed\xa0\x80", b"\\ud800", b"a" * 5000,
)  # fmt: skip
NAMES = (
    "../x", "/x", "store/../x", "store/", "store/x", "store/experiment.json", "store/w0000-000009.jsonl", "\\x", "C:x",
    "events.parquet", "facts.json", "state.json", "sample.parquet", "store/w9999-999999.state", "é", "store/w0000.lock",
)  # fmt: skip


# -- JSON -----------------------------------------------------------------------------------------------------------------


def places(value: Any, into: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Where something stands: the containers with their keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        into.append((value, key))
        places(item, into)
    return into


def changed(value: Any, rng: random.Random) -> Any:
    """A value with one or a few of its parts replaced, removed, moved or said twice."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        spots = places(value, [])
        if not spots or rng.random() < 0.02:
            value = json.loads(json.dumps(rng.choice(VALUES)))
            continue
        inside, key = rng.choice(spots)
        what = rng.randrange(6)
        if what == 0:
            del inside[key]
        elif what == 1:
            other, there = rng.choice(spots)
            inside[key] = json.loads(json.dumps(other[there]))
        elif what == 2 and isinstance(inside, list):
            inside.insert(key, json.loads(json.dumps(inside[key])))
        elif what == 3 and type(inside[key]) in (int, float):
            inside[key] += rng.choice((1, -1, 0.5, 100, -(10**6), 2**40))
        else:
            inside[key] = json.loads(json.dumps(rng.choice(VALUES)))
    return value


def said(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def text(data: bytes, rng: random.Random) -> bytes:
    """Words that mean something to a parser, pieces twice, pieces gone."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        end = min(end, at + rng.choice((0, 1, 8, 200)))
        what = rng.randrange(4)
        middle = (rng.choice(TOKENS), b"", data[at:end] * 2, rng.randbytes(2))[what]
        data = data[:at] + middle + data[end:]
    return data


def plain_json(data: bytes, rng: random.Random) -> bytes:
    return said(changed(json.loads(data), rng))


def lines(data: bytes, rng: random.Random, seal: Callable[[bytes], bytes] = lambda body: body) -> bytes:
    """JSON lines of which one is changed, moved, or said twice."""
    every = data.splitlines()
    verbs = [place for place, line in enumerate(every) if seal is sealed and b',["' in line[:16]]
    place = rng.choice(verbs) if verbs and rng.random() < 0.5 else rng.randrange(len(every))  # events are most lines
    what = rng.randrange(8)
    if what == 0:
        every.insert(rng.randrange(len(every) + 1), every[place])
    elif what == 1:
        del every[place]
    elif what == 2:
        every[place] = text(every[place], rng)
    else:
        value = json.loads(every[place])
        if seal is sealed:
            value = value[1]
        every[place] = seal(said(changed(value, rng)))
    return b"\n".join(every) + b"\n" * (rng.random() < 0.9)


def sealed(body: bytes) -> bytes:
    return b"[%d,%b]" % (adler32(body), body)


def journal(data: bytes, rng: random.Random) -> bytes:
    return lines(data, rng, sealed)


def facts(data: bytes, rng: random.Random) -> bytes:
    """An experiment.json with a checksum that holds."""
    whole = json.loads(data)
    if rng.random() < 0.1:
        return said(changed(whole, rng))
    whole["facts"] = orjson.loads(said(changed(whole["facts"], rng)))
    whole["checksum"] = adler32(orjson.dumps(whole["facts"]))
    return orjson.dumps(whole)


# -- packed ---------------------------------------------------------------------------------------------------------------


def gz(inner: Change) -> Change:
    """A gzip file whose contents are changed, that goes on, or that is cut short."""

    def change(data: bytes, rng: random.Random) -> bytes:
        what = rng.randrange(12)
        if what == 0:
            return data + data
        if what == 1:
            return data[: rng.randrange(len(data))]
        if what == 2:  # small here, large there
            return gzip.compress(rng.choice((b" ", b"1", b"[", b"\n", b"a,")) * rng.choice((10**5, 4 * 10**6)), 1)
        return gzip.compress(inner(gzip.decompress(data), rng), 1, mtime=0)

    return change


def zipped(data: bytes, rng: random.Random) -> bytes:
    """A zip of which one member is changed, gone, renamed or said twice."""
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        members = [(info.filename, whole.read(info)) for info in whole.infolist()]
    place, what = rng.randrange(len(members)), rng.randrange(10)
    name, content = members[place]
    if what == 0:
        del members[place]
    elif what == 1:
        members[place] = (rng.choice(NAMES), content)
    elif what == 2:
        members.append((rng.choice((*NAMES, name)), content))
    else:
        change = next((how for ending, how in INNER.items() if name.endswith(ending)), text)
        members[place] = (name, change(content, rng))
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", rng.choice((0, 8)), compresslevel=1) as whole:
        warnings.simplefilter("ignore")
        for name, content in members:
            whole.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


# -- Parquet --------------------------------------------------------------------------------------------------------------

_CRC = b"crucible.crc32"


def summed(data: bytes) -> bytes:
    """A Parquet file with the checksum that it says of itself made to hold."""
    at = data.rfind(_CRC) + len(_CRC) + 2
    if at < len(_CRC) + 2 or at + 8 > len(data):
        return data
    blank = data[:at] + b"00000000" + data[at + 8 :]
    return blank[:at] + b"%08x" % crc32(blank) + blank[at + 8 :]


def column(rows: int, rng: random.Random) -> pa.Array:
    """A column of some type that a loader may not expect."""
    kinds: tuple[tuple[Any, Any], ...] = (
        (pa.int8(), 1), (pa.uint64(), 2**64 - 1), (pa.int64(), -(2**63)), (pa.float16(), 1.0), (pa.float32(), 1e38),
        (pa.float64(), float("nan")), (pa.bool_(), True), (pa.string(), "é"), (pa.large_string(), ""), (pa.null(), None),
        (pa.string_view(), "view"), (pa.binary(), b"\xff\xfe"), (pa.binary(3), b"abc"), (pa.binary_view(), b"\xff"),
        (pa.date32(), 10**6), (pa.date64(), 0), (pa.time32("s"), 5), (pa.time64("ns"), 5), (pa.duration("us"), 2**62),
        (pa.timestamp("s"), 2**40), (pa.timestamp("ns", "UTC"), -(2**63)), (pa.timestamp("us", "+25:00"), 0),
        (pa.timestamp("ms", "Nowhere/None"), 0), (pa.decimal128(38, 2), None), (pa.decimal256(76, 70), None),
        (pa.list_(pa.int64()), [1, None]), (pa.large_list(pa.string()), []), (pa.list_(pa.float32(), 2), [1.0, 2.0]),
        (pa.struct([("a", pa.int8()), ("b.c", pa.string())]), {"a": 1, "b.c": "x"}), (pa.struct([("x", pa.binary())]), {"x": b"\xff"}),
        (pa.map_(pa.string(), pa.int8()), [("k", 1)]), (pa.dictionary(pa.int32(), pa.int64()), 5),
        (pa.dictionary(pa.int8(), pa.string()), "x"), (pa.dictionary(pa.int32(), pa.float64()), 0.5),
    )  # fmt: skip
    kind, value = rng.choice(kinds)
    return pa.array([None if rng.random() < 0.2 else value for _ in range(rows)], kind)


def parquet(data: bytes, rng: random.Random) -> bytes:
    """A Parquet file with another schema, header or layout, or with other bytes; its checksum holds."""
    if rng.random() < 0.3:
        return summed(text(data, rng))
    table = pq.read_table(io.BytesIO(data))
    meta = dict(table.schema.metadata or {})
    for _ in range(rng.choice((1, 1, 2))):
        what, names = rng.randrange(8), table.column_names
        place = rng.randrange(max(1, len(names)))
        if what <= 1 and b"crucible" in meta:
            meta[b"crucible"] = said(changed(json.loads(meta[b"crucible"]), rng))
        elif what == 2 and b"pandas" in meta:
            meta[b"pandas"] = said(changed(json.loads(meta[b"pandas"]), rng))
        elif what == 3 and len(names) > 1:
            table = table.remove_column(place)
        elif what == 4 and names:
            names[place] = rng.choice((*names, "", "a.b", "time", "timestamp", "é", "index", "__index_level_0__"))
            table = table.rename_columns(names)
        elif what == 5:
            table = table.slice(rng.randrange(table.num_rows + 1), rng.choice((0, 1, table.num_rows)))
        elif what == 6 and table.num_rows < 200:
            table = pa.concat_tables([table, table])
        elif names:
            table = table.set_column(place, rng.choice((names[place], "new")), column(table.num_rows, rng))
    stream = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(meta), stream, compression=rng.choice(("zstd", "none", "snappy")),
        use_dictionary=rng.random() < 0.5, write_statistics=rng.random() < 0.5, store_schema=rng.random() < 0.7,
        data_page_version=rng.choice(("1.0", "2.0")), row_group_size=rng.choice((3, 10**6)), write_page_checksum=rng.random() < 0.5,
    )  # fmt: skip
    return summed(stream.getvalue())


INNER: dict[str, Change] = {
    "experiment.json": facts, ".json": plain_json, ".json.gz": gz(plain_json), ".jsonl": journal, ".parquet": parquet,
}  # fmt: skip
INNER[".state"] = zipped
