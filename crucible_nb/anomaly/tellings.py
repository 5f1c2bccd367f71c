"""Which flags of an incident are told: the first, and those clearly worse than what was told before."""

from __future__ import annotations

from typing import Any

import numpy as np

from crucible_nb.anomaly.recursions import JUST_BELOW

SEVERITIES = {"low": 1.0, "medium": 1.5, "high": 3.0, "critical": 6.0}
"""Smallest peak score of each severity; 1.0 is the threshold."""

WORSE = 1.5
"""A flag is clearly worse with this many times the score that was told, or with a higher severity."""


def severity_of(score: float) -> str:
    """Return the severity of a score: "low" from 1, "medium" from 1.5, "high" from 3, "critical" from 6.

    Examples:
        >>> severity_of(3.5)
        'high'
    """
    return [name for name, lowest in SEVERITIES.items() if score >= lowest or name == "low"][-1]


class Tellings:
    """Decides flag by flag: an incident is told when it begins, and when it is clearly worse than what was told.

    Args:
        cooldown: Number of events without a flag that end an incident.

    Attributes:
        told: Largest score told of the newest incident; 0.0 without one.
        last: Sequence number of its last flag.

    Examples:
        >>> flags = Tellings(cooldown=100)
        >>> [flags.add(seq, score) for seq, score in ((5, 1.2), (6, 1.4), (7, 4.0), (50, 5.0), (151, 1.0))]
        ['begin', '', 'worse', '', 'begin']
    """

    def __init__(self, cooldown: int) -> None:
        self.cooldown, self.told = cooldown, 0.0
        self.last: int | None = None

    def add(self, seq: int, score: float) -> str:
        """Add a flag; return "begin" or "worse" if it is told, "" otherwise."""
        begins = self.last is None or seq - self.last > self.cooldown
        self.last = seq
        if not begins and not _is_worse(score, self.told):
            return ""
        self.told = score
        return "begin" if begins else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {"told": self.told, "last": self.last}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.told, self.last = state["told"], state["last"]


def _is_worse(score: float, told: float) -> bool:
    return score > told and (score >= WORSE * told or severity_of(score) != severity_of(told))


def cap_repeated_alarms(score: np.ndarray, cooldown: int) -> np.ndarray:
    """Return the scores with all alarms that are not told lowered to just below 1.0.

    Examples:
        >>> cap_repeated_alarms(np.array([0.5, 2.0, 2.5, 0.1, 0.1, 1.6, 4.0]), cooldown=1).round(3).tolist()
        [0.5, 2.0, 1.0, 0.1, 0.1, 1.6, 4.0]
    """
    tellings, result = Tellings(cooldown), score.copy()
    for row in np.flatnonzero(score >= 1).tolist():
        if not tellings.add(row, float(score[row])):
            result[row] = JUST_BELOW
    return result
