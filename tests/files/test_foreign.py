"""Raw files as their owners publish them: dialects of CSV, missing words, misfits, chosen columns, paths, times."""

from __future__ import annotations

import json
import os
import stat

import pandas as pd
import pytest

from crucible_nb.errors import ConfigError, CrucibleWarning, SchemaError
from crucible_nb.files import archive, iter_table, load, write_table


@pytest.fixture
def csv(tmp_path):
    def write(text, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("time,latency_ms\n2025-01-01,1.5\n2025-01-02,2\n", {}),
        ("\ufefftime,latency_ms\r\n2025-01-01,1.5\r\n2025-01-02,2\r\n", {}),
        ("\n\ntime,latency_ms\n\n2025-01-01,1.5\n\n2025-01-02,2\n\n\n", {}),
        ("time;latency_ms\n2025-01-01;1.5\n2025-01-02;2\n", {}),
        ("time\tlatency_ms\n2025-01-01\t1.5\n2025-01-02\t2\n", {}),
        ("time|latency_ms\n2025-01-01|1.5\n2025-01-02|2\n", {}),
        ("time;latency_ms\n2025-01-01;1,5\n2025-01-02;2\n", {"decimal": ","}),
        ("time:latency_ms\n2025-01-01:1.5\n2025-01-02:2\n", {"sep": ":"}),
        ("2025-01-01,1.5\n2025-01-02,2\n", {"names": ["time", "latency_ms"]}),
        ("a,b\n2025-01-01,1.5\n2025-01-02,2\n", {"names": ["time", "latency_ms"], "header": 0}),
        ("# made by\n#\ntime,latency_ms\n# half\n2025-01-01,1.5\n2025-01-02,2\n", {"comment": "#"}),
        ("made by a tool\ntime,latency_ms\n2025-01-01,1.5\n2025-01-02,2\n", {"header": 1}),
        ('"time","latency_ms"\n"2025-01-01","1.5"\n"2025-01-02","2"\n', {}),
    ],
)
def test_every_dialect_gives_the_same_events(csv, text, options):
    expected = pd.DataFrame(
        {"latency_ms": [1.5, 2.0]}, pd.DatetimeIndex(["2025-01-01", "2025-01-02"], tz="UTC", name="time").as_unit("ns")
    )
    pd.testing.assert_frame_equal(load(csv(text), **options), expected)
    pd.testing.assert_frame_equal(pd.concat(iter_table(csv(text), chunk_rows=1, **options)), expected)


def test_a_file_without_a_header_has_numbered_columns(csv):
    frame = load(csv("0,1.5,a\n0,2.5,b\n"), header=None)
    assert frame.columns.tolist() == ["0", "1", "2"]
    assert frame["1"].tolist() == [1.5, 2.5]


def test_a_comment_mark_in_quotes_is_text(csv):
    assert load(csv('a,b\n1,"x\n#y"\n# no row\n2,z\n'), comment="#")["b"].tolist() == ["x\n#y", "z"]


def test_decimal_commas_change_numbers_and_no_text(csv):
    frame = load(csv("n;note;k\n1,5;1,5;2\n-2,25e1;see 1,5;3\n"), decimal=",")
    assert frame.n.tolist() == [1.5, -22.5]
    assert frame.note.tolist() == ["1,5", "see 1,5"]
    assert frame.k.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sep": ";;"}, r"^sep=';;': expected one ASCII character"),
        ({"decimal": "'"}, r"^decimal=\"'\": expected one of '\.', ','"),
        ({"sep": ",", "decimal": ","}, r"^decimal=',': expected another mark than sep"),
        ({"header": "first"}, r"^header='first': expected a whole number >= 0"),
        ({"names": "a"}, r"^names='a': expected a list of non-empty strings"),
        ({"na_values": {"a": "x"}}, r"^na_values=\{'a': 'x'\}: expected a word or a list of words"),
        ({"comment": ""}, r"^comment='': expected one ASCII character"),
        ({"columns": "a"}, r"^columns='a': expected a list of non-empty strings"),
    ],
)
def test_wrong_arguments_are_refused(csv, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load(csv("a,b\n1,2\n"), **options)


def test_csv_arguments_are_for_csv(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ConfigError, match=r"are for CSV files; this is 'jsonl'$"):
        load(tmp_path / "a.jsonl", sep=";")


def test_missing_words_are_those_of_pandas(csv):
    words = ["#N/A", "NULL", "<NA>", "\\N", "n/a", "NaN", "null", "-1.#IND", ""]
    frame = load(csv("loss,note\n" + "".join(f"{word},x\n" for word in words) + "1.5,NULL\n"))
    assert frame.loss.isna().sum() == len(words)
    assert frame.note.tolist()[-1] == "NULL"  # in text a word is text
    frame = load(csv("loss,note\n-999,missing\n1,x\n"), na_values=["-999", "missing"])
    assert frame.isna().sum().tolist() == [1, 1]
    assert load(csv("loss\n-999\n1\n"), na_values=-999).loss.tolist()[1] == 1


def test_truth_columns_with_gaps(csv):
    assert load(csv("success,latency_ms\n1.0,1\n,2\n0.0,3\n")).success.tolist() == [True, pd.NA, False]


@pytest.mark.parametrize(
    ("name", "cells", "kept", "odd"),
    [
        ("total_tokens", ["5", "66383.4"], [5, pd.NA], "66383.4"),
        ("step", ["1", "final"], [1, pd.NA], "final"),
        ("latency_ms", ["1.5", "fast"], [1.5, None], "fast"),
        ("success", ["true", "maybe"], [True, pd.NA], "maybe"),
    ],
)
def test_one_misfit_cell_goes_to_metadata_and_never_the_file(csv, name, cells, kept, odd):
    path = csv(f"{name},metadata\n" + "\n".join(f'{cell},"{{""k"": 1}}"' for cell in cells) + "\n")
    with pytest.warns(CrucibleWarning, match=f"1 of '{name}'"):
        frame = load(path)
    assert [None if pd.isna(value) else value for value in frame[name]] == [
        None if pd.isna(value) else value for value in kept
    ]
    assert [json.loads(text) for text in frame.metadata] == [{"k": 1}, {"k": 1, name: odd}]
    with pytest.warns(CrucibleWarning, match=f"1 of '{name}'"):
        chunks = pd.concat(iter_table(path, chunk_rows=1), ignore_index=True)
    pd.testing.assert_frame_equal(chunks, frame)


def test_columns_of_ours_that_hold_something_else_are_ordinary(csv):
    assert load(csv("seq,loss\na-1,1\n")).seq.tolist() == ["a-1"]
    assert load(csv("seq,loss\n1,1\n,2\n")).seq.tolist() == [1, pd.NA]
    assert load(csv("anomaly,loss\nhigh,1\n")).anomaly.tolist() == ["high"]


def test_columns_without_a_name(csv):
    frame = load(csv(",latency_ms\n0,1.0\n1,2.0\n"))
    assert frame.columns.tolist() == ["unnamed", "latency_ms"]
    assert load(csv("time,loss,,\n2025-01-01,1,,\n")).columns.tolist() == ["loss"]
    assert load(csv(",,a\n1,2,3\n")).columns.tolist() == ["unnamed", "unnamed_2", "a"]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "zip"])
