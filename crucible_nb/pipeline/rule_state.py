"""State of a rule: it is checked as events pass, with the same result however they are batched or looked at.

A rule over a window is checked when event time passes the end of a pane, a thirtieth of the window; a rule over all
events is checked after each. Counts are whole numbers and sums exact, so no check depends on where batches are cut.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.accumulators.exact_add import add_totals
from crucible_nb.accumulators.exact_sum import ExactSum
from crucible_nb.events.batch import Batch
from crucible_nb.metrics.sliding import PANES
from crucible_nb.metrics.sum_table import EVENTS, FAILURES, KNOWN, NUMBERS, SUCCESSES, SumTable
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.rule_terms import Terms
from crucible_nb.pipeline.rules import Rule

_SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_EPSILON = float(np.finfo(np.float64).eps)
_HITS, _KNOWN, _PLUS, _MINUS = range(4)
_NONE = np.empty(0, np.int64)
_STEPS = PANES + 2  # checks without an event in between: after that many windows are empty, and only the last counts


class Begun(NamedTuple):
    """A check at which a rule began to hold.

    Attributes:
        row: Index of the event of the batch at which it was made; the number of events without one.
        time: Its time, UTC nanoseconds.
        value: Value of the metric.
    """

    row: int
    time: int
    value: float


class Checks(NamedTuple):
    """Checks among the events of a batch, in order.

    Attributes:
        row: Number of events of the batch that each check counts.
        made: Event at which each is made.
        edge: Number of the pane after its window.
        time: Its time, UTC nanoseconds.
    """

    row: np.ndarray
    made: np.ndarray
    edge: np.ndarray
    time: np.ndarray

    def __len__(self) -> int:  # of checks
        return len(self.row)


class Parts(NamedTuple):
    """Events of some panes, as far as a rule needs them.

    Attributes:
        pane: Pane of each part, int64[k].
        counts: Hits, known values, infinite values and those minus infinity, int64[4, k].
        amount: Sum of the finite values of each, float64[k], rounded.
        value: A value for quantiles and extremes, float64[k]; NaN where there is none.
        weight: Number of times that value occurred, int64[k].
    """

    pane: np.ndarray
    counts: np.ndarray
    amount: np.ndarray
    value: np.ndarray
    weight: np.ndarray

    def take(self, rows: np.ndarray) -> Parts:
        return Parts(self.pane[rows], self.counts[:, rows], self.amount[rows], self.value[rows], self.weight[rows])

    def join(self, other: Parts) -> Parts:
        return Parts(*(np.concatenate(pair, axis=-1) for pair in zip(self, other, strict=True)))


class RuleState:
    """The events that a rule still counts, and whether it holds.

    Args:
        rule: The rule.

    Attributes:
        met: Whether it held at the last check among the events.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule, self.terms = rule, Terms.of(rule.metric)
        self.met = False
        self._met_now = self._until_check = False  # between events; whether the next check forgets that
        self._is_new = False
        self._width = None if rule.window is None else -(-rule.window // PANES)
        self._newest: int | None = None  # pane of the newest event
        self._checked: int | None = None  # edge of the last check
        self._parts = Parts(_NONE, np.empty((4, 0), np.int64), np.empty(0), np.empty(0), _NONE)
        self._sums = ExactSum(1, 0)  # exact sums of the values of `_panes`
        self._panes = _NONE

    # -- checks -------------------------------------------------------------------------------------------------------

    def judge(self, batch: Batch, life: Lifecycle) -> list[Begun]:
        """Count the events of a batch; return the checks at which the rule began to hold.

        Args:
            batch: Events in recording order, at least one.
            life: Lifecycle of the experiment, for rates per time.
        """
        values, parts = self._parts_of(batch)
        checks = self._checks_among(batch.time)
        begun = self._judge(checks, parts, values, life)
        self._absorb(parts, values)
        return begun

    def pass_time(self, now: int, life: Lifecycle) -> list[Begun]:
        """Check a rule over a window at the ends of the panes that time has passed since the newest event."""
        if self._width is None or (self._newest is None and life.started is None):
            return []
        pane = now // self._width
        self._skip_past(pane)
        newest = (life.started or 0) // self._width if self._newest is None else self._newest
        passed = newest if self._checked is None else max(newest, self._checked)
        edges = passed + 1 + np.arange(min(max(0, pane - passed), _STEPS))
        edges[-1:] = max(passed, pane)
        self._checked = max(pane, passed)
        none, zeros = self._parts.take(_NONE), np.zeros(len(edges), np.int64)
        return self._judge(Checks(zeros, zeros, edges, edges * self._width), none, np.empty(0), life)

    def look(self, value: float, *, again: bool) -> bool:
        """Check a value of the metric between events; return whether the rule begins to hold.

        Args:
            value: The metric at this moment.
            again: Whether there will be another look soon; else the next check decides anew.
        """
        before, holds = self.holds, self.rule.holds(value)
        self._met_now = holds and (again or not self.met)
        self._until_check = self._met_now and not again
        return holds and not before

    @property
    def holds(self) -> bool:
        """Whether the rule held when it was last checked, among the events or between them."""
        return self.met or self._met_now

    def begin_anew(self) -> None:
        """Decide from the next moment on: the events so far were recorded before the rule was watched."""
        self.met, self._is_new = False, self._newest is not None

    def told(self, time: int) -> None:
        """Note that an earlier process raised an alert at this time: until then nothing is decided again."""
        if not self._met_now:
            self._met_now = self._until_check = True
        if self._width is not None:
            self._checked = max(time // self._width, time // self._width if self._checked is None else self._checked)

    @property
    def _detects_silence(self) -> bool:
        return not self.rule.min_events and self._width is not None

    def _skip_past(self, pane: int) -> None:
        if self._is_new:
            self._checked, self._is_new = pane, False

    def _checks_among(self, time: np.ndarray) -> Checks:
        """Return the checks that fall among events, and move on to the newest of them."""
        n = len(time)
        if self._width is None:
            return Checks(np.arange(1, n + 1), np.arange(n), np.ones(n, np.int64), time)
        pane = time // self._width
        start = int(pane[0]) if self._newest is None else self._newest
        self._skip_past(int(pane[0]))
        newest = np.maximum.accumulate(np.maximum(pane, start))
        before = np.concatenate(([start], newest[:-1]))
        self._newest = int(newest[-1])
        at = np.flatnonzero(newest > before)
        steps = np.minimum(newest[at] - before[at], _STEPS)
        row = np.repeat(at, steps)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(steps) - steps, steps) + 1
        edge = np.where(nth == np.repeat(steps, steps), newest[row], before[row] + nth)
        if self._checked is not None:
            row, edge = row[edge > self._checked], edge[edge > self._checked]
        return Checks(row, row, edge, edge * self._width)

    def _judge(self, checks: Checks, parts: Parts, values: np.ndarray, life: Lifecycle) -> list[Begun]:
        if not len(checks):
            return []
        held, numbers = self._parts.join(parts), len(self._parts.pane)
        entry = np.searchsorted(checks.row, np.arange(len(parts.pane)), side="right")
        entry = np.concatenate((np.zeros(numbers, np.int64), entry))
        leave = np.full(len(held.pane), len(checks))
        if self._width is not None:
            leave = np.maximum(entry, np.searchsorted(checks.edge, held.pane + PANES, side="right"))
        counts = np.array([_running(row, entry, leave, len(checks)) for row in held.counts]).astype(np.int64)
        value = self._value(checks, counts, held, entry, leave, values, life)
        holds = self._holds(counts, value) & (counts[_KNOWN] >= self.rule.min_events)
        if self._detects_silence:
            holds &= self._spans(checks, life) == PANES * self._width  # type: ignore[operator]
        begun = np.flatnonzero(holds & ~np.concatenate(([self.holds], holds[:-1]))).tolist()
        self.met = bool(holds[-1])
        if self._until_check:
            self._met_now = self._until_check = False
        found = []
        for i in begun:
            number = float(value[i])
            if self.terms.statistic in _ORDERED:
                number = self._ordered(held.take(np.flatnonzero((entry <= i) & (leave > i))))
            found.append(Begun(int(checks.made[i]), int(checks.time[i]), number))
        return found

    # -- values -------------------------------------------------------------------------------------------------------

    def _parts_of(self, batch: Batch) -> tuple[np.ndarray, Parts]:
        """Return the finite numbers that a batch adds, and its events as parts."""
        values, known = self.terms.known(batch)
        finite = np.isfinite(values)
        amount = np.where(finite, values, 0.0)
        counts = np.array([self._hits(values), known, values == np.inf, values == -np.inf], np.int64)
        pane = np.zeros(len(batch), np.int64) if self._width is None else batch.time // self._width
        return amount, Parts(pane, counts, amount, values, known.astype(np.int64))

    def _hits(self, values: np.ndarray) -> np.ndarray:
        """Return which numbers count: outcomes, or those beyond the limit for a quantile or an extreme."""
        if self.terms.statistic not in _ORDERED:
            return np.asarray(values == 1.0)
        sign, limit = self.rule.sign, self.rule.limit
        if self.terms.statistic == "min":
            beyond = values < limit if sign in ("<", ">=") else values <= limit
        else:
            beyond = values > limit if sign in (">", "<=") else values >= limit
        return np.asarray(beyond)

    def _value(
        self,
        checks: Checks,
        counts: np.ndarray,
        held: Parts,
        entry: np.ndarray,
        leave: np.ndarray,
        values: np.ndarray,
        life: Lifecycle,
    ) -> np.ndarray:
        """Return the metric at each check, float64; of quantiles and extremes only where it is asked for."""
        statistic, hits, known = self.terms.statistic, counts[_HITS], counts[_KNOWN]
        with np.errstate(divide="ignore", invalid="ignore"):
            if statistic in _ORDERED:
                return np.full(len(checks), np.nan)
            if statistic == "share":
                return np.asarray(hits / known)
            per = self._per(checks, life)
            if statistic == "count":
                return np.asarray(hits / per)
            per = known if statistic == "mean" else np.where(known > 0, per, np.nan)
            total = _running(held.amount, entry, leave, len(checks))
            slack = 4 * _EPSILON * (len(entry) + len(checks)) * np.abs(held.amount).sum()
            limit = self.rule.limit * per
            near = ~(np.abs(total - limit) > slack + 8 * _EPSILON * np.abs(limit))
            if near.any() or counts[_PLUS:].any():  # the rounding of these sums could decide
                total = self._exact(len(checks), entry, leave, values)
                total = _with_infinite(total, counts[_PLUS], counts[_MINUS])
            result: np.ndarray = total / per
            return result

    def _exact(self, checks: int, entry: np.ndarray, leave: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the exact sums at each check, correctly rounded."""
        old = len(entry) - len(values)
        table = ExactSum(1, checks + 1)
        for sign, at in ((1.0, entry[old:]), (-1.0, leave[old:])):
            order = np.argsort(at, kind="stable")
            _add_by(table, at[order], sign * values[order])
        gone = self._sums.copy()
        gone.chunks *= -1
        if len(self._panes):
            everything = self._sums.summed(np.zeros(1, np.intp))
            table.merge(np.zeros(1, np.intp), everything)
            first = np.searchsorted(self._parts.pane, self._panes)
            for cell, check in enumerate(leave[:old][first].tolist()):
                table.merge(np.array([check]), gone.take([cell]))
        table.normalize()
        table.chunks = np.cumsum(table.chunks, axis=1)
        table.load = checks + 1
        return table.values(0)[:checks]

    def _per(self, checks: Checks, life: Lifecycle) -> np.ndarray:
        """Return what a count or a total is divided by at each check: 1, or active time."""
        return np.ones(len(checks)) if self.terms.per is None else self._spans(checks, life) / self.terms.per

    def _spans(self, checks: Checks, life: Lifecycle) -> np.ndarray:
        """Return the active nanoseconds of the window of each check, float64."""
        starts = np.full(len(checks), life.started or 0)
        if self._width is not None:
            starts = (checks.edge - PANES) * self._width
        pairs = zip(starts.tolist(), checks.time.tolist(), strict=True)
        return np.array([life.active(start, time) for start, time in pairs], np.float64)

    def _holds(self, counts: np.ndarray, value: np.ndarray) -> np.ndarray:
        statistic, sign, hits, known = self.terms.statistic, self.rule.sign, counts[_HITS], counts[_KNOWN]
        if statistic not in _ORDERED:
            return np.asarray(_SIGNS[sign](value, self.rule.limit))
        if statistic == "quantile":
            q = self.terms.q
            beyond = hits * q.denominator > known * (q.denominator - q.numerator)
            return np.asarray(beyond if sign in (">", ">=") else ~beyond)
        return np.asarray(hits > 0 if (statistic == "min") == (sign in ("<", "<=")) else hits == 0)

    def _ordered(self, parts: Parts) -> float:
        """Return the quantile or extreme of the values of some parts, on the side of the limit where it is."""
        known = parts.weight > 0
        values, weight = parts.value[known], parts.weight[known]
        if self.terms.statistic != "quantile":
            return float(values.min() if self.terms.statistic == "min" else values.max())
        order = np.argsort(values, kind="stable")
        q, below = self.terms.q, np.cumsum(weight[order])
        found = float(values[order][np.argmax(below * q.denominator >= below[-1] * q.numerator)])
        return (max if self.rule.sign in (">", ">=") else min)(found, self.rule.limit)

    # -- state --------------------------------------------------------------------------------------------------------

    def count_totals(self, table: SumTable) -> None:
        """Begin with all events so far, of which only the totals are left; windows, quantiles and extremes begin empty.

        Args:
            table: Counts and sums with one group.
        """
        column, statistic = self.terms.column, self.terms.statistic
        if self._width is not None or statistic in _ORDERED or column not in (None, "success", *NUMBERS):
            return
        failed, succeeded = int(table.counts[FAILURES, 0]), int(table.counts[SUCCESSES, 0])
        hits = int(table.counts[EVENTS, 0])
        known, sums, special = hits, ExactSum(1, 0), 0.0
        if column == "success":
            hits, known = (succeeded if self.terms.outcome else failed), succeeded + failed
        elif column is not None:
            row = NUMBERS.index(column)
            known, hits, special = int(table.counts[KNOWN + row, 0]), 0, table.totals.special(row, 0)
            sums = ExactSum(1, 1)
            sums.add_integer(0, 0, *table.totals.integer(row, 0))
            self._panes = np.zeros(1, np.int64)
        plus, minus = (special == np.inf or special != special), (special == -np.inf or special != special)
        counts = np.array([[hits], [known], [plus], [minus]], np.int64)
        amount = sums.values(0) if len(self._panes) else np.zeros(1)
        self._sums, self._newest = sums, 0
        self._parts = Parts(np.zeros(1, np.int64), counts, amount, np.full(1, np.nan), np.full(1, known))

    def _absorb(self, parts: Parts, values: np.ndarray) -> None:
        """Keep what later checks will count."""
        oldest = 0 if self._width is None else (self._newest or 0) - PANES + 1
        kept = parts.pane >= oldest
        if self.terms.statistic in ("mean", "total"):
            self._absorb_sums(parts.pane[kept], values[kept], oldest)
        self._parts = _condensed(
            self._parts.take(self._parts.pane >= oldest).join(parts.take(kept)), self.terms.statistic
        )
        if len(self._panes):
            self._parts = self._parts._replace(
                amount=self._sums.values(0)[np.searchsorted(self._panes, self._parts.pane)]
            )

    def _absorb_sums(self, pane: np.ndarray, values: np.ndarray, oldest: int) -> None:
        stay = self._panes >= oldest
        panes = np.union1d(self._panes[stay], pane)
        sums = ExactSum(1, len(panes))
        sums.merge(np.searchsorted(panes, self._panes[stay]), self._sums.take(stay))
        order = np.argsort(pane, kind="stable")
        _add_by(sums, np.searchsorted(panes, pane[order]), values[order])
        self._panes, self._sums = panes, ExactSum.from_dict(sums.to_dict())  # as few chunks as it needs

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {
            "met": self.met,
            "now": [self._met_now, self._until_check, self._is_new],
            "newest": self._newest,
            "checked": self._checked,
            "parts": [np.array(part) for part in self._parts],
            "panes": self._panes,
            "sums": self._sums.to_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.met, self._newest, self._checked = bool(state["met"]), state["newest"], state["checked"]
        self._met_now, self._until_check, self._is_new = map(bool, state["now"])
        self._parts = Parts(*(np.asarray(part) for part in state["parts"]))
        self._panes, self._sums = np.asarray(state["panes"]), ExactSum.from_dict(state["sums"])


_ORDERED = frozenset({"quantile", "min", "max"})


def _running(amounts: np.ndarray, entry: np.ndarray, leave: np.ndarray, checks: int) -> np.ndarray:
    """Sum the amounts that each check counts, float64[checks]; whole numbers stay whole."""
    change = np.bincount(entry, amounts, checks + 1) - np.bincount(leave, amounts, checks + 1)
    summed: np.ndarray = np.cumsum(change[:checks])
    return summed


def _with_infinite(total: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> np.ndarray:
    special = np.where(minus > 0, np.where(plus > 0, np.nan, -np.inf), np.inf)
    return np.where((plus > 0) | (minus > 0), special, total)


def _add_by(table: ExactSum, cells: np.ndarray, values: np.ndarray) -> None:
    """Add values, ordered by cell, to the cells of a table with one row."""
    if not len(cells):
        return
    starts = np.flatnonzero(np.concatenate(([True], cells[1:] != cells[:-1])))
    runs = ExactSum(1, len(starts))
    add_totals(runs, 0, values, starts)
    table.merge(cells[starts], runs)


def _condensed(parts: Parts, statistic: str) -> Parts:
    """Join the parts of a pane: all of them, or those with about the same value where quantiles need them."""
    value = parts.value
    if statistic == "quantile":
        value = _coarse(value)
    elif statistic not in _ORDERED:
        value = np.full(len(value), np.nan)
    order = np.lexsort((value, parts.pane)) if statistic == "quantile" else np.argsort(parts.pane, kind="stable")
    pane, value = parts.pane[order], value[order]
    if not len(pane):
        return parts
    new = pane[1:] != pane[:-1]
    if statistic == "quantile":
        new |= (value[1:] != value[:-1]) & ~(np.isnan(value[1:]) & np.isnan(value[:-1]))
    starts = np.flatnonzero(np.concatenate(([True], new)))
    extreme = np.fmin if statistic == "min" else np.fmax
    return Parts(
        pane=pane[starts],
        counts=np.add.reduceat(parts.counts[:, order], starts, axis=1),
        amount=np.add.reduceat(parts.amount[order], starts),
        value=extreme.reduceat(value, starts),
        weight=np.add.reduceat(parts.weight[order], starts),
    )


def _coarse(values: np.ndarray) -> np.ndarray:
    """Round finite values to the middle of a bucket, at most 0.2 % away."""
    bits = values.view(np.int64)
    middle = ((bits >> 44 << 44) | (1 << 43)).view(np.float64)
    return np.where(np.isfinite(values) & (values != 0), middle, values)
