"""Recorded events are copied to the database, and read back without loss."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.store import writer
from tests.conftest import settle
from tests.store.postgres.conftest import eventually


def record_all_kinds(exp: cr.Experiment, n: int = 50) -> None:
    for i in range(n):
        exp.record(
            "llm.request", latency_ms=float(i) + 1 / 3, cost_usd=np.nan if i % 7 == 0 else i * 1e-5, success=[True, False, None][i % 3],
            model=["gpt-4o", "müller\n\"x\",'y'\\", None][i % 3], prompt_tokens=i if i % 2 else None, error="" if i % 5 == 0 else None,
            session_id=f"s{i % 4}", step=i, loss=[0.5, float("inf"), float("-inf"), float("nan")][i % 4], note=f"n{i}" if i % 6 else None,
            other=i * 3 if i % 4 else None, flag=bool(i % 2), metadata={"b": 1, "a": [i, None, "ü"]} if i % 9 == 0 else None,
            time=1_700_000_000_123_456_789 + i * 1_000_000_007 * (1 if i != 20 else -1),
        )  # fmt: skip


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    left, right = left.copy(), right.copy()
    for frame in (left, right):
        if "metadata" in frame:
            frame["metadata"] = [
                None if text is None or text != text else json.dumps(json.loads(text), sort_keys=True)
                for text in frame["metadata"]
            ]
    pd.testing.assert_frame_equal(left, right)


def test_round_trip_is_exact(url):
    exp = cr.start("trip", store=url, condition="treatment", tags=["a"], metadata={"sha": "x"}, anomaly="z_score")
    record_all_kinds(exp)
    exp.extend(pd.DataFrame({"latency_ms": [1.0, 2.0], "score": [0.5, None]}), event="more")
    assert exp.wait_archived(20)
    exp.stop()
    assert exp.wait_archived(20)
    back = cr.attach("trip", store=url, mode="read")
    assert back.id == exp.id
    eventually(lambda: back.status == "stopped")  # events first, then how it stands
    assert (back.status, back.condition, back.tags) == ("stopped", "treatment", ("a",))
    same(back.frame(), exp.frame())
    assert str(back.metrics()) == str(exp.metrics())
    assert back.summary() | {"store": 0} == exp.summary() | {"store": 0}
    with pytest.raises(cr.LifecycleError):
        back.stop()
    facts = exp.summary()["store"]["archived"]
    assert next(iter(facts.values()))["events"] == 52
    assert cr.attach(exp.id, store=url, mode="read").summary()["total_events"] == 52


def copied(exp: cr.Experiment) -> None:
    assert exp.wait_archived(30), exp.summary()["store"]


def fresh(name: str, url: str) -> cr.Experiment:
    return cr.attach(name, store=url, mode="read")


@pytest.mark.parametrize("sampling", ["reservoir", "uniform", "stratified", "adaptive", "importance"])
def test_sampled_streams_come_back_with_their_weights(url, sampling, sql):
    config = {
        "reservoir": {"size": 20},
        "uniform": {"rate": 0.2},
        "stratified": {"by": "model", "size": 20},
        "adaptive": {},
        "importance": {"size": 20},
    }
    exp = cr.start("sampled", store=url, sampling=sampling, sampling_config=config[sampling], seed=1, clock="events")
    rng = np.random.default_rng(0)
    for part in range(4):
        n = 500
        exp.extend(
            pd.DataFrame({
                "latency_ms": rng.lognormal(5, 1, n), "model": rng.choice(["a", "b"], n), "cost_usd": rng.random(n),
                "time": pd.date_range("2025-01-01", periods=n, freq="1s", tz="UTC") + pd.Timedelta(hours=part),
            }),
            event="call",
        )  # fmt: skip
        copied(exp)
        back = eventually(
            lambda part=part: (found := fresh("sampled", url)).summary()["total_events"] == 500 * (part + 1) and found
        )
        same(back.frame(), exp.frame())
        same(back.query_window(last="10min"), exp.query_window(last="10min"))
        assert str(back.metrics()) == str(exp.metrics())
        assert back.summary()["effective_sample_size"] == pytest.approx(exp.summary()["effective_sample_size"])
        assert back.summary()["strata"] == exp.summary()["strata"]
    exp.set_sampling("uniform", {"rate": 0.5})
    exp.extend(pd.DataFrame({"latency_ms": rng.random(300)}), event="call")
    exp.stop()
    copied(exp)
    back = eventually(lambda: (found := fresh("sampled", url)).status == "stopped" and found)
    same(back.frame(), exp.frame())
    assert sql("select count(*) from crucible.events")[0][0] == len(exp.frame())


def test_windows_are_found_by_the_database(url, clock):
    exp = cr.start("windows", store=url, clock=clock)
    for i in range(200):
        clock.tick(1)
        exp.record("a" if i % 3 else "b", latency_ms=float(i), cost_usd=0.1)
    exp.stop()
    copied(exp)
    back = fresh("windows", url)
    asked = []
    rows = back._log.attachment._rows
    back._log.attachment._rows = lambda writer, wanted: asked.append(wanted) or rows(writer, wanted)
    start, end = exp.frame().index[50], exp.frame().index[60]
    for form in (
        {"last": "20s"}, {"last_n": 7}, {"start": start, "end": end}, {"start": start}, {"end": end}, {"last_n": 0},
        {"last": "1min", "where": "latency_ms > 190"}, {"start": end, "end": start}, {"last_n": 1000},
    ):  # fmt: skip
        same(back.query_window(**form), exp.query_window(**form))
    assert all(one.newest is not None or one.start is not None or one.stop is not None for one in asked)
    for last in ("5s", "1min"):
        left, right = back.metrics(last=last), exp.metrics(last=last)
        assert (left.latency.mean, left.events, left.cost.total) == pytest.approx(
            (right.latency.mean, right.events, right.cost.total)
        )
    assert back._stream.pipeline.buffer.is_remote, "nobody asked for all rows"
    windows = [(a, b, len(rows)) for a, b, rows in back.query_window(sliding="1min")]
    assert windows == [(a, b, len(rows)) for a, b, rows in exp.query_window(sliding="1min")]
    assert str(back.metrics(by="event")) == str(exp.metrics(by="event"))
    with pytest.raises(cr.ConfigError, match="exactly one"):
        back.query_window(last="1s", last_n=3)


def test_another_notebook_follows(url):
    exp = cr.start("live", store=url)
    exp.record("a", latency_ms=1.0)
    copied(exp)
    back = eventually(lambda: (found := fresh("live", url)).summary()["total_events"] and found)
    assert back.status == "running"
    exp.record("a", latency_ms=3.0)
    eventually(lambda: back.metrics().latency.mean == 2.0)
    eventually(lambda: back.frame().latency_ms.tolist() == [1.0, 3.0])
    exp.pause()
    eventually(lambda: back.status == "paused")
    exp.stop()
    eventually(lambda: back.status == "stopped")


def test_reprice_is_copied_anew(url, sql):
    exp = cr.start("prices", store=url)
    for _ in range(10):
        exp.record("call", model="my-own", prompt_tokens=10**6, completion_tokens=0)
    copied(exp)
    exp.reprice({"my-own": {"input": 1.5, "output": 2.0}})
    eventually(lambda: sql("select sum(cost_usd), count(*) from crucible.events") == [(15.0, 10)])
    exp.record("call", model="my-own", prompt_tokens=10**6, completion_tokens=0)
    exp.stop()
    copied(exp)
    assert sql("select sum(cost_usd), count(*) from crucible.events") == [(16.5, 11)]
    assert (
        eventually(lambda: (found := fresh("prices", url)).status == "stopped" and found).metrics().cost.total == 16.5
    )


def test_what_left_memory_is_copied_from_segments(server, url, sql, monkeypatch):
    """The database cannot be reached while rows are recorded, sealed and evicted."""

    monkeypatch.setattr(writer, "SEAL_EVENTS", 500)
    server.stop("fast")
    try:
        exp = cr.start("evicted", store=url, max_events=200)
        for start in range(0, 4000, 500):
            exp.extend(pd.DataFrame({"latency_ms": np.arange(start, start + 500.0), "note": "x"}), event="e")
            settle(exp)
        assert exp.summary()["evicted_events"] > 2000
        assert exp.summary()["store"]["archived"][repr(exp._copies.replicator.address)]["lag_events"] == 4000
        eventually(lambda: exp._copies.replicator.failure)
        assert "not in postgresql://" in repr(exp)
    finally:
        server.start()
    exp.stop()
    copied(exp)
    assert sql("select count(*), count(distinct seq), sum(latency_ms) from crucible.events") == [
        (4000, 4000, float(sum(range(4000))))
    ]
    assert (
        eventually(lambda: (found := fresh("evicted", url)).status == "stopped" and found).summary()["kept_events"]
        == 4000
    )


def test_hostile_text(url, sql):
    names = ["x'; drop table crucible.events; --", "a\0b", '"', "<img onerror=1>", "%s %(x)s", "\\N\t\\."]
    for name in names:
        exp = cr.start(name, store=url, tags=[name], metadata={name: name})
        exp.record(name, {name or "x": name, "session_id": name, "metadata": {name: [name]}})
        exp.stop()
        copied(exp)
        back = eventually(lambda exp=exp: (found := fresh(exp.id, url)).status == "stopped" and found)
        clean = name.replace("\0", "\ufffd")
        assert back.name == clean
        assert back.frame().event.tolist() == back.frame().session_id.tolist() == [clean]
        assert json.loads(back.frame().metadata.iloc[0]) == {clean: [clean]}
        assert len(fresh(name, url).frame()) == 1
    assert len(cr.experiments(url)) == len(names)


def test_json_that_the_database_cannot_read_is_kept_as_text(url, sql):
    exp = cr.start("deep", store=url)
    deep = "[" * 20_000 + "]" * 20_000
    exp.extend(pd.DataFrame({"latency_ms": [1.0], "metadata": ['{"a":' + deep + "}"]}), event="e")
    exp.record("f", latency_ms=2.0)
    copied(exp)
    assert sql("select count(*), sum(latency_ms) from crucible.events") == [(2, 3.0)]
    exp.stop()


def test_policies_of_the_users_own(url):
    from crucible_nb.sampling import Choice, Sampler

    class EveryOther(Sampler):
        def choose(self, events):
            keep = events.seq % 2 == 0
            return Choice(keep, np.where(keep, 2.0, 1.0))

    exp = cr.start("own", store=url, sampling=EveryOther(), max_events=None)
    for i in range(10):
        exp.record("e", latency_ms=float(i))
    exp.stop()
    copied(exp)
    back = eventually(lambda: (found := fresh("own", url)).status == "stopped" and found)
    assert back.frame().latency_ms.tolist() == exp.frame().latency_ms.tolist()
    assert back.metrics().latency.mean == exp.metrics().latency.mean
