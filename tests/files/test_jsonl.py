"""JSON lines: the header, nesting, infinity, invalid lines."""

from __future__ import annotations

import gzip
import json

import pandas as pd
import pytest

from crucible_nb.errors import CrucibleWarning, StoreError
from crucible_nb.files import iter_table, load, read_facts, write_table


def test_every_line_is_a_row_and_the_header_is_beside_it(events, tmp_path):
    path = write_table(events, tmp_path / "run.jsonl", facts={"name": "demo"})
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    beside = json.loads((tmp_path / "run.jsonl.json").read_text(encoding="utf-8"))
    assert (beside["crucible"]["version"], beside["crucible"]["facts"]) == (1, {"name": "demo"})
    assert len(pd.read_json(path, lines=True)) == len(events)
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
@pytest.mark.check
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
    with pytest.warns(CrucibleWarning, match="1 of 'prompt_tokens'"):
        frame = load(tmp_path / "a.jsonl")
    assert frame.prompt_tokens.tolist() == [2, pd.NA]
    assert frame.metadata.tolist()[1] == '{"prompt_tokens":1e+16}'


def test_files_of_the_first_builds_have_the_header_in_their_first_line(events, tmp_path):
    path = write_table(events, tmp_path / "run.jsonl", facts={"name": "demo"})
    side = tmp_path / "run.jsonl.json"
    header = json.dumps(json.loads(side.read_text(encoding="utf-8")))
    path.write_text(header + "\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    side.unlink()
    pd.testing.assert_frame_equal(load(path), events)
    assert read_facts(path) == {"name": "demo"}


def test_integers_beyond_64_bits_and_those_that_meet_fractions_stay_exact(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"v":1180591620717411303425}\n{"v":1}\n', encoding="utf-8")
    assert load(path)["v"].tolist() == ["1180591620717411303425", "1"]
    path.write_text('{"v":9007199254740993}\n{"v":0.5}\n', encoding="utf-8")
    assert load(path)["v"].tolist() == ["9007199254740993", "0.5"]
    assert [chunk["v"].item() for chunk in iter_table(path, chunk_rows=1)] == ["9007199254740993", "0.5"]


def test_what_pythons_json_writes_beyond_json(tmp_path):
    path = tmp_path / "a.jsonl"
    cut = "ok \U0001f600".encode("utf-16", "surrogatepass").decode("utf-16")[:3] + "\ud83d"
    rows = [{"text": cut, "m": {"loss": float("nan"), "lr": float("inf"), "deep": ["\udc00"]}}, {"text": "b"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    frame = load(path)
    assert frame["text"].tolist() == ["ok \\ud83d", "b"]
    assert json.loads(frame["m"].tolist()[0]) == {"loss": "nan", "lr": "inf", "deep": ["\\udc00"]}


ROWS = [{"latency_ms": 1.5, "usage": {"tokens": 5}}, {"latency_ms": 2.0, "usage": {"tokens": 7}}]


@pytest.mark.parametrize("suffix", ["json", "jsonl", "ndjson", "log", "txt", "json.gz", "data"])
@pytest.mark.parametrize(
    "text",
    [
        "".join(json.dumps(row) + "\n" for row in ROWS),
        "\ufeff" + "\n".join(map(json.dumps, ROWS)),
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n " + json.dumps(ROWS, indent=1),
        json.dumps({"created": "2025-01-01", "results": ROWS}, indent=2),
    ],
)
def test_json_of_every_form_under_any_suffix(suffix, text, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    frame = load(path, {"total_tokens": "usage.tokens"})
    assert frame.latency_ms.tolist() == [1.5, 2.0]
    assert frame.total_tokens.tolist() == [5, 7]
    assert sum(map(len, iter_table(path, chunk_rows=1))) == 2


def test_items_of_an_array_that_are_no_objects_are_named(tmp_path):
    (tmp_path / "a.json").write_text('[{"a": 1}, 2]', encoding="utf-8")
    with pytest.raises(StoreError, match=r"item 2 of its array: expected an object, got int$"):
        load(tmp_path / "a.json")


@pytest.mark.check
def test_long_texts_come_back(tmp_path):
    frame = pd.DataFrame({"prompt": pd.array(["p" * 68_000_000, "q"], dtype="str")})
    for suffix in ("jsonl", "csv"):
        pd.testing.assert_frame_equal(load(write_table(frame, tmp_path / f"run.{suffix}")), frame)


def test_integers_beyond_64_bits_stay_exact_in_nested_values(tmp_path):
    usage = {"n": 2**70, "of": [-(2**65), 0.5, {"k": 1}]}
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"usage": usage, "i": i}) + "\n" for i in range(3)))
    assert [json.loads(text) for text in load(tmp_path / "x.jsonl").usage] == [usage] * 3
    assert load(tmp_path / "x.jsonl", map={"n": "usage.n"}).n.tolist() == [str(2**70)] * 3


def test_fields_that_come_and_go_in_long_files(tmp_path):
    rows = [{"a": i, "b": i / 2} for i in range(300)] + [{"c": f"x{i}", "a": i} for i in range(300, 560)]
    rows += [{"b": 0.5, "a": i} for i in range(560, 1100)]
    path = tmp_path / "run.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    frame = load(path)
    assert list(frame.columns) == ["a", "b", "c"]
    pd.testing.assert_frame_equal(frame.astype({"c": object}), pd.DataFrame(rows).astype({"c": object}))
    assert load(path, columns=["c"])["c"].notna().sum() == 260
