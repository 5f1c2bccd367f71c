"""Equivalence and non-inferiority tests of a difference against a margin, which a large p-value cannot replace."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import unit_of
from crucible_nb.events.where import Where
from crucible_nb.stats.effects.sizes import match_pairs
from crucible_nb.stats.estimates.contrast import RelativeChange, fieller_change
from crucible_nb.stats.hypotests.differences import (
    MarginTest,
    TestableDifference,
    difference_of_arms,
    difference_of_pairs,
)
from crucible_nb.stats.hypotests.means import check_test_arguments
from crucible_nb.stats.outcome import TestResult, one_sided, p_text
from crucible_nb.stats.results import UNKNOWN, Interval, number
from crucible_nb.stats.samples.arms import two_arms
from crucible_nb.stats.samples.values import rows_where
from crucible_nb.stats.wording import interval_text, what_of
from crucible_nb.utils import checks

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_LOWER = frozenset({"latency", "cost", "costs", "error", "errors", "loss", "losses"})
_HIGHER = frozenset({"success"})


@dataclass(frozen=True, repr=False)
class MarginResult(TestResult):
    """The result of a test against a margin; the other fields are those of `TestResult`.

    Attributes:
        margin: Differences, treatment - control, that are accepted as equivalent or non-inferior; one side is infinite
            for non-inferiority.
        alpha: Significance level; `significant` is p <= alpha. The interval of an equivalence test has coverage
            1 - 2 alpha, so that it is inside the margin exactly if p <= alpha.
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
    where: Where = None,
) -> MarginResult:
    """Test whether two arms differ by less than a margin: two one-sided tests (TOST).

    Args:
        control, treatment: Experiments, DataFrames, Series, lists or arrays.
        metric: A column or mean, a quantile, a rate, or a ratio such as "cost_per_success".
        margin: Largest difference that does not matter, in the unit of the metric (for rates, 0.02 is two points); a
            tuple (low, high) of differences treatment - control; or "5%" of the control, tested as treatment - 1.05
            control and treatment - 0.95 control, with the error of both arms.
        paired: Both arms have the same items, matched by `pair_by`.
        confidence: 1 - alpha of the test; the interval has coverage 1 - 2 alpha.
        resample: Width of time blocks whose values replace the rows, e.g. "1min".
        cluster: Column of clusters of similar rows, e.g. "session_id".
        pair_by: Column of item ids.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        MarginResult: means by Welch's or the paired t, rates by the score test at the margin (Miettinen and Nurminen;
        Tango for pairs) or Clopper and Pearson's limits if an outcome occurs fewer than 10 times, quantiles by order
        statistics; the p-value is the larger of the two. If `significant`, the arms are equivalent. With a margin in
        percent, `relative_interval` is Fieller's, which lies inside the margin exactly if p <= alpha.

    Raises:
        ConfigError: An argument is not accepted.
        SchemaError: No such column.
        StatError: Too few values, constant values, or a total.

    Examples:
        >>> from crucible_nb.stats.hypotests.equivalence import equivalence
        >>> control, treatment = [3.28, 3.27, 3.29, 3.28, 3.28], [3.28, 3.28, 3.29, 3.27, 3.28]
        >>> result = equivalence(control, treatment, metric="loss", margin=0.02)
        >>> result.significant, round(result.pvalue, 4)
        (True, 0.001)

    References:
        Schuirmann: A comparison of the two one-sided tests procedure and the power approach for assessing the
        equivalence of average bioavailability. Journal of Pharmacokinetics and Biopharmaceutics 15 (1987).
        Hauschke, Kieser, Diletti, Burke: Sample size determination for proving equivalence based on the ratio of two
        means for normally distributed data. Statistics in Medicine 18 (1999).
    """
    control, treatment = rows_where(where, control, treatment)
    check_test_arguments("greater", confidence)
    difference = _difference(
        control, treatment, metric, paired=paired, resample=resample, cluster=cluster, pair_by=pair_by
    )
    return equivalence_test(difference, margin, confidence)


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
    where: Where = None,
) -> MarginResult:
    """Test whether the treatment is less than a margin worse than the control: one one-sided test.

    Args:
        control, treatment, metric, paired, resample, cluster, pair_by: As for `equivalence`.
        margin: Largest loss that does not matter, > 0, in the unit of the metric; or "5%" of the control, whose own
            error is taken into account.
        direction: "up" if more is better, "down" if less is better; None uses the name of the metric, which tells it
            for latency, cost, errors, loss and success.
        confidence: 1 - alpha of the test, and coverage of the one-sided interval.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        MarginResult. If `significant`, the treatment is non-inferior.

    Raises:
        ConfigError: An argument is not accepted, or `direction` is missing.
        StatError: As for `equivalence`.

    Examples:
        >>> from crucible_nb.stats.hypotests.equivalence import non_inferiority
        >>> result = non_inferiority([True] * 90 + [False] * 10, [True] * 91 + [False] * 9, "success_rate", margin=0.10)
        >>> result.significant, result.margin.low
        (True, -0.1)

    References:
        Piaggio et al.: Reporting of noninferiority and equivalence randomized trials. JAMA 308 (2012).
    """
    control, treatment = rows_where(where, control, treatment)
    check_test_arguments("greater", confidence)
    difference = _difference(
        control, treatment, metric, paired=paired, resample=resample, cluster=cluster, pair_by=pair_by
    )
    return non_inferiority_test(difference, margin, confidence, direction)


