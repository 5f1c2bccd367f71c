"""`false_alarm_rate`: a threshold by rank holds the requested rate on stationary series."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

import crucible_nb as cr
from crucible_nb.anomaly import CUSUM, EWMA, IQR, Auto, Detector, IsolationForest, ModifiedZScore, ZScore
from crucible_nb.events.event_columns import EventColumns

ROWS, SEEDS = 20_000, 5
BELOW = 1 - 1e-6
KINDS: dict[str, Callable[..., Detector]] = {
    "ZScore": ZScore, "ModifiedZScore": ModifiedZScore, "IQR": IQR, "EWMA": EWMA, "CUSUM": CUSUM, "Auto": Auto,
    "IsolationForest": lambda *args, **options: IsolationForest(*args, trees=10, **options),
}  # fmt: skip
CLEAN: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "normal": lambda rng: rng.normal(100, 10, ROWS),
    "AR(1) 0.9": lambda rng: 100 + lfilter([1], [1, -0.9], rng.normal(0, 4, 2 * ROWS))[ROWS:],
    "seasonal": lambda rng: 100 + 30 * np.sin(np.arange(ROWS) * 2 * np.pi / 288) + rng.normal(0, 10, ROWS),
    "lognormal 1.5": lambda rng: rng.lognormal(5, 1.5, ROWS),
    "Pareto 1.5": lambda rng: 100 * (1 + rng.pareto(1.5, ROWS)),
}


def judged(detector: Detector, x: np.ndarray, **columns: Any) -> np.ndarray:
    return detector.begin().judge(EventColumns.of_frame(pd.DataFrame({"value": x, **columns}))).score


@pytest.mark.parametrize("rate", [0.01, 0.001])
@pytest.mark.parametrize("clean", CLEAN)
@pytest.mark.parametrize("kind", KINDS)
def test_the_share_of_flagged_rows_is_at_most_half_more_than_asked(kind: str, clean: str, rate: float) -> None:
    seeds = range(SEEDS if kind != "IsolationForest" else 2)
    detector = KINDS[kind]("value", false_alarm_rate=rate)
    flagged = [(judged(detector, CLEAN[clean](np.random.default_rng(seed))) >= 1).mean() for seed in seeds]
    assert np.mean(flagged) <= 1.5 * rate


@pytest.mark.parametrize("rate", [0.01, 0.001])
@pytest.mark.parametrize("kind", ["ZScore", "ModifiedZScore", "IQR", "EWMA", "Auto"])
def test_ties_pass_no_more_than_they_should(kind: str, rate: float) -> None:
    x = np.random.default_rng(0).poisson(3, ROWS).astype(float)
    assert (judged(KINDS[kind]("value", false_alarm_rate=rate), x) >= 1).mean() <= 1.5 * rate


@pytest.mark.parametrize("rate", [0.1, 0.01, 0.001, 0.003])
@pytest.mark.parametrize("kind", KINDS)
def test_it_warms_up_until_there_are_enough_scores_for_the_rate(kind: str, rate: float) -> None:
    x = np.random.default_rng(0).normal(100, 10, 2000)
    x[5::50] = np.nan
    plain = judged(KINDS[kind]("value"), x)
    got = judged(KINDS[kind]("value", false_alarm_rate=rate), x)
    scored = np.flatnonzero(~np.isnan(plain))
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(got)), scored[math.ceil(1 / rate - 1) :])


@pytest.mark.parametrize("rate", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("kind", [ZScore, EWMA, IQR])
def test_the_limit_is_the_rank_among_the_past_scores(kind: type[Detector], rate: float) -> None:
    x = np.random.default_rng(1).lognormal(5, 1, 8000)
    plain, got = judged(kind("value"), x), judged(kind("value", false_alarm_rate=rate), x)
    scores, scaled = plain[32:], got[32:]
    counts = [math.ceil(1 / rate - 1)]
    while counts[-1] < len(scores):
        counts.append(counts[-1] + min(max(counts[-1] // 4, 1), 1024))
    for start, stop in pairwise(counts):
        rank = math.ceil((start + 1) * (1 - rate))  # exceeded by at most a share `rate` of start + 1 alike
        past, some = np.sort(scores[:start]), slice(start, min(stop, len(scores)))
        low, high = past[rank - 1], past[min(rank, start - 1)]
        asked = (scores[some] > 0) & (scaled[some] != BELOW)
        limit = scores[some][asked] / scaled[some][asked]
        assert (limit >= low * (1 - 1e-9)).all()
        assert (limit <= max(high, 1e-300) * 1.01).all()
        assert (scaled[some][scores[some] == 0] == 0).all()


@pytest.mark.parametrize("rate", [0.05, 0.2])
@pytest.mark.parametrize("kind", [ZScore, IQR])
def test_alarms_beyond_the_budget_are_just_below_1(kind: type[Detector], rate: float) -> None:
    x = np.random.default_rng(1).normal(100, 10, 4000)
    x[1000:1200] += 200
    x[3000:] = x[3000:] * 2 - 100
    got = judged(kind("value", false_alarm_rate=rate), x)
    saved, refused = 1.0, 0
    for score in got[~np.isnan(got)]:
        if score == BELOW:
            assert saved < 1
            refused += 1
        elif score >= 1:
            assert saved >= 1
            saved -= 1
        saved = min(saved + 1.25 * rate, 32.0)
    assert refused > 0


@pytest.mark.parametrize("rate", [0.01, 0.001])
@pytest.mark.parametrize("kind", KINDS)
def test_no_series_whatever_has_more_alarms_than_the_budget(kind: str, rate: float) -> None:
    rng = np.random.default_rng(6)
    walk, steps = rng.normal(0, 1, ROWS).cumsum(), rng.normal(0, 1, ROWS) + np.repeat(np.arange(20) * 50, ROWS // 20)
    for x in (walk, steps, np.exp(np.arange(ROWS) / 300)):
        assert (judged(KINDS[kind]("value", false_alarm_rate=rate), x) >= 1).sum() <= 1 + 1.25 * rate * ROWS


@pytest.mark.parametrize("kind", ["ZScore", "ModifiedZScore", "Auto"])
def test_each_group_has_a_limit_of_its_own(kind: str) -> None:
    rng = np.random.default_rng(2)
    x, group = rng.lognormal(5, 1, 4000), rng.choice(["a", "b"], 4000, p=[0.8, 0.2])
    x[group == "b"] = rng.normal(7, 1, (group == "b").sum())
    got = judged(KINDS[kind]("value", by="model", false_alarm_rate=0.02), x, model=group)
    for label in "ab":
        alone = judged(KINDS[kind]("value", false_alarm_rate=0.02), x[group == label])
        np.testing.assert_array_equal(got[group == label], alone)


def test_each_metric_has_a_limit_of_its_own() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": rng.lognormal(5, 1, 2000), "b": rng.normal(7, 1, 2000)})
    got = ZScore(["a", "b"], false_alarm_rate=0.02).begin().judge(EventColumns.of_frame(frame)).score
    alone = [judged(ZScore("value", false_alarm_rate=0.02), frame[name].to_numpy()) for name in "ab"]
    np.testing.assert_array_equal(got, np.fmax(*alone))


def test_a_spike_still_fires_and_says_what_it_is() -> None:
    x = np.random.default_rng(4).normal(100, 10, 3000)
    x[2500] = 900
    verdict = ZScore("value", false_alarm_rate=0.001).begin().judge(EventColumns.of_frame(pd.DataFrame({"value": x})))
    assert verdict.score[2500] > 10
    assert verdict.reasons[2500].startswith("value 900 is ")


@pytest.mark.parametrize("threshold", [1.0, 5.0])
def test_the_threshold_plays_no_part(threshold: float) -> None:
    x = np.random.default_rng(5).normal(100, 10, 3000)
    got, usual = (judged(ZScore("value", limit, false_alarm_rate=0.01), x) for limit in (threshold, 3.0))
    np.testing.assert_allclose(got, usual, rtol=0.01)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, "0.01", True])
def test_a_rate_is_between_0_and_1(rate: Any) -> None:
    with pytest.raises(cr.ConfigError) as raised:
        ZScore("value", false_alarm_rate=rate)
    assert str(raised.value) == f"false_alarm_rate={rate!r}: expected a number > 0 and < 1"
