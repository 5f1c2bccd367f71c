"""Chi-square tests: of equal proportions of categories in several arms, and of goodness of fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.declared import ITEM
from crucible_nb.events.where import Where
from crucible_nb.stats.estimates.binary import TwoShares, newcombe_contrast, share_of_counts
from crucible_nb.stats.hypotests.association import cramers_v, rao_scott
from crucible_nb.stats.outcome import TestResult, p_text
from crucible_nb.stats.results import UNKNOWN, number
from crucible_nb.stats.samples.arms import ARMS
from crucible_nb.stats.samples.clusters import SESSION
from crucible_nb.stats.samples.counts import (
    Labels,
    categories_of,
    counts_of,
    joint_clusters,
    labels_of,
    weighted_counts,
)
from crucible_nb.stats.samples.values import frame_of, rows_where
from crucible_nb.stats.wording import own_name
from crucible_nb.utils import checks

_RATE = "success_rate"
_FEW = 5


def chi_square(
    *groups: Any,
    metric: str = "success_rate",
    expected: Any = None,
    correction: bool = True,
    cluster: str | None = None,
    confidence: float = 0.95,
    where: Where = None,
) -> TestResult:
    """Test whether arms or rows of a table differ in the proportions of categories, or counts from given proportions.

    Args:
        groups: Two or more arms (experiments, DataFrames, Series, lists or arrays); or one table of counts with two
            dimensions; or one list of counts, which are then compared with `expected`.
        metric: "success_rate", or a column of any labels, e.g. "error".
        expected: Proportions of the categories, for one list of counts; None: all equal. If it is a mapping of labels
            to proportions, the one group is an arm whose labels are counted.
        correction: Correct 2 x 2 tables for continuity (Yates), as scipy does.
        cluster: Column of clusters of similar rows, e.g. "session_id".
        confidence: Coverage of the intervals.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult; the effect size is Cramer's V, for one list of counts Cohen's w, from the uncorrected statistic. The
        estimate is the difference treatment - control for two arms of true and false, otherwise NaN. Sampled or
        clustered rows get Rao and Scott's correction, and the statistic is F.

    Raises:
        ConfigError: An argument is not accepted.
        SchemaError: No such column.
        StatError: Only one category, no rows, or an invalid table.

    Examples:
        >>> from crucible_nb.stats.hypotests.tables import chi_square
        >>> result = chi_square([[83, 3], [90, 3], [129, 7], [70, 12]])  # smokers among lung cancer patients, Fleiss
        >>> round(result.statistic, 4), result.df, round(result.pvalue, 6)
        (12.6004, 3.0, 0.005585)
        >>> round(chi_square([44, 56]).pvalue, 3)
        0.23

    References:
        Pearson: On the criterion that a given system of deviations ... Philosophical Magazine 50 (1900).
    """
    groups = rows_where(where, *groups)
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    if len(groups) > 1:
        if expected is not None:
            raise checks.wrong("expected", expected, "None with several groups")
        return _test_arms(groups, metric, cluster, correction=correction, confidence=confidence)
    if not groups:
        raise StatError("chi_square: expected two or more groups, or one table of counts, got nothing")
    if isinstance(expected, Mapping):
        return _goodness_of_fit(*_count_labels(groups[0], metric, expected), confidence)
    counts = counts_of(frame_of(groups[0]))
    if counts.ndim == 1:
        name = own_name(metric, _RATE, groups[0])
        return _goodness_of_fit(
            counts, _proportions(expected, len(counts)), "counts" if name == _RATE else name, confidence
        )
    if expected is not None:
        raise checks.wrong("expected", expected, "None with a table")
    return _test_table(counts, "table", correction=correction, confidence=confidence)


def _test_arms(
    groups: Sequence[Any], metric: str, cluster: str | None, *, correction: bool, confidence: float
) -> TestResult:
    names = ARMS if len(groups) == 2 else [f"group {i}" for i in range(1, len(groups) + 1)]
    codes, clustering = joint_clusters(groups, cluster)
    arms = [labels_of(group, metric, name, code) for group, name, code in zip(groups, names, codes, strict=True)]
    categories = categories_of(arms, metric)
    exclusions = tuple(f"{arm.missing:,} rows of {name} without a value"
                       for arm, name in zip(arms, names, strict=True) if arm.missing)  # fmt: skip
    if not all(arm.plain for arm in arms):
        result = _test_weighted_arms(arms, categories, metric, exclusions, confidence)
        return replace(result, assumptions=(*clustering.notes, *result.assumptions))
    counts = np.array([weighted_counts(arm, categories) for arm in arms])
    result = _test_table(counts.astype(np.int64), metric, correction=correction, confidence=confidence)
    result = replace(result, exclusions=exclusions, warnings=(*clustering.warnings, *result.warnings))
    return _add_difference(result, counts, categories)


def _add_difference(result: TestResult, counts: np.ndarray, categories: Sequence[Any]) -> TestResult:
    """Add the difference of the proportions if there are two arms of true and false."""
    if counts.shape != (2, 2) or list(categories) != [False, True]:
        return result
    first, second = (share_of_counts(float(row[1]), float(row.sum())) for row in counts)
    shares = TwoShares(first, second)
    contrast = newcombe_contrast(shares)
    change = contrast.relative(result.confidence)
    return replace(
        result, estimate=shares.difference, estimand="difference of shares, treatment - control",
        confidence_interval=contrast.difference(result.confidence), relative_change=change.value,
        relative_interval=change.interval,
    )  # fmt: skip


def _test_table(counts: np.ndarray, metric: str, *, correction: bool, confidence: float) -> TestResult:
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    if counts.ndim != 2 or min(counts.shape) < 2 or not (counts.sum(0).all() and counts.sum(1).all()):
        shape = " x ".join(map(str, counts.shape))
        raise StatError(
            f"table: expected two or more rows and columns, none of them all 0, got {shape}; drop rows and columns "
            "that are all 0"
        )
    test = stats.chi2_contingency(counts, correction=correction)
    statistic, pvalue, df, n = float(test.statistic), float(test.pvalue), float(test.dof), int(counts.sum())
    uncorrected = statistic
    if df == 1 and correction:
        uncorrected = float(stats.chi2_contingency(counts, correction=False).statistic)
    effect, interval = cramers_v(uncorrected, df, float(n), min(counts.shape) - 1, confidence)
    yates = correction and df == 1
    other = "fisher" if counts.size == 4 else "fisher, or fewer categories"
    assumptions, warnings = _check_expected_counts(test.expected_freq, other)
    return TestResult(
        test="chi-square", metric=metric, estimate=math.nan, estimand="", confidence_interval=UNKNOWN,
        confidence=confidence, statistic=statistic, df=df, pvalue=pvalue, effect="Cramer's V", effect_size=effect,
        effect_interval=interval, alternative="two-sided", n=tuple(counts.sum(1).tolist()), assumptions=assumptions,
        method=f"Frequencies of {metric} in {counts.shape[0]} groups and {counts.shape[1]} categories were compared by "
        f"Pearson's chi-square test{' with continuity correction' if yates else ''}: chi2({df:g}, N = {n:,}) = "
        f"{number(statistic)}, {p_text(pvalue)}, Cramer's V = {number(effect)}.",
        warnings=warnings,
    )  # fmt: skip


def _check_expected_counts(expected: np.ndarray, other: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Check whether expected counts are large enough for the chi-square distribution (Cochran's rule)."""
    few = int((expected < _FEW).sum())
    assumptions = (f"smallest expected count {number(float(expected.min()))}",)
    if not few:
        return assumptions, ()
    return assumptions, (
        f"{few} of {expected.size} expected counts are below {_FEW}: the p-value is inaccurate; use {other}",
    )


