"""Replay a journal: give the lines of one writer to its stream, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from crucible_nb.events.rows import WIDTH
from crucible_nb.events.scalars import EXTRA
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.control_codec import decode_facts
from crucible_nb.store.row_codec import Run, row_of_cells
from crucible_nb.store.table_codec import frame_of_cells

_STAGE = 4096 * WIDTH


class Replayer:
    """Gives journal lines to a stream.

    Args:
        stream: State of the writer.

    Attributes:
        unread: Number of lines that could not be used.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.unread = 0
        self._incident_alerts = 0
        self._gap = False

    def replay(self, lines: Run | Iterable[list[Any] | None]) -> None:
        """Process a run of events, or the cells of lines in order; None is a line that cannot be read."""
        problems = self.stream.problems
        problems.muted = True
        try:
            if isinstance(lines, Run):
                if self._gap:
                    self._count_gap(lines.seq, [])
                self._process(lines.rows)
            else:
                self._replay_lines(lines)
        finally:
            problems.muted = False

    def skip_replayed_incidents(self) -> None:
        """Drop new incidents for which the earlier process has already raised an alert."""
        waiting = self.stream.pipeline.detect.new_incidents
        for _ in range(min(self._incident_alerts, len(waiting))):
            waiting.popleft()
        self._incident_alerts = 0

    def _replay_lines(self, lines: Iterable[list[Any] | None]) -> None:
        staged: list[Any] = []
        for cells in lines:
            if cells is None:
                self.unread += 1
                self._gap = True
                continue
            row = _row(cells) if cells and type(cells[0]) is int else None
            if row is None:
                self._process(staged)
                self._apply_line(cells)
                continue
            if self._gap:
                self._count_gap(cells[0], staged)
            if row[-1] is not None and EXTRA in row[-1] and row[-1][EXTRA].unsupported:
                self.stream.problems.report("misfits", "", row[-1][EXTRA].unsupported)
            staged += row
            if len(staged) >= _STAGE:
                self._process(staged)
        self._process(staged)

    def _process(self, staged: list[Any]) -> None:
        if staged:
            self._reporting(lambda: self.stream.rows(staged), len(staged) // WIDTH)
            staged.clear()

    def _count_gap(self, seq: int, staged: list[Any]) -> None:
        """After unreadable lines: count the events in them by the next sequence number."""
        self._process(staged)
        lost = seq - self.stream.pipeline.seq
        if lost > 0:
            self.stream.pipeline.seq = seq
            self.stream.problems.report("lost", f"{lost} events of the journal cannot be read", lost)
        self._gap = False

    def _reporting(self, work: Callable[[], object], events: int) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  as in the live run
            sentence = f"events could not be processed: {type(error).__name__}: {error}"
            self.stream.problems.report("errors", sentence, events)

    def _apply_line(self, cells: list[Any]) -> None:
        """Process a line that is not an event: a table or a verb."""
        if cells and cells[0] == "rows":
            self._apply_table(cells)
            return
        try:
            verb, _, data = cells
            facts = decode_facts(verb, data, self.stream.config)
            self.stream.apply(verb, facts)
        except Exception:  # noqa: BLE001  its checksum is right, so the file was edited by hand: any error may follow
            self.unread += 1
            return
        if verb == "alert":
            self._incident_alerts += facts["alert"].kind == "anomaly"

    def _apply_table(self, cells: list[Any]) -> None:
        try:
            seq, reading, event, frame = frame_of_cells(cells)
        except Exception:  # noqa: BLE001  as above
            self.unread += 1
            return
        if self._gap:
            self._count_gap(seq, [])
        self._reporting(lambda: self.stream.frame(frame, event, reading), len(frame))


def _row(cells: list[Any]) -> tuple[Any, ...] | None:
    """The staged row of an event line; None where a number is invalid although the checksum is right."""
    try:
        return row_of_cells(cells[1:])
    except (ValueError, TypeError):
        return None
