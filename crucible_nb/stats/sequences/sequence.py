"""`cr.confidence_sequence`: one number and its interval, valid at every look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.serial import StateReader
from crucible_nb.stats.results import Interval, Result
from crucible_nb.stats.samples.values import Metric
from crucible_nb.stats.sequences.arrivals import arrivals, is_experiment, metric_in, newest_rows, take_live
from crucible_nb.stats.sequences.neighbours import Neighbours
from crucible_nb.stats.sequences.select import bound_of, state_for_arm
from crucible_nb.utils import checks

LONG_RUN = "asymptotic: right in the long run only, not at small n, heavy tails or rare events"


@dataclass(frozen=True, repr=False)
class SequenceResult(Result):
    """What a confidence sequence says at one look.

    Attributes:
        metric: What was asked for.
        estimate: The number, in the unit of its column.
        confidence_interval: (low, high).
        confidence: Probability that the truth is in every interval of every look.
        n: Values taken in.
        missing: Events without a value, left out.
        method: How the interval is made.
        asymptotic: Whether the promise is one for the long run only.
        warnings: What a reader should know.
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


class ConfidenceSequence:
    """An interval that may be looked at after every event, as often as one likes, and acted upon.

    With probability `confidence` the truth is inside at all looks together. What it says is a function of the values
    taken in: looking changes nothing. A look costs the same at any n: rates keep two counts, quantiles and bounded
    means up to 2,048 different values, then logarithmic buckets at most 1/256 wide, to whose ends limits are rounded
    outwards.

    Args:
        metric: As for `confidence_sequence`.
        confidence: In (0, 1).
        bound: (lowest, highest) of the values, for means.
        asymptotic: Whether means without a bound may use the central limit theorem.

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
        self._metric = metric_in(None, metric) if meaning is None else meaning
        self.confidence = checks.number("confidence", confidence, gt=0, lt=1)
        self.bound, self._asked = bound_of(bound), bool(asymptotic)
        self._arm = state_for_arm(self._metric, self.bound, asymptotic=self._asked)
        self._near, self.missing = Neighbours(), 0

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self._metric.name

    @property
    def n(self) -> int:
        """Values taken in."""
        return self._arm.n

    @property
    def _scale(self) -> float:
        return float(self.n) if self._metric.kind == "total" else 1.0

    @property
    def estimate(self) -> float:
        """The metric of what was taken in; NaN of nothing."""
        return self._arm.estimate * self._scale

    @property
    def interval(self) -> Interval:
        """(low, high); of a total, what as many events cost in the long run."""
        low, high = self._arm.interval(1 - self.confidence)
        return Interval(low * self._scale, high * self._scale) if self.n else Interval(low, high)

    @property
    def asymptotic(self) -> bool:
        """Whether the promise is one for the long run only."""
        return self._arm.method.startswith("asymptotic")

    @property
    def method(self) -> str:
        """How the interval is made, in a sentence."""
        tail = LONG_RUN if self.asymptotic else "valid at every look"
        return f"{100 * self.confidence:g}% confidence sequence by {self._arm.method}; {tail}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        return self._near.warnings()

    def update(self, values: Any) -> Self:
        """Take later values in; what came before stays.

        Args:
            values: One value, a list, array or Series, or a frame with the column; missing ones are counted.

        Returns:
            The sequence itself.

        Raises:
            StatError: A value is outside of the bound or no outcome; then nothing was taken in.

        Examples:
            >>> ConfidenceSequence().update([True, False, None]).n
            2
        """
        found = arrivals([values] if np.isscalar(values) else values, self.metric, "values", later=self.n > 0)
        self._arm.update(found.x)
        self._near.update(found.x)
        self.missing += found.missing
        return self

    def result(self) -> SequenceResult:
        """What it says now, frozen.

        Examples:
            >>> ConfidenceSequence().update([True, True]).result().estimate
            1.0
        """
        return SequenceResult(
            self.metric, self.estimate, self.interval, self.confidence, self.n, self.missing, self.method,
            self.asymptotic, self.warnings,
        )  # fmt: skip

    def to_frame(self) -> Any:
        """What it says now, as one row.

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
        """The whole state as plain data that JSON can hold; for what it says, see `result`.

        Examples:
            >>> seq = ConfidenceSequence().update([True, True, False])
            >>> ConfidenceSequence.from_dict(seq.to_dict()).interval == seq.interval
            True
        """
        return {
            "kind": "confidence_sequence", "version": 1, "metric": dict(self._metric._asdict()),
            "confidence": self.confidence, "bound": None if self.bound is None else list(self.bound),
            "asymptotic": self._asked, "missing": self.missing, "arm": self._arm.to_dict(),
            "neighbours": self._near.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The sequence whose `to_dict` gave `state`.

        Raises:
            StoreError: The state is broken or from a newer release.

        Examples:
            >>> seq = ConfidenceSequence.from_dict(ConfidenceSequence().update([True]).to_dict())
            >>> seq.update([False]).estimate
            0.5
        """
        opened = StateReader(state, "confidence_sequence")
        try:
            meaning = meaning_of(state["metric"])
            new = cls(
                meaning.name, state["confidence"], bound=state["bound"], asymptotic=state["asymptotic"], meaning=meaning
            )
            new._arm.restore(state["arm"])
            new._near = Neighbours.from_dict(state["neighbours"])
        except (KeyError, TypeError, ValueError) as error:
            raise opened.broken(error) from error
        new.missing = opened.whole("missing")
        return new


def meaning_of(state: Mapping[str, Any]) -> Metric:
    """A metric out of plain data; JSON has no NaN."""
    return Metric(**{**state, "q": float("nan") if state["q"] is None else float(state["q"])})


def confidence_sequence(
    data: Any = None,
    metric: str = "success_rate",
    confidence: float = 0.95,
    bound: Any = None,
    asymptotic: bool = False,
) -> ConfidenceSequence:
    """A confidence interval that stays valid however often it is looked at.

    Args:
        data: Everything so far: None or [] to begin with nothing, values, a Series, a frame (ordered by `seq`), or an
            experiment, whose success_rate, quantiles of latency_ms and asymptotic means come from every event, kept
            or not.
        metric: "success_rate", "p50_", "p95_", ... and a column; "mean_", "total_" or a bare column with a bound.
        confidence: Probability that the truth is inside at all looks together, in (0, 1).
        bound: (lowest, highest) that a value can have, a fact known beforehand; in the unit of the column.
        asymptotic: Give means without a bound an interval that is right in the long run only.

    Returns:
        A `ConfidenceSequence`; `.update(values)` takes later values in.

    Raises:
        ConfigError: An argument is not what is accepted.
        SchemaError: No such column.
        StatError: A mean without a bound, a value outside of it, or rows that are not everything so far.

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
    checks.text("metric", metric)
    new = ConfidenceSequence(metric, confidence, bound=bound, asymptotic=asymptotic, meaning=metric_in(data, metric))
    if data is None:
        return new
    missing = take_live(new._arm, new._metric, data.metrics()) if is_experiment(data) else None
    if missing is None:
        return new.update(data)
    new.missing = missing
    new._near.update(newest_rows(data, metric))
    return new


def success_sequence(found: Any, confidence: float = 0.95) -> ConfidenceSequence:
    """That of the success rate, from counts of every event alone: no row is read.

    Args:
        found: `Metrics` of every event so far.
        confidence: As for `confidence_sequence`.

    Raises:
        StatError: Events came with weights.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> frame = pd.DataFrame({"success": [True] * 95 + [False] * 5})
        >>> seq = success_sequence(frame.crucible.metrics())
        >>> seq.interval == confidence_sequence(frame).interval
        True
    """
    new = ConfidenceSequence("success_rate", confidence)
    new.missing = take_live(new._arm, new._metric, found) or 0
    return new
