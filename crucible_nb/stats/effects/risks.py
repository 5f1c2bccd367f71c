"""Effect sizes of shares: odds ratio, Cohen's h, Cohen's g."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.sizes import Effect
from crucible_nb.stats.effects.standardized import UNKNOWN
from crucible_nb.stats.estimates.binary import Two, binary_arms, check_binary, counted, two_of, widening
from crucible_nb.stats.estimates.shares import wilson
from crucible_nb.stats.outcome import one_sided
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.arms import ARMS, Notes, notes_of
from crucible_nb.stats.samples.counts import counts_2x2, discordant_of
from crucible_nb.stats.samples.pairs import pairs_of
from crucible_nb.stats.wording import interval_text, joined
from crucible_nb.utils import checks


class Size(NamedTuple):
    """An effect size and its interval."""

    value: float
    interval: Interval
    said: tuple[str, ...] = ()


def odds_ratio(
    control: Any,
    treatment: Any = None,
    metric: str = "success_rate",
    *,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> Effect:
    """The odds of the treatment over those of the control: above 1 where the treatment has more.

    Args:
        control, treatment: Experiments, DataFrames, Series, lists or arrays of true and false. Or one 2x2 table of
            counts, rows (treatment, control), columns (true, false): the odds ratio is ad / bc, as R and scipy read it.
        metric: As for `cr.confidence_interval`.
        cluster: Column of what groups rows that are alike, e.g. "session_id".
        confidence: Coverage.

    Returns:
        Effect with the interval on the log scale; a zero cell has 0.5 added to all four, and that is said.

    Raises:
        StatError: Values other than true and false, or none.

    Examples:
        >>> from crucible_nb.stats.effects.risks import odds_ratio
        >>> found = odds_ratio([[10, 5], [4, 11]])
        >>> found.effect_size, round(found.confidence_interval.low, 3)
        (5.5, 1.145)

    References:
        Woolf: On estimating the relation between blood group and disease. Annals of Human Genetics 19 (1955).
        Anscombe: On estimating binomial response relations. Biometrika 43 (1956).
    """
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    two, notes = _two(control, treatment, metric, cluster)
    size = odds_of(two, confidence)
    return _effect("odds ratio", metric, size, confidence, _sizes(two), "Woolf's interval on the log scale", notes)


def cohens_h(
    control: Any,
    treatment: Any,
    metric: str = "success_rate",
    *,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> Effect:
    """The difference of two shares on the arcsine scale, treatment - control: 0.2 small, 0.5 medium, 0.8 large.

    Args:
        control, treatment: As for `odds_ratio`; or two bare shares in [0, 1], which have no interval.
        metric, cluster, confidence: As for `odds_ratio`.

    Returns:
        Effect.

    Raises:
        ConfigError: A bare share outside [0, 1].
        StatError: Values other than true and false, or none.

    Examples:
        >>> from crucible_nb.stats.effects.risks import cohens_h
        >>> round(float(cohens_h(0.5, 0.55)), 7)
        0.1001674

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences, chapter 6. 2nd edition, Erlbaum (1988).
    """
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    if isinstance(control, (int, float, np.number)) and isinstance(treatment, (int, float, np.number)):
        shares = [checks.number(name, float(one), ge=0, le=1)
                  for name, one in (("control", control), ("treatment", treatment))]  # fmt: skip
        return _effect("Cohen's h", metric, Size(arcsine(*shares), UNKNOWN), confidence, (), "no interval", Notes())
    two, notes = _two(control, treatment, metric, cluster)
    return _effect("Cohen's h", metric, h_of(two, confidence), confidence, _sizes(two), "arcsine interval", notes)


def cohens_g(
    control: Any,
    treatment: Any = None,
    metric: str = "success_rate",
    *,
    pair_by: str = "sample_id",
    confidence: float = 0.95,
) -> Effect:
    """Of the pairs that differ, the share where the treatment alone is true, less 1/2: 0.05 small, 0.15 medium.

    Args:
        control, treatment: As for `cr.mcnemar`: paired arms, or one 2x2 table of pairs.
        metric, pair_by, confidence: As for `cr.mcnemar`.

    Returns:
        Effect; NaN, from -0.5 to 0.5, when no pair differs.

    Raises:
        StatError: No pairs, values other than true and false, or weights.

    Examples:
        >>> from crucible_nb.stats.effects.risks import cohens_g
        >>> round(float(cohens_g([[794, 150], [86, 570]])), 4)
        -0.1356

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences, chapter 5. 2nd edition, Erlbaum (1988).
    """
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    notes = Notes()
    if treatment is None:
        table = counts_2x2(control, "pairs")
        lost, won, n = float(table[0, 1]), float(table[1, 0]), int(table.sum())
    else:
        pairs = pairs_of(control, treatment, metric, by=pair_by)
        check_binary(pairs.control, "control")
        check_binary(pairs.treatment, "treatment")
        if not (pairs.control.plain and pairs.treatment.plain):
            raise StatError("cohens_g: rows stand for events that are not there; use cohens_h, which weighs them")
        lost, won = discordant_of(pairs)
        n, notes = len(pairs.control.x), Notes(exclusions=pairs.exclusions)
    return _effect("Cohen's g", metric, g_of(lost, won, confidence), confidence, n, "Wilson's interval", notes)


def _effect(
    name: str, metric: str, size: Size, confidence: float, n: int | tuple[int, ...], how: str, notes: Notes
) -> Effect:
    said = joined(f"{name} of {metric} {number(size.value)}", interval_text(size.interval, confidence), how)
    return Effect(
        name, metric, size.value, size.value, size.interval, confidence, n, said,
        notes.assumptions, notes.exclusions, notes.warnings + size.said,
    )  # fmt: skip


def _sizes(two: Two) -> tuple[int, int]:
    return two.control.rows, two.treatment.rows


def _two(control: Any, treatment: Any, metric: str, cluster: str | None) -> tuple[Two, Notes]:
    """The shares of two arms, or of a table whose first row is the treatment."""
    if treatment is None:
        second, first = (counted(float(row[0]), float(row.sum())) for row in counts_2x2(control, "rows"))
        return Two(first, second), Notes()
    arms = binary_arms(control, treatment, metric, cluster)
    return two_of(*arms), notes_of(arms, ARMS)


def arcsine(control: float, treatment: float) -> float:
    """Cohen's h of two shares, treatment - control."""
    return 2 * (math.asin(math.sqrt(treatment)) - math.asin(math.sqrt(control)))


