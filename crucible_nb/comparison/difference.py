"""The difference of one metric between two arms, with a test that fits the design."""

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
from crucible_nb.stats.samples.arms import ARMS, notes_of, two_arms
from crucible_nb.stats.samples.pairs import Pairs, pairs_of
from crucible_nb.stats.samples.values import Values


def value_of(values: Values, *, total: bool = True) -> float:
    """A mean, rate, quantile, ratio or total of weighted values; NaN of none.

    Args:
        values: Of one arm.
        total: False gives the mean of what a total would add up.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> value_of(values_of([1.0, 2.0, 6.0], "mean_loss")), value_of(values_of([1.0, 2.0, 6.0], "total_loss"))
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
        return float(weight @ x) / float(weight @ np.asarray(values.per))
    return weighted.mean(x, weight) if values.sampled else float(x.mean())


_RARE = 5
_CONFIDENCE = 0.95
_WHAT = {"mean": "means", "ratio": "ratios of two totals", "total": "totals", "rate": "shares"}
Said = tuple[str, ...]


class Difference(NamedTuple):
    """A difference, treatment - control.

    Attributes:
        metric: What was compared.
        values: Of the control and of the treatment.
        estimate: treatment - control.
        limits: Its interval at a confidence.
        pvalue: Of no difference.
        test: Its name.
        why: Why this test.
        n: Values used, one number an arm; equal for pairs.
        effect: Name and size of the effect without a unit.
        said: What was checked, left out or is to be known, in sentences.
        firm: Of a sequence, whether its promise holds at every n, not in the long run only; None for a planned test.
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
    said: tuple[str, ...] = ()
    firm: bool | None = None


def difference_of(control: Arm, treatment: Arm, metric: str, design: Design) -> Difference:
    """Compare one metric.

    Raises:
        SchemaError: No such column in an arm.
        StatError: Too few values, or constant ones.
    """
    if design.pair_by is not None:
        pairs = pairs_of(control.frame, treatment.frame, metric, design.pair_by, design.cluster)
        return _PAIRED[pairs.control.metric.kind](pairs, design)
    first, second = two_arms(control.frame, treatment.frame, metric, cluster=design.cluster, resample=design.resample)
    return _APART[first.metric.kind](first, second, design)


def _means(first: Values, second: Values, design: Design) -> Difference:
    found = two_sample_t_test(first, second, "two-sided", _CONFIDENCE)
    why = f"{_WHAT[first.metric.kind]} of independent arms, variances may differ"
    if design.resample is not None:
        why = f"means of blocks of {design.resample}, because neighbouring events resemble each other"
    return _answered(found, (first, second), why + _also(design), partial(t_interval, found))


def _paired_means(pairs: Pairs, design: Design) -> Difference:
    found = paired_t_test(pairs, "two-sided", _CONFIDENCE)
    why = f"{_WHAT[pairs.control.metric.kind]} of the same items on both sides ({design.pair_by}){_also(design)}"
    return _answered(found, (pairs.control, pairs.treatment), why, partial(t_interval, found))


def _rates(first: Values, second: Values, design: Design) -> Difference:
    found, two = proportions_test(first, second, "two-sided", _CONFIDENCE), two_shares(first, second)
    answer = _answered(found, (first, second), "shares of independent arms" + _also(design), partial(newcombe, two))
    if not two.plain or _rare(first, second) >= _RARE:
        return answer
    exact = fisher(first.x.astype(bool), second.x.astype(bool))
    why = f"shares so rare that fewer than {_RARE} are expected in a cell, so an exact test"
    return answer._replace(pvalue=exact.pvalue, test=f"{exact.test}, Newcombe interval", why=why)


def _paired_rates(pairs: Pairs, design: Design) -> Difference:
    if not (is_binary(pairs.control) and is_binary(pairs.treatment)):
        return _paired_means(pairs, design)
    found = mcnemar_test(pairs, "two-sided", _CONFIDENCE)

    def limits(confidence: float) -> Interval:
        return mcnemar_test(pairs, "two-sided", confidence).confidence_interval

    why = f"shares of the same items on both sides ({design.pair_by}){_also(design)}"
    return _answered(found, (pairs.control, pairs.treatment), why, limits)


def _noted(first: Values, second: Values) -> Said:
    found = notes_of((first, second), ARMS)
    return (*found.assumptions, *found.exclusions, *found.warnings)


def _rare(first: Values, second: Values) -> float:
    """The least expected count of a two by two table."""
    hits, n = first.x.sum() + second.x.sum(), len(first.x) + len(second.x)
    return float(min(len(first.x), len(second.x)) * min(hits, n - hits) / n)


def _also(design: Design) -> str:
    sampled = ", weighted because rows were sampled" if design.sampled else ""
    return sampled + (f", errors clustered by {design.cluster}" if design.cluster is not None else "")


