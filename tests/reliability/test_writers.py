"""Many processes write one experiment: pools of all kinds, real ones; the parent sees everything, once."""

from __future__ import annotations

import concurrent.futures as futures
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crucible_nb as cr
from tests.conftest import need
from tests.reliability import work

WORKERS, EVENTS = 3, 400
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # of forks beside threads, which is what is tested


@pytest.fixture
def exp(tmp_path: Path) -> Any:
    exp = cr.start("pool", store=tmp_path, by=("worker",), sampling="uniform", sampling_config={"rate": 0.5}, seed=3)
    exp.record("parent", latency_ms=1e6, worker=-1)
    return exp


def check(exp: cr.Experiment, pids: list[int], ended: bool = True, workers: int = WORKERS) -> None:
    events = workers * EVENTS
    metrics = exp.metrics()
    assert metrics.events == events + 1
    assert metrics.latency.max == 1e6
    assert metrics.reliability.failed == workers * EVENTS // 10
    assert exp.metrics(by="event")["work"].events == events
    by = exp.metrics(by="worker")
    assert all(by[worker].events == EVENTS for worker in range(workers))
    assert sum(exp.metrics(by="model")[name].events for name in ("m0", "m1")) == events
    assert exp.metrics(last="1h").events == events + 1
    assert exp.summary()["total_events"] == events + 1
    frame = exp.frame()
    assert frame.index.is_monotonic_increasing
    assert not frame.duplicated(["writer", "seq"]).any()
    assert set(frame["weight"]) == {2.0}
    assert frame["weight"].sum() == pytest.approx(events, rel=0.15)
    assert len(set(pids)) >= 1
    drawn = [tuple(rows["latency_ms"]) for _, rows in frame[frame["event"] == "work"].groupby("writer")]
    assert len(set(drawn)) == len(drawn)  # workers share no coins
    exp.stop()
    assert exp.metrics().events == events + 1
    again = cr.attach("pool", store=exp._log.attachment.folder.path.parent)
    assert again.status == "stopped"
    assert again.metrics().events == events + 1
    assert len(again.frame()) == len(frame)
    if ended:  # the owner sealed what they left
        assert not list(exp._log.attachment.folder.path.glob("*.jsonl"))


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.check)])
def test_multiprocessing_with_an_argument(exp: cr.Experiment, method: str) -> None:
    with multiprocessing.get_context(method).Pool(WORKERS) as pool:
        pids = pool.map(work.with_handle, [(exp, worker, EVENTS) for worker in range(WORKERS)], chunksize=1)
        pool.close()
        pool.join()
    check(exp, pids)


def test_forked_workers_inherit_it(exp: cr.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "GLOBAL", exp)
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        pool.map(work.with_global, [(worker, EVENTS) for worker in range(WORKERS)], chunksize=1)
        assert exp.record("parent", latency_ms=2.0)
        pool.close()
        pool.join()
    assert exp.metrics(by="event")["parent"].events == 2
    assert exp.metrics().events == WORKERS * EVENTS + 2
    exp.stop()


@pytest.mark.check
def test_the_environment_names_it(exp: cr.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRUCIBLE_RUN", exp.handle)
    with futures.ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        pids = list(pool.map(work.with_environment, [(worker, EVENTS) for worker in range(WORKERS)]))
    check(exp, pids)


@pytest.mark.check
def test_concurrent_futures(exp: cr.Experiment) -> None:
    with futures.ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        pids = list(pool.map(work.with_handle, [(exp, worker, EVENTS) for worker in range(WORKERS)]))
    check(exp, pids)


def test_joblib(exp: cr.Experiment) -> None:
    joblib = need("joblib")
    pids = joblib.Parallel(n_jobs=2)(
        joblib.delayed(work.with_handle)((exp, worker, EVENTS)) for worker in range(WORKERS)
    )
    check(exp, pids, ended=False)  # its workers wait for more


@pytest.mark.check
def test_dask_workers(exp: cr.Experiment) -> None:
    distributed = need("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.gather(
            client.map(work.with_handle, [(exp, worker, EVENTS) for worker in range(WORKERS)], pure=False)
        )
    check(exp, pids)


def test_a_pickle_in_the_same_process_is_itself(exp: cr.Experiment) -> None:
    assert pickle.loads(pickle.dumps(exp)) is exp


def test_one_in_memory_says_that_it_cannot_go() -> None:
    with pytest.raises(cr.StoreError, match=r"'alone' is in memory only; for other processes to join"):
        pickle.dumps(cr.start("alone"))


def test_threads_of_one_process_share_its_journal(tmp_path: Path) -> None:
    exp = cr.start("threads", store=tmp_path)
    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work.with_handle, [(exp, worker, 500) for worker in range(8)]))
    frame = exp.frame()
    exp.stop()
    again = cr.attach("threads", store=tmp_path)
    assert len(frame) == 4000
    assert again.frame().equals(frame)
    for _, rows in again.frame().groupby("worker"):
        assert (np.diff(rows.sort_values("seq")["latency_ms"]) > 0).all()
