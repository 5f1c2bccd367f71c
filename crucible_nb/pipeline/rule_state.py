"""State of a rule: of each of its groups and windows, and since when it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.metrics import ColumnStates
from crucible_nb.metrics.sliding import PANES
from crucible_nb.metrics.sum_table import SumTable
from crucible_nb.pipeline.rule_events import RuleEvents
from crucible_nb.pipeline.rule_terms import Observed
from crucible_nb.pipeline.rule_totals import totals_of
from crucible_nb.pipeline.rule_values import FiniteState, PatienceState, SelectedState, ValueState
from crucible_nb.pipeline.rule_windows import Limit, RatioState, Running, Trace, WindowState
from crucible_nb.pipeline.rules import Rule

GROUPS = 100
"""Maximum number of groups of a rule; further groups share one more."""

OTHERS = "(other groups)"

State = WindowState | RatioState | ValueState


class Begun(NamedTuple):
    """A check at which a rule began to hold.

    Attributes:
        row: Index of the event of the batch at which it was made; the number of events without one.
        time: Its time, UTC nanoseconds.
        value: Value of the metric.
        group: Group of a rule with `by`; None for all events.
    """

    row: int
    time: int
    value: float
    group: str | None = None


class GroupState:
    """A rule over the events of one group: it holds when it holds in all of its windows.

    Args:
        rule: The rule.
        group: The group; None for all events.
        since: Time before which there were no events of the group; None for all events.

    Attributes:
        met: Whether it held at the last check among the events.
    """

    def __init__(self, rule: Rule, group: str | None = None, since: int | None = None) -> None:
        self.group = group
        self.states = list(_states(rule, since))
        self.met = False
        self._met_now = self._until_check = False  # between events; whether the next check forgets that
        self._value = float("nan")  # of the first of two windows, at its last check

    def judge(self, seen: Observed, life: Running) -> list[Begun]:
        """Count events; return the checks at which the rule began to hold."""
        return self._begun([(state.met, state.trace(seen, life)) for state in self.states])

    def pass_time(self, now: int, life: Running) -> list[Begun]:
        """Check at the ends of the panes that time has passed since the newest event."""
        return self._begun([(state.met, state.pass_time(now, life)) for state in self.states])

    def _begun(self, traces: list[tuple[bool, Trace]]) -> list[Begun]:
        trace = traces[0][1] if len(traces) == 1 else _together(traces, self._value)
        first = traces[0][1]
        if len(traces) > 1 and len(first.row):
            self._value = first.value(len(first.row) - 1)
        if not len(trace.row):
            return []
        begun = np.flatnonzero(trace.holds & ~np.concatenate(([self.holds], trace.holds[:-1]))).tolist()
        self.met = bool(trace.holds[-1])
        if self._until_check:
            self._met_now = self._until_check = False
        return [Begun(int(trace.row[i]), int(trace.time[i]), trace.value(i), self.group) for i in begun]

    def peek(self, now: int, life: Running) -> tuple[bool, float]:
        """Return whether the rule holds at a moment between events, and then the value of its first window."""
        traces = [state.peek(now, life) for state in self.states]
        holds = all(bool(trace.holds[0]) for trace in traces)
        return holds, traces[0].value(0) if holds else float("nan")

    def look(self, holds: bool, *, again: bool) -> bool:
        """Note whether the rule holds between events; return whether it begins to.

        Args:
            holds: Whether it holds at this moment.
            again: Whether there will be another look soon; else the next check decides anew.
        """
        before = self.holds
        self._met_now = holds and (again or not self.met)
        self._until_check = self._met_now and not again
        return holds and not before

    @property
    def holds(self) -> bool:
        """Whether the rule held when it was last checked, among the events or between them."""
        return self.met or self._met_now

    def begin_anew(self) -> None:
        """Decide from the next moment on: the events so far were recorded before the rule was watched."""
        self.met = False
        for state in self.states:
            state.begin_anew()

    def told(self, time: int) -> None:
        """Note that an earlier process raised an alert at this time: until then nothing is decided again."""
        if not self._met_now:
            self._met_now = self._until_check = True
        for state in self.states:
            state.skip_until(time)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {
            "met": self.met,
            "now": [self._met_now, self._until_check],
            "value": self._value,
            "windows": [state.to_dict() for state in self.states],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.met = bool(state["met"])
        self._met_now, self._until_check = map(bool, state["now"])
        self._value = float(state["value"])
        for window, saved in zip(self.states, state["windows"], strict=True):
            window.load(saved)


class RuleState:
    """The state of a rule, by group.

    Args:
        rule: The rule.

    Attributes:
        groups: State of each group, in order of appearance; one for None without `by`.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule, self.terms = rule, rule.terms
        self.groups: dict[str | None, GroupState] = {} if rule.by else {None: GroupState(rule)}
        self._widths = [-(-window // PANES) for window in rule.windows]

    def judge(self, events: RuleEvents, life: Running) -> list[Begun]:
        """Count the events of a batch; return the checks at which the rule began to hold.

        Args:
            events: Events in recording order, at least one.
            life: Time of the experiment, for rates per time.
        """
        rule = self.rule
        seen = events.observe_given(rule.metric) if rule.sign == "is not finite" else events.observe(self.terms)
        if rule.by is None:
            return self.groups[None].judge(seen, life)
        groups = events.groups(rule.by)
        member = {group: np.flatnonzero(groups == group) for group in dict.fromkeys(groups.tolist()) if group}
        for group, rows in member.items():
            self._open(group, int(seen.clock[rows[0]]))
        ticks = self._ticks(seen.clock, events.past.newest)
        begun: list[Begun] = []
        none = np.empty(0, np.int64)
        for name, state in self.groups.items():
            groups_of = [name] if name != OTHERS else [group for group in member if group not in self.groups]
            rows = np.concatenate([none, *(member.get(str(group), none) for group in groups_of)])
            counted = np.zeros(seen.size, np.bool_)
            counted[rows] = True
            shown = np.union1d(rows, ticks)
            if len(shown):
                begun += state.judge(seen.only(counted).take(shown), life)
        return begun

    def _open(self, group: str, since: int) -> None:
        name = group if group in self.groups or len(self.groups) < GROUPS else OTHERS
        if name not in self.groups:
            self.groups[name] = GroupState(self.rule, name, since)

    def _ticks(self, clock: np.ndarray, newest: int | None) -> np.ndarray:
        """Return the events at which time passes the end of a pane, whatever their group."""
        before = np.concatenate(([clock[0] if newest is None else newest], clock[:-1]))
        passed = [np.flatnonzero(clock // width > before // width) for width in self._widths]
        return np.concatenate([np.empty(0, np.int64), *passed])

    def pass_time(self, now: int, life: Running) -> list[Begun]:
        """Check a rule over a window at the ends of the panes that time has passed since the newest event."""
        if not self._widths:
            return []
        return [begun for state in self.groups.values() for begun in state.pass_time(now, life)]

    def look(self, now: int, life: Running, *, again: bool) -> list[Begun]:
        """Check at a moment between events; return the groups for which the rule begins to hold."""
        begun = []
        for name, state in self.groups.items():
            holds, value = state.peek(now, life)
            if state.look(holds, again=again):
                begun.append(Begun(0, now, value, name))
        return begun

    @property
    def holds(self) -> bool:
        """Whether the rule held when it was last checked, for any group."""
        return any(state.holds for state in self.groups.values())

    def begin_anew(self) -> None:
        """Decide from the next moment on."""
        for state in self.groups.values():
            state.begin_anew()

    def told(self, time: int, group: str | None) -> None:
        """Note that an earlier process raised an alert at this time."""
        if group is not None:
            self._open(group, time)
        if group in self.groups:
            self.groups[group].told(time)

    def count_totals(self, table: SumTable, columns: ColumnStates) -> None:
        """Begin with all events so far, of which only the totals are left; windows, quantiles and groups begin empty.

        Args:
            table: Counts and sums with one group.
            columns: Sums of the other columns.
        """
        totals = None if self.rule.is_windowed or self.rule.by else totals_of(self.terms, table, columns)
        if totals is not None and isinstance(window := self.groups[None].states[0], WindowState):
            window.begin_with(totals)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {"groups": [[name, state.to_dict()] for name, state in self.groups.items()]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        for name, saved in state["groups"]:
            self.groups.setdefault(name, GroupState(self.rule, name)).load(saved)


def _states(rule: Rule, since: int | None) -> Iterator[State]:
    if rule.sign == "is not finite":
        yield FiniteState()
        return
    terms, limit = rule.terms, Limit(rule.sign, rule.limit, rule.min_events)
    if rule.sign == "not better":
        yield PatienceState(terms.statistic, int(rule.limit), rule.margin)
        return
    if terms.statistic in ("first", "last"):
        yield SelectedState(terms.statistic, limit)
        return
    kind = RatioState if terms.statistic == "ratio" else WindowState
    if rule.events is not None:
        yield kind(terms, limit, None, rule.events, since)
        return
    for window in rule.windows or (None,):
        yield kind(terms, limit, window, None, since)


def _together(traces: list[tuple[bool, Trace]], value: float) -> Trace:
    """Return the checks of several windows in order; the rule holds where each held at its last check.

    Args:
        traces: Whether each window held before, and its checks; the value of the rule is that of the first window.
        value: That value before these checks.
    """
    row = np.concatenate([trace.row for _, trace in traces])
    time = np.concatenate([trace.time for _, trace in traces])
    window = np.repeat(np.arange(len(traces)), [len(trace.row) for _, trace in traces])
    place = np.concatenate([np.arange(len(trace.row)) for _, trace in traces])
    order = np.lexsort((window, time, row))
    held = np.array([met for met, _ in traces])
    holds = np.empty(len(order), np.bool_)
    for nth, i in enumerate(order.tolist()):
        held[window[i]] = traces[window[i]][1].holds[place[i]]
        holds[nth] = held.all()
    row, time = row[order], time[order]
    latest = np.cumsum(window[order] == 0) - 1  # check of the first window up to each
    last = np.ones(len(order), np.bool_)  # of the checks of one moment, only the last sees all windows
    last[:-1] = (row[1:] != row[:-1]) | (time[1:] != time[:-1])
    latest, first = latest[last], traces[0][1]
    return Trace(row[last], time[last], holds[last], lambda i: first.value(int(latest[i])) if latest[i] >= 0 else value)
