"""Service level objectives: a share of good events with its interval, the error budget, and how fast it is spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.conditions import parse_condition
from crucible_nb.stats import confidence_interval
from crucible_nb.stats.results import Interval, Result, number

WINDOWS = ("5min", "30min", "1h", "6h", "3D")
"""Windows of burn rates, as in the alerts of the workbook."""


@dataclass(frozen=True, repr=False)
class ServiceLevel(Result):
    """How well a service level objective is met, over the kept rows (weighted, where rows were sampled).

    Attributes:
        condition: Condition of a good event.
        target: Share of good events that is aimed at.
        sli: Service level indicator: the share of good events; NaN without any that is known.
        confidence_interval: (low, high) of the share, of the process that makes the events; clustered by session if
            sessions have several events.
        confidence: Coverage of the interval.
        n: Number of rows for which the condition is known.
        unknown: Number of rows for which it is not; they are neither good nor bad.
        allowed: Error budget: number of bad events that the target allows.
        spent: Number of bad events.
        left: Bad events that are left; negative once the budget is overspent.
        left_share: Share of the error budget that is left.
        burn: Burn rate by window: share of bad events in the last window, divided by the share that the target allows;
            1 spends exactly the budget. NaN without events.
        method: Method of the interval.
        warnings: Reasons to doubt the interval.
        text: One paragraph.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> calls = pd.DataFrame({"latency_ms": [400.0] * 97 + [2500.0] * 3})
        >>> with cr.start("service") as exp:
        ...     _ = exp.extend(calls)
        >>> level = exp.slo("latency_ms < 2000", target=0.95)
        >>> level.sli, level.allowed, level.spent, level.left, round(level.burn["1h"], 3)
        (0.97, 5.0, 3.0, 2.0, 0.6)

    References:
        Beyer, Murphy, Rensin, Kawahara and Thorne (2018), The Site Reliability Workbook, chapters 2 and 5. O'Reilly.
    """

    condition: str
    target: float
    sli: float
    confidence_interval: Interval
    confidence: float
    n: int
    unknown: int
    allowed: float
    spent: float
    left: float
    left_share: float
    burn: Mapping[str, float]
    method: str = ""
    warnings: tuple[str, ...] = ()
    text: str = ""

    def _rows(self) -> list[tuple[str, str]]:
        shown = ", ".join(f"{rate:.3g} over {window}" for window, rate in self.burn.items() if rate == rate)
        return [(name, shown or "no events") if name == "burn" else (name, value) for name, value in super()._rows()]


def service_level(
    rows: pd.DataFrame, condition: str, target: float, now: int, windows: Mapping[str, int], confidence: float
) -> ServiceLevel:
    """Compute how well an objective is met.

    Args:
        rows: Rows with a time index.
        condition: Condition of a good event.
        target: Share of good events that is aimed at.
        now: End of the windows, UTC nanoseconds.
        windows: Lengths of the windows of burn rates in nanoseconds, by name.
        confidence: Coverage of the interval.

    Raises:
        SchemaError: Values of a column do not support the condition.
    """
    parsed = parse_condition(condition, "condition")
    absent = {name: np.nan for name in parsed.columns if name not in rows.columns and name != rows.index.name}
    good = parsed.of_frame(rows.assign(**absent) if absent else rows)
    weight = numbers_of(rows["weight"], "weight") if "weight" in rows.columns else np.ones(len(rows))
    times = rows.index.asi8  # type: ignore[attr-defined]
    known = ~np.isnan(good)
    total, bad = float(weight[known].sum()), float(weight[known & (good == 0)].sum())
    share = float(1 - Decimal(repr(target)))
    burn = {}
    for name, length in windows.items():
        inside = known & (times >= now - length)
        seen = float(weight[inside].sum())
        burn[name] = float(weight[inside & (good == 0)].sum()) / seen / share if seen else math.nan
    interval, method, clusters = Interval(math.nan, math.nan), "", ""
    warnings: tuple[str, ...] = ()
    try:
        columns = [name for name in ("session_id", "weight") if name in rows.columns]
        frame = rows[columns].assign(success=pd.array(np.where(known, good, 0) == 1, "boolean"))
        frame = frame[known]
        found = confidence_interval(frame, metric="success_rate", confidence=confidence, of="process")
        interval, method, warnings = found.confidence_interval, found.method, found.warnings
        clusters = next((f", {one.split(' are ')[0]}" for one in found.assumptions if " clusters (" in one), "")
    except StatError:  # too few rows
        pass
    sli = (total - bad) / total if total else math.nan
    allowed = share * total
    return ServiceLevel(
        condition=condition,
        target=target,
        sli=sli,
        confidence_interval=interval,
        confidence=confidence,
        n=int(known.sum()),
        unknown=int(len(rows) - known.sum()),
        allowed=round(allowed, 9),
        spent=bad,
        left=round(allowed - bad, 9),
        left_share=1 - bad / allowed if allowed else math.nan,
        burn=burn,
        method=method,
        warnings=warnings,
        text=_text(condition, target, sli, interval, confidence, int(known.sum()), clusters, allowed, bad, burn),
    )


def _text(
    condition: str,
    target: float,
    sli: float,
    interval: Interval,
    confidence: float,
    n: int,
    clusters: str,
    allowed: float,
    bad: float,
    burn: Mapping[str, float],
) -> str:
    if not n:
        return f"No event tells yet whether {condition}; the objective is {100 * target:g}%."
    sure = "" if math.isnan(interval.low) else f"{confidence:.4g}".rstrip("0")
    limits = f"{100 * interval.low:.4g}% to {100 * interval.high:.4g}%"
    between = f" ({100 * confidence:g}% confidence interval {limits}{clusters})" if sure else ""
    rates: Sequence[str] = [f"{rate:.3g} over {window}" for window, rate in burn.items() if rate == rate]
    left = allowed - bad
    budget = f"{number(left)} left" if left >= 0 else f"overspent by {number(-left)}"
    return (
        f"{condition} held for {100 * sli:.4g}% of {n:,} events{between}; the objective is {100 * target:g}%. "
        f"Error budget: {number(allowed)} bad events allowed, {number(bad)} spent, {budget}."
        + (f" Burn rate: {', '.join(rates)}." if rates else "")
    )
