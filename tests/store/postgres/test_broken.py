"""A database is trusted no more than files: broken rows cost themselves, and unknown versions are refused in words."""

from __future__ import annotations

import zlib

import pandas as pd
import psycopg
import pytest

import crucible_nb as cr
from crucible_nb.store.postgres import tables
from tests.store.postgres.conftest import eventually

pytestmark = pytest.mark.check  # test_replicator.py is in `make test`


@pytest.fixture
def change(url):
    def execute(query: str, *values):
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute(query, values).rowcount != 0

    return execute


def record(name: str, url: str) -> cr.Experiment:
    exp = cr.start(name, store=url)
    for i in range(3):
        exp.record("x", latency_ms=float(i), n=i)
    exp.stop()
    assert exp.wait_archived(30), exp.summary()["store"]
    return exp


BAD_SUMMARIES = (
    "null", "[]", "1", '"text"', '{"status": 5}', '{"started_at": "never"}', '{"started_at": 5}', '{"stopped_at": {}}',
    '{"started_at": "2025-01-01"}', '{"started_at": "9999999-01-01"}', '{"total_events": "many"}', '{"kept_events": []}',
    '{"active_duration": {}}', '{"tags": 5}', '{"errors": true}',
)  # fmt: skip


def test_a_broken_summary_hides_no_other(url, change):
    good, odd = record("good", url), record("odd", url)
    for summary in BAD_SUMMARIES:
        change("update crucible.experiments set summary = %s where id = %s", summary, odd.id)
        table = cr.experiments(url)
        assert table["status"].to_dict() == {good.id: "stopped", odd.id: "unreadable"}, summary
        assert table.loc[good.id, "total_events"] == 3
        assert "good" in repr(table)
        assert "unreadable" in table._repr_html_()
        assert len(cr.attach("odd", store=url, mode="read").df) == 3


@pytest.mark.parametrize(
    "broken",
    [
        ("experiments", "facts = %s", "{}"), ("experiments", "facts = %s", "[]"), ("experiments", "facts = %s", "1"),
        ("experiments", "prices = %s", b"x"), ("experiments", "prices = %s", b""),
        *(("writers", "state = %s", data) for data in (b"", b"x", zlib.compress(b"{}"), zlib.compress(b"[1]"))),
        ("writers", "copied = %s", "infinity"),
    ],
)  # fmt: skip
def test_a_broken_experiment_is_refused_in_words_and_hides_no_other(url, change, broken):
    table, what, value = broken
    record("good", url)
    odd = record("odd", url)
    key = "id" if table == "experiments" else "experiment"
    change(f"update crucible.{table} set {what} where {key} = %s", value, odd.id)
    assert set(cr.experiments(url).name) == {"good", "odd"}
    assert len(cr.attach("good", store=url, mode="read").df) == 3
    with pytest.raises(cr.StoreError, match="cannot read"):
        cr.attach("odd", store=url, mode="read")


@pytest.mark.parametrize("extra", ["5", "[]", "null", '"text"', '{"n": "text"}', '{"n": {}}', '{"n": 1e300}'])
def test_a_broken_row_of_an_event_costs_its_own_cells(url, change, extra):
    record("run", url)
    change("update crucible.events set extra = %s where seq = 1", extra)
    frame = cr.attach("run", store=url, mode="read").df
    assert frame.latency_ms.tolist() == [0.0, 1.0, 2.0]
    assert frame.n.fillna(-1).tolist() == [0, -1, 2]


def test_a_worker_whose_state_is_broken_hides_no_other(url, change):
    exp = cr.start("run", store=url)
    exp.record("x", latency_ms=1.0)
    worker = cr.attach(exp.handle, mode="join")
    worker.record("x", latency_ms=2.0)
    worker.stop()
    exp.stop()
    assert exp.wait_archived(30)
    change("update crucible.writers set state = 'x' where writer = 1")
    with pytest.warns(cr.errors.CrucibleWarning, match="its events are missing here"):
        back = cr.attach("run", store=url, mode="read")
    assert back.df.latency_ms.tolist() == [1.0]
    assert back.summary()["lost"] == 1


def test_a_broken_time_of_an_event_costs_that_event(url, change):
    record("run", url)
    change("update crucible.events set time = 'infinity' where seq = 1")
    assert cr.attach("run", store=url, mode="read").df.n.tolist() == [0, 2]


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("delete from crucible.version", "crucible.version does not say which version the tables have"),
        ("update crucible.version set version = 0", "crucible.version does not say which version the tables have"),
        ("update crucible.version set version = 9", "the tables have version 9, this release reads up to"),
    ],
)
def test_an_unknown_version_is_refused_by_readers_and_writers(url, sql, change, query, words):
    record("run", url)
    change(query)
    with pytest.raises(cr.StoreError, match=words):
        cr.experiments(url)
    with pytest.raises(cr.StoreError, match=words):
        cr.attach("run", store=url, mode="read")
    exp = cr.start("next", store=url)
    eventually(lambda: words in (exp._copies.replicator.failure or ""))
    assert sql("select count(*) from crucible.experiments") == [(1,)]
    exp.stop()
    exp._copies.replicator.give_up()


def start_in_vain(url: str) -> None:
    exp = cr.start("next", store=url)
    eventually(lambda: exp._copies.replicator.tries > 2)
    exp.stop()
    exp._copies.replicator.give_up()


def test_a_missing_column_is_named_by_readers_and_writers(url, sql, change):
    record("run", url)
    change("alter table crucible.events drop column latency_ms")
    with pytest.raises(cr.StoreError, match="latency_ms"):
        _ = cr.attach("run", store=url, mode="read").df
    with pytest.warns(cr.errors.CrucibleWarning, match="nothing is copied to .* latency_ms is missing") as caught:
        start_in_vain(url)
    assert len(caught) == 1


def test_the_script_for_the_owner_makes_tables_and_migrates_them(url, sql, change):
    change(tables.script())
    change("alter table crucible.writers drop column session")
    change("delete from crucible.version where version > 1")
    change(tables.script())
    change(tables.script())
    assert sql("select version from crucible.version order by 1") == [(1,), (2,)]
    assert len(record("run", url).df) == 3
    change("delete from crucible.version")
    with pytest.raises(psycopg.errors.RaiseException, match="does not say which version"):
        change(tables.script())


def test_a_database_of_the_first_version_is_read(url, change):
    exp = record("run", url)
    change("alter table crucible.writers drop column session")
    change("delete from crucible.version where version > 1")
    pd.testing.assert_frame_equal(cr.attach("run", store=url, mode="read").df, exp.df)
