"""The difference of two arms, valid at every look: estimate, interval, evidence, and the look that decided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from crucible_nb.accumulators.serial import StateReader
from crucible_nb.errors import StatError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.metric_names import Metric
from crucible_nb.stats.results import Interval, Result
from crucible_nb.stats.samples.values import bare_series, is_experiment
from crucible_nb.stats.sequences.arrivals import (
    arrivals,
    fill_from_live,
    last_seq,
    metric_in,
    newest_rows,
)
from crucible_nb.stats.sequences.neighbours import Neighbours
from crucible_nb.stats.sequences.select import check_bounds, new_two_arm_state
from crucible_nb.stats.sequences.sequence import ASYMPTOTIC, metric_from_dict
from crucible_nb.stats.sequences.two_arm_states import TwoMeans, TwoQuantiles, TwoRates
from crucible_nb.utils import checks

_ESTIMANDS = {"rate": "difference of rates", "mean": "difference of means", "total": "difference of means per event"}


@dataclass(frozen=True, repr=False)
class DifferenceResult(Result):
    """The difference of two arms, treatment - control, at one look.

    Attributes:
        metric: Metric that was compared.
        estimate: Difference, in the unit of the column; NaN until both arms have values.
        estimand: Quantity whose difference is estimated.
        confidence_interval: (low, high) of the difference.
        confidence: Probability that the true difference is in the interval at all looks together.
        evidence: E-value against no difference: the capital of bets against it, which start with 1; may be infinite.
        pvalue: min(1, 1 / evidence), valid at every look.
        decided: Whether the p-value is at most 1 - confidence.
        decided_at: Number of values of (control, treatment) at the first look that decided; None without `looks`, or
            if none decided.
        n: Number of known values, (n_control, n_treatment).
        missing: Number of events without a value, (control, treatment).
        method: Method, in a sentence.
        asymptotic: Whether the interval is valid only asymptotically.
        warnings: Reasons to doubt the result.
    """

    metric: str
    estimate: float
    estimand: str
    confidence_interval: Interval
    confidence: float
    evidence: float
    pvalue: float
    decided: bool
    decided_at: tuple[int, int] | None
    n: tuple[int, int]
    missing: tuple[int, int]
    method: str
    asymptotic: bool
    warnings: tuple[str, ...] = ()


class Difference:
    """The difference of two arms, valid at every look; it depends only on the values, not on the looks.

    Rates use only their counts, quantiles a grid of counts (see `ConfidenceSequence`): arms may grow at different
    speeds, and the order does not matter. Bounded means are compared in pairs, the i-th value of the control with the
    i-th of the treatment; the values of a longer arm wait for a partner.

    Args:
        metric: "success_rate", "p50_", "p95_", ... and a column; "mean_", "total_" or a column name with a bound
            (totals are compared per event, since arms may differ in length).
        confidence: Probability, in (0, 1); 0.95 decides wrongly on at most 1 in 20 comparisons of equal arms, whenever
            they are stopped.
        bound: (lowest, highest) possible value, known beforehand. Quantiles and rates do not need it.
        asymptotic: Whether means without a bound may use the central limit theorem.
        paired: Whether the i-th values of both arms are of the same item, and thus dependent; not for quantiles.
        meaning: Resolved metric; None resolves `metric`.

    Raises:
        StatError: A mean without a bound, or a metric that has no valid sequence.

    Examples:
        >>> rng = np.random.default_rng(1)
        >>> diff = Difference("success_rate")
        >>> for _ in range(10):
        ...     _ = diff.update(control=rng.random(100) < 0.98, treatment=rng.random(100) < 0.90)
        >>> diff.n, diff.decided, diff.interval.high < 0
        ((1000, 1000), True, True)
    """

    def __init__(
        self,
        metric: str = "success_rate",
        confidence: float = 0.95,
        *,
        bound: Any = None,
        asymptotic: bool = False,
        paired: bool = False,
        meaning: Metric | None = None,
    ) -> None:
        self._metric = metric_in(metric) if meaning is None else meaning
        self.confidence = checks.number("confidence", confidence, gt=0, lt=1)
        self.bound, self._allow_asymptotic, self.paired = check_bounds(bound), bool(asymptotic), bool(paired)
        self._arms = new_two_arm_state(self._metric, self.bound, asymptotic=self._allow_asymptotic, paired=self.paired)
        self._neighbours = Neighbours(), Neighbours()
        self.missing, self._last_seqs = (0, 0), [-1, -1]

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self._metric.name

    @property
    def n(self) -> tuple[int, int]:
        """Number of known values, (control, treatment)."""
        return self._arms.n

    @property
    def estimate(self) -> float:
        """Difference treatment - control; NaN until both arms have values."""
        return self._arms.estimate

    @property
    def interval(self) -> Interval:
        """(low, high) of the difference."""
        return self._arms.interval(1 - self.confidence)

    @property
    def log_evidence(self) -> float:
        """Log of the evidence against no difference; it decides at log(1 / (1 - confidence))."""
        return self._arms.log_evidence()

    @property
    def evidence(self) -> float:
        """E-value against no difference: the capital of bets against it, which start with 1."""
        return _exp(self.log_evidence)

    @property
    def pvalue(self) -> float:
        """min(1, 1 / evidence): valid at every look."""
        return min(1.0, _exp(-self.log_evidence))

    @property
    def decided(self) -> bool:
        """Whether the arms differ at this confidence."""
        return self.log_evidence >= -math.log(1 - self.confidence)

    @property
    def asymptotic(self) -> bool:
        """Whether the interval is valid only asymptotically."""
        return self._arms.method.startswith("asymptotic")

    @property
    def method(self) -> str:
        """Method, in a sentence."""
        validity = ASYMPTOTIC if self.asymptotic else "valid at every look"
        return f"{100 * self.confidence:g}% confidence sequence of the difference by {self._arms.method}; {validity}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to doubt the result."""
        control, treatment = self._neighbours
        return control.warnings("control") + treatment.warnings("treatment")

    def update(self, control: Any = (), treatment: Any = ()) -> Self:
        """Add later values of the arms, in order of arrival.

        Args:
            control, treatment: Lists, arrays, Series or frames with the column; missing values are counted, and with
                paired=True the whole pair is left out.

        Returns:
            The difference itself.

        Raises:
            StatError: A value is outside of the bound, a rate has values other than true and false, rows are counted
                already (by the column `seq`), or paired arms differ in length.

        Examples:
            >>> Difference().update(control=[True, False], treatment=[True]).update(treatment=[True]).estimate
            0.5
        """
        sides = [np.asarray(x) if isinstance(x, tuple) else x for x in (control, treatment)]
        if self.paired:
            sides = _whole_pairs(*sides)
        one, two = (
            arrivals(side, self._metric, name, later=n > 0, after=last)
            for side, name, n, last in zip(sides, ("control", "treatment"), self.n, self._last_seqs, strict=True)
        )
        self._arms.update(one.x, two.x)
        self._last_seqs = [last_seq(side, last) for side, last in zip(sides, self._last_seqs, strict=True)]
        for neighbours, added in zip(self._neighbours, (one, two), strict=True):
            neighbours.update(added.x)
        self.missing = (self.missing[0] + one.missing, self.missing[1] + two.missing)
        return self

    def result(self, decided_at: tuple[int, int] | None = None) -> DifferenceResult:
        """The current state as a frozen result.

        Args:
            decided_at: Value of its field `decided_at`.

        Examples:
            >>> Difference().update([True, False], [True, True]).result().pvalue
            1.0
        """
        log = self.log_evidence
        estimand = _ESTIMANDS.get(self._metric.kind, f"difference of {self.metric.split('_')[0]}")
        return DifferenceResult(
            metric=self.metric, estimate=self.estimate, estimand=estimand, confidence_interval=self.interval,
            confidence=self.confidence, evidence=_exp(log), pvalue=min(1.0, _exp(-log)),
            decided=log >= -math.log(1 - self.confidence), decided_at=decided_at, n=self.n, missing=self.missing,
            method=self.method, asymptotic=self.asymptotic, warnings=self.warnings,
        )  # fmt: skip

    def __repr__(self) -> str:
        return repr(self.result()).replace("DifferenceResult", "Difference", 1)

    def _repr_html_(self) -> str:
        return self.result()._repr_html_().replace("DifferenceResult", "Difference", 1)

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON-compatible data, from which `from_dict` continues; for the interval, see `result`.

        Examples:
            >>> diff = Difference().update([True, False], [True, True])
            >>> Difference.from_dict(diff.to_dict()).interval == diff.interval
            True
        """
        return {
            "kind": "difference", "version": 1, "metric": dict(self._metric._asdict()), "confidence": self.confidence,
            "bound": None if self.bound is None else list(self.bound), "asymptotic": self._allow_asymptotic,
            "paired": self.paired, "missing": list(self.missing), "duel": self._arms.to_dict(),
            "neighbours": [neighbours.to_dict() for neighbours in self._neighbours], "last_seqs": list(self._last_seqs),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Restore a difference from the state that `to_dict` gave.

        Raises:
            StoreError: The state is broken or from a newer release.

        Examples:
            >>> Difference.from_dict(Difference("p50_x").update([1.0], [3.0]).to_dict()).estimate
            2.0
        """
        reader = StateReader(state, "difference")
        try:
            meaning = metric_from_dict(state["metric"])
            new = cls(
                meaning.name, state["confidence"], bound=state["bound"], asymptotic=state["asymptotic"],
                paired=state["paired"], meaning=meaning,
            )  # fmt: skip
            new._arms.restore(state["duel"])
            one, two = (Neighbours.from_dict(neighbours) for neighbours in state["neighbours"])
            missing = [int(count) for count in state["missing"]]
            new._last_seqs = [int(last) for last in state.get("last_seqs", (-1, -1))]
        except (KeyError, TypeError, ValueError) as error:
            raise reader.broken(error) from error
        new._neighbours, new.missing = (one, two), (missing[0], missing[1])
        return new


