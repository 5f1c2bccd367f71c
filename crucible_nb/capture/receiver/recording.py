"""Map the bodies of a journal and record them, each span once, also across the death of the process that did it."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from crucible_nb.capture.receiver.spool import (
    Mapped,
    Place,
    Record,
    journal_path,
    numbers,
    read_mapped,
    read_records,
    write_mapped,
)
from crucible_nb.capture.reporting import SENTENCES
from crucible_nb.experiment.experiment import Experiment, intake_of
from crucible_nb.otel import Mapper, SpanRecord, spans_of_body

_MAPPED = ("repeated", "nested", "twins", "dropped_attributes")
COUNTED = ("spans", *_MAPPED, "unmapped_bodies")
"""What is counted of the bodies that are mapped."""

_WARM = 8 << 20  # bytes of earlier bodies by which a new process learns what was counted


class BodyMapper:
    """Maps bodies to events, and counts."""

    def __init__(self, *, content: bool = False) -> None:
        self.mapper = Mapper(content=content)
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self._told: Counter[str] = Counter()

    def news(self) -> dict[str, int]:
        """Return the counts for the summary of the experiment since the last call, those that are not 0."""
        news = {kind: self.counts[kind] - self._told[kind] for kind in SENTENCES}
        self._told.update(news)
        return {kind: count for kind, count in news.items() if count}

    def map(self, bodies: list[tuple[bytes, str, str]]) -> list[dict[str, Any]]:
        """Return the events of bodies with their content types and encodings."""
        spans: list[SpanRecord] = []
        for body, content_type, encoding in bodies:
            try:
                spans += spans_of_body(body, content_type, encoding)
            except ValueError:
                self.counts["unmapped_bodies"] += 1
        mapped = self.mapper.map(spans)
        for name in _MAPPED:
            self.counts[name] += getattr(mapped, name)
        self.counts["spans"] += len(mapped.events)
        return mapped.events


class SpoolRecorder:
    """Follows a journal of bodies and records it into an experiment.

    Before events are recorded, it is written down which bodies they are, and the number of events of the writer. A
    process that goes on counts the events of that writer, and records those of the last bodies that are missing.

    Args:
        folder: Folder of the journal.
        experiment: Where the events go; this process is a writer of it.
        content: Whether to keep the text of messages.
        own: Number of the first file that counts for `recorded`.

    Attributes:
        recorded: Bodies of those files that are recorded.
    """

    def __init__(self, folder: Path, experiment: Experiment, *, content: bool = False, own: int = 0) -> None:
        self.folder, self.experiment, self.bodies = folder, experiment, BodyMapper(content=content)
        self.recorded, self._own = 0, own
        self._lock = threading.Lock()
        self.place = Place()
        self._resume()

    def _resume(self) -> None:
        last = read_mapped(self.folder)
        if last is None:
            return
        self._warm_up(last.begin)
        self.place = last.begin
        records = [record for record in read_records(self.folder, last.begin, 1 << 40) if record.end <= last.end]
        events = self.bodies.map([record[1:] for record in records])
        recorded = max(0, min(self._recorded(last), len(events)))
        self._record(records, events[recorded:])
        self.place = last.end

    def _warm_up(self, end: Place) -> None:
        """Map the bodies before a place without recording them."""
        known = [number for number in numbers(self.folder) if number <= end.number]
        size, first = 0, known[-1:] or [end.number]
        for number in reversed(known):
            size += journal_path(self.folder, number).stat().st_size
            first = [number]
            if size > _WARM:
                break
        for record in read_records(self.folder, Place(first[0]), 1 << 40):
            if record.end > end:
                break
            self.bodies.map([record[1:]])
        self.bodies.forget()

    def _recorded(self, last: Mapped) -> int:
        """Return how many events of the last bodies the writer has recorded."""
        intake = intake_of(self.experiment)
        with intake.lock:
            stream = intake.view().streams.get(last.writer)
            return 0 if stream is None else stream.pipeline.seq - last.seq

    def step(self) -> bool:
        """Record the next bodies; return whether there were any."""
        with self._lock:
            records = list(read_records(self.folder, self.place))
            if not records:
                return False
            self._record(records, self.bodies.map([record[1:] for record in records]))
            self.recorded += sum(record.end.number >= self._own for record in records)
            self._remove_done()
            return True

    def _record(self, records: list[Record], events: list[dict[str, Any]]) -> None:
        if not records:
            return
        intake = intake_of(self.experiment)
        with intake.lock:
            intake.process()
            stream = intake.log.stream
            end = records[-1].end
            if events:
                writer, seq = stream.writer_id, stream.pipeline.seq
                write_mapped(self.folder, Mapped(self.place, end, writer, seq, len(events)))
                self.experiment.extend(events)
            self.place = end

    def _remove_done(self) -> None:
        """Remove files of the journal that are mapped, but for the last two: a new process learns from them."""
        for number in numbers(self.folder):
            if number < self.place.number - 1:
                journal_path(self.folder, number).unlink(missing_ok=True)

    def finish(self) -> None:
        """Record everything, and remove the journal."""
        while self.step():
            pass
        self.experiment.flush()
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()  # unless another receiver is there
