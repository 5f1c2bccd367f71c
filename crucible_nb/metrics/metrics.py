"""`Metrics`: the numbers computed from a mergeable state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.accumulators import Quantiles
from crucible_nb.errors import ConfigError
from crucible_nb.metrics.column_state import ColumnStates
from crucible_nb.metrics.columns import NumericColumns
from crucible_nb.metrics.group_state import GroupState
from crucible_nb.metrics.records import Cost, Latency, Reliability, Span, Summary, Tokens
from crucible_nb.utils import html
from crucible_nb.utils.pictures import histogram, sparkline
from crucible_nb.utils.suggest import Near
from crucible_nb.utils.text import brief

_NAN = math.nan
_HOUR = 3600.0
_QUANTILES = (0.5, 0.9, 0.95, 0.99)


class Metrics(Near):
    """Metrics of a set of events. Counts, totals, means, variances and extremes are exact, each rounded once.

    Quantiles are exact up to 2,048 values and have an error bound above. `Metrics()` is the identity of `merge`, which
    gives the same numbers in any order and leaves its inputs unchanged.

    Attributes:
        latency: `Latency` in ms.
        cost: `Cost` in USD.
        reliability: `Reliability` over events with a known outcome.
        tokens: `Tokens`.
        summary: `Summary` with rates per active time.
        columns: `NumericColumns`: numbers of each numeric column that is not a standard one, such as
            `columns["loss"]`. Of all events over every event; by group, or over a window, of the kept rows, weighted.
        events: Number of events (int; the number of rows).
        span: `Span` of the events or of the requested window.
        estimated: Whether rows represent other events (weights), or rows are missing.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> frame = pd.DataFrame({"latency_ms": [1.0, 2.0, 3.0], "model": ["a", "b", "a"]})
        >>> frame.crucible.metrics().latency.mean
        2.0
        >>> frame.crucible.metrics(by="model")["a"].events
        2
    """

    columns = NumericColumns(ColumnStates())  # of what release 0.1 pickled

    def __init__(
        self,
        state: GroupState | None = None,
        *,
        span: tuple[int, int] | None = None,
        duration: tuple[int, int] | None = None,
        active_seconds: float | None = None,
        estimated: bool = False,
    ) -> None:
        self._state = GroupState() if state is None else state
        self._span, self._active = span, active_seconds
        self._duration = span if duration is None else duration
        self._groups: Mapping[Any, Metrics] = {}
        self._by: tuple[str, ...] = ()
        self.estimated = estimated

    def grouped(self, groups: Mapping[Any, Metrics], by: Sequence[str]) -> Metrics:
        """Return a copy of these metrics with the metrics of their groups by the columns `by`.

        Examples:
            >>> from crucible_nb.metrics import Metrics
            >>> Metrics().grouped({"a": Metrics()}, ["model"])["a"].events
            0
        """
        metrics = Metrics(
            self._state, span=self._span, duration=self._duration, active_seconds=self._active,
            estimated=self.estimated,
        )  # fmt: skip
        metrics._groups, metrics._by, metrics.columns = dict(groups), tuple(by), self.columns
        return metrics

    @property
    def events(self) -> int:
        """Number of events (rows, independent of their weights)."""
        return self._state.event_count

    @property
    def span(self) -> Span:
        """First and last time covered."""
        low, high = self._bounds()
        if low > high:
            return Span(pd.NaT, pd.NaT)  # type: ignore[arg-type]
        return Span(pd.Timestamp(low, unit="ns", tz="UTC"), pd.Timestamp(high, unit="ns", tz="UTC"))

    def _bounds(self) -> tuple[int, int]:
        low, high = self._state.table.span[:2, 0].tolist() if self._span is None else self._span
        return low, high

    def moments(self, name: str) -> tuple[float, float, float]:
        """Return weight, mean and sum of squared deviations of a numeric column; the mean is NaN without values.

        Examples:
            >>> from crucible_nb.metrics import Metrics
            >>> Metrics().moments("latency_ms")
            (0.0, nan, 0.0)
        """
        found = self._state.column(name)
        return found.weight, found.mean, found.squares

    def _total(self, name: str) -> float:
        return self._state.column(name).total

    @property
    def latency_sketch(self) -> Quantiles:
        """Quantile accumulator of `latency_ms`; do not update it."""
        return self._state.latency

    @cached_property
    def latency(self) -> Latency:
        """Latency in ms."""
        found = self._state.column("latency_ms")
        sketch, variance = self.latency_sketch, found.variance
        p50, p90, p95, p99 = np.asarray(sketch.quantile(np.array(_QUANTILES))).tolist()
        return Latency(
            count=_count(found.weight),
            mean=found.mean,
            std=math.sqrt(variance) if variance >= 0 else _NAN,
            variance=variance,
            min=sketch.minimum,
            max=sketch.maximum,
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            exact=sketch.exact,
            error_bound=sketch.error_bound,
            _sketch=sketch,
        )

    @property
    def cost(self) -> Cost:
        """Cost in USD."""
        weight, total, mean, *_ = self._state.column("cost_usd")
        return Cost(_count(weight), total, mean, mean * 1e3, mean * 1e6)

    @property
    def reliability(self) -> Reliability:
        """Outcomes."""
        successful, failed = self._state.outcomes
        known = successful + failed
        rate = successful / known if known else _NAN
        levels = [None if math.isnan(rate) else rate >= level for level in (0.99, 0.999, 0.9999)]
        return Reliability(_count(known), _count(successful), _count(failed), rate, *levels)

    @property
    def tokens(self) -> Tokens:
        """Numbers of tokens."""
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        found = [self._state.column(name) for name in names]
        return Tokens(*(_whole(one.total) for one in found), *(one.mean for one in found))

    @property
    def summary(self) -> Summary:
        """Counts, durations and rates."""
        low, high = self._state.duration or (0, 0) if self._duration is None else self._duration
        seconds = (high - low) / 1e9 if high >= low else 0.0
        active = seconds if self._active is None else self._active

        def rate(amount: float, unit: float = 1.0) -> float:
            return amount / active * unit if active > 0 else _NAN

        return Summary(
            events=self.events,
            seconds=seconds,
            active_seconds=active,
            events_per_second=rate(self._state.weight),
            tokens_per_second=rate(self._total("total_tokens")),
            output_tokens_per_second=rate(self._total("completion_tokens")),
            cost_per_hour=rate(self._total("cost_usd"), _HOUR),
        )

    def merge(self, later: Metrics) -> Metrics:
        """Merge with the metrics of later events into a new value.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> one, two = (pd.DataFrame({"latency_ms": [x]}).crucible.metrics() for x in (1.0, 3.0))
            >>> one.merge(two).latency.mean
            2.0
        """
        merged = Metrics(self._state.merge(later._state), estimated=self.estimated or later.estimated)
        merged.columns = NumericColumns(lambda: self.columns.state.merge(later.columns.state))
        return merged

    def __getitem__(self, key: Any) -> Metrics:
        """Return the metrics of one group of `by`."""
        try:
            return self._groups[key]
        except KeyError:
            if not self._by:
                own = f"use .{key}" if isinstance(key, str) and hasattr(type(self), key) else "use .columns[name]"
                raise ConfigError(f"metrics()[{key!r}]: there are no groups without by=; {own}") from None
            raise ConfigError(f"group {key!r}: not among {', '.join(map(repr, self._groups))}") from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __bool__(self) -> bool:
        return True

    def keys(self) -> list[Any]:
        """Return the groups of `by`, in order of first appearance.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> pd.DataFrame({"model": ["b", "a", "b"]}).crucible.metrics(by="model").keys()
            ['b', 'a']
        """
        return list(self._groups)

    def items(self) -> list[tuple[Any, Metrics]]:
        """Return the pairs of group and metrics.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> frame = pd.DataFrame({"model": ["b", "a", "b"]})
            >>> [(group, metrics.events) for group, metrics in frame.crucible.metrics(by="model").items()]
            [('b', 2), ('a', 1)]
        """
        return list(self._groups.items())

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as nested plain data; they depend only on the events and the clock.

        Returns:
            Sections `latency`, `cost`, `reliability`, `tokens`, `summary`, `span` (ISO text); `columns` if there are
            numeric columns that are not standard ones; with `by`, `groups`.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> pd.DataFrame({"cost_usd": [1.0]}).crucible.metrics().to_dict()["cost"]["total"]
            1.0
        """
        sections: dict[str, Any] = {name: _plain(getattr(self, name)) for name in _SECTIONS}
        sections["span"] = [edge.isoformat() if self.events or self._span else None for edge in self.span]
        sections["estimated"] = self.estimated
        if self.columns:
            sections["columns"] = {name: column.to_dict() for name, column in self.columns.items()}
        if self._by:
            sections["groups"] = {_label(key): metrics.to_dict() for key, metrics in self._groups.items()}
        return sections

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per group (one row without `by`) and one column per number, e.g. `latency_mean`.

        Numbers of columns that are not standard ones come last, as `columns_loss_mean`.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> frame = pd.DataFrame({"model": ["a", "b"], "latency_ms": [1.0, 2.0]})
            >>> frame.crucible.metrics(by="model").to_frame()["latency_mean"].to_dict()
            {'a': 1.0, 'b': 2.0}
        """
        return self._frame(lambda metrics: metrics._flat() | metrics._flat_columns(), list(self._flat_columns()))

    def _frame(self, row: Callable[[Metrics], dict[str, Any]], more: Sequence[str] = ()) -> pd.DataFrame:
        if not self._by:
            return pd.DataFrame([row(self)])
        rows = [row(metrics) for metrics in self._groups.values()]
        keys = list(self._groups)
        if len(self._by) > 1:
            index: pd.Index = pd.MultiIndex.from_tuples(keys, names=self._by)
        else:
            index = pd.Index(keys, name=self._by[0])
        return pd.DataFrame(rows, index=index, columns=[*Metrics()._flat(), *more])

    def _flat(self) -> dict[str, Any]:
        return {
            f"{section}_{name}": value
            for section in _SECTIONS
            for name, value in _plain(getattr(self, section)).items()
        }

    def _flat_columns(self) -> dict[str, Any]:
        return {
            f"columns_{name}_{key}": value
            for name, column in self.columns.items()
            for key, value in column.to_dict().items()
        }

    def _rows(self) -> list[tuple[str, str]]:
        """Return name and text of the known values, for the repr."""
        latency, cost, tokens, summary = self.latency, self.cost, self.tokens, self.summary
        reliability = self.reliability
        bound = "exact" if latency.exact else f"within {latency.error_bound:.2%}"
        quantiles = " / ".join(map(_short, (latency.p50, latency.p95, latency.p99)))
        cost_rates = f"{_short(cost.per_1k_requests)} per 1k, {_short(summary.cost_per_hour)} per hour"
        rows = [
            ("events", f"{summary.events:,}" + (" (estimated)" if self.estimated else ""), True),
            ("active", f"{summary.active_seconds:,.1f} s, {_short(summary.events_per_second)} events/s", True),
            ("latency mean ± sd", f"{_short(latency.mean)} ± {_short(latency.std)} ms", latency.count),
            ("latency p50 / p95 / p99", f"{quantiles} ms ({bound})", latency.count),
            ("cost", f"{_short(cost.total)} USD, {cost_rates}", cost.count),
            (
                "success",
                f"{_short(reliability.success_rate * 100)} % of {reliability.total_requests:,}",
                reliability.total_requests,
            ),
            ("tokens", f"{_short(tokens.total_prompt)} in, {_short(tokens.total_completion)} out", tokens.total > 0),
        ]
        own = list(self.columns.items())
        rows += [(brief(name), f"last {_short(one.last)}, min {_short(one.min)}, mean {_short(one.mean)}", True)
                 for name, one in own[:_MAX_OWN]]  # fmt: skip
        if len(own) > _MAX_OWN:
            rows.append(("...", f"{len(own) - _MAX_OWN} more columns in .columns", True))
        return [(name, text) for name, text, known in rows if known]

    def _group_rows(self) -> list[list[str]]:
        """Return a row of text per group: its key and the numbers of `_GROUP_COLUMNS`."""
        frame = self._frame(Metrics._flat)[list(_GROUP_COLUMNS)]
        return [[_short_label(key), *map(_short, row)] for key, row in zip(self._groups, frame.to_numpy(), strict=True)]

    def __repr__(self) -> str:
        if self._by:
            table = pd.DataFrame(self._group_rows(), columns=[" · ".join(self._by), *_GROUP_COLUMNS.values()])
            return f"Metrics by {', '.join(self._by)}\n{table.to_string(index=False)}"
        return "Metrics\n" + "\n".join(f"  {name:<24} {text}" for name, text in self._rows())

    def _repr_html_(self) -> str:
        if self._by:
            columns = (" · ".join(self._by), *_GROUP_COLUMNS.values())
            return html.view(html.table(self._group_rows(), columns, "Metrics"))
        return html.view(html.table(self._rows(), caption="Metrics"), self._latency_picture())

    def _latency_picture(self) -> str:
        """Draw the distribution of the latency; empty with too few events."""
        if self.events < _MIN_EVENTS or not self.latency.count:
            return ""
        heights, low, high = histogram(self.latency_sketch.quantile)
        label = f"latency from {_short(low)} ms, the minimum, to {_short(high)} ms, the 99th percentile"
        return html.figure(sparkline(heights, label), label) if len(heights) else ""


_MAX_OWN = 8  # columns of one's own in the repr
_MIN_EVENTS = 20  # smallest number of events for a picture of the distribution
_SECTIONS = ("latency", "cost", "reliability", "tokens", "summary")
_GROUP_COLUMNS = {
    "summary_events": "events",
    "latency_mean": "mean ms",
    "latency_p50": "p50 ms",
    "latency_p95": "p95 ms",
    "latency_p99": "p99 ms",
    "cost_total": "USD",
    "reliability_success_rate": "success",
}


def _plain(section: Any) -> dict[str, Any]:
    return {field.name: getattr(section, field.name) for field in fields(section) if field.name[0] != "_"}


def _count(weight: float) -> float:
    """Return a whole number of events as int; a sum of weights stays a float."""
    return int(weight) if float(weight).is_integer() else weight


def _whole(total: float) -> float:
    """Return a whole number as int."""
    return int(total) if total.is_integer() else total


def _short(value: Any) -> str:
    value = float(value)
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def _label(key: Any) -> str:
    return " · ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _short_label(key: Any) -> str:
    return " · ".join(map(brief, key)) if isinstance(key, tuple) else brief(key)
