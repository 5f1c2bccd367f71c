"""`cr.open_dataset`: files, frames, partitions of dask or experiments as one dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from crucible_nb.datasets.batches import Shape
from crucible_nb.datasets.cluster import Cluster
from crucible_nb.datasets.dataset import Dataset
from crucible_nb.datasets.executors import Executor, Threads
from crucible_nb.datasets.open import Opened, open_source, schema_of
from crucible_nb.datasets.processes import Processes
from crucible_nb.datasets.schema import Schema
from crucible_nb.datasets.units import ComputedUnit
from crucible_nb.experiment.accessor import flat
from crucible_nb.experiment.attach import attach
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.files.disk import as_path
from crucible_nb.store.layout import folders, is_experiment
from crucible_nb.utils import checks


def open_dataset(
    source: Any,
    *,
    client: Any = None,
    executor: str | int = "threads",
    time: str | None = None,
    map: Mapping[str, str] | None = None,
    errors: str = "raise",
    memory: int | None = None,
) -> Dataset:
    """Open rows that need not fit into memory; only the footers of files are read now.

    Args:
        source: Parquet files: a path, a glob ("runs/*.parquet"), a folder (with columns from names such as
            `model=a/`), a URL of fsspec ("s3://bucket/runs/"), or a list of paths. A store of experiments, or an
            Experiment or a list of them: each is one unit, read whole. A DataFrame, a Table or Dataset of
            pyarrow, a DataFrame of dask.
        client: A `dask.distributed.Client`, whose cluster computes instead.
        executor: "threads" for one thread per core; "processes" for one process per core, or the number of processes.
            Processes pay where reading is slow: they take seconds to start.
        time: Column of times; None for `time`, or the time index that pandas has written.
        map: Name of a column in the files for names of this package: `{"latency_ms": "elapsed"}`.
        errors: "raise", or "skip" to leave out units that cannot be read, and copies of files; they are counted in
            `Dataset.skipped`.
        memory: Bytes that states of groups, or rows in memory, may take; None for a quarter of memory.

    Returns:
        Dataset.

    Raises:
        StoreError: No file, a file that is no Parquet file, or a copy of another one.
        ConfigError, SchemaError: An argument is not accepted, or `map` or `time` names a missing column.

    Examples:
        >>> import pathlib, tempfile
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> folder = tempfile.TemporaryDirectory()
        >>> for part in range(3):
        ...     frame = pd.DataFrame({"elapsed": [10.0 * part, 20.0], "model": ["a", "b"]})
        ...     frame.to_parquet(pathlib.Path(folder.name, f"part-{part}.parquet"))
        >>> ds = cr.open_dataset(folder.name, map={"latency_ms": "elapsed"})
        >>> ds
        Dataset(3 units, 6 rows, columns: latency_ms, model)
        >>> ds.metrics(by="model")["a"].latency.mean
        10.0
        >>> folder.cleanup()
    """
    checks.one_of("errors", errors, ("raise", "skip"))
    opened = _opened(source, time, errors)
    return Dataset(
        opened.units,
        opened.schema,
        executor=executor_of(executor, client),
        errors=errors,
        memory=checks.whole("memory", memory, ge=1, optional=True),
        shape=_shape(map, time, opened),
        bad=opened.bad,
    )


def executor_of(executor: Any, client: Any) -> Executor:
    """Return the executor that the arguments name."""
    if client is not None:
        return Cluster(client)
    named: dict[str, type[Threads | Processes]] = {"threads": Threads, "processes": Processes}
    if isinstance(executor, str) and executor in named:
        return named[executor]()
    if isinstance(executor, bool) or not isinstance(executor, int) or executor < 1:
        raise checks.wrong("executor", executor, "'threads', 'processes', or a number of processes from 1")
    return Processes(executor)


def _shape(map: Any, time: str | None, opened: Opened) -> Shape:
    wanted = checks.mapping("map", map)
    opened.schema.require(wanted.values(), "map")
    if time is not None:
        opened.schema.require([time], "time")
        wanted["time"] = time
    elif opened.time is not None:
        wanted.setdefault("time", opened.time)
    return Shape({old: new for new, old in wanted.items() if old != new})


# -- experiments -------------------------------------------------------------------------------------------------------


def _opened(source: Any, time: str | None, errors: str) -> Opened:
    if isinstance(source, Experiment):
        return _of_experiments([partial(_itself, source)])
    if isinstance(source, (list, tuple)) and source and all(isinstance(one, Experiment) for one in source):
        return _of_experiments([partial(_itself, one) for one in source])
    if isinstance(source, pd.DataFrame):
        return open_source(flat(source), time, errors)
    found = _stored(source)
    return open_source(source, time, errors) if not found else _of_experiments(found)


def _stored(source: Any) -> list[Callable[[], Experiment]]:
    """Return functions that open the experiments of a store for reading; none if the source is no store."""
    if not isinstance(source, (str, os.PathLike)):
        return []
    path = as_path(source)
    if not path.is_dir():
        return []
    paths = [path] if is_experiment(path) else [folder.path for folder in folders(path)]
    return [partial(attach, one.name, store=one.parent, mode="read") for one in sorted(paths)]


def _of_experiments(experiments: Sequence[Callable[[], Experiment]]) -> Opened:
    """Read the columns of experiments, one after the other."""
    schema, units = Schema(), []
    for opened in experiments:
        experiment = opened()
        name = f"experiment {experiment.name} ({experiment.id})"
        schema.see(name, schema_of(experiment.frame()))
        units.append(ComputedUnit(name, partial(_rows, opened)))
    return Opened(units, schema)


def _rows(opened: Callable[[], Experiment], columns: Sequence[str] | None) -> pd.DataFrame:
    rows: pd.DataFrame = opened().frame()
    return rows if columns is None else rows[[name for name in rows.columns if name in columns]]


def _itself(experiment: Experiment) -> Experiment:
    return experiment
