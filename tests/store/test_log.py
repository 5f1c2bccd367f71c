"""Views of an experiment: what a reader, a worker and the owner say of its lifecycle, and verbs that cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

import crucible_nb as cr
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.log import AttachedLog, MemoryLog, StoredLog
from crucible_nb.testing import ManualClock


@pytest.fixture
def parts(tmp_path: Path) -> tuple[cr.Experiment, cr.Experiment, cr.Experiment, ManualClock]:
    """The owner, a reader and a worker of one experiment, and the clock of owner and worker."""
    clock = ManualClock()
    owner = cr.start("shared", store=tmp_path, clock=clock)
    reader = cr.attach("shared", store=tmp_path, mode="read")
    worker = cr.attach(owner.handle, mode="join", clock=clock)
    return owner, reader, worker, clock


def test_a_reader_is_up_to_date_whatever_is_asked_first(
    parts: tuple[cr.Experiment, cr.Experiment, cr.Experiment, ManualClock],
) -> None:
    owner, reader, _, clock = parts
    owner.pause()
    assert reader.paused
    clock.tick(3)
    owner.resume()
    clock.tick(2)
    owner.pause()
    assert reader.pause_count == 2
    assert reader.resume_count == 1
    owner.resume()
    assert len(reader.paused_spans) == 2
    owner.pause()
    assert reader.paused_at == owner.paused_at
    owner.stop()
    assert reader.stopped_at == owner.stopped_at
    assert not reader.paused


def test_a_workers_summary_is_of_one_lifecycle(
    parts: tuple[cr.Experiment, cr.Experiment, cr.Experiment, ManualClock],
) -> None:
    owner, _, worker, clock = parts
    worker.record("work")
    owner.pause()
    clock.tick(0.2)
    summary = worker.summary()
    assert (summary["pause_count"], summary["paused_duration"], summary["status"]) == (1, 0.2, "paused")
    owner.resume()
    owner.stop()
    names = ["status", "started_at", "stopped_at", "pause_count", "resume_count", "paused_duration", "active_duration"]
    assert [worker.summary()[name] for name in names] == [owner.summary()[name] for name in names]
    assert worker.status == worker.summary()["status"] == "stopped"


def test_a_worker_that_ended_speaks_of_itself(
    parts: tuple[cr.Experiment, cr.Experiment, cr.Experiment, ManualClock],
) -> None:
    owner, _, worker, clock = parts
    owner.pause()
    owner.resume()
    clock.tick(1)
    worker.stop()
    summary = worker.summary()
    assert (summary["status"], summary["pause_count"]) == ("stopped", 0)
    assert summary["stopped_at"] == worker.stopped_at
    assert owner.status == "running"


def test_logs_by_what_they_are(parts: tuple[cr.Experiment, cr.Experiment, cr.Experiment, ManualClock]) -> None:
    kinds = [type(one._log) for one in (*parts[:3], cr.start("memory"))]
    assert kinds == [StoredLog, AttachedLog, StoredLog, MemoryLog]
    assert [(one._log.records, one._log.owned) for one in parts[:3]] == [(True, True), (False, False), (True, False)]


@pytest.mark.parametrize("verb", ["archive", "look", "watch"])
def test_a_journal_that_cannot_be_opened_again_is_noticed_before_anything_changes(tmp_path: Path, verb: str) -> None:
    exp = cr.start("ended", store=tmp_path)
    exp.plan("latency_ms", direction="down")
    exp.stop()
    other = StoredLog.require_writer

    def refuse(self: StoredLog, verb: str) -> None:
        raise cr.StoreError("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoredLog, "require_writer", refuse)
        if verb == "look":
            with pytest.warns(cr.CrucibleWarning, match="the disk is full"):
                exp.planned.take(10, ["latency_ms"])  # a comparison is not refused: the look is kept by this process
        else:
            with pytest.raises(cr.StoreError, match="the disk is full"):
                exp.archive(tmp_path / "run.zip") if verb == "archive" else exp.watch("error_rate > 0.1")
    assert StoredLog.require_writer is other
    assert exp.status == "stopped"
    assert exp._stream.monitor.rules == []
    assert cr.attach("ended", store=tmp_path).planned.looks == []


def test_a_reader_writes_nothing(parts: tuple[cr.Experiment, cr.Experiment, cr.Experiment, ManualClock]) -> None:
    owner, reader, _, _ = parts
    for act in (
        reader.pause,
        reader.stop,
        lambda: reader.watch("error_rate > 0.1"),
        lambda: reader.set_sampling("uniform"),
    ):
        with pytest.raises(cr.LifecycleError, match="it is read-only here"):
            act()
    assert not reader.record("x")
    assert reader.extend([{"x": 1}]) == 0
    assert owner.status == reader.status == "running"


@pytest.mark.parametrize(("mode", "ended"), [("read", True), ("read", False), (None, True)])
def test_an_attach_lists_its_folder_and_reads_its_facts_once(
    tmp_path: Path, mode: str | None, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp = cr.start("listed", store=tmp_path)
    exp.record("a", latency_ms=1.0)
    for _ in range(2):
        worker = cr.attach(exp.handle, mode="join")
        worker.record("b", latency_ms=2.0)
        worker.stop()
    if ended:
        exp.stop()
    handle, calls = exp.handle, []
    scan, read = ExperimentFolder.scan, Path.read_bytes
    monkeypatch.setattr(ExperimentFolder, "scan", lambda self: (calls.append("listing"), scan(self))[1])
    monkeypatch.setattr(Path, "read_bytes", lambda self: (calls.append(self.name), read(self))[1])
    again = cr.attach(handle, mode=mode)
    assert (calls.count("listing"), calls.count("experiment.json")) == (1, 1)
    assert again.metrics().events == 3
