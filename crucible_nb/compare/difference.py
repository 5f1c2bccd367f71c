"""The difference of one metric between two arms, with a test that fits the design."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from crucible_nb.compare.arms import Arm
from crucible_nb.compare.design import Design
from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.blocks import sample_of
from crucible_nb.stats.intervals import LIMITS
from crucible_nb.stats.means import t_test
from crucible_nb.stats.mover import difference_limits, pvalue_of
from crucible_nb.stats.outcome import TestResult
from crucible_nb.stats.pairs import pairs_of
from crucible_nb.stats.proportions import two_proportions
from crucible_nb.stats.ranked import Ranked, ranked
from crucible_nb.stats.results import Interval
from crucible_nb.stats.tables import fisher, mcnemar
from crucible_nb.stats.values import Values, metric_of

_RARE = 5


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


def difference_of(control: Arm, treatment: Arm, metric: str, design: Design) -> Difference:
    """Compare one metric.

    Raises:
        SchemaError: No such column in an arm.
        StatError: Too few values, or constant ones.
    """
    kind = metric_of(metric, control.frame.columns).kind
    if design.resample is not None or kind == "mean":
        return _of_means(control, treatment, metric, design)
    if kind == "rate":
        return _of_rates(control, treatment, metric, design)
    if kind == "quantile":
        return _of_quantiles(control, treatment, metric, design)
    return _of_sums(control, treatment, metric, design)


def sides(control: Arm, treatment: Arm, metric: str, design: Design) -> tuple[Values, Values, tuple[str, ...]]:
    """The values of both arms, aligned where the design is paired, and what was left out."""
    if design.pair_by is not None:
        pairs = pairs_of(control.frame, treatment.frame, metric, design.pair_by, design.cluster)
        return pairs.control, pairs.treatment, pairs.exclusions
    first, second = (
        sample_of(arm.frame, metric, arm.name, cluster=design.cluster, resample=design.resample)
        for arm in (control, treatment)
    )
    missing = [(arm.name, side.missing) for arm, side in ((control, first), (treatment, second)) if side.missing]
    return first, second, tuple(f"{count:,} rows of the {name} without a value" for name, count in missing)


def _of_means(control: Arm, treatment: Arm, metric: str, design: Design) -> Difference:
    found = t_test(
        control.frame, treatment.frame, metric, paired=design.pair_by is not None, cluster=design.cluster,
        resample=design.resample, pair_by=design.pair_by or "sample_id",
    )  # fmt: skip
    why = "means of independent arms, variances may differ"
    if design.pair_by is not None:
        why = f"means of the same items on both sides ({design.pair_by})"
    elif design.resample is not None:
        why = f"means of blocks of {design.resample}, because neighbouring events resemble each other"
    return _answered(found, why + _also(design), sides(control, treatment, metric, design)[:2])


def _of_rates(control: Arm, treatment: Arm, metric: str, design: Design) -> Difference:
    first, second, _ = sides(control, treatment, metric, design)
    if design.pair_by is not None:
        if first.metric.kind != "rate" or second.metric.kind != "rate" or not (first.plain and second.plain):
            return _of_means(control, treatment, metric, design)
        found = mcnemar(control.frame, treatment.frame, metric=metric, pair_by=design.pair_by)
        return _answered(found, f"shares of the same items on both sides ({design.pair_by})", (first, second))
    found = two_proportions(control.frame, treatment.frame, metric=metric, cluster=design.cluster)
    if first.plain and second.plain and _rare(first, second) < _RARE:
        exact = fisher(control.frame, treatment.frame, metric=metric)
        answer = _answered(found, f"shares so rare that fewer than {_RARE} are expected in a cell", (first, second))
        return answer._replace(pvalue=exact.pvalue, test=exact.test)
    return _answered(found, "shares of independent arms" + _also(design), (first, second))


def _rare(first: Values, second: Values) -> float:
    """The least expected count of a two by two table."""
    hits, n = first.x.sum() + second.x.sum(), len(first.x) + len(second.x)
    return float(min(len(first.x), len(second.x)) * min(hits, n - hits) / n)


def _also(design: Design) -> str:
    sampled = ", weighted because rows were sampled" if design.sampled else ""
    return sampled + (f", errors clustered by {design.cluster}" if design.cluster is not None else "")


def _answered(found: TestResult, why: str, values: tuple[Values, Values]) -> Difference:
    n = found.n if isinstance(found.n, tuple) else (found.n, found.n)
    return Difference(
        found.metric, (_mean(values[0]), _mean(values[1])), found.estimate, partial(answered_again, found), found.pvalue,
        found.test, why, (n[0], n[-1]), (found.effect, found.effect_size),
        (*found.assumptions, *found.exclusions, *found.warnings),
    )  # fmt: skip


def _mean(values: Values) -> float:
    return weighted.mean(values.x, values.weight)


def answered_again(found: TestResult, confidence: float) -> Interval:
    """The interval of a test at another confidence, its two half-widths stretched by the quantiles of t."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    low, high = found.confidence_interval
    df = found.df if isinstance(found.df, float) else math.inf
    wanted, had = (
        float(special.stdtrit(df, (1 + level) / 2)) if math.isfinite(df) else float(special.ndtri((1 + level) / 2))
        for level in (confidence, found.confidence)
    )
    scale, estimate = wanted / had, found.estimate
    return Interval(estimate - scale * (estimate - low), estimate + scale * (high - estimate))


