"""Rules on live metrics as a sentence: "error_rate > 0.1 over 5min"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crucible_nb.errors import ConfigError
from crucible_nb.metrics import Metrics
from crucible_nb.utils import checks


def _share(some: float, others: float) -> float:
    return some / (some + others) if some + others else float("nan")


METRICS: dict[str, Callable[[Metrics], float]] = {
    "error_rate": lambda metrics: _share(metrics.reliability.failed, metrics.reliability.successful),
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
"""What a rule can speak of."""

_TOTALS = frozenset({"total_cost_usd", "total_tokens", "event_count", "failure_count", "max_latency_ms"})
_COUNTED = frozenset({"event_count", "events_per_second"})
_SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_RULE = re.compile(r"\s*(\w+)\s*(>=|<=|>|<)\s*([-+]?[\d_.]+(?:[eE][-+]?\d+)?)\s*(?:over\s+(.+?))?\s*")
_FEW = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on the metrics of a window that ends now.

    Attributes:
        text: As written.
        metric, sign, limit: The condition.
        window: Nanoseconds, None for everything so far.
        least: Events there must be: 10 for rates, means and quantiles, 1 for counts and totals; 0 for too few events
            in a window, which is what silence is.

    Examples:
        >>> from crucible_nb.pipeline.rules import Rule
        >>> rule = Rule.parse("error_rate > 0.1 over 5min")
        >>> rule.metric, rule.limit, rule.window // 10**9
        ('error_rate', 0.1, 300)
        >>> rule.least, Rule.parse("event_count < 1 over 5min").least
        (10, 0)
    """

    text: str
    metric: str
    sign: str
    limit: float
    window: int | None
    least: int

    @classmethod
    def parse(cls, text: str, min_events: int | None = None) -> Rule:
        """Read a rule.

        Raises:
            ConfigError: It is not a metric, a comparison, a number and maybe "over" a duration.
        """
        checks.text("rule", text)
        found = _RULE.fullmatch(text)
        if found is None:
            raise checks.wrong("rule", text, "a sentence such as 'error_rate > 0.1 over 5min'")
        metric, sign, number, over = found.groups()
        checks.one_of("rule metric", metric, METRICS)
        try:
            limit = float(number)
        except ValueError:
            raise ConfigError(f"rule={text!r}: {number!r} is no number") from None
        window = None if over is None else checks.duration("rule window", over)
        silent = metric in _COUNTED and sign in ("<", "<=") and window is not None
        default = 0 if silent else 1 if metric in _TOTALS else _FEW
        return cls(text.strip(), metric, sign, limit, window, default if min_events is None else min_events)

    @classmethod
    def of(cls, cells: Sequence[Any]) -> Rule:
        """The rule whose fields were written down; ConfigError, TypeError or ValueError when they are none."""
        text, metric, sign, limit, window, least = cells
        return cls(
            checks.text("rule", text), checks.one_of("metric", metric, METRICS), checks.one_of("sign", sign, _SIGNS),
            float(limit), checks.whole("window", window, ge=1, optional=True), checks.whole("least", least),
        )  # fmt: skip

    def value(self, metrics: Metrics) -> float:
        """The metric now; NaN while it is unknown or there are too few events.

        Few events say nothing of a window that has not passed yet, nor of one that was partly paused.
        """
        summary = metrics.summary
        if metrics.events < self.least or (not self.least and summary.active_seconds < summary.seconds):
            return float("nan")
        return METRICS[self.metric](metrics)

    def holds(self, value: float) -> bool:
        """Whether the condition is met; an unknown value meets none."""
        return bool(_SIGNS[self.sign](value, self.limit))