def test_an_empty_name_is_written_and_read(suffix, tmp_path):
    frame = pd.DataFrame({"": [1, 2], "latency_ms": [1.0, 2.0]})
    path = tmp_path / f"run.{suffix}"
    pd.testing.assert_frame_equal(load(archive(frame, path) if suffix == "zip" else write_table(frame, path)), frame)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("foreign", [False, True])
def test_columns_choose_what_is_read(suffix, foreign, tmp_path):
    times = pd.DatetimeIndex(["2025-01-01", "2025-01-02"], tz="UTC", name="time")
    path = write_table(pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 1.5]}, times), tmp_path / f"r.{suffix}")
    if foreign and suffix != "parquet":
        (tmp_path / f"r.{suffix}.json").unlink()
    elif foreign:
        pd.read_parquet(path).reset_index().to_parquet(path)
    frame = load(path, columns=["a"])
    assert (frame.columns.tolist(), frame.index.name) == (["a"], "time")
    frame = load(path, {"d": "c * 2"}, where="b == 'y'", columns=["a"])
    assert frame.to_dict("list") == {"a": [2], "d": [3.0]}
    assert [chunk.columns.tolist() for chunk in iter_table(path, columns=["c"], chunk_rows=1)] == [["c"]] * 2
    with pytest.raises(SchemaError, match=r"^columns='nothing': no such column"):
        load(path, columns=["nothing"])


def test_whole_numbers_that_meet_a_fraction_are_exact(csv):
    assert load(csv("v\n9007199254740993\n0.5\n")).v.tolist() == ["9007199254740993", "0.5"]
    chunks = iter_table(csv("v\n9007199254740993\n0.5\n"), chunk_rows=1)
    assert [chunk.v.item() for chunk in chunks] == ["9007199254740993", "0.5"]
    assert load(csv("v\n9007199254740993\n5\n")).v.tolist() == [9007199254740993, 5]


@pytest.mark.parametrize("name", ["created_at", "Timestamp", "ts", "datetime", "date", "started_at", "gmt_create"])
def test_times_have_usual_names(csv, name):
    assert load(csv(f"{name},latency_ms\n2025-01-01T00:00:00,5\n")).index[0] == pd.Timestamp("2025-01-01", tz="UTC")


def test_paths_name_times_and_events(tmp_path):
    rows = [{"meta": {"at": f"2025-01-0{day}", "kind": {"name": "call"}}, "choices": [{"n": day}]} for day in (1, 2)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame = load(tmp_path / "a.jsonl", {"n": "choices[0].n"}, "meta.at", "meta.kind.name", columns=["n"])
    assert frame.index.day.tolist() == [1, 2]
    assert frame.to_dict("list") == {"event": ["call", "call"], "n": [1, 2]}
    with pytest.raises(SchemaError, match=r"^time='meta.nothing': no such column"):
        load(tmp_path / "a.jsonl", time="meta.nothing")


def test_parquet_fields_are_reached_too(tmp_path):
    frame = pd.DataFrame({"usage": [{"prompt_tokens": 5}, None]})
    frame.to_parquet(tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet", {"prompt_tokens": "usage.prompt_tokens"}).prompt_tokens.tolist() == [5, pd.NA]


def test_files_follow_the_umask_and_archives_are_the_owners(tmp_path):
    frame, before = pd.DataFrame({"a": [1]}), os.umask(0o027)
    try:
        paths = [write_table(frame, tmp_path / f"a.{suffix}") for suffix in ("parquet", "csv", "jsonl")]
        packed = archive(frame, tmp_path / "a.zip")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in [*paths, tmp_path / "a.csv.json"]} == {0o640}
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
