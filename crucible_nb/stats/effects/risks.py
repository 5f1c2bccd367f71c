"""Effect sizes of proportions: odds ratio, Cohen's h, Cohen's g."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.events.where import Where
from crucible_nb.stats.effects.sizes import Effect
from crucible_nb.stats.estimates.binary import (
    TwoShares,
    binary_arms,
    check_binary,
    share_of_counts,
    two_shares,
    variance_inflation,
)
from crucible_nb.stats.estimates.shares import wilson
from crucible_nb.stats.outcome import one_sided
from crucible_nb.stats.results import UNKNOWN, Interval, number
from crucible_nb.stats.samples.arms import ARMS, Notes, notes_of
from crucible_nb.stats.samples.counts import counts_2x2, discordant_of
from crucible_nb.stats.samples.pairs import independent_pairs
from crucible_nb.stats.samples.values import rows_where
from crucible_nb.stats.wording import interval_text, joined
from crucible_nb.utils import checks


class EffectSize(NamedTuple):
    """An effect size, its confidence interval, warnings about it, and its standard error, NaN where none exists."""

    value: float
    interval: Interval
    warnings: tuple[str, ...] = ()
    error: float = math.nan


def odds_ratio(
    control: Any,
    treatment: Any = None,
    metric: str = "success_rate",
    *,
    cluster: str | None = None,
    confidence: float = 0.95,
    where: Where = None,
) -> Effect:
    """Odds ratio, treatment / control: above 1 if the treatment has the larger proportion.

    Args:
        control, treatment: Experiments, DataFrames, Series, lists or arrays of true and false. Or one 2x2 table of
            counts, rows (treatment, control), columns (true, false): the odds ratio is ad / bc, as in R and scipy.
        metric: As for `cr.confidence_interval`.
        cluster: Column of clusters of similar rows, e.g. "session_id".
        confidence: Coverage of the interval.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect with an interval on the log scale. If a cell is 0, 0.5 is added to all four, with a warning.

    Raises:
        StatError: Values other than true and false, or no values.

    Examples:
        >>> from crucible_nb.stats.effects.risks import odds_ratio
        >>> effect = odds_ratio([[10, 5], [4, 11]])
        >>> effect.effect_size, round(effect.confidence_interval.low, 3)
        (5.5, 1.145)

    References:
        Woolf: On estimating the relation between blood group and disease. Annals of Human Genetics 19 (1955).
        Anscombe: On estimating binomial response relations. Biometrika 43 (1956).
    """
    control, treatment = rows_where(where, control, treatment)
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    shares, notes = _read_shares(control, treatment, metric, cluster)
    size = odds_ratio_of(shares, confidence)
    return _effect("odds ratio", metric, size, confidence, _sizes(shares), "Woolf's interval on the log scale", notes)


def cohens_h(
    control: Any,
    treatment: Any,
    metric: str = "success_rate",
    *,
    cluster: str | None = None,
    confidence: float = 0.95,
    where: Where = None,
) -> Effect:
    """Cohen's h: difference of two proportions on the arcsine scale, treatment - control.

    0.2 is small, 0.5 medium, 0.8 large.

    Args:
        control, treatment: As for `odds_ratio`; or two proportions in [0, 1], for which there is no interval.
        metric, cluster, confidence: As for `odds_ratio`.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect.

    Raises:
        ConfigError: A proportion outside [0, 1].
        StatError: Values other than true and false, or no values.

    Examples:
        >>> from crucible_nb.stats.effects.risks import cohens_h
        >>> round(float(cohens_h(0.5, 0.55)), 7)
        0.1001674

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences, chapter 6. 2nd edition, Erlbaum (1988).
    """
    control, treatment = rows_where(where, control, treatment)
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    if isinstance(control, (int, float, np.number)) and isinstance(treatment, (int, float, np.number)):
        given = [checks.number(name, float(value), ge=0, le=1)
                 for name, value in (("control", control), ("treatment", treatment))]  # fmt: skip
        size = EffectSize(arcsine_difference(*given), UNKNOWN)
        return _effect("Cohen's h", metric, size, confidence, (), "no interval", Notes())
    shares, notes = _read_shares(control, treatment, metric, cluster)
    size = cohens_h_of(shares, confidence)
    return _effect("Cohen's h", metric, size, confidence, _sizes(shares), "arcsine interval", notes)


def cohens_g(
    control: Any,
    treatment: Any = None,
    metric: str = "success_rate",
    *,
    pair_by: str = "sample_id",
    confidence: float = 0.95,
    where: Where = None,
) -> Effect:
    """Cohen's g: proportion of discordant pairs in which only the treatment is true, minus 1/2.

    0.05 is small, 0.15 medium.

    Args:
        control, treatment: As for `cr.mcnemar`: paired arms, or one 2x2 table of pairs.
        metric, pair_by, confidence: As for `cr.mcnemar`.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect; NaN with the interval (-0.5, 0.5) if no pair is discordant.

    Raises:
        StatError: No pairs, values other than true and false, or sampled rows.

    Examples:
        >>> from crucible_nb.stats.effects.risks import cohens_g
        >>> round(float(cohens_g([[794, 150], [86, 570]])), 4)
        -0.1356

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences, chapter 5. 2nd edition, Erlbaum (1988).
    """
    control, treatment = rows_where(where, control, treatment)
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    notes = Notes()
    if treatment is None:
        table = counts_2x2(control, "pairs")
        control_only, treatment_only, n = float(table[0, 1]), float(table[1, 0]), int(table.sum())
    else:
        pairs = independent_pairs(control, treatment, metric, pair_by)
        check_binary(pairs.control, "control")
        check_binary(pairs.treatment, "treatment")
        if not (pairs.control.plain and pairs.treatment.plain):
            raise StatError(
                "cohens_g: the rows are a weighted sample, and cohens_g has no weighted form. Use cohens_h."
            )
        control_only, treatment_only = discordant_of(pairs)
        n, notes = len(pairs.control.x), notes_of((pairs.control,), ("pairs",)).plus(exclusions=pairs.exclusions)
    size = cohens_g_of(control_only, treatment_only, confidence)
    return _effect("Cohen's g", metric, size, confidence, n, "Wilson's interval", notes)


def _effect(
    name: str, metric: str, size: EffectSize, confidence: float, n: int | tuple[int, ...], how: str, notes: Notes
) -> Effect:
    return Effect(
        name=name, metric=metric, estimate=size.value, effect_size=size.value, confidence_interval=size.interval,
        confidence=confidence, n=n,
        method=joined(f"{name} of {metric} {number(size.value)}", interval_text(size.interval, confidence), how),
        assumptions=notes.assumptions, exclusions=notes.exclusions, warnings=notes.warnings + size.warnings,
        standard_error=size.error,
    )  # fmt: skip


def _sizes(shares: TwoShares) -> tuple[int, int]:
    return shares.control.rows, shares.treatment.rows


def _read_shares(control: Any, treatment: Any, metric: str, cluster: str | None) -> tuple[TwoShares, Notes]:
    """Proportions of two arms, or of a table whose first row is the treatment."""
    if treatment is None:
        second, first = (share_of_counts(float(row[0]), float(row.sum())) for row in counts_2x2(control, "rows"))
        return TwoShares(first, second), Notes()
    arms = binary_arms(control, treatment, metric, cluster)
    return two_shares(*arms), notes_of(arms, ARMS)


def arcsine_difference(control: float, treatment: float) -> float:
    """Cohen's h of two proportions, treatment - control."""
    return 2 * (math.asin(math.sqrt(treatment)) - math.asin(math.sqrt(control)))


