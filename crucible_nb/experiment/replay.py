"""Replay a trace from a file through the same pipeline as live events, with event time as the clock."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.experiment.session import start
from crucible_nb.files import iter_table
from crucible_nb.utils import checks

_ROUND = ("1s", "5s", "15s", "1min", "5min", "15min", "1h", "6h", "1D", "7D", "28D", "364D")


def replay(
    path: str | Path,
    *,
    name: str | None = None,
    map: Mapping[str, Any] | None = None,
    time: str | None = None,
    event: str | None = None,
    unit: str | None = None,
    origin: Any = None,
    where: Any = None,
    max_events: int | None = None,
    progress: Progress | None = None,
    by: str | Sequence[str] = (),
    store: Any = None,
    anomaly: Any = None,
    sampling: Any = None,
    sampling_config: Mapping[str, Any] | None = None,
    dashboard: bool = False,
    **reading: Any,
) -> Experiment:
    r"""Stream a CSV, JSON or Parquet file into an experiment, chunk by chunk.

    Args:
        path: The file, also gzipped.
        name: Name of the experiment; None for the file's name.
        map: New columns from the file's columns: {"latency_ms": "latency_s * 1000"}.
        time: Column with the time; with `unit` ("s", "ms", "us", "ns") and `origin` for relative numbers.
        event: Column with the event's name, or one name for all events.
        unit, origin: See `time`.
        where: Condition on the rows: "release == 'v8' and latency_s > 0".
        max_events: Rows to keep in memory; metrics count every event.
        progress: Counter updated with each chunk; None for none.
        by: Columns whose groups are counted live, over every event.
        store, anomaly, sampling, sampling_config: As in `cr.start`.
        dashboard: Whether to show the dashboard while events arrive.
        **reading: Further arguments of `cr.load`: format, columns, sep, decimal, header, names, na_values, comment.

    Returns:
        The stopped experiment; its clock is the newest event time. Rows without a time get that of the row before, and
        are counted in `metadata["rows without a time"]`; `metadata["no time column"]` says why a file has no times.

    Raises:
        StoreError: The file cannot be read.
        ConfigError, SchemaError: An invalid expression; no such column.

    Examples:
        >>> import pathlib, tempfile
        >>> from crucible_nb.experiment.replay import replay
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "trace.csv"
        >>> _ = path.write_text("at,seconds\n0,0.5\n60,1.5\n")
        >>> exp = replay(path, time="at", unit="s", origin="2025-01-01", map={"latency_ms": "seconds * 1000"})
        >>> exp.metrics().latency.mean, exp.metrics().span.end
        (1000.0, Timestamp('2025-01-01 00:01:00+0000', tz='UTC'))
    """
    shape = {"map": map, "time": time, "event": event, "unit": unit, "origin": origin, "where": where}
    chunks = iter_table(path, **shape, **reading, gaps=True)
    first = next(chunks, pd.DataFrame())
    groups = (by,) if isinstance(by, str) else tuple(by)
    if len(first):
        checks.columns("by", groups, [*first.columns, "event", "model"])
    exp = start(
        name or Path(path).name,
        clock="events",
        max_events=max_events,
        metadata={"replay of": str(path), **_untimed(first)},
        by=[group for group in groups if group not in ("event", "model")],
        store=store,
        anomaly=anomaly,
        sampling=sampling,
        sampling_config=sampling_config,
    )
    if dashboard:
        exp.dashboard()
    with exp:
        for chunk in itertools.chain([first], chunks):
            exp.extend(chunk)
            _count_untimed(exp, chunk)
            if progress is not None:
                progress.add(len(chunk))
    return exp


_UNTIMED, _GAPS = "no time column", "rows without a time"


def _untimed(first: pd.DataFrame) -> dict[str, str]:
    """Return why the rows of a file have no times, as metadata."""
    if isinstance(first.index, pd.DatetimeIndex) or not len(first):
        return {}
    return {_UNTIMED: str(first.attrs.get("untimed", "no column has the name of one; name it with time="))}


def _count_untimed(exp: Experiment, chunk: pd.DataFrame) -> None:
    gaps = int(np.count_nonzero(chunk.index.isna())) if isinstance(chunk.index, pd.DatetimeIndex) else 0
    if gaps:
        exp.metadata[_GAPS] = exp.metadata.get(_GAPS, 0) + gaps


class Progress:
    """Progress of a replay: in a terminal one line that is rewritten, elsewhere a line every few seconds.

    Args:
        out: Text stream to print to; None for the standard error.
        every: Seconds between lines where they cannot be rewritten.

    Examples:
        >>> import io
        >>> out = io.StringIO()
        >>> progress = Progress(out)
        >>> progress.add(5); progress.close()
        >>> out.getvalue().startswith("5 events")
        True
    """

    def __init__(self, out: TextIO | None = None, every: float = 2.0) -> None:
        self._out = sys.stderr if out is None else out
        self._live, self._every = self._out.isatty(), every
        self._start = self._printed_at = time.perf_counter()
        self.count = 0

    def add(self, count: int) -> None:
        """Add rows to the count and print it if it is time to."""
        self.count += count
        now = time.perf_counter()
        if now - self._printed_at > (0.1 if self._live else self._every):
            self._printed_at = now
            self._print("\r" if self._live else "", "" if self._live else "\n")

    def _print(self, before: str, after: str) -> None:
        rate = self.count / max(time.perf_counter() - self._start, 1e-9)
        self._out.write(f"{before}{self.count:,} events, {rate:,.0f} per second{after}")
        self._out.flush()

    def close(self) -> None:
        """Print the final count."""
        self._print("\r" if self._live else "", "\n")


def round_window(span: pd.Timedelta) -> str:
    """Choose a round window length so that at most 60 cover the span.

    Examples:
        >>> import pandas as pd
        >>> round_window(pd.Timedelta("58min")), round_window(pd.Timedelta(0))
        ('1min', '1s')
    """
    return next((window for window in _ROUND if span / pd.Timedelta(window) <= 60), _ROUND[-1])


def report(exp: Experiment, by: str | None = None, window: str | None = None) -> str:
    """Format the metrics of a replayed trace as text.

    Args:
        exp: The experiment.
        by: Column to group the metrics by.
        window: Length of a window; None chooses a round one.

    Raises:
        ConfigError, SchemaError: An invalid window; no such column.

    Examples:
        >>> import crucible_nb as cr
        >>> from crucible_nb.experiment.replay import report
        >>> with cr.start("demo", clock="events") as exp:
        ...     _ = exp.record("tick", latency_ms=5.0, time=0)
        >>> "latency mean" in report(exp)
        True
    """
    metrics, facts = exp.metrics(), exp.summary()
    parts = [_headline(exp, facts, metrics.span.end), repr(metrics)]
    if metrics.latency.count:
        parts.append(_quantiles(metrics.latency))
    if by is not None:
        parts.append(repr(exp.metrics(by=by)))
    parts.append(_windows(exp, metrics.span, window))
    counted = {
        "values in `metadata`": facts["misfits"],
        "errors": facts["errors"],
        "evicted rows": facts["evicted_events"],
        f"{_GAPS}, which got that of the row before": exp.metadata.get(_GAPS, 0),
    }
    counted |= {f"without a price: {model}": count for model, count in exp.unpriced().items()}
    parts += [f"{name}: {count:,}" for name, count in counted.items() if count]
    return "\n\n".join(parts)


def _headline(exp: Experiment, facts: dict[str, Any], end: Any) -> str:
    """Name the trace; its first time is that of an event, which is when it ended."""
    count = facts["total_events"]
    reason = exp.metadata.get(_UNTIMED)
    if reason is not None:
        return f"{exp.name}: {count:,} events; no time column: {reason}. All have the time 1970-01-01"
    return f"{exp.name}: {count:,} events from {facts['started_at']} to {end}"


def _quantiles(latency: Any) -> str:
    shown = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
    values = latency.quantile(list(shown)) / 1000
    bound = "exact" if latency.exact else f"each within {latency.error_bound:.2%}"
    cells = "  ".join(f"p{q * 100:g} {value:.4g}" for q, value in zip(shown, values, strict=True))
    return f"Latency in seconds ({bound})\n  {cells}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _windows(exp: Experiment, span: Any, window: str | None) -> str:
    window = window or round_window(span.end - span.start if exp.summary()["total_events"] else pd.Timedelta(0))
    table = exp.windowed_metrics(window)
    known = [name for name in table.columns if name != "window_end" and (table[name].fillna(0) != 0).any()]
    shown = table[known].head(8).rename_axis(None).to_string(float_format=_number)
    return f"{len(table):,} windows of {window}, the first {min(8, len(table))}\n{shown}"
