"""Each detector against a plain recomputation by numpy, pandas or scipy, and on difficult input."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import median_abs_deviation

from crucible_nb.anomaly import CUSUM, EWMA, IQR, Auto, Detector, Incidents, ModifiedZScore, ZScore
from crucible_nb.anomaly.groups import LIMIT
from crucible_nb.events.event_columns import EventColumns

KEEP = 1 - 1 / 10_000
REFRESHED = [32, 48, 64, 96, 128, 192, *range(256, 20_000, 256)]
KINDS: tuple[type[Detector], ...] = (ZScore, ModifiedZScore, IQR, EWMA, CUSUM, Auto)


def normal(n: int = 2000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 10, n)


def ticks(n: int = 1500) -> np.ndarray:
    """Whole numbers with long constant stretches."""
    rng = np.random.default_rng(1)
    return np.repeat(rng.poisson(4, n), rng.integers(1, 40, n))[:n].astype(float)


def swings(n: int = 1500) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.standard_t(2, n) * np.where(np.arange(n) % 400 < 200, 1, 30) - 5


SERIES: dict[str, np.ndarray] = {
    "normal": normal(), "whole numbers": ticks(), "heavy tails": swings(), "lognormal": np.exp(normal(1500, 3) / 10),
}  # fmt: skip


def raw(detector: Detector, x: np.ndarray, **columns: Any) -> np.ndarray:
    return detector.begin().judge(EventColumns.of_frame(pd.DataFrame({"value": x, **columns}))).score


def incidents(score: np.ndarray, cooldown: int = 300) -> list[int]:
    found = Incidents(cooldown)
    for i in np.flatnonzero(score >= 1).tolist():
        found.add(i, i, score[i], "value", str)
    return [one.first_seq for one in found.all]


def smallest_step(x: np.ndarray) -> float:
    steps = np.abs(np.diff(x))
    return float(steps[steps > 0].min()) if (steps > 0).any() else 0.0


def faded(n: int) -> np.ndarray:
    return KEEP ** np.arange(n - 1, -1, -1)


def floor_of(past: np.ndarray, weight: np.ndarray) -> float:
    return max(smallest_step(past), 0.01 * float(np.average(np.abs(past), weights=weight)))


def z_score(past: np.ndarray, value: float, threshold: float = 3.0) -> float:
    weight = faded(len(past))
    mean = np.average(past, weights=weight)
    sd = np.sqrt((weight * (past - mean) ** 2).sum() / (weight.sum() - 1))
    return min(float(abs(value - mean) / max(sd, floor_of(past, weight)) / threshold), 1000.0)


@pytest.mark.parametrize("name", SERIES)
def test_z_score_is_mean_and_sd_of_the_past(name: str) -> None:
    x = SERIES[name]
    got = raw(ZScore("value"), x)
    assert np.isnan(got[:32]).all()
    expected = [z_score(x[:i], x[i]) for i in range(32, len(x))]
    np.testing.assert_allclose(got[32:], expected, rtol=1e-8, atol=1e-9)


def test_the_past_of_a_z_score_fades_after_10000_values() -> None:
    x = normal(30_000)
    x[20_000:] += 40
    got = raw(ZScore("value"), x)
    for i in (12_000, 20_000, 20_500, 29_999):
        assert got[i] == pytest.approx(z_score(x[:i], x[i]), rel=1e-8)


def exponential(x: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd before each value, by pandas."""
    window = pd.Series(x).ewm(alpha=share, adjust=False)
    return window.mean().shift(1).to_numpy(), np.sqrt(window.var(bias=True).shift(1).to_numpy())


def floors(x: np.ndarray) -> np.ndarray:
    return np.array([np.nan, *(floor_of(x[:i], faded(i)) for i in range(1, len(x)))])


