"""Parquet: checksums, our files in other tools, their files here, decompression bombs."""

from __future__ import annotations

import datetime
import datetime as dt
import decimal
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crucible_nb.errors import CrucibleWarning, StoreError
from crucible_nb.files import columns, iter_table, load, write_table


def test_pandas_reads_ours(events, tmp_path):
    path = write_table(events, tmp_path / "run.parquet")
    theirs = pd.read_parquet(path)
    assert theirs.index.equals(events.index)
    assert theirs["prompt_tokens"].equals(events["prompt_tokens"])
    assert theirs["success"].equals(events["success"])


def test_a_flipped_bit_in_a_page_is_found(tmp_path):
    frame = pd.DataFrame({"x": np.random.default_rng(0).random(5_000)})
    path = write_table(frame, tmp_path / "run.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"(?i)crc|checksum"):
        load(path)


def test_foreign_types(tmp_path):
    day = datetime.date(2025, 1, 2)
    table = pa.table(
        {
            "i8": pa.array([1, 2], pa.int8()),
            "u32": pa.array([1, None], pa.uint32()),
            "f32": pa.array([0.5, None], pa.float32()),
            "dec": pa.array([decimal.Decimal("1.5"), None]),
            "day": [day, None],
            "clock": pa.array([1, 2], pa.time32("s")),
            "took": pa.array([1_500, None], pa.duration("ms")),
            "list": [[1, 2], None],
            "struct": [{"a": 1}, None],
            "bytes": [b"x", None],
            "dict": pa.array(["b", "a"]).dictionary_encode(),
            "numbers": pa.array([5, 5]).dictionary_encode(),
            "nothing": pa.nulls(2),
            "model": ["m", "n"],
            "a.b": [1, 2],
            "uuid": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", None])),
        }
    )
    pq.write_table(table, tmp_path / "foreign.parquet")
    frame = load(tmp_path / "foreign.parquet")
    dtypes = "int64 Int64 float64 float64 datetime64[ns,_UTC] str float64 str str str category int64 float64 category int64 str"
    assert [str(dtype).replace(" ", "_") for dtype in frame.dtypes] == dtypes.split()
    first = [str(value) for value in frame.iloc[0]]
    assert first[3:11] == ["1.5", "2025-01-02 00:00:00+00:00", "00:00:01.000", "1.5", "[1,2]", '{"a":1}', "x", "b"]
    assert frame["dict"].cat.categories.tolist() == ["a", "b"]


def test_pandas_index_becomes_the_time(tmp_path):
    index = pd.DatetimeIndex(["2025-01-01", "2025-01-02"])
    pd.DataFrame({"n": [1, 2]}, index).to_parquet(tmp_path / "theirs.parquet")
    frame = load(tmp_path / "theirs.parquet")
    assert frame.columns.tolist() == ["n"]
    assert frame.index.equals(index.tz_localize("UTC").as_unit("ns").rename("time"))


def test_a_broken_pandas_header_is_ignored(tmp_path):
    table = pa.table({"n": [1]}).replace_schema_metadata({b"pandas": b"\x80\x04cposix\nsystem\n"})
    pq.write_table(table, tmp_path / "odd.parquet")
    assert load(tmp_path / "odd.parquet")["n"].tolist() == [1]


@pytest.mark.parametrize(
    "header", [b"{", b"[]", b'{"version": 1}', b'{"version": 1, "schema": {"columns": [3]}, "facts": {}}']
)
def test_a_corrupt_header_is_not(header, tmp_path):
    table = pa.table({"n": [1]}).replace_schema_metadata({b"crucible": header})
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(StoreError, match=r"^cannot read "):
        load(tmp_path / "odd.parquet")


def test_bytes_that_are_no_text_are_hexadecimal(tmp_path):
    pq.write_table(pa.table({"raw": [b"ab", b"\xff\xfe"], "text": [b"ab", None]}), tmp_path / "raw.parquet")
    assert load(tmp_path / "raw.parquet")["raw"].tolist() == ["6162", "fffe"]
    assert load(tmp_path / "raw.parquet")["text"].tolist()[0] == "ab"
    assert [chunk["raw"].item() for chunk in iter_table(tmp_path / "raw.parquet", chunk_rows=1)] == ["6162", "fffe"]


FAR = dt.datetime(9999, 12, 31)
ODD = {
    "far": (pa.array([FAR], pa.timestamp("us")), "9999-12-31 00:00:00.000000"),
    "first date": (pa.array([dt.date(1, 1, 1)]), "0001-01-01"),
    "uint64": (pa.array([2**63 + 1], pa.uint64()), "9223372036854775809"),
    "blob": (pa.array([b"\xff\xd8"]), "ffd8"),
    "interval": (pa.array([bytes([1, 0, 0, 0] * 3)], pa.binary(12)), "01000000" * 3),  # as DuckDB writes one
    "uuid": (pa.array([uuid.UUID(int=2**127 + 255).bytes], pa.uuid()), "80000000-0000-0000-0000-0000000000ff"),
    "ascii uuid": (pa.array([b"0" * 16], pa.uuid()), "30303030-3030-3030-3030-303030303030"),
    "time": (pa.array([dt.time(1, 2, 3)]), "01:02:03.000000"),
    "id": (pa.array([decimal.Decimal(10**30)], pa.decimal128(38, 0)), str(10**30)),
    "date": (pa.array([dt.date(2025, 1, 2)]), pd.Timestamp("2025-01-02", tz="UTC")),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_types_are_read_as_text(kind, tmp_path):
    values, expected = ODD[kind]
    pq.write_table(pa.table({"latency_ms": [1.0], "x": values}), tmp_path / "x.parquet")
    assert load(tmp_path / "x.parquet")["x"].tolist() == [expected]
    (chunk,) = iter_table(tmp_path / "x.parquet")
    assert chunk["x"].tolist() == [expected]
    assert load(tmp_path / "x.parquet", {"x": "latency_ms"}, columns=["latency_ms"]).x.tolist() == [1.0]


def test_a_kind_holds_for_all_chunks(tmp_path):
    times = pa.array([dt.datetime(2025, 1, 1), FAR], pa.timestamp("us"))
    pq.write_table(pa.table({"x": times, "total_tokens": [1.0, 2.5]}), tmp_path / "x.parquet")
    with pytest.warns(CrucibleWarning, match="1 of 'total_tokens'"):
        chunks = list(iter_table(tmp_path / "x.parquet", chunk_rows=1))
    assert [chunk["x"].item()[:10] for chunk in chunks] == ["2025-01-01", "9999-12-31"]
    assert [chunk.columns.tolist() for chunk in chunks] == [["x", "total_tokens", "metadata"]] * 2
    with pytest.warns(CrucibleWarning, match="1 of 'total_tokens'"):
        pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), load(tmp_path / "x.parquet"))