def h_of(two: Two, confidence: float) -> Size:
    """Cohen's h with its interval: on this scale a share has the standard error 1 / sqrt(n)."""
    value = arcsine(two.control.share, two.treatment.share)
    half = _half(two, 1 / two.control.n, 1 / two.treatment.n, confidence)
    return Size(value, Interval(max(value - half, -math.pi), min(value + half, math.pi)))


def odds_of(two: Two, confidence: float) -> Size:
    """The odds ratio with its interval, on the log scale."""
    cells = [[side.hits, side.n - side.hits] for side in (two.control, two.treatment)]
    said: tuple[str, ...] = ()
    if any(cell <= 0 for side in cells for cell in side):
        cells, said = [[cell + 0.5 for cell in side] for side in cells], ("a cell is 0: 0.5 was added to all four",)
    (a, b), (c, d) = cells
    value, half = (c * b) / (d * a), _half(two, 1 / a + 1 / b, 1 / c + 1 / d, confidence)
    return Size(value, Interval(value * math.exp(-half), value * math.exp(half)), said)


def _half(two: Two, control: float, treatment: float, confidence: float) -> float:
    """Half the width of an interval, from the variances of the two sides."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    variance = control + treatment - 2 * two.correlation * math.sqrt(control * treatment)
    z = float(special.ndtri((1 + confidence) / 2))
    return z * math.sqrt(max(variance, 0.0) * widening(confidence, two.df))


def sided(size: Size, alternative: str, floor: float, top: float) -> Size:
    """With the side of the interval that a one-sided test leaves."""
    return size._replace(interval=one_sided(size.interval, alternative, floor, top))


def g_of(lost: float, won: float, confidence: float) -> Size:
    """Cohen's g of the pairs where the control alone (lost) or the treatment alone (won) is true."""
    differ = lost + won
    if not differ:
        return Size(float("nan"), Interval(-0.5, 0.5))
    low, high = wilson(won / differ, differ, confidence)
    return Size(won / differ - 0.5, Interval(low - 0.5, high - 0.5))
