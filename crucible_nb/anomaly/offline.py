"""Detectors on frames and series: a score per row, or incidents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.anomaly.base import Detector, Verdict
from crucible_nb.anomaly.incidents import Incidents, incident_frame
from crucible_nb.anomaly.registry import detector_of, methods_of
from crucible_nb.anomaly.tellings import cap_repeated_alarms
from crucible_nb.errors import SchemaError
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.events.pauses import pauses_of, without_pauses
from crucible_nb.events.times import all_times, time_source
from crucible_nb.utils import checks

_BLOCK = 16_384
_NAT = np.iinfo(np.int64).min


def score(
    data: Any,
    method: str | Detector = "auto",
    metric: str | None = None,
    cooldown: int | None = None,
    *,
    offline: bool = False,
    sensitivity: str = "normal",
) -> pd.Series:
    """How much each row is out of line with the rows before it.

    Args:
        data: Series, array or DataFrame. Rows are judged in order of time where there is a time index or a `time`
            column (unsorted, repeated and naive times are fine), else in their order.
        method: "auto", "z_score", "modified_z_score", "iqr", "ewma", "cusum", "isolation_forest", or a detector.
        metric: Column of a DataFrame; None: the detector's metrics that are there, or the only column of numbers.
        cooldown: Rows without an alarm that end an incident; only its first row keeps a score of 1.0 or more, and rows
            clearly worse than that: 1.5 times the score, or of a higher severity. None: the detector's own; 0 gives raw
            scores.
        offline: Judge each row also against the rows after it, and believe the milder verdict.
        sensitivity: "low", "normal" or "high"; of "auto" by name.

    To "auto", NaN and infinite values are values that were given: the first after many finite ones are alarms.

    Returns:
        One score a row, same index and order; 1.0 or more is an alarm, NaN is "warming up".

    Raises:
        ConfigError: No such detector.
        SchemaError: No such column, or it holds no numbers; some rows have a time and others have none.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> values = np.r_[np.random.default_rng(0).normal(100, 5, 400), 200.0, 100.0]
        >>> scores = cr.anomaly.score(values)
        >>> bool(scores[:150].isna().all()), np.flatnonzero(scores >= 1).tolist()
        (True, [400])
    """
    frame = data.rename(columns=str) if isinstance(data, pd.DataFrame) else _series(data).to_frame("value")
    alone = metric is None and not isinstance(data, pd.DataFrame)
    options = {} if sensitivity == "normal" else {"sensitivity": sensitivity}
    detector = _for_frame(frame, method, "value" if alone else metric, **options)
    times = _times(frame)
    order = _order(times, len(frame))
    rows = frame.iloc[order]
    scores = _judged(detector, rows, None if times is None else times[order], given=True)[0]
    if offline:
        scores = np.fmin(scores, _judged(detector, rows.iloc[::-1])[0][::-1])
    wait = detector.cooldown if cooldown is None else checks.whole("cooldown", cooldown)
    result = np.empty(len(frame))
    result[order] = cap_repeated_alarms(scores, wait) if wait else scores
    return pd.Series(result, index=frame.index, name="anomaly_score")


def anomalies(
    frame: pd.DataFrame,
    method: Any = "auto",
    metric: str | None = None,
    *,
    by: Any = None,
    cooldown: int | None = None,
    offline: bool = False,
) -> pd.DataFrame:
    """The incidents of a frame; see `df.crucible.anomalies`."""
    options = {} if by is None else {"by": by}
    frame = frame.rename(columns=str)
    detectors = [_for_frame(frame, each, metric, **options) for each in methods_of("method", method)]
    wait = max(detector.cooldown for detector in detectors) if cooldown is None else checks.whole("cooldown", cooldown)
    times = _times(frame)
    order = _order(times, len(frame))
    rows, when = frame.iloc[order], None if times is None else times[order]
    highest, alarms = np.full(len(rows), np.nan), dict[int, tuple[str, Callable[[], str]]]()
    for detector in detectors:
        _add_alarms(detector, rows, when, offline, highest, alarms)
    found = Incidents(wait)
    for row, (name, reason) in sorted(alarms.items()):
        found.add(row, _NAT if when is None else int(when[row]), float(highest[row]), name, reason)
    return incident_frame(found.all)


def _add_alarms(
    detector: Detector,
    rows: pd.DataFrame,
    times: np.ndarray | None,
    offline: bool,
    highest: np.ndarray,
    alarms: dict[int, Any],
) -> None:
    """Raise the highest scores so far to those of another detector; add its alarms among them, by row."""
    back, named = np.full(len(rows), np.nan), np.zeros(len(rows), np.int64)
    if offline:
        back, named = (each[::-1] for each in _judged(detector, rows.iloc[::-1]))
    for start, verdict in _verdicts(detector, rows, times):
        block = slice(start, start + len(verdict.score))
        scores = np.fmin(verdict.score, back[block])
        higher = ~np.isnan(scores) & ~(scores <= highest[block])
        highest[block][higher] = scores[higher]
        for i in np.flatnonzero(higher & (scores >= 1)).tolist():
            name = detector.names[int(verdict.metric[i] if verdict.metric[i] >= 0 else named[start + i])]
            alarms[start + i] = name, partial(_sentence, verdict, i)


def _sentence(verdict: Verdict, i: int) -> str:
    return verdict.reasons.get(i, "out of line with the rows after it")


def _verdicts(
    detector: Detector, rows: pd.DataFrame, times: np.ndarray | None = None, *, given: bool = False
) -> Iterator[tuple[int, Verdict]]:
    """Yield the verdicts of a detector on rows in order, block by block to bound memory."""
    running = detector.begin()
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        when = None if times is None else without_pauses(times[block], pauses_of(rows))
        yield start, running.judge(EventColumns.of_frame(rows.iloc[block], start, given=given, times=when))


def _judged(
    detector: Detector, rows: pd.DataFrame, times: np.ndarray | None = None, *, given: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of each row and the index of its metric."""
    found = [(verdict.score, verdict.metric) for _, verdict in _verdicts(detector, rows, times, given=given)]
    scores, metrics = zip(*found, strict=True) if found else ((), ())
    return np.concatenate([np.empty(0), *scores]), np.concatenate([np.empty(0, np.int64), *metrics])