def _difference(
    control: Any, treatment: Any, metric: str, *, paired: bool, resample: Any, cluster: str | None, pair_by: str
) -> TestableDifference:
    if paired:
        return difference_of_pairs(match_pairs(control, treatment, metric, pair_by, cluster, resample))
    return difference_of_arms(*two_arms(control, treatment, metric, cluster=cluster, resample=resample))


def equivalence_test(difference: TestableDifference, margin: Any, confidence: float) -> MarginResult:
    """Test a difference for equivalence; see `equivalence`."""
    alpha, bounds = 1 - confidence, _bounds(margin, difference.contrast.control)
    test = max((_test(difference, bounds, side) for side in ("greater", "less")), key=lambda test: test.pvalue)
    within, level = bounds.within, 1 - 2 * alpha
    verdict = "equivalent" if test.pvalue <= alpha + 1e-12 else "not shown to be equivalent"
    procedure = (
        f"Equivalence of the {what_of(difference.metric)} within {number(within.low)} to {number(within.high)}"
        f"{unit_of(difference.metric)}{_percent_text(margin)} was tested by two one-sided tests ({difference.how})"
    )
    return _result(
        "equivalence (TOST)", difference, _Outcome(test, difference.limits(level), level, "two-sided"), bounds, alpha,
        procedure, verdict,
    )  # fmt: skip


def non_inferiority_test(
    difference: TestableDifference, margin: Any, confidence: float, direction: str | None = None
) -> MarginResult:
    """Test a difference for non-inferiority; see `non_inferiority`."""
    checks.one_of("direction", direction, (None, "up", "down"))
    metric = difference.metric
    direction = direction or better(metric.name)
    if direction is None:
        raise checks.wrong("direction", direction, f"'up' or 'down': is more {metric.name} better, or less?")
    if isinstance(margin, tuple):
        raise checks.wrong("margin", margin, "one number > 0, or text such as '5%'")
    alpha, bounds = 1 - confidence, _bounds(margin, difference.contrast.control)
    loss, side = bounds.within.high, "greater" if direction == "up" else "less"
    within = Interval(-loss, math.inf) if direction == "up" else Interval(-math.inf, loss)
    test = _test(difference, bounds, side)
    interval = one_sided(difference.limits(1 - 2 * alpha), side)
    verdict = "not inferior" if test.pvalue <= alpha + 1e-12 else "not shown to be non-inferior"
    procedure = (
        f"Non-inferiority of the {what_of(metric)} ({'more' if direction == 'up' else 'less'} is better) with a margin "
        f"of {number(loss)}{unit_of(metric)}{_percent_text(margin)} was tested by a one-sided test ({difference.how})"
    )
    return _result(
        "non-inferiority", difference, _Outcome(test, interval, confidence, side), bounds._replace(within=within),
        alpha, procedure, verdict,
    )  # fmt: skip


