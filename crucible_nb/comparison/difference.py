"""The difference of one metric between two arms, with the test that fits the design."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import Error, difference_of_errors
from crucible_nb.stats.estimates.binary import is_binary, newcombe, two_shares
from crucible_nb.stats.estimates.intervals import LIMITS
from crucible_nb.stats.estimates.mover import difference_limits, pvalue_of
from crucible_nb.stats.estimates.sorted_arm import SortedArm, sort_arm
from crucible_nb.stats.hypotests.fisher import fisher
from crucible_nb.stats.hypotests.mcnemar import mcnemar_test
from crucible_nb.stats.hypotests.means import paired_t_test, two_sample_t_test
from crucible_nb.stats.hypotests.proportions import proportions_test
from crucible_nb.stats.outcome import TestResult
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import ARMS, Notes, check_size, clustered_arms, notes_of
from crucible_nb.stats.samples.metric_names import Kind
from crucible_nb.stats.samples.pairs import Pairs, pairs_of
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
        valid_at_every_n: For a confidence sequence, whether it is valid at every n (True) or only asymptotically
            (False); None for a test with a fixed n.
        kind: Kind of the metric as it was read: a column of 0 and 1 is a rate.
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
    valid_at_every_n: bool | None = None
    kind: Kind = "mean"

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
    if design.pair_by is not None:
        pairs = pairs_of(control.frame, treatment.frame, metric, design.pair_by, design.cluster)
        check_size(pairs.control, "pairs")
        difference = _PAIRED[pairs.control.metric.kind](pairs, design)._replace(identical=is_identical(*pairs[:2]))
        return _of_items(difference, pairs)
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
    return control.per is None and bool((control.x == control.x[0]).all() and (treatment.x == control.x[0]).all())


def _of_items(difference: Difference, pairs: Pairs) -> Difference:
    """Name the mean over repeated items, and add the mean over events; other metrics are those of the events."""
    if pairs.rows is None or pairs.control.metric.kind not in {"mean", "rate"}:
        return difference
    return difference._replace(unit="items", of_events=_estimates(*pairs.rows))


def _estimates(control: Values, treatment: Values) -> tuple[float, float]:
    return point_estimate(control), point_estimate(treatment)


def _means(first: Values, second: Values, design: Design) -> Difference:
    test = two_sample_t_test(first, second, "two-sided", _CONFIDENCE)
    why = f"{_PLURALS[first.metric.kind]} of independent arms, variances may differ"
    return _from_test(test, (first, second), why + _design_text(design), partial(t_interval, test))


def _paired_means(pairs: Pairs, design: Design) -> Difference:
    test = paired_t_test(pairs, "two-sided", _CONFIDENCE)
    first, second = pairs.arms
    why = (
        f"{_PLURALS[pairs.control.metric.kind]} of the same items in both arms ({design.pair_by}){_design_text(design)}"
    )
    return _from_test(test, (first, second), why, partial(t_interval, test))


def _rates(first: Values, second: Values, design: Design) -> Difference:
    test, shares = proportions_test(first, second, "two-sided", _CONFIDENCE), two_shares(first, second)
    why = "shares of independent arms" + _design_text(design)
    difference = _from_test(test, (first, second), why, partial(newcombe, shares))
    if not shares.plain or _smallest_expected_count(first, second) >= _RARE:
        return difference
    exact = fisher(first.x.astype(bool), second.x.astype(bool))
    why = f"an expected count is below {_RARE}, so an exact test of the shares"
    return difference._replace(pvalue=exact.pvalue, test=f"{exact.test}, Newcombe interval", why=why)


def _paired_rates(pairs: Pairs, design: Design) -> Difference:
    if not (is_binary(pairs.control) and is_binary(pairs.treatment)):
        return _paired_means(pairs, design)
    test = mcnemar_test(pairs, "two-sided", _CONFIDENCE)

    def limits(confidence: float) -> Interval:
        return mcnemar_test(pairs, "two-sided", confidence).confidence_interval

    why = f"shares of the same items in both arms ({design.pair_by}){_design_text(design)}"
    return _from_test(test, (pairs.control, pairs.treatment), why, limits)


def _smallest_expected_count(first: Values, second: Values) -> float:
    """Smallest expected count of the 2x2 table of two arms of true and false."""
    hits, n = first.x.sum() + second.x.sum(), len(first.x) + len(second.x)
    return float(min(len(first.x), len(second.x)) * min(hits, n - hits) / n)


def _design_text(design: Design) -> str:
    sampled = ", weighted because rows were sampled" if design.sampled else ""
    if design.resample is not None:
        return f"{sampled}, errors between blocks of {design.resample}, because neighbouring events correlate"
    return sampled + (f", errors clustered by {design.cluster}" if design.cluster is not None else "")


def _from_test(
    test: TestResult, sides: tuple[Values, Values], why: str, limits: Callable[[float], Interval]
) -> Difference:
    return Difference(
        metric=test.metric, values=(point_estimate(sides[0]), point_estimate(sides[1])), estimate=test.estimate,
        limits=limits, pvalue=test.pvalue, test=test.test, why=why, n=(sides[0].n, sides[1].n),
        effect=(test.effect, test.effect_size), notes=Notes(test.assumptions, test.exclusions, test.warnings),
        kind=sides[0].metric.kind,
    )  # fmt: skip


def t_interval(test: TestResult, confidence: float) -> Interval:
    """The interval of a t-test at another confidence: its half-width times the ratio of the quantiles of t."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    low, high = test.confidence_interval
    df = test.df if isinstance(test.df, float) else math.inf
    new, old = (float(special.stdtrit(df, (1 + level) / 2)) for level in (confidence, test.confidence))
    scale, estimate = new / old, test.estimate
    return Interval(estimate - scale * (estimate - low), estimate + scale * (high - estimate))


