"""Fisher's exact test, for counts too small for a chi-square."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.events.declared import ITEM
from crucible_nb.events.where import Where
from crucible_nb.stats.effects.risks import cohens_h_of, odds_ratio_of, one_sided_size
from crucible_nb.stats.estimates.binary import Share, TwoShares, binary_arms, share_of_counts, two_shares
from crucible_nb.stats.hypotests.means import check_test_arguments
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import UNKNOWN, Interval, number
from crucible_nb.stats.samples.arms import ARMS, Notes, notes_of
from crucible_nb.stats.samples.clusters import SESSION
from crucible_nb.stats.samples.counts import counts_of
from crucible_nb.stats.samples.values import frame_of, rows_where
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
    where: Where = None,
) -> TestResult:
    """Test whether two proportions differ by Fisher's exact test, which is valid for small counts.

    Args:
        control, treatment: Arms of true and false. Or one table of counts: 2x2 with rows (treatment, control) and
            columns (true, false), so that the odds ratio is ad / bc as in R and scipy; larger tables by Monte Carlo,
            two-sided only.
        metric: "success_rate", or a column of true and false.
        alternative: "two-sided", "greater" (the treatment has the higher odds) or "less".
        confidence: Coverage of the intervals.
        seed: Random seed of the Monte Carlo test of a larger table.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult; the estimate is the conditional odds ratio, treatment / control, with its exact interval as in R;
        above 20,000 counts the sample odds ratio with Woolf's interval. The effect size is Cohen's h.

    Raises:
        ConfigError: An argument is not accepted.
        StatError: Values other than true and false, an invalid table, or sampled rows.

    Examples:
        >>> from crucible_nb.stats.hypotests.fisher import fisher
        >>> round(fisher([[3, 1], [1, 3]], alternative="greater").pvalue, 4)  # the lady tasting tea
        0.2429

    References:
        Fisher: The Design of Experiments, chapter 2. Oliver and Boyd (1935).
    """
    control, treatment = rows_where(where, control, treatment)
    confidence = check_test_arguments(alternative, confidence)
    if treatment is None:
        table = counts_of(frame_of(control))
        if table.ndim != 2 or min(table.shape) < 2 or not table.any():
            raise checks.wrong("table", control, "counts in two or more rows and columns, not all 0", StatError)
        if table.shape != (2, 2):
            return _monte_carlo(table, alternative, confidence, checks.whole("seed", seed))
        second, first = (share_of_counts(float(row[0]), float(row.sum())) for row in table)
        return _exact(TwoShares(first, second), "table", "table", alternative, confidence, Notes())
    arms = binary_arms(control, treatment, metric)
    if not (arms[0].plain and arms[1].plain):
        raise StatError(
            f"fisher: rows were sampled, or several share a {SESSION} or {ITEM}, and fisher has no form for them. Use "
            "two_proportions."
        )
    return _exact(two_shares(*arms), "arms", arms[0].metric.name, alternative, confidence, notes_of(arms, ARMS))


def fisher_pvalue(shares: TwoShares, alternative: str = "two-sided") -> float:
    """P-value of Fisher's exact test; see `fisher`."""
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    return float(stats.fisher_exact([_cells(shares.treatment), _cells(shares.control)], alternative).pvalue)


def _cells(side: Share) -> list[int]:
    return [int(side.hits), side.rows - int(side.hits)]


def _exact(shares: TwoShares, kind: str, metric: str, alternative: str, confidence: float, notes: Notes) -> TestResult:
    from scipy import stats  # noqa: PLC0415

    pvalue = fisher_pvalue(shares, alternative)
    first, second = (_cells(side) for side in (shares.control, shares.treatment))
    # the sample odds ratio, in the order in which the counts were given
    statistic = float(stats.fisher_exact([second, first] if kind == "table" else [first, second]).statistic)
    ratio, interval, kind_of_ratio = _odds_ratio(shares, alternative, confidence)
    level = two_sided_level(confidence, alternative)
    effect = one_sided_size(cohens_h_of(shares, level), alternative, -math.pi, math.pi)
    n = shares.control.rows, shares.treatment.rows
    return TestResult(
        test="Fisher's exact", metric=metric, estimate=ratio, estimand="odds ratio, treatment / control",
        confidence_interval=interval, confidence=confidence, statistic=statistic, df=None, pvalue=pvalue,
        effect="Cohen's h", effect_size=effect.value, effect_interval=effect.interval, alternative=alternative, n=n,
        assumptions=notes.assumptions, exclusions=notes.exclusions, warnings=notes.warnings,
        method=f"Shares (treatment {second[0]:,} of {n[1]:,}, control {first[0]:,} of {n[0]:,}) were compared by "
        f"Fisher's exact test: {p_text(pvalue)}, {kind_of_ratio} odds ratio {number(ratio)} "
        f"({interval_text(interval, confidence)}).",
    )  # fmt: skip


def _odds_ratio(shares: TwoShares, alternative: str, confidence: float) -> tuple[float, Interval, str]:
    from scipy.stats import contingency  # noqa: PLC0415

    cells = [[int(side.hits), side.rows - int(side.hits)] for side in (shares.treatment, shares.control)]
    table = np.array(cells)
    if table.sum() > _MANY:  # the conditional one takes seconds, and is equal to four digits
        size = odds_ratio_of(shares, two_sided_level(confidence, alternative))
        return size.value, one_sided(size.interval, alternative, 0.0), "sample"
    if not table.sum(0).all():
        return math.nan, Interval(0.0, math.inf), "no"
    odds = contingency.odds_ratio(table, kind="conditional")
    limits = odds.confidence_interval(confidence, alternative)
    return float(odds.statistic), Interval(float(limits.low), float(limits.high)), "conditional"


def _monte_carlo(table: np.ndarray, alternative: str, confidence: float, seed: int) -> TestResult:
    from scipy import stats  # noqa: PLC0415

    if alternative != "two-sided":
        raise checks.wrong("alternative", alternative, "'two-sided' for a table larger than 2 x 2")
    method = stats.MonteCarloMethod(n_resamples=_RESAMPLES, rng=np.random.default_rng(seed))
    test = stats.fisher_exact(table, method=method)
    pvalue, (rows, columns) = float(test.pvalue), table.shape
    return TestResult(
        test="Fisher-Freeman-Halton", metric="table", estimate=math.nan, estimand="", confidence_interval=UNKNOWN,
        confidence=confidence, statistic=float(test.statistic), df=None, pvalue=pvalue, effect="",
        effect_size=math.nan, effect_interval=UNKNOWN, alternative="two-sided", n=tuple(table.sum(1).tolist()),
        method=f"The frequencies of {columns} categories in {rows} groups were compared by the Fisher-Freeman-Halton "
        f"test with {_RESAMPLES:,} Monte Carlo tables: {p_text(pvalue)}.",
    )  # fmt: skip
