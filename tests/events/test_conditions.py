"""Conditions on events in three-valued logic, against the nullable booleans of pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.events.conditions import parse_condition
from crucible_nb.events.metric_names import metric_of
from crucible_nb.events.metric_values import metric_numbers
from tests.tiers import examples

TIMES = pd.date_range("2025-01-01", periods=4, freq="h", tz="UTC", name="time")
FRAME = pd.DataFrame(
    {
        "latency_ms": [10.0, 3000.0, np.nan, 10.0],
        "success": pd.array([True, None, True, None], "boolean"),
        "model": pd.Categorical(["a", "b", None, "a"]),
        "error": pd.Series(["timeout", None, "x", None], dtype="str").to_numpy(),
        "train/loss": [1, 2, 3, 4],
        "tokens": pd.array([1, None, 3, 4], "Int64"),
    },
    index=TIMES,
)
NAN = float("nan")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency_ms < 2000 and success", [1, 0, NAN, NAN]),
        ("success and latency_ms < 2000", [1, 0, NAN, NAN]),
        ("latency_ms > 2000 or success", [1, 1, 1, NAN]),
        ("not success", [0, NAN, 0, NAN]),
        ("not (latency_ms < 2000 and success)", [0, 1, NAN, NAN]),
        ("latency_ms != 10", [0, 1, NAN, 0]),
        ("5 < latency_ms <= 10", [1, 0, NAN, 1]),
        ("model == 'a'", [1, 0, NAN, 1]),
        ("model in ['a', 'c']", [1, 0, NAN, 1]),
        ("model not in ['a']", [0, 1, NAN, 0]),
        ("error is None", [0, 1, 0, 1]),
        ("error is not None and error == 'timeout'", [1, 0, 0, 0]),
        ("`train/loss` * 2 >= 6", [0, 0, 1, 1]),
        ("latency_ms / 1000 + tokens > 2", [0, NAN, NAN, 1]),
        ("latency_ms / tokens < 9", [0, NAN, NAN, 1]),
        ("-tokens < -2", [0, NAN, 1, 1]),
        ("success == True", [1, NAN, 1, NAN]),
        ("time >= '2025-01-01 02:00'", [0, 0, 1, 1]),
        ("tokens % 2 == 1", [1, NAN, 1, 0]),
    ],
)
def test_unknown_values_are_unknown_unless_the_rest_decides(text: str, expected: list[float]) -> None:
    assert np.array_equal(parse_condition(text, "where").of_frame(FRAME), np.array(expected, float), equal_nan=True)


@examples(60)
@given(st.data())
def test_it_is_the_logic_of_nullable_booleans(data: st.DataObject) -> None:
    columns = {
        name: pd.array(data.draw(st.lists(st.sampled_from([True, False, None]), min_size=6, max_size=6)), "boolean")
        for name in "abc"
    }
    frame = pd.DataFrame(columns)
    text, expected = "", frame.a
    for name in data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=4)):
        op, negated = data.draw(st.sampled_from(["and", "or"])), data.draw(st.booleans())
        side = ~frame[name] if negated else frame[name]
        text = f"({text or 'a'}) {op} {'not ' if negated else ''}{name}"
        expected = expected & side if op == "and" else expected | side
    got = parse_condition(text, "where").of_frame(frame)
    assert np.array_equal(got, expected.to_numpy(np.float64, na_value=np.nan), equal_nan=True)


@pytest.mark.parametrize(
    "text", ["", "latency_ms <", "f(x)", "latency_ms.mean() > 1", "x[0] > 1", "lambda: 1", "1 < 2", "a" * 5000]
)
def test_anything_else_is_refused_before_data_are_read(text: str) -> None:
    with pytest.raises(cr.ConfigError, match="expected a condition"):
        parse_condition(text, "where")
    with pytest.raises(cr.CrucibleError):
        metric_of(f"share({text})")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("nothing > 1", "no such column; available: latency_ms"),
        ("model > 1", "not supported between"),
        ("model + 1 > 2", "expected numbers, got 'a'"),
        ("latency_ms", "expected true or false, got 10.0"),
        ("latency_ms in model", "expected a list"),
        ("latency_ms is 3", "expected None after is"),
    ],
)
def test_values_that_do_not_fit_are_refused(text: str, match: str) -> None:
    with pytest.raises(cr.SchemaError, match=match):
        parse_condition(text, "where").of_frame(FRAME)


def test_a_share_reads_the_condition() -> None:
    metric = metric_of("share(latency_ms < 2000 and success)", FRAME.columns)
    assert (metric.kind, metric.columns) == ("rate", ("latency_ms", "success"))
    assert np.array_equal(metric_numbers(FRAME, metric), [1, 0, NAN, NAN], equal_nan=True)
    assert metric_numbers(FRAME, metric_of("events_per_second")).tolist() == [1.0] * 4
