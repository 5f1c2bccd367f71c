"""Analysis of variance: whether the means of several groups differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.explained import Ratio, explained_of, groups_named, sums_of_squares, wald_of
from crucible_nb.stats.effects.standardized import UNKNOWN
from crucible_nb.stats.outcome import TestResult, p_text
from crucible_nb.stats.results import number
from crucible_nb.stats.samples.arms import (
    Moments,
    Notes,
    arms_of,
    check_spread,
    equal_variances,
    linear,
    moments_of,
    notes_of,
)
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.wording import interval_text, joined, sizes_text, what_of
from crucible_nb.utils import checks


def anova(
    *groups: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    equal_variance: bool = False,
) -> TestResult:
    """Whether the means of several groups differ: one-way analysis of variance, Welch's by default.

    Rows that were sampled count with their weights and rows in clusters by their clusters: Welch's formula then takes
    the linearised variance of each mean; where clusters occur in several groups, a Wald test with their covariances.

    Args:
        *groups: Two or more experiments, frames, Series, lists or arrays.
        metric: A column, "mean_" and a column, "success_rate", or a ratio such as "cost_per_success".
        confidence: Coverage of the interval of the effect size; 0.90 is customary for it.
        resample: Width of time blocks, e.g. "1min", whose values stand in for the rows.
        cluster: Column of what groups rows that are alike, e.g. "session_id".
        equal_variance: The classical F test, for rows that stand for themselves.

    Returns:
        TestResult: `statistic` is F, `df` (between, within), the effect size eta squared.

    Raises:
        StatError: One group only, too few values, no spread, a quantile or a total.

    Examples:
        >>> from crucible_nb.stats.hypotests.groups import anova
        >>> result = anova([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [6.0, 7.0, 8.0], equal_variance=True)
        >>> round(result.statistic, 6), result.df, result.effect_size
        (21.0, (2.0, 6.0), 0.875)

    References:
        Welch: On the comparison of several mean values: an alternative approach. Biometrika 38 (1951).
        Delacre et al.: Taking parametric assumptions seriously: arguments for the use of Welch's F-test. International
        Review of Social Psychology 32 (2019).
    """
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    names = groups_named(groups, "anova")
    arms = arms_of(groups, names, metric, cluster=cluster, resample=resample)
    return anova_of(arms, names, confidence, equal_variance=equal_variance)


def anova_of(
    arms: Sequence[Values], names: Sequence[str], confidence: float, *, equal_variance: bool = False
) -> TestResult:
    """`anova` of groups that were read already; see there."""
    check_spread(arms, names)
    estimates = [linear(arm, "anova") for arm in arms]
    simple = all(arm.plain and arm.per is None for arm in arms)
    if equal_variance and not simple:
        raise StatError("equal_variance=True is for rows that stand for themselves; leave it out, Welch's test follows")
    ratio = _classical(arms) if equal_variance else wald_of(arms, estimates)[0]
    test = "one-way ANOVA" if equal_variance else "Welch's ANOVA"
    test += "" if simple else " with linearised standard errors"
    ratio_metric = arms[0].per is not None
    found = None if ratio_metric else explained_of(arms, names, confidence)
    eta, limits = (math.nan, UNKNOWN) if found is None else (found.eta, found.interval)
    notes = notes_of(arms, names).plus(*_spreads(arms, names, equal_variance=equal_variance))
    sizes = tuple(len(arm.x) for arm in arms)
    means = ", ".join(number(mean) for mean, _ in estimates)
    said = joined(
        f"{test[0].upper()}{test[1:]} of the {what_of(arms[0].metric)} between {sizes_text(names, sizes)}: {means}",
        f"F({ratio.between:.5g}, {ratio.within:.5g}) = {number(ratio.f)}", p_text(ratio.pvalue),
        "" if ratio_metric else f"eta squared = {number(eta)}", interval_text(limits, confidence),
    )  # fmt: skip
    return TestResult(
        test, arms[0].metric.name, math.nan, "", UNKNOWN, confidence, ratio.f, (ratio.between, ratio.within),
        ratio.pvalue, "" if ratio_metric else "eta squared", eta, limits, "two-sided", sizes,
        notes.assumptions, notes.exclusions, None, said, notes.warnings,
    )  # fmt: skip


def _classical(arms: Sequence[Values]) -> Ratio:
    """The F of sums of squares about a pivot: an offset of thirteen digits costs no more than it did in the data."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    between, within = sums_of_squares(arms)
    k, n = len(arms), sum(len(arm.x) for arm in arms)
    f = between / (k - 1) / (within / (n - k))
    return Ratio(f, float(k - 1), float(n - k), float(special.fdtrc(k - 1, n - k, f)))


def _spreads(arms: Sequence[Values], names: Sequence[str], *, equal_variance: bool) -> Notes:
    moments: list[Moments] = [moments_of(arm) for arm in arms]
    variances = np.array([one.variance for one in moments])
    skewness = ", ".join(f"{one.skewness:.2g} in {name}" for one, name in zip(moments, names, strict=True))
    said = [f"skewness {skewness}"]
    ratio = f"the largest variance is {variances.max() / max(variances.min(), 1e-300):.3g} times the smallest"
    if not equal_variance:
        return Notes((f"{ratio}; unequal variances are allowed for", *said))
    return equal_variances(arms, ratio).plus(said)
