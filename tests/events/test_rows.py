"""What `record` makes of values: columns, promotions, metadata; nothing lost, nothing bent, nothing raised."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import crucible_nb as cr
from crucible_nb.events.schema import COLUMNS, EVERY

MISFIT = "ignore::crucible_nb.errors.CrucibleWarning"


@pytest.fixture
def exp() -> cr.Experiment:
    return cr.start("values")


def cell(exp: cr.Experiment, column: str) -> Any:
    return exp.df[column].iloc[-1]


def metadata(exp: cr.Experiment) -> dict:
    return json.loads(cell(exp, "metadata"))


class Tensor:
    """Looks like a tensor with one element: mutable, and a number inside."""

    ndim = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def item(self) -> float:
        return self.value


class Colour(enum.StrEnum):
    RED = "red"


def test_every_event_has_every_column_with_its_dtype(exp: cr.Experiment) -> None:
    exp.record("tick")
    rows = exp.df
    assert tuple(rows.columns) == EVERY
    assert rows.index.name == "time"
    assert str(rows.index.dtype) == "datetime64[ns, UTC]"
    expected = {"category": "category", "string": "str", "float": "float64", "integer": "Int64", "boolean": "boolean"}
    expected |= {"flag": "bool", "count": "int64"}
    assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == {
        name: expected[COLUMNS[name].kind] for name in EVERY
    }
    known = {"event": "tick", "anomaly": False, "weight": 1.0, "seq": 0}
    for name in EVERY:
        value = rows[name].iloc[0]
        assert value == known[name] if name in known else pd.isna(value)


@pytest.mark.parametrize(
    ("value", "dtype", "kept"),
    [
        (0.5, "float64", 0.5),
        (3, "Int64", 3),
        (2**62, "Int64", 2**62),
        (True, "boolean", True),
        ("text", "str", "text"),
        ("", "str", ""),
        (math.inf, "float64", math.inf),
        (np.float32(0.5), "float64", 0.5),
        (np.int8(3), "Int64", 3),
        (np.bool_(True), "boolean", True),
        (np.str_("t"), "str", "t"),
        (np.array(3), "Int64", 3),
        (Tensor(0.25), "float64", 0.25),
        (Colour.RED, "str", "red"),
    ],
)
def test_any_scalar_keyword_becomes_a_column(exp: cr.Experiment, value: Any, dtype: str, kept: Any) -> None:
    exp.record("tick", **{"my/new.column": value})
    assert str(exp.df["my/new.column"].dtype) == dtype
    assert cell(exp, "my/new.column") == kept
    assert exp.summary()["misfits"] == 0


@pytest.mark.parametrize("value", [None, math.nan, pd.NA, pd.NaT])
def test_missing_is_missing(exp: cr.Experiment, value: Any) -> None:
    assert exp.record(
        "tick", latency_ms=value, prompt_tokens=value, success=value, model=value, sample_id=value, x=value
    )
    exp.record("tick", x=1)
    row = exp.df.iloc[0]
    assert all(pd.isna(row[name]) for name in ("latency_ms", "prompt_tokens", "success", "model", "sample_id", "x"))
    assert exp.summary()["misfits"] == 0


@pytest.mark.filterwarnings(MISFIT)
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ([1, "a"], [1, "a"]),
        ({"a": {"b": math.nan}}, {"a": {"b": "nan"}}),
        ((1, 2), [1, 2]),
        ({3, 1}, [1, 3]),
        (np.arange(3), [0, 1, 2]),
        (b"raw", "b'raw'"),
        (1 + 2j, "(1+2j)"),
        (2**70, 2**70),
        (-(2**64), -(2**64)),
        (dt.datetime(2025, 1, 1), "2025-01-01T00:00:00"),
        (object, "<class 'object'>"),
        ({1: "one"}, {"1": "one"}),
    ],
)
def test_what_is_no_scalar_goes_to_metadata(exp: cr.Experiment, value: Any, kept: Any) -> None:
    exp.record("tick", thing=value, step=1)
    assert metadata(exp) == {"thing": kept}
    assert cell(exp, "step") == 1
    assert exp.summary()["misfits"] == 1
    assert exp.summary()["errors"] == 0


@pytest.mark.filterwarnings(MISFIT)
def test_circles_and_depth_are_kept_as_their_repr(exp: cr.Experiment) -> None:
    circle: list = []
    circle.append(circle)
    exp.record("tick", thing=circle, other=[1])
    assert metadata(exp) == {"thing": "[[...]]", "other": [1]}


@pytest.mark.filterwarnings(MISFIT)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latency_ms", "slow"),
        ("prompt_tokens", 3.7),
        ("prompt_tokens", "many"),
        ("success", "yes"),
        ("success", 2),
        ("epoch", 2**63),
        ("model", 5.5),
        ("model", True),
        ("error", 4.5),
        ("seq", 3),
        ("weight", 2.0),
        ("anomaly", True),
        ("time", "some day"),
        ("time", 3.5),
    ],
)
def test_values_that_do_not_fit_go_to_metadata(exp: cr.Experiment, name: str, value: Any) -> None:
    exp.record("tick", **{name: value, "cost_usd": 0.5})
    assert metadata(exp) == {name: value}
    assert cell(exp, "cost_usd") == 0.5
    assert exp.summary()["misfits"] == 1
    assert len(exp.df) == 1


def test_the_first_misfit_of_a_kind_is_said_and_no_other(exp: cr.Experiment) -> None:
    exp.record("tick", latency_ms="slow")
    with pytest.warns(cr.CrucibleWarning) as said:
        exp.metrics()
    sentence = "experiment 'values': values that do not fit their column went to `metadata` (first: latency_ms='slow': expected a number)"
    assert [str(one.message) for one in said] == [sentence]
    exp.record("tick", latency_ms="slow")
    assert exp.metrics().events == 2  # warnings are errors here


@pytest.mark.filterwarnings(MISFIT)
@pytest.mark.parametrize("event", [5.5, None, ["a"], {"a": 1}, b"x"])
def test_an_event_name_that_is_no_text(exp: cr.Experiment, event: Any) -> None:
    assert exp.record(event, latency_ms=1.0)
    assert pd.isna(cell(exp, "event"))
    assert cell(exp, "latency_ms") == 1.0
    assert exp.summary()["errors"] == 0


def test_numbers_that_fit(exp: cr.Experiment) -> None:
    exp.record("tick", latency_ms=5, prompt_tokens=3.0, success=1, epoch=np.int64(2), accuracy=True)
    row = exp.df.iloc[0]
    assert (row.latency_ms, row.prompt_tokens, row.success, row.epoch, row.accuracy) == (5.0, 3, True, 2, 1.0)
    exp.record("tick", success=0, sample_id=17, model=7, error=404)
    row = exp.df.iloc[1]
    assert (row.success, row.sample_id, row.model, row.error) == (False, "17", "7", "404")
    assert exp.summary()["misfits"] == 0


def test_whole_numbers_turn_to_floats_at_the_first_fraction(exp: cr.Experiment) -> None:
    exp.record("tick", score=1)
    held = exp.df
    assert str(held.score.dtype) == "Int64"
    exp.record("tick", score=0.5)
    exp.record("tick", score=2)
    exp.record("tick")
    assert exp.df.score.tolist()[:3] == [1.0, 0.5, 2.0]
    assert str(exp.df.score.dtype) == "float64"
    assert held.score.tolist() == [1]


@pytest.mark.filterwarnings(MISFIT)
def test_large_whole_numbers_are_never_rounded(exp: cr.Experiment) -> None:
    exp.record("tick", score=2**60 + 1)
    exp.record("tick", score=0.5)
    assert exp.df.score.iloc[0] == 2**60 + 1
    assert metadata(exp) == {"score": 0.5}


@pytest.mark.filterwarnings(MISFIT)
def test_a_column_keeps_the_kind_of_its_first_value(exp: cr.Experiment) -> None:
    for value in ("text", 5, True):
        exp.record("tick", note=value)
    assert exp.df.note.tolist()[0] == "text"
    assert [json.loads(one)["note"] for one in exp.df.metadata.dropna()] == [5, True]


def test_a_column_used_late_is_missing_before(exp: cr.Experiment) -> None:
    for _ in range(3):
        exp.record("tick")
    exp.record("tick", note="a", n=1, x=0.5, ok=True, epoch=1)
    exp.record("tick")
    for name in ("note", "n", "x", "ok", "epoch"):
        assert exp.df[name].isna().tolist() == [True] * 3 + [False, True]


@pytest.mark.filterwarnings(MISFIT)
def test_what_changes_after_recording_changes_nothing(exp: cr.Experiment) -> None:
    loss, tags, nested = Tensor(0.5), ["a"], {"k": [1]}
    zero = np.array(3.0)
    exp.record("tick", loss=loss, tags=tags, nested=nested, zero=zero)
    loss.value, zero[...] = 9.0, 9.0
    tags.append("b")
    nested["k"].append(2)
    assert cell(exp, "loss") == 0.5
    assert cell(exp, "zero") == 3.0
    assert metadata(exp) == {"tags": ["a"], "nested": {"k": [1]}}


def test_lone_surrogates_are_escaped(exp: cr.Experiment) -> None:
    exp.record("\ud800", note="a\udfff", model="m\ud800", sample_id="\ud800")
    row = exp.df.iloc[0]
    assert (row.event, row.note, row.model, row.sample_id) == ("\\ud800", "a\\udfff", "m\\ud800", "\\ud800")


def test_an_exception_is_its_class(exp: cr.Experiment) -> None:
    exp.record("tick", error=ValueError("secret"))
    assert cell(exp, "error") == "ValueError"


def test_given_metadata_is_no_misfit(exp: cr.Experiment) -> None:
    exp.record("tick", metadata={"a": [1], "b": "x"})
    assert metadata(exp) == {"a": [1], "b": "x"}
    assert exp.summary()["misfits"] == 0


@pytest.mark.filterwarnings(MISFIT)
def test_a_mapping_and_keywords_become_one_event(exp: cr.Experiment) -> None:
    given = {"train/loss": 0.3, "latency_ms": 5.0, "model": "m", "list": [1], 7: "seven", "time": "2025-01-01"}
    assert exp.record("train.step", given, step=1, latency_ms=6.0, other=[2])
    row = exp.df.iloc[0]
    assert (row["train/loss"], row.latency_ms, row.model, row.step, row["7"]) == (0.3, 6.0, "m", 1, "seven")
    assert exp.df.index[0] == pd.Timestamp("2025-01-01", tz="UTC")
    assert metadata(exp) == {"list": [1], "other": [2]}
    exp.record("odd", [1, 2])
    assert metadata(exp) == {"values": [1, 2]}


@pytest.mark.parametrize(
    "when",
    [
        dt.datetime(2025, 1, 1, 12),
        dt.datetime(2025, 1, 1, 14, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        pd.Timestamp("2025-01-01 12:00"),
        pd.Timestamp("2025-01-01 07:00", tz="US/Eastern"),
        "2025-01-01T12:00:00Z",
        "2025-01-01 12:00",
        np.datetime64("2025-01-01T12:00"),
        1735732800 * 10**9,
        np.int64(1735732800 * 10**9),
    ],
)
def test_times_in_every_form(exp: cr.Experiment, when: Any) -> None:
    exp.record("tick", time=when)
    assert exp.df.index[0] == pd.Timestamp("2025-01-01 12:00", tz="UTC")


def test_standard_columns_in_any_mix_of_gaps(exp: cr.Experiment) -> None:
    rng = np.random.default_rng(0)
    expected = []
    for i in range(500):
        row = {
            "latency_ms": float(i),
            "success": i % 2 == 0,
            "model": f"m{i % 3}",
            "prompt_tokens": i,
            "cost_usd": i / 7,
        }
        row = {name: value for name, value in row.items() if rng.random() < 0.7}
        expected.append(row)
        exp.record("tick", **row)
        if rng.random() < 0.05:
            exp.metrics()
    rows = exp.df
    for name in ("latency_ms", "success", "model", "prompt_tokens", "cost_usd"):
        got = [None if pd.isna(value) else value for value in rows[name]]
        assert got == [row.get(name) for row in expected]


LARGE = {"a": 2**70, "deep": [{"b": -(2**64), "f": 0.1, "small": 7}]}


@pytest.mark.filterwarnings(MISFIT)
@pytest.mark.parametrize("stored", [False, True])
def test_integers_beyond_64_bits_stay_integers_wherever_they_are_nested(stored: bool, tmp_path) -> None:
    text = json.dumps(LARGE)
    rows = [LARGE, text, {**LARGE, "password": "x"}, json.dumps({**LARGE, "password": "x"})]
    exp = cr.start("large", store=tmp_path if stored else None)
    for value in rows:
        exp.record("x", metadata=value)
    exp.record("x", settings=LARGE, metadata={"n": 1})
    exp.extend([{"metadata": value} for value in rows])
    exp.extend(pd.DataFrame({"metadata": rows}))
    exp.extend(pd.DataFrame({"metadata": [json.dumps(value) for value in (LARGE, LARGE)]}))
    read = [exp.df, cr.attach(exp.handle, mode="read").df] if stored else [exp.df]
    for name in ("rows.jsonl", "rows.csv", "rows.parquet"):
        exp.export(tmp_path / name)
        read.append(cr.load(tmp_path / name))
    for frame in read:
        found = [json.loads(text) for text in frame.metadata]
        assert found.pop(4) == {"n": 1, "settings": LARGE}
        for value in found:
            value.pop("password", None)
        assert found == [LARGE] * 14


def test_a_row_without_a_time_has_that_of_the_clock_by_every_door(clock) -> None:
    """The rule of `record` and `extend`; in event time the clock is the newest event before."""
    first = pd.Timestamp("2025-01-01", tz="UTC")
    given = [first, None, first + pd.Timedelta("1h"), None, first + pd.Timedelta("30min"), None]
    machine = pd.Timestamp(clock(), tz="UTC")
    for setting, (one, two, three) in {clock: [machine] * 3, "events": [given[0], given[2], given[2]]}.items():
        wanted = [given[0], one, given[2], two, given[4], three]
        frame = pd.DataFrame({"i": range(6), "time": pd.Series(given, dtype="datetime64[ns, UTC]")})
        for door in range(4):
            with cr.start("times", clock=setting) as exp:
                if door == 0:
                    for row in frame.itertuples():
                        exp.record("x", i=row.i, time=None if row.time is pd.NaT else row.time)
                elif door == 1:
                    exp.extend([{"i": i, "time": time} for i, time in enumerate(given)])
                else:
                    exp.extend(frame if door == 2 else pa.Table.from_pandas(frame))
            assert exp.df.sort_values("i").index.tolist() == wanted


@pytest.mark.parametrize("parts", [[4], [1, 3], [2, 2], [3, 1]])
def test_events_before_the_first_time_are_counted(parts: list[int]) -> None:
    """In event time there is nothing to go by: they are at 1970, and the first event with a time says so."""
    rows = [{"i": 0}, {"i": 1}, {"i": 2, "time": pd.Timestamp("2025-01-01", tz="UTC")}, {"i": 3}]
    exp = cr.start("undated", clock="events")

    def record() -> None:
        for size in parts:
            exp.extend([rows.pop(0) for _ in range(size)])

    with pytest.warns(cr.CrucibleWarning, match="2 events without a time came before the first that has one"):
        record()
    assert exp.summary()["errors"] == 2
    assert [time.year for time in exp.df.index] == [1970, 1970, 2025, 2025]
