"""The one reader of times: of values, of columns of any library, of frames; and the one policy about numbers."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import crucible_nb as cr
from crucible_nb.errors import SchemaError
from crucible_nb.events.times import all_times, read_times, read_values, times_of, zoned_index
from crucible_nb.utils.instants import nanoseconds

NEW_YEAR = 1_735_689_600 * 10**9
TIMES = pd.DatetimeIndex(["2025-01-01", "2025-01-02"])


@pytest.mark.parametrize(
    "column",
    [
        pd.to_datetime(["2025-01-01 00:00", "2025-01-01 00:01"]).as_unit("s"),
        pd.to_datetime(["2025-01-01 00:00", "2025-01-01 00:01"], utc=True).tz_convert("Asia/Tokyo"),
        ["2025-01-01T00:00:00", "2025-01-01T09:01:00+09:00"],
        [NEW_YEAR, NEW_YEAR + 60 * 10**9],
        pd.array(pd.to_datetime(["2025-01-01 00:00", "2025-01-01 00:01"]), dtype="timestamp[ms][pyarrow]"),
        pd.Categorical(["2025-01-01", "2025-01-01 00:01"]),
        [dt.datetime(2025, 1, 1), "2025-01-01 00:01"],
    ],
)
def test_times_come_from_the_index_or_from_a_column(column: object) -> None:
    times = zoned_index(pd.DataFrame({"time": column}))
    assert times.unit == "ns"
    np.testing.assert_array_equal(times.asi8, [NEW_YEAR, NEW_YEAR + 60 * 10**9])
    np.testing.assert_array_equal(zoned_index(pd.DataFrame(index=times.as_unit("us"))).asi8, times.asi8)
    naive = times.tz_convert("UTC").tz_localize(None)
    np.testing.assert_array_equal(zoned_index(pd.DataFrame(index=naive)).asi8, times.asi8)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (pd.DataFrame({"latency_ms": [1.0]}), "frame: expected a DatetimeIndex or a 'time' column, got a RangeIndex"),
        (pd.DataFrame({"time": [1.5]}), "time: expected datetimes, ISO text or int nanoseconds, got dtype float64"),
        (
            pd.DataFrame({"time": ["noon"]}),
            "time: expected datetimes, ISO text or int nanoseconds, got 'noon' in row 0: it is no ISO text",
        ),
        (
            pd.DataFrame({"time": [1_735_689_600]}),
            "time: expected datetimes, ISO text or int nanoseconds, got 1735689600 in row 0: it looks like seconds "
            "since 1970, and whole numbers are nanoseconds",
        ),
        (pd.DataFrame({"time": [TIMES[0], pd.NaT]}), "frame: expected a time in every row, got 1 without"),
        (
            pd.DataFrame({"time": pd.to_datetime(["3000-01-01"]).as_unit("s")}),
            "time: expected datetimes, ISO text or int nanoseconds, got Timestamp('3000-01-01 00:00:00') in row 0: "
            "it is outside the years 1678 to 2261",
        ),
    ],
)
def test_every_analysis_refuses_what_is_no_time_in_the_same_words(frame: pd.DataFrame, sentence: str) -> None:
    frame["latency_ms"] = 1.0
    calls = [
        lambda: zoned_index(frame),
        lambda: frame.crucible.windowed_metrics("1min"),
        lambda: frame.crucible.query_window(last_n=1),
        lambda: frame.crucible.query_window(sliding="1min"),
        lambda: frame.crucible.metrics(last="1min"),
    ]
    if "time" in frame.columns:
        calls += [lambda: cr.anomaly.score(frame), frame.crucible.anomalies]
    for call in calls:
        with pytest.raises(SchemaError, match=f"^{re.escape(sentence)}$"):
            call()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_datetimes_of_every_unit(unit: str, zone: str | None) -> None:
    times = (TIMES if zone is None else TIMES.tz_localize("UTC").tz_convert(zone)).as_unit(unit)
    for column in (times, pd.Series(times), pd.Series(times, dtype=object), pd.Series(times).astype("category")):
        assert read_times(column).ns.tolist() == [NEW_YEAR, NEW_YEAR + 86_400 * 10**9]


COLUMNS: dict[str, tuple[Any, list[bool], list[Any]]] = {
    "out of range": (pd.DatetimeIndex(["2025-01-01", "9999-12-31"]).as_unit("us"), [True, False], [pd.Timestamp("9999-12-31")]),
    "text": (pd.Series(["2025-01-01", "2025-13-01", None, "now", "", "9999-12-31", "03/04/2025"], dtype="str"), [True, *[False] * 6], ["2025-13-01", "now", "9999-12-31", "03/04/2025"]),
    "objects": (pd.Series(["2025-01-01", None, pd.NaT, dt.time(1), True, 1.5], dtype=object), [True, *[False] * 5], [dt.time(1), True, 1.5]),
    "floats": (pd.Series([1.5, np.nan]), [False, False], [1.5]),
    "integers": (pd.Series([5, 1_735_689_600, 1_735_689_600_000, 1_735_689_600_000_000, NEW_YEAR, 0, 2 * 10**9]), [True, False, False, False, True, True, True], [1_735_689_600, 1_735_689_600_000, 1_735_689_600_000_000]),
    "unsigned": (pd.Series(np.array([2**63 + 5, 5], np.uint64)), [False, True], [2**63 + 5]),
    "nullable": (pd.Series([None, 5], dtype="Int64"), [False, True], []),
    "periods": (pd.period_range("2025-01", periods=2, freq="M"), [True, True], []),
    "arrow timestamps": (pd.Series(pd.array([TIMES[0], None], dtype="timestamp[us, tz=Asia/Tokyo][pyarrow]")), [True, False], []),
    "arrow dates": (pd.Series(pd.array([dt.date(2025, 1, 1), None], dtype="date32[pyarrow]")), [True, False], []),
    "arrow text": (pd.Series(["2025-01-01", "x"]).astype(pd.ArrowDtype(pa.large_string())), [True, False], ["x"]),
    "arrow decimals": (pd.Series(pd.array([1, 2], dtype=pd.ArrowDtype(pa.decimal128(10, 0)))), [True, True], []),
    "categories": (pd.Series(["2025-01-01", "x", None, "x"]).astype("category"), [True, False, False, False], ["x", "x"]),
    "booleans": (pd.Series([True, False]), [False, False], [True, False]),
    "durations": (pd.Series(pd.to_timedelta(["1s"])), [False], [pd.Timedelta("1s")]),
    "nothing": (pd.Series([None, None]), [False, False], []),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_a_time_is_known_missing_or_unread(name: str) -> None:
    column, known, unread = COLUMNS[name]
    times = read_times(column)
    assert times.known.tolist() == known
    assert list(times.unread.values()) == unread
    assert not times.ns[~times.known].any()
    values = column.tolist() if name != "nullable" else [None, 5]
    one_by_one = read_values([None if value is pd.NA else value for value in values])
    np.testing.assert_array_equal(one_by_one.ns, times.ns)
    assert one_by_one.unread == times.unread


def test_many_texts_are_read_as_one_by_one() -> None:
    texts = [f"2025-01-01T00:00:{i % 60:02}.{i:09}Z" for i in range(100)] + ["noon", "9999-12-31"]
    times = read_values(texts)
    assert times.ns[:100].tolist() == [nanoseconds(text) for text in texts[:100]]
    assert times.unread == {100: "noon", 101: "9999-12-31"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1_735_689_600, "it looks like seconds since 1970, and whole numbers are nanoseconds"),
        (1_735_689_600_123, "it looks like milliseconds since 1970, and whole numbers are nanoseconds"),
        (1_735_689_600_123_456, "it looks like microseconds since 1970, and whole numbers are nanoseconds"),
        (2**63, "it is outside the years 1678 to 2261"),
        (dt.datetime(9999, 1, 1), "it is outside the years 1678 to 2261"),
        (1.5, "it is no time"),
        (True, "it is no time"),
        (np.timedelta64(5, "s"), "it is no time"),
        (np.datetime64("NaT"), "it is no time"),
        ("today", "it is no ISO text"),
        ("2025-02-30", "it is no ISO text of a time from 1678 to 2261"),
    ],
)
def test_why_a_value_is_no_time(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        nanoseconds(value)


def test_an_edge_of_a_window_is_read_by_the_same_reader() -> None:
    exp = cr.start("edges", clock="events")
    exp.record("tick", time=NEW_YEAR)
    for start in (1_735_689_600, "03/04/2025", "now", 1.5):
        with pytest.raises(cr.ConfigError, match=r"^start=.*: expected a datetime, a Timestamp, ISO text or int nanos"):
            exp.query_window(start=start)
    assert len(exp.query_window(start="2025-01-01")) == 1


def test_a_frame_holds_its_times_in_a_level_of_its_index() -> None:
    index = pd.MultiIndex.from_product([["gpt-4o"], TIMES.tz_localize("UTC")], names=["model", "time"])
    frame = pd.DataFrame({"latency_ms": [1.0, 2.0]}, index=index)
    assert all_times(frame).tolist() == [NEW_YEAR, NEW_YEAR + 86_400 * 10**9]
    assert frame.crucible.metrics(by="model")["gpt-4o"].latency.mean == 1.5
    assert frame.crucible.windowed_metrics("1D", by="model").mean_latency_ms.tolist() == [1.0, 2.0]
    assert frame.crucible.query_window(last="1h").model.tolist() == ["gpt-4o"]


def test_two_levels_of_times_need_a_name() -> None:
    index = pd.MultiIndex.from_arrays([TIMES, TIMES], names=["start", "end"])
    assert times_of(pd.DataFrame({"x": [1, 2]}, index=index)) is None
    named = times_of(pd.DataFrame({"x": [1, 2]}, index=index.rename(["start", "time"])))
    assert named is not None
    assert named.known.all()


def test_metrics_of_a_frame_need_no_time() -> None:
    frame = pd.DataFrame({"time": [0.31, 0.42], "latency_ms": [1.0, 2.0]})
    assert frame.crucible.metrics().latency.mean == 1.5
    assert np.isnan(frame.crucible.metrics().summary.events_per_second)
    some = pd.DataFrame({"time": ["2025-01-01", "2025-13-01", "2025-01-02"], "latency_ms": [1.0, 2.0, 3.0]})
    assert some.crucible.metrics().span.start == TIMES[0].tz_localize("UTC")


def test_texts_that_cannot_be_written_are_unread() -> None:
    texts = [*["2025-01-01"] * 20, "\ud800", "2025\ud800"]
    times = read_values(texts)
    assert times.known.tolist() == [True] * 20 + [False] * 2
    assert list(times.unread.values()) == texts[20:]


def test_plain_iso_text_is_read_as_pandas_reads_each() -> None:
    bodies = [
        "2025-01-02",
        "2025-01-02 03",
        "2025-01-02T03:04",
        "2025-01-02T03:04:05.5",
        "2025-01-02 03:04:05.123456789",
    ]
    ends = ["2262-04-11T23:47:16.854775807", "1677-09-21T00:12:43.145224193", "2262-04-11T23:00:00"]
    for zone in ("", "Z", "+02:00", "-0330", "+14"):
        texts = [text + zone for text in [*bodies[2:], *ends]] if zone else [*bodies, *ends]
        for column in (texts[:-3], texts):
            read = read_times(pd.Series([*column, None], dtype="str"))
            for text, ns, known in zip(column, read.ns, read.known, strict=False):
                try:
                    expected = pd.Timestamp(text)
                    expected = expected.tz_localize("UTC") if expected.tz is None else expected
                    expected_ns = expected.as_unit("ns").value
                except (ValueError, OverflowError):
                    assert not known, text
                else:
                    assert (known, ns) == (True, expected_ns), text
            assert not read.known[-1]
