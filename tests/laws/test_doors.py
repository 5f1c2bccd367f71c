"""The law of doors: a column means the same by whatever door it comes in, whatever its dtype.

Recording: one `record` per row, `extend` of a list, of a frame, of an Arrow table, each in memory and with a store.
Analysis: metrics, windows, intervals, tests, detectors and samplers on a frame, and on what `cr.load` gives of it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import crucible_nb as cr
from tests.tiers import every_third

pytestmark = [
    pytest.mark.untraced,  # a law over many examples; to trace each line of them takes twice as long
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
]

TIMES = pd.date_range("2025-01-01", periods=4, freq="s", tz="UTC", unit="ns")
MOMENTS = pd.DatetimeIndex(["2025-01-01 10:00:00", None, "2025-03-30 02:30:00", "2025-12-31"])
INT_TYPES = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


def objects(*values: Any) -> pd.Series:
    series = pd.Series([None] * len(values), dtype=object)
    series[:] = values
    return series


def arrow(values: Any, dtype: pa.DataType) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, dtype)))


BOOLEANS = {
    "bool": pd.Series([True, False, True, True]),
    "boolean": pd.Series([True, None, False, True], dtype="boolean"),
    "bool[pyarrow]": pd.Series([True, None, False, True], dtype="bool[pyarrow]"),
    "bool and None": objects(True, None, False, True),
    "np.bool_": objects(np.bool_(True), None, np.bool_(False), True),
}
INTEGERS = {
    **{name: pd.Series([0, 1, 100, 3], dtype=name) for name in INT_TYPES},
    **{name: pd.Series([0, None, 100, 3], dtype=name.replace("i", "I").replace("u", "U", 1)) for name in ("int8", "int64", "uint16", "uint64") if name[0] == "i"},
    **{name: pd.Series([0, None, 100, 3], dtype=name) for name in ("UInt8", "UInt64", "int16[pyarrow]", "uint64[pyarrow]")},
    "int64 beyond floats": pd.Series([2**53 + 1, 2**53, 7, -(2**62) - 1]),
    "uint64 beyond int64": pd.Series([2**63 + 12345, 1, 2**64 - 1, 2], dtype="uint64"),
    "UInt64 beyond int64": pd.Series([2**63 + 12345, None, 2**64 - 1, 2], dtype="UInt64"),
    "uint64[pyarrow] beyond int64": pd.Series([2**63 + 12345, None, 1, 2], dtype="uint64[pyarrow]"),
    "ints of any size": objects(2**70, 1, -(2**70), None),
    "np.integer": objects(np.int8(3), np.uint64(2**63), None, 5),
    "category of ints": pd.Series([3, 1, 3, 2]).astype("category"),
    "category of ints with a gap": pd.Series([3, None, 3, 2], dtype="Int64").astype("category"),
    "dictionary of ints": arrow([3, None, 3, 2], pa.int32()).pipe(lambda s: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(s).combine_chunks().dictionary_encode() if isinstance(pa.array(s), pa.ChunkedArray) else pa.array(s).dictionary_encode()))),
}  # fmt: skip
FLOATS = {
    **{name: pd.Series([0.5, np.nan, 2.0, -3.25], dtype=name) for name in ("float16", "float32", "float64", "longdouble")},
    **{name: pd.Series([0.5, None, 2.0, -3.25], dtype=name) for name in ("Float32", "Float64", "float[pyarrow]", "double[pyarrow]")},
    "halffloat[pyarrow]": arrow([np.float16(0.5), None, np.float16(2.0), np.float16(-3.25)], pa.float16()),
    "whole floats with a gap": pd.Series([1.0, np.nan, 2.0, 3.0]),
    "infinities": pd.Series([np.inf, -np.inf, np.nan, 1.0]),
    "large floats": pd.Series([2.0**53, 2.0**60, 1e300, 0.5]),
    "longdouble beyond float64": pd.Series(np.array([2, 1, 3, 5], np.longdouble) ** 63 + 1),
    "decimal128(10, 4)": arrow([Decimal("0.0021"), None, Decimal("-1.5"), Decimal(2)], pa.decimal128(10, 4)),
    "decimal128(38, 18)": arrow([Decimal("0.0021"), Decimal("0.1"), Decimal("123456789.000000000000000001"), None], pa.decimal128(38, 18)),
    "decimal128(38, 0)": arrow([Decimal(720575940631797753), None, Decimal(1), Decimal(10**30)], pa.decimal128(38, 0)),
    "Decimal": objects(Decimal("0.0021"), None, Decimal("NaN"), Decimal("1E+3")),
    "whole Decimal": objects(Decimal("3"), Decimal("4.00"), None, Decimal(2**53 + 1)),
    "Fraction": objects(Fraction(1, 3), Fraction(4), None, Fraction(-7, 2)),
    "np.floating": objects(np.float32(0.1), np.float16(2), np.longdouble(1) / 3, None),
    "0-d arrays": objects(np.array(0.5), np.array([2.5]), np.array([[3.0]]), None),
    "sparse": pd.Series(pd.arrays.SparseArray([0.5, np.nan, np.nan, 2.0])),
}  # fmt: skip
DURATIONS = {
    **{f"timedelta64[{unit}]": pd.Series(pd.to_timedelta([1, None, 90, -3], unit="s")).astype(f"m8[{unit}]") for unit in ("s", "ms", "us", "ns")},
    **{f"duration[{unit}]": arrow([1, None, 90, -3], pa.duration(unit)) for unit in ("s", "ms", "us", "ns")},
    "timedelta": objects(dt.timedelta(milliseconds=812), None, pd.Timedelta("1ns"), np.timedelta64(5, "h")),
    "long timedelta64[ns]": pd.Series(pd.to_timedelta([2**62 + 1, 1, None, 3], unit="ns")),
}  # fmt: skip
NO_NUMBERS = {
    **{f"datetime64[{unit}]": pd.Series(MOMENTS.as_unit(unit)) for unit in ("s", "ms", "us", "ns")},
    **{f"datetime64[{unit}, Berlin]": pd.Series(MOMENTS.tz_localize("UTC").tz_convert("Europe/Berlin").as_unit(unit)) for unit in ("s", "ms", "us", "ns")},
    "timestamp[us][pyarrow]": pd.Series(MOMENTS.as_unit("us")).astype("timestamp[us][pyarrow]"),
    "date32[pyarrow]": arrow([dt.date(2025, 1, 1), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)], pa.date32()),
    "time64[pyarrow]": arrow([dt.time(1), None, dt.time(2, 3), dt.time(4)], pa.time64("us")),
    "dates": objects(dt.date(2025, 1, 1), None, dt.datetime(2025, 1, 1, tzinfo=dt.UTC), np.datetime64("2025-01-01", "ns")),
    "times": objects(dt.time(1, 2, 3), None, dt.time(0), dt.time(23, 59)),
    "periods": pd.Series(pd.period_range("2025-01", periods=4, freq="M")),
    "complex": pd.Series([1j, 2 + 0j, 0j, 3.0]),
    "lists": objects([1, 2], [], None, [float("nan")]),
    "dicts": objects({"a": 1}, None, {}, {"b": [Decimal("1.5")]}),
    "arrays": objects(np.arange(3), None, np.array([]), np.array([[1, 2]])),
    "list[pyarrow]": arrow([[1, 2], [], None, [3]], pa.list_(pa.int64())),
    "struct[pyarrow]": arrow([{"a": 1}, None, {"a": None}, {"a": 2}], pa.struct({"a": pa.int64()})),
    "exceptions": objects(ValueError("x"), None, KeyError("k"), TypeError()),
    "bytes": objects(b"raw", None, b"\xff", b""),
    "binary[pyarrow]": arrow([b"raw", None, b"\xff", b""], pa.binary()),
    "intervals": pd.Series(pd.interval_range(0, 4)),
}  # fmt: skip
TEXT = {
    "str": pd.Series(["a", None, "", "é"], dtype="str"),
    "string": pd.Series(["a", None, "7", "é"], dtype="string"),
    "string[pyarrow]": pd.Series(["a", None, "1.0", "é"], dtype=pd.ArrowDtype(pa.string())),
    "large_string[pyarrow]": pd.Series(["a", None, "x", "é"], dtype=pd.ArrowDtype(pa.large_string())),
    "category of text": pd.Series(["b", None, "a", "b"]).astype("category"),
    "objects of text": objects("a", None, np.str_("b"), "\ud800"),
    "UUID": objects(uuid.UUID(int=5), None, Path("a/b"), "c"),
    "metadata-like": objects('{"a": 1}', None, "[1]", "text"),
}
OTHERS = {
    "all None": objects(None, None, None, None),
    "all NaN": pd.Series([np.nan] * 4),
    "all NA": pd.Series([None] * 4, dtype="Int64"),
    "all NaT": pd.Series(pd.to_timedelta([None] * 4)),
    "null[pyarrow]": arrow([None] * 4, pa.null()),
    "mixed": objects(1.5, "a", True, [1]),
    "int, text, fraction": objects(1, "a", 2.5, None),
    "booleans and numbers": objects(True, 1, 3, 0.5),
    "whole and fraction": objects(2**53 + 1, 0.5, 3, None),
    "NaN and text": objects(float("nan"), "a", pd.NA, "b"),
}
NUMBERS = {**BOOLEANS, **INTEGERS, **FLOATS, **DURATIONS}
COLUMNS = {**NUMBERS, **NO_NUMBERS, **TEXT, **OTHERS}
TOGETHER = [
    ["x", "wait_ms", "latency_ms", "cost_usd", "prompt_tokens", "success", "model", "sample_id", "item_id", "error", "epoch",
     "loss"],
    ["event"],
    ["metadata"],
]  # fmt: skip
"""Names that the values of a column have in one event; a name and its neighbours do not matter to each other."""


def start(name: str, **options: Any) -> cr.Experiment:
    return cr.start(name, clock="events", **options)


def rows_of(names: list[str], column: pd.Series) -> list[dict[str, Any]]:
    return [{"time": time, **dict.fromkeys(names, value)} for time, value in zip(TIMES, column, strict=True)]


def by_record(exp: cr.Experiment, names: list[str], column: pd.Series) -> None:
    for row in rows_of(names, column):
        exp.record(row.pop("event", "e"), **row)


def by_mapping(exp: cr.Experiment, names: list[str], column: pd.Series) -> None:
    for row in rows_of(names, column):
        exp.record(row.pop("event", "e"), row)


def by_list(exp: cr.Experiment, names: list[str], column: pd.Series) -> None:
    exp.extend(rows_of(names, column), event=None if "event" in names else "e")


def by_frame(exp: cr.Experiment, names: list[str], column: pd.Series) -> None:
    frame = pd.concat([column.set_axis(TIMES).rename(name) for name in names], axis=1)
    exp.extend(frame, event=None if "event" in names else "e")


def by_arrow(exp: cr.Experiment, names: list[str], column: pd.Series) -> None:
    table = pa.table({"time": pa.array(TIMES), **dict.fromkeys(names, as_arrow(column))})
    exp.extend(table, event=None if "event" in names else "e")


DOORS: dict[str, Callable[[cr.Experiment, list[str], pd.Series], None]] = {
    "mapping": by_mapping, "list": by_list, "frame": by_frame, "arrow": by_arrow,
}  # fmt: skip


def as_arrow(column: pd.Series) -> Any:
    """The column as Arrow holds it; None where it has no type for it, or one that changes the values."""
    try:
        array: Any = pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        return None
    kept = array.to_pylist()
    return array if all(map(same, kept, column)) else None


def same(one: Any, other: Any) -> bool:
    if pd.api.types.is_scalar(other) and pd.isna(other):
        return one is None and not isinstance(other, float)
    if isinstance(other, Decimal):
        return isinstance(one, Decimal) and one.as_tuple() == other.as_tuple()
    return type(one) in (type(other), getattr(other, "dtype", type(other))) and bool(np.all(one == other))


def told(exp: cr.Experiment) -> tuple[pd.DataFrame, int, int]:
    frame = exp.frame()
    for name in frame.columns:  # dictionaries of categories may hold labels that no row uses
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].astype("str")
    return frame.sort_index(axis=1), exp.summary()["misfits"], exp.summary()["errors"]


def compare(one: tuple[pd.DataFrame, int, int], other: tuple[pd.DataFrame, int, int]) -> None:
    pd.testing.assert_frame_equal(one[0], other[0], check_exact=True, check_freq=False)
    assert one[1:] == other[1:]


@pytest.mark.parametrize("kind", every_third(COLUMNS))
def test_every_door_records_the_same(kind: str) -> None:
    column = COLUMNS[kind]
    for names in TOGETHER:
        exp = start("record")
        by_record(exp, names, column)
        expected = told(exp)
        assert expected[2] == 0
        for door, enter in DOORS.items():
            if door == "arrow" and as_arrow(column) is None:
                continue
            exp = start(door)
            enter(exp, names, column)
            try:
                compare(told(exp), expected)
            except AssertionError as error:
                raise AssertionError(f"{kind} by {door}: {error}") from error


@pytest.mark.parametrize("kind", every_third(COLUMNS))
def test_a_store_gives_back_the_same(kind: str, tmp_path: Path) -> None:
    column = COLUMNS[kind]
    for door in ("mapping", "list", "frame"):
        memory, stored = start("memory"), start(f"stored {door}", store=tmp_path, redact=False)
        for names in TOGETHER:
            DOORS[door](memory, names, column)
            DOORS[door](stored, names, column)
        compare(told(stored), told(memory))
        stored.stop()
        compare(told(cr.attach(f"stored {door}", store=tmp_path)), told(memory))


# -- analysis ----------------------------------------------------------------------------------------------------------


def mean_by_record(name: str, column: pd.Series) -> float:
    exp = start("mean")
    by_record(exp, [name], column)
    return float(exp.df[name].astype("float64").mean()) if name in exp.df else float("nan")


def analyses(frame: pd.DataFrame, name: str, method: str | None = "t") -> dict[str, Callable[[], float]]:
    """The mean of a column by every door of analysis; `method` is that of its interval."""
    calls = {
        "windows": lambda: frame.crucible.windowed_metrics("1D", columns=[name])[f"mean_{name}"].iloc[0],
        "interval": lambda: cr.confidence_interval(frame, metric=name, method=method).estimate,
        "test": lambda: cr.one_sample(frame, 0.0, metric=name).estimate,
        "detector": lambda: float(np.nanmean(cr.sampling.Events.of_frame(frame)[name])),
    }
    if name == "latency_ms":
        calls["metrics"] = lambda: frame.crucible.metrics().latency.mean
    return calls


@pytest.mark.parametrize("kind", every_third(NUMBERS))
def test_every_analysis_reads_the_same_numbers(kind: str) -> None:
    column = NUMBERS[kind]
    for name in ("latency_ms", "wait", "wait_ms"):
        frame = column.set_axis(TIMES).to_frame(name)
        values = cr.sampling.Events.of_frame(frame)[name]
        if not (np.abs(values[~np.isnan(values)]) < 1e100).all():
            continue
        expected = float(np.nanmean(values))
        if not np.nanmax(np.abs(values)) >= 2**53:  # such whole numbers are kept exactly, and no float is
            assert expected == pytest.approx(mean_by_record(name, column), rel=1e-15)
        rounding = 1e-15 * float(np.nanmax(np.abs(values)))  # of doors whose sums are floats
        rate = np.isin(values[~np.isnan(values)], (0, 1)).all()
        for door, call in analyses(frame, name, None if rate else "t").items():
            assert call() == pytest.approx(expected, rel=1e-12, abs=rounding), (kind, name, door)


@pytest.mark.parametrize("kind", every_third([*NO_NUMBERS, *TEXT, "mixed", "int, text, fraction", "NaN and text"]))
def test_every_analysis_refuses_what_is_no_number_in_the_same_words(kind: str) -> None:
    frame = COLUMNS[kind].set_axis(TIMES).to_frame("latency_ms")
    sentences = set()
    for call in analyses(frame, "latency_ms").values():
        with pytest.raises(cr.SchemaError, match=r"^latency_ms: expected numbers, got ") as raised:
            call()
        sentences.add(str(raised.value))
    assert len(sentences) == 1


def loaded(path: Path, name: str, values: Any) -> pd.DataFrame | None:
    """The column from a file; None for one whose values do not fit, which is refused by name."""
    pq.write_table(pa.table({"time": pa.array(TIMES), name: values}), path)
    refused = []
    try:
        return cr.load(path)
    except cr.StoreError as error:
        refused.append(str(error))
    assert f"column {name!r}: " in refused[0]
    return None


@pytest.mark.parametrize("kind", every_third(kind for kind, column in COLUMNS.items() if as_arrow(column) is not None))
def test_a_file_gives_what_the_frame_does(kind: str, tmp_path: Path) -> None:
    for name in ("latency_ms", "x", "sample_id", "prompt_tokens"):
        rows = loaded(tmp_path / "f.parquet", name, as_arrow(COLUMNS[kind]))
        if rows is None or (name == "x" and (kind in INTEGERS or kind.startswith(("all ", "null")))):
            continue  # of integers a file may make text, of nothing a column
        file, frame = start("file"), start("frame")
        file.extend(rows, event="e")
        by_arrow(frame, [name], COLUMNS[kind])
        if frame.summary()["misfits"] or file.summary()["misfits"]:
            continue  # files have text for what is no number; events keep it in `metadata`
        pd.testing.assert_frame_equal(told(file)[0], told(frame)[0], check_freq=False)


# -- times -------------------------------------------------------------------------------------------------------------

MOMENT = pd.Timestamp("2025-01-01 10:00:00").value
AS_TIMES = {
    **{kind: NO_NUMBERS[kind] for kind in NO_NUMBERS if "datetime" in kind or "timestamp" in kind},
    "dates": objects(dt.date(2025, 1, 1), dt.datetime(2025, 1, 1), None, np.datetime64("2025-01-01", "ns")),
    "date32[pyarrow]": NO_NUMBERS["date32[pyarrow]"],
    "periods": NO_NUMBERS["periods"],
    "out of range": pd.Series(pd.DatetimeIndex(["2025-01-01", "9999-12-31", None, "0001-01-01"]).as_unit("us")),
    "ISO text": pd.Series(["2025-01-01T10:00:00Z", "2025-13-01", None, "2025-01-01 12:00+02:00"], dtype="str"),
    "other text": pd.Series(["03/04/2025 10:00", "now", "noon", ""], dtype="str"),
    "category of text": pd.Series(["2025-01-01", "x", "2025-01-01", None]).astype("category"),
    "int nanoseconds": pd.Series([MOMENT, MOMENT + 1, 0, 5]),
    "Int64 nanoseconds": pd.Series([MOMENT, None, 0, 5], dtype="Int64"),
    "int seconds": pd.Series([1_735_689_600, 1_735_689_601, 1_735_689_602, 1_735_689_603]),
    "int milliseconds": pd.Series([1_735_689_600_001 + i for i in range(4)]),
    "int microseconds": pd.Series([1_735_689_600_000_001 + i for i in range(4)]),
    "float epochs": pd.Series([1_735_689_600.25, 1_735_689_601.5, np.nan, 0.31]),
    "uint64": pd.Series([MOMENT, 2**63 + 1, 5, 2**64 - 1], dtype="uint64"),
    "bool": pd.Series([True, False, True, False]),
    "Decimal": objects(Decimal(5), None, Decimal("1.5"), Decimal(MOMENT)),
    "durations": DURATIONS["timedelta64[ms]"],
    "times": NO_NUMBERS["times"],
    "lists": NO_NUMBERS["lists"],
    "mixed": objects(MOMENT, "2025-01-01", dt.datetime(2025, 1, 1), 1.5),
    "all None": OTHERS["all None"],
}


@pytest.mark.parametrize("kind", every_third(AS_TIMES))
def test_every_door_reads_the_same_times(kind: str, tmp_path: Path) -> None:
    column = AS_TIMES[kind]
    values = [None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in column]
    frame = pd.DataFrame({"time": column.array, "x": range(4)})
    one = cr.start("record", clock=lambda: 10**15)
    for value, x in zip(values, range(4), strict=True):
        one.record("e", time=value, x=x)
    expected = told(one)
    tables: dict[str, Any] = {
        "list": [{"time": value, "x": x} for x, value in enumerate(values)],
        "frame": frame,
    }
    if kind != "lists":
        tables |= {"index": frame.set_index("time"), "level": frame.assign(k=1).set_index(["time", "k"])}
    if as_arrow(column) is not None:
        tables["arrow"] = pa.table({"time": as_arrow(column), "x": range(4)})
    for door, table in tables.items():
        for store in (None, tmp_path):
            exp = cr.start(f"{door} {kind}", clock=lambda: 10**15, store=store, redact=None if store is None else False)
            assert exp.extend(table, event="e") == 4
            got = told(exp)
            compare((got[0].drop(columns="k", errors="ignore"), *got[1:]), expected)
            exp.stop()
