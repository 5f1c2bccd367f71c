"""The sections of `Metrics`: span, latency, cost, reliability, tokens and summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.accumulators import Quantiles
from crucible_nb.errors import ConfigError
from crucible_nb.utils.suggest import Near


class Span(NamedTuple):
    """First and last time covered, both included, as UTC Timestamps; NaT without events.

    Examples:
        >>> from crucible_nb.metrics import Metrics
        >>> Metrics().span.start
        NaT
    """

    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Latency(Near):
    """Latency of the events with a known latency, in milliseconds.

    Attributes:
        count: Number of events with a known latency (the sum of their weights, where rows were sampled).
        mean, std, variance, min, max: Moments and extremes in ms (variance in ms², with n - 1); NaN until known.
        p50, p90, p95, p99: Quantiles in ms.
        exact: Whether the quantiles are exact.
        error_bound: Largest relative error of a quantile; 0 if exact.

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
        """Compute a quantile of the latency.

        Args:
            q: A number in [0, 1], or an array of numbers.

        Returns:
            Latency in ms, interpolated linearly between order statistics; float, or float64 of the shape of `q`.

        Raises:
            ConfigError: `q` is outside [0, 1].

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
class Cost(Near):
    """Cost of the events with a known cost, in USD.

    Attributes:
        count: Number of events with a known cost.
        total: Total cost in USD; NaN if none is known.
        mean: Mean cost per event in USD.
        per_1k_requests, per_1m_requests: Mean cost per 1,000 and per 1,000,000 events in USD.

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
class Reliability(Near):
    """Success of the events with a known outcome.

    Attributes:
        total_requests, successful, failed: Numbers of events with a known outcome, of successes and of failures.
        success_rate: successful / total_requests; NaN if no outcome is known.
        sla_99, sla_999, sla_9999: Whether the rate reaches 0.99, 0.999, 0.9999; None if unknown.

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
class Tokens(Near):
    """Tokens of the events that report them; totals are NaN if no event does.

    Attributes:
        total_prompt, total_completion, total: Total numbers of tokens.
        mean_prompt, mean_completion, mean_total: Mean numbers of tokens per event.

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
class Summary(Near):
    """Number of events, durations and rates.

    Attributes:
        events: Number of events.
        seconds: Wall time in seconds: of the window that was asked for, otherwise from the first start of an event
            (its time - its latency) to the last time.
        active_seconds: Wall time without pauses in seconds; rates are per active time.
        events_per_second: Rate of events; NaN if the span is empty.
        tokens_per_second: Rate of all tokens, those of prompts too.
        output_tokens_per_second: Rate of completion tokens.
        cost_per_hour: Rate of the cost in USD.

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
    output_tokens_per_second: float = float("nan")
