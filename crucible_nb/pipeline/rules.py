"""Rules on live metrics, written as a sentence such as "error_rate > 0.1 over 5min"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crucible_nb.errors import ConfigError
from crucible_nb.metrics import Metrics
from crucible_nb.utils import checks


def _proportion(part: float, rest: float) -> float:
    return part / (part + rest) if part + rest else float("nan")


METRICS: dict[str, Callable[[Metrics], float]] = {
    "error_rate": lambda metrics: _proportion(metrics.reliability.failed, metrics.reliability.successful),
    "success_rate": lambda metrics: metrics.reliability.success_rate,
    "mean_latency_ms": lambda metrics: metrics.latency.mean,
    "max_latency_ms": lambda metrics: metrics.latency.max,
    "p50_latency_ms": lambda metrics: metrics.latency.p50,
    "p90_latency_ms": lambda metrics: metrics.latency.p90,
    "p95_latency_ms": lambda metrics: metrics.latency.p95,
    "p99_latency_ms": lambda metrics: metrics.latency.p99,
    "total_cost_usd": lambda metrics: metrics.cost.total,
    "mean_cost_usd": lambda metrics: metrics.cost.mean,
    "cost_per_hour": lambda metrics: metrics.summary.cost_per_hour,
    "total_tokens": lambda metrics: metrics.tokens.total,
    "event_count": lambda metrics: metrics.events,
    "failure_count": lambda metrics: metrics.reliability.failed,
    "events_per_second": lambda metrics: metrics.summary.events_per_second,
}
"""Metrics that a rule can use."""

_TOTALS = frozenset({"total_cost_usd", "total_tokens", "event_count", "failure_count", "max_latency_ms"})
_COUNTED = frozenset({"event_count", "events_per_second"})
_SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_RULE = re.compile(r"\s*(\w+)\s*(>=|<=|>|<)\s*([-+]?[\d_.]+(?:[eE][-+]?\d+)?)\s*(?:over\s+(.+?))?\s*")
_MIN_EVENTS = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on the metrics of a window that ends now.

    Attributes:
        text: The rule as written.
        metric, sign, limit: The condition.
        window: Length of the window in nanoseconds; None for all events so far.
        min_events: Minimum number of events: 10 for rates, means and quantiles, 1 for counts and totals, 0 for a rule
            that detects too few events in a window.

    Examples:
        >>> from crucible_nb.pipeline.rules import Rule
        >>> rule = Rule.parse("error_rate > 0.1 over 5min")
        >>> rule.metric, rule.limit, rule.window // 10**9
        ('error_rate', 0.1, 300)
        >>> rule.min_events, Rule.parse("event_count < 1 over 5min").min_events
        (10, 0)
    """

    text: str
    metric: str
    sign: str
    limit: float
    window: int | None
    min_events: int

    @classmethod
    def parse(cls, text: str, min_events: int | None = None) -> Rule:
        """Parse the sentence of a rule.

        Raises:
            ConfigError: The text is not a metric, a comparison and a number, optionally with "over" and a duration.
        """
        checks.text("rule", text)
        match = _RULE.fullmatch(text)
        if match is None:
            raise checks.wrong("rule", text, "a sentence such as 'error_rate > 0.1 over 5min'")
        metric, sign, number, over = match.groups()
        checks.one_of("rule metric", metric, METRICS)
        try:
            limit = float(number)
        except ValueError:
            raise ConfigError(f"rule={text!r}: {number!r} is not a number") from None
        window = None if over is None else checks.duration("rule window", over)
        detects_silence = metric in _COUNTED and sign in ("<", "<=") and window is not None
        default = 0 if detects_silence else 1 if metric in _TOTALS else _MIN_EVENTS
        return cls(text.strip(), metric, sign, limit, window, default if min_events is None else min_events)

    @classmethod
    def of(cls, cells: Sequence[Any]) -> Rule:
        """Rebuild a rule from the list of its fields; ConfigError, TypeError or ValueError if they are invalid."""
        text, metric, sign, limit, window, min_events = cells
        return cls(
            text=checks.text("rule", text),
            metric=checks.one_of("metric", metric, METRICS),
            sign=checks.one_of("sign", sign, _SIGNS),
            limit=float(limit),
            window=checks.whole("window", window, ge=1, optional=True),
            min_events=checks.whole("min_events", min_events),
        )

    def value(self, metrics: Metrics) -> float:
        """Return the metric now; NaN while it is unknown or there are too few events.

        A rule that detects too few events is unknown until the window has passed once, and if it was partly paused.
        """
        summary = metrics.summary
        if metrics.events < self.min_events or (not self.min_events and summary.active_seconds < summary.seconds):
            return float("nan")
        return METRICS[self.metric](metrics)

    def holds(self, value: float) -> bool:
        """Return whether the condition is met; False for an unknown value."""
        return bool(_SIGNS[self.sign](value, self.limit))
