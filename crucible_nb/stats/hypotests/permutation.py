"""Permutation test: how often random relabelling of the rows gives a difference as large as the observed one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import Metric, unit_of
from crucible_nb.events.where import Where
from crucible_nb.stats import weighted
from crucible_nb.stats.effects.sizes import match_pairs
from crucible_nb.stats.estimates.contrast import NO_CHANGE, RelativeChange
from crucible_nb.stats.estimates.two_quantiles import quantile_contrast
from crucible_nb.stats.hypotests.means import SCIPY_ALTERNATIVE, check_test_arguments, paired_t_test, two_sample_t_test
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import UNKNOWN, Interval, number
from crucible_nb.stats.samples.arms import ARMS, Notes, check_spread, notes_of, shared_clusters, two_arms
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values, rows_where
from crucible_nb.stats.wording import interval_text, joined, sizes_text, what_of
from crucible_nb.utils import checks

_CELLS = 10**7
"""Maximal number of values in a batch of permutations."""

Statistic = Callable[..., Any]


class _Permutable(NamedTuple):
    """Units to permute: their codes in each arm, and the statistic of two sets of codes."""

    first: np.ndarray
    second: np.ndarray
    statistic: Statistic
    vectorized: bool


class _Estimates(NamedTuple):
    """Estimate and effect size with their intervals, which do not come from permutation; `note` tells the method."""

    estimate: float
    interval: Interval
    effect: str
    size: float
    size_interval: Interval
    change: RelativeChange
    note: str
    error: float = math.nan


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
    *,
    where: Where = None,
) -> TestResult:
    """Test whether two arms have the same distribution, by permutation of a mean, rate, ratio or quantile.

    All permutations are tried if they are at most `n_resamples`, otherwise `n_resamples` random ones; the observed one
    then counts as one of them, so that p is never 0.

    Args:
        control, treatment: Experiments, frames, Series, lists or arrays.
        metric: A column for its mean, "success_rate", "p95_latency_ms", a ratio such as "cost_per_success".
        paired: Both arms have the same items; labels are permuted within an item.
        alternative: "two-sided", "greater" (the treatment has more) or "less".
        confidence: Coverage of the intervals.
        resample: Width of time blocks, e.g. "1min", that are permuted in place of rows.
        cluster: Column of clusters of similar rows; clusters are permuted as a whole.
        pair_by: Column of item ids, with `paired`.
        n_resamples: Number of random permutations.
        seed: Random seed.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult: `statistic` is that of control - treatment. The interval does not come from permutation: that of a
        mean, rate or ratio is Welch's (or the paired t's), that of a quantile comes from order statistics of each arm,
        and paired quantiles have none.

    Raises:
        StatError: Too few values, constant values, sampled rows, clusters that occur in both arms.

    Examples:
        >>> from crucible_nb.stats.hypotests.permutation import permutation_test
        >>> result = permutation_test([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
        >>> result.pvalue, result.estimate  # two of twenty permutations differ as much
        (0.1, 3.0)

    References:
        Phipson, Smyth: Permutation p-values should never be zero. Statistical Applications in Genetics and Molecular
        Biology 9 (2010).
    """
    control, treatment = rows_where(where, control, treatment)
    confidence = check_test_arguments(alternative, confidence)
    checks.whole("n_resamples", n_resamples, ge=99)
    checks.whole("seed", seed)
    pairs = match_pairs(control, treatment, metric, pair_by, cluster, resample) if paired else None
    arms = two_arms(control, treatment, metric, cluster=cluster, resample=resample) if pairs is None else pairs.arms
    _check_exchangeable(arms, paired=paired)
    estimates = (
        _estimate(*arms, alternative, confidence) if pairs is None else _estimate_pairs(pairs, alternative, confidence)
    )
    statistic, pvalue, exact = _permute(_permutable(*arms), alternative, n_resamples, seed, paired=paired)
    procedure = f"all permutations of {_units_text(arms, paired=paired)}"
    if not exact:
        procedure = f"{n_resamples:,} random permutations of {_units_text(arms, paired=paired)}, seed {seed}"
    notes = (
        notes_of(arms, ARMS)
        if pairs is None
        else notes_of((pairs.control,), ("pairs",)).plus(exclusions=pairs.exclusions)
    )
    null = f"under the null hypothesis both arms have the same distribution, not only the same {metric}"
    notes = notes.plus([procedure, null, estimates.note])
    n = (arms[0].n, arms[1].n) if pairs is None else (pairs.control.n, pairs.treatment.n)
    return _result(arms[0].metric, estimates, (statistic, pvalue), procedure, notes, paired=paired, n=n,
                   alternative=alternative, confidence=confidence)  # fmt: skip


def _result(
    metric: Metric, estimates: _Estimates, test: tuple[float, float], procedure: str, notes: Notes, *, paired: bool,
    n: tuple[int, int], alternative: str, confidence: float,
) -> TestResult:  # fmt: skip
    statistic, pvalue = test
    name = "paired permutation test" if paired else "permutation test"
    what, unit = what_of(metric), unit_of(metric)
    groups = f"of {n[0]:,} items" if paired else f"between {sizes_text(ARMS, n)}"
    return TestResult(
        test=name, metric=metric.name, estimate=estimates.estimate,
        estimand=f"difference of {what}, treatment - control", confidence_interval=estimates.interval,
        confidence=confidence, statistic=statistic, df=None, pvalue=pvalue, effect=estimates.effect,
        effect_size=estimates.size, effect_interval=estimates.size_interval, alternative=alternative,
        n=n[0] if paired else n, assumptions=notes.assumptions, exclusions=notes.exclusions, warnings=notes.warnings,
        method=joined(
            f"{name[0].upper()}{name[1:]} of the {what} {groups} ({procedure}): "
            f"difference {number(estimates.estimate)}{unit}", interval_text(estimates.interval, confidence),
            p_text(pvalue), f"{estimates.effect} = {number(estimates.size)}" if estimates.effect else "",
        ),
        relative_change=estimates.change.value, relative_interval=estimates.change.interval,
        standard_error=estimates.error,
    )  # fmt: skip


def _check_exchangeable(arms: tuple[Values, Values], *, paired: bool) -> None:
    metric = arms[0].metric
    if any(arm.sampled for arm in arms):
        other = f"mann_whitney_u on {metric.column}" if metric.kind == "quantile" else "t_test"
        raise StatError(f"permutation_test: sampled rows are not exchangeable; use {other}, which uses weights")
    if metric.kind == "total":
        raise StatError(f"permutation_test: a total depends on how long an arm ran; compare mean_{metric.column}")
    check_spread(arms, ARMS)
    if not paired and shared_clusters(arms):
        raise StatError(
            f"permutation_test: {shared_clusters(arms):,} clusters occur in both arms and cannot be permuted; "
            "use t_test(cluster=...), which takes their covariance into account"
        )


def _permutable(control: Values, treatment: Values) -> _Permutable:
    """Number the units (rows or clusters) from 0 over both arms; those of pairs are in the same order in both."""
    codes = [_unit_codes(arm) for arm in (control, treatment)]
    first_units = int(codes[0].max()) + 1
    code = np.concatenate([codes[0], codes[1] + first_units])
    units = np.arange(first_units), np.arange(first_units, int(code.max()) + 1)
    x = np.concatenate([control.x, treatment.x])
    if control.metric.kind == "quantile":
        return _Permutable(*units, _quantile_statistic(x, code, control.metric.q), vectorized=False)
    per = [np.ones(len(arm.x)) if arm.per is None else arm.per for arm in (control, treatment)]
    top, under = np.bincount(code, x), np.bincount(code, np.concatenate(per))

    def statistic(first: np.ndarray, second: np.ndarray, axis: int = -1) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):  # a permutation without any success has no ratio
            one, two = (top[part].sum(axis) / under[part].sum(axis) for part in (first, second))
        return one - two

    return _Permutable(*units, statistic, vectorized=True)


def _unit_codes(arm: Values) -> np.ndarray:
    """Code of the permuted unit (row or cluster) of each row, from 0."""
    if arm.cluster is None:
        return np.arange(len(arm.x))
    return np.asarray(np.unique(arm.cluster, return_inverse=True)[1])


def _quantile_statistic(x: np.ndarray, code: np.ndarray, q: float) -> Statistic:
    """Function that gives the difference of the quantiles of two sets of units; values are sorted once."""
    order = np.argsort(x, kind="stable")
    x, code = x[order], code[order]
    inside = np.zeros(int(code.max()) + 1, bool)

    def quantile(part: np.ndarray) -> float:
        inside[:] = False
        inside[part] = True
        values = x[inside[code]]
        at = q * (len(values) - 1)
        low = int(at)
        high = min(low + 1, len(values) - 1)
        return float(values[low] + (at - low) * (values[high] - values[low]))

    def statistic(first: np.ndarray, second: np.ndarray) -> float:
        return quantile(first) - quantile(second)

    return statistic


def _permute(
    units: _Permutable, alternative: str, n_resamples: int, seed: int, *, paired: bool
) -> tuple[float, float, bool]:
    """Give the statistic, the p-value, and whether all permutations were tried."""
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    n, m = len(units.first), len(units.second)
    test = stats.permutation_test(
        (units.first, units.second), units.statistic, permutation_type="samples" if paired else "independent",
        vectorized=units.vectorized, n_resamples=n_resamples, batch=max(1, _CELLS // (n + m)),
        alternative=SCIPY_ALTERNATIVE[alternative], rng=np.random.default_rng(seed),
    )  # fmt: skip
    permutations = 2.0**n if paired and n < 1000 else math.inf if paired or n + m > 1000 else math.comb(n + m, n)
    return float(test.statistic), float(test.pvalue), permutations <= n_resamples


def _units_text(arms: tuple[Values, Values], *, paired: bool) -> str:
    sizes = [weighted.units(len(arm.x), arm.cluster) for arm in arms]
    what = "values" if arms[0].cluster is None else "clusters"
    if paired:
        return f"the signs of {sizes[0]:,} {'pairs' if arms[0].cluster is None else 'clusters of pairs'}"
    return f"{sizes[0]:,} and {sizes[1]:,} {what}"


def _estimate(control: Values, treatment: Values, alternative: str, confidence: float) -> _Estimates:
    if control.metric.kind != "quantile":
        return _estimates_of_test(two_sample_t_test(control, treatment, alternative, confidence))
    contrast, level = quantile_contrast(control, treatment), two_sided_level(confidence, alternative)
    change = contrast.relative(level)
    return _Estimates(
        contrast.treatment - contrast.control, one_sided(contrast.difference(level), alternative), "", math.nan,
        UNKNOWN, change._replace(interval=one_sided(change.interval, alternative)),
        "the interval comes from order statistics of each arm, not from permutation",
    )  # fmt: skip


def _estimate_pairs(pairs: Pairs, alternative: str, confidence: float) -> _Estimates:
    if pairs.control.metric.kind != "quantile":
        return _estimates_of_test(paired_t_test(pairs, alternative, confidence))
    first, second = (weighted.quantile(arm.x, np.ones(len(arm.x)), arm.metric.q) for arm in pairs.arms)
    return _Estimates(second - first, UNKNOWN, "", math.nan, UNKNOWN, NO_CHANGE, "paired quantiles have no interval")


def _estimates_of_test(result: TestResult) -> _Estimates:
    return _Estimates(
        result.estimate, result.confidence_interval, result.effect, result.effect_size, result.effect_interval,
        RelativeChange(result.relative_change, result.relative_interval),
        f"the interval is that of the {result.test}, not from permutation", result.standard_error,
    )  # fmt: skip
