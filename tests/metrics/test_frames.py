"""Metrics of the rows of a frame: odd columns mean what they mean when they are recorded, or are refused by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import crucible_nb as cr


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_are_milliseconds(unit: str) -> None:
    frame = pd.DataFrame({"latency_ms": pd.to_timedelta([1, 2, None], unit="s").as_unit(unit)})
    assert frame.crucible.metrics().latency.mean == 1500.0
    assert cr.confidence_interval(frame, metric="mean_latency_ms").estimate == 1500.0
    assert cr.confidence_interval(frame.latency_ms, metric="mean_latency_ms").estimate == 1500.0
    assert np.isnan(pd.DataFrame({"latency_ms": pd.to_timedelta([None])}).crucible.metrics().latency.mean)


def test_decimals_are_numbers_in_every_door() -> None:
    cost = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([Decimal("0.0021"), None], pa.decimal128(38, 18))))
    frame = pd.DataFrame({"cost_usd": cost.array}, index=pd.to_datetime(["2025-01-01", "2025-01-01"]))
    assert frame.crucible.metrics().cost.total == 0.0021
    assert frame.crucible.windowed_metrics("1D").total_cost_usd.tolist() == [0.0021]


def test_missing_totals_are_prompt_and_completion() -> None:
    tokens = {"total_tokens": [5, None, None], "prompt_tokens": [1, 2, None], "completion_tokens": [1, 2, 3]}
    frame = pd.DataFrame(tokens, index=pd.to_datetime(["2025-01-01"] * 3))
    assert frame.crucible.metrics().tokens.total == 9
    assert frame.crucible.windowed_metrics("1D").total_tokens.tolist() == [9]


def test_totals_beyond_int64_do_not_wrap() -> None:
    frame = pd.DataFrame({"total_tokens": pd.array([2**63, 2**63], "UInt64")}, index=pd.to_datetime(["2025-01-01"] * 2))
    assert frame.crucible.windowed_metrics("1D").total_tokens.tolist() == [2.0**64]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"success": [True, 2]}, "success: expected true, false or missing, got 2"),
        ({"success": [True, "yes"]}, "success: expected numbers, got object ('yes' in row 1)"),
        ({"latency_ms": [1.0, "slow"]}, "latency_ms: expected numbers, got object ('slow' in row 1)"),
        ({"cost_usd": pd.to_timedelta(["1s", "2s"])}, "cost_usd: expected numbers, got timedelta64[us]"),
    ],
)
def test_what_is_no_number_is_refused_in_the_same_words(columns: dict[str, Any], sentence: str) -> None:
    frame = pd.DataFrame(columns, index=pd.to_datetime(["2025-01-01", "2025-01-02"]))
    for call in (frame.crucible.metrics, lambda: frame.crucible.windowed_metrics("1D")):
        with pytest.raises(cr.SchemaError) as raised:
            call()
        assert str(raised.value) == sentence


def test_twin_columns_are_refused_by_name() -> None:
    frame = pd.DataFrame([[1.0, 2.0]], columns=["latency_ms", "latency_ms"], index=pd.to_datetime(["2025-01-01"]))
    calls = [frame.crucible.metrics, lambda: frame.crucible.windowed_metrics("1D")]
    calls += [lambda: cr.anomaly.score(frame), lambda: cr.confidence_interval(frame, metric="latency_ms")]
    for call in calls:
        with pytest.raises(cr.SchemaError, match="^latency_ms: expected one column of this name, got 2$"):
            call()


def test_groups_that_cannot_be_told_apart_are_refused() -> None:
    frame = pd.DataFrame({"k": [[1], [2]], "latency_ms": 1.0}, index=pd.to_datetime(["2025-01-01"] * 2))
    for call in (lambda: frame.crucible.metrics(by="k"), lambda: frame.crucible.windowed_metrics("1D", by="k")):
        with pytest.raises(cr.SchemaError, match="^by=k: expected text, numbers, booleans or times to group by: "):
            call()


@pytest.mark.parametrize("by", ["window_start", "window_end", "event_count"])
def test_a_group_cannot_have_the_name_of_a_result(by: str) -> None:
    frame = pd.DataFrame({by: [1], "latency_ms": [1.0]}, index=pd.to_datetime(["2025-01-01"]))
    with pytest.raises(cr.ConfigError, match=f"^by='{by}': expected columns whose names are none of the result's"):
        frame.crucible.windowed_metrics("1D", by=by)


@pytest.mark.parametrize("where", ["index > '2025-01-01'", "latency_ms > 'a'", "latency_ms > @t", "latency_ms >"])
def test_a_condition_that_cannot_be_asked_is_refused(where: str) -> None:
    frame = pd.DataFrame({"latency_ms": [1.0]}, index=pd.to_datetime(["2025-01-01"], utc=True))
    with pytest.raises(cr.SchemaError, match="^where="):
        frame.crucible.query_window(last_n=1, where=where)


@pytest.mark.parametrize(
    "keys",
    [
        pd.Series([1.0, 2.0, 1.0], dtype="float16"),
        pd.Series([1.0, 2.0, 1.0], dtype="longdouble"),
        pd.Series(pd.arrays.SparseArray([1.0, 2.0, 1.0])),
        pd.Series(pd.arrays.ArrowExtensionArray(pa.array([1, 2, 1]).dictionary_encode())),
        pd.Series([1, 2, 1], dtype="uint64[pyarrow]"),
    ],
    ids=lambda keys: str(keys.dtype),
)
def test_rows_are_grouped_by_numbers_of_any_dtype(keys: pd.Series) -> None:
    frame = pd.DataFrame({"k": keys.array, "latency_ms": [1.0, 2.0, 3.0]}, index=pd.to_datetime(["2025-01-01"] * 3))
    groups = frame.crucible.metrics(by="k")
    assert (groups[1].latency.mean, groups[2].latency.mean) == (2.0, 2.0)
    table = frame.crucible.windowed_metrics("1D", by="k")
    assert [float(key) for key in table.index.get_level_values("k")] == [1.0, 2.0]
    assert table.event_count.tolist() == [2, 1]


def test_categories_and_runs_that_cannot_be_told_apart_are_refused() -> None:
    frame = pd.DataFrame({"k": [[1], [2]] * 5, "latency_ms": 1.0})
    with pytest.raises(cr.SchemaError, match="^k: expected text, numbers, booleans or times, got other values: "):
        cr.chi_square(frame, frame, metric="k")
    with pytest.raises(cr.SchemaError, match="^k: expected text, numbers, booleans or times, got other values: "):
        cr.compare(frame, frame, group_by="k")