def difference(
    control: Any,
    treatment: Any,
    metric: str = "success_rate",
    confidence: float = 0.95,
    *,
    bound: Any = None,
    asymptotic: bool = False,
    paired: bool = False,
    looks: Iterable[int] | None = None,
) -> DifferenceResult:
    """Compare two arms over all events so far, validly at any number of looks.

    Args:
        control, treatment: Values in order of arrival, Series, frames (sorted by `seq`), or experiments, whose
            success_rate, quantiles of latency_ms and asymptotic means come from all events, also those that sampling
            dropped.
        metric, confidence, bound, asymptotic, paired: As for `Difference`.
        looks: Numbers of values per arm, ascending, at which to look; the first look that decides is returned as
            `decided_at`, and looks after the last value count as one. Not with experiments.

    Returns:
        DifferenceResult of all values.

    Raises:
        ConfigError: An argument is not accepted.
        SchemaError: No such column.
        StatError: A mean without a bound, a value outside of it, or rows that are not all events so far.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> slow, fast = rng.lognormal(7, 1, 600), rng.lognormal(6, 1, 600)
        >>> result = difference(slow, fast, "p50_latency_ms", looks=range(20, 601, 20))
        >>> result.decided, result.decided_at[0] < 300, result.confidence_interval.high < 0
        (True, True, True)
    """
    checks.text("metric", metric)
    new = Difference(
        metric,
        confidence,
        bound=bound,
        asymptotic=asymptotic,
        paired=paired,
        meaning=metric_in(metric, control, treatment),
    )
    has_experiment = is_experiment(control) or is_experiment(treatment)
    if looks is None and has_experiment and _fill_from_experiments(new, control, treatment):
        return new.result()
    if looks is None:
        return new.update(_rows_or_none(control), _rows_or_none(treatment)).result()
    return new.result(_update_by_looks(new, control, treatment, looks))


