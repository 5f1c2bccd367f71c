"""Confidence sequences of one arm and of two: accepted input, results, and independence of the looks."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.errors import ConfigError, SchemaError, StatError, StoreError
from crucible_nb.stats import sequences
from crucible_nb.stats.results import Interval
from crucible_nb.stats.sequences import ConfidenceSequence, Difference, confidence_sequence, difference
from crucible_nb.stats.sequences.quantile_grid import LIMIT, QuantileGrid

BOUND = (0.0, 5000.0)
ONE: dict[str, dict[str, Any]] = {
    "success_rate": {},
    "p50_latency_ms": {},
    "p99_latency_ms": {},
    "mean_latency_ms": {"bound": BOUND},
    "total_latency_ms": {"bound": BOUND},
    "latency_ms": {"asymptotic": True},
}


def values(metric: str, n: int, seed: int = 0, share: float = 0.9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if metric == "success_rate":
        return (rng.random(n) < share).astype(float)
    return np.minimum(rng.lognormal(6, 1, n), BOUND[1])


# -- what a sequence says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ONE)
@pytest.mark.parametrize("n", [0, 1, 2, 50, 5000])
def test_estimate_in_interval_of_any_size(metric: str, n: int) -> None:
    seq = confidence_sequence(values(metric, n), metric, **ONE[metric])
    low, high = seq.interval
    assert seq.n == n
    assert low <= high
    assert (math.isnan(seq.estimate)) == (n == 0)
    assert n == 0 or low <= seq.estimate <= high


@pytest.mark.parametrize("metric", ONE)
def test_the_same_events_say_the_same_to_the_bit_however_cut_and_looked_at(metric: str) -> None:
    x, rng = values(metric, 6000), np.random.default_rng(5)
    whole = ConfidenceSequence(metric, **ONE[metric]).update(x)
    cut = ConfidenceSequence(metric, **ONE[metric])
    for part in np.split(x, np.sort(rng.integers(0, len(x), 40))):
        _ = cut.interval, cut.estimate, cut.warnings, repr(cut)
        cut.update(part)
    assert cut.result() == whole.result()
    assert cut.to_dict() == whole.to_dict()


@pytest.mark.parametrize("metric", ["success_rate", "p50_latency_ms", "mean_latency_ms"])
def test_the_order_does_not_matter(metric: str) -> None:
    x = values(metric, 4000)
    one, two = (confidence_sequence(order, metric, **ONE[metric]) for order in (x, np.sort(x)))
    assert one.interval == two.interval


@pytest.mark.parametrize("metric", ONE)
@pytest.mark.parametrize("n", [0, 30, 5000])
def test_state_survives_json(metric: str, n: int) -> None:
    seq = confidence_sequence(values(metric, n), metric, **ONE[metric])
    again = ConfidenceSequence.from_dict(orjson.loads(orjson.dumps(seq.to_dict())))
    for one in (seq, again):
        one.update(values(metric, 100, seed=1))
    assert again.result() == seq.result()


@pytest.mark.parametrize("state", [{}, {"kind": "other"}, {"kind": "confidence_sequence", "version": 1}])
def test_a_broken_state_is_said_so(state: dict[str, Any]) -> None:
    with pytest.raises(StoreError):
        ConfidenceSequence.from_dict(state)
    with pytest.raises(StoreError):
        Difference.from_dict({**state, "kind": "difference"})


@pytest.mark.parametrize("path", [("arm",), ("neighbours",), ("missing",), ("metric", "kind")])
def test_a_state_with_a_hole_is_said_so(path: tuple[str, ...]) -> None:
    state = confidence_sequence([True, False]).to_dict()
    inner = state
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = "nonsense"
    with pytest.raises(StoreError):
        ConfidenceSequence.from_dict(state)


def test_it_prints_wherever_a_person_reads() -> None:
    seq = confidence_sequence([True] * 99 + [False])
    assert repr(seq).startswith("ConfidenceSequence\n  metric")
    assert "valid at every look" in repr(seq)
    assert "<caption>ConfidenceSequence</caption>" in seq._repr_html_()
    assert seq.to_frame().loc[0, "confidence_interval_low"] == seq.interval.low
    assert "ConfidenceSequence" not in seq.result().to_markdown()
    diff = Difference().update([True, False], [True, True])
    assert repr(diff).startswith("Difference\n  metric")
    assert "<caption>Difference</caption>" in diff._repr_html_()


def test_intervals_of_a_rate_by_hand() -> None:
    assert confidence_sequence([]).interval == Interval(0.0, 1.0)
    sure = confidence_sequence([True] * 1000)
    assert sure.interval.high == 1.0
    assert 0.985 < sure.interval.low < 1
    both = confidence_sequence([True, False] * 500).interval
    assert both.low == pytest.approx(1 - both.high, abs=1e-6)


def test_a_quantile_without_enough_values_has_no_limit() -> None:
    assert confidence_sequence(np.arange(5.0), "p50_x").interval == Interval(-math.inf, math.inf)
    few = confidence_sequence(np.arange(60.0), "p99_x").interval
    assert few.high == math.inf
    assert few.low > 0


def test_a_total_is_that_of_as_many_events() -> None:
    x = values("mean_latency_ms", 300)
    total, mean = (confidence_sequence(x, f"{what}_latency_ms", bound=BOUND) for what in ("total", "mean"))
    assert total.interval.low == pytest.approx(300 * mean.interval.low)
    assert total.estimate == pytest.approx(x.sum())


def test_limits_from_buckets_are_those_of_the_values_rounded_outwards() -> None:
    x = values("p50_latency_ms", 20_000)
    grid = QuantileGrid().update(x)
    assert not grid.exact
    low, high = sequences.quantiles.quantile_interval(grid, 0.5, 0.05)
    steps = QuantileGrid().update(x[:0]).bins()._replace(low=np.sort(x), high=np.sort(x), counts=np.ones(len(x)))
    exact = sequences.quantiles.profile(steps, 0.5, sequences.quantiles.STRENGTH)
    inside = np.sort(x)[exact.log < -math.log(0.05)]
    assert inside[0] * (1 - 1 / 128) <= low <= inside[0]
    assert inside[-1] <= high <= inside[-1] * (1 + 1 / 128)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_grid_knows_where_its_values_lie(sign: float) -> None:
    x = sign * np.concatenate((values("p50", 3000), [0.0, 1.0, 2.0**-1060, 5e-324]))
    grid = QuantileGrid().update(x)
    low, high, held = grid.bins()
    assert held.sum() == len(x)
    assert (low <= high).all()
    assert (low[1:] > high[:-1]).all()
    at = np.searchsorted(low, x, side="right") - 1
    assert (x <= high[at]).all()
    assert np.bincount(at, minlength=len(low)).tolist() == held.tolist()


def test_a_grid_is_exact_up_to_its_limit() -> None:
    x = np.random.default_rng(0).permutation(np.arange(float(LIMIT)))
    grid = QuantileGrid().update(np.repeat(x, 3))
    assert grid.exact
    assert grid.quantile(0.5) == np.median(x)
    assert not grid.update(np.array([-1.0])).exact
    again = QuantileGrid.from_dict(orjson.loads(orjson.dumps(grid.to_dict())))
    assert again.to_dict() == grid.to_dict()


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["mean_latency_ms", "total_cost_usd", "loss"])
def test_a_mean_without_a_bound_has_no_sequence(metric: str) -> None:
    column = metric.partition("_")[2] if "_" in metric else metric
    for call in (lambda: confidence_sequence([1.0, 2.0], metric), lambda: difference([1.0], [2.0], metric)):
        with pytest.raises(StatError, match=f"use p50_{column}, or bound=") as told:
            call()
        assert "Bahadur and Savage" in str(told.value)
        assert "asymptotic=True" in str(told.value)


def test_a_value_outside_of_the_bound_raises_and_leaves_everything_as_it_was() -> None:
    seq = confidence_sequence([0.2, 0.4], "score", bound=(0, 1))
    before = seq.to_dict()
    with pytest.raises(StatError, match=r"1\.5 is outside.*known beforehand"):
        seq.update([0.5, 1.5])
    assert seq.to_dict() == before
    diff = Difference("score", bound=(0, 1)).update([0.5], [0.5])
    state = diff.to_dict()
    with pytest.raises(StatError, match="is outside"):
        diff.update([0.5], [-0.1])
    assert diff.to_dict() == state


@pytest.mark.parametrize("bound", [1, (1,), (1, 1), (2, 1), (0, math.inf), (0, math.nan), ("a", "b"), (0, 1, 2)])
def test_what_is_no_bound(bound: Any) -> None:
    with pytest.raises(ConfigError, match="bound="):
        confidence_sequence([0.5], "score", bound=bound)


@pytest.mark.parametrize("confidence", [0, 1, 95, "high"])
def test_what_is_no_confidence(confidence: Any) -> None:
    with pytest.raises(ConfigError, match="confidence="):
        confidence_sequence([True], confidence=confidence)


def test_other_things_that_cannot_be() -> None:
    with pytest.raises(StatError, match="a ratio of two totals"):
        difference(pd.DataFrame({"cost_usd": [1.0], "success": [True]}), None, "cost_per_success")
    with pytest.raises(StatError, match="true, false, 0 or 1"):
        confidence_sequence([0.5])
    with pytest.raises(StatError, match="a ratio of two totals"):
        confidence_sequence(pd.DataFrame({"cost_usd": [1.0], "success": [True]}), "cost_per_success")
    with pytest.raises(SchemaError, match="no such column"):
        confidence_sequence(pd.DataFrame({"x": [1.0]}), "p50_latency_ms")
    with pytest.raises(StatError, match="p0"):
        confidence_sequence([1.0], "p0_latency_ms")
    with pytest.raises(StatError, match="paired=False"):
        difference([1.0], [1.0], "p50_latency_ms", paired=True)
    with pytest.raises(StatError, match="as many values of the control as of the treatment"):
        difference([True], [True, False], paired=True)
    with pytest.raises(StatError, match="expected lists, arrays or Series"):
        difference(pd.DataFrame({"success": [True]}), pd.DataFrame({"success": [True]}), paired=True)


def frame(n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {"latency_ms": rng.lognormal(6, 1, n), "success": rng.random(n) < 0.9, "extra": rng.random(n)},
        index=pd.date_range("2025-01-01", periods=n, freq="s", tz="UTC"),
    )


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (lambda exp: exp.query_window(last="1min"), "time window"),
        (lambda exp: exp.df.tail(100), "begin with seq=400"),
        (lambda exp: exp.df.iloc[10:], "begin with seq=10"),
        (lambda exp: exp.df.assign(weight=2.0), "are a weighted sample"),
    ],
)
def test_frames_that_are_not_everything_so_far(cut: Callable[[Any], pd.DataFrame], said: str) -> None:
    exp = cr.start("cut", clock="events")
    exp.extend(frame())
    for call in (lambda: confidence_sequence(cut(exp)), lambda: difference(exp, cut(exp))):
        with pytest.raises(StatError, match=said):
            call()


@pytest.mark.parametrize(
    "sampling",
    [
        cr.sampling.Reservoir(100),
        cr.sampling.Importance(100, by="latency_ms"),
        cr.sampling.Stratified({False: 1.0}, default=0.2),
    ],
)
def test_sampled_frames_are_refused_and_their_experiments_are_not(sampling: Any) -> None:
    exp = cr.start("sampled", sampling=sampling, seed=1)
    exp.extend(frame())
    with pytest.raises(StatError, match="pass the experiment itself"):
        confidence_sequence(exp.df)
    with pytest.raises(StatError, match="pass the experiment itself"):
        confidence_sequence(exp, "p50_extra")  # not counted live, so it would need the rows
    assert confidence_sequence(exp).interval == confidence_sequence(frame()).interval
    assert (
        confidence_sequence(exp, "p95_latency_ms").interval == confidence_sequence(frame(), "p95_latency_ms").interval
    )


def test_rows_that_left_memory_are_counted_all_the_same() -> None:
    exp = cr.start("short", max_events=50)
    exp.extend(frame())
    assert confidence_sequence(exp).n == 500
    with pytest.raises(StatError, match="left memory"):
        confidence_sequence(exp, "p50_extra")
    with pytest.raises(StatError, match="left memory"):
        difference(exp, exp, "extra", bound=(0, 1))


def test_events_that_came_with_weights_are_refused() -> None:
    exp = cr.start("weighted")
    exp.extend(frame().assign(weight=2.0))
    with pytest.raises(StatError, match="recorded with weights"):
        confidence_sequence(exp)


# -- where values come from ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [500, 5000])
@pytest.mark.parametrize("metric", ["success_rate", "p50_latency_ms", "p95_latency_ms"])
def test_an_experiment_says_what_its_events_say(metric: str, n: int) -> None:
    exp = cr.start("all", clock="events")
    exp.extend(frame(n))
    for found in (confidence_sequence(exp, metric), confidence_sequence(exp.df, metric)):
        assert found.interval == confidence_sequence(frame(n), metric).interval
        assert found.n == n
    assert difference(exp, exp, metric).n == (n, n)


def test_an_experiment_counts_means_and_missing_values() -> None:
    exp = cr.start("gaps")
    exp.extend(frame().assign(success=lambda x: x.success.astype("boolean").mask(x.extra < 0.5)))
    seq = confidence_sequence(exp)
    assert seq.missing + seq.n == 500
    assert seq.missing == (frame().extra < 0.5).sum()
    live, rows = (confidence_sequence(data, "latency_ms", asymptotic=True) for data in (exp, frame()))
    assert live.interval.low == pytest.approx(rows.interval.low, rel=1e-12)
    assert confidence_sequence(exp, "extra", bound=(0, 1)).n == 500


def test_rows_are_taken_by_seq() -> None:
    rows = frame().assign(seq=np.arange(500), extra=np.arange(500) % 2)
    shuffled = rows.sample(frac=1, random_state=0)
    one, two = (difference(data, frame(), "extra", bound=(0, 1)) for data in (rows, shuffled))
    assert one == two


@pytest.mark.parametrize("data", [None, [], np.array([]), pd.Series([], dtype=float)])
def test_it_may_begin_with_nothing(data: Any) -> None:
    seq = confidence_sequence(data, "p50_latency_ms")
    assert seq.n == 0
    assert seq.update([1.0]).update(2.0).update(pd.Series([3.0, None])).n == 3
    assert seq.missing == 1


def test_signature_is_the_one_agreed() -> None:
    assert list(inspect.signature(confidence_sequence).parameters)[:5] == [
        "data",
        "metric",
        "confidence",
        "bound",
        "asymptotic",
    ]
    seq = confidence_sequence([True])
    assert (seq.metric, seq.confidence, seq.n, seq.estimate) == ("success_rate", 0.95, 1, 1.0)


def test_neighbours_that_resemble_each_other_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    x = np.empty(3000)
    x[0] = 0.0
    for i in range(1, len(x)):
        x[i] = 0.7 * x[i - 1] + rng.normal()
    for metric in ("p50_latency_ms", "latency_ms"):
        told = confidence_sequence(np.exp(x), metric, asymptotic=True).warnings
        assert len(told) == 1
        assert "neighbouring events correlate (0.6" in told[0]
        assert confidence_sequence(rng.permutation(np.exp(x)), metric, asymptotic=True).warnings == ()
    told = difference(np.exp(x), rng.permutation(np.exp(x)), "p50_latency_ms").warnings
    assert [line[:8] for line in told] == ["control:"]
    exp = cr.start("slow")
    exp.extend(pd.DataFrame({"latency_ms": np.exp(x)}))
    assert len(confidence_sequence(exp, "p50_latency_ms").warnings) == 1


def test_asymptotic_ones_say_so_and_are_used_only_where_nothing_better_is() -> None:
    x = values("latency_ms", 200)
    seq = confidence_sequence(x, "mean_latency_ms", asymptotic=True)
    assert seq.asymptotic
    assert seq.result().asymptotic
    assert "valid only for large n" in seq.method
    assert not confidence_sequence(x, "mean_latency_ms", bound=BOUND, asymptotic=True).asymptotic
    assert not confidence_sequence(x, "p50_latency_ms", asymptotic=True).asymptotic
    assert not confidence_sequence([True], asymptotic=True).asymptotic
    assert difference(x, x, "latency_ms", asymptotic=True).asymptotic
    assert difference(x, x, "latency_ms", asymptotic=True, paired=True).asymptotic


def test_what_has_not_varied_yet_says_nothing() -> None:
    for n in (1, 2, 50):
        assert confidence_sequence([3.0] * n, "x", asymptotic=True).interval == Interval(-math.inf, math.inf)
    found = difference([3.0] * 50, [4.0] * 50, "x", asymptotic=True)
    assert (found.pvalue, found.decided) == (1.0, False)


def test_later_rows_need_not_begin_with_the_first() -> None:
    exp = cr.start("later", clock="events")
    exp.extend(frame())
    rows = exp.df
    seq = confidence_sequence(rows.iloc[:200]).update(rows.iloc[200:])
    assert seq.interval == confidence_sequence(rows).interval
    diff = Difference("p50_latency_ms").update(rows.iloc[:200], rows).update(rows.iloc[200:])
    assert diff.n == (500, 500)


@pytest.mark.parametrize("metric", ["success_rate", "p50_latency_ms"])
def test_an_experiment_against_a_frame(metric: str) -> None:
    exp = cr.start("one", sampling=cr.sampling.Reservoir(50), seed=1)
    exp.extend(frame())
    mixed, plain = (difference(one, frame(900).iloc[200:], metric) for one in (exp, frame()))
    assert mixed.n == (500, 700)
    assert mixed.confidence_interval == plain.confidence_interval
    with pytest.raises(StatError, match="infinite"):
        exp.record("x", latency_ms=math.inf)
        confidence_sequence(exp, "p50_latency_ms")


# -- two arms --------------------------------------------------------------------------------------------------------

TWO = {name: kind for name, kind in ONE.items() if name != "total_latency_ms"}


@pytest.mark.parametrize(
    ("metric", "paired"),
    [(metric, paired) for metric in TWO for paired in (False, True) if not (paired and metric.startswith("p"))],
)
def test_two_arms_at_different_speeds(metric: str, paired: bool) -> None:
    one, two = values(metric, 3000), values(metric, 3000, seed=1, share=0.8) * (1 if metric == "success_rate" else 1.0)
    whole = Difference(metric, paired=paired, **TWO[metric]).update(one, two)
    cut, rng = Difference(metric, paired=paired, **TWO[metric]), np.random.default_rng(0)
    done = [0, 0]
    while min(done) < 3000:
        step = [int(rng.integers(0, 200))] * 2 if paired else rng.integers(0, 300, 2).tolist()
        _ = cut.interval, cut.pvalue, cut.decided, repr(cut)
        cut.update(one[done[0] : done[0] + step[0]], two[done[1] : done[1] + step[1]])
        done = [min(3000, a + b) for a, b in zip(done, step, strict=True)]
    assert cut.result() == whole.result()
    again = Difference.from_dict(orjson.loads(orjson.dumps(whole.to_dict())))
    assert again.result() == whole.result()
    assert whole.interval.low <= whole.estimate <= whole.interval.high
    assert whole.decided == (whole.pvalue <= 0.05) == (whole.evidence >= 20)
    assert whole.decided == (not whole.interval.low <= 0 <= whole.interval.high)


@pytest.mark.parametrize("metric", TWO)
def test_arms_that_have_nothing_say_nothing(metric: str) -> None:
    for sides in (((), ()), (values(metric, 50), ()), ((), values(metric, 50))):
        found = Difference(metric, **TWO[metric]).update(*sides).result()
        assert math.isnan(found.estimate)
        assert (found.pvalue, found.decided) == (1.0, False)
        assert found.confidence_interval.low < 0 < found.confidence_interval.high


@pytest.mark.parametrize("metric", TWO)
def test_the_sign_is_that_of_treatment_minus_control(metric: str) -> None:
    low, high = values(metric, 2000, share=0.5), values(metric, 2000, seed=1, share=0.9)
    if metric != "success_rate":
        low = low / 10
    found, back = (difference(*sides, metric, **TWO[metric]) for sides in ((low, high), (high, low)))
    assert found.decided
    assert found.confidence_interval.low > 0
    assert found.estimate == pytest.approx(-back.estimate)
    assert found.confidence_interval.low == pytest.approx(-back.confidence_interval.high, rel=1e-4)


@pytest.mark.parametrize("a", [(0, 40), (40, 40), (3, 500), (250, 500)])
@pytest.mark.parametrize("b", [(0, 60), (60, 60), (30, 500)])
def test_rates_are_excluded_exactly_where_evidence_reaches_the_threshold(
    a: tuple[int, int], b: tuple[int, int]
) -> None:
    one, two = sequences.rates.SuccessCounts(*map(float, a)), sequences.rates.SuccessCounts(*map(float, b))
    low, high = sequences.rates.difference_interval(one, two, 0.05)
    for end, beyond in ((low, -1e-3), (high, 1e-3)):
        if abs(end) < 1:
            assert sequences.rates.log_difference(one, two, end) >= math.log(20)
            assert sequences.rates.log_difference(one, two, end - beyond) < math.log(20)


def test_quantiles_of_two_arms_by_brute_force() -> None:
    rng = np.random.default_rng(2)
    one, two = np.round(rng.lognormal(3, 1, 150)), np.round(rng.lognormal(3.2, 1, 120))
    logs = []
    for x in (one, two):
        at = np.unique(x)
        counts = [np.array([(x <= q).sum() for q in at]), np.array([(x < q).sum() for q in at])]
        logs.append((at, sequences.mixture.log_sides(*counts, float(len(x)), 0.5, sequences.quantiles.AGAINST)))
    (qa, la), (qb, lb) = logs
    inside = (la[:, None] + lb) < math.log(20)
    gaps = (qb - qa[:, None])[inside]
    found = difference(one, two, "p50_latency_ms")
    assert found.confidence_interval == Interval(gaps.min(), gaps.max())


def test_pairs_depend_on_each_other_and_that_helps() -> None:
    rng = np.random.default_rng(0)
    item = rng.beta(2, 2, 400)
    one, two = np.clip(item + rng.normal(0, 0.02, 400), 0, 1), np.clip(item + 0.03 + rng.normal(0, 0.02, 400), 0, 1)
    paired, apart = (
        difference(one, rng.permutation(two) if cut else two, "score", bound=(0, 1)) for cut in (False, True)
    )
    assert paired.confidence_interval.high - paired.confidence_interval.low < 0.7 * (
        apart.confidence_interval.high - apart.confidence_interval.low
    )
    gone = difference([0.1, None, 0.3], [0.2, 0.3, None], "score", bound=(0, 1), paired=True)
    assert gone.n == (1, 1)
    assert difference([True, False], [True, True], paired=True).n == (2, 2)


def test_the_first_look_that_decided_is_said() -> None:
    one, two = values("success_rate", 2000, share=0.98), values("success_rate", 2000, seed=1, share=0.8)
    found = difference(one, two, looks=range(20, 2001, 20))
    assert found.decided_at is not None
    n = found.decided_at[0]
    assert n % 20 == 0
    assert difference(one[:n], two[:n]).decided
    assert not difference(one[: n - 20], two[: n - 20]).decided
    assert found.n == (2000, 2000)
    assert difference(one, one, looks=[100, 200]).decided_at is None
    assert difference(one, two).decided_at is None
    assert difference(one, two, looks=range(20, 2001, 20), paired=True, bound=(0, 1)).decided


# -- small simulations; the large ones are tools/simulate_peeking.py ---------------------------------------------------


@pytest.mark.check
def test_the_truth_stays_inside_at_every_look() -> None:
    rng, left = np.random.default_rng(0), 0
    for _ in range(60):
        rate = ConfidenceSequence()
        middle = ConfidenceSequence("p50_x")
        mean = ConfidenceSequence("x", bound=(0, 1))
        out = False
        for _ in range(12):
            x = rng.random(40)
            for seq, new, truth in ((rate, x < 0.3, 0.3), (middle, x, 0.5), (mean, x, 0.5)):
                low, high = seq.update(new).interval
                out |= not low <= truth <= high
        left += out
    assert left <= 9  # three promises of 5 %


def test_a_real_difference_is_found() -> None:
    rng, found = np.random.default_rng(0), []
    for _ in range(40):
        a, b = (rng.random(1050) < 0.02).cumsum(), (rng.random(1050) < 0.05).cumsum()
        arms = (
            (sequences.rates.SuccessCounts(a[n - 1], n), sequences.rates.SuccessCounts(b[n - 1], n))
            for n in range(50, 1051, 50)
        )
        found.append(any(sequences.rates.log_difference(*pair) >= math.log(20) for pair in arms))
    assert np.mean(found) >= 0.65
    slow, fast = rng.lognormal(6.7, 1.5, (10, 1000)), rng.lognormal(6, 1.5, (10, 1000))
    assert all(difference(one, two, "p50_latency_ms").decided for one, two in zip(slow, fast, strict=True))


# -- later rows, and scales ------------------------------------------------------------------------------------------


def test_rows_that_are_counted_already_are_noticed() -> None:
    exp = cr.start("twice", clock="events")
    exp.extend(frame())
    rows = exp.frame()
    for seq in (confidence_sequence(rows[:200]), confidence_sequence().update(rows[:200])):
        before = seq.to_dict()
        for again in (rows, rows[199:], rows[:200], exp):
            with pytest.raises(
                StatError, match=r"values: its rows begin with seq=\d+, but rows up to seq=199 are counted"
            ):
                seq.update(again)
        assert seq.to_dict() == before
        later = ConfidenceSequence.from_dict(seq.to_dict())
        with pytest.raises(StatError, match="counted already"):
            later.update(rows)
        assert later.update(rows[200:]).interval == confidence_sequence(rows).interval
    with pytest.raises(StatError, match="counted already"):
        confidence_sequence(exp).update(rows)  # filled from live metrics


def test_rows_of_either_arm_that_are_counted_already_are_noticed() -> None:
    exp = cr.start("twice in two arms", clock="events")
    exp.extend(frame())
    rows = exp.frame()
    diff = Difference().update(rows[:200], rows[:300])
    for arms, name in (({"control": rows}, "control"), ({"treatment": rows[250:]}, "treatment")):
        with pytest.raises(StatError, match=f"{name}: its rows begin with"):
            Difference.from_dict(diff.to_dict()).update(**arms)
    assert diff.update(rows[200:], rows[300:]).n == (500, 500)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-150, 1e150, 1e160, 1e300])
@pytest.mark.parametrize(
    ("metric", "options"), [("p50_x", {}), ("x", {"bound": (0.0, 2.0)}), ("x", {"asymptotic": True})]
)
def test_intervals_follow_the_scale(scale: float, metric: str, options: dict) -> None:
    a, b = (np.random.default_rng(seed).random(300) * high for seed, high in ((0, 1.0), (1, 1.5)))
    scaled = {name: (0.0, 2 * scale) if name == "bound" else value for name, value in options.items()}
    one, same = confidence_sequence(a * scale, metric, **scaled), confidence_sequence(a, metric, **options)
    np.testing.assert_allclose(np.array(one.interval) / scale, same.interval, rtol=1e-6)
    for paired in (False, True) if metric == "x" else (False,):
        two = difference(a * scale, b * scale, metric, paired=paired, **scaled)
        as_one = difference(a, b, metric, paired=paired, **options)
        np.testing.assert_allclose(np.array(two.confidence_interval) / scale, as_one.confidence_interval, rtol=1e-6)
        assert two.evidence == pytest.approx(as_one.evidence, rel=1e-6)


@pytest.mark.parametrize(("metric", "bound"), [("p50_x", None), ("p95_x", None), ("x", (1e9, 1e9 + 1))])
def test_a_common_offset_costs_no_digits(metric: str, bound: Any) -> None:
    x = np.round(np.random.default_rng(0).random(5000) * 2**20) / 2**20  # exact beside 1e9
    plain = confidence_sequence(x[:LIMIT], metric, bound=None if bound is None else (0, 1))
    some, every = (confidence_sequence(x[:n] + 1e9, metric, bound=bound) for n in (LIMIT, 5000))
    np.testing.assert_allclose(np.array(some.interval) - 1e9, plain.interval, atol=1e-6)
    width = every.interval.high - every.interval.low
    assert width < 0.75 * (plain.interval.high - plain.interval.low)
    assert every.interval.low < every.estimate < every.interval.high
    in_parts = ConfidenceSequence(metric, bound=bound)
    for part in np.array_split(x + 1e9, 7):
        in_parts.update(part)
    assert in_parts.interval == every.interval
    assert ConfidenceSequence.from_dict(in_parts.to_dict()).interval == every.interval
