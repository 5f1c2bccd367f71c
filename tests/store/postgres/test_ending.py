"""The end of an experiment is part of what is copied, and what cannot be copied is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import crucible_nb as cr
from tests.reliability import endings

pytestmark = pytest.mark.check  # each starts processes, and waits for the copy

HERE = Path(__file__).parents[3]


def run(code: str, url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys, time, crucible_nb as cr\nurl = sys.argv[1]\n" + code, url]
    return subprocess.run(command, capture_output=True, text=True, cwd=HERE, env=dict(os.environ), check=False)


@pytest.mark.parametrize("wait", ["", "e.wait_archived(10); time.sleep(1.2)"])
def test_a_script_that_ends_with_stop_is_stopped(url, sql, wait):
    for n in range(2):
        done = run(f"e = cr.start('q{n}', store=url); e.record('x', n=1); {wait}\ne.stop()", url)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (
        sql("select status, complete, total_events from crucible.experiments order by name")
        == [("stopped", True, 1)] * 2
    )
    assert cr.experiments(url)[["status", "total_events"]].values.tolist() == [["stopped", 1]] * 2


def test_waiting_is_for_pauses_and_plans_as_well(url, sql):
    exp = cr.start("pauses", store=url)
    exp.record("x", latency_ms=1.0)
    for verb in ("pause", "resume", "pause"):
        getattr(exp, verb)()
        assert exp.wait_archived(20)
        status = {"pause": "paused", "resume": "running"}[verb]
        assert sql("select status from crucible.experiments")[0][0] == status
        assert cr.attach("pauses", store=url, mode="read").status == status
    exp.stop()
    assert exp.wait_archived(20)
    assert sql("select status, complete from crucible.experiments") == [("stopped", True)]


def test_what_never_heals_is_said_at_once_and_at_the_end(url, sql):
    import psycopg

    run("cr.start('first', store=url).stop()", url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter table crucible.events drop column latency_ms")
    done = run("e = cr.start('q', store=url); e.record('x', latency_ms=1.0); time.sleep(2); e.stop()", url)
    assert "nothing is copied to postgresql://" in done.stderr
    assert "latency_ms" in done.stderr
    assert "1 events are not in postgresql://" in done.stdout
    assert "latency_ms" in done.stdout


def test_an_unreachable_database_is_said_at_the_end(home):
    done = run(
        "e = cr.start('q', store=url); e.record('x'); time.sleep(0.5); e.stop()", "postgresql://u@127.0.0.1:1/db"
    )
    assert "1 events are not in postgresql://127.0.0.1:1/db yet: " in done.stdout


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
@pytest.mark.parametrize(
    "change", ["prompt_tokens type double precision", "latency_ms type bigint", "cost_usd type numeric"]
)
def test_a_column_of_another_type_is_refused_in_words(url, sql, change):
    import psycopg

    run("cr.start('first', store=url).stop()", url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"alter table crucible.events alter column {change}")
    exp = cr.start("q", store=url)
    exp.record("x", prompt_tokens=7, latency_ms=2.5, cost_usd=0.25)
    assert not exp.wait_archived(3)
    assert f"{change.split()[0]} is {change.split(' type ')[1]}" in repr(exp)
    assert sql("select count(*) from crucible.events")[0][0] == 0
    exp.stop()


def test_every_end_of_a_script_is_in_the_database(url, home):
    found = endings.outcomes(url, home, 6)
    assert [one for one in found if not one.clean] == []
