"""Rules on live metrics, written as a sentence such as "error_rate > 0.1 over 5min"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from crucible_nb.errors import ConfigError
from crucible_nb.metrics import Metrics
from crucible_nb.utils import checks


class LiveMetric(NamedTuple):
    """A metric that a rule can use.

    Attributes:
        value: Reads it from metrics; NaN while it is unknown.
        known: Number of values that it is computed from.
    """

    value: Callable[[Metrics], float]
    known: Callable[[Metrics], float]


def _error_rate(metrics: Metrics) -> float:
    outcomes = metrics.reliability
    return outcomes.failed / outcomes.total_requests if outcomes.total_requests else float("nan")


def _outcomes(metrics: Metrics) -> float:
    return metrics.reliability.total_requests


def _values_of(column: str) -> Callable[[Metrics], float]:
    return lambda metrics: metrics.moments(column)[0]


def _events(metrics: Metrics) -> float:
    return metrics.events


_latencies, _costs = _values_of("latency_ms"), _values_of("cost_usd")

METRICS: dict[str, LiveMetric] = {
    "error_rate": LiveMetric(_error_rate, _outcomes),
    "success_rate": LiveMetric(lambda metrics: metrics.reliability.success_rate, _outcomes),
    "mean_latency_ms": LiveMetric(lambda metrics: metrics.latency.mean, _latencies),
    "max_latency_ms": LiveMetric(lambda metrics: metrics.latency.max, _latencies),
    "p50_latency_ms": LiveMetric(lambda metrics: metrics.latency.p50, _latencies),
    "p90_latency_ms": LiveMetric(lambda metrics: metrics.latency.p90, _latencies),
    "p95_latency_ms": LiveMetric(lambda metrics: metrics.latency.p95, _latencies),
    "p99_latency_ms": LiveMetric(lambda metrics: metrics.latency.p99, _latencies),
    "total_cost_usd": LiveMetric(lambda metrics: metrics.cost.total, _costs),
    "mean_cost_usd": LiveMetric(lambda metrics: metrics.cost.mean, _costs),
    "cost_per_hour": LiveMetric(lambda metrics: metrics.summary.cost_per_hour, _costs),
    "total_tokens": LiveMetric(lambda metrics: metrics.tokens.total, _values_of("total_tokens")),
    "event_count": LiveMetric(_events, _events),
    "failure_count": LiveMetric(lambda metrics: metrics.reliability.failed, _outcomes),
    "events_per_second": LiveMetric(lambda metrics: metrics.summary.events_per_second, _events),
}
"""Metrics that a rule can use."""

COSTS = frozenset({"total_cost_usd", "mean_cost_usd", "cost_per_hour"})
"""Metrics that lack the events whose model has no price."""

_SHARES = frozenset({"error_rate", "success_rate"})
_TOTALS = frozenset({"total_cost_usd", "total_tokens", "event_count", "failure_count", "max_latency_ms"})
_COUNTED = frozenset({"event_count", "events_per_second"})
_SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_RULE = re.compile(r"\s*(\w+)\s*(>=|<=|>|<)\s*([-+]?[\d_.]+(?:[eE][-+]?\d+)?)\s*(%?)\s*(?:over\s+(.+?))?\s*")
_MIN_EVENTS = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on the metrics of a window that ends now.

    Attributes:
        text: The rule as written.
        metric, sign, limit: The condition.
        window: Length of the window in nanoseconds; None for all events so far.
        min_events: Minimum number of values of the metric (known outcomes, latencies, ...): 10 for rates, means and
            quantiles, 1 for counts and totals, 0 for a rule that detects too few events in a window.

    Examples:
        >>> from crucible_nb.pipeline.rules import Rule
        >>> rule = Rule.parse("error_rate > 0.1 over 5min")
        >>> rule.metric, rule.limit, rule.window // 10**9
        ('error_rate', 0.1, 300)
        >>> rule.min_events, Rule.parse("event_count < 1 over 5min").min_events, Rule.parse("error_rate > 5%").limit
        (10, 0, 0.05)
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
            ConfigError: The text is not a metric, a comparison and a number, optionally with "over" and a duration; the
                limit of a share is not in [0, 1]; "%" is used for another metric.
        """
        checks.text("rule", text)
        match = _RULE.fullmatch(text)
        if match is None:
            raise checks.wrong("rule", text, "a sentence such as 'error_rate > 0.1 over 5min'")
        metric, sign, number, percent, over = match.groups()
        checks.one_of("rule metric", metric, METRICS)
        limit = _limit(text, metric, number, percent)
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
        """Return the metric now; NaN while it is unknown or there are too few values of it.

        A rule that detects too few events is unknown until the window has passed once, and if it was partly paused.
        """
        summary, live = metrics.summary, METRICS[self.metric]
        if live.known(metrics) < self.min_events or (not self.min_events and summary.active_seconds < summary.seconds):
            return float("nan")
        return live.value(metrics)

    def reason(self, value: float) -> str:
        """Return the sentence of an alert: the rule, and the value that meets it."""
        return f"{self.text}: it is {100 * value:,.4g}%" if "%" in self.text else f"{self.text}: it is {value:,.4g}"

    def holds(self, value: float) -> bool:
        """Return whether the condition is met; False for an unknown value."""
        return bool(_SIGNS[self.sign](value, self.limit))


def _limit(text: str, metric: str, number: str, percent: str) -> float:
    try:
        limit = float(number)
    except ValueError:
        raise ConfigError(f"rule={text!r}: {number!r} is not a number") from None
    if percent:
        limit = float(Decimal(number).scaleb(-2))  # 99.9% is 0.999; 99.9 / 100 is not
    if metric in _SHARES:
        if not 0 <= limit <= 1:
            raise checks.wrong("rule", text, f"a share from 0 to 1 or from 0% to 100%, as {metric} is one")
    elif percent:
        raise checks.wrong("rule", text, f"a number without %, as {metric} is no share")
    return limit
