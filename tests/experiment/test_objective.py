"""Service level objectives: share, interval, error budget and burn rates, against statsmodels and pandas."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

import crucible_nb as cr
from tests.conftest import NOON, SECOND
from tests.laws.test_resume import die

GOOD = "latency_ms < 2000 and success"


def calls(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """Two hours of calls, some without outcome or latency, the last twenty minutes bad."""
    rng = np.random.default_rng(seed)
    bad = np.arange(n) > 0.83 * n
    frame = pd.DataFrame(
        {
            "event": "call",
            "latency_ms": np.where(rng.random(n) < 0.05, np.nan, rng.lognormal(6.5, 0.4, n) * (1 + 3 * bad)),
            "success": pd.array(rng.random(n) < 0.98, "boolean"),
        },
        index=pd.DatetimeIndex(NOON + np.arange(n) * 2 * SECOND, tz="UTC", name="time"),
    )
    frame.loc[rng.random(n) < 0.05, "success"] = pd.NA
    return frame


def good_of(rows: pd.DataFrame) -> pd.Series:
    """Whether each event is good, NA where unknown, in Kleene's logic."""
    fast = (rows.latency_ms < 2000).astype("boolean").where(rows.latency_ms.notna())
    return fast & rows.success


def test_every_number_is_that_of_pandas_and_the_interval_that_of_statsmodels() -> None:
    frame = calls()
    with cr.start("slo", clock="events") as exp:
        exp.extend(frame)
    level, known = exp.slo(GOOD, target=0.95, windows=["1h", "5min"]), good_of(frame).dropna().astype(bool)
    assert (level.n, level.unknown) == (len(known), len(frame) - len(known))
    assert level.sli == pytest.approx(known.mean(), rel=1e-12)
    expected = proportion_confint(int(known.sum()), len(known), method="wilson")
    assert tuple(level.confidence_interval) == pytest.approx(expected, rel=1e-9)
    bad = int((~known).sum())
    assert (level.allowed, level.spent) == (pytest.approx(0.05 * len(known)), bad)
    assert level.left == pytest.approx(0.05 * len(known) - bad)
    assert level.left_share == pytest.approx(1 - bad / (0.05 * len(known)))
    for window, rate in level.burn.items():
        last = known[known.index >= frame.index[-1] - pd.Timedelta(window)]
        assert rate == pytest.approx((1 - last.mean()) / 0.05, rel=1e-12)
    assert f"{level.n:,} events" in level.text
    assert "overspent by" in level.text
    assert "<table" in level._repr_html_()
    assert "burn" in repr(level)


def test_rows_of_one_session_are_not_independent() -> None:
    frame = calls()
    frame["session_id"] = np.arange(len(frame)) // 20
    exp, plain = cr.start("sessions", clock="events"), cr.start("plain", clock="events")
    exp.extend(frame)
    plain.extend(frame.drop(columns="session_id"))
    wide, narrow = (one.slo(GOOD, target=0.95) for one in (exp, plain))
    assert wide.sli == narrow.sli
    assert np.diff(wide.confidence_interval) > 2 * np.diff(narrow.confidence_interval)
    assert "200 clusters (session_id)" in wide.text
    for one in (exp, plain):
        one.stop()


def test_sampled_rows_count_with_their_weights() -> None:
    frame = calls(20_000)
    with cr.start("sampled", clock="events", sampling="uniform", sampling_config={"rate": 0.1}, seed=2) as exp:
        exp.extend(frame)
    level, known = exp.slo(GOOD, target=0.95), good_of(frame).dropna()
    low, high = level.confidence_interval
    assert low < float(known.astype(float).mean()) < high
    assert level.allowed == pytest.approx(0.05 * len(known), rel=0.05)


def test_an_objective_is_remembered_and_the_newest_defines_the_burn_rate(tmp_path: Path) -> None:
    frame = calls()
    exp = cr.start("slo", clock="events", store=tmp_path)
    exp.slo("success", target=0.9)
    exp.slo(GOOD, target=0.95)
    exp.slo(GOOD, target=0.95)  # again: to read it
    exp.extend(frame.iloc[:1000])
    die(exp)
    again = cr.attach("slo", store=tmp_path, mode="resume")
    again.watch("burn_rate > 4 over 1h and 5min")
    again.extend(frame.iloc[1000:])
    (alert,) = again.alerts().itertuples()
    again.stop()
    known = 1 - good_of(frame).dropna().astype(float)
    for window in ("1h", "5min"):
        width = -(-pd.Timedelta(window).value // 30)
        edge = alert.Index.value // width * width  # the last check of each window
        inside = (known.index.asi8 < edge) & (known.index.asi8 >= edge - 30 * width)
        assert known[inside].mean() / 0.05 > 4
    reader = cr.attach("slo", store=tmp_path)
    assert reader.slo(GOOD, target=0.95).n == len(known)
    assert reader.alerts().reason.tolist() == [alert.reason]


def test_it_can_be_declared_before_the_first_event() -> None:
    exp = cr.start("empty")
    level = exp.slo(GOOD, target=0.99)
    assert level.n == 0
    assert math.isnan(level.sli)
    assert level.text == f"No event tells yet whether {GOOD}; the objective is 99%."
    exp.record("call", latency_ms=5.0)
    assert (exp.slo(GOOD, target=0.99).n, exp.slo(GOOD, target=0.99).unknown) == (0, 1)
    exp.record("call", latency_ms=5.0, success=True)
    assert exp.slo(GOOD, target=0.99).n == 1
    exp.stop()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", 0.9), "condition='': expected a non-empty string"),
        (("latency_ms <", 0.9), "condition='latency_ms <': expected a condition of"),
        (("success", 1.0), "target=1.0: expected a number > 0 and < 1"),
        (("success", 95), "target=95: expected a number > 0 and < 1"),
    ],
)
def test_a_wrong_argument_is_said(arguments: tuple[str, float], said: str) -> None:
    exp = cr.start("wrong")
    with pytest.raises(cr.ConfigError) as error:
        exp.slo(*arguments)
    assert str(error.value).startswith(said)
    exp.stop()
