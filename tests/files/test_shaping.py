"""map, where, event and time on foreign files."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crucible_nb.errors import ConfigError, CrucibleWarning, SchemaError, StoreError
from crucible_nb.files import iter_table, load, write_table


@pytest.fixture
def csv(tmp_path):
    def write(text, name="foreign.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_map_sees_the_file_and_takes_the_schemas_dtype(csv):
    path = csv("prompt_tokens,a,b\nx,1,10\ny,2,20\n")
    frame = load(path, {"prompt_tokens": "a", "a": "b", "b": "a", "cost_usd": "1", "score": lambda f: f["a"] / 4})
    assert frame.columns.tolist() == ["prompt_tokens", "a", "b", "cost_usd", "score"]
    assert frame.dtypes.astype(str).tolist() == ["Int64", "int64", "int64", "float64", "float64"]
    assert frame.iloc[1].tolist() == [2, 20, 2, 1.0, 0.5]


def test_a_map_that_does_not_fit(csv):
    path = csv("a\n1\n2.5\n")
    with pytest.raises(StoreError) as caught:
        load(path, {"prompt_tokens": "a"})
    assert str(caught.value) == f"cannot read {str(path)!r}: column 'prompt_tokens': 2.5 is not a whole number"
    with pytest.raises(ConfigError) as wrong:
        load(path, {"z": lambda f: f["a"] * 1j})
    assert str(wrong.value) == "map='z': expected text, numbers, booleans or datetimes, got complex128"


def test_where_sees_mapped_columns_and_the_event(csv):
    path = csv("s,kind\n0.5,a\n2,b\n3,a\n")
    frame = load(path, {"latency_ms": "s * 1000"}, event="kind", where="latency_ms > 900 and event == 'a'")
    assert frame["s"].tolist() == [3.0]
    assert frame.index.equals(pd.RangeIndex(1))
    assert load(path, where=lambda f: f["s"] < 1)["s"].tolist() == [0.5]
    assert len(load(path, where="1 < 2")) == 3
    with pytest.raises(
        ConfigError, match=r"^where: expected a condition, true or false in each of 3 rows, got float64$"
    ):
        load(path, where="s")


def test_an_unknown_condition_does_not_keep_the_row(csv):
    assert load(csv("n\n1\n\n3\n"), where="n > 0")["n"].tolist() == [1, 3]


def test_event_column_or_name(csv):
    path = csv("kind\na\nb\n")
    assert load(path, event="kind")["event"].tolist() == ["a", "b"]
    constant = load(path, event="llm.call")["event"]
    assert constant.tolist() == ["llm.call"] * 2
    assert constant.dtype == pd.CategoricalDtype(["llm.call"])


def test_missing_columns_are_named(csv):
    path = csv("a,b\n1,2\n")
    for options in ({"map": {"x": "c + 1"}}, {"where": "c > 1"}, {"time": "c"}):
        with pytest.raises(SchemaError) as caught:
            load(path, **options)
        assert str(caught.value) == f"{next(iter(options))}='c': no such column; available: a, b"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numbers_count_from_the_origin(csv, unit):
    path = csv("at,n\n0,1\n1700000001,2\n-5,3\n")
    index = load(path, time="at", unit=unit, origin="2025-01-01").index
    expected = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta([0, 1_700_000_001, -5], unit=unit)
    assert list(index) == list(expected)
    assert index.dtype == "datetime64[ns, UTC]"


def test_fractions_keep_their_nanoseconds(csv):
    index = load(csv("at\n1700000000.25\n0.000000001\n46.68059\n"), time="at", unit="s").index
    assert index.asi8.tolist() == [1_700_000_000_250_000_000, 1, 46_680_590_000]


def test_text_of_any_offset_and_resolution(csv):
    path = csv("t\n2023-11-16 18:15:46.6805900\n2023-11-16T18:15:46+02:00\n2023-11-16T18:15:46.123456789Z\n")
    expected = ["2023-11-16 18:15:46.68059", "2023-11-16 16:15:46", "2023-11-16 18:15:46.123456789"]
    assert load(path, time="t").index.equals(pd.DatetimeIndex(expected, tz="UTC", name="time").as_unit("ns"))


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("t\nnoon\n", {}, "column 't': 'noon' is not a time"),
        ("t,x\n2025-01-01,1\n,2\n", {}, "column 't': a time is missing"),
        ("t\n1e300\n", {"unit": "s"}, "column 't': 1e+300 is not a time"),
        ("t\ninf\n", {"unit": "s"}, "column 't': inf is not a time"),
        ("t\n9223372036854775807\n", {"unit": "s"}, "column 't': 9223372036854775807 is not a time"),
    ],
)
def test_what_is_no_time(csv, text, options, said):
    path = csv(text)
    with pytest.raises(StoreError) as caught:
        load(path, time="t", **options)
    assert str(caught.value) == f"cannot read {str(path)!r}: {said}"


def test_numbers_need_a_unit(csv):
    with pytest.raises(ConfigError) as caught:
        load(csv("t\n1\n"), time="t")
    assert str(caught.value) == "unit=None: column 't' holds numbers; expected one of 's', 'ms', 'us', 'ns'"


@pytest.mark.parametrize(
    ("name", "value"), [("time", "2025-01-01"), ("TIMESTAMP", "2025-01-01 00:00:00"), ("Time", "2025-01-01")]
)
def test_the_time_is_found_by_its_name(csv, name, value):
    frame = load(csv(f"{name},n\n{value},1\n"))
    assert frame.index.equals(pd.DatetimeIndex(["2025-01-01"], tz="UTC", name="time").as_unit("ns"))
    assert frame.columns.tolist() == ["n"]


@pytest.mark.parametrize("text", ["time,n\n5,1\n", "timestamp,n\nnoon,1\n", "n\n1\n", "time,n\n2025-01-01,1\n,2\n"])
def test_what_only_sounds_like_a_time_stays_a_column(csv, text):
    frame = load(csv(text))
    assert isinstance(frame.index, pd.RangeIndex)
    assert frame.columns.tolist() == text.splitlines()[0].split(",")


def test_the_first_piece_settles_what_the_time_is(csv):
    path = csv("time,n\n2025-01-01,1\nnoon,2\n")
    pieces = iter_table(path, chunk_rows=1)
    assert next(pieces).index.name == "time"
    with pytest.raises(StoreError, match=r"column 'time': 'noon' is not a time$"):
        next(pieces)


def test_our_own_files_are_not_guessed_at(tmp_path):
    frame = pd.DataFrame({"timestamp": pd.array(["2025-01-01"], dtype="str"), "prompt_tokens": ["x"]})
    pd.testing.assert_frame_equal(load(write_table(frame, tmp_path / "run.csv")), frame)


def test_our_own_files_can_be_shaped(events, suffix, tmp_path):
    path = write_table(events, tmp_path / f"run.{suffix}")
    frame = load(path, {"latency_s": "latency_ms / 1000"}, where="time >= '2023-01-01'")
    assert frame.index.equals(events.index[:2])
    np.testing.assert_array_equal(frame["latency_s"], events["latency_ms"].iloc[:2] / 1000)


def test_bad_arguments_are_refused_before_the_file_is_opened():
    for options, said in (
        ({"map": 3}, "map=3: expected a mapping with text keys"),
        ({"map": {"a": 3}}, "map=3: expected an expression as text, or a callable that takes the frame"),
        ({"where": 3}, "where=3: expected an expression as text, or a callable that takes the frame"),
        ({"unit": "h"}, "unit='h': expected one of 's', 'ms', 'us', 'ns'"),
        ({"time": ""}, "time='': expected a non-empty string or None"),
        ({"event": 1}, "event=1: expected a non-empty string or None"),
        ({"format": "xml"}, "format='xml': expected one of 'parquet', 'csv', 'jsonl', 'zip', 'otlp'"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(__file__, **options)
        assert str(caught.value) == said


def test_what_callables_give(csv):
    path = csv("model,n\na,1\nb,2\n")
    kept = pd.Categorical(["x", "y"], categories=["y", "x", "z"])
    assert load(path, {"cohort": lambda _: kept})["cohort"].cat.categories.tolist() == ["y", "x", "z"]
    assert load(path, {"at": lambda _: pd.Timestamp("2025-01-01")}, "at").index[0] == pd.Timestamp(
        "2025-01-01", tz="UTC"
    )
    with pytest.raises(StoreError, match=r"column 'note': not all values are text"):
        load(path, {"note": lambda f: pd.Series([{1}, 2], index=f.index, dtype=object)})
    with pytest.raises(StoreError, match=r"column 'at': False is not a time$"):
        load(path, {"at": "n > 1"}, "at")


def test_times_beyond_the_nanosecond_range(csv):
    with pytest.raises(StoreError, match=r"column 't': '3000-01-01' is not a time$"):
        load(csv("t\n3000-01-01\n"), time="t")


def test_durations_and_decimals_are_numbers_in_the_unit_of_the_column(tmp_path):
    start = pd.DatetimeIndex(["2025-01-01"])
    table = pa.table(
        {
            "a": start,
            "b": start + pd.Timedelta("1.5s"),
            "latency_ms": pa.array([812], pa.duration("ms")),
            "took": pa.array([812], pa.duration("ms")),
            "cost_usd": pa.array([decimal.Decimal("0.0021")], pa.decimal128(38, 18)),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    took = {
        "ttft_ms": lambda f: f.b - f.a,
        "wait": lambda f: f.b - f.a,
        "objects": lambda f: (f.b - f.a).astype(object),
    }
    frame = load(tmp_path / "t.parquet", took)
    assert (frame.latency_ms[0], frame.took[0], frame.cost_usd[0]) == (812.0, 0.812, 0.0021)
    assert (frame.ttft_ms[0], frame.wait[0], frame.objects[0]) == (1500.0, 1.5, 1.5)
    pq.write_table(pa.table({"cost_usd": pa.array([812], pa.duration("ms"))}), tmp_path / "t.parquet")
    with pytest.warns(CrucibleWarning, match="1 of 'cost_usd'"):
        frame = load(tmp_path / "t.parquet")
    assert frame.cost_usd.isna().all()
    assert frame.metadata.tolist() == ['{"cost_usd":"0 days 00:00:00.812000"}']
