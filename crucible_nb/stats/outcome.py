"""`TestResult`, the result of every test, and the words and levels of one-sided alternatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from crucible_nb.stats.results import UNKNOWN, Interval, Result
from crucible_nb.utils import checks

Alternative = Literal["two-sided", "less", "greater"]
ALTERNATIVES = ("two-sided", "less", "greater")


@dataclass(frozen=True, repr=False)
class TestResult(Result):
    """The result of a test.

    Differences, effect sizes and alternatives are of treatment - control: positive, or "greater", if the treatment has
    more. Only `statistic` follows scipy, called with (control, treatment), so that both can be compared.

    Attributes:
        test: Name of the test.
        metric: Metric that was compared.
        estimate: Estimate of the `estimand`, in its unit; NaN if the test has none.
        estimand: Quantity that `estimate` and `confidence_interval` are of.
        confidence_interval: (low, high) of the estimate; one side is infinite for a one-sided alternative.
        confidence: Coverage of `confidence_interval`.
        statistic: Test statistic.
        df: Degrees of freedom; None if the test has none.
        pvalue: P-value of the null hypothesis.
        effect: Name of the effect size.
        effect_size: Effect size, without a unit.
        effect_interval: (low, high) of the effect size.
        alternative: "two-sided", "less" or "greater".
        n: Values used, one number per group (a single number for one group or for pairs).
        assumptions: Assumptions, and the results of the checks made.
        exclusions: Values that were left out, with the reason.
        correction: Number of tests the p-value was corrected for, and the method; None if it was not corrected.
        method: One sentence for a paper.
        warnings: Reasons to doubt the result.
        relative_change: (treatment - control) / |control|; 0.1 is 10 % more. NaN if the test has none.
        relative_interval: (low, high) of the relative change, from the log ratio; from Fieller's theorem if a value is
            negative or an estimate is 0. An open side is infinite: the control may be 0.
        limited: Reason why a comparison should call this result "leaning" at most; None without one.
        standard_error: Standard error of `estimate`, in its unit. NaN where none exists: without an estimate, for
            quantiles and pseudomedians (order statistics have limits, no error), and for odds ratios.

    Examples:
        >>> import crucible_nb as cr
        >>> result = cr.t_test([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.5])
        >>> result.test, round(result.estimate, 3), result.significant
        ("Welch's t-test", 1.125, False)
        >>> round(result.standard_error, 4)  # sqrt(1.6667 / 4 + 2.2292 / 4)
        0.9869
    """

    __test__: ClassVar[bool] = False  # pytest must not collect this class

    test: str
    metric: str
    estimate: float
    estimand: str
    confidence_interval: Interval
    confidence: float
    statistic: float
    df: float | tuple[float, ...] | None
    pvalue: float
    effect: str
    effect_size: float
    effect_interval: Interval
    alternative: str
    n: int | tuple[int, ...]
    assumptions: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    correction: str | None = None
    method: str = ""
    warnings: tuple[str, ...] = ()
    relative_change: float = math.nan
    relative_interval: Interval = UNKNOWN
    limited: str | None = None
    standard_error: float = math.nan

    @property
    def significant(self) -> bool:
        """Whether the p-value is at most 1 - confidence."""
        return self.pvalue <= 1 - self.confidence + 1e-12


def one_sided(
    interval: Interval, alternative: str, floor: float = float("-inf"), top: float = float("inf")
) -> Interval:
    """Open the side of a two-sided interval at confidence 2c - 1 that a one-sided test at c leaves open; NaN stays."""
    if math.isnan(interval.low) and math.isnan(interval.high):
        return interval
    if alternative == "greater":
        return Interval(interval.low, top)
    return Interval(floor, interval.high) if alternative == "less" else interval


def two_sided_level(confidence: float, alternative: str) -> float:
    """The confidence of a two-sided interval each limit of which is a one-sided limit at `confidence`."""
    return confidence if alternative == "two-sided" else 2 * confidence - 1


def check_alternative(alternative: Any) -> str:
    """Return `alternative` if it is one of `ALTERNATIVES`; raise ConfigError otherwise."""
    return str(checks.one_of("alternative", alternative, ALTERNATIVES))


def p_text(pvalue: float) -> str:
    """Format a p-value as in a paper.

    Examples:
        >>> p_text(0.0213), p_text(1e-9)
        ('p = 0.021', 'p < 0.001')
    """
    return "p < 0.001" if pvalue < 0.001 else f"p = {pvalue:.2g}" if pvalue < 0.1 else f"p = {pvalue:.2f}"
