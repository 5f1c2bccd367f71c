"""`by=` of `cr.confidence_interval`: each group as if it were alone, as pandas' groupby splits them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr

RNG = np.random.default_rng(5)
ROWS = pd.DataFrame({
    "device": RNG.choice(["tv", "phone", "desk"], 400), "level": RNG.choice([16, 1, 4], 400),
    "size": pd.Categorical(RNG.choice(["small", "large"], 400), ["small", "large"]), "won": RNG.random(400) < 0.3,
    "latency_ms": RNG.lognormal(6, 0.5, 400), "success": RNG.random(400) < 0.7, "cost_usd": RNG.random(400),
    "session_id": RNG.integers(0, 80, 400),
})  # fmt: skip


@pytest.mark.parametrize("by", ["device", "level", "size", "won"])
@pytest.mark.parametrize(
    "metric", ["success_rate", "latency_ms", "p75_latency_ms", "cost_per_success", "total_cost_usd"]
)
def test_each_group_is_estimated_as_if_it_were_alone(by: str, metric: str) -> None:
    result = cr.confidence_interval(ROWS, metric=metric, by=by)
    parts = list(ROWS.groupby(by, observed=True))
    assert list(result) == [str(value) for value, _ in parts]
    assert list(result.to_frame().index) == [value for value, _ in parts]
    for value, part in parts:
        assert repr(result[str(value)].to_dict()) == repr(cr.confidence_interval(part, metric=metric).to_dict())


def test_small_groups_and_rows_without_a_group_are_said() -> None:
    rows = pd.concat([ROWS.assign(device=ROWS.device.where(ROWS.level != 4)), ROWS.head(1).assign(device="watch")])
    result = cr.confidence_interval(rows, metric="latency_ms", by="device", where="cost_usd < 2")
    assert list(result.too_small) == ["watch"]
    assert result.missing == int((ROWS.level == 4).sum())
    assert math.isnan(result.to_frame().estimate["watch"])
    for text in (repr(result), result._repr_html_(), result.to_latex()):
        assert "watch is too small: latency" in text
        assert "in no group" in text
    assert "| watch | too small |" in result.to_markdown()
    assert result.to_dict()["groups"]["tv"]["n"] == result["tv"].n


def test_what_has_no_groups_is_refused() -> None:
    with pytest.raises(cr.StatError, match="by='device'"):
        cr.confidence_interval([True, False], by="device")
    with pytest.raises(cr.SchemaError, match="by='no'"):
        cr.confidence_interval(ROWS, by="no")
    with pytest.raises(cr.StatError, match="no group can be estimated"):
        cr.confidence_interval(
            ROWS.head(2).assign(device=["a", "b"]), metric="latency_ms", by="device", cluster="device"
        )
