"""Evidence that the rate of a column of 0 and 1 has changed."""

from __future__ import annotations

import math
import re
from typing import Any

from crucible_nb.anomaly.auto_state import CHANGED, EVIDENCE, ODDS, OVER, RARE, RESTART
from crucible_nb.anomaly.recursions import MEMORY

RECOVERY = 1.4
"""Largest score of a rate that changes for the better: of low severity."""
_KEEP = 1 - 1 / MEMORY
_GOOD = {"success", "succeeded", "ok", "passed", "correct", "healthy"}
_BAD = {"error", "errors", "failure", "failures", "failed", "timeout", "exception", "crash", "refused", "rejected"}


def better_sign(metric: str) -> int:
    """Return 1 if a column of 0 and 1 is better with more ones, -1 with fewer, 0 if its name does not say it.

    Examples:
        >>> better_sign("success"), better_sign("tool/error"), better_sign("is_cached")
        (1, -1, 0)
    """
    words = set(re.split(r"[^a-z]+", metric.lower()))
    return (not words.isdisjoint(_GOOD)) - (not words.isdisjoint(_BAD))


def update_odds(rate: float, n: float, odds: float) -> tuple[float, float]:
    """Return the log likelihood ratios of a one and of a zero: of a rate with `odds` times the odds to the usual rate.

    What is rare and becomes rarer is no anomaly: both are 0 then.

    Args:
        rate: Mean of the past, from 0 to 1.
        n: Number of values of the past.
        odds: Ratio of the odds.

    Examples:
        >>> [round(ratio, 2) for ratio in update_odds(0.015, 10_000.0, 5.0)]
        [1.55, -0.06]
    """
    usual = (rate * n + 0.5) / (n + 1.0)
    if (odds < 1.0) == (usual < 0.5) and min(usual, 1 - usual) < RARE:
        return 0.0, 0.0
    changed = odds * usual / (1 - usual)
    changed = changed / (1 + changed)
    return math.log(changed / usual), math.log((1 - changed) / (1 - usual))


def add_evidence(now: float, most: float, gain: float) -> tuple[float, float]:
    """Add a log likelihood ratio to the evidence for a changed rate; return the evidence and its largest value.

    Evidence never falls below 0. Once it was enough for an alarm, and has fallen by 4 from its largest value, the
    change is over.

    Args:
        now, most: Evidence and its largest value so far.
        gain: Log likelihood ratio of the next value.

    Examples:
        >>> add_evidence(1.0, 1.0, 1.5), add_evidence(9.0, 13.5, -0.1), add_evidence(0.05, 3.0, -0.1)
        ((2.5, 2.5), (0.0, 0.0), (0.0, 0.0))

    References:
        Reynolds, Stoumbos: A CUSUM chart for monitoring a proportion when inspecting continuously. JQT 31 (1999).
    """
    now = max(now + gain, 0.0)
    most = max(most, now)
    if now == 0.0 or (most >= EVIDENCE and now < most - OVER):
        return 0.0, 0.0
    return now, most


def add_value(x: float, cells: Any, recent: float, warm: bool) -> float:
    """Add a value of 0 or 1 to the evidence, then to the usual rate; return the larger evidence.

    A changed rate that lasts becomes the usual one.

    Args:
        x: The value.
        cells: The numbers of `RATE_CELLS`, changed in place.
        recent: Mean of the last 50 values.
        warm: Whether evidence counts already.
    """
    for i in range(2):
        gain = cells[4 + 2 * i] if x == 1.0 else cells[5 + 2 * i]
        if warm:
            cells[i], cells[2 + i] = add_evidence(cells[i], cells[2 + i], gain)
    evidence = float(max(cells[0], cells[1]))
    cells[9], cells[10] = x + _KEEP * cells[9], 1.0 + _KEEP * cells[10]
    cells[11] = cells[11] + 1.0 if evidence >= EVIDENCE else 0.0
    if cells[11] >= CHANGED:
        cells[9], cells[10] = recent * RESTART, RESTART
        cells[0] = cells[1] = cells[2] = cells[3] = cells[11] = 0.0
        learn_rate(cells)
    return evidence


def learn_rate(cells: Any) -> None:
    """Compute the usual rate and the evidence of a one and of a zero."""
    cells[8] = cells[9] / cells[10]
    cells[4], cells[5] = update_odds(cells[8], cells[10], ODDS)
    cells[6], cells[7] = update_odds(cells[8], cells[10], 1 / ODDS)
