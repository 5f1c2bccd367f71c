"""Databases as stores: processes that die, other machines, roles, passwords, versions."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import traceback

import pytest

import crucible_nb as cr
from crucible_nb.notebook.page_state import PageState
from crucible_nb.store.postgres import Address, tables
from crucible_nb.utils import optional
from tests.store.postgres.conftest import eventually

pytestmark = pytest.mark.check  # test_replicator.py is in `make test`


def copied(exp: cr.Experiment) -> None:
    assert exp.wait_archived(30), exp.summary()["store"]


SCRIPT = """
import sys, time
import crucible_nb as cr
exp = cr.start("run", store=sys.argv[1])
for i in range(100):
    exp.record("e", latency_ms=float(i))
exp.wait_archived(30)
for i in range(100, 150):
    exp.record("e", latency_ms=float(i))
print(exp.id, flush=True)
{end}
"""


def child(url: str, end: str) -> tuple[subprocess.Popen, str]:
    script = SCRIPT.format(end=textwrap.dedent(end))
    process = subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_dead_then_resumed(url, sql, tmp_path):
    process, identity = child(url, "time.sleep(60)")
    assert cr.experiments(url).loc[identity, "status"] == "running"
    with pytest.raises(cr.StoreError, match="is open for writing in process"):
        cr.attach("run", store=url, mode="resume")
    kill(process)
    assert cr.experiments(url).loc[identity, "status"] == "dead"
    exp = cr.attach("run", store=url)
    assert (exp.id, exp.status) == (identity, "running")
    exp.record("e", latency_ms=150.0)
    exp.stop()
    copied(exp)
    assert sql("select count(*), count(distinct seq), sum(latency_ms) from crucible.events") == [
        (151, 151, float(sum(range(151))))
    ]
    eventually(lambda: cr.experiments(url).loc[identity, "status"] == "stopped")
    row = cr.experiments(url).loc[identity]
    assert (row.total_events, row.kept_events) == (151, 151)
    exp.archive(tmp_path / "run.zip")
    eventually(lambda: cr.experiments(url).loc[identity, "status"] == "archived")
    assert cr.attach(identity, store=url, mode="read").status == "archived"


def test_what_a_power_loss_took_from_the_journal_leaves_the_copy_too(url, sql, home):
    """The copy may hold events that were never synced here, and whose numbers are used again."""
    process, _ = child(url, "exp.wait_archived(30); print(); time.sleep(60)")
    eventually(lambda: sql("select count(*) from crucible.events") == [(150,)])
    kill(process)
    (journal,) = home.rglob("*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:91]))  # a header and 90 events
    exp = cr.attach("run", store=url, mode="resume")
    assert exp.metrics().events == 90
    for i in range(90, 200):
        exp.record("again", latency_ms=-float(i))
    exp.stop()
    copied(exp)
    rows = sql("select seq, latency_ms from crucible.events order by seq")
    assert rows == [(i, float(i) if i < 90 else -float(i)) for i in range(200)]


def test_rerun_of_the_cell_resumes(url):
    process, identity = child(url, "time.sleep(60)")
    kill(process)
    exp = cr.start("run", store=url, on_exists="resume")
    assert exp.id == identity
    assert exp.metrics().events == 150
    copied(exp)
    exp.stop()


def test_elsewhere_silence_is_death(url, sql, tmp_path, monkeypatch):
    process, identity = child(url, "time.sleep(60)")
    monkeypatch.setenv("CRUCIBLE_DIR", str(tmp_path / "another machine"))
    assert cr.experiments(url).loc[identity, "status"] == "running"
    assert cr.attach("run", store=url).status == "running"
    kill(process)
    sql("update crucible.experiments set beat = now() - interval '1 minute' returning 1")
    assert cr.experiments(url).loc[identity, "status"] == "dead"
    back = cr.attach(identity, store=url)
    assert back.status == "dead"
    assert len(back.frame()) >= 100
    with pytest.raises(cr.StoreError, match="its journal is not on this machine"):
        cr.attach("run", store=url, mode="resume")
    with pytest.raises(cr.StoreError, match="is a read-only copy in"):
        pickle.dumps(back)


def test_end_of_the_process_waits_a_moment(url, sql):
    process, _ = child(url, "exp.stop()")
    assert process.wait(30) == 0
    process.stdout.close()
    assert sql("select count(*) from crucible.events") == [(150,)]


def test_what_an_earlier_process_left_is_copied(server, url, sql):
    exp = cr.start("first", store=url)
    copied(exp)
    exp.stop()
    server.stop("fast")
    try:
        process, identity = left(url)
    finally:
        server.start()
    assert process.wait() is not None
    process, dead = child(url, "os = __import__('os'); os._exit(1)")
    process.wait()
    process.stdout.close()
    exp = cr.start("second", store=url)
    eventually(lambda: sql("select count(*) from crucible.events where experiment = %s", dead) == [(150,)])
    eventually(lambda: cr.experiments(url).loc[dead, "status"] == "dead")
    eventually(lambda: sql("select count(*) from crucible.events where experiment = %s", identity) == [(50,)])
    eventually(lambda: cr.experiments(url).loc[identity, "status"] == "stopped")
    exp.stop()


def left(url: str) -> tuple[subprocess.Popen, str]:
    script = """
