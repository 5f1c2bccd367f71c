"""JSON lines: the header, nesting, infinity, invalid lines."""

from __future__ import annotations

import gzip
import json

import pandas as pd
import pytest

from crucible_nb.errors import StoreError
from crucible_nb.files import load, write_table


def test_every_line_is_json_and_the_first_the_header(events, tmp_path):
    path = write_table(events, tmp_path / "run.jsonl")
    header, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert header["crucible"]["version"] == 1
    assert len(rows) == len(events)
    assert rows[0]["time"] == "2023-11-14T22:13:20.123456789Z"
    assert rows[2]["latency_ms"] == "inf"


def test_foreign_lines(tmp_path):
    path = tmp_path / "foreign.jsonl.gz"
    lines = [
        '\ufeff{"a": 1, "nested": {"x": [1, null]}}',
        "",
        '{"a": 2.5, "model": "m", "mix": 1}',
        '{"mix": "one", "ok": true}',
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    frame = load(path)
    assert frame.columns.tolist() == ["a", "nested", "model", "mix", "ok"]
    assert frame.dtypes.astype(str).tolist() == ["float64", "str", "category", "str", "boolean"]
    assert frame["nested"].tolist()[0] == '{"x":[1,null]}'
    assert frame["mix"].tolist()[1:] == ["1", "one"]
    assert frame["a"].isna().tolist() == [False, False, True]


def test_numbers_beyond_64_bits_stay_exact_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 18446744073709551615}\n{"id": 1}\n', encoding="utf-8")
    assert load(tmp_path / "a.jsonl")["id"].tolist() == ["18446744073709551615", "1"]


def test_nan_of_pythons_json_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"loss": NaN}\n{"loss": Infinity}\n', encoding="utf-8")
    assert [str(value) for value in load(tmp_path / "a.jsonl")["loss"]] == ["nan", "inf"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a":1}\n\n{"a":\n', "line 3: unexpected end of data"),
        ('{"a":1}\n[1]\n', "line 2: expected an object, got list"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}\n", "line 1: depth limit exceeded"),
        ('{"a":' + "[" * 500 + "]" * 500 + "}\n", "line 1: Recursion limit reached"),
        ('{"a":' + "[" * 100_000 + "NaN" + "]" * 100_000 + "}\n", "line 1: maximum recursion depth exceeded"),
        ('{"a": "\\ud800"}\n', "line 1: "),
        ('{"crucible": {"version": 1}}\n', "its crucible header is broken"),
        ('{"crucible": {"version": 9}}\n', "it was written by a newer crucible_nb (file version 9)"),
        ("\n\n", "it has no rows"),
    ],
)
def test_broken_lines_are_named(text, sentence, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        load(path)
    assert str(caught.value).startswith(f"cannot read {str(path)!r}: {sentence}")


@pytest.mark.untraced
def test_too_many_columns_are_refused(tmp_path):
    path = tmp_path / "wide.jsonl"
    path.write_text("".join(f'{{"c{i}": 1}}\n' for i in range(17_000)), encoding="utf-8")
    with pytest.raises(StoreError, match=r"its lines name more than 16,384 columns$"):
        load(path)


def test_a_line_cut_off_at_its_end_is_noticed(tmp_path):
    path = write_table(pd.DataFrame({"n": [1, 2, 3]}), tmp_path / "run.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(StoreError, match=r"it has 2 rows but its header says 3: cut short or edited$"):
        load(path)


def test_sparse_lines_are_refused_before_they_fill_the_memory(tmp_path):
    path = tmp_path / "sparse.jsonl"
    path.write_text("".join(f'{{"c{i % 1000}": 1}}\n' for i in range(20_000)), encoding="utf-8")
    with pytest.raises(StoreError, match=r"it expands to more than max_bytes=10,000,000; "):
        load(path, max_bytes=10_000_000)


def test_endless_lines_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("crucible_nb.files.jsonl._MAX_LINE", 1 << 20)
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": "' + "x" * (1 << 20) + '"}\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"line 2 is longer than 1 MiB$"):
        load(tmp_path / "a.jsonl")


def test_whole_numbers_that_a_float_cannot_tell_apart(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt_tokens": 2.0}\n{"prompt_tokens": 1e16}\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"column 'prompt_tokens': 1e\+16 is not a whole number$"):
        load(tmp_path / "a.jsonl")
