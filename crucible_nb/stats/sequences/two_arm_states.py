"""States of two arms: for each kind of metric, difference (treatment - control), evidence and interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from crucible_nb.stats.results import Interval
from crucible_nb.stats.sequences import asymptotic, betting, quantiles, rates
from crucible_nb.stats.sequences.arm_states import Bound, Bounded, Quantile, Rate, Unbounded, check_bound


class TwoArmState(Protocol):
    """State of two arms; its size, and the cost of a look, do not grow with the number of events."""

    method: ClassVar[str]

    @property
    def n(self) -> tuple[int, int]:
        """Number of known values of (control, treatment)."""
        ...

    @property
    def estimate(self) -> float:
        """Difference treatment - control; NaN until both arms have values."""
        ...

    def update(self, control: np.ndarray, treatment: np.ndarray) -> None:
        """Add finite values of both arms, in order of arrival."""
        ...

    def log_evidence(self) -> float:
        """Log e-value against no difference: the capital of bets against it, which start with 1."""
        ...

    def interval(self, alpha: float) -> Interval:
        """Confidence interval; alpha is the probability of ever excluding the truth, at all looks together."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        ...

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Load the state that `to_dict` gave; StoreError if it is broken."""
        ...


class _IndependentArms:
    """Two independent arms, each with its own state."""

    def __init__(self, control: Any, treatment: Any) -> None:
        self.control, self.treatment = control, treatment

    @property
    def n(self) -> tuple[int, int]:
        return self.control.n, self.treatment.n

    @property
    def estimate(self) -> float:
        return float(self.treatment.estimate - self.control.estimate)

    def update(self, control: np.ndarray, treatment: np.ndarray) -> None:
        self.control.update(control)
        self.treatment.update(treatment)

    def to_dict(self) -> dict[str, Any]:
        return {"control": self.control.to_dict(), "treatment": self.treatment.to_dict()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.control.restore(state["control"])
        self.treatment.restore(state["treatment"])
        return self


class TwoRates(_IndependentArms):
    """Rates of two independent arms."""

    method: ClassVar[str] = (
        "betting on two rates from their counts (Waudby-Smith and Ramdas 2024; Turner, Ly and Grunwald 2024)"
    )

    def __init__(self) -> None:
        super().__init__(Rate(), Rate())

    def log_evidence(self) -> float:
        return rates.log_difference(self.control.outcomes, self.treatment.outcomes)

    def interval(self, alpha: float) -> Interval:
        return rates.difference_interval(self.control.outcomes, self.treatment.outcomes, alpha)


class TwoQuantiles(_IndependentArms):
    """Quantiles of two independent arms."""

    method: ClassVar[str] = "product of two beta mixtures of quantiles, safe with ties (Howard and Ramdas 2022)"

    def __init__(self, q: float) -> None:
        super().__init__(Quantile(q), Quantile(q))
        self.q = q

    def log_evidence(self) -> float:
        return quantiles.log_difference(self.control.grid, self.treatment.grid, self.q)

    def interval(self, alpha: float) -> Interval:
        return quantiles.difference_interval(self.control.grid, self.treatment.grid, self.q, alpha)


class TwoMeans(_IndependentArms):
    """Means of two independent arms without a bound, asymptotically."""

    method: ClassVar[str] = Unbounded.method

    def __init__(self) -> None:
        super().__init__(Unbounded(), Unbounded())

    @property
    def _error(self) -> float:
        return float(np.hypot(self.control.error, self.treatment.error))

    def log_evidence(self) -> float:
        return asymptotic.log_evidence(self.estimate, self._error, min(self.n))

    def interval(self, alpha: float) -> Interval:
        return asymptotic.around(self.estimate, self._error, min(self.n), alpha)


class _PairedArms:
    """Differences of the i-th values of both arms; values without a partner wait for one."""

    def __init__(self, differences: Any) -> None:
        self.differences = differences
        self._waiting = [np.empty(0), np.empty(0)]
        self._counts = [0, 0]

    @property
    def n(self) -> tuple[int, int]:
        return self._counts[0], self._counts[1]

    @property
    def estimate(self) -> float:
        return float(self.differences.estimate)

    def update(self, control: np.ndarray, treatment: np.ndarray) -> None:
        one, two = (np.concatenate(both) for both in zip(self._waiting, (control, treatment), strict=True))
        pairs = min(len(one), len(two))
        self.differences.update(two[:pairs] - one[:pairs])
        self._waiting = [one[pairs:].copy(), two[pairs:].copy()]
        self._counts = [count + len(x) for count, x in zip(self._counts, (control, treatment), strict=True)]

    def to_dict(self) -> dict[str, Any]:
        return {
            "pairs": self.differences.to_dict(), "counts": list(self._counts),
            "waiting": [side.tolist() for side in self._waiting],
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.differences.restore(state["pairs"])
        self._counts = [int(count) for count in state["counts"]]
        self._waiting = [np.array(side, np.float64) for side in state["waiting"]]
        return self


class BoundedPairs(_PairedArms):
    """Pairs of values within a bound: the mean of their differences.

    Args:
        bound: (lowest, highest) possible value of both arms.
    """

    method: ClassVar[str] = "betting on pairs of bounded values (Waudby-Smith and Ramdas 2024)"

    def __init__(self, bound: Bound) -> None:
        width = bound[1] - bound[0]
        super().__init__(Bounded((-width, width)))
        self.bound = bound

    def update(self, control: np.ndarray, treatment: np.ndarray) -> None:
        """Add values; a value outside of the bound raises StatError, and none is added."""
        check_bound(control, self.bound)
        check_bound(treatment, self.bound)
        super().update(control, treatment)

    def log_evidence(self) -> float:
        low, high, counts = self.differences.unit()
        return betting.log_evidence_against(low, high, counts, 0.5)

    def interval(self, alpha: float) -> Interval:
        limits: Interval = self.differences.interval(alpha)
        return limits


class UnboundedPairs(_PairedArms):
    """Pairs of values without a bound: the mean of their differences, asymptotically."""

    method: ClassVar[str] = Unbounded.method + ", on pairs"

    def __init__(self) -> None:
        super().__init__(Unbounded())

    def log_evidence(self) -> float:
        return asymptotic.log_evidence(self.estimate, self.differences.error, self.differences.n)

    def interval(self, alpha: float) -> Interval:
        limits: Interval = self.differences.interval(alpha)
        return limits