def _rows_or_none(data: Any) -> Any:
    return () if data is None else data


def _fill_from_experiments(new: Difference, control: Any, treatment: Any) -> bool:
    """Fill both arms, from live metrics if an experiment counts them; False if paired rows are needed."""
    arms = new._arms
    if not isinstance(arms, (TwoRates, TwoQuantiles, TwoMeans)):
        return False
    missing = []
    for name, arm, data, neighbours in zip(
        ("control", "treatment"), (arms.control, arms.treatment), (control, treatment), new._neighbours, strict=True
    ):
        unknown = fill_from_live(arm, new._metric, data.metrics()) if is_experiment(data) else None
        if unknown is None:
            rows = arrivals(data, new._metric, name)
            arm.update(rows.x)
            neighbours.update(rows.x)
            unknown = rows.missing
        else:
            neighbours.update(newest_rows(data, new._metric))
        missing.append(unknown)
    new.missing = (missing[0], missing[1])
    return True


def _update_by_looks(new: Difference, control: Any, treatment: Any, looks: Iterable[int]) -> tuple[int, int] | None:
    """Add all values, look by look; return the numbers of values at the first look that decided."""
    sides = _whole_pairs(control, treatment) if new.paired else [control, treatment]
    one, two = (arrivals(side, new._metric, name) for side, name in zip(sides, ("control", "treatment"), strict=True))
    decided, done = None, 0
    longest = max(len(one.x), len(two.x))
    for look in (*(look for look in looks if look < longest), longest):
        new.update(one.x[done:look], two.x[done:look])
        done = max(done, look)
        if decided is None and new.decided:
            decided = new.n
    new.missing = one.missing, two.missing
    return decided


def _whole_pairs(control: Any, treatment: Any) -> list[np.ndarray]:
    """Both arms without the pairs that have a missing value."""
    sides = [np.array(_floats(side)) for side in (control, treatment)]
    if len(sides[0]) != len(sides[1]):
        raise StatError(
            f"paired=True: expected as many values of the control as of the treatment, got {len(sides[0]):,} and "
            f"{len(sides[1]):,}; use paired=False for independent arms"
        )
    known = ~(np.isnan(sides[0]) | np.isnan(sides[1]))
    return [side[known] for side in sides]


def _floats(side: Any) -> np.ndarray:
    if isinstance(side, pd.DataFrame) or is_experiment(side):
        raise StatError(
            "paired=True: expected lists, arrays or Series of the same items in the same order, got a frame or an "
            "experiment; pass one column of each, sorted by item"
        )
    return numbers_of(bare_series(side, "values"), "values")


def _exp(log: float) -> float:
    return math.exp(log) if log < 709 else math.inf
