"""The law of groups: `by=` is each group alone, as pandas' groupby splits the rows, whatever the design and the dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from tests.tiers import examples

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
]
METRICS = ["score", "success_rate", "p75_latency_ms", "cost_per_success", "share(latency_ms < 500)", "total_cost_usd"]
LABELS: dict[str, list[Any]] = {
    "text": ["b", "a", "c"], "int": [16, 1, 4], "float": [0.5, 2.0, 1.0], "bool": [True, False],
    "category": ["low", "high"], "time": list(pd.date_range("2025-01-01", periods=3, tz="UTC")),
}  # fmt: skip


@st.composite
def rows(draw: st.DrawFn) -> pd.DataFrame:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n, labels = draw(st.integers(40, 120)), LABELS[draw(st.sampled_from(sorted(LABELS)))]
    group = pd.Series([labels[i] for i in rng.integers(0, len(labels), n)])
    if isinstance(labels[0], str) and len(labels) == 2:
        group = group.astype(pd.CategoricalDtype(["low", "high"]))
    if draw(st.booleans()):
        group = group.where(pd.Series(rng.random(n) < 0.9))
    frame = pd.DataFrame({
        "group": group, "score": rng.normal(size=n), "success": rng.random(n) < 0.6, "latency_ms": rng.lognormal(6, 1, n),
        "cost_usd": rng.random(n),
    })  # fmt: skip
    design = draw(st.sampled_from(["plain", "items", "epochs", "sessions", "weights"]))
    columns = {
        "items": {"sample_id": np.arange(n)}, "epochs": {"sample_id": np.arange(n) // 2},
        "sessions": {"session_id": rng.integers(0, n // 3, n)}, "weights": {"weight": rng.choice([1.0, 4.0], n)},
    }  # fmt: skip
    return frame.assign(**columns.get(design, {}))


def parts(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each group by its name; whole numbers are their digits, as ids are."""
    found = frame.groupby("group", observed=True)
    return {f"{value:g}" if isinstance(value, float) else str(value): part for value, part in found}


@given(rows())
@examples(40)
def test_an_interval_of_a_group_is_that_of_its_rows(frame: pd.DataFrame) -> None:
    for metric in METRICS:
        grouped = cr.confidence_interval(frame, metric=metric, by="group")
        alone = parts(frame)
        assert {*grouped, *grouped.too_small} == set(alone)
        for name in grouped:
            expected = cr.confidence_interval(alone[name], metric=metric)
            assert repr(grouped[name].to_dict()) == repr(expected.to_dict())


@given(rows(), st.integers(0, 100))
@examples(40)
def test_a_comparison_of_a_group_is_that_of_its_rows(control: pd.DataFrame, seed: int) -> None:
    rng = np.random.default_rng(seed)
    treatment = control.assign(
        score=control.score + rng.normal(0.3, 1, len(control)), success=rng.random(len(control)) < 0.5
    )
    grouped = cr.compare(control, treatment, metrics=METRICS, by="group", correction=None)
    first, second = parts(control), parts(treatment)
    assert {*grouped} == set(first)
    for name, comparison in grouped.items():
        if min(comparison[metric].n[0] for metric in METRICS) < 5:
            continue
        alone = cr.compare(first[name], second[name], metrics=METRICS, correction=None)
        for metric in METRICS:
            assert repr(comparison[metric].to_dict()) == repr(alone[metric].to_dict())