def _test_weighted_arms(
    arms: Sequence[Labels], categories: Sequence[Any], metric: str, exclusions: tuple[str, ...], confidence: float
) -> TestResult:
    test, rows = rao_scott(arms, categories), tuple(len(arm.values) for arm in arms)
    smaller, df = min(len(arms), len(categories)) - 1, (len(arms) - 1) * (len(categories) - 1)
    n = sum(rows) / test.design_effect
    effect, interval = cramers_v(test.pearson / test.design_effect, float(df), n, smaller, confidence)
    expected = np.outer(rows, np.array(rows) @ test.shares / sum(rows)) / test.design_effect
    assumptions, warnings = _check_expected_counts(expected, "fewer categories")
    design = f"rows have weights or clusters: mean design effect {test.design_effect:.2f}"
    return TestResult(
        test="chi-square (Rao-Scott)", metric=metric, estimate=math.nan, estimand="", confidence_interval=UNKNOWN,
        confidence=confidence, statistic=test.statistic, df=test.df, pvalue=test.pvalue, effect="Cramer's V",
        effect_size=effect, effect_interval=interval, alternative="two-sided", n=rows,
        assumptions=(design, *assumptions), exclusions=exclusions,
        method=f"Frequencies of {metric} in {len(arms)} groups and {len(categories)} categories were compared by a "
        f"chi-square test with Rao and Scott's second-order correction: F({test.df[0]:.1f}, {test.df[1]:,.0f}) = "
        f"{number(test.statistic)}, {p_text(test.pvalue)}, Cramer's V = {number(effect)}.",
        warnings=warnings,
    )  # fmt: skip


