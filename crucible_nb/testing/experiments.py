"""Laws of experiments, as checks for the samplers, detectors and other arguments of `cr.start`.

Each law is a function `law(start, attach, events)` named after its statement; it raises AssertionError if the statement
is false. `start` and `attach` start and attach experiments, `events` is a stream with a time index.
"""
# ruff: noqa: ARG001  all laws have the same arguments

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.experiment.attach import attach as attach_experiment
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.utils import checks

Start = Callable[..., Experiment]


def check_experiment(start: Start, *, attach: Start = attach_experiment, events: pd.DataFrame | None = None) -> None:
    """Check that an experiment gives the same bits however it is read, cut into tables, or replayed from its store.

    Args:
        start: Callable that passes its keyword arguments `clock` and `store` on to `cr.start`, with the arguments to
            check, such as `functools.partial(cr.start, "law", sampling=MySampler(), anomaly=MyDetector())`.
        attach: `cr.attach`; with user-defined classes the same with them, such as
            `functools.partial(cr.attach, sampling=MySampler(), anomaly=[MyDetector()])`.
        events: Events with a DatetimeIndex and a column `event`; None uses a thousand seeded LLM calls.

    Raises:
        AssertionError: A law is broken; the message names it.
        ConfigError: `start` or `attach` is not callable.

    Examples:
        >>> from functools import partial
        >>> import crucible_nb as cr
        >>> check_experiment(partial(cr.start, "law", sampling=cr.sampling.Uniform(0.5), seed=1, anomaly="z_score"))
    """
    checks.function("start", start)
    checks.function("attach", attach)
    frame = calls() if events is None else events
    for law in EXPERIMENT_LAWS:
        try:
            law(start, attach, frame)
        except AssertionError as broken:
            raise AssertionError(f"{law.__name__.replace('_', ' ')}: {broken}") from broken


def calls(n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return a stream of LLM calls: skewed latencies with a slow spell, costs, gaps, failures, two models.

    Examples:
        >>> calls(3).columns.tolist()
        ['event', 'latency_ms', 'cost_usd', 'success', 'model', 'score']
    """
    rng = np.random.default_rng(seed)
    latency = rng.lognormal(6, 0.5, n)
    latency[n // 2 : n // 2 + 20] *= 10
    columns = {
        "event": "llm.request",
        "latency_ms": np.where(np.arange(n) % 17 == 3, np.nan, latency),
        "cost_usd": rng.lognormal(-6, 1, n),
        "success": rng.random(n) < 0.9,
        "model": rng.choice(["large", "small"], n, p=[0.3, 0.7]),
        "score": rng.random(n),
    }
    return pd.DataFrame(columns, index=pd.date_range("2025-01-01", periods=n, freq="s", tz="UTC"))


def reading_changes_no_bit(start: Start, attach: Start, events: pd.DataFrame) -> None:
    """Reading metrics, frames and summaries in between changes neither rows nor numbers."""
    whole = _recorded(start, events)
    for seed in range(3):
        places = np.random.default_rng(seed).choice(len(events), min(9, len(events)), replace=False)
        _same(_recorded(start, events, reads=set(places.tolist())), whole)


def tables_equal_their_rows(start: Start, attach: Start, events: pd.DataFrame) -> None:
    """`extend` with tables of any length gives the same as `record` for each row."""
    whole = _recorded(start, events)
    for seed in range(3):
        edges = np.sort(np.random.default_rng(seed).integers(0, len(events), 5)).tolist()
        exp = start(clock="events")
        for begin, end in zip([0, *edges], [*edges, len(events)], strict=True):
            exp.extend(events.iloc[begin:end])
        exp.stop()
        _same(exp, whole)


def a_reader_of_the_store_sees_the_same(start: Start, attach: Start, events: pd.DataFrame) -> None:
    """Replayed from its journal, and read from its segments after the stop, an experiment is the same."""
    whole = _recorded(start, events)
    with tempfile.TemporaryDirectory() as place:
        exp = _recorded(start, events, store=place, stop=False)
        _same_rows(attach(exp.id, place, mode="read"), exp)
        exp.stop()
        _same(exp, whole)
        _same(attach(exp.id, place, mode="read"), whole)


def nothing_is_recorded_while_paused(start: Start, attach: Start, events: pd.DataFrame) -> None:
    """Events of a pause leave no trace in rows and numbers."""
    whole, half = _recorded(start, events), len(events) // 2
    exp = start(clock="events")
    exp.extend(events.iloc[:half])
    exp.pause()
    assert not exp.record("while paused", latency_ms=1e9), "an event was recorded while paused"
    assert exp.extend(events) == 0, "a table was recorded while paused"
    exp.resume()
    exp.extend(events.iloc[half:])
    exp.stop()
    _same_rows(exp, whole)


EXPERIMENT_LAWS: tuple[Callable[[Start, Start, pd.DataFrame], None], ...] = (
    reading_changes_no_bit,
    tables_equal_their_rows,
    a_reader_of_the_store_sees_the_same,
    nothing_is_recorded_while_paused,
)
"""All laws, in the order in which they are checked."""


def _recorded(
    start: Start, events: pd.DataFrame, *, reads: Collection[int] = (), store: Any = None, stop: bool = True
) -> Experiment:
    """Record the events one by one, with a read after each number in `reads`."""
    exp = start(clock="events", store=store)
    for i, (time, row) in enumerate(zip(events.index, events.to_dict("records"), strict=True)):
        fields = {str(name): value for name, value in row.items()}
        exp.record(fields.pop("event"), fields, time=time)
        if i in reads:
            (exp.metrics, exp.frame, exp.summary)[i % 3]()
    if stop:
        exp.stop()
    return exp


def _same(got: Experiment, whole: Experiment) -> None:
    _same_rows(got, whole)
    assert _numbers(got) == _numbers(whole), "the metrics differ"


def _same_rows(got: Experiment, whole: Experiment) -> None:
    pd.testing.assert_frame_equal(got.frame(), whole.frame(), check_exact=True)
    pd.testing.assert_frame_equal(got.anomalies(), whole.anomalies(), check_exact=True)


def _numbers(exp: Experiment) -> str:
    """Return the metrics as JSON, which writes floats to the bit."""
    views = (exp.metrics(), exp.metrics(by="event"), exp.metrics(by="model"), exp.metrics(last="5min"))
    return json.dumps([view.to_dict() for view in views], default=str)
