"""A growing share of events that lack a metric, among events of a name that used to carry it."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.anomaly.auto_state import ODDS, OVER
from crucible_nb.anomaly.faults import SCORE as _MOST
from crucible_nb.anomaly.groups import positions_by_key

ENOUGH = 12.0
"""Log likelihood ratio at which the score is 1."""
USUAL = 0.01
"""Smallest share of missing values that a larger one is compared with."""
USED = 0.5
"""An event used to carry a metric if no larger share of them lacked it."""
CHANGED = 320
"""So many events without the metric in an alarm are the new normal."""
BLOCK = 64
"""The usual share is computed anew after so many events."""
MEMORY = 16_384
"""Number of events from which older ones count half."""
KEYS = 1000
"""Maximum number of pairs of group and event name."""
_UNIT = 2**20  # evidence is counted in whole units, so that sums are exact however the events are cut
_ENOUGH, _OVER, _LARGEST = (round(value * _UNIT) for value in (ENOUGH, OVER, _MOST * ENOUGH))


@dataclass
class Share:
    """Given and missing values of one group and event name.

    Attributes:
        count, missing: Number of events, and of those without a value; older ones count half.
        usual_count, usual_missing: The same when the usual share was computed last.
        rise, fall: By how much a missing value raises the evidence, and a given one lowers it, in units.
        evidence, most: Log likelihood ratio of a larger share, and its largest value, in units.
        since_count, since_missing: Numbers of events and of missing values when the evidence was 0 last.
        flagged: Number of flagged events since then.
    """

    count: int = 0
    missing: int = 0
    usual_count: int = 0
    usual_missing: int = 0
    rise: int = 0
    fall: int = 0
    evidence: int = 0
    most: int = 0
    since_count: int = 0
    since_missing: int = 0
    flagged: int = 0

    def pass_given(self, count: int) -> None:
        """Learn consecutive values that were given."""
        self.count += count
        self.evidence = max(self.evidence - count * self.fall, 0)
        if not self.evidence or (self.most >= _ENOUGH and self.evidence < self.most - _OVER):
            self.evidence = self.most = self.flagged = 0

    def add_missing(self, warm_up: int) -> float:
        """Learn an event without the value; return its evidence as a multiple of what is enough, 0 while unknown."""
        if not self.evidence:
            if self.count // BLOCK > self.usual_count // BLOCK:
                self._renew()
            self.since_count, self.since_missing = self.count, self.missing
        self.count, self.missing = self.count + 1, self.missing + 1
        if self.usual_count - self.usual_missing < warm_up or self.usual_missing > USED * self.usual_count:
            return 0.0
        self.evidence = min(self.evidence + self.rise, _LARGEST)
        self.most = max(self.most, self.evidence)
        return self.evidence / _ENOUGH

    def accept(self) -> None:
        """Take the share since the evidence was 0 for the usual one, if the alarm has lasted."""
        self.flagged += 1
        if self.flagged >= CHANGED:
            self.count, self.missing = self.count - self.since_count, self.missing - self.since_missing
            self.evidence = self.most = self.flagged = 0
            self._renew()

    def _renew(self) -> None:
        """Compute the usual share, and what a value says for or against a larger one."""
        while self.count >= MEMORY:
            self.count, self.missing = self.count // 2, self.missing // 2
        self.usual_count, self.usual_missing = self.count, self.missing
        usual = max((self.missing + 0.5) / (self.count + 1.0), USUAL)
        changed = ODDS * usual / (1 - usual)
        changed = changed / (1 + changed)
        self.rise = round(math.log(changed / usual) * _UNIT)
        self.fall = round(math.log((1 - usual) / (1 - changed)) * _UNIT)


class Absence(NamedTuple):
    """An event without the value in an alarm.

    Attributes:
        event: Name of the event; "" without names.
        score: Evidence as a multiple of what is enough.
        usual: Usual share of events without the value.
        missing, recent: Number of them among the last events, and number of these.
    """

    event: str
    score: float
    usual: float
    missing: int
    recent: int


class Missing:
    """Evidence that a larger share of events lack one metric than before, by group and event name.

    The share is compared with five times its odds, at least with 5 %, by a cumulative sum of log likelihood ratios
    (see `rates`). Only events that lack the value are flagged. A larger share that lasts becomes the usual one.

    Args:
        warm_up: Number of values of a group and event name before the first score.
        factor: Factor of the limit.
    """

    def __init__(self, warm_up: int, factor: float) -> None:
        self.warm_up, self.factor = warm_up, factor
        self._shares: dict[tuple[int, str], Share] = {}

    def judge(
        self, missing: np.ndarray, groups: np.ndarray, codes: np.ndarray, labels: list[Any]
    ) -> dict[int, Absence]:
        """Learn consecutive events.

        Args:
            missing: Events without a value.
            groups: Group of each event.
            codes, labels: Event name of each event, -1 without one.

        Returns:
            The events with a score of 1 or more.
        """
        found: dict[int, Absence] = {}
        if missing.all() and not self._shares:
            return found
        keys = groups.astype(np.int64) * (len(labels) + 1) + codes + 1
        for key, at in positions_by_key(keys):
            group, code = divmod(key, len(labels) + 1)
            name = str(labels[code - 1]) if code else ""
            share = self._share((group, name), missing[at])
            if share is not None:
                self._learn(share, name, at, missing[at], found)
        return found

    def _share(self, key: tuple[int, str], missing: np.ndarray) -> Share | None:
        """Return the share of a key; None while it never carried the metric."""
        if key not in self._shares and (missing.all() or len(self._shares) >= KEYS):
            return None
        return self._shares.setdefault(key, Share())

    def _learn(self, share: Share, name: str, at: np.ndarray, missing: np.ndarray, found: dict[int, Absence]) -> None:
        done = 0 if share.count else int(np.argmin(missing))  # nothing is known before the first value
        for place in (np.flatnonzero(missing[done:]) + done).tolist():
            share.pass_given(place - done)
            done = place + 1
            score = share.add_missing(self.warm_up) / self.factor
            if score >= 1:
                lacking, recent = share.missing - share.since_missing, share.count - share.since_count
                usual = share.usual_missing / share.usual_count
                found[int(at[place])] = Absence(name, min(score, _MOST), usual, lacking, recent)
                share.accept()
        share.pass_given(len(missing) - done)

    def to_dict(self) -> list[list[Any]]:
        """Return the state as plain data."""
        return [[group, name, *astuple(share)] for (group, name), share in self._shares.items()]

    def load(self, state: list[list[Any]]) -> None:
        """Restore a state of `to_dict`."""
        self._shares = {(int(group), str(name)): Share(*cells) for group, name, *cells in state}


def missing_sentence(metric: str, one: Absence, group: str) -> str:
    """Build the reason of an event without a value.

    Examples:
        >>> missing_sentence("cost_usd", Absence("llm.call", 1.6, 0.002, 12, 12), " of o3")
        'cost_usd is missing in 12 of the last 12 llm.call of o3, usually in 0.2%'
    """
    usual = "never before" if not one.usual else f"usually in {max(one.usual, 0.001):.1%}"
    return f"{metric} is missing in {one.missing} of the last {one.recent} {one.event or 'events'}{group}, {usual}"
