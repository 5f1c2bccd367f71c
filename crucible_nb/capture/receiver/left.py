"""Bodies in the journal of a receiver that died: resuming the experiment records them, reading it shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crucible_nb.capture.receiver.recording import SpoolRecorder
from crucible_nb.capture.receiver.spool import Record, take_journal
from crucible_nb.capture.reporting import report
from crucible_nb.errors import StoreError
from crucible_nb.events.staging import row_of
from crucible_nb.experiment.experiment import Experiment, intake_of, log_of
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.lock import Lock, is_held
from crucible_nb.store.log import AttachedLog

FOLDER = "otlp"
"""Folder of the journals of receivers, in that of an experiment."""


def record_left(experiment: Experiment) -> int:
    """Record the bodies of receivers that died; return the number of their journals."""
    return sum(_record_one(left, experiment) for left in _journals(experiment))


def _journals(experiment: Experiment) -> Iterator[Path]:
    folder = log_of(experiment).location
    if folder is not None and (folder / FOLDER).is_dir():
        yield from sorted(left for left in (folder / FOLDER).iterdir() if left.is_dir())


def _record_one(left: Path, experiment: Experiment) -> bool:
    try:
        lock = Lock(left / "lock")
    except StoreError:
        return False  # its process lives
    try:
        taking = take_journal(left)
        try:
            recorder = SpoolRecorder(left, experiment)
            recorder.finish()
            report(experiment, recorder.bodies.news())
        finally:
            taking.release()
    finally:
        lock.release()
    return True


class _Preview(SpoolRecorder):
    """Maps a journal without recording it, for a reader; keeps the events."""

    def _record(self, records: list[Record], events: list[dict[str, Any]]) -> None:
        if records:
            self.place = records[-1].end
            self.events += events

    def _remove_done(self) -> None:
        """Leave the journal to who records it."""

    def _resume(self) -> None:
        self.events: list[dict[str, Any]] = []
        super()._resume()


def show_left(experiment: Experiment) -> None:
    """Let an experiment that is only read here show the bodies of receivers that died, until they are recorded."""
    log = log_of(experiment)
    if not isinstance(log, AttachedLog):
        return
    found: list[tuple[Path, Stream]] = []
    for left in _journals(experiment):
        if is_held(left / "lock"):
            continue  # its process lives, and records them
        preview = _Preview(left, experiment)
        while preview.step():
            pass
        with intake_of(experiment).lock:
            writer = max(intake_of(experiment).view().streams) + 1 + len(found)
        stream = Stream(log.config, writer)
        reading = stream.clock.read()
        stream.rows([cell for row in preview.events for cell in row_of(reading, None, row, stream.problems)])
        found.append((left, stream))
    log.attachment.more = lambda: [stream for left, stream in found if left.is_dir()]
