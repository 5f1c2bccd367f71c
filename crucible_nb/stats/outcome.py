"""What a test answers, in one shape for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from crucible_nb.stats.results import Interval, Result
from crucible_nb.utils import checks

Alternative = Literal["two-sided", "less", "greater"]
ALTERNATIVES = ("two-sided", "less", "greater")


@dataclass(frozen=True, repr=False)
class TestResult(Result):
    """The answer of a test.

    Differences, effect sizes and alternatives are about treatment - control: positive, or "greater", where the
    treatment has more. `statistic` alone is what scipy gives for (control, treatment), so that it can be compared.

    Attributes:
        test: Its name.
        metric: What was compared.
        estimate: What was estimated, named by `estimand`; NaN where there is no such number.
        estimand: What `estimate` and `confidence_interval` are about.
        confidence_interval: (low, high) of the estimate; open on one side for a one-sided alternative.
        confidence: Its coverage.
        statistic: Of the test.
        df: Degrees of freedom; None where there are none.
        pvalue: Of the null hypothesis.
        effect: Name of the effect size.
        effect_size: A number without a unit.
        effect_interval: (low, high).
        alternative: "two-sided", "less" or "greater".
        n: Values used, one number a group (a single number for one group or for pairs).
        assumptions: What was checked, and what was found.
        exclusions: What was left out, and why.
        correction: For how many tests the p-value was corrected, and how; None when it was not.
        method: One sentence for a paper.
        warnings: What a reader should know.

    Examples:
        >>> import crucible_nb as cr
        >>> found = cr.t_test([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.5])
        >>> found.test, round(found.estimate, 3), found.significant
        ("Welch's t-test", 1.125, False)
    """

    __test__: ClassVar[bool] = False  # for pytest: this is not a test of ours

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

    @property
    def significant(self) -> bool:
        """Whether the p-value is at most 1 - confidence."""
        return self.pvalue <= 1 - self.confidence + 1e-12


def one_sided(
    interval: Interval, alternative: str, floor: float = float("-inf"), top: float = float("inf")
) -> Interval:
    """The side of a two-sided interval at confidence 2c - 1 that a one-sided test at c leaves."""
    if alternative == "greater":
        return Interval(interval.low, top)
    return Interval(floor, interval.high) if alternative == "less" else interval


def two_sided_level(confidence: float, alternative: str) -> float:
    """The confidence at which to ask for a two-sided interval, so that one side of it is right by itself."""
    return confidence if alternative == "two-sided" else 2 * confidence - 1


def check_alternative(alternative: Any) -> str:
    """`alternative`, when it is one."""
    return str(checks.one_of("alternative", alternative, ALTERNATIVES))


def p_text(pvalue: float) -> str:
    """A p-value as papers print it.

    Examples:
        >>> p_text(0.0213), p_text(1e-9)
        ('p = 0.021', 'p < 0.001')
    """
    return "p < 0.001" if pvalue < 0.001 else f"p = {pvalue:.2g}" if pvalue < 0.1 else f"p = {pvalue:.2f}"