def _series(data: Any) -> pd.Series:
    try:
        return pd.Series(data)
    except (TypeError, ValueError) as error:
        raise checks.wrong(
            "data", type(data).__name__, f"a Series, array or DataFrame: {error}", SchemaError
        ) from error


def _order(times: np.ndarray | None, length: int) -> np.ndarray:
    return np.arange(length) if times is None else np.argsort(times, kind="stable")


def _for_frame(frame: pd.DataFrame, method: Any, metric: str | None, **options: Any) -> Detector:
    if metric is not None:
        (metric,) = checks.columns("metric", checks.text("metric", metric), frame.columns)
        if isinstance(method, str):
            return detector_of("method", method, metrics=(metric,), **options)
        return _only(detector_of("method", method, **options), metric)
    detector = detector_of("method", method, **options)
    there = tuple(name for name in detector.metrics if name in frame.columns)
    if not there:
        numbers = frame.select_dtypes("number").columns.drop("weight", errors="ignore")
        if len(numbers) != 1:
            said = f"expected one of the columns {', '.join(detector.metrics)}, or metric="
            raise SchemaError(f"frame: {said}; it has {', '.join(map(str, frame.columns))}")
        there = (str(numbers[0]),)
    return _only(detector, *there)


def _only(detector: Detector, *metrics: str) -> Detector:
    """The detector, watching these metrics."""
    if detector.metrics == metrics:
        return detector
    narrowed = detector.begin()
    narrowed.metrics = metrics
    return narrowed


def _times(frame: pd.DataFrame) -> np.ndarray | None:
    """Return the times of the rows in UTC nanoseconds; None without times."""
    return None if time_source(frame) is None else all_times(frame)
