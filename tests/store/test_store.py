"""Experiments in a folder: resuming, reading, joining, listing, and messages for missing or invalid files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

import crucible_nb as cr
from crucible_nb.__main__ import main
from crucible_nb.store import lock, writer
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.sync import SYNCER
from crucible_nb.testing import ManualClock
from crucible_nb.utils.threads import TICKER
from tests.conftest import NOON, SECOND, settle
from tests.laws.test_resume import die

OWNER = """
import sys, time, crucible_nb as cr
exp = cr.start("theirs", store=sys.argv[1], default=True)
exp.record("call", latency_ms=1.0, n=0)
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "pause": exp.pause()
    if line.strip() == "fail":
        try:
            with exp: raise ValueError
        except ValueError: pass
    if line.strip() == "more":
        for n in range(1, 1001): exp.record("call", latency_ms=float(n), n=n)
    print("done", flush=True)
"""


class Other:
    """A process that owns an experiment."""

    def __init__(self, store: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout.readline().strip() == "ready"

    def tell(self, what: str) -> None:
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "done"

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def other(tmp_path: Path):
    found = Other(tmp_path)
    yield found
    found.kill()


def status(store: Path, name: str = "theirs") -> str:
    return cr.experiments(store).set_index("name").loc[name, "status"]


def test_status_is_the_truth(other: Other, tmp_path: Path) -> None:
    assert status(tmp_path) == "running"
    other.tell("pause")
    assert status(tmp_path) == "paused"
    other.kill()
    assert status(tmp_path) == "dead"
    exp = cr.attach("theirs", store=tmp_path)
    assert exp.status == "paused"
    exp.resume()
    assert status(tmp_path) == "running"
    exp.stop()
    assert status(tmp_path) == "stopped"
    exp.archive(tmp_path / "run.zip")
    assert status(tmp_path) == exp.status == "archived"


def test_failed_is_failed(other: Other, tmp_path: Path) -> None:
    other.tell("fail")
    assert status(tmp_path) == "failed"
    listed = cr.experiments(tmp_path)
    assert listed["total_events"].tolist() == [1]
    assert cr.experiments(tmp_path / "nowhere").empty


@pytest.mark.check
def test_who_owns_it_is_named_while_it_lives(other: Other, tmp_path: Path) -> None:
    pid = other.process.pid
    for take in (
        lambda: cr.start("theirs", store=tmp_path, on_exists="resume"),
        lambda: cr.attach("theirs", store=tmp_path, mode="resume"),
    ):
        with pytest.raises(cr.StoreError, match=rf"is open for writing in process {pid} on \S+\. Use mode='read'"):
            take()
    with pytest.raises(cr.LifecycleError, match="cannot start 'theirs': an experiment with this name has not ended"):
        cr.start("theirs", store=tmp_path, on_exists="error")
    reader = cr.attach("theirs", store=tmp_path)
    assert not reader.record("mine")
    with pytest.raises(
        cr.LifecycleError, match=rf"cannot pause 'theirs': it is read-only here; process {pid} on \S+ writes it"
    ):
        reader.pause()


@pytest.mark.check
def test_a_rerun_of_the_cell_takes_over_at_once(other: Other, tmp_path: Path) -> None:
    other.tell("more")
    other.kill()
    exp = cr.start("theirs", store=tmp_path, on_exists="resume")
    assert exp.frame()["n"].tolist() == list(range(1001))
    assert exp.record("call", n=1001)
    again = cr.start("theirs", store=tmp_path, on_exists="resume")
    assert again is exp
    exp.stop()
    fresh = cr.start("theirs", store=tmp_path, on_exists="resume")
    assert fresh.id != exp.id
    assert len(cr.experiments(tmp_path)) == 2
    assert cr.attach("theirs", store=tmp_path, mode="read").id == fresh.id  # the newest of that name
    assert cr.attach(exp.id, store=tmp_path).id == exp.id
    fresh.stop()


def test_a_cell_that_attaches_can_be_run_again(other: Other, tmp_path: Path) -> None:
    reader = cr.attach("theirs", store=tmp_path)
    other.kill()
    exp = cr.attach("theirs", store=tmp_path)
    assert cr.attach("theirs", store=tmp_path) is exp  # no reader, whose `record` would drop everything
    assert cr.attach(exp.id, store=tmp_path, mode="resume") is exp
    assert cr.start("theirs", store=tmp_path, on_exists="resume") is exp
    assert not cr.attach("theirs", store=tmp_path, mode="read").record("call")
    assert cr.experiments().loc[exp.id, "status"] == "running"
    assert exp.record("call")
    cr.start("theirs", store=tmp_path / "elsewhere").stop()  # makes room of what is this process's own, of no reader
    assert (exp.status, reader.status) == ("stopped", "stopped")
    assert cr.attach("theirs", store=tmp_path) is not exp


@pytest.mark.check
def test_a_reader_looks_again(other: Other, tmp_path: Path) -> None:
    reader = cr.attach("theirs", store=tmp_path, mode="read")
    assert (reader.status, reader.metrics().events) == ("running", 1)
    other.tell("more")
    assert reader.metrics().events == 1001
    assert reader.query_window(last_n=2)["n"].tolist() == [999, 1000]
    other.tell("pause")
    assert reader.status == "paused"
    other.kill()
    assert reader.status == "dead"
    assert reader.metrics(last="1h").events == 1001


def test_dead_time_does_not_count(tmp_path: Path) -> None:
    clock = ManualClock()
    exp = cr.start("gap", store=tmp_path, clock=clock)
    clock.tick(10)
    exp.record("a")
    die(exp)
    clock.tick(3600)
    exp = cr.attach("gap", store=tmp_path, clock=clock)
    clock.tick(10)
    summary = exp.summary()
    assert (summary["wall_clock_duration"], summary["active_duration"], summary["pause_count"]) == (3620.0, 20.0, 0)
    exp.stop()


@pytest.mark.check
def test_nor_by_the_clock_of_the_computer(other: Other, tmp_path: Path) -> None:
    other.kill()
    time.sleep(1.2)
    exp = cr.attach("theirs", store=tmp_path)
    summary = exp.summary()
    assert (
        1.2 <= summary["paused_duration"] == pytest.approx(summary["wall_clock_duration"] - summary["active_duration"])
    )


def test_files_are_read_without_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 100)
    exp = cr.start("open", store=tmp_path)
    exp.extend(pd.DataFrame({"latency_ms": np.arange(100.0), "model": "m", "n": range(100)}), event="call")
    settle(exp)
    for n in range(100, 103):
        exp.record("call", latency_ms=float(n), model="m", n=n)
    folder = exp._log.attachment.folder.path
    segments, journal = str(folder / "*.parquet"), sorted(folder.glob("*.jsonl"))[-1]
    for frame in (
        pd.concat([pd.read_parquet(path) for path in folder.glob("*.parquet")]),
        pl.read_parquet(segments).to_pandas(),
        duckdb.sql(f"select * from read_parquet('{segments}')").df(),
    ):
        assert frame["latency_ms"].tolist() == np.arange(100.0).tolist()
        assert frame["model"].astype(str).tolist() == ["m"] * 100
    lines = pd.read_json(journal, lines=True)[1]
    events = pd.DataFrame([cells for cells in lines if isinstance(cells[0], int)])
    assert events[3].tolist() == [100.0, 101.0, 102.0]
    found = duckdb.sql(
        f"select (json->1->>3)::double as latency_ms from read_ndjson_objects('{journal}') where json_type(json->1->0) = 'UBIGINT'"
    )
    assert [row[0] for row in found.fetchall()] == [100.0, 101.0, 102.0]
    text = pl.read_csv(journal, separator="\x01", has_header=False, quote_char=None, new_columns=["line"])
    cells = text.select(pl.col("line").str.json_path_match("$[1][3]").cast(pl.Float64, strict=False))
    assert [value for value in cells["line"].to_list() if value is not None] == [100.0, 101.0, 102.0]
    exp.stop()


def test_rows_beyond_max_events_live_on_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 500)
    exp = cr.start("long", store=tmp_path, max_events=300)
    for part in range(10):
        exp.extend(pd.DataFrame({"n": np.arange(250) + 250 * part, "latency_ms": 1.0}), event="e")
        settle(exp)
    assert exp.frame()["n"].tolist() == list(range(2500))
    assert len(exp._stream.pipeline.buffer) <= 300 + 500
    assert exp.metrics().events == 2500
    die(exp)
    again = cr.attach("long", store=tmp_path)
    assert again.frame()["n"].tolist() == list(range(2500))
    assert len(again._stream.pipeline.buffer) <= 300 + 500
    again.record("e", n=2500)
    again.stop()
    assert cr.attach("long", store=tmp_path).frame()["n"].tolist() == list(range(2501))


def test_prices_rules_and_plans_come_back(tmp_path: Path) -> None:
    exp = cr.start("back", store=tmp_path)
    exp.record("llm.request", model="my-own", prompt_tokens=10**6, completion_tokens=0)
    exp.reprice({"my-own": {"input": 1.5, "output": 2.0}})
    exp.budget(usd=4, action="pause")
    exp.watch("event_count >= 2")
    plan = exp.plan("score", margin=0.1, sample_size=10)
    exp.record("llm.request", model="my-own", prompt_tokens=10**6, completion_tokens=0)
    assert exp.alerts()["reason"].tolist() == ["event_count >= 2: it is 2"]
    die(exp)
    exp = cr.attach("back", store=tmp_path)
    assert exp.metrics().cost.total == 3.0
    assert exp.planned.plan == plan
    assert exp.alerts()["reason"].tolist() == ["event_count >= 2: it is 2"]  # and not again
    exp.record("llm.request", model="my-own", prompt_tokens=10**6, completion_tokens=0)
    assert exp.should_stop
    assert exp.paused
    assert exp.metrics().cost.total == 4.5
    exp.stop()


class Every(cr.sampling.Sampler):
    """Keeps every second event, by a count that is not part of its state."""

    def start(self) -> None:
        self.n = 0

    def rates(self, events) -> np.ndarray:
        self.n += len(events)
        return np.full(len(events), 0.5)


def test_a_sampler_of_ones_own_has_to_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 100)
    exp = cr.start("own", store=tmp_path, sampling=Every(), seed=1)
    exp.extend([{"n": n} for n in range(400)], event="e")
    want = exp.frame()
    die(exp)
    assert not list(tmp_path.rglob("*.parquet"))  # its state cannot be written, so its journal is kept
    with pytest.raises(cr.StoreError, match="Every object at .* is not saved in the store. Pass it to cr.attach"):
        cr.attach("own", store=tmp_path)
    again = cr.attach("own", store=tmp_path, sampling=Every())
    pd.testing.assert_frame_equal(again.frame(), want, check_exact=True)
    assert again._stream.pipeline.sample.sampler.n == 400
    again.stop()


@pytest.mark.parametrize("durability", ["os", "disk", "memory"])
def test_three_words_of_durability(tmp_path: Path, durability: str) -> None:
    exp = cr.start("words", store=tmp_path, durability=durability)
    assert exp.record("a", n=1)
    store = exp.summary()["store"]
    acknowledged = store["acknowledged"]
    text = next(tmp_path.rglob("*.jsonl")).read_text()
    assert ('"n":1' in text) is (durability != "memory")
    assert (store["synced"] == acknowledged) is (durability == "disk")
    exp.flush()
    store = exp.summary()["store"]
    assert store["synced"] == store["acknowledged"] > 0
    assert '"n":1' in next(tmp_path.rglob("*.jsonl")).read_text()
    exp.stop()


def test_the_background_syncs_within_about_a_second(tmp_path: Path) -> None:
    exp = cr.start("sync", store=tmp_path)
    exp.record("a")
    deadline = time.monotonic() + 60
    while exp.summary()["store"]["synced"] < exp.summary()["store"]["acknowledged"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    exp.stop()


def test_where_locks_do_not_work_heartbeats_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_LOCKS", False)
    exp = cr.start("beat", store=tmp_path)
    path = exp._log.writer.lock.path
    assert not exp._log.writer.lock.locked
    assert lock.is_held(path)
    with pytest.raises(cr.StoreError, match="is open for writing in process"):
        Attachment.resume(exp._log.attachment.folder, None, None, None)
    SYNCER.remove(exp._log.writer)
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert not lock.is_held(path)
    die(exp)
    os.utime(path, (time.time() - 60, time.time() - 60))
    cr.attach("beat", store=tmp_path).stop()


def test_an_archive_comes_back(tmp_path: Path) -> None:
    with cr.start("old", store=tmp_path / "one", sampling="reservoir", sampling_config={"size": 50}, seed=1) as exp:
        exp.extend(pd.DataFrame({"n": range(1000), "latency_ms": 1.0}), event="e")
    path = exp.archive(tmp_path / "run.zip")
    assert cr.load(path).equals(exp.frame())
    again = cr.unarchive(path, tmp_path / "two")
    assert again.id == exp.id
    assert again.frame().equals(exp.frame())
    assert again.metrics().events == 1000
    with pytest.raises(cr.StoreError, match="is in .* already"):
        cr.unarchive(path, tmp_path / "two")
    with cr.start("memory") as alone:
        pass
    with pytest.raises(cr.StoreError, match="it holds events but no store; read them with cr.load"):
        cr.unarchive(alone.archive(tmp_path / "alone.zip"), tmp_path / "two")


def test_names_are_data(tmp_path: Path) -> None:
    for name in ("../../x", "/etc/passwd", "a\x00b", "x" * 300, '<img src=x onerror="alert(1)">', "\u202eevil"):
        with cr.start(name, store=tmp_path) as exp:
            exp.record(name, model=name)
        assert exp._log.attachment.folder.path.parent == tmp_path
        back = cr.attach(exp.id, store=tmp_path)
        assert back.name == name
        assert "<img" not in back._repr_html_()
    assert len(list(tmp_path.iterdir())) == 6


def test_verify_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with cr.start("cli", store=tmp_path) as exp:
        exp.record("a")
    assert main(["verify", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("5 files, all sound\n")
    path = next(tmp_path.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-10])
    assert main(["verify", str(tmp_path)]) == 1
    assert "BROKEN" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "nothing")]) == 2
    assert "there is no experiment in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda place: cr.start("x", store=3),
            "store=3: expected a folder, such as 'runs/', 'postgresql://...' or None",
        ),
        (
            lambda place: cr.start("x", store="mysql://u:p@h/d"),
            r"store='mysql://...': expected a folder",
        ),
        (
            lambda place: cr.start("x", store=place, durability="hope"),
            "durability='hope': expected one of 'os', 'disk', 'memory'",
        ),
        (lambda place: cr.start("x", store=place, redact=3), "redact=3: expected None, False, a callable"),
        (lambda place: cr.attach("x", store=place), "cannot attach to 'x': there is no such experiment in"),
        (
            lambda place: cr.attach("x"),
            r"cannot attach to 'x': it is not a handle \(no such folder\); to attach by name, pass store=",
        ),
        (
            lambda place: cr.attach(),
            "name=None: expected a name, an id or a handle, or CRUCIBLE_RUN in the environment",
        ),
        (
            lambda place: cr.attach("x", store=place, mode="write"),
            "mode='write': expected one of None, 'resume', 'read', 'join'",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, call, sentence: str) -> None:
    with pytest.raises(cr.CrucibleError, match=sentence):
        call(tmp_path)


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(cr.StoreError, match="cannot write '.*file': "):
        cr.start("x", store=tmp_path / "file")


def test_times_of_the_events_are_kept(tmp_path: Path) -> None:
    exp = cr.start("times", store=tmp_path, clock="events")
    for second in (5, 1, 9):
        exp.record("e", time=NOON + second * SECOND)
    exp.record("e")
    want = exp.frame()
    die(exp)
    exp = cr.attach("times", store=tmp_path)
    assert exp.frame().equals(want)
    assert exp.started_at == want.index[0]
    exp.stop()


@pytest.mark.parametrize("left", [(), ("w0000.lock",), ("w0000.lock", "w0000-000001.jsonl")])
def test_a_process_may_die_while_it_comes_up(tmp_path: Path, left: tuple[str, ...]) -> None:
    exp = cr.start("early", store=tmp_path)
    started = exp.started_at
    folder = exp._log.attachment.folder.path
    die(exp)
    for path in folder.glob("w0000*"):
        path.write_bytes(b"") if path.name in left else path.unlink()
    assert cr.experiments(tmp_path)["status"].tolist() == ["dead"]
    again = cr.start("early", store=tmp_path, on_exists="resume")
    assert again.id == exp.id
    assert again.started_at == started
    assert again.record("a")
    again.stop()
    assert cr.attach("early", store=tmp_path).metrics().events == 1


def test_who_only_reads_acts_on_no_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TICKER, "add", lambda tick: None)  # the writer acts when it is asked, not some time soon
    exp = cr.start("theirs", store=tmp_path, clock="events")
    exp.watch("event_count >= 3", action="pause")
    reader = cr.attach("theirs", store=tmp_path, mode="read")
    for n in range(3):
        exp.record("call", n=n, time=NOON + n)
    assert reader.alerts().empty
    assert not reader.should_stop
    assert exp.should_stop
    assert reader.alerts()["reason"].tolist() == ["event_count >= 3: it is 3"]
    assert reader.status == "paused"
    exp.stop()
