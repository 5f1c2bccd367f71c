"""Writing: atomic, read back equal, one error message on failure."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from crucible_nb.errors import ConfigError, SchemaError, StoreError
from crucible_nb.files import archive, load, read_facts, write_table


def same(left, right):
    pd.testing.assert_frame_equal(left, right, check_exact=True)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_kind_comes_back_equal(events, suffix, tmp_path):
    back = load(write_table(events, tmp_path / f"run.{suffix}"))
    same(back, events)
    assert np.signbit(back["latency_ms"].iloc[4])


def test_the_frame_that_comes_back_can_be_written_into(events, suffix, tmp_path):
    back = load(write_table(events, tmp_path / f"run.{suffix}"))
    for place in range(back.shape[1]):
        back.iloc[0, place] = back.iloc[2, place]
    assert back["seq"].iloc[0] == 2**60 + 2


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(events, suffix, rows, tmp_path):
    same(load(write_table(events.iloc[:rows], tmp_path / f"run.{suffix}")), events.iloc[:rows])


def test_more_rows_than_one_piece(suffix, tmp_path):
    frame = pd.DataFrame({"n": np.arange(70_000), "label": pd.Categorical(np.arange(70_000).astype(str))})
    same(load(write_table(frame, tmp_path / f"run.{suffix}")), frame)


def test_one_column_of_missing_text(suffix, tmp_path):
    frame = pd.DataFrame({"error": pd.array([None, "", None], dtype="str")})
    same(load(write_table(frame, tmp_path / f"run.{suffix}")), frame)


def test_an_index_alone(suffix, tmp_path):
    frame = pd.DataFrame(index=pd.DatetimeIndex([2, 1], tz="UTC", name="time"), columns=pd.Index([], dtype="str"))
    same(load(write_table(frame, tmp_path / f"run.{suffix}")), frame)


def test_other_time_zones_and_resolutions_become_utc_nanoseconds(suffix, tmp_path):
    index = pd.DatetimeIndex(["2025-01-01 01:00", "2025-07-01 02:00"], tz="Europe/Berlin").as_unit("s")
    back = load(write_table(pd.DataFrame({"n": [1, 2]}, index), tmp_path / f"run.{suffix}"))
    assert back.index.dtype == "datetime64[ns, UTC]"
    assert back.index.name == "time"
    assert list(back.index) == list(index)


def test_datetime_columns(suffix, tmp_path):
    frame = pd.DataFrame({"began": pd.DatetimeIndex(["2025-01-01", None], tz="UTC").as_unit("ns")})
    same(load(write_table(frame, tmp_path / f"run.{suffix}")), frame)


def test_ordered_categories_stay_ordered(suffix, tmp_path):
    sizes = pd.Categorical(["small", "large"], categories=["small", "medium", "large"], ordered=True)
    frame = pd.DataFrame({"size": sizes})
    same(load(write_table(frame, tmp_path / f"run.{suffix}")), frame)


def test_facts_and_attributes_travel(events, suffix, tmp_path):
    events.attrs = {"unit": {"latency_ms": "ms"}, "opaque": object(), "tuple": (1, 2)}
    facts = {"name": "é = 1", "tags": ["a"], "metadata": {"sha": None, "n": 1.5}}
    path = write_table(events, tmp_path / f"run.{suffix}", facts=facts)
    assert read_facts(path) == facts
    assert load(path).attrs == {"unit": {"latency_ms": "ms"}}


def test_format_overrides_an_unknown_suffix(events, suffix, tmp_path):
    path = write_table(events, tmp_path / "run.data", suffix)
    same(load(path, format=suffix), events)


def test_an_existing_file_is_replaced(events, suffix, tmp_path):
    path = write_table(events, tmp_path / f"run.{suffix}", facts={"n": 1})
    write_table(events.iloc[:2], path, facts={"n": 2})
    same(load(path), events.iloc[:2])
    assert read_facts(path) == {"n": 2}


def test_a_failed_write_keeps_the_previous_file(events, suffix, tmp_path, monkeypatch):
    path = write_table(events, tmp_path / f"run.{suffix}", facts={"n": 1})
    before = names(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"^cannot write .*: No space left on device$"):
        write_table(events.iloc[:1], path)
    monkeypatch.undo()
    assert names(tmp_path) in (before, [path.name])
    pd.testing.assert_frame_equal(load(path)[["seq"]], events[["seq"]])


def test_a_value_that_does_not_fit_leaves_nothing_behind(suffix, tmp_path):
    frame = pd.DataFrame({"bad": pd.Series([1, "x"], dtype=object)})
    with pytest.raises(SchemaError, match=r"^column 'bad': not all values are text"):
        write_table(frame, tmp_path / f"run.{suffix}")
    assert names(tmp_path) == []


def test_numbers_in_an_object_column_do_not_become_text(tmp_path):
    with pytest.raises(SchemaError, match=r"^column 'n': not all values are text \(they are int64\)$"):
        write_table(pd.DataFrame({"n": pd.Series([1, 2], dtype=object)}), tmp_path / "run.csv")


def refused(error, call, sentence):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == sentence


def test_bad_paths_and_formats(events, tmp_path):
    refused(
        ConfigError,
        lambda: write_table(events, "run.xlsx"),
        "path='run.xlsx': expected a name that ends in .parquet, .csv or .jsonl, or format=",
    )
    refused(
        ConfigError,
        lambda: write_table(events, "run.data", "xlsx"),
        "format='xlsx': expected one of 'parquet', 'csv', 'jsonl'",
    )
    refused(
        ConfigError,
        lambda: write_table(events, "run.csv", "parquet"),
        "format='parquet': the path ends in '.csv'; expected the two to agree",
    )
    refused(ConfigError, lambda: write_table(events, 3), "path=3: expected a path, as text or pathlib.Path")
    refused(
        ConfigError,
        lambda: write_table(events, b"run.csv"),
        "path=b'run.csv': expected a path, as text or pathlib.Path",
    )
    refused(ConfigError, lambda: archive(events, "run.rar"), "path='run.rar': expected a name that ends in .zip")
    refused(
        ConfigError,
        lambda: write_table(events, tmp_path / "run.csv", facts={"a": {1, 2}}),
        "facts={'a': {1, 2}}: expected values that JSON can represent (Type is not JSON serializable: set)",
    )


def test_bad_folders(events, suffix, tmp_path):
    lost = tmp_path / "no" / f"run.{suffix}"
    with pytest.raises(StoreError) as caught:
        write_table(events, lost)
    assert str(caught.value).startswith("cannot write ")
    assert str(caught.value).endswith(f": no such folder {str(lost.parent)!r}")
    folder = tmp_path / f"folder.{suffix}"
    folder.mkdir()
    refused(StoreError, lambda: write_table(events, folder), f"cannot write {str(folder)!r}: it is a folder")


def test_frames_that_could_not_come_back(tmp_path):
    path = tmp_path / "run.csv"
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    numbered = pd.DataFrame([[1, 2]])
    refused(SchemaError, lambda: write_table(twice, path), "frame: expected every column name once, got 'a', 'a'")
    refused(ConfigError, lambda: write_table(numbered, path), "columns=[0, 1]: expected a list of non-empty strings")
    refused(
        SchemaError,
        lambda: write_table(pd.DataFrame({"a": [1]}, index=["x"]), path),
        "frame: expected a DatetimeIndex or plain RangeIndex, got an Index; use reset_index() first",
    )
    refused(
        SchemaError,
        lambda: write_table(pd.DataFrame({"a": [1, 2]}).iloc[1:], path),
        "frame: expected a DatetimeIndex or plain RangeIndex, got a RangeIndex; use reset_index() first",
    )
    refused(SchemaError, lambda: write_table(pd.DataFrame(), path), "frame: expected at least one column, got none")
    refused(
        SchemaError,
        lambda: write_table(pd.DataFrame({"a": [1j]}), path),
        "column 'a': expected text, category, numbers, booleans or datetimes, got dtype complex128",
    )
    refused(
        SchemaError,
        lambda: write_table(pd.DataFrame({"a": pd.Categorical([1])}), path),
        "column 'a': expected categories of text, got int64",
    )


def test_archive_holds_events_and_facts(events, tmp_path):
    path = archive(events, tmp_path / "run.zip", {"name": "demo"})
    same(load(path), events)
    assert read_facts(path) == {"name": "demo"}
