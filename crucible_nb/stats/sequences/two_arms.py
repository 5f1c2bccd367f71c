"""Two arms at every look: difference, interval, evidence, and when it was decided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from crucible_nb.accumulators.serial import StateReader
from crucible_nb.errors import StatError
from crucible_nb.events.columns import numbers_of
from crucible_nb.stats.results import Interval, Result
from crucible_nb.stats.samples.values import Metric, bare_series
from crucible_nb.stats.sequences.arrivals import arrivals, is_experiment, metric_in, newest_rows, take_live
from crucible_nb.stats.sequences.neighbours import Neighbours
from crucible_nb.stats.sequences.select import bound_of, state_for_arms
from crucible_nb.stats.sequences.sequence import LONG_RUN, meaning_of
from crucible_nb.stats.sequences.two_arm_states import TwoMeans, TwoQuantiles, TwoRates
from crucible_nb.utils import checks

_ESTIMANDS = {"rate": "difference of rates", "mean": "difference of means", "total": "difference of means an event"}


@dataclass(frozen=True, repr=False)
class DifferenceResult(Result):
    """What two arms say at one look. Differences are treatment - control.

    Attributes:
        metric: What was compared.
        estimate: Difference, in the unit of the column; NaN until both arms have something.
        estimand: What it is a difference of.
        confidence_interval: (low, high) of it.
        confidence: Probability that the truth is in the interval at all looks together.
        evidence: What a gambler against "no difference" has made of 1 (an e-value); may be infinite.
        pvalue: min(1, 1 / evidence), valid at every look.
        decided: Whether the p-value is at most 1 - confidence.
        decided_at: Values of (control, treatment) at the first look that decided; None where no path was asked for,
            or nothing was decided on it.
        n: (n_control, n_treatment).
        missing: Events without a value, (control, treatment).
        method: How it is made, in a sentence.
        asymptotic: Whether the promise is one for the long run only.
        warnings: What a reader should know.
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
    """The difference of two arms, valid at every look; what it says is a function of the values alone.

    Rates need their counts only, quantiles a ladder of counts (see `ConfidenceSequence`): arms may grow at different
    speeds, and the order does not matter. Bounded means are compared in pairs, the i-th of the control with the i-th of
    the treatment; of unequal arms the later values of the longer one wait for a partner.

    Args:
        metric: "success_rate", "p50_", "p95_", ... and a column; "mean_", "total_" or a bare column with a bound
            (totals are compared an event, since arms need not be of one length).
        confidence: In (0, 1); 0.95 wrongly decides at most one in 20 comparisons of equal arms, whenever one stops.
        bound: (lowest, highest) of the values, a fact known beforehand. Quantiles and rates do not need it.
        asymptotic: Whether means without a bound may use the central limit theorem.
        paired: Whether the i-th of both arms are the same item, so that they depend on each other; not for quantiles.

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
        self._metric = metric_in(None, metric) if meaning is None else meaning
        self.confidence = checks.number("confidence", confidence, gt=0, lt=1)
        self.bound, self._asked, self.paired = bound_of(bound), bool(asymptotic), bool(paired)
        self._duel = state_for_arms(self._metric, self.bound, asymptotic=self._asked, paired=self.paired)
        self._near = Neighbours(), Neighbours()
        self.missing = (0, 0)

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self._metric.name

    @property
    def n(self) -> tuple[int, int]:
        """Values of (control, treatment)."""
        return self._duel.n

    @property
    def estimate(self) -> float:
        """Treatment - control; NaN until both have something."""
        return self._duel.estimate

    @property
    def interval(self) -> Interval:
        """(low, high) of the difference."""
        return self._duel.interval(1 - self.confidence)

    @property
    def log_evidence(self) -> float:
        """Log of the evidence against "no difference"; it decides at log(1 / (1 - confidence))."""
        return self._duel.log_evidence()

    @property
    def evidence(self) -> float:
        """What a gambler against "no difference" has made of 1."""
        return _exp(self.log_evidence)

    @property
    def pvalue(self) -> float:
        """min(1, 1 / evidence): valid at every look."""
        return min(1.0, _exp(-self.log_evidence))

    @property
    def decided(self) -> bool:
        """Whether the arms differ, at this confidence."""
        return self.log_evidence >= -math.log(1 - self.confidence)

    @property
    def asymptotic(self) -> bool:
        """Whether the promise is one for the long run only."""
        return self._duel.method.startswith("asymptotic")

    @property
    def method(self) -> str:
        """How it is made, in a sentence."""
        tail = LONG_RUN if self.asymptotic else "valid at every look"
        return f"{100 * self.confidence:g}% confidence sequence of the difference by {self._duel.method}; {tail}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        one, two = self._near
        return one.warnings("control") + two.warnings("treatment")

    def update(self, control: Any = (), treatment: Any = ()) -> Self:
        """Take later values of the arms in, in order of arrival.

        Args:
            control, treatment: Lists, arrays, Series or frames with the column; missing ones are counted, and with
                paired=True the whole pair is left out.

        Returns:
            The difference itself.

        Raises:
            StatError: A value is outside of the bound or no outcome, or paired arms are of different length.

        Examples:
            >>> Difference().update(control=[True, False], treatment=[True]).update(treatment=[True]).estimate
            0.5
        """
        sides = [np.asarray(x) if isinstance(x, tuple) else x for x in (control, treatment)]
        if self.paired:
            sides = _whole_pairs(*sides)
        one, two = (
            arrivals(side, self.metric, name, later=n > 0)
            for side, name, n in zip(sides, ("control", "treatment"), self.n, strict=True)
        )
        self._duel.update(one.x, two.x)
        for near, found in zip(self._near, (one, two), strict=True):
            near.update(found.x)
        self.missing = (self.missing[0] + one.missing, self.missing[1] + two.missing)
        return self

    def result(self, decided_at: tuple[int, int] | None = None) -> DifferenceResult:
        """What it says now, frozen.

        Args:
            decided_at: To be noted in it.

        Examples:
            >>> Difference().update([True, False], [True, True]).result().pvalue
            1.0
        """
        log = self.log_evidence
        estimand = _ESTIMANDS.get(self._metric.kind, f"difference of {self.metric.split('_')[0]}")
        return DifferenceResult(
            self.metric, self.estimate, estimand, self.interval, self.confidence, _exp(log), min(1.0, _exp(-log)),
            log >= -math.log(1 - self.confidence), decided_at, self.n, self.missing, self.method, self.asymptotic,
            self.warnings,
        )  # fmt: skip

    def __repr__(self) -> str:
        return repr(self.result()).replace("DifferenceResult", "Difference", 1)

    def _repr_html_(self) -> str:
        return self.result()._repr_html_().replace("DifferenceResult", "Difference", 1)

    def to_dict(self) -> dict[str, Any]:
        """The whole state as plain data that JSON can hold; for what it says, see `result`.

        Examples:
            >>> diff = Difference().update([True, False], [True, True])
            >>> Difference.from_dict(diff.to_dict()).interval == diff.interval
            True
        """
        return {
            "kind": "difference", "version": 1, "metric": dict(self._metric._asdict()), "confidence": self.confidence,
            "bound": None if self.bound is None else list(self.bound), "asymptotic": self._asked,
            "paired": self.paired, "missing": list(self.missing), "duel": self._duel.to_dict(),
            "neighbours": [near.to_dict() for near in self._near],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The difference whose `to_dict` gave `state`.

        Raises:
            StoreError: The state is broken or from a newer release.

        Examples:
            >>> Difference.from_dict(Difference("p50_x").update([1.0], [3.0]).to_dict()).estimate
            2.0
        """
        opened = StateReader(state, "difference")
        try:
            meaning = meaning_of(state["metric"])
            new = cls(
                meaning.name, state["confidence"], bound=state["bound"], asymptotic=state["asymptotic"],
                paired=state["paired"], meaning=meaning,
            )  # fmt: skip
            new._duel.restore(state["duel"])
            one, two = (Neighbours.from_dict(near) for near in state["neighbours"])
            missing = [int(count) for count in state["missing"]]
        except (KeyError, TypeError, ValueError) as error:
            raise opened.broken(error) from error
        new._near, new.missing = (one, two), (missing[0], missing[1])
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
    """Compare everything so far of two arms, as one look of many.

    Args:
        control, treatment: Values in order of arrival, Series, frames (ordered by `seq`), or experiments, whose
            success_rate, quantiles of latency_ms and asymptotic means come from every event, kept or not.
        metric, confidence, bound, asymptotic, paired: As for `Difference`.
        looks: Numbers of values an arm, ascending, after which somebody looks; the first that decides is given back as
            `decided_at`, and the looks after the last value count as one. Not with experiments.

    Returns:
        DifferenceResult of all values.

    Raises:
        ConfigError: An argument is not what is accepted.
        SchemaError: No such column.
        StatError: A mean without a bound, a value outside of it, or rows that are not everything so far.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> slow, fast = rng.lognormal(7, 1, 600), rng.lognormal(6, 1, 600)
        >>> found = difference(slow, fast, "p50_latency_ms", looks=range(20, 601, 20))
        >>> found.decided, found.decided_at[0] < 300, found.confidence_interval.high < 0
        (True, True, True)
    """
    checks.text("metric", metric)
    new = Difference(
        metric, confidence, bound=bound, asymptotic=asymptotic, paired=paired, meaning=metric_in(control, metric)
    )
    live = [is_experiment(side) for side in (control, treatment)]
    if looks is None and any(live) and _fill(new, control, treatment, live):
        return new.result()
    if looks is None:
        return new.update(_rows(control), _rows(treatment)).result()
    return new.result(_walk(new, control, treatment, looks))


