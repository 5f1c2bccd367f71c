"""The full state of one writer: its clock, lifecycle, stages, rules and plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.anomaly.incidents import incident_frame, incident_summary
from crucible_nb.anomaly.silence import Silence
from crucible_nb.events.batch import Batch
from crucible_nb.events.kinds import Columns
from crucible_nb.events.rows import batch_of_rows
from crucible_nb.events.staging import row_of
from crucible_nb.events.tables import batches_of_frame, brings_weights, frame_of, rows_of
from crucible_nb.pipeline.clock import SteadyClock
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.enrich import EnrichmentStage
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.monitor import Monitor
from crucible_nb.pipeline.policies import describe, is_restorable, rebuild
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.pipeline.rule_events import Past, RuleEvents
from crucible_nb.sampling import Sampler
from crucible_nb.stats.planning.plan import Ledger, Look, Plan, plan_of
from crucible_nb.utils.problems import Problems

TRANSITIONS = ("pause", "resume", "stop", "fail", "archive")
"""Verbs that change the status of an experiment."""


class Stream:
    """State of one writer in memory. A replay gives it the same inputs in the same order as the live run.

    Args:
        config: Arguments of the experiment.
        writer_id: Number of the writer; 0 is the process that started the experiment.
        started: Clock reading at the start; None: now.
        clock, problems: Those of an earlier stream of this process to reuse; None for new ones.

    Attributes:
        clock: Clock of the writer.
        problems: Counter of problems.
        pipeline: The stages of an event.
        lifecycle: Status and its transitions.
        monitor: Rules, budgets and alerts.
        ledger: Plan and interim analyses; None without a plan.
        sessions: Random id of each time the journal was opened, the oldest first; [] in memory. Two copies of a journal
            that are both continued differ in the last.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        writer_id: int = 0,
        started: int | None = None,
        *,
        clock: SteadyClock | None = None,
        problems: Problems | None = None,
    ) -> None:
        self.config, self.writer_id = config, writer_id
        self.clock, self.problems = clock or config.new_clock(), problems or Problems(config.name)
        self.pipeline = config.new_pipeline(self.clock, self.problems, writer_id)
        self.pipeline.watch = self._judge
        if writer_id == 0:  # what a worker does not get is no silence of the experiment
            self.pipeline.detect.active = self._without_pauses
        self.monitor = Monitor(self.problems, config.action, in_event_time=config.clock == "events")
        self.monitor.dictionaries = self.pipeline.columns.dictionaries
        self.ledger: Ledger | None = None
        self.sessions: list[str] = []
        self.marks: dict[str, int] = {}
        self.lifecycle = Lifecycle(config.name, None if config.clock == "events" else self.clock.now(started))

    def _judge(self, batch: Batch) -> None:
        self.monitor.judge(batch, self.lifecycle)

    def _without_pauses(self, times: np.ndarray) -> np.ndarray:
        return self.lifecycle.without_pauses(times)

    def empty_copy(self, writer_id: int, started: int | None) -> Stream:
        """Return a stream without events that shares the clock and the problem counter, to which `record` refers."""
        self.clock.load({"last": None, "shift": 0, "newest": None})
        self.problems.counts.clear()
        return Stream(self.config, writer_id, started, clock=self.clock, problems=self.problems)

    # -- inputs -------------------------------------------------------------------------------------------------------

    def rows(self, rows: list[Any]) -> None:
        """Process staged rows."""
        self.pipeline.rows(rows)

    def frame(self, frame: pd.DataFrame, event: str | None = None, reading: int | None = None) -> int:
        """Process a table at a clock reading; return the number of its events."""
        return self.pipeline.frame(frame, event, reading)

    def first_action(self, table: Any, event: str | None = None) -> int:
        """Return the number of rows of a table up to the first that makes a rule pause or stop; all if none does."""
        pipeline, problems, clock = self.pipeline, Problems(self.config.name), self.config.new_clock()
        columns = Columns()
        columns.load(pipeline.columns.to_dict())
        clock.load(self.clock.to_dict())
        enrich = EnrichmentStage(columns.dictionaries, pipeline.prices)
        rules, past, reading = self.monitor.acting(), self.monitor.past, self.clock.read()
        running = self.monitor.running(self.lifecycle)
        if isinstance(table, list) and not brings_weights(table):
            rows = [cell for row in rows_of(table) for cell in row_of(reading, event, row, problems)]
            batches: Iterable[Batch] = [batch_of_rows(rows, 0, columns, problems)] if rows else []
        else:
            table = frame_of(table, event)
            batches = batches_of_frame(table, 0, columns, problems)
        for batch in batches:
            if batch.given is not None and not batch.given.all():
                batch.time = np.where(batch.given, batch.time, reading)
            batch.time = clock.event_times(batch.time, batch.given)
            enrich(batch)
            events = RuleEvents(batch, columns.dictionaries, past)
            found = [begun.row for rule in rules for begun in rule.judge(events, running)]
            if found:
                return batch.first_seq + min(found) + 1
            past = events.after
        return len(table)

    def apply(self, verb: str, facts: Mapping[str, Any]) -> None:
        """Change the experiment by a verb, at its place among the events; the live run and a replay both call this.

        Args:
            verb: A transition (facts: clock), or absent (since, clock), sampling (policy), prices (table), watch (rule,
                kind, action), objective (condition, target), alert (alert, fired), plan (plan), look (look), mark
                (name, time, clock), silence (time, and the fields of `Silence`).
            facts: Arguments of the verb, as objects.

        Raises:
            LifecycleError: A transition that the status does not allow.
            KeyError: An unknown verb.
        """
        _VERBS[verb](self, verb, facts)

    def start_at_first_event(self) -> None:
        """Set the start of an experiment in event time, once it has events."""
        if self.lifecycle.started is None and self.pipeline.seq:
            self.lifecycle.started = int(self.pipeline.measure.state().total.table.span[0, 0])

    def _transition(self, verb: str, facts: Mapping[str, Any]) -> None:
        self.start_at_first_event()
        self.lifecycle.check(verb)
        self.lifecycle.move(verb, self.clock.now(facts["clock"]), self.pipeline.seq)
        if verb == "resume":
            self.monitor.fired = False

    def _absent(self, _: str, facts: Mapping[str, Any]) -> None:
        self.lifecycle.absent(facts["since"], self.clock.now(facts["clock"]), self.pipeline.seq)

    def _sampling(self, _: str, facts: Mapping[str, Any]) -> None:
        self.pipeline.sample.set_policy(facts["policy"], self.pipeline.seq)

    def _prices(self, _: str, facts: Mapping[str, Any]) -> None:
        self.pipeline.reprice(facts["table"])

    def _watch(self, _: str, facts: Mapping[str, Any]) -> None:
        watched, pipeline = self.monitor.add(facts["rule"], facts["kind"], facts["action"]), self.pipeline
        if pipeline.seq:
            _, newest, began = pipeline.measure.state().total.table.span[:, 0].tolist()
            self.monitor.past = Past(newest, began)
        if not pipeline.complete:
            watched.state.count_totals(pipeline.measure.state().total.table, pipeline.own.state())
        elif pipeline.seq:
            self.monitor.catch_up(watched, pipeline.earlier(watched.rule.columns), self.lifecycle)

    def _objective(self, _: str, facts: Mapping[str, Any]) -> None:
        goal = (str(facts["condition"]), float(facts["target"]))
        self.monitor.goals = [*(one for one in self.monitor.goals if one != goal), goal]

    def _alert(self, _: str, facts: Mapping[str, Any]) -> None:
        self.monitor.remember(facts["alert"], fired=facts["fired"])

    def _plan(self, _: str, facts: Mapping[str, Any]) -> None:
        if self.ledger is None:
            self.ledger = Ledger(facts["plan"])

    def _look(self, _: str, facts: Mapping[str, Any]) -> None:
        if self.ledger is not None:
            self.ledger.looks.append(facts["look"])

    def _mark(self, _: str, facts: Mapping[str, Any]) -> None:
        """Name a moment: a given one, otherwise now; in event time just after the newest event."""
        moment = facts["time"]
        if moment is None:
            moment = self.clock.now(facts["clock"]) + (self.config.clock == "events" and self.pipeline.seq > 0)
        self.marks[facts["name"]] = int(moment)

    def _silence(self, _: str, facts: Mapping[str, Any]) -> None:
        """Tell of a silence that was noticed while it lasts; a replay does not decide it again."""
        silence = Silence(*(facts[name] for name in Silence._fields))
        self.pipeline.detect.hear(facts["time"], silence)

    def silences(self, now: int) -> list[Silence]:
        """Return the silences to tell of at a moment, in UTC nanoseconds."""
        return self.pipeline.detect.silences(int(self._without_pauses(np.array([now]))[0]))

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def is_restorable(self) -> bool:
        """Whether the whole state can be saved, so that journals need not be kept."""
        return is_restorable(self.pipeline.sample.policy) and all(map(is_restorable, self.pipeline.detect.detectors))

    @property
    def is_self_contained(self) -> bool:
        """Whether the state can be restored without user-defined classes."""
        policies = (self.pipeline.sample.policy, *self.pipeline.detect.detectors)
        return self.is_restorable and not any("strange" in (describe(policy) or ()) for policy in policies)

    def state(self, *, bare: bool = False) -> dict[str, Any]:
        """Return the state without the rows, as plain data and arrays.

        Args:
            bare: Whether to leave out sampler and detectors.
        """
        pipeline = self.pipeline
        policy = None if bare else pipeline.sample.policy
        stages = (
            pipeline
            if not bare
            else self.config.without_policies().new_pipeline(self.clock, self.problems, self.writer_id)
        )
        prices = None if pipeline.prices is self.config.prices else price_facts(pipeline.prices, self.config.prices)
        return {
            "seq": pipeline.seq,
            "clock": self.clock.to_dict(),
            "life": self.lifecycle.to_dict(),
            "notes": dict(self.problems.counts),
            "columns": pipeline.columns.to_dict(),
            "enrich": pipeline.enrich.to_dict(),
            "judging": stages.detect.to_dict(),
            "measure": pipeline.measure.to_dict(),
            "own": pipeline.own.to_dict(),
            "policy": describe(policy),
            "keeping": stages.sample.to_dict(),
            "prices": prices,
            "watching": self.monitor.to_dict(),
            "ledger": _ledger_state(self.ledger),
            "kinds": [list(pair) for pair in pipeline.buffer.kinds()],
            "evicted": pipeline.buffer.evicted,
            "sessions": list(self.sessions),
            "marks": dict(self.marks),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Load a state before the first event; the rows are loaded into the buffer separately."""
        pipeline = self.pipeline
        pipeline.seq = state["seq"]
        self.clock.load(state["clock"])
        self.lifecycle.load(state["life"])
        self.problems.counts.update(state["notes"])
        pipeline.columns.load(state["columns"])
        pipeline.enrich.load(state["enrich"])
        pipeline.detect.load(state["judging"])
        pipeline.measure.load(state["measure"])
        pipeline.own.load(state.get("own"), pipeline.seq)  # v0.1 counted none
        if state["prices"] is not None:
            pipeline.use_prices(table_of(state["prices"], self.config.prices))
        pipeline.sample.load(rebuild(state["policy"], self.config.sampling, Sampler), state["keeping"])
        self.monitor.load(state["watching"])
        self.sessions = list(state.get("sessions", ()))  # v0.1 had none
        self.marks = {str(name): int(time) for name, time in state.get("marks", {}).items()}  # nor these
        if state["ledger"] is not None:
            self.ledger = Ledger(plan_of(**state["ledger"]["plan"]))
            self.ledger.looks += map(look_of, state["ledger"]["looks"])

    def validate(self) -> None:
        """Evaluate all restored parts once, so that a corrupt checkpoint fails here, where its file is known."""
        detect, last = self.pipeline.detect, self.clock.last or 0
        self.pipeline.measure.state()
        self.pipeline.own.state()
        self.pipeline.sample.strata()
        incident_frame(detect.incidents.all)
        incident_summary([detect.incidents], self.pipeline.seq)
        self.monitor.alerts.frame()
        self.lifecycle.intervals(last)
        self.lifecycle.active(self.lifecycle.started or 0, last)
        repr(self.ledger)


def price_facts(table: PriceTable, base: PriceTable) -> dict[str, Any]:
    """Return a price table as plain data, without the prices of the start, which are in the folder."""
    prices = base.data
    based = bool(prices) and table.data[-len(prices) :] == prices
    own = table.data[: -len(prices)] if based else table.data
    return {"tables": [dict(table) for table in own], "base": based}


def table_of(facts: Mapping[str, Any], base: PriceTable) -> PriceTable:
    """Rebuild a price table from `price_facts`."""
    return PriceTable.from_data([*facts["tables"], *(base.data if facts["base"] else ())])


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data."""
    guardrails = {"guardrails": [list(pair) for pair in plan.guardrails]} if plan.guardrails else {}
    facts = {name: value for name, value in vars(plan).items() if name != "guardrails"}
    return facts | {"secondary": list(plan.secondary)} | guardrails


def look_facts(look: Look) -> dict[str, Any]:
    """Return an interim analysis as plain data."""
    return {**asdict(look), "metrics": list(look.metrics)}


def look_of(facts: Mapping[str, Any]) -> Look:
    """Rebuild an interim analysis from plain data."""
    return Look(facts["n"], tuple(facts["metrics"]), facts["planned"], facts.get("information"))


def _ledger_state(ledger: Ledger | None) -> dict[str, Any] | None:
    if ledger is None:
        return None
    return {"plan": plan_facts(ledger.plan), "looks": [look_facts(look) for look in ledger.looks]}


_VERBS: dict[str, Callable[[Stream, str, Mapping[str, Any]], None]] = {
    **dict.fromkeys(TRANSITIONS, Stream._transition),
    "absent": Stream._absent,
    "sampling": Stream._sampling,
    "prices": Stream._prices,
    "watch": Stream._watch,
    "objective": Stream._objective,
    "alert": Stream._alert,
    "plan": Stream._plan,
    "look": Stream._look,
    "mark": Stream._mark,
    "silence": Stream._silence,
}
