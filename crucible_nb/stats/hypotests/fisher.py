"""Fisher's exact test, for counts too small for a chi-square."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.risks import h_of, odds_of, sided
from crucible_nb.stats.effects.standardized import UNKNOWN
from crucible_nb.stats.estimates.binary import Two, binary_arms, counted, two_of
from crucible_nb.stats.hypotests.means import checked
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.arms import ARMS, Notes, notes_of
from crucible_nb.stats.samples.counts import counts_of
from crucible_nb.stats.samples.values import frame_of
from crucible_nb.stats.wording import interval_text
from crucible_nb.utils import checks

_MANY = 20_000
_RESAMPLES = 9999


def fisher(
    control: Any,
    treatment: Any = None,
    metric: str = "success_rate",
    *,
    alternative: str = "two-sided",
    confidence: float = 0.95,
    seed: int = 0,
) -> TestResult:
    """Whether two shares differ, exactly: valid however few the counts are.

    Args:
        control, treatment: Arms of true and false. Or one table of counts: 2x2 with rows (treatment, control) and
            columns (true, false), so that the odds ratio is ad / bc as R and scipy read it; larger tables by
            Monte Carlo, two-sided only.
        metric: "success_rate", or a column of true and false.
        alternative: "greater": the odds of the treatment are higher.
        confidence: Of the intervals.
        seed: Of the Monte Carlo test of a larger table.

    Returns:
        TestResult; the estimate is the conditional odds ratio of treatment over control with its exact interval, as
        R has it, above 20,000 counts the sample odds ratio with Woolf's. The effect is Cohen's h.

    Raises:
        ConfigError: An argument is not what is accepted.
        StatError: Values other than true and false, a table that is none, or rows that were sampled.

    Examples:
        >>> from crucible_nb.stats.hypotests.fisher import fisher
        >>> round(fisher([[3, 1], [1, 3]], alternative="greater").pvalue, 4)  # the lady tasting tea
        0.2429

    References:
        Fisher: The Design of Experiments, chapter 2. Oliver and Boyd (1935).
    """
    confidence = checked(alternative, confidence)
    if treatment is None:
        table = counts_of(frame_of(control))
        if table.ndim != 2 or min(table.shape) < 2 or not table.any():
            raise checks.wrong("table", control, "counts in two or more rows and columns, not all 0", StatError)
        if table.shape != (2, 2):
            return _larger(table, alternative, confidence, checks.whole("seed", seed))
        second, first = (counted(float(row[0]), float(row.sum())) for row in table)
        return _exact(Two(first, second), "table", "table", alternative, confidence, Notes())
    arms = binary_arms(control, treatment, metric)
    if not (arms[0].plain and arms[1].plain):
        raise StatError("fisher: rows stand for events that are not there; use two_proportions, which weighs them")
    return _exact(two_of(*arms), "arms", arms[0].metric.name, alternative, confidence, notes_of(arms, ARMS))


def _exact(two: Two, kind: str, metric: str, alternative: str, confidence: float, notes: Notes) -> TestResult:
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    first, second = ([int(side.hits), side.rows - int(side.hits)] for side in (two.control, two.treatment))
    pvalue = float(stats.fisher_exact([second, first], alternative).pvalue)
    # the sample odds ratio, in the order in which the counts came
    statistic = float(stats.fisher_exact([second, first] if kind == "table" else [first, second]).statistic)
    ratio, interval, how = _odds(two, alternative, confidence)
    effect = sided(h_of(two, two_sided_level(confidence, alternative)), alternative, -math.pi, math.pi)
    return TestResult(
        "Fisher's exact", metric, ratio, "odds ratio, treatment / control", interval, confidence, statistic,
        None, pvalue, "Cohen's h", effect.value, effect.interval, alternative, (two.control.rows, two.treatment.rows),
        notes.assumptions, notes.exclusions,
        method=f"Shares (treatment {second[0]:,} of {two.treatment.rows:,}, control {first[0]:,} of "
        f"{two.control.rows:,}) were compared by Fisher's exact test: {p_text(pvalue)}, {how} odds ratio "
        f"{number(ratio)} ({interval_text(interval, confidence)}).",
        warnings=notes.warnings,
    )  # fmt: skip


def _odds(two: Two, alternative: str, confidence: float) -> tuple[float, Interval, str]:
    from scipy.stats import contingency  # noqa: PLC0415

    cells = [[int(side.hits), side.rows - int(side.hits)] for side in (two.treatment, two.control)]
    table = np.array(cells)
    if table.sum() > _MANY:  # the conditional one takes seconds, and is the same to four digits
        size = odds_of(two, two_sided_level(confidence, alternative))
        return size.value, one_sided(size.interval, alternative, 0.0), "sample"
    if not table.sum(0).all():
        return math.nan, Interval(0.0, math.inf), "no"
    found = contingency.odds_ratio(table, kind="conditional")
    limits = found.confidence_interval(confidence, alternative)
    return float(found.statistic), Interval(float(limits.low), float(limits.high)), "conditional"


def _larger(table: np.ndarray, alternative: str, confidence: float, seed: int) -> TestResult:
    from scipy import stats  # noqa: PLC0415

    if alternative != "two-sided":
        raise checks.wrong("alternative", alternative, "'two-sided' for a table larger than 2 x 2")
    method = stats.MonteCarloMethod(n_resamples=_RESAMPLES, rng=np.random.default_rng(seed))
    found = stats.fisher_exact(table, method=method)
    rows, columns = table.shape
    return TestResult(
        "Fisher-Freeman-Halton", "table", math.nan, "", UNKNOWN, confidence, float(found.statistic), None,
        float(found.pvalue), "", math.nan, UNKNOWN, "two-sided", tuple(table.sum(1).tolist()),
        method=f"The frequencies of {columns} categories in {rows} groups were compared by the Fisher-Freeman-Halton "
        f"test with {_RESAMPLES:,} Monte Carlo tables: {p_text(float(found.pvalue))}.",
    )  # fmt: skip
