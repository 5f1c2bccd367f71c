"""Arms: values of the groups that a test compares, standard errors of their differences, and checks of assumptions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.ids import dense_numbers, id_codes
from crucible_nb.events.metric_names import metric_of
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import (
    Error,
    Units,
    difference_of_errors,
    extreme_scale,
    paired_error,
    units_of,
)
from crucible_nb.stats.few_units import few_units_warnings
from crucible_nb.stats.heavy_tails import heavy_tail_warnings
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.products import dot
from crucible_nb.stats.samples.blocks import block_values, neighbours, sample_of
from crucible_nb.stats.samples.clusters import Clustering, choose_cluster
from crucible_nb.stats.samples.values import Values, frame_of, is_constant, same_kind

ARMS = ("control", "treatment")
_WARNING = "warning: "
_SKEWED = 0.2
_FEW_VALUES = 15
_TINY, _HUGE = 1e-200, 1e200  # squares and cubes of smaller or larger deviations under- or overflow
_SUSPECT = 0.05
_HEAVY_SPREAD = 1.4


def arms_of(
    groups: Sequence[Any], names: Sequence[str], metric: str, *, cluster: str | None = None, resample: Any = None
) -> tuple[Values, ...]:
    """Read the values of each group, clustered as `choose_cluster` says.

    Args:
        groups: Experiments, frames, Series, lists or arrays.
        names: Names of the groups, for messages.
        metric: As for `values_of`; with `resample`, the quantile of each block.
        cluster: Column of clusters; None uses sessions or repeated items if they have several rows.
        resample: Width of time blocks.

    Raises:
        StatError: A group with fewer than two values or clusters; see also `sample_of`.
    """
    groups = [frame_of(group) for group in groups]
    if resample is not None:
        return clustered_arms(groups, names, metric, Clustering(cluster, given=True), resample, read=_sample_of_test)
    return clustered_arms(groups, names, metric, choose_cluster(groups, cluster))


def _sample_of_test(data: Any, metric: str, name: str, *, cluster: str | None, resample: Any) -> Values:
    """Read a sample for a test of means: of a quantile, the quantile of each time block."""
    kind = metric_of(metric, data.columns if isinstance(data, pd.DataFrame) else ()).kind
    if kind == "quantile" and cluster is None:
        return block_values(data, metric, name, resample)
    return sample_of(data, metric, name, cluster=cluster, resample=resample)


def clustered_arms(
    groups: Sequence[Any], names: Sequence[str], metric: str, clustering: Clustering, resample: Any = None,
    read: Callable[..., Values] = sample_of,
) -> tuple[Values, ...]:  # fmt: skip
    """Read the values of each group; a cluster that occurs in several groups has the same code in all of them.

    Args:
        groups: DataFrames, Series, lists or arrays.
        names: Names of the groups, for messages.
        metric, resample: As for `sample_of`.
        clustering: The column of clusters. One that was not given by the user may be missing in a group.
        read: Function that reads a group.
    """
    columns = [_cluster_in(group, clustering) for group in groups]
    arms = [
        read(group, metric, name, cluster=column, resample=resample)
        for group, name, column in zip(groups, names, columns, strict=True)
    ]
    if resample is None:
        arms = [_warn_if_correlated(group, arm, name) for group, arm, name in zip(groups, arms, names, strict=True)]
    if sum(arm.cluster is not None for arm in arms) > 1:
        arms = _set_apart(arms) if resample is not None else _share_cluster_codes(groups, arms, columns)
    for arm, name in zip(arms, names, strict=True):
        check_size(arm, name)
    notes = (*(f"{_WARNING}{warning}" for warning in clustering.warnings), *clustering.found)
    if notes:
        arms = [arm._replace(notes=(*arm.notes, *notes)) for arm in arms]
    return same_kind(arms)


def _cluster_in(group: Any, clustering: Clustering) -> str | None:
    column = clustering.column
    if column is None or clustering.given:
        return column
    return column if isinstance(group, pd.DataFrame) and column in group.columns else None


def two_arms(
    control: Any, treatment: Any, metric: str, *, cluster: str | None = None, resample: Any = None
) -> tuple[Values, Values]:
    """Read the values of a control and a treatment; see `arms_of`."""
    first, second = arms_of((control, treatment), ARMS, metric, cluster=cluster, resample=resample)
    return first, second


def _warn_if_correlated(data: Any, arm: Values, name: str) -> Values:
    """Add a warning if neighbouring events correlate."""
    if arm.cluster is not None or len(arm.x) < 3 or not math.isnan(arm.metric.seconds):
        return arm
    estimate = float("nan")
    if arm.metric.kind == "quantile":
        estimate = weighted.quantile(arm.x, arm.weight, arm.metric.q)
    elif arm.per is not None:
        below = float(arm.weight @ arm.per)
        if not below > 0:  # no ratio, as the test will say
            return arm
        estimate = float(arm.weight @ arm.x) / below
    warning, _ = neighbours(data, arm.metric.name, arm, estimate)
    if warning is None:
        return arm
    return arm._replace(
        notes=(
            *arm.notes,
            f"{_WARNING}{name}: {warning}; use resample='1min' or cluster='session_id'",
        )
    )


def _share_cluster_codes(
    frames: Sequence[pd.DataFrame], arms: Sequence[Values], columns: Sequence[str | None]
) -> list[Values]:
    if all(column is not None and _is_dense(frame[column]) for frame, column in zip(frames, columns, strict=True)):
        return list(arms)  # the numbers are the codes
    named = [
        np.zeros(0, object) if column is None else _names_of_codes(frame[column], column)
        for frame, column in zip(frames, columns, strict=True)
    ]
    codes, known = pd.factorize(np.concatenate(named))
    joined, start, fresh = [], 0, len(known)
    for arm, names in zip(arms, named, strict=True):
        if arm.cluster is None:
            joined.append(arm)
            continue
        alone = max(_largest_code(arm) + 1 - len(names), 0)
        table = np.concatenate([codes[start : start + len(names)], np.arange(fresh, fresh + alone)])
        lost = None if arm.lost_cluster is None else table[arm.lost_cluster].astype(np.int64)
        joined.append(arm._replace(cluster=table[arm.cluster].astype(np.int64), lost_cluster=lost))
        start, fresh = start + len(names), fresh + alone
    return joined


def _is_dense(column: pd.Series) -> bool:
    return dense_numbers(column) is not None


def _names_of_codes(column: pd.Series, name: str) -> np.ndarray:
    """The item of each cluster code."""
    numbers = dense_numbers(column)
    return id_codes(column, name)[1] if numbers is None else np.arange(numbers.max() + 1).astype(str).astype(object)


def _set_apart(arms: Sequence[Values]) -> list[Values]:
    """Give the clusters of each arm codes of their own."""
    apart, start = [], 0
    for arm in arms:
        if arm.cluster is None:
            apart.append(arm)
            continue
        apart.append(arm._replace(cluster=arm.cluster + start))
        start += _largest_code(arm) + 1
    return apart


def _largest_code(arm: Values) -> int:
    """Largest cluster code of any row, with or without a value; -1 without clusters."""
    codes = (arm.cluster, arm.lost_cluster)
    return max(-1 if code is None else int(code.max(initial=-1)) for code in codes)


def check_size(arm: Values, name: str, least: int = 2) -> None:
    """Require at least two independent values, from which a standard error can be estimated."""
    if len(arm.x) < least or not arm.weight.sum() > 0:
        raise StatError(
            f"{name}: expected at least {least} values of {arm.metric.name}, got {len(arm.x)}"
            f"{f' ({arm.missing:,} missing)' if arm.missing else ''}; record more"
        )
    if arm.cluster is not None and is_constant(arm.cluster):
        raise StatError(
            f"{name}: expected at least 2 clusters (30 for a reliable result), got 1; leave out cluster, or record more"
        )


def check_spread(arms: Sequence[Values], names: Sequence[str]) -> None:
    """Require that the values of at least one arm vary."""
    if all(arm.per is None and is_constant(arm.x) for arm in arms):
        values = ", ".join(f"{arm.x[0]:g} in {name}" for arm, name in zip(arms, names, strict=True))
        raise StatError(
            f"{arms[0].metric.name} is constant ({values}), so there is no variance to test against; "
            "compare the numbers as they are, or choose another metric"
        )


def linearize(arm: Values, test: str) -> tuple[float, np.ndarray]:
    """The mean, rate or ratio of an arm, with the linearised deviation of each row; their weighted sum is 0.

    Raises:
        StatError: A total or a quantile.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> estimate, deviation = linearize(values_of([1.0, 2.0, 6.0], "latency_ms"), "t_test")
        >>> estimate, deviation.tolist()
        (3.0, [-2.0, -1.0, 3.0])

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.6 (ratios). Springer (1992).
    """
    metric, x, weight = arm.metric, arm.x, arm.weight
    if metric.kind == "quantile":
        raise StatError(
            f"{test}: {metric.name} is a quantile; use permutation_test, mann_whitney_u on {metric.column}, or "
            f"resample='1min' to compare the {metric.name} of minutes"
        )
    if metric.kind == "total":
        raise StatError(
            f"{test}: a total depends on how long an arm ran; compare mean_{metric.column}, or use resample='1min' to "
            "compare the totals of minutes"
        )
    if arm.per is not None:
        below = weighted.mean(arm.per, weight)
        if not below > 0:
            raise StatError(f"{test}: {metric.per} adds up to 0, so {metric.name} is unknown; record more")
        ratio = weighted.mean(x, weight) / below
        return ratio, (x - ratio * arm.per) / below
    pivot = float(x[0])
    center, away = center_of(arm, pivot)
    return pivot + center, away


def center_of(arm: Values, pivot: float) -> tuple[float, np.ndarray]:
    """The weighted mean of an arm relative to a pivot, and the deviation of each row from it.

    The pivot is subtracted before summing, so that a large common offset (1e12) costs no digits.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> center, deviation = center_of(values_of([1e12 + 1, 1e12 + 2, 1e12 + 6], "latency_ms"), 1e12)
        >>> center, deviation.tolist()
        (3.0, [-2.0, -1.0, 3.0])
    """
    away = arm.x - pivot
    center = weighted.mean(away, arm.weight) if arm.sampled else float(away.mean())
    away -= center
    return center, away


def units_of_arm(arm: Values, deviation: np.ndarray, codes: int = 0) -> Units:
    """Independent units of an arm: rows, or clusters; see `units_of`."""
    return units_of(deviation, arm.weight, arm.cluster, codes)


def number_of_codes(arms: Sequence[Values]) -> int:
    """One more than the largest code of a cluster in any arm."""
    return max(_largest_code(arm) for arm in arms) + 1


def arm_error(arm: Values, deviation: np.ndarray) -> Error:
    """Linearised standard error of an estimate of one arm, between clusters if there are any; see `cluster_robust`."""
    if arm.plain and len(deviation) > 1:
        n, squares = len(deviation), dot(deviation, deviation)
        if _TINY < squares < _HUGE:
            return Error(float(np.sqrt(squares / n / (n - 1))), n - 1.0)
    return weighted.error_of(deviation, arm.weight, "process", arm.cluster)


def difference_error(control: Values, treatment: Values, first: np.ndarray, second: np.ndarray) -> Error:
    """Linearised standard error of a difference, estimate of the treatment - estimate of the control.

    Independent arms have Welch's degrees of freedom; the contributions of clusters that occur in both arms are
    subtracted before squaring.

    Args:
        control, treatment: The arms.
        first, second: Linearised deviations of the rows of control and treatment.

    Examples:
        >>> import numpy as np
        >>> from crucible_nb.stats.samples.values import values_of
        >>> arms = [values_of(x, "loss") for x in ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])]
        >>> error = difference_error(*arms, *(arm.x - arm.x.mean() for arm in arms))
        >>> round(error.error**2, 12), round(error.df, 2)  # 1 / 3 + 4 / 3; Welch
        (1.666666666667, 2.94)
    """
    if not shared_clusters((control, treatment)):
        return difference_of_errors(arm_error(control, first), arm_error(treatment, second))
    scale, one, two = aligned_units(control, treatment, first, second)
    error, df = paired_error(one, two)
    return Error(scale * error, df)


def aligned_units(
    control: Values, treatment: Values, first: np.ndarray, second: np.ndarray
) -> tuple[float, Units, Units]:
    """Units of two arms with clusters in common, in the same order, and first the scale that divides deviations."""
    codes, scale = number_of_codes((control, treatment)), extreme_scale(first, second)
    return scale, units_of_arm(control, first / scale, codes), units_of_arm(treatment, second / scale, codes)


def shared_clusters(arms: Sequence[Values]) -> int:
    """Count the clusters that occur in more than one arm."""
    codes = [arm.cluster for arm in arms if arm.cluster is not None]
    if len(codes) < len(arms):
        return 0
    if len(codes) == 2 and codes[0].max(initial=-1) < codes[1].min(initial=codes[1].max(initial=0)):
        return 0  # faster than counting
    present = np.zeros(number_of_codes(arms), np.int64)
    for code in codes:
        present += np.bincount(code, minlength=len(present)) > 0
    return int(np.count_nonzero(present > 1))


class Notes(NamedTuple):
    """Sentences of a result: assumptions checked, values left out, reasons to doubt."""

    assumptions: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def plus(
        self, assumptions: Sequence[str] = (), exclusions: Sequence[str] = (), warnings: Sequence[str] = ()
    ) -> Notes:
        """Add sentences."""
        return Notes((*self.assumptions, *assumptions), (*self.exclusions, *exclusions), (*self.warnings, *warnings))


def notes_of(arms: Sequence[Values], names: Sequence[str]) -> Notes:
    """Notes that apply to every test: independence, weights, clusters, missing values."""
    assumptions: list[str] = []
    exclusions: list[str] = []
    warnings: list[str] = []
    for arm, name in zip(arms, names, strict=True):
        if arm.missing:
            exclusions.append(f"{arm.missing:,} rows of {name} without {arm.metric.column}")
        for note in arm.notes:
            text = note.removeprefix(_WARNING)
            (warnings if note.startswith(_WARNING) else assumptions).append(
                text if text.startswith(name) else f"{name}: {text}"
            )
        if arm.sampled:
            assumptions.append(
                f"rows of {name} were sampled and are weighted "
                f"(effective number of rows by Kish: {weighted.effective_size(arm.weight):,.0f})"
            )
        if arm.cluster is not None and not arm.blocks:
            clusters = weighted.units(len(arm.x), arm.cluster)
            assumptions.append(f"{len(arm.x):,} rows of {name} in {clusters:,} clusters that are independent")
        warnings += [f"{name}: {warning}" for warning in few_units_warnings(arm)]
    shared = shared_clusters(arms)
    if shared:
        assumptions.append(f"{shared:,} clusters occur in more than one group; their covariance is taken into account")
    if not assumptions and not warnings:
        assumptions.append("rows are independent of each other (use cluster= or resample= if they are not)")
    return Notes(tuple(assumptions), tuple(exclusions), tuple(warnings))


class Moments(NamedTuple):
    """Weighted mean, variance (divided by n - 1) and skewness of an arm."""

    mean: float
    variance: float
    skewness: float


def moments_of(arm: Values) -> Moments:
    """Compute the weighted moments of an arm.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> [round(moment, 3) for moment in moments_of(values_of([1.0, 2.0, 6.0], "loss"))]
        [3.0, 7.0, 0.595]
    """
    pivot = float(arm.x[0])
    center, away = center_of(arm, pivot)
    return moments_of_deviation(arm, pivot + center, away)


def moments_of_deviation(arm: Values, mean: float, deviation: np.ndarray) -> Moments:
    """The weighted moments of an arm whose mean is known, from the deviation of each row."""
    n, scale = len(deviation), extreme_scale(deviation)
    away = deviation if scale == 1 else deviation / scale
    squares = away * away
    if arm.sampled:
        share = arm.weight / arm.weight.sum()
        variance, third = dot(share, squares), dot(share, squares * away)
    else:
        variance, third = float(squares.mean()), dot(squares, away) / n
    skewness = third / variance**1.5 if variance > 0 else 0.0
    return Moments(mean, scale * scale * variance * n / (n - 1), skewness)  # infinite if it overflows


def in_moderate_unit(*arms: Values) -> list[Values]:
    """The arms in a unit in which squares neither over- nor underflow; unchanged if they are in one.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> bool(in_moderate_unit(values_of([3e-150, 4e-150], "loss"))[0].x.max() > 0.1)
        True
    """
    scale = extreme_scale(*(arm.x for arm in arms))
    return [arm if scale == 1 else arm._replace(x=arm.x / scale) for arm in arms]


def check_normality(arms: Sequence[Values], names: Sequence[str], moments: Sequence[Moments]) -> Notes:
    """Check whether means are close to normal: skewness against n (Cochran's rule), and heavy tails.

    References:
        Cochran: Sampling Techniques, section 2.15 (n > 25 times the squared skewness). Wiley (1977).
    """
    third, second, warnings = 0.0, 0.0, []
    largest = max(moment.variance for moment in moments) or 1.0
    for i, (arm, name, (mean, variance, skew)) in enumerate(zip(arms, names, moments, strict=True)):
        n = weighted.effective_size(arm.weight) if arm.sampled else len(arm.x)
        # in a difference, the skewness of the two arms cancels
        third += (1 if i else -1) * skew * (variance / largest) ** 1.5 / n**2
        second += variance / largest / n
        # the largest 1% can carry 15% only if the sd is 1.4 times the mean: most arms need no sorting
        if mean > 0 and math.sqrt(variance) > _HEAVY_SPREAD * mean:
            warnings += [f"{name}: {warning}" for warning in heavy_tail_warnings(arm)]
    skewness = " and ".join(f"{moment.skewness:.2g} in {name}" for moment, name in zip(moments, names, strict=True))
    shared = 0.0
    if len(arms) == 2:
        sizes = (weighted.effective_size(arm.weight) if arm.sampled else len(arm.x) for arm in arms)
        shared = abs(common_skewness(*sizes, *(moment.skewness for moment in moments)))
    if second > 0 and max(abs(third) / second**1.5, shared) > _SKEWED:
        warnings.append(
            f"skewness {skewness}: too large for means of so few values to be normal; mann_whitney_u, permutation_test "
            "or a quantile do not need normality"
        )
        return Notes(warnings=tuple(warnings))
    fewest = min(len(arm.x) for arm in arms)
    if fewest < _FEW_VALUES:
        assumption = f"values are assumed to be normally distributed; {fewest} values are too few to check it"
        return Notes((assumption,), (), tuple(warnings))
    return Notes((f"skewness {skewness}: means of so many values are close to normal",), (), tuple(warnings))


def common_skewness(n: float, m: float, first: float, second: float) -> float:
    """Skewness of the difference of two means, second - first, if both arms have the same shape; 0 for equal sizes.

    Args:
        n, m: Number of values of each arm.
        first, second: Skewness of the values of each arm.

    Examples:
        >>> common_skewness(300, 300, 8.0, 8.0), round(common_skewness(50, 2000, 8.0, 8.0), 2)
        (0.0, -1.09)
    """
    skewness = (n * first + m * second) / (n + m)
    return float(skewness * (1 / m**2 - 1 / n**2) / (1 / n + 1 / m) ** 1.5)


def check_equal_variances(arms: Sequence[Values], ratio: str) -> Notes:
    """Check whether variances differ, for a test that assumes equal ones.

    Args:
        arms: The arms.
        ratio: Sentence about the ratio of the variances, with which the note begins.

    References:
        Brown, Forsythe: Robust tests for the equality of variances. JASA 69 (1974).
    """
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    with catch_warnings():
        simplefilter("ignore")  # arms of two values have equal distances from the median
        pvalue = float(stats.levene(*(arm.x for arm in arms), center="median").pvalue)
    if not pvalue < _SUSPECT:
        known = "" if np.isnan(pvalue) else f" (Brown-Forsythe {p_text(pvalue)})"
        return Notes((f"{ratio}; equal variances are assumed{known}",))
    return Notes((), (), (f"{ratio}; Brown-Forsythe {p_text(pvalue)}: leave out equal_variance for Welch's test",))