def cohens_h_of(shares: TwoShares, confidence: float) -> EffectSize:
    """Cohen's h with its interval: on the arcsine scale a proportion has the standard error 1 / sqrt(n)."""
    value = arcsine_difference(shares.control.share, shares.treatment.share)
    parts = 1 / shares.control.n, 1 / shares.treatment.n
    half = _half_width(shares, *parts, confidence)
    interval = Interval(max(value - half, -math.pi), min(value + half, math.pi))
    return EffectSize(value, interval, error=math.sqrt(_variance(shares, *parts)))


def odds_ratio_of(shares: TwoShares, confidence: float) -> EffectSize:
    """The odds ratio, treatment / control, with Woolf's interval on the log scale."""
    cells = [[side.hits, side.n - side.hits] for side in (shares.control, shares.treatment)]
    warnings: tuple[str, ...] = ()
    if any(cell <= 0 for side in cells for cell in side):
        cells, warnings = [[cell + 0.5 for cell in side] for side in cells], ("a cell is 0: 0.5 was added to all four",)
    (a, b), (c, d) = cells
    value, half = (c * b) / (d * a), _half_width(shares, 1 / a + 1 / b, 1 / c + 1 / d, confidence)
    return EffectSize(value, Interval(value * math.exp(-half), value * math.exp(half)), warnings)


def _half_width(shares: TwoShares, control: float, treatment: float, confidence: float) -> float:
    """Half the width of an interval, from the variances of control and treatment."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    z = float(special.ndtri((1 + confidence) / 2))
    return z * math.sqrt(_variance(shares, control, treatment) * variance_inflation(confidence, shares.df))


def _variance(shares: TwoShares, control: float, treatment: float) -> float:
    return max(control + treatment - 2 * shares.correlation * math.sqrt(control * treatment), 0.0)


def one_sided_size(size: EffectSize, alternative: str, floor: float, top: float) -> EffectSize:
    """The effect size with the interval of a one-sided test; see `one_sided`."""
    return size._replace(interval=one_sided(size.interval, alternative, floor, top))


def cohens_g_of(control_only: float, treatment_only: float, confidence: float) -> EffectSize:
    """Cohen's g from the numbers of pairs in which only the control, or only the treatment, is true."""
    discordant = control_only + treatment_only
    if not discordant:
        return EffectSize(float("nan"), Interval(-0.5, 0.5))
    low, high = wilson(treatment_only / discordant, discordant, confidence)
    share = treatment_only / discordant
    error = math.sqrt(share * (1 - share) / discordant) or math.nan
    return EffectSize(share - 0.5, Interval(low - 0.5, high - 0.5), error=error)