def _rows(data: Any) -> Any:
    return () if data is None else data


def _fill(new: Difference, control: Any, treatment: Any, live: list[bool]) -> bool:
    """Fill both arms, from live metrics where an experiment counts them; False where rows are needed."""
    duel = new._duel
    if not isinstance(duel, (TwoRates, TwoQuantiles, TwoMeans)):
        return False
    missing = []
    for place, (arm, data, near) in enumerate(
        zip((duel.control, duel.treatment), (control, treatment), new._near, strict=True)
    ):
        gone = take_live(arm, new._metric, data.metrics()) if live[place] else None
        if gone is None:
            found = arrivals(data, new.metric, ("control", "treatment")[place])
            arm.update(found.x)
            near.update(found.x)
            gone = found.missing
        else:
            near.update(newest_rows(data, new.metric))
        missing.append(gone)
    new.missing = (missing[0], missing[1])
    return True


def _walk(new: Difference, control: Any, treatment: Any, looks: Iterable[int]) -> tuple[int, int] | None:
    """Take everything in, look by look; gives back the first that decided."""
    sides = _whole_pairs(control, treatment) if new.paired else [control, treatment]
    one, two = (arrivals(side, new.metric, name) for side, name in zip(sides, ("control", "treatment"), strict=True))
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
    """Both sides without the pairs of which one is missing."""
    sides = [np.array(_floats(side)) for side in (control, treatment)]
    if len(sides[0]) != len(sides[1]):
        raise StatError(f"paired: expected as many values on both sides, got {len(sides[0]):,} and {len(sides[1]):,}")
    known = ~(np.isnan(sides[0]) | np.isnan(sides[1]))
    return [side[known] for side in sides]


def _floats(side: Any) -> np.ndarray:
    if hasattr(side, "columns") or is_experiment(side):
        raise StatError("paired: expected bare values of the same items in the same order, got tables")
    return numbers_of(bare_series(side, "values"), "values")


def _exp(log: float) -> float:
    return math.exp(log) if log < 709 else math.inf
