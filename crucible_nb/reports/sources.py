"""Experiments for a report of the command line: from a store, by their folder, or from a file of events."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.experiment.attach import attach
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.session import start
from crucible_nb.files import load, read_facts
from crucible_nb.files.disk import as_path
from crucible_nb.store.layout import is_experiment

_DERIVED = ("seq", "anomaly", "anomaly_score", "anomaly_metric")  # written by the stages of an experiment


def open_experiment(place: str, store: str | None = None) -> Experiment:
    """Open an experiment read-only, or load a file of events as one.

    Args:
        place: With `store` a name or id; else the folder of an experiment, or a file that `cr.load` reads.
        store: Folder or database of the experiment.

    Raises:
        ConfigError: The place is a store, and no experiment is named.
        StoreError: There is no such experiment or file, or it cannot be read.

    Examples:
        >>> import pathlib, tempfile
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("tick", latency_ms=5.0)
        >>> path = exp.export(pathlib.Path(tempfile.mkdtemp()) / "run.parquet")
        >>> found = open_experiment(str(path))
        >>> found.name, found.metrics().latency.mean
        ('demo', 5.0)
    """
    if store is not None:
        return attach(place, store, "read")
    path = as_path(place)
    if is_experiment(path):
        return attach(str(path), mode="read")
    if path.is_dir():
        raise ConfigError(f"{place!r} is a folder without an experiment; name one of a store: NAME --store FOLDER")
    rows = load(path)
    facts: dict[str, Any] = {}
    with suppress(StoreError):
        facts = read_facts(path)
    found = start(
        str(facts.get("name") or path.name),
        condition=facts.get("condition"),
        hypothesis=facts.get("hypothesis"),
        tags=facts.get("tags") or (),
        metadata={**(facts.get("metadata") or {}), "read from": path.name},
        clock="events",
        store=None,
    )
    with found:
        found.extend(rows.drop(columns=[name for name in _DERIVED if name in rows.columns]))
    return found