import os, sys
import crucible_nb as cr
exp = cr.start("left", store=sys.argv[1])
for i in range(50):
    exp.record("e", latency_ms=float(i))
exp.stop()
print(exp.id, flush=True)
os._exit(0)
"""
    process = subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True)
    identity = process.stdout.readline().strip()
    process.wait()
    process.stdout.close()
    return process, identity


def work(exp: cr.Experiment, start: int) -> None:
    for i in range(start, start + 100):
        exp.record("worker", latency_ms=float(i))
    exp.flush()


@pytest.mark.check
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_many_writers(url, sql, method):
    exp = cr.start("many", store=url)
    exp.record("parent", latency_ms=0.0)
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=work, args=(exp, 1 + 100 * place)) for place in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert exp.metrics().events == 301
    exp.stop()
    copied(exp)
    eventually(
        lambda: (
            sql("select count(*), count(distinct writer), sum(latency_ms) from crucible.events")
            == [(301, 4, float(sum(range(301))))]
        )
    )
    back = eventually(lambda: (found := cr.attach("many", store=url, mode="read")).status == "stopped" and found)
    assert back.metrics().events == 301
    assert sorted(back.frame().latency_ms) == [float(i) for i in range(301)]
    assert len(back.query_window(last_n=10)) == 10


def test_starting_needs_no_server(home):
    exp = cr.start("offline", store="postgresql://nobody@127.0.0.1:1/none")
    assert exp.record("e")
    facts = eventually(
        lambda: (found := exp.summary()["store"]["archived"]["postgresql://127.0.0.1:1/none"])["failure"] and found
    )
    assert (facts["events"], facts["lag_events"]) == (0, 1)
    assert "1 not in postgresql://127.0.0.1:1/none (cannot reach" in repr(exp)
    assert "archived" in exp._repr_html_()
    assert not exp.wait_archived(0.1)
    exp.stop()
    exp._copies.replicator.give_up()
    with pytest.raises(cr.StoreError, match="cannot reach postgresql://127.0.0.1:1/none"):
        cr.experiments("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(cr.StoreError, match="cannot reach"):
        cr.attach("offline", store="postgresql://nobody@127.0.0.1:1/none", mode="read")


def test_an_empty_database_says_so(url):
    with pytest.raises(cr.StoreError, match="there are no experiments in it"):
        cr.experiments(url)
    exp = cr.start("one", store=url)
    copied(exp)
    exp.stop()
    with pytest.raises(cr.StoreError, match="there is no such experiment in postgresql://"):
        cr.attach("two", store=url, mode="read")


SECRET = "hunter2%ü"
SAID = "hunter2%25%C3%BC"


def leaks(text: str) -> bool:
    return any(one in text for one in (SECRET, SAID, "hunter2"))


def test_a_password_is_never_said(home, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    url = f"postgresql://me:{SAID}@127.0.0.1:1/none"
    exp = cr.start("secret", store=url)
    exp.record("e")
    eventually(lambda: exp._copies.replicator.failure)
    said = [
        repr(exp),
        exp._repr_html_(),
        str(exp.summary()),
        repr(exp._copies.replicator.address),
        str(vars(exp._copies.replicator)),
        exp.handle,
    ]
    exp.stop()
    exp._copies.replicator.give_up()
    for ask in (
        cr.experiments, lambda store: cr.attach("x", store=store, mode="read"),
        lambda store: cr.attach("x", store=store, mode="resume"), lambda store: cr.attach("x", store=store, mode="nonsense"),
        lambda store: cr.start("", store=store), lambda store: cr.start("x", store=store, on_exists="nonsense"),
        lambda store: cr.start("x", store=store + "?nonsense=1"), lambda store: cr.start("x", store=store + "%zz"),
        lambda store: cr.start("x", store="mysql://me:" + SAID + "@h/d"), lambda store: pickle.dumps(Address(store)),
    ):  # fmt: skip
        with pytest.raises((cr.CrucibleError, TypeError)) as caught:
            ask(url)
        shown, error = traceback.TracebackException.from_exception(caught.value, capture_locals=True), caught.value
        while error is not None:
            said.append(f"{error!r} {error}")
            error = error.__cause__ or error.__context__
        ours = [
            frame
            for frame in shown.stack
            if "crucible_nb" in frame.filename.rpartition("tests")[0] + frame.filename and "tests" not in frame.filename
        ]
        assert ours
        said += [f"{frame.line} {frame.locals}" for frame in ours]
    files = [path.read_bytes().decode("utf-8", "replace") + str(path) for path in home.rglob("*") if path.is_file()]
    assert files
    assert not [one for one in (*said, *files, caplog.text) if leaks(one)]


def test_least_privilege(server, url, sql):
    import psycopg

    name = f"w{os.urandom(6).hex()}"
    mine = url.replace("postgres@", f"{name}@")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"create role {name} login")
    exp = cr.start("rights", store=mine)
    exp.record("e", latency_ms=1.0)
    eventually(lambda: "python -m crucible_nb postgres | psql" in (exp._copies.replicator.failure or ""))
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(tables.script())
        owner.execute(tables.rights(name))
    copied(exp)
    exp.stop()
    copied(exp)
    assert cr.attach("rights", store=mine, mode="read").frame().latency_ms.tolist() == [1.0]
    with psycopg.connect(mine, autocommit=True) as writer, pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute("drop table crucible.events")


def test_a_later_version_is_refused(url, sql):
    exp = cr.start("one", store=url)
    copied(exp)
    sql("insert into crucible.version (version) values (99) returning 1")
    exp.stop()
    other = cr.start("two", store=url)
    eventually(lambda: "version 99, this release reads up to" in (other._copies.replicator.failure or ""))
    other.stop()
    other._copies.replicator.give_up()


def test_tables_of_an_earlier_version_go_forward(url, sql, monkeypatch):
    exp = cr.start("one", store=url)
    exp.record("e", latency_ms=1.0)
    exp.stop()
    copied(exp)
    monkeypatch.setattr(tables, "MIGRATIONS", (*tables.MIGRATIONS, "alter table crucible.events add later text;"))
    monkeypatch.setattr(tables, "VERSION", tables.VERSION + 1)
    exp = cr.start("two", store=url)
    exp.record("e", latency_ms=2.0)
    exp.stop()
    copied(exp)
    assert sql("select latency_ms, later from crucible.events order by 1") == [(1.0, None), (2.0, None)]
    assert sql("select max(version) from crucible.version") == [(tables.VERSION,)]


def test_without_psycopg_the_extra_is_named(monkeypatch, tmp_path):
    def absent(package: str):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(optional.importlib, "import_module", absent)
    with pytest.raises(cr.ConfigError, match=r"needs psycopg: pip install 'crucible_nb\[postgres\]'"):
        cr.start("x", store="postgresql://h/d")


def test_a_dashboard_of_the_copy_shows_it_and_goes_on(url):
    exp = cr.start("watched", store=url, anomaly="z_score", clock="events")
    for i in range(300):
        exp.record("e", latency_ms=9000.0 if i == 250 else 100.0 + i % 3, success=True, time=i * 10**9)
    copied(exp)
    state = PageState(cr.attach("watched", store=url, mode="read"))
    state.update()
    state.update_all_bins()
    assert state.bins["all"].weight(0).sum() == state.snapshot.total.events == 300
    assert [one.metrics for _, one in state.incidents] == [("latency_ms",)]
    for i in range(300, 350):
        exp.record("e", latency_ms=100.0, success=True, time=i * 10**9)
    copied(exp)

    def seen() -> bool:
        state.update()
        return state.bins["all"].weight(0).sum() == 350

    eventually(seen)
    exp.stop()


@pytest.mark.parametrize(
    "text",
    [
        "u:Hunt/er2Raw@127.0.0.1:1/db", "u:Hunt@er2Raw@127.0.0.1:1/db", "u:123/er2Raw@127.0.0.1/db",
        "u:Hunter2Raw", "u:Hunter2Raw/db", "u:Hu:er2Raw", "u:p@Hunter2Raw:x@host", "u:x@host/db/Hunter2Raw",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_parsed_safely_is_refused_without_showing_it(text: str) -> None:
    for scheme in ("postgresql://", "postgres://"):
        address = Address(scheme + text)
        with pytest.raises(cr.ConfigError, match="cannot be told from the password") as error:
            address.check()
        with pytest.raises(cr.ConfigError):
            _ = address.root
        assert not any(part in repr(address) + str(error.value) for part in ("er2Raw", "Hunt", "123"))
        with pytest.raises(cr.ConfigError):
            cr.start("x", store=scheme + text)


@pytest.mark.parametrize(
    "text",
    [
        "", "/db", "host", "host/db", "host:5432/db", "u@host/db", "u:p%2F%40%3A@host:1/db", "u:p@[::1]:5432/db",
        "u:p@one:1,two:2/db?target_session_attrs=any", "/db?host=/var/run/postgresql&user=u", "u:a:b@host/db",
    ],
)  # fmt: skip
def test_addresses_of_all_forms_are_accepted(text: str) -> None:
    Address("postgresql://" + text).check()
