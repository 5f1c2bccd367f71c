"""Interaction: whether an effect, estimated in several groups, is the same in all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.results import Result, number


@dataclass(frozen=True, repr=False)
class InteractionTest(Result):
    """Test whether the difference of two arms is the same in all groups.

    Attributes:
        metric: Metric that was compared.
        by: Column of the groups.
        groups: Names of the groups that are tested together.
        estimate: Difference, treatment - control, common to all groups: their mean, weighted by 1 / standard error^2.
        standard_error: Standard error of the common difference if there is one.
        statistic: Welch's F of the differences; with exact standard errors Cochran's Q / (groups - 1).
        df: Degrees of freedom (groups - 1, within groups); infinite if the standard errors have none.
        pvalue: P-value of one difference for all groups; NaN if it could not be tested.
        method: One sentence for a paper.
        warnings: Reasons to doubt the result, or why there is none.

    Examples:
        >>> test = interaction_test("score", "device", ["a", "b"], [1.0, 3.0], [Error(0.3, 40), Error(0.4, 50)])
        >>> round(test.statistic, 6), round(test.pvalue, 4)  # (3 - 1)^2 / (0.3^2 + 0.4^2)
        (16.0, 0.0001)
    """

    metric: str
    by: str
    groups: tuple[str, ...]
    estimate: float
    standard_error: float
    statistic: float
    df: tuple[float, float]
    pvalue: float
    method: str = ""
    warnings: tuple[str, ...] = ()


class WelchF(NamedTuple):
    """Welch's F of several estimates, with its degrees of freedom and p-value, their weighted mean and its error."""

    statistic: float
    between: float
    within: float
    pvalue: float
    mean: float
    error: float


def welch_f(estimates: Sequence[float], errors: Sequence[Error]) -> WelchF:
    """Test whether independent estimates are equal, from their standard errors and degrees of freedom.

    For two estimates it is Welch's t-test, with Satterthwaite's degrees of freedom; with infinite ones it is Cochran's
    Q against chi-square.

    Args:
        estimates: Two estimates or more.
        errors: Standard error (> 0) of each, with its degrees of freedom.

    Examples:
        >>> known = welch_f([1.0, 2.0, 4.0], [Error(1.0, math.inf)] * 3)
        >>> round(2 * known.statistic, 6), round(known.mean, 3)  # Q = 16 / 9 + 1 / 9 + 25 / 9
        (4.666667, 2.333)

    References:
        Cochran: The combination of estimates from different experiments. Biometrics 10 (1954). Welch: On the
        comparison of several mean values: an alternative approach. Biometrika 38 (1951).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    x, error = np.array(estimates), np.array([each.error for each in errors])
    df = np.array([each.df for each in errors])
    unit = error.max()
    weight = (unit / error) ** 2
    share = weight / weight.sum()
    mean = float(x[0] + share @ (x - x[0]))
    q = float(weight @ ((x - mean) / unit) ** 2)
    k = len(x)
    rest = float(np.sum((1 - share) ** 2 / df))
    statistic = q / (k - 1) / (1 + 2 * (k - 2) / (k * k - 1) * rest)
    within = (k * k - 1) / (3 * rest) if rest > 0 else math.inf
    tail = special.chdtrc(k - 1, q) if math.isinf(within) else special.fdtrc(k - 1, within, statistic)
    return WelchF(statistic, k - 1.0, within, float(tail), mean, float(unit / math.sqrt(weight.sum())))


def interaction_test(
    metric: str, by: str, groups: Sequence[str], estimates: Sequence[float], errors: Sequence[Error],
    warnings: Sequence[str] = (),
) -> InteractionTest:  # fmt: skip
    """Test whether the differences of independent groups are equal; see `welch_f`."""
    how = "Welch's test of the differences, Cochran's Q"
    return interaction_of(metric, by, groups, welch_f(estimates, errors), how, warnings)


def interaction_of(
    metric: str, by: str, groups: Sequence[str], test: WelchF, how: str, warnings: Sequence[str] = ()
) -> InteractionTest:
    """The result of a test of the differences; `how` names it."""
    df = f"chi2({test.between:g})" if math.isinf(test.within) else f"F({test.between:g}, {test.within:.5g})"
    shown = test.statistic * test.between if math.isinf(test.within) else test.statistic
    differ = "differs between" if test.pvalue <= 0.05 else "is not shown to differ between"
    report = (
        f"The effect on {metric} {differ} the {len(groups)} groups of {by}: {df} = {number(shown)}, "
        f"{p_text(test.pvalue)} ({how})."
    )
    return InteractionTest(
        metric, by, tuple(groups), test.mean, test.error, test.statistic, (test.between, test.within), test.pvalue,
        report, tuple(warnings),
    )  # fmt: skip


def untested_interaction(metric: str, by: str, groups: Sequence[str], reason: str) -> InteractionTest:
    """The result for differences that cannot be tested together, with the reason."""
    nan = math.nan
    report = f"Whether the effect on {metric} differs between the groups of {by} was not tested: {reason}."
    return InteractionTest(metric, by, tuple(groups), nan, nan, nan, (nan, nan), nan, report, (reason,))
