"""McNemar's test: the same items on both sides, right or wrong."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.risks import g_of, sided
from crucible_nb.stats.effects.standardized import differences
from crucible_nb.stats.estimates.binary import check_binary, tail_of, widening
from crucible_nb.stats.hypotests.means import checked
from crucible_nb.stats.hypotests.score import paired_variance, score_limits
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.arms import Notes, check_size, notes_of, own_error
from crucible_nb.stats.samples.counts import counts_2x2, discordant_of
from crucible_nb.stats.samples.pairs import Pairs, pairs_of
from crucible_nb.stats.wording import interval_text
from crucible_nb.utils import checks

_FEW = 25


class Tally(NamedTuple):
    """How pairs came out: true in the control alone, in the treatment alone, of how many."""

    lost: float
    won: float
    n: int


def mcnemar(
    control: Any,
    treatment: Any = None,
    metric: str = "success_rate",
    *,
    pair_by: str = "sample_id",
    exact: bool | None = None,
    correction: bool = True,
    alternative: str = "two-sided",
    cluster: str | None = None,
    confidence: float = 0.95,
) -> TestResult:
    """Whether two shares of the same items differ: only the pairs that came out differently speak.

    Args:
        control, treatment: Arms of true and false with items in common, or lists paired by position. Or one 2x2 table
            of pairs: rows the control (true, false), columns the treatment (true, false).
        metric: "success_rate", or a column of true and false.
        pair_by: Column that names the item.
        exact: Binomial test instead of chi-square; None: where fewer than 25 pairs differ.
        correction: For continuity, of the chi-square.
        alternative: "greater": the treatment has more.
        cluster: Column of what groups items that are alike; then, and for rows that were sampled, the score test
            sums what differs within each before it is squared.
        confidence: Of the intervals.

    Returns:
        TestResult; the estimate is treatment - control with Tango's interval, the effect Cohen's g. No pair that
        differs gives p = 1.

    Raises:
        ConfigError: An argument is not what is accepted.
        StatError: No pairs, values other than true and false (repeats of an item), or exact=True with weights.

    Examples:
        >>> from crucible_nb.stats.hypotests.mcnemar import mcnemar
        >>> found = mcnemar([[794, 150], [86, 570]])  # approval of the president, Agresti
        >>> round(found.statistic, 4), round(found.estimate, 2)
        (16.8178, -0.04)

    References:
        McNemar: Note on the sampling error of the difference between correlated proportions or percentages.
        Psychometrika 12 (1947). Yang, Sun, Hardin: A note on the tests for clustered matched-pair binary data.
        Biometrical Journal 52 (2010).
    """
    checks.one_of("exact", exact, (None, True, False))
    confidence = checked(alternative, confidence)
    if treatment is None:
        table = counts_2x2(control, "pairs")
        tally = Tally(float(table[0, 1]), float(table[1, 0]), int(table.sum()))
        return _plain(tally, "table", exact, alternative, confidence, Notes(), correction=correction)
    pairs = pairs_of(control, treatment, metric, by=pair_by, cluster=cluster)
    return mcnemar_test(pairs, alternative, confidence, exact=exact, correction=correction)


def mcnemar_test(
    pairs: Pairs, alternative: str, confidence: float, *, exact: bool | None = None, correction: bool = True
) -> TestResult:
    """`mcnemar` of pairs that were brought together."""
    check_binary(pairs.control, "control")
    check_binary(pairs.treatment, "treatment")
    notes = notes_of((differences(pairs),), ("pairs",)).plus((), pairs.exclusions)
    if not (pairs.control.plain and pairs.treatment.plain):
        if exact:
            raise StatError(
                "mcnemar: exact=True is for rows that stand for themselves alone; leave it out to weigh them"
            )
        return _designed(pairs, alternative, confidence, notes)
    tally = Tally(*discordant_of(pairs), len(pairs.control.x))
    return _plain(tally, pairs.control.metric.name, exact, alternative, confidence, notes, correction=correction)


def _plain(
    tally: Tally,
    metric: str,
    exact: bool | None,
    alternative: str,
    confidence: float,
    notes: Notes,
    *,
    correction: bool,
) -> TestResult:
    lost, won, n = tally
    exact = lost + won < _FEW if exact is None else exact
    statistic, pvalue = _judged(tally, alternative, exact=exact, correction=correction)
    limits = score_limits((won - lost) / n, paired_variance(lost, won, n), two_sided_level(confidence, alternative))
    kind = "exact" if exact else "chi-square with continuity correction" if correction else "chi-square"
    return _result(
        tally, metric, limits, statistic, None if exact else 1.0, pvalue, alternative, confidence, notes, kind, "Tango"
    )


def _judged(tally: Tally, alternative: str, *, exact: bool, correction: bool) -> tuple[float, float]:
    from scipy import stats  # noqa: PLC0415  heavy; imported where used
    from statsmodels.stats.contingency_tables import mcnemar as theirs  # noqa: PLC0415

    lost, won, _ = tally
    if not lost + won:
        return 0.0, 1.0
    found = theirs([[0, lost], [won, 0]], exact=exact, correction=correction)
    statistic, pvalue = float(found.statistic), float(found.pvalue)
    if alternative == "two-sided":
        return statistic, pvalue
    if exact:
        return statistic, float(stats.binomtest(int(won), int(lost + won), 0.5, alternative).pvalue)
    return statistic, tail_of(math.copysign(math.sqrt(statistic), won - lost) if won != lost else 0.0, alternative)


def _designed(pairs: Pairs, alternative: str, confidence: float, notes: Notes) -> TestResult:
    """Of pairs with weights or clusters: the sum over units against the root of the sum of squares, judged as a t."""
    apart = differences(pairs)
    check_size(apart, "pairs")
    sums = apart.weight * apart.x
    if apart.cluster is not None:
        sums = np.bincount(apart.cluster, sums)
    mean = float(apart.weight @ apart.x / apart.weight.sum())
    error = own_error(apart, apart.x - mean)
    squares = float(sums @ sums)
    z = float(sums.sum()) / math.sqrt(squares) if squares > 0 else 0.0
    level = two_sided_level(confidence, alternative)
    half = math.sqrt(widening(level, error.df)) * error.error * _z(level)
    weight = apart.weight / apart.weight.sum() * len(apart.x)
    tally = Tally(float(weight @ (apart.x < 0)), float(weight @ (apart.x > 0)), len(apart.x))
    return _result(
        tally, pairs.control.metric.name, Interval(max(mean - half, -1.0), min(mean + half, 1.0)), z * z,
        (1.0, error.df), tail_of(z, alternative, error.df), alternative, confidence, notes,
        "score test with the variance of weighted or clustered pairs", "linearised",
    )  # fmt: skip


def _z(level: float) -> float:
    from scipy import special  # noqa: PLC0415

    return float(special.ndtri((1 + level) / 2))


def _result(
    tally: Tally, metric: str, limits: Interval, statistic: float, df: float | tuple[float, ...] | None, pvalue: float,
    alternative: str, confidence: float, notes: Notes, kind: str, how: str,
) -> TestResult:  # fmt: skip
    lost, won, n = tally
    effect = sided(g_of(lost, won, two_sided_level(confidence, alternative)), alternative, -0.5, 0.5)
    interval = one_sided(limits, alternative, -1.0, 1.0)
    odds = won / lost if lost else math.inf
    said = f"of {n:,} pairs {won:,.0f} are true in the treatment alone, {lost:,.0f} in the control alone"
    ratio = () if not lost + won else (f"odds ratio of the pairs that differ {number(odds)}",)
    warned = () if lost + won else ("no pair differs: only the interval says how far the shares may be apart",)
    return TestResult(
        "McNemar", metric, (won - lost) / n, "difference of paired shares, treatment - control", interval,
        confidence, statistic, df, pvalue, "Cohen's g", effect.value, effect.interval, alternative, n,
        (said, *ratio, *notes.assumptions), notes.exclusions,
        method=f"Paired shares were compared by McNemar's test ({kind}): {said}, {p_text(pvalue)}; the shares "
        f"differ by {number((won - lost) / n)} ({interval_text(interval, confidence)}, {how}).",
        warnings=notes.warnings + warned,
    )  # fmt: skip
