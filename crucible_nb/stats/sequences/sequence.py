"""`cr.confidence_sequence`: an estimate with an interval that is valid at every look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.serial import StateReader
from crucible_nb.events.metric_names import Metric
from crucible_nb.events.where import Where
from crucible_nb.stats.results import Interval, Result
from crucible_nb.stats.samples.values import is_experiment, rows_where
from crucible_nb.stats.sequences.arrivals import (
    arrivals,
    fill_from_live,
    last_seq,
    metric_in,
    newest_rows,
)
from crucible_nb.stats.sequences.neighbours import Neighbours
from crucible_nb.stats.sequences.select import check_bounds, new_arm_state
from crucible_nb.utils import checks

ASYMPTOTIC = "asymptotic: valid only for large n, not with heavy tails or rare events"


@dataclass(frozen=True, repr=False)
class SequenceResult(Result):
    """A confidence sequence at one look.

    Attributes:
        metric: Name of the metric.
        estimate: Estimate, in the unit of its column.
        confidence_interval: (low, high) of the estimate.
        confidence: Probability that the true value is in the intervals of all looks.
        n: Number of known values.
        missing: Number of events without a value.
        method: Method of the interval, in a sentence.
        asymptotic: Whether the interval is valid only asymptotically.
        warnings: Reasons to doubt the result.
    """

    metric: str
    estimate: float
    confidence_interval: Interval
    confidence: float
    n: int
    missing: int
    method: str
    asymptotic: bool
    warnings: tuple[str, ...] = ()

    @property
    def standard_error(self) -> float:
        """NaN: a confidence sequence holds at every look, and has no standard error."""
        return math.nan


class ConfidenceSequence:
    """A confidence interval that is valid after every event, however often it is read and acted upon.

    With probability `confidence` the true value is inside at all looks together. The interval depends only on the
    values, not on the looks. A look costs the same at any n: rates store two counts, quantiles and bounded means up to
    2,048 different values, then logarithmic buckets at most 1/256 wide, to whose ends limits are rounded outwards.

    Args:
        metric: As for `confidence_sequence`.
        confidence: Probability, in (0, 1).
        bound: (lowest, highest) possible value, for means.
        asymptotic: Whether means without a bound may use the central limit theorem.
        meaning: Resolved metric; None resolves `metric`.

    Examples:
        >>> seq = ConfidenceSequence("p50_latency_ms")
        >>> for ms in range(1, 101):
        ...     _ = seq.update([ms])
        >>> seq.n, seq.estimate, seq.interval.low < 50 < seq.interval.high
        (100, 50.5, True)
    """

    def __init__(
        self, metric: str = "success_rate", confidence: float = 0.95, *, bound: Any = None, asymptotic: bool = False,
        meaning: Metric | None = None,
    ) -> None:  # fmt: skip
        self._metric = metric_in(metric) if meaning is None else meaning
        self.confidence = checks.number("confidence", confidence, gt=0, lt=1)
        self.bound, self._allow_asymptotic = check_bounds(bound), bool(asymptotic)
        self._arm = new_arm_state(self._metric, self.bound, asymptotic=self._allow_asymptotic)
        self._neighbours, self.missing, self._last_seq = Neighbours(), 0, -1

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self._metric.name

    @property
    def n(self) -> int:
        """Number of known values."""
        return self._arm.n

    @property
    def _scale(self) -> float:
        return float(self.n) if self._metric.kind == "total" else 1.0

    @property
    def estimate(self) -> float:
        """The metric of the values so far; NaN without values."""
        return self._arm.estimate * self._scale

    @property
    def interval(self) -> Interval:
        """(low, high) of the estimate; for a total, of the expected total of as many events."""
        low, high = self._arm.interval(1 - self.confidence)
        return Interval(low * self._scale, high * self._scale) if self.n else Interval(low, high)

    @property
    def asymptotic(self) -> bool:
        """Whether the interval is valid only asymptotically."""
        return self._arm.method.startswith("asymptotic")

    @property
    def method(self) -> str:
        """Method of the interval, in a sentence."""
        validity = ASYMPTOTIC if self.asymptotic else "valid at every look"
        return f"{100 * self.confidence:g}% confidence sequence by {self._arm.method}; {validity}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to doubt the interval."""
        return self._neighbours.warnings()

    def update(self, values: Any) -> Self:
        """Add later values to those so far.

        Args:
            values: One value, a list, array or Series, or a frame with the column; missing values are counted. Rows
                that are counted already are noticed by the column `seq`.

        Returns:
            The sequence itself.

        Raises:
            StatError: A value is outside of the bound, a rate has values other than true and false, or rows are counted
                already; none is added.

        Examples:
            >>> ConfidenceSequence().update([True, False, None]).n
            2
        """
        values = [values] if np.isscalar(values) else values
        added = arrivals(values, self._metric, "values", later=self.n > 0, after=self._last_seq)
        self._arm.update(added.x)
        self._last_seq = last_seq(values, self._last_seq)
        self._neighbours.update(added.x)
        self.missing += added.missing
        return self

    def result(self) -> SequenceResult:
        """The current state as a frozen result.

        Examples:
            >>> ConfidenceSequence().update([True, True]).result().estimate
            1.0
        """
        return SequenceResult(
            metric=self.metric, estimate=self.estimate, confidence_interval=self.interval, confidence=self.confidence,
            n=self.n, missing=self.missing, method=self.method, asymptotic=self.asymptotic, warnings=self.warnings,
        )  # fmt: skip

    def to_frame(self) -> Any:
        """The current result as a frame with one row.

        Examples:
            >>> int(ConfidenceSequence().update([True, True]).to_frame().loc[0, "n"])
            2
        """
        return self.result().to_frame()

    def __repr__(self) -> str:
        return repr(self.result()).replace("SequenceResult", "ConfidenceSequence", 1)

    def _repr_html_(self) -> str:
        return self.result()._repr_html_().replace("SequenceResult", "ConfidenceSequence", 1)

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON-compatible data, from which `from_dict` continues; for the interval, see `result`.

        Examples:
            >>> seq = ConfidenceSequence().update([True, True, False])
            >>> ConfidenceSequence.from_dict(seq.to_dict()).interval == seq.interval
            True
        """
        return {
            "kind": "confidence_sequence", "version": 1, "metric": dict(self._metric._asdict()),
            "confidence": self.confidence, "bound": None if self.bound is None else list(self.bound),
            "asymptotic": self._allow_asymptotic, "missing": self.missing, "arm": self._arm.to_dict(),
            "neighbours": self._neighbours.to_dict(), "last_seq": self._last_seq,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Restore a sequence from the state that `to_dict` gave.

        Raises:
            StoreError: The state is broken or from a newer release.

        Examples:
            >>> seq = ConfidenceSequence.from_dict(ConfidenceSequence().update([True]).to_dict())
            >>> seq.update([False]).estimate
            0.5
        """
        reader = StateReader(state, "confidence_sequence")
        try:
            meaning = metric_from_dict(state["metric"])
            new = cls(
                meaning.name, state["confidence"], bound=state["bound"], asymptotic=state["asymptotic"], meaning=meaning
            )
            new._arm.restore(state["arm"])
            new._neighbours = Neighbours.from_dict(state["neighbours"])
            new._last_seq = int(state.get("last_seq", -1))
        except (KeyError, TypeError, ValueError) as error:
            raise reader.broken(error) from error
        new.missing = reader.whole("missing")
        return new


