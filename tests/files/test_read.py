"""Reading: chunks equal the whole, and unreadable input raises only StoreError."""

from __future__ import annotations

import gzip
import os
import pickle
import zipfile

import pandas as pd
import pytest

from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.files import archive, iter_table, load, read_facts, write_table


def sentence(path, **options):
    """The error message of load, which must equal that of iter_table."""
    with pytest.raises(StoreError) as one:
        load(path, **options)
    with pytest.raises(StoreError) as other:
        list(iter_table(path, **options))
    assert str(one.value) == str(other.value)
    start = f"cannot read {str(path)!r}: "
    assert str(one.value).startswith(start)
    return str(one.value).removeprefix(start)


def test_pieces_of_our_own_files_are_the_whole(events, suffix, tmp_path):
    path = write_table(events, tmp_path / f"run.{suffix}")
    pieces = list(iter_table(path, chunk_rows=4))
    assert [len(piece) for piece in pieces] == [4, 4, 4, 1]
    pd.testing.assert_frame_equal(pd.concat(pieces), events, check_exact=True)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl"])
def test_pieces_of_foreign_files_have_the_dtypes_of_the_whole(ending, tmp_path):
    path = tmp_path / f"foreign.{ending}"
    theirs = pd.DataFrame({"n": [1, 2, None], "x": [1, 2, 2.5], "t": ["1", "2", "x"]}).convert_dtypes()
    theirs.to_csv(path, index=False) if "csv" in ending else theirs.to_json(path, orient="records", lines=True)
    pieces = list(iter_table(path, chunk_rows=1))
    assert [piece.dtypes.astype(str).tolist() for piece in pieces] == [["Int64", "float64", "str"]] * 3
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), load(path))


def test_pieces_without_rows_are_left_out(events, tmp_path):
    path = write_table(events, tmp_path / "run.parquet")
    pieces = list(iter_table(path, where="seq == 1152921504606846981", chunk_rows=2))
    assert [piece["seq"].tolist() for piece in pieces] == [[1152921504606846981]]


def test_missing_paths_and_folders(tmp_path):
    assert sentence(tmp_path / "no.parquet") == "no such file"
    assert sentence(tmp_path) == "it is a folder"
    assert sentence(tmp_path / "a\0b.csv") == "embedded null byte"
    os.mkfifo(tmp_path / "pipe.csv")
    assert sentence(tmp_path / "pipe.csv") == "it is not a regular file"
    expected = "unknown suffix '.pkl', and its content is no known format; expected .parquet, .csv, .jsonl"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1]))
    assert sentence(tmp_path / "a.pkl") == expected
    with pytest.raises(StoreError):
        read_facts(tmp_path / "no.parquet")


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "csv.gz", "jsonl.gz", "zip"])
def test_empty_files(ending, tmp_path):
    path = tmp_path / f"empty.{ending}"
    path.touch()
    assert sentence(path) == "the file is empty"
    if ending.endswith("gz"):
        path.write_bytes(gzip.compress(b""))
        assert sentence(path) == "the file is empty"


class Tripwire:
    """A pickle that would leave a trace if it were ever loaded."""

    def __reduce__(self):
        return os.mkdir, (os.environ["TRIPWIRE"],)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "zip"])
@pytest.mark.parametrize("content", ["pickle", "html", "random", "utf16"])
def test_other_contents(ending, content, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPWIRE", str(tmp_path / "sprung"))
    contents = {
        "pickle": pickle.dumps(Tripwire()),
        "html": b"\xef\xbb\xbf \n<!DOCTYPE html><html>a,b</html>",
        "random": bytes(range(255, 0, -1)) * 9,
        "utf16": "a,b\n1,2\n".encode("utf-16"),
    }
    path = tmp_path / f"odd.{ending}"
    path.write_bytes(contents[content])
    said = sentence(path)
    assert said.isprintable()
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a,b\n1,\0\n", "it contains NUL characters: binary data, not text"),
        (b"a,b\n1,2\n1,2,3\n", "CSV parse error: Expected 2 columns, got 3: 1,2,3"),
        (b"a,a\n1,2\n", "the column name 'a' occurs more than once"),
        ("a\né\n".encode("latin-1"), "In CSV column #0: CSV conversion error to large_string: invalid UTF8 data"),
    ],
)
def test_broken_csv(text, said, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_bytes(text)
    assert sentence(path) == said


def test_expansion_is_capped(tmp_path):
    said = "it expands to more than max_bytes=1,000,000; raise it for a file that you trust"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a\n" + b"1\n" * 1_000_000))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"a":1}\n' * 200_000))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("events.parquet", b"\0" * 2_000_000)
    for name in ("a.csv.gz", "a.jsonl.gz", "a.zip"):
        assert sentence(tmp_path / name, max_bytes=1_000_000) == said
    with pytest.raises(ConfigError, match=r"^max_bytes=0: expected a whole number >= 1$"):
        load(tmp_path / "a.zip", max_bytes=0)
    with pytest.raises(ConfigError, match=r"^chunk_rows=0: expected a whole number >= 1$"):
        iter_table(tmp_path / "a.zip", chunk_rows=0)


@pytest.mark.parametrize("cut", [1, 30, 0.5])
def test_truncated_files(events, suffix, cut, tmp_path):
    path = write_table(events, tmp_path / f"run.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: -cut if cut >= 1 else int(len(content) * cut)])
    if suffix != "parquet" and cut == 1:  # all that is gone is the last line's end
        pd.testing.assert_frame_equal(load(path), events)
    else:
        sentence(path)


def test_truncated_gzip(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)[:-20])
    assert sentence(tmp_path / "a.csv.gz") == "Compressed file ended before the end-of-stream marker was reached"


def test_odd_archives(events, tmp_path):
    path = archive(events, tmp_path / "run.zip")
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("../evil.txt", "x")
    assert sentence(path) == "the member '../evil.txt' points outside the archive"
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as packed:
        packed.writestr("readme.txt", "x")
    assert sentence(tmp_path / "other.zip") == "it is not a crucible archive: expected one 'events.parquet' in it"


def test_errors_of_the_callers_own_functions_pass_unchanged(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n", encoding="utf-8")

    def broken(frame):
        raise ZeroDivisionError(len(frame))

    with pytest.raises(ZeroDivisionError):
        load(tmp_path / "a.csv", {"b": broken})
    with pytest.raises(ZeroDivisionError):
        list(iter_table(tmp_path / "a.csv", where=broken))
