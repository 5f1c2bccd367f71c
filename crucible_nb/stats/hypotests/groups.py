"""One-way analysis of variance: a test of whether the means of several groups differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.events.where import Where
from crucible_nb.stats.effects.explained import FStatistic, explained_of, name_groups, sums_of_squares, wald_test
from crucible_nb.stats.outcome import TestResult, p_text
from crucible_nb.stats.results import UNKNOWN, number
from crucible_nb.stats.samples.arms import (
    Moments,
    Notes,
    arms_of,
    check_equal_variances,
    check_spread,
    in_moderate_unit,
    linearize,
    moments_of,
    notes_of,
)
from crucible_nb.stats.samples.values import Values, rows_where
from crucible_nb.stats.wording import interval_text, joined, sizes_text, what_of
from crucible_nb.utils import checks


def anova(
    *groups: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    equal_variance: bool = False,
    where: Where = None,
) -> TestResult:
    """Test whether the means of several groups differ: one-way analysis of variance, Welch's by default.

    For sampled or clustered rows, Welch's formula uses the linearised variance of each mean; if clusters occur in
    several groups, a Wald test with the covariances.

    Args:
        *groups: Two or more experiments, frames, Series, lists or arrays.
        metric: A column, "mean_" and a column, "success_rate", or a ratio such as "cost_per_success".
        confidence: Coverage of the interval of the effect size; 0.90 is customary.
        resample: Width of time blocks, e.g. "1min", whose values replace the rows.
        cluster: Column of clusters of similar rows, e.g. "session_id".
        equal_variance: Use the classical F test; only for rows that are neither sampled nor clustered.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult: `statistic` is F, `df` (between, within), the effect size eta squared.

    Raises:
        StatError: Less than two groups, too few values, constant values, a quantile or a total.

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
    groups = rows_where(where, *groups)
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    names = name_groups(groups, "anova")
    arms = arms_of(groups, names, metric, cluster=cluster, resample=resample)
    return anova_of(arms, names, confidence, equal_variance=equal_variance)


def anova_of(
    arms: Sequence[Values], names: Sequence[str], confidence: float, *, equal_variance: bool = False
) -> TestResult:
    """One-way analysis of variance of values; see `anova`."""
    check_spread(arms, names)
    means = ", ".join(number(linearize(arm, "anova")[0]) for arm in arms)
    arms = in_moderate_unit(*arms)
    estimates = [linearize(arm, "anova") for arm in arms]
    simple = all(arm.plain and arm.per is None for arm in arms)
    if equal_variance and not simple:
        raise StatError(
            "equal_variance=True is for rows that are neither sampled nor clustered. Leave it out for Welch's test."
        )
    f, between, within, pvalue = _classical(arms) if equal_variance else wald_test(arms, estimates)[0]
    test = "one-way ANOVA" if equal_variance else "Welch's ANOVA"
    test += "" if simple else " with linearised standard errors"
    explained = None if arms[0].per is not None else explained_of(arms, names, confidence)
    effect, eta, limits = ("", math.nan, UNKNOWN)
    if explained is not None:
        effect, eta, limits = "eta squared", explained.eta, explained.eta_interval
    notes = notes_of(arms, names).plus(*_variance_notes(arms, names, equal_variance=equal_variance))
    sizes = tuple(arm.n for arm in arms)
    return TestResult(
        test=test, metric=arms[0].metric.name, estimate=math.nan, estimand="", confidence_interval=UNKNOWN,
        confidence=confidence, statistic=f, df=(between, within), pvalue=pvalue, effect=effect, effect_size=eta,
        effect_interval=limits, alternative="two-sided", n=sizes, assumptions=notes.assumptions,
        exclusions=notes.exclusions, warnings=notes.warnings,
        method=joined(
            f"{test[0].upper()}{test[1:]} of the {what_of(arms[0].metric)} between {sizes_text(names, sizes)}: {means}",
            f"F({between:.5g}, {within:.5g}) = {number(f)}", p_text(pvalue),
            f"{effect} = {number(eta)}" if effect else "", interval_text(limits, confidence),
        ),
    )  # fmt: skip


def _classical(arms: Sequence[Values]) -> FStatistic:
    """The classical F, from sums of squares about a pivot, so that a large common offset costs no digits."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    between, within = sums_of_squares(arms)
    k, n = len(arms), sum(len(arm.x) for arm in arms)
    f = between / (k - 1) / (within / (n - k))
    return FStatistic(f, float(k - 1), float(n - k), float(special.fdtrc(k - 1, n - k, f)))


def _variance_notes(arms: Sequence[Values], names: Sequence[str], *, equal_variance: bool) -> Notes:
    moments: list[Moments] = [moments_of(arm) for arm in arms]
    variances = np.array([moment.variance for moment in moments])
    skewness = ", ".join(f"{moment.skewness:.2g} in {name}" for moment, name in zip(moments, names, strict=True))
    ratio = f"the largest variance is {variances.max() / max(variances.min(), 1e-300):.3g} times the smallest"
    if not equal_variance:
        return Notes((f"{ratio}; unequal variances are allowed for", f"skewness {skewness}"))
    return check_equal_variances(arms, ratio).plus([f"skewness {skewness}"])