def metric_from_dict(state: Mapping[str, Any]) -> Metric:
    """Restore a metric from plain data, in which null is NaN."""
    return Metric(**{**state, "q": float("nan") if state["q"] is None else float(state["q"])})


def confidence_sequence(
    data: Any = None,
    metric: str = "success_rate",
    confidence: float = 0.95,
    bound: Any = None,
    asymptotic: bool = False,
    *,
    where: Where = None,
) -> ConfidenceSequence:
    """Start a confidence sequence: an interval that is valid however often it is read.

    Args:
        data: All events so far: None or [] to start without values, values, a Series, a frame (sorted by `seq`), or an
            experiment, whose success_rate, quantiles of latency_ms and asymptotic means come from all events, also
            those that sampling dropped.
        metric: "success_rate", a column of booleans, "p50_", "p95_", ... and a column; "mean_", "total_" or a column
            name with a bound.
        confidence: Probability that the true value is inside at all looks together, in (0, 1).
        bound: (lowest, highest) possible value, known beforehand, in the unit of the column.
        asymptotic: Give means without a bound an interval that is valid only asymptotically.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        A `ConfidenceSequence`; `.update(values)` adds later values.

    Raises:
        ConfigError: An argument is not accepted.
        SchemaError: No such column.
        StatError: A mean without a bound, a value outside of it, or rows that are not all events so far.

    Examples:
        >>> seq = confidence_sequence([True] * 95 + [False] * 5)
        >>> seq.n, seq.interval.low < 0.95 < seq.interval.high
        (100, True)
        >>> wide = seq.interval
        >>> _ = seq.update([True] * 1900 + [False] * 100)
        >>> seq.interval.high - seq.interval.low < wide.high - wide.low
        True

    References:
        Howard, Ramdas, McAuliffe and Sekhon: Time-uniform, nonparametric, nonasymptotic confidence sequences. Ann.
        Stat. 49 (2021). Bahadur and Savage: The nonexistence of certain statistical procedures in nonparametric
        problems. Ann. Math. Stat. 27 (1956). See also the modules of `crucible_nb.stats.sequences`.
    """
    [data] = rows_where(where, data)
    checks.text("metric", metric)
    new = ConfidenceSequence(metric, confidence, bound=bound, asymptotic=asymptotic, meaning=metric_in(metric, data))
    if data is None:
        return new
    missing = fill_from_live(new._arm, new._metric, data.metrics()) if is_experiment(data) else None
    if missing is None:
        return new.update(data)
    new.missing = missing
    new._last_seq = last_seq(data)
    new._neighbours.update(newest_rows(data, new._metric))
    return new


def success_sequence(metrics: Any, confidence: float = 0.95) -> ConfidenceSequence:
    """Confidence sequence of the success rate from the counts of live metrics, without reading rows.

    Args:
        metrics: `Metrics` of all events so far.
        confidence: As for `confidence_sequence`.

    Raises:
        StatError: Events were recorded with weights.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> frame = pd.DataFrame({"success": [True] * 95 + [False] * 5})
        >>> seq = success_sequence(frame.crucible.metrics())
        >>> seq.interval == confidence_sequence(frame).interval
        True
    """
    new = ConfidenceSequence("success_rate", confidence)
    new.missing = fill_from_live(new._arm, new._metric, metrics) or 0
    return new