def _count_labels(data: Any, metric: str, expected: Mapping[Any, float]) -> tuple[np.ndarray, np.ndarray, str]:
    """Count the labels of one arm; also give the expected proportions and the metric."""
    arm, categories = labels_of(data, metric, "data", joint_clusters([data], None)[0][0]), list(expected)
    if not arm.plain:
        raise StatError(
            f"{metric}: rows were sampled, or several share a {SESSION} or {ITEM}, and goodness of fit has no form for "
            "them. Use one_proportion."
        )
    unknown = sorted({*arm.values} - {*categories}, key=str)
    if unknown:
        raise checks.wrong("expected", dict(expected), f"a share for each label; {unknown[0]!r} has none", StatError)
    shares = _proportions(list(expected.values()), len(categories))
    name = own_name(metric, _RATE, data)
    return weighted_counts(arm, categories).astype(np.int64), shares, "labels" if _is_unnamed(name, data) else name


def _is_unnamed(name: str, data: Any) -> bool:
    return name == _RATE and not isinstance(frame_of(data), pd.DataFrame)


def _proportions(expected: Any, length: int) -> np.ndarray:
    shares = np.full(length, 1 / length) if expected is None else checks.floats("expected", expected)
    if len(shares) != length or not (shares > 0).all() or not math.isclose(shares.sum(), 1, rel_tol=1e-8):
        raise checks.wrong("expected", expected, f"{length} shares > 0 that add up to 1", StatError)
    return np.asarray(shares / shares.sum())


def _goodness_of_fit(counts: np.ndarray, shares: np.ndarray, metric: str, confidence: float) -> TestResult:
    from scipy import stats  # noqa: PLC0415

    n, df = int(counts.sum()), float(len(counts) - 1)
    if not n or not df:
        raise StatError(f"chi_square: expected counts of two or more categories, got {counts.tolist()}")
    test = stats.chisquare(counts, n * shares)
    statistic, pvalue = float(test.statistic), float(test.pvalue)
    effect, interval = cramers_v(statistic, df, float(n), 1, confidence)
    assumptions, warnings = _check_expected_counts(n * shares, "fewer categories")
    return TestResult(
        test="chi-square goodness of fit", metric=metric, estimate=math.nan, estimand="", confidence_interval=UNKNOWN,
        confidence=confidence, statistic=statistic, df=df, pvalue=pvalue, effect="Cohen's w", effect_size=effect,
        effect_interval=interval, alternative="two-sided", n=n, assumptions=assumptions,
        method=f"Frequencies of {len(counts)} categories{'' if metric == 'counts' else f' of {metric}'} were compared "
        "with given shares by Pearson's chi-square test: "
        f"chi2({df:g}, N = {n:,}) = {number(statistic)}, {p_text(pvalue)}, Cohen's w = {number(effect)}.",
        warnings=warnings,
    )  # fmt: skip
