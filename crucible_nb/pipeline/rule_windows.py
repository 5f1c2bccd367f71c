"""State of one window of a rule: it is checked as events pass, with the same result however they are batched.

A window of time is checked when event time passes the end of a pane, a thirtieth of the window; a window of n events
after each of them, with a pane per event; all events after each. Counts are whole numbers and sums exact, so no check
depends on where batches are cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.accumulators.exact_add import add_totals
from crucible_nb.accumulators.exact_sum import ExactSum
from crucible_nb.metrics.sliding import PANES
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.rule_terms import SIGNS, Observed, Terms

_EPSILON = float(np.finfo(np.float64).eps)
_HITS, _KNOWN, _PLUS, _MINUS = range(4)
_NONE = np.empty(0, np.int64)
_NO_SPAN = (int(np.iinfo(np.int64).max), int(np.iinfo(np.int64).min))
_STEPS = PANES + 2  # checks without an event in between: after that many windows are empty, and only the last counts


class Running(NamedTuple):
    """The time in which an experiment ran.

    Attributes:
        life: Its lifecycle.
        began: In event time the first start of an event before this moment, UTC nanoseconds, the largest integer
            without one; None where the clock of the experiment tells its start.
    """

    life: Lifecycle
    began: int | None = None


class Trace(NamedTuple):
    """Checks of a rule, in order, and what they found.

    Attributes:
        row: Index of the event of the batch at which each was made; the number of events without one.
        time: Time of each, UTC nanoseconds.
        holds: Whether the condition held.
        value: Function that returns the value of the metric at a check.
    """

    row: np.ndarray
    time: np.ndarray
    holds: np.ndarray
    value: Callable[[int], float]


def no_checks() -> Trace:
    """Return a trace without a check."""
    return Trace(_NONE, _NONE, np.empty(0, np.bool_), lambda _: float("nan"))


class Checks(NamedTuple):
    """Checks among the events of a batch, in order.

    Attributes:
        row: Number of events of the batch that each check counts.
        made: Event at which each is made.
        edge: Number of the pane after its window.
        time: Its time, UTC nanoseconds.
        since, until: Edges of the time that a rate is divided by, UTC nanoseconds.
        began: First start of an event up to each, UTC nanoseconds.
    """

    row: np.ndarray
    made: np.ndarray
    edge: np.ndarray
    time: np.ndarray
    since: np.ndarray
    until: np.ndarray
    began: np.ndarray

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


class Totals(NamedTuple):
    """Totals of events whose rows are gone.

    Attributes:
        hits: Number of events or outcomes that are counted.
        known: Number of known values.
        sums: Sum of the finite values, one cell; None if no values are summed.
        special: Sum of the infinite values; 0 if there are none.
    """

    hits: int
    known: int
    sums: ExactSum | None = None
    special: float = 0.0


class Limit(NamedTuple):
    """The condition on a metric.

    Attributes:
        sign: One of >, >=, < and <=.
        limit: The limit.
        min_events: Number of known values without which it does not hold.
    """

    sign: str
    limit: float
    min_events: int


class WindowState:
    """The events that a window of a rule still counts.

    Args:
        terms: What is computed.
        limit: The condition.
        window: Length of the window in nanoseconds, or None.
        events: Length of the window in known values, or None; all events without either.
        since: Time before which there were no events of this group; None for all events.

    Attributes:
        met: Whether the condition held at the last check.
    """

    def __init__(
        self,
        terms: Terms,
        limit: Limit,
        window: int | None = None,
        events: int | None = None,
        since: int | None = None,
    ) -> None:
        self.terms, self.limit = terms, limit
        self.met = False
        self.since = since
        self._is_new = False
        self._size = PANES if events is None else events
        self._counts_events = events is not None
        self._width = None if window is None else -(-window // PANES)
        self._newest: int | None = None  # pane of the newest event
        self._checked: int | None = None  # edge of the last check
        self._parts = Parts(_NONE, np.empty((4, 0), np.int64), np.empty(0), np.empty(0), _NONE)
        self._sums = ExactSum(1, 0)  # exact sums of the values of `_panes`
        self._panes = _NONE
        self._span = _NO_SPAN  # first start and last time of the events of a group

    # -- checks -------------------------------------------------------------------------------------------------------

    def trace(self, seen: Observed, life: Running) -> Trace:
        """Count events; return the checks among them.

        Args:
            seen: Events in recording order, at least one.
            life: Running of the experiment, for rates per time.
        """
        if self._counts_events:
            seen = seen.take(np.flatnonzero(seen.known))
            if not seen.size:
                return no_checks()
        values, parts = self._parts_of(seen)
        checks = self._checks_among(seen)
        trace = self._judge(checks, parts, values, life)
        self.met = bool(trace.holds[-1]) if len(trace.holds) else self.met
        self._absorb(parts, values)
        return trace._replace(row=seen.row[trace.row])

    def pass_time(self, now: int, life: Running) -> Trace:
        """Check a window of time at the ends of the panes that time has passed since the newest event."""
        started = life.life.started
        if self._width is None or (self._newest is None and started is None):
            return no_checks()
        pane = now // self._width
        self._skip_past(pane)
        newest = (started or 0) // self._width if self._newest is None else self._newest
        passed = newest if self._checked is None else max(newest, self._checked)
        edges = passed + 1 + np.arange(min(max(0, pane - passed), _STEPS))
        edges[-1:] = max(passed, pane)
        self._checked = max(pane, passed)
        trace = self._between(edges, edges * self._width, life)
        self.met = bool(trace.holds[-1]) if len(trace.holds) else self.met
        return trace

    def peek(self, now: int, life: Running) -> Trace:
        """Check at a moment between events; nothing is remembered."""
        edge = (self._newest or 0) if self._width is None else max(now // self._width, self._newest or 0)
        return self._between(np.array([edge + 1]), np.array([now]), life)

    def _between(self, edges: np.ndarray, times: np.ndarray, life: Running) -> Trace:
        none, zeros = self._parts.take(_NONE), np.zeros(len(edges), np.int64)
        began = np.full(len(edges), life.began or 0)
        since, until = zeros if self._width is None else (edges - PANES) * self._width, times
        if self._width is None and self.since is not None:
            since, until = (np.full(len(edges), edge) for edge in self._span)
        return self._judge(Checks(zeros, zeros, edges, times, since, until, began), none, np.empty(0), life)

    def begin_anew(self) -> None:
        """Decide from the next moment on: the events so far were recorded before the rule was watched."""
        self.met, self._is_new = False, self._newest is not None

    def skip_until(self, time: int) -> None:
        """Decide nothing again until a time."""
        if self._width is not None:
            self._checked = max(time // self._width, time // self._width if self._checked is None else self._checked)

    @property
    def _detects_silence(self) -> bool:
        return not self.limit.min_events and self._width is not None

    def _skip_past(self, pane: int) -> None:
        if self._is_new:
            self._checked, self._is_new = pane, False

    def _checks_among(self, seen: Observed) -> Checks:
        """Return the checks that fall among events, and move on to the newest of them."""
        n = seen.size
        if self._width is None:
            first = 0 if self._newest is None else self._newest + 1
            if self._counts_events:
                self._newest = first + n - 1
            rows = np.arange(n)
            since, until = self._spans_of(seen)
            began = np.minimum(seen.began, seen.begins)
            return Checks(rows + 1, rows, first + rows + 1, seen.time, since, until, began)
        pane = seen.clock // self._width
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
        time = edge * self._width
        return Checks(row, row, edge, time, (edge - PANES) * self._width, time, seen.began[row])

    def _spans_of(self, seen: Observed) -> tuple[np.ndarray, np.ndarray]:
        """Return the edges of the time of all events up to each: of a group from its first start to its last time."""
        if self.since is None:
            return np.zeros(seen.size, np.int64), seen.clock
        first, last = self._span
        since = np.minimum.accumulate(np.minimum(seen.begins, first))
        until = np.maximum.accumulate(np.maximum(seen.time, last))
        self._span = int(since[-1]), int(until[-1])
        return since, until

    def _judge(self, checks: Checks, parts: Parts, values: np.ndarray, life: Running) -> Trace:
        if not len(checks):
            return no_checks()
        held, numbers = self._parts.join(parts), len(self._parts.pane)
        entry = np.searchsorted(checks.row, np.arange(len(parts.pane)), side="right")
        entry = np.concatenate((np.zeros(numbers, np.int64), entry))
        leave = np.full(len(held.pane), len(checks))
        if self._width is not None or self._counts_events:
            leave = np.maximum(entry, np.searchsorted(checks.edge, held.pane + self._size, side="right"))
        counts = np.array([_running(row, entry, leave, len(checks)) for row in held.counts]).astype(np.int64)
        value = self._value(checks, counts, held, entry, leave, values, life)
        holds = self._holds(counts, value) & (counts[_KNOWN] >= self.limit.min_events)
        if self._detects_silence:
            holds &= self._spans(checks, life) == PANES * self._width  # type: ignore[operator]
            if self.since is not None:
                holds &= (checks.edge - PANES) * self._width >= self.since

        def number(i: int) -> float:
            if self.terms.statistic in _ORDERED:
                return self._ordered(held.take(np.flatnonzero((entry <= i) & (leave > i))))
            return float(value[i])

        return Trace(checks.made, checks.time, holds, number)

    # -- values -------------------------------------------------------------------------------------------------------

    def _parts_of(self, seen: Observed) -> tuple[np.ndarray, Parts]:
        """Return the finite numbers that events add, and the events as parts."""
        values, known = seen.values, seen.known
        finite = np.isfinite(values)
        amount = np.where(finite, values, 0.0)
        counts = np.array([self._hits(values), known, values == np.inf, values == -np.inf], np.int64)
        pane = np.zeros(seen.size, np.int64) if self._width is None else seen.time // self._width
        if self._counts_events:
            pane = (0 if self._newest is None else self._newest + 1) + np.arange(seen.size)
        return amount, Parts(pane, counts, amount, values, known.astype(np.int64))

    def _hits(self, values: np.ndarray) -> np.ndarray:
        """Return which numbers count: outcomes, or those beyond the limit for a quantile or an extreme."""
        if self.terms.statistic not in _ORDERED:
            return np.asarray(values == 1.0)
        sign, limit = self.limit.sign, self.limit.limit
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
        life: Running,
    ) -> np.ndarray:
        """Return the metric at each check, float64; of quantiles and extremes only where it is asked for."""
        statistic, hits, known = self.terms.statistic, counts[_HITS], counts[_KNOWN]
        with np.errstate(divide="ignore", invalid="ignore"):
            if statistic in _ORDERED:
                return np.full(len(checks), np.nan)
            if statistic == "share":
                return np.asarray(hits / known / self.terms.allowed)
            per = self._per(checks, life)
            if statistic == "count":
                return np.asarray(hits / per)
            per = known if statistic == "mean" else np.where(known > 0, per, np.nan)
            total = _running(held.amount, entry, leave, len(checks))
            slack = 4 * _EPSILON * (len(entry) + len(checks)) * np.abs(held.amount).sum()
            limit = self.limit.limit * per
            near = ~(np.abs(total - limit) > slack + 8 * _EPSILON * np.abs(limit))
            if self.terms.is_exact or near.any() or counts[_PLUS:].any():  # the rounding of these sums could decide
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

    def _per(self, checks: Checks, life: Running) -> np.ndarray:
        """Return what a count or a total is divided by at each check: 1, or active time."""
        return np.ones(len(checks)) if self.terms.per is None else self._spans(checks, life) / self.terms.per

    def _spans(self, checks: Checks, life: Running) -> np.ndarray:
        """Return the active nanoseconds of the window of each check, float64."""
        began = None if life.began is None else checks.began
        return life.life.active_each(checks.since, checks.until, began).astype(np.float64)

    def _holds(self, counts: np.ndarray, value: np.ndarray) -> np.ndarray:
        statistic, sign, hits, known = self.terms.statistic, self.limit.sign, counts[_HITS], counts[_KNOWN]
        if statistic not in _ORDERED:
            return np.asarray(SIGNS[sign](value, self.limit.limit))
        if statistic == "quantile":
            q = self.terms.q
            beyond = hits * q.denominator > known * (q.denominator - q.numerator)
            return np.asarray(beyond if sign in (">", ">=") else ~beyond)
        return np.asarray(hits > 0 if (statistic == "min") == (sign in ("<", "<=")) else hits == 0)

    def _ordered(self, parts: Parts) -> float:
        """Return the quantile or extreme of the values of some parts, on the side of the limit where it is."""
        known = parts.weight > 0
        values, weight = parts.value[known], parts.weight[known]
        if not len(values):
            return float("nan")
        if self.terms.statistic != "quantile":
            return float(values.min() if self.terms.statistic == "min" else values.max())
        order = np.argsort(values, kind="stable")
        q, below = self.terms.q, np.cumsum(weight[order])
        found = float(values[order][np.argmax(below * q.denominator >= below[-1] * q.numerator)])
        return (max if self.limit.sign in (">", ">=") else min)(found, self.limit.limit)

    # -- state --------------------------------------------------------------------------------------------------------

    def begin_with(self, totals: Totals) -> None:
        """Begin with events of which only the totals are left."""
        self._sums = ExactSum(1, 0)
        if totals.sums is not None:
            self._sums, self._panes = totals.sums, np.zeros(1, np.int64)
        special, known = totals.special, totals.known
        plus, minus = (special == np.inf or special != special), (special == -np.inf or special != special)
        counts = np.array([[totals.hits], [known], [plus], [minus]], np.int64)
        amount = self._sums.values(0) if len(self._panes) else np.zeros(1)
        self._newest = 0
        self._parts = Parts(np.zeros(1, np.int64), counts, amount, np.full(1, np.nan), np.full(1, known))

    def _absorb(self, parts: Parts, values: np.ndarray) -> None:
        """Keep what later checks will count."""
        windowed = self._width is not None or self._counts_events
        oldest = (self._newest or 0) - self._size + 1 if windowed else 0
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
            "is_new": self._is_new,
            "newest": self._newest,
            "checked": self._checked,
            "parts": [np.array(part) for part in self._parts],
            "panes": self._panes,
            "sums": self._sums.to_dict(),
            "since": self.since,
            "span": list(self._span),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.met, self._is_new = bool(state["met"]), bool(state["is_new"])
        self._newest, self._checked, self.since = state["newest"], state["checked"], state["since"]
        self._parts = Parts(*(np.asarray(part) for part in state["parts"]))
        self._panes, self._sums = np.asarray(state["panes"]), ExactSum.from_dict(state["sums"])
        self._span = tuple(state.get("span", _NO_SPAN))


class RatioState:
    """A window of a rule on the ratio of two totals, over events with both values; see `WindowState`."""

    def __init__(
        self,
        terms: Terms,
        limit: Limit,
        window: int | None = None,
        events: int | None = None,
        since: int | None = None,
    ) -> None:
        self.met, self._limit = False, limit
        known = Limit(">", -np.inf, limit.min_events)
        self._parts = [WindowState(half, known, window, events, since) for half in terms.halves()]

    def trace(self, seen: Observed, life: Running) -> Trace:
        """Count events; return the checks among them."""
        per = np.full(seen.size, np.nan) if seen.per is None else np.where(seen.known, seen.per, np.nan)
        totals = (seen.only(seen.known), seen._replace(values=per))
        return self._joined([part.trace(one, life) for part, one in zip(self._parts, totals, strict=True)])

    def pass_time(self, now: int, life: Running) -> Trace:
        """Check at the ends of the panes that time has passed since the newest event."""
        return self._joined([part.pass_time(now, life) for part in self._parts])

    def peek(self, now: int, life: Running) -> Trace:
        """Check at a moment between events; nothing is remembered."""
        met = self.met
        trace = self._joined([part.peek(now, life) for part in self._parts])
        self.met = met
        return trace

    def _joined(self, traces: list[Trace]) -> Trace:
        amount, per = traces
        with np.errstate(divide="ignore", invalid="ignore"):
            pairs = np.array([(amount.value(i), per.value(i)) for i in range(len(amount.row))]).reshape(-1, 2)
            ratio = pairs[:, 0] / pairs[:, 1]
        holds = amount.holds & SIGNS[self._limit.sign](ratio, self._limit.limit)
        self.met = bool(holds[-1]) if len(holds) else self.met
        return Trace(amount.row, amount.time, holds, lambda i: float(ratio[i]))

    def begin_anew(self) -> None:
        """Decide from the next moment on."""
        self.met = False
        for part in self._parts:
            part.begin_anew()

    def skip_until(self, time: int) -> None:
        """Decide nothing again until a time."""
        for part in self._parts:
            part.skip_until(time)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {"met": self.met, "parts": [part.to_dict() for part in self._parts]}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.met = bool(state["met"])
        for part, saved in zip(self._parts, state["parts"], strict=True):
            part.load(saved)


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
