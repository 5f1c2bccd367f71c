"""The difference of one metric between two arms, with the test that fits the design."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import Kind, metric_of
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.estimates.binary import (
    exact_contrast,
    is_binary,
    margin_contrast,
    newcombe_contrast,
    tail_probability,
    two_shares,
)
from crucible_nb.stats.estimates.contrast import Contrast
from crucible_nb.stats.estimates.mover import pvalue_of
from crucible_nb.stats.estimates.paired_shares import paired_share_contrast
from crucible_nb.stats.estimates.two_means import two_paired_means, two_totals
from crucible_nb.stats.estimates.two_quantiles import paired_quantile_contrast, quantile_contrast
from crucible_nb.stats.hypotests.fisher import fisher_pvalue
from crucible_nb.stats.hypotests.mcnemar import mcnemar_test
from crucible_nb.stats.hypotests.means import paired_t_test
from crucible_nb.stats.hypotests.proportions import shares_test
from crucible_nb.stats.hypotests.skewed_means import skew_safe_t_test
from crucible_nb.stats.outcome import TestResult
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import ARMS, Notes, check_size, clustered_arms, notes_of
from crucible_nb.stats.samples.blocks import sample_of
from crucible_nb.stats.samples.pairs import Pairs, pair_correlation, pairs_of
from crucible_nb.stats.samples.values import Values, values_of


def point_estimate(values: Values, *, total: bool = True) -> float:
    """The metric of weighted values: a mean, rate, quantile, ratio or total; NaN without values.

    Args:
        values: Values of one arm.
        total: False gives the mean instead of a total.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> x = [1.0, 2.0, 6.0]
        >>> point_estimate(values_of(x, "mean_loss")), point_estimate(values_of(x, "total_loss"))
        (3.0, 9.0)
    """
    kind, x, weight = values.metric.kind, values.x, values.weight
    if not len(x):
        return float("nan")
    if kind == "quantile":
        return weighted.quantile(x, weight, values.metric.q)
    if kind == "total" and total:
        return float(weight @ x)
    if values.per is not None:
        below = float(weight @ np.asarray(values.per))
        return float(weight @ x) / below if below else math.nan
    return weighted.mean(x, weight) if values.sampled else float(x.mean())


_RARE = 5
_CONFIDENCE = 0.95
_PLURALS = {"mean": "means", "ratio": "ratios of two totals", "total": "totals", "rate": "shares"}


class Difference(NamedTuple):
    """A difference, treatment - control, with its test.

    Attributes:
        metric: Metric that was compared.
        values: The metric of control and treatment, in its unit.
        estimate: The difference, treatment - control.
        limits: Function from confidence to the interval of the difference.
        pvalue: P-value of no difference.
        test: Name of the test.
        why: Reason for this test.
        n: Number of values used of (control, treatment); equal for pairs.
        effect: Name and value of the effect size.
        notes: Assumptions, exclusions and warnings.
        unit: Unit over which the metric is averaged, such as "items"; "" for the metric of the events.
        of_events: The metric of the events of control and treatment, if `unit` is not "".
        untested: Reason why there is no test; None with one.
        identical: Whether the values of both arms are identical: of pairs, or of constant arms.
        contrast: The estimates with the intervals of treatment - ratio * control, from which the relative change
            follows; None for a confidence sequence.
        margin_contrast: The same for a test against a margin, where its intervals differ.
        limited: Reason why the verdict may be "leaning" at most; None without one.
        valid_at_every_n: For a confidence sequence, whether it is valid at every n (True) or only asymptotically
            (False); None for a test with a fixed n.
        kind: Kind of the metric as it was read: a column of 0 and 1 is a rate.
        error: Standard error of the difference with its degrees of freedom; NaN where the test has none.
        correlation: Correlation of the values of paired items; NaN without pairs, for quantiles and for ratios.
    """

    metric: str
    values: tuple[float, float]
    estimate: float
    limits: Callable[[float], Interval]
    pvalue: float
    test: str
    why: str
    n: tuple[int, int]
    effect: tuple[str, float] = ("", math.nan)
    notes: Notes = Notes()
    unit: str = ""
    of_events: tuple[float, float] | None = None
    untested: str | None = None
    identical: bool = False
    contrast: Contrast | None = None
    margin_contrast: Contrast | None = None
    limited: str | None = None
    valid_at_every_n: bool | None = None
    kind: Kind = "mean"
    error: Error = Error(math.nan, math.nan)
    correlation: float = math.nan

    @property
    def sequential(self) -> bool:
        """Whether the difference is by a confidence sequence."""
        return self.valid_at_every_n is not None

    @property
    def estimand(self) -> str:
        """Name of what is compared."""
        return f"{self.metric} (mean over {self.unit})" if self.unit else self.metric


def measure_difference(control: Arm, treatment: Arm, metric: str, design: Design) -> Difference:
    """Compare one metric by a test with a fixed n.

    Raises:
        SchemaError: No such column in an arm.
        StatError: Too few values, or constant values.
    """
    if metric_of(metric, control.frame.columns).kind == "per_time":
        return _rates_per_time(control, treatment, metric, design)
    if design.pair_by is not None:
        pairs = pairs_of(control.frame, treatment.frame, metric, design.pair_by, design.cluster)
        check_size(pairs.control, "pairs")
        difference = _PAIRED[pairs.control.metric.kind](pairs, design)._replace(identical=is_identical(*pairs[:2]))
        return _of_items(difference, pairs)._replace(correlation=pair_correlation(pairs))
    frames = control.frame, treatment.frame
    first, second = clustered_arms(frames, ARMS, metric, design.clustering, design.resample)
    difference = _INDEPENDENT[first.metric.kind](first, second, design)
    difference = difference._replace(identical=is_constant(first, second))
    if design.resample is None or first.blocks:
        return difference
    totals = [values_of(frame, metric) for frame in frames]
    return difference._replace(unit=f"blocks of {design.resample}", of_events=_estimates(*totals))


def is_identical(control: Values, treatment: Values) -> bool:
    """Return whether all pairs have equal values."""
    same = control.per is None or treatment.per is None or np.array_equal(control.per, treatment.per)
    return bool(np.array_equal(control.x, treatment.x) and same)


def is_constant(control: Values, treatment: Values) -> bool:
    """Return whether all values of both arms are equal."""
    first = control.x[0]
    starts = (arm.x[:100] for arm in (control, treatment))  # most arms vary at once
    if control.per is not None or not all((part == first).all() for part in starts):
        return False
    return bool((control.x == first).all() and (treatment.x == first).all())


def _of_items(difference: Difference, pairs: Pairs) -> Difference:
    """Name the mean over repeated items, and add the mean over events; other metrics are those of the events."""
    if pairs.rows is None or pairs.control.metric.kind not in {"mean", "rate"}:
        return difference
    return difference._replace(unit="items", of_events=_estimates(*pairs.rows))


def _estimates(control: Values, treatment: Values) -> tuple[float, float]:
    return point_estimate(control), point_estimate(treatment)


def _rates_per_time(control: Arm, treatment: Arm, metric: str, design: Design) -> Difference:
    """Compare rates per time: the arms ran at their own times, so they are independent, also for the same items."""
    first, second = (
        sample_of(arm.frame, metric, name, resample=design.resample)
        for arm, name in zip((control, treatment), ARMS, strict=True)
    )
    test, contrast = skew_safe_t_test(first, second, _CONFIDENCE)
    return _from_test(
        test, (first, second), "rates of independent arms, errors between blocks of time", contrast
    )._replace(identical=is_constant(first, second))  # fmt: skip


def _means(first: Values, second: Values, design: Design) -> Difference:
    test, contrast = skew_safe_t_test(first, second, _CONFIDENCE)
    why = f"{_PLURALS[first.metric.kind]} of independent arms, variances may differ"
    return _from_test(test, (first, second), why + _design_text(design), contrast)


def _paired_means(pairs: Pairs, design: Design) -> Difference:
    test = paired_t_test(pairs, "two-sided", _CONFIDENCE)
    why = (
        f"{_PLURALS[pairs.control.metric.kind]} of the same items in both arms ({design.pair_by}){_design_text(design)}"
    )
    return _from_test(test, pairs.arms, why, two_paired_means(pairs).contrast)


def _rates(first: Values, second: Values, design: Design) -> Difference:
    shares = two_shares(first, second)
    test = shares_test(shares, first, second, "two-sided", _CONFIDENCE)
    why = "shares of independent arms" + _design_text(design)
    difference = _from_test(test, (first, second), why, newcombe_contrast(shares))
    difference = difference._replace(margin_contrast=margin_contrast(shares))
    if not shares.plain or _smallest_expected_count(first, second) >= _RARE:
        return difference
    why = f"an expected count is below {_RARE}, so an exact test of the shares"
    contrast = exact_contrast(shares)
    return difference._replace(
        pvalue=fisher_pvalue(shares), test="Fisher's exact, Clopper-Pearson limits", why=why, contrast=contrast,
        limits=contrast.difference,
    )  # fmt: skip


def _paired_rates(pairs: Pairs, design: Design) -> Difference:
    if not (is_binary(pairs.control) and is_binary(pairs.treatment)):
        return _paired_means(pairs, design)
    test = mcnemar_test(pairs, "two-sided", _CONFIDENCE)

    def limits(confidence: float) -> Interval:
        return mcnemar_test(pairs, "two-sided", confidence).confidence_interval

    why = f"shares of the same items in both arms ({design.pair_by}){_design_text(design)}"
    contrast = paired_share_contrast(pairs)
    difference = _from_test(test, (pairs.control, pairs.treatment), why, contrast)
    return difference._replace(limits=limits, margin_contrast=contrast)


def _smallest_expected_count(first: Values, second: Values) -> float:
    """Smallest expected count of the 2x2 table of two arms of true and false."""
    hits, n = first.x.sum() + second.x.sum(), len(first.x) + len(second.x)
    return float(min(len(first.x), len(second.x)) * min(hits, n - hits) / n)


def _design_text(design: Design) -> str:
    sampled = ", weighted because rows were sampled" if design.sampled else ""
    if design.resample is not None:
        return f"{sampled}, errors between blocks of {design.resample}, because neighbouring events correlate"
    return sampled + (f", errors clustered by {design.cluster}" if design.cluster is not None else "")


def _from_test(test: TestResult, sides: tuple[Values, Values], why: str, contrast: Contrast) -> Difference:
    return Difference(
        metric=test.metric, values=(point_estimate(sides[0]), point_estimate(sides[1])), estimate=test.estimate,
        limits=contrast.difference, pvalue=test.pvalue, test=test.test, why=why,
        n=(sides[0].n, sides[1].n), effect=(test.effect, test.effect_size),
        notes=Notes(test.assumptions, test.exclusions, test.warnings), contrast=contrast, limited=test.limited,
        kind=sides[0].metric.kind, error=error_of(test),
    )  # fmt: skip


def error_of(test: TestResult) -> Error:
    """Standard error of a test with its degrees of freedom, infinite for a normal or an exact test."""
    if isinstance(test.df, tuple):
        return Error(test.standard_error, float(test.df[-1]))
    by_t = test.df is not None and test.test != "McNemar"  # which has the one of a chi-square
    return Error(test.standard_error, float(test.df) if by_t and test.df is not None else math.inf)


def _quantiles(first: Values, second: Values, design: Design) -> Difference:
    return _of_quantiles((first, second), quantile_contrast(first, second), design)


def _paired_quantiles(pairs: Pairs, design: Design) -> Difference:
    contrast, correlation = paired_quantile_contrast(pairs)
    difference = _of_quantiles(pairs.arms, contrast, design)
    same = f"; both arms have the same items ({design.pair_by}), so their correlation ({correlation:.2f}) is used"
    return difference._replace(why=difference.why + same, notes=difference.notes.plus(exclusions=pairs.exclusions))


def _of_quantiles(sides: tuple[Values, Values], contrast: Contrast, design: Design) -> Difference:
    control, treatment = contrast[:2]
    first, second = sides
    return Difference(
        metric=first.metric.name, values=(control, treatment), estimate=treatment - control,
        limits=contrast.difference, pvalue=pvalue_of(treatment - control, contrast.difference),
        test="difference of quantiles (MOVER)",
        why=f"quantiles by order statistics, valid for any distribution{_design_text(design)}",
        n=(first.n, second.n), effect=("ratio", _ratio(control, treatment)),
        notes=notes_of((first, second), ARMS), contrast=contrast,
    )  # fmt: skip


def _ratio(control: float, treatment: float) -> float:
    return treatment / control if control > 0 else math.nan


def _totals(first: Values, second: Values, design: Design) -> Difference:
    totals = two_totals(first, second)
    contrast, (standard_error, df) = totals.contrast, totals.error(1.0, 1.0)
    if not standard_error > 0:
        raise StatError(
            f"{first.metric.name}: all values are equal, so the difference has no standard error to test by"
        )
    estimate, values = totals.difference, (totals.control, totals.treatment)
    return Difference(
        metric=first.metric.name, values=values, estimate=estimate, limits=contrast.difference,
        pvalue=tail_probability(estimate / standard_error, "two-sided", df), test="difference of totals (t)",
        why=f"expected totals of as many events as each arm has{_design_text(design)}",
        n=(first.n, second.n), effect=("ratio", _ratio(*values)),
        notes=notes_of((first, second), ARMS), contrast=contrast, error=Error(standard_error, df),
    )  # fmt: skip


def _paired_totals(pairs: Pairs, design: Design) -> Difference:
    """Difference of totals over the items that both arms have: their number times the mean difference."""
    metric = pairs.control.metric
    control, treatment = (side._replace(metric=metric._replace(kind="mean")) for side in pairs[:2])
    pairs = pairs._replace(control=control, treatment=treatment)
    n, means = float(control.weight.sum()), _paired_means(pairs, design)
    contrast = two_paired_means(pairs).contrast.times(n)
    return means._replace(
        metric=metric.name, values=(contrast.control, contrast.treatment),
        estimate=n * means.estimate, error=Error(n * means.error.error, means.error.df),
        limits=contrast.difference, contrast=contrast,
        why=f"totals over the {len(control.x):,} items that both arms have ({design.pair_by}){_design_text(design)}",
    )  # fmt: skip


_INDEPENDENT: dict[str, Callable[[Values, Values, Design], Difference]] = {
    "mean": _means, "ratio": _means, "rate": _rates, "quantile": _quantiles, "total": _totals,
}  # fmt: skip
_PAIRED: dict[str, Callable[[Pairs, Design], Difference]] = {
    "mean": _paired_means, "ratio": _paired_means, "rate": _paired_rates, "quantile": _paired_quantiles,
    "total": _paired_totals,
}  # fmt: skip
