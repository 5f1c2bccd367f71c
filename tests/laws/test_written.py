"""The law of writing: whatever is recorded, what is read back is what was there, and what memory alone would hold."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.experiment.live import LIVE
from crucible_nb.testing import ManualClock
from tests.conftest import NOON
from tests.laws.test_resume import die
from tests.tiers import examples

pytestmark = [
    pytest.mark.untraced,  # a law over many examples; to trace each line of them takes twice as long
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # moments of infinities
]


class Colour(enum.Enum):
    RED = "red"


class Text(str):
    pass


class Speechless:
    def __repr__(self) -> str:
        raise RuntimeError


ODD = [
    float("nan"), float("inf"), -float("inf"), -0.0, 2**63, -(2**63) - 1, 10**400, np.float32(0.1), np.float64("nan"), np.int8(3),
    np.uint64(2**64 - 1), np.bool_(True), np.array(2.5), np.array([1.0, np.nan]), Colour.RED, uuid.UUID(int=5), Text("sub"),
    decimal.Decimal("1.5"), dt.datetime(2025, 1, 1), pd.Timestamp("2025-01-01", tz="UTC"), pd.NA, pd.NaT, "\ud800", "null", "nan",
    b"bytes", [1, None, float("nan")], {"a": {"b": [1.5, None]}}, {1: 2}, {"": ["float", "nan"]}, {1, 2}, ValueError("x"), object, 1j,
    True, 0, "", "\x00", '"\\', "\n[1,2]\n", 1e308, 5e-324, None, 10**5000, [10**5000], Path("a/b"),
]  # fmt: skip
NAMES = ["latency_ms", "cost_usd", "success", "model", "prompt_tokens", "completion_tokens", "time", "error", "sample_id", "x", "y/z",
         "metadata", "seq", "weight", "anomaly", "", "null", "score", "\ud800"]  # fmt: skip
value = st.one_of(st.sampled_from(ODD), st.floats(), st.integers(), st.text(max_size=6), st.booleans())
fields = st.dictionaries(st.sampled_from(NAMES), value, max_size=5)
event = st.one_of(st.sampled_from(["call", "step"]), value)


def look(exp: cr.Experiment) -> str:
    views = [exp.metrics(), *(exp.metrics(by=name) for name in ("event", "model", "x")), exp.metrics(last="5min")]
    summary = {key: value for key, value in exp.summary().items() if key not in ("status", "store", "name")}
    return json.dumps([view.to_dict() for view in views] + [summary], default=str)


def compare(one: cr.Experiment, two: cr.Experiment) -> None:
    counts, again = one._stream.problems.counts, two._stream.problems.counts
    counts["errors"] = again["errors"]  # a call that records nothing leaves no line
    pd.testing.assert_frame_equal(one.frame(), two.frame(), check_exact=True)
    assert look(one) == look(two)


def twins(work: Any) -> None:
    """The same work in memory and with a store; then what is read back."""
    place = Path(tempfile.mkdtemp())
    LIVE._entries.clear()
    try:
        clock = ManualClock()
        memory, stored = (
            cr.start(name, clock=clock, store=store, redact=False if store else None, by=("x",))
            for name, store in (("one", None), ("two", place))
        )
        for exp in (memory, stored):
            clock.now = NOON
            work(exp, clock)
            exp.pause()  # else the time of being dead would be one
        compare(memory, stored)
        die(stored)
        again = cr.attach("two", store=place, clock=clock, mode="resume")
        compare(again, stored)
        again.stop()
        memory.stop()
        sealed = cr.attach("two", store=place)
        pd.testing.assert_frame_equal(sealed.frame(), memory.frame(), check_exact=True)
    finally:
        shutil.rmtree(place)


@examples(150)
@example(
    [("call", None, {name: [1, None, float("nan")]}) for name in NAMES if name]
)  # was null where it was read again
@given(st.lists(st.tuples(event, st.none() | fields, fields), min_size=1, max_size=6))
def test_calls(calls: list[tuple[Any, Any, dict[str, Any]]]) -> None:
    def work(exp: cr.Experiment, clock: ManualClock) -> None:
        for name, values, keywords in calls:
            clock.tick(1)
            exp.record(name, values, **keywords)

    twins(work)


@pytest.mark.parametrize(
    "odd", [Speechless(), [Speechless()], 10**5000, [10**5000]], ids=["object", "in a list", "number", "numbers"]
)
@pytest.mark.parametrize("name", ["x", "model", "\ud800"], ids=["x", "model", "surrogate"])
def test_what_cannot_be_said_is_kept(odd: Any, name: str) -> None:
    kept = []

    def work(exp: cr.Experiment, clock: ManualClock) -> None:
        clock.tick(1)
        kept.append(exp.record("call", {name: odd}))

    twins(work)
    assert kept == [True, True]


@examples(100)
@given(st.lists(fields, min_size=1, max_size=6), st.none() | st.just("named"))
def test_lists(rows: list[dict[str, Any]], name: str | None) -> None:
    twins(lambda exp, clock: exp.extend([dict(row) for row in rows], event=name))


dtypes = {
    "float64": [1.5, np.nan, np.inf, -0.0], "float32": [0.1, np.nan, 1.0, -np.inf], "int64": [1, -(2**62), 3, 0], "uint8": [1, 2, 3, 255],
    "uint64": [1, 2**64 - 1, 2, 3], "Int64": [1, None, 3, 2**60], "bool": [True, False, True, True], "boolean": [True, None, False, True],
    "str": ["a", None, "b\x00", "ü"], "category": ["a", "b", None, "a"], "object": [1, "a", None, [1, 2]], "mixed": [1.5, Colour.RED, pd.NA, {"k": 1}],
    "datetime": pd.to_datetime(["2025-01-01", None, "2025-01-03", "2025-01-04"]), "float16": [1.0, 2.0, np.nan, 0.5],
    "Float64": [1.5, None, 2.0, 3.0], "double[pyarrow]": [1.5, None, 2.0, 3.0], "int64[pyarrow]": [1, None, 2, 3], "string[pyarrow]": ["a", None, "b", "c"],
    "bool[pyarrow]": [True, None, False, True], "whole": [1.0, 2.0, np.nan, 3.0],
}  # fmt: skip


def column(kind: str) -> pd.Series:
    values = dtypes[kind]
    if kind in ("mixed", "object", "datetime", "whole"):
        return pd.Series(values, dtype=object if kind in ("mixed", "object") else None)
    return pd.Series(values, dtype=kind)


tables = st.dictionaries(st.sampled_from([*NAMES[:-1], "w", "event"]), st.sampled_from(sorted(dtypes)), max_size=5)


@examples(150)
@given(st.lists(st.tuples(tables, st.booleans(), st.none() | st.just("named")), min_size=1, max_size=3))
def test_tables(parts: list[tuple[dict[str, str], bool, str | None]]) -> None:
    def work(exp: cr.Experiment, clock: ManualClock) -> None:
        for columns, timed, name in parts:
            clock.tick(1)
            index = pd.DatetimeIndex([NOON, None, NOON + 5, NOON - 7], tz="UTC") if timed else None
            frame = pd.DataFrame({name: column(kind) for name, kind in columns.items()}, index=range(4))
            frame.index = frame.index if index is None else index
            exp.extend(frame, event=name)

    twins(work)


def test_arrow_tables_and_large_ones() -> None:
    rows = 10_000
    table = pa.table(
        {
            "latency_ms": np.arange(rows) / 3,
            "model": pa.array([f"m{i % 7}" for i in range(rows)]),
            "id": [f"{i}" for i in range(rows)],
        }
    )
    twins(lambda exp, clock: exp.extend(table, event="call"))


def test_a_line_says_what_was_staged() -> None:
    place = Path(tempfile.mkdtemp())
    exp = cr.start("line", store=place)
    exp.record("call", latency_ms=1.5, score=float("nan"), tags=["a"])
    text = next(place.rglob("*.jsonl")).read_text().splitlines()[-1]
    _, cells = json.loads(text)
    assert cells[2:] == [
        "call",
        1.5,
        None,
        None,
        None,
        None,
        None,
        {"score": {"": ["float", "nan"]}},
        '{"tags":["a"]}',
        1,
    ]
    exp.stop()
