"""Replay a journal: give the lines of one writer to its stream, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from crucible_nb.events.rows import WIDTH
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.control_codec import decode_facts
from crucible_nb.store.numbering import Numbering, Placed
from crucible_nb.store.row_codec import Run, row_of_cells
from crucible_nb.store.table_codec import ROWS as MAX_ROWS
from crucible_nb.store.table_codec import frame_of_cells

_STAGE = 4096 * WIDTH


class Line(NamedTuple):
    """A line with its number.

    Attributes:
        cells: Its cells, as decoded.
        row: Staged row of an event; None for a table and a verb.
        seq: Number of its first event; of a verb, of the next event.
        events: Number of its events.
    """

    cells: list[Any]
    row: tuple[Any, ...] | None
    seq: int
    events: int


class Replayer:
    """Gives journal lines to a stream; those that cannot be used or are out of order are counted and passed over.

    Args:
        stream: State of the writer.

    Attributes:
        unread: Number of lines that could not be used.
        numbering: Check of the numbers of the lines.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.unread = 0
        self.numbering = Numbering(stream.pipeline.seq)
        self._incident_alerts = 0

    def replay(self, lines: Run | Iterable[list[Any] | None]) -> None:
        """Process a run of events, or the cells of lines in order; None is a line that cannot be read."""
        problems = self.stream.problems
        problems.muted = True
        try:
            if isinstance(lines, Run):
                self._replay_run(lines)
            else:
                self._replay_lines([None if cells is None else line_of(cells) for cells in lines])
        finally:
            problems.muted = False

    def begin_journal(self, header: Mapping[str, Any]) -> None:
        """Start a journal whose header gives the number of its next event: events before it may be missing."""
        seq, session = header.get("seq"), header.get("session")
        if type(session) is str and session not in self.stream.sessions:
            self.stream.sessions.append(session)
        if type(seq) is int and seq > self.numbering.expected:
            self._use(self.numbering.place(seq, 0, seq))
            self.stream.pipeline.seq = self.numbering.expected

    def skip_replayed_incidents(self) -> None:
        """Drop the news of incidents for which the earlier process has already raised an alert."""
        waiting = self.stream.pipeline.detect.tellings
        for _ in range(min(self._incident_alerts, len(waiting))):
            waiting.popleft()
        self._incident_alerts = 0

    def lose(self, events: int, why: str) -> None:
        """Count lost events."""
        self.stream.problems.report("lost", f"the journal of {self.stream.config.name!r} is damaged: {why}", events)

    def _replay_run(self, run: Run) -> None:
        doubles = min(run.events, max(0, self.numbering.expected - run.seq))
        if doubles:
            self._use(self.numbering.place(run.seq, doubles))
            del run.rows[: doubles * WIDTH]
        if run.rows:
            seq = run.seq + doubles
            if self._use(self.numbering.place(seq, run.events, None if run.events == 1 else seq + run.events)):
                self._process(run.rows, seq)

    def _replay_lines(self, lines: Sequence[Line | None]) -> None:
        staged: list[Any] = []
        first = 0  # number of the first staged event
        for line, following in zip(lines, following_seqs(lines), strict=True):
            if line is None:
                self._cannot_use()
                continue
            placed = self.numbering.place(line.seq, line.events, following)
            if placed.why or line.row is None or len(staged) >= _STAGE:
                self._process(staged, first)
            if not self._use(placed):
                self.unread += 1
            elif line.row is None:
                self._apply_line(line)
            else:
                first = first if staged else line.seq
                staged += line.row
        self._process(staged, first)

    def _use(self, placed: Placed) -> bool:
        """Count what is lost before a line, and continue with its number; return whether to use it."""
        if placed.lost:
            self.lose(placed.lost, placed.why)
        return placed.use

    def _cannot_use(self) -> None:
        self.unread += 1
        self.lose(self.numbering.unreadable(), "a line cannot be read")

    def _process(self, staged: list[Any], first: int) -> None:
        if staged:
            events = len(staged) // WIDTH
            self.stream.pipeline.seq = first
            self._reporting(lambda: self.stream.rows(staged), events)
            self.stream.pipeline.seq = first + events
            staged.clear()

    def _reporting(self, work: Callable[[], object], events: int) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  as in the live run
            sentence = f"events could not be processed: {type(error).__name__}: {error}"
            self.stream.problems.report("errors", sentence, events)

    def _apply_line(self, line: Line) -> None:
        """Process a line that is not an event: a table or a verb."""
        if line.events or line.cells[0] == "rows":
            self._apply_table(line)
            return
        self.stream.pipeline.seq = line.seq
        try:
            verb, _, data = line.cells
            facts = decode_facts(verb, data, self.stream.config)
            self.stream.apply(verb, facts)
        except Exception:  # noqa: BLE001  its checksum is right, so the file was edited by hand: any error may follow
            self._cannot_use()
            return
        if verb == "alert":
            self._incident_alerts += facts["alert"].kind == "anomaly"

    def _apply_table(self, line: Line) -> None:
        self.stream.pipeline.seq = line.seq
        try:
            _, reading, event, frame = frame_of_cells(line.cells)
        except Exception:  # noqa: BLE001  as above
            self.unread += 1
            self.lose(max(1, line.events), "a table cannot be read")
        else:
            self._reporting(lambda: self.stream.frame(frame, event, reading), len(frame))
        self.stream.pipeline.seq = line.seq + line.events


def line_of(cells: list[Any]) -> Line | None:
    """Return a decoded line with its number; None if it is none, although its checksum is right."""
    head = cells[0] if cells else None
    if type(head) is int:
        try:
            row = row_of_cells(cells[1:])
        except (ValueError, TypeError):
            row = None
        return None if row is None else Line(cells, row, head, 1)
    events = 0
    if head == "rows":
        events = cells[2] if len(cells) == 7 else -1
    elif type(head) is not str or len(cells) != 3:
        return None
    known = type(cells[1]) is int and type(events) is int and 0 <= events <= MAX_ROWS
    return Line(cells, None, cells[1], events) if known else None


def following_seqs(lines: Sequence[Line | None]) -> list[int | None]:
    """Return for each line the number of the next line with events, None if it is not known."""
    following: list[int | None] = []
    after: int | None = None
    for line in reversed(lines):
        following.append(after)
        if line is not None and line.events:
            after = line.seq
    return following[::-1]