class _Bounds(NamedTuple):
    """A margin: differences that do not matter; for a margin in percent also the ratios (low, high) that bound them."""

    within: Interval
    ratios: Interval | None = None


def _test(difference: TestableDifference, bounds: _Bounds, side: str) -> MarginTest:
    """Test whether the difference is above the lower bound ("greater") or below the upper one ("less")."""
    at = 0 if side == "greater" else 1
    if bounds.ratios is None:
        return difference.test(bounds.within[at], 1.0, side)
    return difference.test(0.0, bounds.ratios[at], side)


class _Outcome(NamedTuple):
    """Test that decides, and interval at a confidence level."""

    test: MarginTest
    interval: Interval
    level: float
    alternative: str


def _result(
    name: str, difference: TestableDifference, outcome: _Outcome, bounds: _Bounds, alpha: float, procedure: str,
    verdict: str,
) -> MarginResult:  # fmt: skip
    (pvalue, statistic, df), interval, level, alternative = outcome
    metric, notes = difference.metric, difference.notes
    two_sided = level if alternative == "two-sided" else 2 * level - 1
    size, change = difference.size(two_sided), _relative(difference, bounds, two_sided)
    shown = [size.interval, change.interval]
    if alternative != "two-sided":
        shown = [one_sided(part, alternative) for part in shown]
    return MarginResult(
        test=name, metric=metric.name, estimate=difference.estimate,
        estimand=f"difference of {what_of(metric)}, treatment - control", confidence_interval=interval,
        confidence=level, statistic=-statistic, df=None if math.isinf(df) else df, pvalue=pvalue,
        effect=difference.effect, effect_size=size.value, effect_interval=shown[0], alternative=alternative,
        n=difference.n, assumptions=notes.assumptions, exclusions=notes.exclusions, warnings=notes.warnings,
        method=f"{procedure}: difference {number(difference.estimate)}{unit_of(metric)}, "
        f"{interval_text(interval, level)}, {p_text(pvalue)}; {verdict} at alpha {alpha:g}.",
        relative_change=change.value, relative_interval=shown[1], margin=bounds.within, alpha=alpha,
        standard_error=difference.error,
    )  # fmt: skip


def _relative(difference: TestableDifference, bounds: _Bounds, confidence: float) -> RelativeChange:
    """The relative change; by Fieller for a margin in percent, so that it lies inside exactly if the test says so."""
    contrast = difference.contrast
    return contrast.relative(confidence) if bounds.ratios is None else fieller_change(contrast, confidence)


def better(metric: str) -> str | None:
    """Direction that is better by the name of a metric: "up", "down", or None if the name does not tell.

    Examples:
        >>> better("p95_latency_ms"), better("success_rate"), better("score")
        ('down', 'up', None)
    """
    words = {*re.split(r"[^a-z]+", metric.lower())}
    return "down" if words & _LOWER else "up" if words & _HIGHER else None


def _bounds(margin: Any, control: float) -> _Bounds:
    """Read the argument `margin`, given the estimate of the control."""
    accepted = "a number > 0, a tuple (low, high) with low < high, or text such as '5%'"
    if isinstance(margin, str):
        percent = _PERCENT.fullmatch(margin)
        if percent is None or not float(percent[1]) > 0:
            raise checks.wrong("margin", margin, accepted)
        if not control:
            raise StatError(
                f"margin={margin!r}: the estimate of the control is 0; give the margin in the unit of the metric"
            )
        share = float(percent[1]) / 100
        width, signed = abs(control) * share, math.copysign(share, control)
        return _Bounds(Interval(-width, width), Interval(1 - signed, 1 + signed))
    if isinstance(margin, tuple):
        if len(margin) != 2:
            raise checks.wrong("margin", margin, accepted)
        low, high = (checks.number("margin", limit) for limit in margin)
        if not low < high:
            raise checks.wrong("margin", margin, accepted)
        return _Bounds(Interval(low, high))
    size = checks.number("margin", margin, gt=0)
    return _Bounds(Interval(-size, size))


def _percent_text(margin: Any) -> str:
    return f" ({margin.strip()} of the control, as a test of the ratio)" if isinstance(margin, str) else ""
