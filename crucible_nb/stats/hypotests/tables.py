"""Chi-square: whether categories occur as often in one arm as in another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.standardized import UNKNOWN
from crucible_nb.stats.estimates.binary import Two, counted, newcombe
from crucible_nb.stats.hypotests.association import rao_scott, strength
from crucible_nb.stats.outcome import TestResult, p_text
from crucible_nb.stats.results import number
from crucible_nb.stats.samples.arms import ARMS
from crucible_nb.stats.samples.counts import (
    Labels,
    categories_of,
    counts_of,
    joint_clusters,
    labels_of,
    weighted_counts,
)
from crucible_nb.stats.samples.values import frame_of
from crucible_nb.utils import checks

_FEW = 5


def chi_square(
    *groups: Any,
    metric: str = "success_rate",
    expected: Any = None,
    correction: bool = True,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> TestResult:
    """Whether arms differ in how often each category occurs, rows of a table from each other, or counts from shares.

    Args:
        groups: Two or more arms (experiments, DataFrames, Series, lists or arrays); or one table of counts with two
            dimensions; or one list of counts, which are then compared with `expected`.
        metric: "success_rate", or a column of any labels, e.g. "error".
        expected: Shares of the categories, for one list of counts; None: all alike. With a mapping of labels to
            shares, the one group is an arm whose labels are counted.
        correction: For continuity, in 2 x 2 tables (Yates), as scipy does.
        cluster: Column of what groups rows that are alike, e.g. "session_id".
        confidence: Of the intervals.

    Returns:
        TestResult; the effect is Cramer's V, of one list of counts Cohen's w, by the uncorrected statistic. The
        estimate is the difference treatment - control for two arms of true and false, else NaN. Rows that were
        sampled or lie in clusters have Rao and Scott's correction, and the statistic is F.

    Raises:
        ConfigError: An argument is not what is accepted.
        SchemaError: No such column.
        StatError: One category only, no rows, or a table that is none.

    Examples:
        >>> from crucible_nb.stats.hypotests.tables import chi_square
        >>> found = chi_square([[83, 3], [90, 3], [129, 7], [70, 12]])  # smokers among lung cancer patients, Fleiss
        >>> round(found.statistic, 4), found.df, round(found.pvalue, 6)
        (12.6004, 3.0, 0.005585)
        >>> round(chi_square([44, 56]).pvalue, 3)
        0.23

    References:
        Pearson: On the criterion that a given system of deviations ... Philosophical Magazine 50 (1900).
    """
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    if len(groups) > 1:
        if expected is not None:
            raise checks.wrong("expected", expected, "None with several groups")
        return _of_arms(groups, metric, cluster, correction=correction, confidence=confidence)
    if not groups:
        raise StatError("chi_square: expected two or more groups, or one table of counts, got nothing")
    if isinstance(expected, Mapping):
        return _goodness(*_counted(groups[0], metric, expected), confidence)
    counts = counts_of(frame_of(groups[0]))
    if counts.ndim == 1:
        return _goodness(counts, _shares(expected, len(counts)), metric, confidence)
    if expected is not None:
        raise checks.wrong("expected", expected, "None with a table")
    return _of_table(counts, "table", correction=correction, confidence=confidence)


def _of_arms(
    groups: Sequence[Any], metric: str, cluster: str | None, *, correction: bool, confidence: float
) -> TestResult:
    names = ARMS if len(groups) == 2 else [f"group {i}" for i in range(1, len(groups) + 1)]
    codes = joint_clusters(groups, cluster)
    arms = [labels_of(*one) for one in zip(groups, [metric] * len(groups), names, codes, strict=True)]
    categories = categories_of(arms, metric)
    said = tuple(f"{arm.missing:,} rows of {name} without a value"
                 for arm, name in zip(arms, names, strict=True) if arm.missing)  # fmt: skip
    if not all(arm.plain for arm in arms):
        return _corrected(arms, categories, metric, said, confidence)
    counts = np.array([weighted_counts(arm, categories) for arm in arms])
    found = _of_table(counts.astype(np.int64), metric, correction=correction, confidence=confidence)
    return _with_difference(found, counts, categories, said)


def _with_difference(
    found: TestResult, counts: np.ndarray, categories: Sequence[Any], said: tuple[str, ...]
) -> TestResult:
    """With the difference of the shares, where there are two arms of true and false."""
    found = replace(found, exclusions=said)
    if counts.shape != (2, 2) or list(categories) != [False, True]:
        return found
    first, second = (counted(float(row[1]), float(row.sum())) for row in counts)
    two = Two(first, second)
    return replace(
        found, estimate=two.difference, estimand="difference of shares, treatment - control",
        confidence_interval=newcombe(two, found.confidence),
    )  # fmt: skip


def _of_table(counts: np.ndarray, metric: str, *, correction: bool, confidence: float) -> TestResult:
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    if counts.ndim != 2 or min(counts.shape) < 2 or not (counts.sum(0).all() and counts.sum(1).all()):
        shape = " x ".join(map(str, counts.shape))
        raise StatError(
            f"table: expected two or more rows and columns, none of them all 0, got {shape}; drop what never occurs"
        )
    found = stats.chi2_contingency(counts, correction=correction)
    df, n = float(found.dof), int(counts.sum())
    plain = found.statistic if df > 1 or not correction else stats.chi2_contingency(counts, correction=False).statistic
    effect, interval = strength(float(plain), df, float(n), min(counts.shape) - 1, confidence)
    yates = correction and df == 1
    assumed, warned = _checked(found.expected_freq, "fisher" if counts.size == 4 else "fisher, or fewer categories")
    return TestResult(
        "chi-square", metric, math.nan, "", UNKNOWN, confidence, float(found.statistic), df,
        float(found.pvalue), "Cramer's V", effect, interval, "two-sided", tuple(counts.sum(1).tolist()), assumed,
        method=f"Frequencies of {metric} in {counts.shape[0]} groups and {counts.shape[1]} categories were compared by "
        f"Pearson's chi-square test{' with continuity correction' if yates else ''}: chi2({df:g}, N = {n:,}) = "
        f"{number(float(found.statistic))}, {p_text(float(found.pvalue))}, Cramer's V = {number(effect)}.",
        warnings=warned,
    )  # fmt: skip


def _checked(expected: np.ndarray, other: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whether the expected counts are large enough for a chi-square distribution (Cochran's rule)."""
    few = int((expected < _FEW).sum())
    said = f"smallest expected count {number(float(expected.min()))}"
    if not few:
        return (said,), ()
    return (said,), (f"{few} of {expected.size} expected counts are below {_FEW}: the p-value is rough; use {other}",)