@pytest.mark.parametrize("share", [0.005, 0.02, 0.3])
@pytest.mark.parametrize("name", SERIES)
def test_ewma_is_that_of_pandas_before_the_value(name: str, share: float) -> None:
    x = SERIES[name]
    mean, sd = exponential(x, share)
    got = raw(EWMA("value", share=share), x)
    assert np.isnan(got[:32]).all()
    expected = np.minimum(np.abs(x - mean) / np.fmax(sd, floors(x)) / 4, 1000)
    np.testing.assert_allclose(got[32:], expected[32:], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", SERIES)
def test_cusum_adds_up_what_is_beyond_the_slack(name: str) -> None:
    x = SERIES[name]
    mean, sd = exponential(x, 0.01)
    sd = np.fmax(sd, floors(x) * np.sqrt(0.01 / 1.99))  # the sd of such a mean, in that of one value
    expected, up, down = [np.nan] * len(x), 0.0, 0.0
    for i in range(50, len(x)):
        z = min(max((x[i] - mean[i]) / sd[i], -4.0), 4.0)
        up, down = max(0.0, up + z - 0.5), max(0.0, down - z - 0.5)
        if i >= 100:
            expected[i] = min(max(up, down) / 12, 1000)
    np.testing.assert_allclose(raw(CUSUM("value"), x), expected, rtol=1e-6, atol=1e-7)


def robust(past: np.ndarray) -> tuple[float, float, float]:
    """Center (twice) and scale of a modified z-score, by scipy."""
    values = past[-256:]
    scale = median_abs_deviation(values, scale=1 / 1.4826)
    scale = scale or 1.2533 * np.abs(values - np.median(values)).mean()
    return np.median(values), np.median(values), max(scale, smallest_step(past), 0.01 * np.abs(values).mean())


def quartiles(past: np.ndarray) -> tuple[float, float, float]:
    values = past[-256:]
    low, high = np.quantile(values, [0.25, 0.75])
    return low, high, max(high - low, smallest_step(past), 0.01 * np.abs(values).mean())


def outside(value: float, base: tuple[float, float, float], threshold: float) -> float:
    low, high, scale = base
    return min(max(value - high, low - value, 0.0) / scale / threshold, 1000.0)


@pytest.mark.parametrize(("kind", "read", "threshold"), [(ModifiedZScore, robust, 3.5), (IQR, quartiles, 3.0)])
@pytest.mark.parametrize("name", SERIES)
def test_robust_baselines_are_those_of_the_last_256_values_at_the_last_refresh(
    name: str, kind: type[Detector], read: Callable[..., Any], threshold: float
) -> None:
    x = SERIES[name]
    expected = np.full(len(x), np.nan)
    for start, stop in pairwise(REFRESHED):
        base = read(x[:start]) if start < len(x) else (0, 0, 1)
        for i in range(start, min(stop, len(x))):
            expected[i] = outside(x[i], base, threshold)
    np.testing.assert_allclose(raw(kind("value"), x), expected, rtol=1e-12, atol=1e-12)


def test_where_the_mad_is_0_the_mean_deviation_is_the_unit() -> None:
    x = np.tile([100.0, 100.0, 100.0, 101.0, 60.0], 60)
    assert median_abs_deviation(x) == 0
    got = raw(ModifiedZScore("value"), np.r_[x, 500.0])
    deviation = np.abs(x[:256] - 100).mean()
    assert got[-1] == pytest.approx(400 / (1.2533 * deviation) / 3.5)


def said(detector: Detector, x: np.ndarray) -> str:
    verdict = detector.begin().judge(EventColumns.of_frame(pd.DataFrame({"value": x})))
    return verdict.reasons[len(x) - 1]


def test_a_modified_z_score_says_which_rule_fired() -> None:
    with_mad = said(ModifiedZScore("value"), np.r_[np.tile([90.0, 100.0, 110.0], 50), 400.0])
    without = said(ModifiedZScore("value"), np.r_[np.tile([100.0, 100.0, 100.0, 110.0, 90.0], 50), 400.0])
    assert with_mad == "value 400 is 20.2 robust sd above the median 100"
    assert re.sub(r"[\d.]+", "", without) != re.sub(r"[\d.]+", "", with_mad)


# -- traps --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.005, 0.02, 1 / 9, 0.2, 0.5, 0.9])
def test_a_spike_fires_whatever_the_share(share: float) -> None:
    x = normal(600, 1)
    x[500] += 10 * 1e6
    assert raw(EWMA("value", share=share), x)[500] == 1000
    naive = pd.Series(x).ewm(alpha=share, adjust=False)  # for contrast: a mean that already contains the value
    assert abs(x[500] - naive.mean()[500]) / np.sqrt(naive.var(bias=True)[500]) <= 1 / np.sqrt(share)


@pytest.mark.parametrize("kind", [ZScore, EWMA])
@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_a_distance_is_not_bounded_by_a_short_past(kind: type[Detector], n: int) -> None:
    x = np.r_[np.resize([90.0, 110.0], n), 1e6]
    got = raw(kind("value", 1.0, warm_up=n), x)[-1]
    assert got == 1000 > (len(x) - 1) / np.sqrt(len(x))


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_spike_fires(kind: type[Detector]) -> None:
    x = normal(1000)
    x[700:720] += 10 * 1e6
    got = raw(kind("value"), x)
    assert (got[700:720] >= 1).any()
    assert np.nanmax(got) <= 1000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [7.0, 0.1, -3e7, 0.0])