def _of_quantiles(control: Arm, treatment: Arm, metric: str, design: Design) -> Difference:
    first, second, excluded = sides(control, treatment, metric, design)
    one, two = ranked(first), ranked(second)
    together = 0.0 if design.pair_by is None else _together(first, second, one, two)
    estimate = two.estimate - one.estimate

    def limits(confidence: float) -> Interval:
        return difference_limits(
            (one.estimate, one.limits(confidence)), (two.estimate, two.limits(confidence)), together
        )

    why = f"quantiles, whose limits are order statistics; no assumption about the distribution{_also(design)}"
    if design.pair_by is not None:
        why += f"; the same items are on both sides ({design.pair_by}), so their correlation ({together:.2f}) counts"
    return Difference(
        metric, (one.estimate, two.estimate), estimate, limits, pvalue_of(estimate, limits),
        "difference of quantiles (MOVER)", why, (len(first.x), len(second.x)),
        ("ratio", two.estimate / one.estimate if one.estimate > 0 else math.nan), excluded,
    )  # fmt: skip


def _together(first: Values, second: Values, one: Ranked, two: Ranked) -> float:
    """Correlation of being below the quantile on both sides."""
    below = np.stack([first.x <= one.estimate, second.x <= two.estimate]).astype(np.float64)
    if not below.std(1).all():
        return 0.0
    return float(np.corrcoef(below)[0, 1])


def _of_sums(control: Arm, treatment: Arm, metric: str, design: Design) -> Difference:
    """Totals and ratios of totals, by their linearised standard errors."""
    first, second, excluded = sides(control, treatment, metric, design)
    kind = first.metric.kind
    if design.pair_by is not None and kind == "ratio":
        estimates, error = _paired_ratio(first, second)
        df = weighted.units(len(first.x), first.cluster) - 1
    else:
        found = [LIMITS[kind](side, 0.95, "process", None) for side in (first, second)]
        estimates, error = (found[0].estimate, found[1].estimate), math.hypot(found[0].error, found[1].error)
        df = min(weighted.units(len(side.x), side.cluster) for side in (first, second)) - 1
    estimate = estimates[1] - estimates[0]
    if not error > 0:
        raise StatError(f"{metric}: all values are alike, so that nothing says how far the difference may be off")
    name = "difference of totals (t)" if kind == "total" else "difference of ratios (t, linearised)"
    why = ("totals over all events" if kind == "total" else "ratios of two totals") + _also(design)
    ratio = estimates[1] / estimates[0] if estimates[0] > 0 else math.nan
    return Difference(
        metric, estimates, estimate, partial(_by_error, estimate, error, df), _two_sided(estimate / error, df), name,
        why, (len(first.x), len(second.x)), ("ratio", ratio), excluded,
    )  # fmt: skip


def _paired_ratio(first: Values, second: Values) -> tuple[tuple[float, float], float]:
    parts, estimates = [], []
    for side in (first, second):
        per = np.asarray(side.per)
        mean = weighted.mean(per, side.weight)
        estimates.append(weighted.mean(side.x, side.weight) / mean)
        parts.append((side.x - estimates[-1] * per) / mean)
    error = weighted.error_of(parts[1] - parts[0], first.weight, "process", first.cluster)
    return (estimates[0], estimates[1]), error


def _by_error(estimate: float, error: float, df: int, confidence: float) -> Interval:
    from scipy import special  # noqa: PLC0415

    half = float(special.stdtrit(df, (1 + confidence) / 2)) * error
    return Interval(estimate - half, estimate + half)


def _two_sided(t: float, df: int) -> float:
    from scipy import special  # noqa: PLC0415

    return float(2 * special.stdtr(df, -abs(t)))
