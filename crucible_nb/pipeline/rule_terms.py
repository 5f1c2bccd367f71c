"""Terms of a rule: its statistic, and the numbers of each event that count towards it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from crucible_nb.events.batch import Batch

_ORDER = re.compile(r"(p\d+|min|max)_(\w+)")
_SUM = re.compile(r"(mean|total)_(\w+)")


@dataclass(frozen=True, slots=True)
class Terms:
    """The statistic and the column of the metric of a rule.

    Attributes:
        statistic: "share", "count", "total", "mean", "quantile", "min" or "max".
        column: Column of the numbers; "success" for outcomes, None for events.
        outcome: Outcome that is counted, for a share or a count of outcomes.
        q: Quantile as a fraction.
        per: Unit of time in nanoseconds that a count or total is divided by; None for none.

    Examples:
        >>> Terms.of("p95_latency_ms")
        Terms(statistic='quantile', column='latency_ms', outcome=True, q=Fraction(19, 20), per=None)
        >>> Terms.of("error_rate").statistic
        'share'
    """

    statistic: str
    column: str | None
    outcome: bool = True
    q: Fraction = Fraction(0)
    per: int | None = None

    @classmethod
    def of(cls, metric: str) -> Terms:
        """Return the terms of a metric of a rule."""
        if metric in _NAMED:
            return _NAMED[metric]
        found = _ORDER.fullmatch(metric)
        if found is not None and not found[1].startswith("m"):
            return cls("quantile", found[2], q=Fraction(int(found[1][1:]), 10 ** len(found[1][1:])))
        found = found or _SUM.fullmatch(metric)
        if found is None:
            raise ValueError(f"unknown metric {metric!r}")
        return cls(found[1], found[2])

    def known(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of a batch, and a mask of those that are known.

        Returns:
            float64[n], with outcomes as 0 and 1 and events as 1; bool[n].
        """
        if self.column is None:
            return np.ones(len(batch)), np.ones(len(batch), np.bool_)
        cells = batch.cells.get(self.column)
        if cells is None or cells.kind in ("category", "string"):
            return np.full(len(batch), np.nan), np.zeros(len(batch), np.bool_)
        values = cells.floats()
        if self.column == "success":
            values = np.where(np.isnan(values), np.nan, (values == self.outcome).astype(np.float64))
        return values, ~np.isnan(values)


_SECOND = 10**9
_NAMED = {
    "error_rate": Terms("share", "success", outcome=False),
    "success_rate": Terms("share", "success"),
    "failure_count": Terms("count", "success", outcome=False),
    "total_tokens": Terms("total", "total_tokens"),
    "event_count": Terms("count", None),
    "events_per_second": Terms("count", None, per=_SECOND),
    "cost_per_hour": Terms("total", "cost_usd", per=3600 * _SECOND),
}