def test_a_constant_stretch_is_quiet_and_its_end_is_not(kind: type[Detector], level: float) -> None:
    x = np.full(1000, level)
    x[900:] += max(abs(level), 1.0)
    got = raw(kind("value"), x)
    assert (got[256:900] < (0.2 if kind is Auto else 1e-9)).all()
    begin = incidents(got)[0]
    assert 900 <= begin < (930 if kind is CUSUM else 905 if kind is Auto else 901)  # 0 and 1 are rates for auto
    assert np.isfinite(got[256:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_by_less_than_a_hundredth_of_the_usual_size_is_no_anomaly(kind: type[Detector]) -> None:
    x = np.full(1000, 50.0)
    x[900] = 50.2
    assert not (raw(kind("value"), x) >= 1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_of_whole_numbers_is_no_anomaly(kind: type[Detector]) -> None:
    x = np.full(1000, 3.0)
    x[200] = 4.0
    x[900] = 4.0
    assert not raw(kind("value"), x)[900] >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_offset_changes_no_score(kind: type[Detector]) -> None:
    x = normal(2000) - 100
    x[1200:1260] += 80
    moved = x + 1e9
    expected = raw(kind("value", floor=0.0), moved - 1e9)
    np.testing.assert_allclose(raw(kind("value", floor=0.0), moved), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1e-6, 3.0, -1.0, 1e6])
def test_a_unit_changes_no_score(kind: type[Detector], factor: float) -> None:
    x = normal(1500)
    x[1200:1240] += 60
    np.testing.assert_allclose(raw(kind("value"), x * factor), raw(kind("value"), x), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_threshold_is_where_the_score_is_1(kind: type[Detector]) -> None:
    x = normal(1500)
    np.testing.assert_allclose(
        raw(kind("value", 2.0), x), raw(kind("value"), x) * kind.default / 2, rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_given_floor_is_the_smallest_scale(kind: type[Detector]) -> None:
    x = normal(1500)
    x[1200:1260] += 200
    assert not (raw(kind("value", floor=1e5), x) >= 1).any()


# -- learning -----------------------------------------------------------------------------------------------------------


def eventful(seed: int) -> np.ndarray:
    """Spikes, a burst shorter than the patience, a new level, a return."""
    x = normal(1100, seed)
    x[[300, 301, 410]] += 200
    x[500:520] += 150
    x[700:760] -= 90
    return x


@pytest.mark.parametrize("kind", [ZScore, EWMA, CUSUM, Auto])
@pytest.mark.parametrize("seed", range(2))
def test_learning_from_normal_values_is_a_loop_that_passes_over_anomalies(kind: type[Detector], seed: int) -> None:
    x, plain = eventful(seed), kind("value", floor=1.0)
    before, run, expected = plain.begin(), 0, []
    for i in range(len(x)):
        after = plain.from_dict(before.to_dict())
        score = after.judge(EventColumns.of_frame(pd.DataFrame({"value": x[i : i + 1]}))).score[0]
        expected.append(score)
        run = run + 1 if score >= 1 else 0
        if run == 0 or run > 32:
            before = after
    got = raw(kind("value", floor=1.0, learn="normal"), x)
    np.testing.assert_array_equal(got, expected)
    assert (got >= 1).any()


@pytest.mark.parametrize("seed", range(3))
def test_so_it_is_of_a_z_score_by_hand(seed: int) -> None:
    x = eventful(seed)
    learnt, run, expected = [], 0, []
    for value in x:
        score = z_score(np.array(learnt), value) if len(learnt) >= 32 else np.nan
        expected.append(score)
        run = run + 1 if score >= 1 else 0
        if run == 0 or run > 32:
            learnt.append(value)
    np.testing.assert_allclose(raw(ZScore("value", learn="normal"), x), expected, rtol=1e-8, atol=1e-9)
    assert len(learnt) < len(x)


@pytest.mark.parametrize(("kind", "read", "threshold"), [(ModifiedZScore, robust, 3.5), (IQR, quartiles, 3.0)])
@pytest.mark.parametrize("seed", range(3))
def test_so_it_is_of_robust_baselines(
    kind: type[Detector], read: Callable[..., Any], threshold: float, seed: int
) -> None:
    x = eventful(seed)
    learnt: list[float] = []
    run, base, expected = 0, None, []
    for i, value in enumerate(x):
        if i in REFRESHED:
            base = read(np.array(learnt))
        score = np.nan if base is None else outside(value, base, threshold)
        expected.append(score)
        run = run + 1 if score >= 1 else 0
        if run == 0 or run > 32:
            learnt.append(value)
    np.testing.assert_allclose(raw(kind("value", learn="normal"), x), expected, rtol=1e-12, atol=1e-12)
    assert len(learnt) < len(x)


@pytest.mark.parametrize("learn", ["always", "normal"])
@pytest.mark.parametrize(
    "detector",
    [ZScore("value", 6.0), ModifiedZScore("value", 7.0), IQR("value", 3.5), EWMA("value", 6.0), CUSUM("value", 25.0), Auto("value", 1.5)],
    ids=lambda detector: type(detector).__name__,
)  # fmt: skip
def test_a_new_level_is_one_incident_and_then_the_normal_one(detector: Detector, learn: Any) -> None:
    detector.learn = learn
    for seed in range(5):
        x = normal(4000, seed)
        x[2000:] += 80
        score = raw(detector, x)
        (begin,) = incidents(score)
        assert 2000 <= begin < (2001 if type(detector) is not CUSUM else 2010)
        assert not (score[-800:] >= 1).any()


# -- groups -------------------------------------------------------------------------------------------------------------


def of_group(score: np.ndarray, group: np.ndarray, label: Any) -> np.ndarray:
    return score[group == label]


@pytest.mark.parametrize("learn", ["always", "normal"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_group_is_judged_as_if_it_were_alone(kind: type[Detector], learn: Any) -> None:
    rng = np.random.default_rng(5)
    x, group = normal(3000), rng.choice(["a", "b", "c"], 3000, p=[0.7, 0.28, 0.02])
    x[group == "b"] *= 100
    x[2000:2040] *= 3
    got = raw(kind("value", by="model", learn=learn), x, model=group)
    for label in "abc":
        np.testing.assert_array_equal(of_group(got, group, label), raw(kind("value", learn=learn), x[group == label]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_group_warms_up_also_in_mid_stream(kind: type[Detector]) -> None:
    group = np.r_[np.full(1000, "old"), np.tile(["old", "new"], 300)]
    x = normal(1600)
    x[group == "new"] *= 1000
    got = raw(kind("value", by="model"), x, model=group)
    first = kind("value").warm_up
    assert np.isnan(of_group(got, group, "new")[:first]).all()
    assert not np.isnan(of_group(got, group, "new")[first:]).any()
    assert not (of_group(got, group, "new") > 10).any()


def test_several_columns_make_groups_and_missing_is_one() -> None:
    rng = np.random.default_rng(6)
    x = normal(3000)
    model, route = rng.choice(["a", "b", None], 3000), rng.choice([1, 2], 3000)
    got = raw(ZScore("value", by=["model", "route"]), x, model=model, route=route)
    for a in ("a", "b", None):
        for b in (1, 2):
            mask = (pd.isna(model) if a is None else model == a) & (route == b)
            np.testing.assert_array_equal(got[mask], raw(ZScore("value"), x[mask]))


@pytest.mark.parametrize("kind", [ZScore, IQR])
def test_beyond_1000_groups_share_a_baseline(kind: type[Detector]) -> None:
    labels = np.array([f"g{i}" for i in range(LIMIT + 200)])
    group = np.r_[labels, np.random.default_rng(0).choice(labels[LIMIT - 3 :], 5000)]
    x = normal(len(group))
    running = kind("value", by="model").begin()
    got = running.judge(EventColumns.of_frame(pd.DataFrame({"value": x, "model": group}))).score
    shared = np.isin(group, labels[LIMIT - 1 :])
    np.testing.assert_array_equal(got[shared], raw(kind("value"), x[shared]))
    np.testing.assert_array_equal(got[group == "g998"], raw(kind("value"), x[group == "g998"]))
    assert len(running.to_dict()["groups"]) == LIMIT == 1000


def test_a_reason_names_the_group_that_was_out_of_line() -> None:
    frame = pd.DataFrame({"value": np.tile([90.0, 110.0], 3000), "model": np.repeat([f"g{i}" for i in range(1200)], 5)})
    frame = pd.concat([frame, frame.iloc[-100:], frame.iloc[-1:].assign(value=500.0)], ignore_index=True)
    verdict = ZScore("value", by="model").begin().judge(EventColumns.of_frame(frame))
    assert list(verdict.reasons) == [6100]
    assert "g999" not in verdict.reasons[6100]


@pytest.mark.parametrize(
    ("detector", "expected"),
    [
        (ZScore("value"), "value 500 is 20.0 sd above the mean 100"),
        (ZScore("value", by="model"), "value 500 is 20.0 sd above the mean 100 of small"),
        (ZScore("value", by=["model", "route"]), "value 500 is 20.0 sd above the mean 100 of small, 7"),
        (ModifiedZScore("value"), "value 500 is 20.0 robust sd above the median 100"),
        (IQR("value"), "value 500 is 19.5 interquartile ranges above the quartiles about 100"),
    ],
    ids=repr,
)
def test_a_reason_says_value_distance_and_what_is_usual(detector: Detector, expected: str) -> None:
    x = np.r_[np.tile([90.0, 110.0], 50), 500.0]  # the smallest step, 20, is larger than the sd
    frame = pd.DataFrame({"value": x, "model": "small", "route": 7})
    verdict = detector.begin().judge(EventColumns.of_frame(frame))
    assert verdict.reasons == {100: expected}


def test_the_numbers_of_a_reason_are_those_of_the_past() -> None:
    x = np.r_[normal(200), -300.0]
    mean, sd = (column[-1] for column in exponential(x, 0.02))
    off = f"{(mean + 300) / sd:.1f} sd below the recent mean {mean:.4g}"
    assert said(EWMA("value"), x) == f"value -300 is {off}"
    mean, weight = np.average(x[:-1], weights=faded(200)), faded(200)
    sd = np.sqrt((weight * (x[:-1] - mean) ** 2).sum() / (weight.sum() - 1))
    off = f"{(mean + 300) / sd:.1f} sd below the mean {mean:.4g}"
    assert said(ZScore("value"), x) == f"value -300 is {off}"
    assert said(Auto("value"), x) == f"value -300 is the lowest ever, {off}"
    x = np.r_[normal(400), np.full(5, 160.0)]
    total, mean = 12 * raw(CUSUM("value"), x)[-1], exponential(x, 0.01)[0][-1]
    assert said(CUSUM("value"), x) == (
        f"value has shifted: {total:.0f} sd have added up above the mean {mean:.4g}, now 160"
    )


def test_of_two_metrics_the_one_further_out_speaks() -> None:
    frame = pd.DataFrame({"a": normal(400), "b": normal(400, 1)})
    frame.loc[300, ["a", "b"]] = [200.0, 900.0]
    frame.loc[350, ["a", "b"]] = [np.nan, 900.0]
    verdict = ZScore(["a", "b"]).begin().judge(EventColumns.of_frame(frame))
    alone = [raw(ZScore("value"), frame[name].to_numpy()) for name in "ab"]
    np.testing.assert_array_equal(verdict.score, np.fmax(*alone))
    np.testing.assert_array_equal(
        verdict.metric[32:],
        np.where(np.isnan(alone[0][32:]), 1, np.nan_to_num(alone[1][32:]) > np.nan_to_num(alone[0][32:])),
    )
    assert verdict.reasons[300].startswith("b 900 is")
    assert verdict.reasons[350].startswith("b 900 is")