def test_a_run_of_one_long_text_is_refused_before_it_unfolds(tmp_path):
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(200_000, "int32")), ["a" * 10_000])
    pq.write_table(pa.table({"x": long}), tmp_path / "bomb.parquet")
    with pytest.raises(
        StoreError, match=r"it expands to more than max_bytes=100,000,000; raise it for a file that you trust$"
    ):
        load(tmp_path / "bomb.parquet", max_bytes=100_000_000)
    with pytest.raises(StoreError, match=r"max_bytes=100,000,000"):
        list(iter_table(tmp_path / "bomb.parquet", max_bytes=100_000_000))


def test_many_rows_of_nothing_are_refused_by_their_number(tmp_path):
    pq.write_table(pa.table({"x": pa.array(np.zeros(2_000_000))}), tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 10_000
    with pytest.raises(StoreError, match=r"max_bytes=10,000,000"):
        load(tmp_path / "bomb.parquet", max_bytes=10_000_000)


def test_columns_that_a_frame_cannot_hold(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(StoreError, match=r"a column name occurs more than once$"):
        load(tmp_path / "twice.parquet")
    path = write_table(pd.DataFrame({"n": [1]}), tmp_path / "run.parquet")
    metadata = pq.read_schema(path).metadata
    pq.write_table(pa.table({"m": [1]}).replace_schema_metadata(metadata), path)
    with pytest.raises(StoreError, match=r"its columns are not those listed in its crucible header$"):
        load(path)


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_text_in_every_encoding(encoding, tmp_path):
    texts = ["abc", "abd", None, ""] * 100
    path = tmp_path / "coded.parquet"
    pq.write_table(pa.table({"x": texts}), path, use_dictionary=False, column_encoding={"x": encoding})
    assert load(path)["x"].equals(pd.Series(texts, dtype="str"))


def test_a_column_of_another_type_than_its_data_is_no_end_of_the_process(tmp_path):
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"x": [0.5]}), path)
    data = path.read_bytes()
    at = data.rfind(b"\x15\x0a\x19")  # the type of the data: double
    assert at > 0
    path.write_bytes(data[: at + 1] + b"\x0e" + data[at + 2 :])
    code = f"import crucible_nb as cr\ntry: cr.load({str(path)!r})\nexcept cr.StoreError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "does not match" in done.stdout


def test_many_columns_are_read(tmp_path):
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"c{i}": [i] for i in range(4_000)}), path)
    assert load(path).shape == (1, 4_000)


def test_metadata_that_contradicts_the_schema_is_no_end_of_the_process():
    path = Path(__file__).with_name("contradicting.parquet")  # found by fuzzing
    code = f"import crucible_nb as cr\ntry: cr.load({str(path)!r})\nexcept cr.StoreError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "contradicts its schema in column 3" in done.stdout


def test_a_column_of_categories_without_chunks_is_empty():
    none = pa.chunked_array([], pa.dictionary(pa.int32(), pa.string()))  # older pyarrow cannot combine none
    column = columns.Column("model", "category", categories=("a", "b"))
    found = columns._categorical(none, column)
    assert (len(found), found.categories.tolist()) == (0, ["a", "b"])