def _corrected(
    arms: Sequence[Labels], categories: Sequence[Any], metric: str, said: tuple[str, ...], confidence: float
) -> TestResult:
    found, rows = rao_scott(arms, categories), tuple(len(arm.values) for arm in arms)
    most, df = min(len(arms), len(categories)) - 1, (len(arms) - 1) * (len(categories) - 1)
    n = sum(rows) / found.design_effect
    effect, interval = strength(found.pearson / found.design_effect, float(df), n, most, confidence)
    expected = np.outer(rows, np.array(rows) @ found.shares / sum(rows)) / found.design_effect
    assumed, warned = _checked(expected, "fewer categories")
    assumed = (f"rows have weights or clusters: mean design effect {found.design_effect:.2f}", *assumed)
    return TestResult(
        "chi-square (Rao-Scott)", metric, math.nan, "", UNKNOWN, confidence, found.statistic, found.df,
        found.pvalue, "Cramer's V", effect, interval, "two-sided", rows, assumed, said,
        method=f"Frequencies of {metric} in {len(arms)} groups and {len(categories)} categories were compared by a "
        f"chi-square test with Rao and Scott's second-order correction: F({found.df[0]:.1f}, {found.df[1]:,.0f}) = "
        f"{number(found.statistic)}, {p_text(found.pvalue)}, Cramer's V = {number(effect)}.",
        warnings=warned,
    )  # fmt: skip


def _counted(data: Any, metric: str, expected: Mapping[Any, float]) -> tuple[np.ndarray, np.ndarray, str]:
    """Counts of the labels of one arm, and the shares that they are compared with."""
    arm, categories = labels_of(data, metric, "data"), list(expected)
    if not arm.plain:
        raise StatError(f"{metric}: rows stand for events that are not there; use one_proportion, which weighs them")
    unknown = sorted({*arm.values} - {*categories}, key=str)
    if unknown:
        raise checks.wrong("expected", dict(expected), f"a share for each label; {unknown[0]!r} has none", StatError)
    shares = _shares(list(expected.values()), len(categories))
    return weighted_counts(arm, categories).astype(np.int64), shares, metric


def _shares(expected: Any, length: int) -> np.ndarray:
    shares = np.full(length, 1 / length) if expected is None else checks.floats("expected", expected)
    if len(shares) != length or not (shares > 0).all() or not math.isclose(shares.sum(), 1, rel_tol=1e-8):
        raise checks.wrong("expected", expected, f"{length} shares > 0 that add up to 1", StatError)
    return np.asarray(shares / shares.sum())


def _goodness(counts: np.ndarray, shares: np.ndarray, metric: str, confidence: float) -> TestResult:
    from scipy import stats  # noqa: PLC0415

    n, df = int(counts.sum()), float(len(counts) - 1)
    if not n or not df:
        raise StatError(f"chi_square: expected counts of two or more categories, got {counts.tolist()}")
    found = stats.chisquare(counts, n * shares)
    effect, interval = strength(float(found.statistic), df, float(n), 1, confidence)
    assumed, warned = _checked(n * shares, "fewer categories")
    return TestResult(
        "chi-square goodness of fit", metric, math.nan, "", UNKNOWN, confidence, float(found.statistic), df,
        float(found.pvalue), "Cohen's w", effect, interval, "two-sided", n, assumed,
        method=f"Frequencies of {len(counts)} categories were compared with given shares by Pearson's chi-square test: "
        f"chi2({df:g}, N = {n:,}) = {number(float(found.statistic))}, {p_text(float(found.pvalue))}, Cohen's w = "
        f"{number(effect)}.",
        warnings=warned,
    )  # fmt: skip
