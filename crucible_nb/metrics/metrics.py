"""`Metrics`: the numbers of some events, read off a mergeable state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.accumulators import Quantiles
from crucible_nb.errors import ConfigError
from crucible_nb.metrics.group_state import Tally
from crucible_nb.metrics.moment_table import NUMBERS, Panel
from crucible_nb.utils import html
from crucible_nb.utils.pictures import histogram, sparkline
from crucible_nb.utils.text import brief

_NAN = math.nan
_HOUR = 3600.0
SHOWN = (0.5, 0.9, 0.95, 0.99)


class Span(NamedTuple):
    """From when to when, both included; UTC Timestamps, NaT when there is nothing.

    Examples:
        >>> from crucible_nb.metrics import Metrics
        >>> Metrics().span.start
        NaT
    """

    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Latency:
    """Latency in milliseconds of the events that have one.

    Attributes:
        count: Events with a known latency (their weights summed, where rows were sampled).
        mean, std, variance, min, max: ms (variance ms²), with n - 1; NaN until known.
        p50, p90, p95, p99: Quantiles in ms.
        exact: Whether the quantiles are exact.
        error_bound: Largest relative error of a quantile; 0 when exact.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     for ms in (10.0, 20.0, 30.0):
        ...         _ = exp.record("llm.request", latency_ms=ms)
        >>> exp.metrics().latency.mean, exp.metrics().latency.quantile(0.25)
        (20.0, 15.0)
    """

    count: float
    mean: float
    std: float
    variance: float
    min: float
    max: float
    p50: float
    p90: float
    p95: float
    p99: float
    exact: bool
    error_bound: float
    _sketch: Quantiles

    def quantile(self, q: Any) -> Any:
        """Latency at quantile `q`.

        Args:
            q: A number in [0, 1], or an array of them.

        Returns:
            ms, linear interpolation between order statistics; float or float64 array like `q`.

        Raises:
            ConfigError: `q` outside [0, 1].

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> pd.DataFrame({"latency_ms": [1.0, 2.0]}).crucible.metrics().latency.quantile(0.5)
            1.5
        """
        if not np.all((np.asarray(q, float) >= 0) & (np.asarray(q, float) <= 1)):
            raise ConfigError(f"q={q!r}: expected numbers between 0 and 1")
        return self._sketch.quantile(q)


@dataclass(frozen=True)
class Cost:
    """Cost in USD of the events whose cost is known.

    Attributes:
        count: Events with a known cost.
        total: Their sum in USD; NaN when none is known.
        mean: USD an event.
        per_1k_requests, per_1m_requests: Mean times 1,000 and 1,000,000.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> pd.DataFrame({"cost_usd": [0.5, 1.5]}).crucible.metrics().cost.per_1k_requests
        1000.0
    """

    count: float
    total: float
    mean: float
    per_1k_requests: float
    per_1m_requests: float


@dataclass(frozen=True)
class Reliability:
    """Success of the events whose outcome is known.

    Attributes:
        total_requests, successful, failed: Events with a known outcome, and how they ended.
        success_rate: successful / total_requests; NaN when no outcome is known.
        sla_99, sla_999, sla_9999: Whether the rate reaches 0.99, 0.999, 0.9999; None when unknown.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> pd.DataFrame({"success": [True, True, False, None]}).crucible.metrics().reliability.failed
        1
    """

    total_requests: float
    successful: float
    failed: float
    success_rate: float
    sla_99: bool | None
    sla_999: bool | None
    sla_9999: bool | None


@dataclass(frozen=True)
class Tokens:
    """Tokens of the events that report them; totals are NaN when none does.

    Attributes:
        total_prompt, total_completion, total: Sums.
        mean_prompt, mean_completion, mean_total: Means an event.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> frame = pd.DataFrame({"prompt_tokens": [10, 30], "completion_tokens": [1, 3]})
        >>> frame.crucible.metrics().tokens.total
        44
    """

    total_prompt: float
    total_completion: float
    total: float
    mean_prompt: float
    mean_completion: float
    mean_total: float


@dataclass(frozen=True)
class Summary:
    """How much, how long, how fast.

    Attributes:
        events: Events counted.
        seconds: Wall time of the span in seconds.
        active_seconds: The same without paused time; rates divide by it.
        events_per_second, tokens_per_second, cost_per_hour: Rates; NaN when the span is empty.

    Examples:
        >>> import crucible_nb as cr
        >>> times = iter([0, 0, 10**9, 2 * 10**9])
        >>> exp = cr.start("demo", clock=lambda: next(times))
        >>> exp.record("tick"), exp.record("tick")
        (True, True)
        >>> exp.stop()
        >>> exp.metrics().summary.events_per_second
        1.0
    """

    events: int
    seconds: float
    active_seconds: float
    events_per_second: float
    tokens_per_second: float
    cost_per_hour: float


class Metrics:
    """What some events amount to. Counts, moments and extremes are exact; quantiles say what they are.

    An ordered monoid: `Metrics()` is the identity, `merge` is associative and leaves its inputs alone.

    Attributes:
        latency: `Latency`, ms.
        cost: `Cost`, USD.
        reliability: `Reliability` over events with a known outcome.
        tokens: `Tokens`.
        summary: `Summary` with rates over active time.
        events: Events counted (int; the number of rows).
        span: `Span` of the events or of the window that was asked for.
        estimated: True when rows stand for events that are not there (weights), or some are missing.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> frame = pd.DataFrame({"latency_ms": [1.0, 2.0, 3.0], "model": ["a", "b", "a"]})
        >>> frame.crucible.metrics().latency.mean
        2.0
        >>> frame.crucible.metrics(by="model")["a"].events
        2
    """

    def __init__(
        self,
        state: Tally | None = None,
        *,
        span: tuple[int, int] | None = None,
        active_seconds: float | None = None,
        estimated: bool = False,
    ) -> None:
        self._state = Tally() if state is None else state
        self._span, self._active = span, active_seconds
        self._groups: Mapping[Any, Metrics] = {}
        self._by: tuple[str, ...] = ()
        self.estimated = estimated

    def grouped(self, groups: Mapping[Any, Metrics], by: Sequence[str]) -> Metrics:
        """These metrics, with those of their groups by the columns `by`; a new value.

        Examples:
            >>> from crucible_nb.metrics import Metrics
            >>> Metrics().grouped({"a": Metrics()}, ["model"])["a"].events
            0
        """
        metrics = Metrics(self._state, span=self._span, active_seconds=self._active, estimated=self.estimated)
        metrics._groups, metrics._by = dict(groups), tuple(by)
        return metrics

    @property
    def _panel(self) -> Panel:
        return self._state.panel

    @property
    def events(self) -> int:
        """Events counted (rows, whatever their weight)."""
        return int(self._panel.sums[0, 0])

    @property
    def span(self) -> Span:
        """First and last moment covered."""
        low, high = self._bounds()
        if low > high:
            return Span(pd.NaT, pd.NaT)  # type: ignore[arg-type]
        return Span(pd.Timestamp(low, unit="ns", tz="UTC"), pd.Timestamp(high, unit="ns", tz="UTC"))

    def _bounds(self) -> tuple[int, int]:
        low, high = self._panel.span[:, 0].tolist() if self._span is None else self._span
        return low, high

    def moments(self, name: str) -> tuple[float, float, float]:
        """Count, mean and sum of squared deviations of a counted column; the mean is NaN without values.

        Examples:
            >>> from crucible_nb.metrics import Metrics
            >>> Metrics().moments("latency_ms")
            (0.0, nan, 0.0)
        """
        n, mean, m2 = self._panel.moments[:, NUMBERS.index(name), 0].tolist()
        return n, mean if n else _NAN, m2

    def _total(self, name: str) -> float:
        n, mean, _ = self.moments(name)
        return n * mean if n else _NAN

    @property
    def latency_sketch(self) -> Quantiles:
        """Quantile accumulator of latency_ms; not to be updated."""
        return self._state.sketches[0]

    @cached_property
    def latency(self) -> Latency:
        """Latency in ms."""
        n, mean, m2 = self.moments("latency_ms")
        sketch = self._state.sketches[0]
        variance = m2 / (n - 1) if n > 1 else _NAN
        shown = np.asarray(sketch.quantile(np.array(SHOWN))).tolist()
        return Latency(
            _count(n),
            mean,
            math.sqrt(variance) if variance >= 0 else _NAN,
            variance,
            sketch.minimum,
            sketch.maximum,
            shown[0],
            shown[1],
            shown[2],
            shown[3],
            sketch.exact,
            sketch.error_bound,
            sketch,
        )

    @property
    def cost(self) -> Cost:
        """Cost in USD."""
        n, mean, _ = self.moments("cost_usd")
        return Cost(_count(n), self._total("cost_usd"), mean, mean * 1e3, mean * 1e6)

    @property
    def reliability(self) -> Reliability:
        """Outcomes."""
        yes, no = self._panel.sums[2:, 0].tolist()
        rate = yes / (yes + no) if yes + no else _NAN
        levels = [None if math.isnan(rate) else rate >= level for level in (0.99, 0.999, 0.9999)]
        return Reliability(_count(yes + no), _count(yes), _count(no), rate, *levels)

    @property
    def tokens(self) -> Tokens:
        """Tokens."""
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        totals = (_whole(self._total(name)) for name in names)
        return Tokens(*totals, *(self.moments(name)[1] for name in names))

    @property
    def summary(self) -> Summary:
        """Counts, durations and rates."""
        low, high = self._bounds()
        seconds = (high - low) / 1e9 if high >= low else 0.0
        active = seconds if self._active is None else self._active
        weight = self._panel.sums[1, 0].item()

        def rate(amount: float, unit: float = 1.0) -> float:
            return amount / active * unit if active > 0 else _NAN

        return Summary(
            self.events,
            seconds,
            active,
            rate(weight),
            rate(self._total("total_tokens")),
            rate(self._total("cost_usd"), _HOUR),
        )

    def merge(self, later: Metrics) -> Metrics:
        """Both together, as if the later events had followed the earlier; a new value.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> one, two = (pd.DataFrame({"latency_ms": [x]}).crucible.metrics() for x in (1.0, 3.0))
            >>> one.merge(two).latency.mean
            2.0
        """
        return Metrics(self._state.merge(later._state), estimated=self.estimated or later.estimated)

    def __getitem__(self, key: Any) -> Metrics:
        """The metrics of one group of `by`."""
        try:
            return self._groups[key]
        except KeyError:
            raise ConfigError(
                f"group {key!r}: not among {', '.join(map(repr, self._groups)) or 'any (no `by`)'}"
            ) from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __bool__(self) -> bool:
        return True

    def keys(self) -> list[Any]:
        """The groups of `by`, in order of first appearance.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> pd.DataFrame({"model": ["b", "a", "b"]}).crucible.metrics(by="model").keys()
            ['b', 'a']
        """
        return list(self._groups)

    def items(self) -> list[tuple[Any, Metrics]]:
        """Pairs of group and metrics.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> frame = pd.DataFrame({"model": ["b", "a", "b"]})
            >>> [(group, metrics.events) for group, metrics in frame.crucible.metrics(by="model").items()]
            [('b', 2), ('a', 1)]
        """
        return list(self._groups.items())

    def to_dict(self) -> dict[str, Any]:
        """All numbers as nested plain data; a function of the events and the clock alone.

        Returns:
            Sections `latency`, `cost`, `reliability`, `tokens`, `summary`, `span` (ISO text) and, with
            `by`, `groups`.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> pd.DataFrame({"cost_usd": [1.0]}).crucible.metrics().to_dict()["cost"]["total"]
            1.0
        """
        sections: dict[str, Any] = {name: _plain(getattr(self, name)) for name in _SECTIONS}
        sections["span"] = [edge.isoformat() if self.events or self._span else None for edge in self.span]
        sections["estimated"] = self.estimated
        if self._by:
            sections["groups"] = {_label(key): metrics.to_dict() for key, metrics in self._groups.items()}
        return sections

    def to_frame(self) -> pd.DataFrame:
        """One row a group (one row in all without `by`), one column a number, such as `latency_mean`.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> frame = pd.DataFrame({"model": ["a", "b"], "latency_ms": [1.0, 2.0]})
            >>> frame.crucible.metrics(by="model").to_frame()["latency_mean"].to_dict()
            {'a': 1.0, 'b': 2.0}
        """
        if not self._by:
            return pd.DataFrame([self._flat()])
        rows = [metrics._flat() for metrics in self._groups.values()]
        keys = list(self._groups)
        if len(self._by) > 1:
            index: pd.Index = pd.MultiIndex.from_tuples(keys, names=self._by)
        else:
            index = pd.Index(keys, name=self._by[0])
        return pd.DataFrame(rows, index=index, columns=list(Metrics()._flat()))

    def _flat(self) -> dict[str, Any]:
        return {
            f"{section}_{name}": value
            for section in _SECTIONS
            for name, value in _plain(getattr(self, section)).items()
        }

    def _rows(self) -> list[tuple[str, str]]:
        """Name and value of what is known, for people."""
        latency, cost, tokens, summary = self.latency, self.cost, self.tokens, self.summary
        reliability = self.reliability
        bound = "exact" if latency.exact else f"within {latency.error_bound:.2%}"
        quantiles = " / ".join(map(_short, (latency.p50, latency.p95, latency.p99)))
        spent = f"{_short(cost.per_1k_requests)} per 1k, {_short(summary.cost_per_hour)} an hour"
        rows = [
            ("events", f"{summary.events:,}" + (" (estimated)" if self.estimated else ""), True),
            ("active", f"{summary.active_seconds:,.1f} s, {_short(summary.events_per_second)} events/s", True),
            ("latency mean ± sd", f"{_short(latency.mean)} ± {_short(latency.std)} ms", latency.count),
            ("latency p50 / p95 / p99", f"{quantiles} ms ({bound})", latency.count),
            ("cost", f"{_short(cost.total)} USD, {spent}", cost.count),
            (
                "success",
                f"{_short(reliability.success_rate * 100)} % of {reliability.total_requests:,}",
                reliability.total_requests,
            ),
            ("tokens", f"{_short(tokens.total_prompt)} in, {_short(tokens.total_completion)} out", tokens.total > 0),
        ]
        return [(name, text) for name, text, known in rows if known]

    def _brief(self) -> list[list[str]]:
        """A row of text a group: its key and the numbers of `_BRIEF`."""
        frame = self.to_frame()[list(_BRIEF)]
        return [[_named(key), *map(_short, row)] for key, row in zip(self._groups, frame.to_numpy(), strict=True)]

    def __repr__(self) -> str:
        if self._by:
            table = pd.DataFrame(self._brief(), columns=[" · ".join(self._by), *_BRIEF.values()])
            return f"Metrics by {', '.join(self._by)}\n{table.to_string(index=False)}"
        return "Metrics\n" + "\n".join(f"  {name:<24} {text}" for name, text in self._rows())

    def _repr_html_(self) -> str:
        if self._by:
            return html.view(html.table(self._brief(), (" · ".join(self._by), *_BRIEF.values()), "Metrics"))
        return html.view(html.table(self._rows(), caption="Metrics"), self._spread())

    def _spread(self) -> str:
        """A picture of how latency is distributed, once there is something to see."""
        if self._panel.sums[0, 0] < _SEEN or not self.latency.count:
            return ""
        found, low, high = histogram(self._state.sketches[0].quantile)
        label = f"latency from {_short(low)} ms, the least, to {_short(high)} ms, the 99th percentile"
        return html.figure(sparkline(found, label), label) if len(found) else ""


_SEEN = 20  # events whose distribution is worth a picture
_SECTIONS = ("latency", "cost", "reliability", "tokens", "summary")
_BRIEF = {
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
    """A whole number of events as int; a sum of weights stays a float."""
    return int(weight) if float(weight).is_integer() else weight


def _whole(total: float) -> float:
    """A sum of whole numbers, which only the rounding of a mean keeps from being one."""
    near = round(total) if math.isfinite(total) else total
    return near if abs(total - near) <= 1e-9 * max(1.0, abs(total)) else total


def _short(value: Any) -> str:
    value = float(value)
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def _label(key: Any) -> str:
    return " · ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _named(key: Any) -> str:
    return " · ".join(map(brief, key)) if isinstance(key, tuple) else brief(key)
