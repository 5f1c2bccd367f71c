"""Terms of a rule: its statistic, and the numbers of each event that count towards it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.events.metric_names import EVENTS, Metric, metric_of

SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
"""Comparisons of a rule with a limit."""

_SECOND = 10**9
_PER_TIME = re.compile(r"(?P<amount>.+)_per_(?:second|minute|hour|day)")


class Observed(NamedTuple):
    """Events of a batch as a rule sees them.

    Attributes:
        time: Their times, UTC nanoseconds, int64[n].
        clock: Newest time of any event up to each, int64[n].
        row: Index of each in its batch, int64[n].
        begins: Start of each, its time - its latency, int64[n].
        began: First start of any event before each, int64[n]; the largest integer without one.
        values: Numbers, float64[n].
        known: Which of them count, bool[n].
        per: Numbers that a ratio divides by, float64[n]; None for other metrics.
    """

    time: np.ndarray
    clock: np.ndarray
    row: np.ndarray
    begins: np.ndarray
    began: np.ndarray
    values: np.ndarray
    known: np.ndarray
    per: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Number of events."""
        return len(self.time)

    def take(self, rows: np.ndarray) -> Observed:
        """Return some of the events."""
        cut = Observed(*(one[rows] for one in self[:-1]))
        return cut if self.per is None else cut._replace(per=self.per[rows])

    def only(self, counted: np.ndarray) -> Observed:
        """Return the same events, of which only some count."""
        return self._replace(values=np.where(counted, self.values, np.nan), known=self.known & counted)


@dataclass(frozen=True, slots=True)
class Terms:
    """The statistic and the column of the metric of a rule.

    Attributes:
        statistic: "share", "count", "total", "mean", "quantile", "min", "max", "first", "last" or "ratio".
        column: Column of the numbers; "success" for outcomes, None for events or a condition.
        outcome: Outcome that is counted, for a share or a count of outcomes.
        q: Quantile as a fraction.
        per: Unit of time in nanoseconds that a count or total is divided by; None for none.
        condition: Condition that is counted; None for a column.
        per_column: Column whose total a ratio divides by.
        allowed: Share that a share is divided by: 1, or the error budget of a burn rate.
        is_exact: Whether totals are rounded only once at every check, as a ratio needs them.

    Examples:
        >>> Terms.of("p95_ttft_ms").statistic, Terms.of("p95_ttft_ms").column, Terms.of("p95_ttft_ms").q
        ('quantile', 'ttft_ms', Fraction(19, 20))
        >>> Terms.of("share(latency_ms < 2000 and success)").condition
        'latency_ms < 2000 and success'
        >>> Terms.of("retries_per_minute").per, Terms.of("cost_usd_per_pages").per_column
        (60000000000, 'pages')
    """

    statistic: str
    column: str | None
    outcome: bool = True
    q: Fraction = Fraction(0)
    per: int | None = None
    condition: str | None = None
    per_column: str | None = None
    allowed: float = 1.0
    is_exact: bool = False

    @classmethod
    def of(cls, metric: str) -> Terms:
        """Return the terms of a metric of a rule.

        Raises:
            ConfigError, StatError: It is no metric.
        """
        if metric in _NAMED:
            return _NAMED[metric]
        found = _metric(metric)
        if found.condition is not None:
            return cls("share" if found.kind == "rate" else "count", None, condition=found.condition)
        column = None if found.column == EVENTS else found.column
        if found.kind == "rate":
            return cls("share", column)
        if found.kind == "per_time":
            return cls("count" if column is None else "total", column, per=round(found.seconds * _SECOND))
        q = Fraction(0) if found.kind != "quantile" else Fraction(found.q).limit_denominator(10**9)
        return cls(found.kind, column, q=q, per_column=found.per)

    @classmethod
    def burn_rate(cls, condition: str, target: float) -> Terms:
        """Return the terms of a burn rate: the share of bad events, divided by the share that a target allows."""
        allowed = float(1 - Decimal(repr(target)))
        return cls("share", None, condition=f"not ({condition})", allowed=allowed)

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share, from 0 to 1."""
        return self.statistic == "share" and self.allowed == 1

    @property
    def counts_costs(self) -> bool:
        """Whether the metric lacks the events whose model has no price."""
        return "cost_usd" in (self.column, self.per_column)

    def halves(self) -> tuple[Terms, Terms]:
        """Return the terms of both totals of a ratio."""
        total = replace(self, statistic="total", per_column=None, is_exact=True)
        return total, replace(total, column=self.per_column)


def _metric(name: str) -> Metric:
    """Read a metric name; a name with "_per_" is a rate or a ratio of columns that no event had yet."""
    found = metric_of(name)
    if found.kind != "mean" or found.column != name or "_per_" not in name:
        return found
    rate = _PER_TIME.fullmatch(name)
    amounts = (rate["amount"],) if rate is not None else name.split("_per_", 1)
    return metric_of(name, amounts)


_NAMED = {
    "error_rate": Terms("share", "success", outcome=False),
    "success_rate": Terms("share", "success"),
    "failure_count": Terms("count", "success", outcome=False),
    "success_count": Terms("count", "success"),
    "total_tokens": Terms("total", "total_tokens"),
    "event_count": Terms("count", None),
    "events_per_second": Terms("count", None, per=_SECOND),
    "cost_per_hour": Terms("total", "cost_usd", per=3600 * _SECOND),
}
