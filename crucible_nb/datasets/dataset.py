"""`Dataset`: rows larger than memory, with the answers of a frame."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.datasets.batches import Shape
from crucible_nb.datasets.executors import Executor, Threads
from crucible_nb.datasets.memory import check_rows, physical_memory
from crucible_nb.datasets.metrics import STANDARD, MetricsSpec, MetricsState, answer
from crucible_nb.datasets.progress import make_bar
from crucible_nb.datasets.rows import RowsSpec
from crucible_nb.datasets.schema import Schema
from crucible_nb.datasets.state import Spec, merge
from crucible_nb.datasets.units import Place, Span, Unit, as_text
from crucible_nb.datasets.window_table import Asked, window_table
from crucible_nb.datasets.windows import WindowsSpec, WindowsState, series_of
from crucible_nb.errors import CrucibleError, CrucibleWarning, SchemaError
from crucible_nb.events.metric_names import metric_of
from crucible_nb.events.where import Where
from crucible_nb.metrics import Metrics
from crucible_nb.utils import checks
from crucible_nb.windows.grid import grid, limit
from crucible_nb.windows.query import edges_of
from crucible_nb.windows.table import names_of

_ROW_NUMBERS = 1 << 40  # numbers of rows that each unit has for itself


class Dataset:
    """Rows in files, frames or partitions of dask, read a part at a time: `cr.open_dataset` makes it.

    Answers are those of a frame with all rows, to the bit, however the rows are divided into files and whatever
    executes: sums are exact, and quantiles are exact up to 2,048 values, then within 0.2 %. Groups are sorted.

    Args:
        units: Units of rows.
        schema: Columns of all units.
        executor: Executor of passes.
        errors: "raise", or "skip" to leave bad units out and count them.
        memory: Bytes that states and rows may take; None for a quarter of memory.
        shape: How rows are brought into one shape.
        bad: Files that were left out when the dataset was opened, and why.

    Attributes:
        units: Units of rows, in order.
        skipped: Files and units that were left out with errors="skip", and why.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> ds = cr.open_dataset(pd.DataFrame({"model": ["a", "b", "a"], "latency_ms": [1.0, 2.0, 3.0]}))
        >>> ds
        Dataset(1 unit, 3 rows, columns: model, latency_ms)
        >>> ds.metrics(by="model")["a"].latency.mean
        2.0
    """

    def __init__(
        self,
        units: Iterable[Unit],
        schema: Schema,
        *,
        executor: Executor | None = None,
        errors: str = "raise",
        memory: int | None = None,
        shape: Shape | None = None,
        bad: Mapping[str, str] | None = None,
    ) -> None:
        self.units = placed(list(units))
        self._schema = schema
        self._executor = Threads() if executor is None else executor
        self._errors = errors
        self._memory = physical_memory() // 4 if memory is None else memory
        self._shape = Shape() if shape is None else shape
        self.skipped: dict[str, str] = dict(bad or {})

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def columns(self) -> list[str]:
        """Names of all columns, of any file.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> cr.open_dataset(pd.DataFrame({"latency_ms": [1.0]})).columns
            ['latency_ms']
        """
        names = [self._shape.names.get(name, name) for name in self._schema.names]
        return list(dict.fromkeys(names))

    @cached_property
    def n_rows(self) -> int:
        """Number of rows: of the footers of files; of other parts they are counted once.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> cr.open_dataset(pd.DataFrame({"latency_ms": [1.0, 2.0]})).n_rows
            2
        """
        known = [unit.rows for unit in self.units]
        if None not in known:
            return sum(rows for rows in known if rows is not None)
        state: MetricsState = self._state(MetricsSpec(columns=("time",), shape=self._shape))
        return state.groups.total().event_count

    @cached_property
    def span(self) -> Span | None:
        """First and last time in UTC nanoseconds, of the footers if they tell; None without times.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> times = pd.to_datetime(["1970-01-01 00:00:01", "1970-01-01 00:00:05"], utc=True)
            >>> cr.open_dataset(pd.DataFrame({"latency_ms": [1.0, 2.0]}, index=times)).span
            (1000000000, 5000000000)
        """
        known = [unit.span for unit in self.units if unit.rows != 0]
        if known and None not in known:
            return min(span[0] for span in known if span), max(span[1] for span in known if span)
        return self._span(None)

    def _span(self, where: Where) -> Span | None:
        """Read first and last time of the rows."""
        spec = MetricsSpec(columns=self._read(("time",), where), where=where, shape=self._shape)
        state: MetricsState = self._state(spec)
        first, last = state.groups.total().table.span[:2, 0].tolist()
        return (first, last) if state.groups.timed else None

    @property
    def _time(self) -> str | None:
        """Column of times, by its name in the files."""
        name = self._shape.stored("time")
        return name if name in self._schema.names else None

    def __repr__(self) -> str:
        count, known = len(self.units), [unit.rows for unit in self.units]
        rows = "rows not counted yet" if None in known and "n_rows" not in vars(self) else f"{self.n_rows:,} rows"
        spans = [unit.span for unit in self.units]
        when = ""
        if spans and None not in spans and self.span is not None:
            first, last = (pd.Timestamp(edge, unit="ns", tz="UTC") for edge in self.span)
            when = f", {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        left_out = f", {len(self.skipped):,} left out" if self.skipped else ""
        shown = self.columns[:8] + ["..."] * (len(self.columns) > 8)
        plural = "s" if count != 1 else ""
        return f"Dataset({count:,} unit{plural}, {rows}{when}{left_out}, columns: {', '.join(shown)})"

    # -- answers ------------------------------------------------------------------------------------------------------

    def metrics(self, by: str | Sequence[str] | None = None, where: Where = None) -> Metrics:
        """Compute metrics of all rows; those of `df.crucible.metrics` for a frame with all rows, to the bit.

        Numbers of columns of one's own (`.columns["loss"]`) come with the same pass; with `by` they take a second one
        when they are first asked for. Among rows of equal time the newest is that with the largest `seq`, or the last
        one in the order of the files.

        Args:
            by: Column or columns to group by; missing keys form their own group. Groups are sorted.
            where: Condition on the rows, as for `query_window`; a callable sees some rows at a time.

        Returns:
            Metrics, indexable by group when `by` is given; `estimated` if units were left out.

        Raises:
            SchemaError: No such column, or one that is text in one file and numbers in another.
            StoreError: A file that cannot be read, named.
            ConfigError: The states of so many groups need more than the memory allowed.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> ds = cr.open_dataset(pd.DataFrame({"model": ["b", "a", "b"], "cost_usd": [1.0, 2.0, 3.0]}))
            >>> {model: metrics.cost.total for model, metrics in ds.metrics(by="model").items()}
            {'a': 2.0, 'b': 4.0}
            >>> ds.metrics(where="cost_usd > 1").events
            2
        """
        names = () if by is None else checks.columns("by", by, self.columns)
        own = tuple(self._shape.names.get(name, name) for name in self._schema.numbers())
        spec = MetricsSpec(by=names, where=where, shape=self._shape_of(names), budget=self._memory)
        plain = replace(spec, columns=self._read((*STANDARD, *names), where))
        more = ("seq", "writer", "step", "weight", "time")
        with_own = replace(spec, own=own, columns=self._read((*STANDARD, *names, *own, *more), where))
        state: MetricsState = self._state(with_own if not names else plain)
        partial = bool(self.skipped)
        if not names:
            return answer(state, partial=partial)

        return answer(state, partial=partial, with_own=cache(lambda: self._state(with_own)))

    def windowed_metrics(
        self,
        window: Any,
        step: Any = None,
        by: str | Sequence[str] | None = None,
        columns: str | Sequence[str] | None = None,
        origin: Any = "start_day",
        closed: str | None = None,
        where: Where = None,
    ) -> pd.DataFrame:
        """Compute metrics of each time window: those of a frame with all rows and exact=False, to the bit.

        Quantiles of windows of up to 2,048 values are exact, others within 0.2 %. Windows that no two units share are
        finished where their rows are, so that files in order of time take little memory. Weights that are no whole
        numbers may change the last bit of a quantile.

        Args:
            window, step, origin, closed: As for `df.crucible.windowed_metrics`; days are those of the time zone of the
                column of times.
            by: Column or columns whose groups become inner index levels, sorted; missing keys are a group.
            columns: Further numeric columns, or metrics by name such as "share(latency_ms < 2000)"; no first or last
                value.
            where: Condition on the rows; the others are left out first.

        Returns:
            DataFrame indexed by window_start, then the levels of `by`; columns as of `df.crucible.windowed_metrics`.

        Raises:
            ConfigError: An invalid argument, over 10 million windows, or states larger than the memory allowed.
            SchemaError: No times, no such column, or a column that is not numeric.
            StoreError: A file that cannot be read, named.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> times = pd.to_datetime(["2025-01-01 00:00:10", "2025-01-01 00:00:50", "2025-01-01 00:02:00"], utc=True)
            >>> ds = cr.open_dataset(pd.DataFrame({"latency_ms": [100.0, 300.0, 500.0]}, index=times))
            >>> ds.windowed_metrics("1min").p50_latency_ms.tolist()
            [200.0, nan, 500.0]
        """
        available = self._empty()
        asked = [
            Asked(name, metric, own, series_of(metric, own=own))
            for name in (() if columns is None else names_of(columns, available))
            for metric in [metric_of(name, available.columns)]
            for own in [name in available.columns]
        ]
        names = () if by is None else checks.columns("by", by, self.columns)
        span = self._window_span(where)
        windows = grid(span, window, step, origin=origin, closed=closed)
        edges = np.unique(np.concatenate([windows.lower, windows.upper]))
        needed = [column for one in asked for column in one.metric.columns]
        self._schema.check(map(self._shape.stored, needed))
        spec = WindowsSpec(
            edges=edges,
            by=names,
            series=tuple(series for one in asked for series in one.series),
            tumbling=len(edges) == len(windows.lower) + 1,
            where=where,
            columns=self._read((*STANDARD, *names, *needed), where),
            shape=self._shape_of(names),
            budget=self._memory,
        )
        state: WindowsState = self._state(spec)
        limit(*(("window", window) if step is None else ("step", step)), len(windows.starts) * len(state.groups))
        return window_table(state, windows, edges, by, asked)

    def _empty(self) -> pd.DataFrame:
        return pd.DataFrame(columns=self.columns)

    def _window_span(self, where: Where) -> pd.DatetimeIndex:
        """Return the first and the last time of the rows, in the time zone of their column; empty without rows."""
        span = self.span if where is None else self._span(where)
        zones = {getattr(kind, "tz", None) for kind in self._schema.types(self._time)} if self._time else set()
        if span is None:
            if not zones and self.n_rows:
                raise SchemaError("dataset: expected a column 'time', or time=, for windows")
            return pd.DatetimeIndex([], tz="UTC")
        times = pd.DatetimeIndex(np.array(span), tz="UTC")
        zone = zones.pop() if len(zones) == 1 else None
        return times if zone is None else times.tz_convert(zone)

    def query_window(
        self,
        *,
        last: Any = None,
        start: Any = None,
        end: Any = None,
        where: Where = None,
        columns: str | Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Select rows of a time window or a condition into memory; files without such times are not read.

        Args:
            last: Duration up to the newest row ("5min"), both edges included.
            start, end: From start (inclusive) to end (exclusive), or only one of them: datetime, Timestamp, ISO text
                or int nanoseconds.
            where: Condition on the rows: text such as "latency_ms > 900 and model == 'a'", or a callable
                (frame) -> mask, which sees some rows at a time.
            columns: Columns to keep; None for all.

        Returns:
            DataFrame in order of time, indexed by it; in the order of the files if rows have no time.

        Raises:
            ConfigError: Several forms or none; or rows that take more than the memory allowed.
            SchemaError: A missing column, or no times.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> times = pd.to_datetime(["2025-01-01 00:00", "2025-01-01 00:01"], utc=True)
            >>> ds = cr.open_dataset(pd.DataFrame({"latency_ms": [1.0, 3.0]}, index=times))
            >>> ds.query_window(start="2025-01-01 00:01").latency_ms.tolist()
            [3.0]
        """
        now = 0
        if last is not None:
            if self.span is None:
                raise SchemaError("last: expected rows with times, got none")
            now = self.span[1]
        edges = edges_of(now, last=last, start=start, end=end, where=where)
        return self._rows(edges or (None, None, None), where, columns, "query_window()")

    def to_frame(self, columns: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Read all rows into memory, where they fit into the memory allowed.

        Args:
            columns: Columns to read; None for all.

        Returns:
            DataFrame as of `query_window`.

        Raises:
            ConfigError: They take more; the message says how much.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> cr.open_dataset(pd.DataFrame({"latency_ms": [1.0, 3.0]})).to_frame().latency_ms.tolist()
            [1.0, 3.0]
        """
        return self._rows((None, None, None), None, columns, "to_frame()")

    # -- passes -------------------------------------------------------------------------------------------------------

    def _rows(self, edges: Any, where: Where, columns: Any, what: str) -> pd.DataFrame:
        names = self.columns if columns is None else list(checks.columns("columns", columns, self.columns))
        low, stop, _ = edges
        units = [as_text(unit) for unit in self.units if _overlaps(unit.span, low, stop)]
        known = [unit.rows for unit in units if unit.rows is not None]
        if where is None and low is None and stop is None and len(known) == len(units):
            check_rows(sum(known), 8.0 * len(names) * sum(known), self._memory, what)
        spec = RowsSpec(
            budget=self._memory,
            edges=edges,
            where=where,
            columns=self._read((*names, "time"), where),
            shape=self._shape_of(names),
            what=what,
        )
        frame: pd.DataFrame = self._state(spec, units).frame()
        return frame[[name for name in names if name in frame.columns]]

    def _state(self, spec: Spec, units: Sequence[Unit] | None = None) -> Any:
        """Compute the state of units, merged as they come; leave out bad ones if that was asked for."""
        units = self.units if units is None else units
        whole, bar = spec.empty(Place()), None
        known = [unit.rows for unit in units]
        try:
            bar = make_bar(None if None in known else sum(rows or 0 for rows in known))
            with closing(self._executor.run(units, spec)) as outcomes:
                for unit, found in outcomes:
                    if isinstance(found, CrucibleError):
                        self._leave_out(unit, found)
                        continue
                    whole = merge(whole, found.state)
                    if bar is not None:
                        bar.update(found.rows)
        finally:
            if bar is not None:
                bar.close()
        return whole

    def _leave_out(self, unit: Unit, error: CrucibleError) -> None:
        """Count a bad unit with errors="skip"; raise its error otherwise, and an error that is not of this unit."""
        if self._errors == "raise" or not str(error).startswith(unit.name):
            raise error
        if unit.name not in self.skipped:
            rows = "rows" if unit.rows is None else f"{unit.rows:,} rows"
            warnings.warn(f"{rows} are left out: {error}", CrucibleWarning, stacklevel=4)
        self.skipped[unit.name] = str(error)

    def _read(self, names: Iterable[str], where: Where) -> tuple[str, ...] | None:
        """Return which of the columns, and of those in a condition, there are; None for all; check their types."""
        if callable(where):
            return None
        asked = {*names, *(name for name in self.columns if where is not None and name in where)}
        read = tuple(name for name in self.columns if name in asked)
        standard = [name for name in read if name in STANDARD and name not in ("weight",)]
        self._schema.check(map(self._shape.stored, standard))
        return read

    def _shape_of(self, names: Sequence[str]) -> Shape:
        """Return the shape with casts of the columns whose values have to be equal in all files."""
        self._schema.check(map(self._shape.stored, names))
        casts = self._schema.casts(map(self._shape.stored, names))
        return Shape(self._shape.names, {self._shape.names.get(name, name): kind for name, kind in casts.items()})


def placed(units: list[Unit]) -> list[Unit]:
    """Give each unit its place: numbers of rows of its own, and the times that no other unit shares.

    Examples:
        >>> import pandas as pd
        >>> from crucible_nb.datasets.units import FrameUnit
        >>> units = [FrameUnit("a", pd.DataFrame(), (0, 10)), FrameUnit("b", pd.DataFrame(), (8, 20))]
        >>> [unit.place.alone for unit in placed(units)]
        [(-9223372036854775808, 8), (10, 9223372036854775807)]
    """
    spans = [unit.span for unit in units]
    alone: list[Span | None] = [None] * len(units)
    if units and None not in spans:
        edges = np.array(spans, np.int64)
        order = np.argsort(edges[:, 0], kind="stable")
        first, last = edges[order, 0], np.maximum.accumulate(edges[order, 1])
        before = np.concatenate(([-(2**63)], last[:-1]))
        after = np.concatenate((first[1:], [2**63 - 1]))
        for place, low, high in zip(order.tolist(), before.tolist(), after.tolist(), strict=True):
            alone[place] = (low, high)
    for number, unit in enumerate(units):
        unit.place = Place(number * _ROW_NUMBERS, alone[number])
    return units


def _overlaps(span: Span | None, low: int | None, stop: int | None) -> bool:
    return span is None or ((low is None or span[1] >= low) and (stop is None or span[0] < stop))
