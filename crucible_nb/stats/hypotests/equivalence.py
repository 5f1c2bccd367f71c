"""Equivalence and non-inferiority: whether a difference lies inside a margin, which a large p-value never shows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.sizes import matched
from crucible_nb.stats.effects.standardized import UNKNOWN
from crucible_nb.stats.estimates.binary import tail_of
from crucible_nb.stats.hypotests.gaps import Gap, gap_of, gap_of_pairs
from crucible_nb.stats.hypotests.means import checked
from crucible_nb.stats.outcome import TestResult, one_sided, p_text
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.arms import two_arms
from crucible_nb.stats.wording import interval_text, unit_of, what_of
from crucible_nb.utils import checks

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_LOWER = frozenset({"latency", "cost", "costs", "error", "errors", "loss", "losses"})
_HIGHER = frozenset({"success"})


@dataclass(frozen=True, repr=False)
class MarginResult(TestResult):
    """The answer of a test against a margin; further fields as of `TestResult`.

    Attributes:
        margin: Differences, treatment - control, that are taken as none or as no harm; an open side is infinite.
        alpha: Chance of saying so wrongly; `significant` is p <= alpha. For equivalence the interval has coverage
            1 - 2 alpha, so that it lies inside the margin just when p <= alpha.
    """

    margin: Interval = UNKNOWN
    alpha: float = 0.05

    @property
    def significant(self) -> bool:
        """Whether the difference is shown to lie inside the margin."""
        return self.pvalue <= self.alpha + 1e-12


def equivalence(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    *,
    margin: Any,
    paired: bool = False,
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    pair_by: str = "sample_id",
) -> MarginResult:
    """Whether two arms differ by less than a margin: two one-sided tests (TOST).

    Args:
        control, treatment: Experiments, DataFrames, Series, lists or arrays.
        metric: A column or mean, a rate, or a ratio such as "cost_per_success".
        margin: Largest difference that does not matter, in the unit of the metric (of rates 0.02 for two points); a
            tuple (low, high) of differences treatment - control; or "5%" of the control's number, which is then taken
            as known.
        paired: The same items on both sides, brought together by `pair_by`.
        confidence: 1 - alpha of the test; the interval has coverage 1 - 2 alpha.
        resample: Width of time blocks whose values stand in for the rows, e.g. "1min".
        cluster: Column of what groups rows that are alike, e.g. "session_id".
        pair_by: Column that names the item.

    Returns:
        MarginResult: means by Welch's or the paired t, rates by the score test at the margin (Miettinen and Nurminen;
        Tango for pairs); the p-value is the larger of the two. `significant`: the arms are equivalent.

    Raises:
        ConfigError: An argument is not what is accepted.
        SchemaError: No such column.
        StatError: Too few values, no spread, a quantile or a total.

    Examples:
        >>> from crucible_nb.stats.hypotests.equivalence import equivalence
        >>> control, treatment = [3.28, 3.27, 3.29, 3.28, 3.28], [3.28, 3.28, 3.29, 3.27, 3.28]
        >>> found = equivalence(control, treatment, metric="loss", margin=0.02)
        >>> found.significant, round(found.pvalue, 4)
        (True, 0.001)

    References:
        Schuirmann: A comparison of the two one-sided tests procedure and the power approach for assessing the
        equivalence of average bioavailability. Journal of Pharmacokinetics and Biopharmaceutics 15 (1987).
    """
    gap = _gap(control, treatment, metric, paired, confidence, resample, cluster, pair_by)
    return equivalence_of(gap, margin, confidence)


def non_inferiority(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    *,
    margin: Any,
    direction: str | None = None,
    paired: bool = False,
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    pair_by: str = "sample_id",
) -> MarginResult:
    """Whether the treatment is at most a margin worse than the control: one one-sided test.

    Args:
        control, treatment, metric, paired, resample, cluster, pair_by: As for `equivalence`.
        margin: Largest loss that does not matter, > 0, in the unit of the metric; or "5%" of the control's number.
        direction: "up" where more is better, "down" where less is; None knows it of latency, cost, errors, loss and
            success.
        confidence: 1 - alpha of the test, and coverage of the one-sided interval.

    Returns:
        MarginResult. `significant`: the treatment is not inferior.

    Raises:
        ConfigError: An argument is not what is accepted, or `direction` is wanted.
        StatError: As for `equivalence`.

    Examples:
        >>> from crucible_nb.stats.hypotests.equivalence import non_inferiority
        >>> found = non_inferiority([True] * 90 + [False] * 10, [True] * 91 + [False] * 9, "success_rate", margin=0.10)
        >>> found.significant, found.margin.low
        (True, -0.1)

    References:
        Piaggio et al.: Reporting of noninferiority and equivalence randomized trials. JAMA 308 (2012).
    """
    gap = _gap(control, treatment, metric, paired, confidence, resample, cluster, pair_by)
    return non_inferiority_of(gap, margin, confidence, direction)


def _gap(
    control: Any, treatment: Any, metric: str, paired: bool, confidence: float, resample: Any, cluster: str | None,
    pair_by: str,
) -> Gap:  # fmt: skip
    checked("greater", confidence)
    if paired:
        return gap_of_pairs(matched(control, treatment, metric, pair_by, cluster, resample))
    return gap_of(*two_arms(control, treatment, metric, cluster=cluster, resample=resample))


def equivalence_of(gap: Gap, margin: Any, confidence: float) -> MarginResult:
    """`equivalence` of a difference at hand."""
    alpha, within = 1 - confidence, _within(margin, gap.base)
    sides = [(gap.statistic(within.low), "greater"), (gap.statistic(within.high), "less")]
    tests = [(tail_of(z, side, gap.df), z) for z, side in sides]
    pvalue, statistic = max(tests, key=lambda one: one[0])
    level = 1 - 2 * alpha
    interval = gap.limits(level)
    verdict = "equivalent" if pvalue <= alpha + 1e-12 else "not shown to be equivalent"
    said = (
        f"Equivalence of the {what_of(gap.metric)} within {number(within.low)} to {number(within.high)}"
        f"{unit_of(gap.metric)}{_relative(margin)} was tested by two one-sided tests ({gap.how})"
    )
    return _result(
        "equivalence (TOST)", gap, interval, level, statistic, pvalue, "two-sided", within, alpha, said, verdict
    )


def non_inferiority_of(gap: Gap, margin: Any, confidence: float, direction: str | None = None) -> MarginResult:
    """`non_inferiority` of a difference at hand."""
    checks.one_of("direction", direction, (None, "up", "down"))
    direction = direction or better(gap.metric.name)
    if direction is None:
        raise checks.wrong("direction", direction, f"'up' or 'down': is more {gap.metric.name} better, or less?")
    if isinstance(margin, tuple):
        raise checks.wrong("margin", margin, "one number > 0, or text such as '5%'")
    alpha, most = 1 - confidence, _within(margin, gap.base).high
    within = Interval(-most, math.inf) if direction == "up" else Interval(-math.inf, most)
    side = "greater" if direction == "up" else "less"
    statistic = gap.statistic(-most if direction == "up" else most)
    pvalue = tail_of(statistic, side, gap.df)
    interval = one_sided(gap.limits(1 - 2 * alpha), side)
    verdict = "not inferior" if pvalue <= alpha + 1e-12 else "not shown to be non-inferior"
    said = (
        f"Non-inferiority of the {what_of(gap.metric)} ({'more' if direction == 'up' else 'less'} is better) with a "
        f"margin of {number(most)}{unit_of(gap.metric)}{_relative(margin)} was tested by a one-sided test ({gap.how})"
    )
    return _result("non-inferiority", gap, interval, confidence, statistic, pvalue, side, within, alpha, said, verdict)


def _result(
    test: str, gap: Gap, interval: Interval, level: float, statistic: float, pvalue: float, alternative: str,
    within: Interval, alpha: float, said: str, verdict: str,
) -> MarginResult:  # fmt: skip
    size = gap.size(level if alternative == "two-sided" else 2 * level - 1)
    effect = size.interval if alternative == "two-sided" else one_sided(size.interval, alternative)
    return MarginResult(
        test, gap.metric.name, gap.estimate, f"difference of {what_of(gap.metric)}, treatment - control", interval,
        level, -statistic, None if math.isinf(gap.df) else gap.df, pvalue, gap.effect, size.value, effect, alternative,
        gap.n, gap.notes.assumptions, gap.notes.exclusions, None,
        f"{said}: difference {number(gap.estimate)}{unit_of(gap.metric)}, {interval_text(interval, level)}, "
        f"{p_text(pvalue)}; {verdict} at alpha {alpha:g}.",
        gap.notes.warnings, margin=within, alpha=alpha,
    )  # fmt: skip


def better(metric: str) -> str | None:
    """Whether more is better ("up") or less ("down"), where the name of a metric says so; else None.

    Examples:
        >>> better("p95_latency_ms"), better("success_rate"), better("score")
        ('down', 'up', None)
    """
    words = {*re.split(r"[^a-z]+", metric.lower())}
    return "down" if words & _LOWER else "up" if words & _HIGHER else None


def _within(margin: Any, base: float) -> Interval:
    """The margin as differences, treatment - control."""
    accepted = "a number > 0, a tuple (low, high) with low < high, or text such as '5%'"
    if isinstance(margin, str):
        found = _PERCENT.fullmatch(margin)
        if found is None or not float(found[1]) > 0:
            raise checks.wrong("margin", margin, accepted)
        if not base:
            raise StatError(f"margin={margin!r}: the control's number is 0; give the margin in the unit of the metric")
        margin = abs(base) * float(found[1]) / 100
    if isinstance(margin, tuple):
        if len(margin) != 2:
            raise checks.wrong("margin", margin, accepted)
        low, high = (checks.number("margin", one) for one in margin)
        if not low < high:
            raise checks.wrong("margin", margin, accepted)
        return Interval(low, high)
    most = checks.number("margin", margin, gt=0)
    return Interval(-most, most)


def _relative(margin: Any) -> str:
    return f" ({margin.strip()} of the control's, taken as known)" if isinstance(margin, str) else ""
