"""Permutation test: how often chance alone, handing out the labels anew, makes a difference as large."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.effects.sizes import matched
from crucible_nb.stats.effects.standardized import UNKNOWN
from crucible_nb.stats.estimates.mover import difference_limits
from crucible_nb.stats.estimates.ranked import ranked
from crucible_nb.stats.hypotests.means import TURNED, checked, paired_t_of, t_of
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.arms import ARMS, check_spread, notes_of, shared_clusters, two_arms
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.wording import interval_text, joined, sizes_text, unit_of, what_of
from crucible_nb.utils import checks

_CELLS = 10**7
"""Values that a batch of arrangements may hold at once."""

Statistic = Callable[..., Any]


class _Arrangements(NamedTuple):
    """What scipy is to shuffle: numbers of units, and the statistic of two lots of them."""

    first: np.ndarray
    second: np.ndarray
    statistic: Statistic
    vectorised: bool


class _Beside(NamedTuple):
    """What stands beside the p-value and comes from another method."""

    estimate: float
    interval: Interval
    effect: str
    size: float
    limits: Interval
    way: str


def permutation_test(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    paired: bool = False,
    alternative: str = "two-sided",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    pair_by: str = "sample_id",
    n_resamples: int = 9999,
    seed: int = 0,
) -> TestResult:
    """Whether two arms have the same distribution, by the difference of a mean, rate, ratio or quantile.

    All arrangements are tried where they are at most `n_resamples`, else so many random ones; then the observed one
    counts as one of them, so that p is never 0.

    Args:
        control, treatment: Experiments, frames, Series, lists or arrays.
        metric: A column for its mean, "success_rate", "p95_latency_ms", a ratio such as "cost_per_success".
        paired: The same items on both sides: labels change places within an item.
        alternative: "two-sided", "greater" (the treatment has more) or "less".
        confidence: Coverage of the intervals.
        resample: Width of time blocks, e.g. "1min", that change places.
        cluster: Column of what groups rows that are alike; clusters change places as a whole.
        pair_by: Column that names the item, with `paired`.
        n_resamples: Random arrangements.
        seed: Of their choice.

    Returns:
        TestResult: `statistic` is that of control - treatment. Shuffling makes no interval: that of a mean, rate or
        ratio is Welch's (or the paired t's), that of a quantile comes from order statistics of each arm, and pairs
        of quantiles have none.

    Raises:
        StatError: Too few values, no spread, rows that were sampled, clusters that occur in both arms.

    Examples:
        >>> from crucible_nb.stats.hypotests.permutation import permutation_test
        >>> result = permutation_test([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
        >>> result.pvalue, result.estimate  # two of twenty arrangements are as far apart
        (0.1, 3.0)

    References:
        Phipson, Smyth: Permutation p-values should never be zero. Statistical Applications in Genetics and Molecular
        Biology 9 (2010).
    """
    confidence = checked(alternative, confidence)
    checks.whole("n_resamples", n_resamples, ge=99)
    checks.whole("seed", seed)
    pairs = matched(control, treatment, metric, pair_by, cluster, resample) if paired else None
    arms = two_arms(control, treatment, metric, cluster=cluster, resample=resample) if pairs is None else pairs[:2]
    _check(arms, paired=paired)
    beside = _beside(*arms, alternative, confidence) if pairs is None else _beside_pairs(pairs, alternative, confidence)
    statistic, pvalue, exact = _shuffled(_arrange(*arms), alternative, n_resamples, seed, paired=paired)
    shuffled = _shuffled_name(arms, paired=paired)
    way = f"all arrangements of {shuffled}"
    if not exact:
        way = f"{n_resamples:,} random arrangements of {shuffled}, seed {seed}"
    notes = notes_of(arms, ARMS) if pairs is None else notes_of(arms[:1], ("pairs",)).plus(exclusions=pairs.exclusions)
    null = f"under the null hypothesis both arms have the same distribution, not only the same {metric}"
    notes = notes.plus([way, null, beside.way])
    n, test = (len(arms[0].x), len(arms[1].x)), "paired permutation test" if paired else "permutation test"
    what, unit = what_of(arms[0].metric), unit_of(arms[0].metric)
    who = f"of {n[0]:,} items" if paired else f"between {sizes_text(ARMS, n)}"
    said = joined(
        f"{test[0].upper()}{test[1:]} of the {what} {who} ({way}): "
        f"difference {number(beside.estimate)}{unit}", interval_text(beside.interval, confidence),
        p_text(pvalue), f"{beside.effect} = {number(beside.size)}" if beside.effect else "",
    )  # fmt: skip
    return TestResult(
        test, arms[0].metric.name, beside.estimate, f"difference of {what}, treatment - control", beside.interval,
        confidence, statistic, None, pvalue, beside.effect, beside.size, beside.limits, alternative,
        n[0] if paired else n, notes.assumptions, notes.exclusions, None, said, notes.warnings,
    )  # fmt: skip


def _check(arms: tuple[Values, Values], *, paired: bool) -> None:
    metric = arms[0].metric
    if any(arm.sampled for arm in arms):
        other = f"mann_whitney_u on {metric.column}" if metric.kind == "quantile" else "t_test"
        raise StatError(f"permutation_test: rows that were sampled are not exchangeable; use {other}, with weights")
    if metric.kind == "total":
        raise StatError(f"permutation_test: a total depends on how long an arm ran; compare mean_{metric.column}")
    check_spread(arms, ARMS)
    if not paired and shared_clusters(arms):
        raise StatError(
            f"permutation_test: {shared_clusters(arms):,} clusters occur in both arms and cannot change places; "
            "use t_test(cluster=...), which takes their covariance into account"
        )


def _arrange(control: Values, treatment: Values) -> _Arrangements:
    """Units, counted from 0 over both arms: rows, or clusters; those of pairs have the same places in both."""
    codes = [_units(arm) for arm in (control, treatment)]
    held = int(codes[0].max()) + 1
    code = np.concatenate([codes[0], codes[1] + held])
    units = np.arange(held), np.arange(held, int(code.max()) + 1)
    x = np.concatenate([control.x, treatment.x])
    if control.metric.kind == "quantile":
        return _Arrangements(*units, _quantiles(x, code, control.metric.q), vectorised=False)
    per = [np.ones(len(arm.x)) if arm.per is None else arm.per for arm in (control, treatment)]
    top, under = np.bincount(code, x), np.bincount(code, np.concatenate(per))

    def statistic(first: np.ndarray, second: np.ndarray, axis: int = -1) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):  # an arrangement without any success has no ratio
            one, two = (top[part].sum(axis) / under[part].sum(axis) for part in (first, second))
        return one - two

    return _Arrangements(*units, statistic, vectorised=True)


def _units(arm: Values) -> np.ndarray:
    """What changes places, counted from 0: each row, or each cluster."""
    if arm.cluster is None:
        return np.arange(len(arm.x))
    return np.asarray(np.unique(arm.cluster, return_inverse=True)[1])


def _quantiles(x: np.ndarray, code: np.ndarray, q: float) -> Statistic:
    """The difference of quantiles of two lots of units; values are sorted once."""
    order = np.argsort(x, kind="stable")
    x, code = x[order], code[order]
    inside = np.zeros(int(code.max()) + 1, bool)

    def of(part: np.ndarray) -> float:
        inside[:] = False
        inside[part] = True
        found = x[inside[code]]
        at = q * (len(found) - 1)
        low = int(at)
        high = min(low + 1, len(found) - 1)
        return float(found[low] + (at - low) * (found[high] - found[low]))

    def statistic(first: np.ndarray, second: np.ndarray) -> float:
        return of(first) - of(second)

    return statistic


def _shuffled(
    units: _Arrangements, alternative: str, n_resamples: int, seed: int, *, paired: bool
) -> tuple[float, float, bool]:
    """Statistic, p-value, and whether all arrangements were tried."""
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    n, m = len(units.first), len(units.second)
    found = stats.permutation_test(
        (units.first, units.second), units.statistic, permutation_type="samples" if paired else "independent",
        vectorized=units.vectorised, n_resamples=n_resamples, batch=max(1, _CELLS // (n + m)),
        alternative=TURNED[alternative], rng=np.random.default_rng(seed),
    )  # fmt: skip
    arrangements = 2.0**n if paired and n < 1000 else math.inf if paired or n + m > 1000 else math.comb(n + m, n)
    return float(found.statistic), float(found.pvalue), arrangements <= n_resamples


def _shuffled_name(arms: tuple[Values, Values], *, paired: bool) -> str:
    sizes = [weighted.units(len(arm.x), arm.cluster) for arm in arms]
    what = "values" if arms[0].cluster is None else "clusters"
    if paired:
        return f"the signs of {sizes[0]:,} {'pairs' if arms[0].cluster is None else 'clusters of pairs'}"
    return f"{sizes[0]:,} and {sizes[1]:,} {what}"


def _beside(control: Values, treatment: Values, alternative: str, confidence: float) -> _Beside:
    if control.metric.kind != "quantile":
        return _of_test(t_of(control, treatment, alternative, confidence))
    sides = [ranked(arm) for arm in (control, treatment)]
    level = two_sided_level(confidence, alternative)
    first, second = ((side.estimate, side.limits(level)) for side in sides)
    interval = one_sided(difference_limits(first, second), alternative)
    return _Beside(second[0] - first[0], interval, "", math.nan, UNKNOWN,
                   "the interval comes from order statistics of each arm, not from shuffling")  # fmt: skip


def _beside_pairs(pairs: Pairs, alternative: str, confidence: float) -> _Beside:
    if pairs.control.metric.kind != "quantile":
        return _of_test(paired_t_of(pairs, alternative, confidence))
    first, second = (
        weighted.quantile(arm.x, np.ones(len(arm.x)), arm.metric.q) for arm in (pairs.control, pairs.treatment)
    )
    return _Beside(second - first, UNKNOWN, "", math.nan, UNKNOWN, "pairs of quantiles have no interval")


def _of_test(result: TestResult) -> _Beside:
    return _Beside(
        result.estimate, result.confidence_interval, result.effect, result.effect_size, result.effect_interval,
        f"the interval is that of the {result.test}, not from shuffling",
    )  # fmt: skip