def _quantiles(first: Values, second: Values, design: Design, exclusions: tuple[str, ...] = ()) -> Difference:
    one, two = sort_arm(first), sort_arm(second)
    correlation = _quantile_correlation(first, second, one, two) if design.pair_by is not None else 0.0
    estimate = two.estimate - one.estimate

    def limits(confidence: float) -> Interval:
        sides = (one.estimate, one.limits(confidence)), (two.estimate, two.limits(confidence))
        return difference_limits(*sides, correlation)

    why = f"quantiles by order statistics, valid for any distribution{_design_text(design)}"
    if design.pair_by is not None:
        why += f"; both arms have the same items ({design.pair_by}), so their correlation ({correlation:.2f}) is used"
    return Difference(
        metric=first.metric.name, values=(one.estimate, two.estimate), estimate=estimate, limits=limits,
        pvalue=pvalue_of(estimate, limits), test="difference of quantiles (MOVER)", why=why,
        n=(first.n, second.n), effect=("ratio", _ratio(one.estimate, two.estimate)),
        notes=notes_of((first, second), ARMS).plus(exclusions=exclusions),
    )  # fmt: skip


def _ratio(control: float, treatment: float) -> float:
    return treatment / control if control > 0 else math.nan


def _paired_quantiles(pairs: Pairs, design: Design) -> Difference:
    return _quantiles(*pairs.arms, design, pairs.exclusions)


def _quantile_correlation(first: Values, second: Values, one: SortedArm, two: SortedArm) -> float:
    """Correlation over pairs (of repeated items: over clusters) of being below the quantile in each arm."""
    below = [_below(arm, side) for arm, side in ((first, one), (second, two))]
    if first.cluster is not None and second.cluster is not None:
        present = np.bincount(first.cluster, minlength=len(below[0])) > 0
        below = [part[present] for part in below]
    if not all(part.std() for part in below):
        return 0.0
    return float(np.asarray(np.corrcoef(np.stack(below)))[0, 1])


def _below(arm: Values, side: SortedArm) -> np.ndarray:
    """Influence of each row, or of each cluster, on the share of events below the quantile."""
    below = (arm.x <= side.estimate) - arm.metric.q
    if arm.cluster is None:
        return np.asarray(below)
    return np.bincount(arm.cluster, arm.weight * below)


def _totals(first: Values, second: Values, design: Design) -> Difference:
    one, two = (LIMITS["total"](side, _CONFIDENCE, "process", None) for side in (first, second))
    estimate = two.estimate - one.estimate
    error, df = difference_of_errors(Error(one.error, one.df), Error(two.error, two.df))
    if not error > 0:
        raise StatError(
            f"{first.metric.name}: all values are equal, so the difference has no standard error to test by"
        )
    return Difference(
        metric=first.metric.name, values=(one.estimate, two.estimate), estimate=estimate,
        limits=partial(_limits_by_error, estimate, error, df), pvalue=_two_sided(estimate / error, df),
        test="difference of totals (t)", why=f"expected totals of as many events as each arm has{_design_text(design)}",
        n=(first.n, second.n), effect=("ratio", _ratio(one.estimate, two.estimate)),
        notes=notes_of((first, second), ARMS),
    )  # fmt: skip


def _paired_totals(pairs: Pairs, design: Design) -> Difference:
    """Difference of totals over the items that both arms have: their number times the mean difference."""
    metric = pairs.control.metric
    control, treatment = (side._replace(metric=metric._replace(kind="mean")) for side in pairs[:2])
    n, means = float(control.weight.sum()), _paired_means(pairs._replace(control=control, treatment=treatment), design)

    def limits(confidence: float) -> Interval:
        low, high = means.limits(confidence)
        return Interval(n * low, n * high)

    return means._replace(
        metric=metric.name, values=(n * means.values[0], n * means.values[1]), estimate=n * means.estimate,
        limits=limits,
        why=f"totals over the {len(control.x):,} items that both arms have ({design.pair_by}){_design_text(design)}",
    )  # fmt: skip


def _limits_by_error(estimate: float, error: float, df: float, confidence: float) -> Interval:
    from scipy import special  # noqa: PLC0415

    half = float(special.stdtrit(df, (1 + confidence) / 2)) * error
    return Interval(estimate - half, estimate + half)


def _two_sided(t: float, df: float) -> float:
    from scipy import special  # noqa: PLC0415

    return float(2 * special.stdtr(df, -abs(t)))


_INDEPENDENT: dict[str, Callable[[Values, Values, Design], Difference]] = {
    "mean": _means, "ratio": _means, "rate": _rates, "quantile": _quantiles, "total": _totals,
}  # fmt: skip
_PAIRED: dict[str, Callable[[Pairs, Design], Difference]] = {
    "mean": _paired_means, "ratio": _paired_means, "rate": _paired_rates, "quantile": _paired_quantiles,
    "total": _paired_totals,
}  # fmt: skip
