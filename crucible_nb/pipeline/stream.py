"""All that the events of one writer make, and how to make it again from the lines it left.

A live experiment and its replay go through the same stages with the same inputs in the same order; that is all there
is to resuming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from crucible_nb.anomaly.incidents import incident_frame, incident_summary
from crucible_nb.events.rows import WIDTH
from crucible_nb.events.scalars import EXTRA
from crucible_nb.pipeline.clock import SteadyClock
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.monitor import ACTIONS, Monitor
from crucible_nb.pipeline.policies import describe, is_restorable, rebuild
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.pipeline.rules import Rule
from crucible_nb.sampling import Sampler
from crucible_nb.stats.planning.plan import Ledger, Look, Plan, plan_of
from crucible_nb.store.lines import decode_exact
from crucible_nb.store.row_codec import Run, row_of_cells
from crucible_nb.store.table_codec import frame_of_cells
from crucible_nb.utils import checks
from crucible_nb.utils.problems import Problems

_STAGE = 4096 * WIDTH


class Stream:
    """The stages of one writer with everything beside them.

    Args:
        setup: What the experiment was asked to be.
        ordinal: Of the writer; 0 is the one that started it.
        started: Clock reading at the start; None: now.

    Attributes:
        clock, notes, pipeline, life, watching, ledger: The parts, shared with whoever shows them.
        unread: Lines that could not be used.
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
        self.clock, self.problems = clock or config.steady(), problems or Problems(config.name)
        self.pipeline = config.pipeline(self.clock, self.problems, writer_id)
        self.monitor = Monitor(self.problems, config.action)
        self.ledger: Ledger | None = None
        self.life = Lifecycle(config.name, None if config.clock == "events" else self.clock.now(started))
        self.unread = 0
        self._alerted = 0
        self._gap = False

    def fresh(self, writer_id: int, started: int | None) -> Stream:
        """A stream before its first event, with the same clock and notes: those are held elsewhere."""
        self.clock.load({"last": None, "shift": 0, "newest": None})
        self.problems.counts.clear()
        return Stream(self.config, writer_id, started, clock=self.clock, problems=self.problems)

    def begin(self) -> None:
        """In event time an experiment begins with its first event."""
        if self.life.started is None and self.pipeline.seq:
            self.life.started = int(self.pipeline.measure.exact_state().total.panel.span[0, 0])

    # -- from lines ---------------------------------------------------------------------------------------------------

    def take(self, lines: Run | Iterable[list[Any] | None]) -> None:
        """Take in what journals hold: a run of events, or cells of lines in order, None for one that cannot be read."""
        self.problems.muted = True
        try:
            if isinstance(lines, Run):
                if self._gap:
                    self._skip(lines.seq, [])
                self._fold(lines.rows)
            else:
                self._take(lines)
        finally:
            self.problems.muted = False

    def _take(self, lines: Iterable[list[Any] | None]) -> None:
        staged: list[Any] = []
        for cells in lines:
            if cells is None:
                self.unread += 1
                self._gap = True
                continue
            if type(cells[0]) is int:
                row = self._row(cells[1:])
                if row is not None:
                    if self._gap:
                        self._skip(cells[0], staged)
                    if row[-1] is not None and EXTRA in row[-1] and row[-1][EXTRA].strangers:
                        self.problems.report("misfits", "", row[-1][EXTRA].strangers)
                    staged += row
                    if len(staged) >= _STAGE:
                        self._fold(staged)
                    continue
            self._fold(staged)
            self._one(cells)
        self._fold(staged)

    def _row(self, cells: list[Any]) -> tuple[Any, ...] | None:
        try:
            return row_of_cells(cells)
        except (ValueError, TypeError):  # a number that is none; its checksum holds, so somebody made it up
            return None

    def _fold(self, staged: list[Any]) -> None:
        if staged:
            self._safely(lambda: self.pipeline.rows(staged), len(staged) // WIDTH)
            staged.clear()

    def _skip(self, seq: int, staged: list[Any]) -> None:
        """After lines that are lost the numbers tell how many events were in them."""
        self._fold(staged)
        lost = seq - self.pipeline.seq
        if lost > 0:
            self.pipeline.seq = seq
            self.problems.report("lost", f"{lost} events stand in lines of the journal that cannot be read", lost)
        self._gap = False

    def _safely(self, work: Callable[[], object], events: int = 1) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  as in the run itself
            self.problems.report("errors", f"events could not be taken in: {type(error).__name__}: {error}", events)

    def _one(self, cells: list[Any]) -> None:
        """A line that is no event."""
        if cells and cells[0] == "rows":
            try:
                seq, reading, event, frame = frame_of_cells(cells)
            except Exception:  # noqa: BLE001  its checksum holds, so somebody made it up: anything may be wrong
                self.unread += 1
                return
            if self._gap:
                self._skip(seq, [])
            self._safely(lambda: self.pipeline.frame(frame, event, reading), len(frame))
            return
        handle = _VERBS.get(cells[0]) if len(cells) == 3 and isinstance(cells[0], str) else None
        try:
            if handle is None:
                raise ValueError(cells)
            handle(self, cells[0], cells[2])
        except Exception:  # noqa: BLE001  as above
            self.unread += 1

    def move(self, verb: str, facts: dict[str, Any]) -> None:
        """A transition at a clock reading."""
        self.begin()
        self.life.check(verb)
        self.life.move(verb, self.clock.now(facts["clock"]), self.pipeline.seq)

    def _absent(self, _: str, facts: dict[str, Any]) -> None:
        self.life.absent(facts["since"], self.clock.now(facts["clock"]), self.pipeline.seq)

    def _sampling(self, _: str, facts: dict[str, Any]) -> None:
        self.pipeline.sample.set_policy(rebuild(facts["policy"], self.config.sampling, Sampler), self.pipeline.seq)

    def _prices(self, _: str, facts: dict[str, Any]) -> None:
        self.pipeline.reprice(self._table(facts))

    def _table(self, facts: dict[str, Any]) -> PriceTable:
        return PriceTable.from_data([*facts["tables"], *(self.config.prices.data if facts["base"] else ())])

    def price_facts(self, table: PriceTable) -> dict[str, Any]:
        """A price table as plain data; the prices that the experiment began with stand in its folder already."""
        base = self.config.prices.data
        over = bool(base) and table.data[-len(base) :] == base
        own = table.data[: -len(base)] if over else table.data
        return {"tables": [dict(one) for one in own], "base": over}

    def _watch(self, _: str, facts: dict[str, Any]) -> None:
        action = checks.one_of("action", facts["action"], ACTIONS)
        self.monitor.add(Rule.of(facts["rule"]), str(facts["kind"]), action)

    def _alert(self, _: str, facts: dict[str, Any]) -> None:
        alert = [decode_exact(cell) for cell in facts["alert"]]
        self.monitor.remember(alert, fired=facts["fired"])
        self._alerted += alert[1] == "anomaly"

    def _plan(self, _: str, facts: dict[str, Any]) -> None:
        plan = plan_of(**facts["plan"])
        self.ledger = Ledger(plan) if self.ledger is None else self.ledger

    def _look(self, _: str, facts: dict[str, Any]) -> None:
        if self.ledger is not None:
            self.ledger.looks.append(Look(facts["n"], tuple(facts["metrics"]), facts["planned"]))

    def settled(self) -> None:
        """After a replay: incidents that were told of in the earlier process are not told of again."""
        detect = self.pipeline.detect
        for _ in range(min(self._alerted, len(detect.new_incidents))):
            detect.new_incidents.popleft()
        self._alerted = 0

    # -- as plain data ------------------------------------------------------------------------------------------------

    @property
    def lasting(self) -> bool:
        """Whether everything here can be written down, so that its journals need not be kept."""
        sample = self.pipeline.sample
        return is_restorable(sample.policy) and all(map(is_restorable, self.pipeline.detect.detectors))

    @property
    def portable(self) -> bool:
        """Whether somebody who has none of the user's classes can take the state over."""
        policies = (self.pipeline.sample.policy, *self.pipeline.detect.detectors)
        return self.lasting and not any("strange" in (describe(policy) or ()) for policy in policies)

    def to_dict(self, *, bare: bool = False) -> dict[str, Any]:
        """The state of everything but the rows, as plain data and arrays.

        Args:
            bare: Leave out sampler and detectors.
        """
        pipeline = self.pipeline
        policy = None if bare else pipeline.sample.policy
        staged = pipeline if not bare else self.config.bare().pipeline(self.clock, self.problems, self.writer_id)
        return {
            "seq": pipeline.seq,
            "clock": self.clock.to_dict(),
            "life": self.life.to_dict(),
            "notes": dict(self.problems.counts),
            "columns": pipeline.columns.to_dict(),
            "enrich": pipeline.enrich.to_dict(),
            "judging": staged.detect.to_dict(),
            "measure": pipeline.measure.to_dict(),
            "policy": describe(policy),
            "keeping": staged.sample.to_dict(),
            "prices": None if pipeline.prices is self.config.prices else self.price_facts(pipeline.prices),
            "watching": self.monitor.to_dict(),
            "ledger": _ledger(self.ledger),
            "kinds": [list(pair) for pair in pipeline.buffer.kinds()],
            "evicted": pipeline.buffer.evicted,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over, before any event; the rows come separately."""
        pipeline = self.pipeline
        pipeline.seq = state["seq"]
        self.clock.load(state["clock"])
        self.life.load(state["life"])
        self.problems.counts.update(state["notes"])
        pipeline.columns.load(state["columns"])
        pipeline.enrich.load(state["enrich"])
        pipeline.detect.load(state["judging"])
        pipeline.measure.load(state["measure"])
        if state["prices"] is not None:
            pipeline.use_prices(self._table(state["prices"]))
        pipeline.sample.load(rebuild(state["policy"], self.config.sampling, Sampler), state["keeping"])
        self.monitor.load(state["watching"])
        if state["ledger"] is not None:
            self._plan("plan", {"plan": state["ledger"]["plan"]})
            for look in state["ledger"]["looks"]:
                self._look("look", look)

    def tried(self) -> None:
        """Look at all that was loaded once: a state that somebody made up breaks here, where its file can be named."""
        detect, last = self.pipeline.detect, self.clock.last or 0
        self.pipeline.measure.exact_state()
        self.pipeline.sample.strata()
        incident_frame(detect.incidents.all)
        incident_summary([detect.incidents], self.pipeline.seq)
        self.monitor.alerts.frame()
        self.life.intervals(last)
        self.life.active(self.life.started or 0, last)
        repr(self.ledger)


def _ledger(ledger: Ledger | None) -> dict[str, Any] | None:
    if ledger is None:
        return None
    looks = [{"n": look.n, "metrics": list(look.metrics), "planned": look.planned} for look in ledger.looks]
    return {"plan": plan_facts(ledger.plan), "looks": looks}


def plan_facts(plan: Plan) -> dict[str, Any]:
    """A plan as plain data."""
    return {**vars(plan), "secondary": list(plan.secondary)}


_VERBS: dict[str, Callable[[Stream, str, dict[str, Any]], None]] = {
    **dict.fromkeys(("pause", "resume", "stop", "fail", "archive"), Stream.move),
    "absent": Stream._absent,
    "sampling": Stream._sampling,
    "prices": Stream._prices,
    "watch": Stream._watch,
    "alert": Stream._alert,
    "plan": Stream._plan,
    "look": Stream._look,
}
