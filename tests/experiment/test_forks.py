"""Forks: a child never hangs, whichever thread holds a lock, and never acknowledges events that go nowhere."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.experiment.intake import Intake
from crucible_nb.utils.threads import BackgroundWorker, Ticker

FORK = multiprocessing.get_context("fork")
pytestmark = [
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of forks beside threads, which is what is tested
]


def in_child(work: Any, *args: Any) -> Any:
    """What `work` gives in a forked process; a child that hangs fails the test."""
    answers: Queue[Any] = FORK.Queue()
    child = FORK.Process(target=lambda: answers.put(work(*args)))
    child.start()
    try:
        return answers.get(timeout=60)
    except queue.Empty:
        child.kill()
        pytest.fail("the child hangs")
    finally:
        child.join(60)


def use(exp: cr.Experiment) -> tuple[bool, int, int, int]:
    for _ in range(9000):  # past a full staging area, so that the caller processes it
        accepted = exp.record("child", latency_ms=1.0)
    return accepted, exp.extend([{"latency_ms": 1.0}]), len(exp.df), exp.metrics().events


def test_in_memory_a_child_is_refused_and_may_read() -> None:
    exp = cr.start("memory")
    for _ in range(5):
        exp.record("parent", latency_ms=1.0)
    assert in_child(use, exp) == (False, 0, 5, 5)
    with pytest.warns(cr.CrucibleWarning, match="'memory' is in memory only; for other processes to join"):
        assert in_child_warned(exp) == 2
    assert exp.record("parent")
    assert exp.summary()["refused"] == 0
    assert exp.metrics().events == 6


def in_child_warned(exp: cr.Experiment) -> int:
    """Two refused events in a child, whose one warning is raised again here."""

    def work() -> list[str]:
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert not exp.record("child")
            assert not exp.record("child")
        return [str(exp.summary()["refused"]), *(str(one.message) for one in caught)]

    import warnings

    refused, *messages = in_child(work)
    assert len(messages) == 1
    warnings.warn(messages[0], cr.CrucibleWarning, stacklevel=2)
    return int(refused)


def test_in_a_store_a_child_becomes_a_writer(tmp_path: Path) -> None:
    exp = cr.start("stored", store=tmp_path)
    exp.record("parent", latency_ms=1.0)
    assert in_child(use, exp) == (True, 1, 9002, 9002)  # it reads what the parent wrote, too
    assert exp.metrics().events == 9002
    exp.stop()


def test_forked_writers_have_sessions_of_their_own(tmp_path: Path) -> None:
    exp = cr.start("sessions", store=tmp_path)
    exp.record("parent")
    found = [in_child(lambda: (exp.record("child"), list(exp._stream.sessions))[1]) for _ in range(2)]
    found.append(list(exp._stream.sessions))
    assert [len(sessions) for sessions in found] == [1, 1, 1]
    assert len({session for [session] in found}) == 3
    exp.stop()


@pytest.mark.parametrize("store", [False, True])
def test_a_thread_that_processes_events_while_the_process_forks(
    tmp_path: Path, store: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread is inside the lock when the fork is asked for; the fork waits until it has left."""
    exp = cr.start("busy", store=tmp_path if store else None)
    exp.record("staged")  # with nothing staged, nothing is processed
    inside, leave = threading.Event(), threading.Event()
    process = Intake._process

    def slow(intake: Intake) -> None:
        if threading.current_thread() is thread:
            inside.set()
            leave.wait(60)
        process(intake)

    monkeypatch.setattr(Intake, "_process", slow)
    thread = threading.Thread(target=exp.metrics)
    thread.start()
    assert inside.wait(60)
    threading.Timer(0.2, leave.set).start()
    assert in_child(use, exp)[0] is store
    thread.join(60)
    exp.stop()


@pytest.mark.parametrize("kind", [BackgroundWorker, Ticker])
def test_threads_of_the_parent_do_not_block_those_of_the_child(kind: Any) -> None:
    """A helper's lock that another thread holds at the fork is a new one in the child."""
    helper = kind("test") if kind is BackgroundWorker else kind()
    done = threading.Event()

    class Job:
        def run(self) -> bool:
            done.set()
            return False

    job = Job()
    with helper._lock:  # as if another thread held it
        found = in_child(lambda: (ask(helper, job), done.wait(30))[1])
    assert found


def ask(helper: Any, job: Any) -> None:
    helper.submit(job.run) if isinstance(helper, BackgroundWorker) else helper.add(job.run)


def test_the_parent_goes_on_after_forks_of_several_threads() -> None:
    exp = cr.start("many")
    forkers = [threading.Thread(target=in_child, args=(lambda: exp.metrics().events,)) for _ in range(4)]
    for one in forkers:
        one.start()
    for i in range(20_000):
        exp.record("parent", latency_ms=float(i))
    for one in forkers:
        one.join(120)
    assert exp.metrics().events == 20_000


def test_a_child_may_start_the_name_of_its_parent(tmp_path: Path) -> None:
    exp = cr.start("same", store=tmp_path)
    exp.record("parent")

    def work() -> tuple[str, int, str, str]:
        with pytest.raises(cr.StoreError, match=r"is open for writing in process \d+ on .*mode='join'"):
            cr.start("same", store=tmp_path, on_exists="resume")
        own = cr.start("same", store=tmp_path)
        own.record("child")
        own.stop()
        return own.id, len(own.df), own.status, cr.attach(exp.id, store=tmp_path, mode="read").status

    identity, rows, status, seen = in_child(work)
    assert (rows, status, seen, exp.status) == (1, "stopped", "running", "running")
    assert identity != exp.id
    assert exp.record("parent")
    exp.stop()