def _answered(
    found: TestResult, sides: tuple[Values, Values], why: str, limits: Callable[[float], Interval]
) -> Difference:
    return Difference(
        found.metric, (value_of(sides[0]), value_of(sides[1])), found.estimate, limits, found.pvalue, found.test, why,
        (len(sides[0].x), len(sides[1].x)), (found.effect, found.effect_size),
        (*found.assumptions, *found.exclusions, *found.warnings),
    )  # fmt: skip


def t_interval(found: TestResult, confidence: float) -> Interval:
    """The interval of a t-test at another confidence, its half-width stretched by the quantiles of t."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    low, high = found.confidence_interval
    df = found.df if isinstance(found.df, float) else math.inf
    wanted, had = (float(special.stdtrit(df, (1 + level) / 2)) for level in (confidence, found.confidence))
    scale, estimate = wanted / had, found.estimate
    return Interval(estimate - scale * (estimate - low), estimate + scale * (high - estimate))


def _quantiles(first: Values, second: Values, design: Design, together: float = 0.0, said: Said = ()) -> Difference:
    one, two = sort_arm(first), sort_arm(second)
    if design.pair_by is not None:
        together = _together(first, second, one, two)
    estimate = two.estimate - one.estimate

    def limits(confidence: float) -> Interval:
        sides = (one.estimate, one.limits(confidence)), (two.estimate, two.limits(confidence))
        return difference_limits(*sides, together)

    why = f"quantiles by order statistics, whatever the distribution{_also(design)}"
    if design.pair_by is not None:
        why += f"; the same items are on both sides ({design.pair_by}), so their correlation ({together:.2f}) counts"
    return Difference(
        first.metric.name, (one.estimate, two.estimate), estimate, limits, pvalue_of(estimate, limits),
        "difference of quantiles (MOVER)", why, (len(first.x), len(second.x)),
        ("ratio", two.estimate / one.estimate if one.estimate > 0 else math.nan),
        (*_noted(first, second), *said),
    )  # fmt: skip


def _paired_quantiles(pairs: Pairs, design: Design) -> Difference:
    return _quantiles(pairs.control, pairs.treatment, design, said=pairs.exclusions)


def _together(first: Values, second: Values, one: SortedArm, two: SortedArm) -> float:
    """Correlation of being below the quantile on both sides."""
    below = np.stack([first.x <= one.estimate, second.x <= two.estimate]).astype(np.float64)
    if not below.std(1).all():
        return 0.0
    return float(np.asarray(np.corrcoef(below))[0, 1])


def _totals(first: Values, second: Values, design: Design) -> Difference:
    found = [LIMITS["total"](side, _CONFIDENCE, "process", None) for side in (first, second)]
    estimate, error = found[1].estimate - found[0].estimate, math.hypot(found[0].error, found[1].error)
    if not error > 0:
        raise StatError(f"{first.metric.name}: all values are alike, so that nothing says how far it may be off")
    df = min(weighted.units(len(side.x), side.cluster) for side in (first, second)) - 1
    return Difference(
        first.metric.name, (found[0].estimate, found[1].estimate), estimate, partial(_by_error, estimate, error, df),
        _two_sided(estimate / error, df), "difference of totals (t)",
        f"what as many events as there were cost in the long run{_also(design)}", (len(first.x), len(second.x)),
        ("ratio", found[1].estimate / found[0].estimate if found[0].estimate > 0 else math.nan),
        _noted(first, second),
    )  # fmt: skip


def _paired_totals(pairs: Pairs, design: Design) -> Difference:
    """Over the items that both arms have: so many times the mean difference."""
    n, found = len(pairs.control.x), _paired_means(pairs, design)
    inner = found.limits

    def limits(confidence: float) -> Interval:
        low, high = inner(confidence)
        return Interval(n * low, n * high)

    values = (n * found.values[0], n * found.values[1])
    return found._replace(
        metric=pairs.control.metric.name, values=values, estimate=n * found.estimate, limits=limits,
        why=f"totals over the {n:,} items that both arms have ({design.pair_by}){_also(design)}",
    )  # fmt: skip


def _by_error(estimate: float, error: float, df: int, confidence: float) -> Interval:
    from scipy import special  # noqa: PLC0415

    half = float(special.stdtrit(df, (1 + confidence) / 2)) * error
    return Interval(estimate - half, estimate + half)


def _two_sided(t: float, df: int) -> float:
    from scipy import special  # noqa: PLC0415

    return float(2 * special.stdtr(df, -abs(t)))


_APART: dict[str, Callable[[Values, Values, Design], Difference]] = {
    "mean": _means, "ratio": _means, "rate": _rates, "quantile": _quantiles, "total": _totals,
}  # fmt: skip
_PAIRED: dict[str, Callable[[Pairs, Design], Difference]] = {
    "mean": _paired_means, "ratio": _paired_means, "rate": _paired_rates, "quantile": _paired_quantiles,
    "total": _paired_totals,
}  # fmt: skip
