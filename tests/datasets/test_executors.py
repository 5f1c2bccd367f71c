"""Threads, processes and a cluster of dask: the same bits, also when workers die; nothing is left running."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.datasets.dataset import Dataset, placed
from crucible_nb.datasets.executors import Threads
from crucible_nb.datasets.processes import Processes
from crucible_nb.datasets.units import ANYWHERE, FrameUnit, Place, Span
from tests.conftest import need
from tests.datasets.conftest import rows, said, write

FRAME = rows(3_000, seed=9)


@dataclass
class Deadly:
    """A unit that kills its process until a file says that it did so often enough."""

    name: str
    frame: pd.DataFrame
    log: str
    deaths: int
    rows: int | None = None
    span: Span | None = None
    place: Place = ANYWHERE

    def batches(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        with Path(self.log).open("a+") as log:
            log.seek(0)
            died = len(log.read())
            if died < self.deaths:
                log.write("x")
                log.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        yield self.frame


def dataset(executor: Any, log: Path, deaths: int, errors: str = "raise") -> Dataset:
    """Four units, of which the second one is deadly."""
    parts = [FRAME.iloc[start : start + 750] for start in range(0, 3_000, 750)]
    units: list[Any] = [FrameUnit(f"rows {i}", part) for i, part in enumerate(parts)]
    units[1] = Deadly("rows 1", parts[1], str(log), deaths)
    return Dataset(units, cr.open_dataset(FRAME)._schema, executor=executor, errors=errors)


@pytest.mark.check
def test_processes_have_the_same_bits(tmp_path: Path) -> None:
    ds = cr.open_dataset(write(tmp_path, FRAME, [1_000, 2_000]), executor=1)
    assert said(ds.metrics(by="model")) == said(FRAME.crucible.metrics(by="model"))
    assert said(ds.metrics(where=partial(dear, 0.5))) == said(FRAME.crucible.metrics(where="cost_usd > 0.5"))
    pd.testing.assert_frame_equal(
        ds.windowed_metrics("10min", by="model"), cr.open_dataset(FRAME).windowed_metrics("10min", by="model")
    )
    workers = list(ds._executor._pool._all)
    assert len(workers) == 1  # for all questions
    del ds
    assert all(worker.poll() is not None for worker in workers)


def dear(usd: float, frame: pd.DataFrame) -> Any:
    return frame.cost_usd > usd


@pytest.mark.check
def test_a_unit_that_kills_workers_is_named_and_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crucible_nb.datasets.processes._TRIES", 2)
    ds = dataset(Processes(1), tmp_path / "log", deaths=99, errors="skip")
    with pytest.warns(cr.CrucibleWarning, match="rows are left out: rows 1: its worker process died 2 times"):
        metrics = ds.metrics()
    assert metrics.estimated
    assert metrics.events == 2_250
    assert (tmp_path / "log").read_text() == "xx"


def test_what_cannot_be_sent_to_a_process_is_refused() -> None:
    lock = threading.Lock()
    with pytest.raises(cr.ConfigError, match="^executor: this cannot be sent to another process: "):
        cr.open_dataset(FRAME, executor=1).metrics(where=lambda frame: bool(lock))


class Interrupting:
    """A unit in whose reading Ctrl-C is pressed."""

    name, rows, span, place = "interrupting", None, None, ANYWHERE

    def batches(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        signal.raise_signal(signal.SIGINT)
        yield FRAME


class Endless:
    """A unit without an end."""

    name, rows, span, place = "endless", None, None, ANYWHERE

    def batches(self, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        while True:
            yield FRAME


@pytest.mark.parametrize("end", ["interrupt", "error"])
def test_an_end_before_the_end_leaves_nothing_behind(end: str) -> None:
    last = Interrupting() if end == "interrupt" else FrameUnit("bad", pd.DataFrame({"success": [2]}))
    ds = Dataset([Endless(), last], cr.open_dataset(FRAME)._schema, executor=Threads(2))
    with pytest.raises(KeyboardInterrupt if end == "interrupt" else cr.SchemaError):
        ds.metrics()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("crucible-dataset")]


def test_units_have_places_of_their_own() -> None:
    spans: list[Span | None] = [(0, 10), (5, 20), (30, 40), (35, 36)]
    units = placed([FrameUnit(str(i), FRAME, span) for i, span in enumerate(spans)])
    assert [unit.place.alone[0] for unit in units if unit.place.alone][1:] == [10, 20, 40]
    assert [unit.place.alone[1] for unit in units if unit.place.alone][:3] == [5, 30, 35]
    assert len({unit.place.number for unit in units}) == 4
    units[0].span = None
    assert placed(units)[1].place.alone is None


@pytest.mark.check
@pytest.mark.filterwarnings("ignore")  # those of dask are its own
def test_a_cluster_of_dask_with_a_worker_killed(tmp_path: Path) -> None:
    distributed = need("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        ds = dataset(cr.open_dataset(FRAME, client=client)._executor, tmp_path / "log", deaths=1)
        assert said(ds.metrics()) == said(FRAME.crucible.metrics())
        assert (tmp_path / "log").read_text() == "x"
    with pytest.raises(cr.ConfigError, match="^client='here': expected a dask.distributed.Client"):
        cr.open_dataset(FRAME, client="here")
