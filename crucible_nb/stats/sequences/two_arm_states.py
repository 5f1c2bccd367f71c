"""What two arms amount to, for each kind of metric: difference, evidence, interval. Treatment - control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from crucible_nb.stats.results import Interval
from crucible_nb.stats.sequences import asymptotic, betting, quantiles, rates
from crucible_nb.stats.sequences.arm_states import Bound, Bounded, Quantile, Rate, Unbounded, check_bound


class TwoArmState(Protocol):
    """Events of two arms."""

    method: ClassVar[str]

    @property
    def n(self) -> tuple[int, int]:
        """Values of control and treatment."""
        ...

    @property
    def estimate(self) -> float:
        """Treatment - control; NaN until both have something."""
        ...

    def update(self, control: np.ndarray, treatment: np.ndarray) -> None:
        """Take finite values of both arms in."""
        ...

    def log_evidence(self) -> float:
        """Log of what a gambler against "no difference" has made of 1."""
        ...

    def interval(self, alpha: float) -> Interval:
        """Differences that are not excluded."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        ...

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over what `to_dict` gave."""
        ...


class _IndependentArms:
    """Two independent arms of one kind."""

    def __init__(self, control: Any, treatment: Any) -> None:
        self.control, self.treatment = control, treatment

    @property
    def n(self) -> tuple[int, int]:
        """Values of control and treatment."""
        return self.control.n, self.treatment.n

    @property
    def estimate(self) -> float:
        """Treatment - control."""
        return float(self.treatment.estimate - self.control.estimate)

    def update(self, control: np.ndarray, treatment: np.ndarray) -> None:
        """Take finite values of both arms in."""
        self.control.update(control)
        self.treatment.update(treatment)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"control": self.control.to_dict(), "treatment": self.treatment.to_dict()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over a state."""
        self.control.restore(state["control"])
        self.treatment.restore(state["treatment"])
        return self


class TwoRates(_IndependentArms):
    """Two rates."""

    method: ClassVar[str] = (
        "betting on two rates from their counts (Waudby-Smith and Ramdas 2024; Turner, Ly and Grunwald 2024)"
    )

    def __init__(self) -> None:
        super().__init__(Rate(), Rate())

    def log_evidence(self) -> float:
        """See `rates.log_difference`."""
        return rates.log_difference(self.control.arm, self.treatment.arm)

    def interval(self, alpha: float) -> Interval:
        """See `rates.difference_interval`."""
        return rates.difference_interval(self.control.arm, self.treatment.arm, alpha)


class TwoQuantiles(_IndependentArms):
    """Two quantiles."""

    method: ClassVar[str] = "product of two beta mixtures of quantiles, safe with ties (Howard and Ramdas 2022)"

    def __init__(self, q: float) -> None:
        super().__init__(Quantile(q), Quantile(q))
        self.q = q

    def log_evidence(self) -> float:
        """See `quantiles.log_difference`."""
        return quantiles.log_difference(self.control.ladder, self.treatment.ladder, self.q)

    def interval(self, alpha: float) -> Interval:
        """See `quantiles.difference_interval`."""
        return quantiles.difference_interval(self.control.ladder, self.treatment.ladder, self.q, alpha)


class TwoMeans(_IndependentArms):
    """Two means of anything, asymptotically."""

    method: ClassVar[str] = Unbounded.method

    def __init__(self) -> None:
        super().__init__(Unbounded(), Unbounded())

    @property
    def _error(self) -> float:
        return float(np.hypot(self.control.error, self.treatment.error))

    def log_evidence(self) -> float:
        """See `asymptotic.log_evidence`."""
        return asymptotic.log_evidence(self.estimate, self._error, min(self.n))

    def interval(self, alpha: float) -> Interval:
        """See `asymptotic.around`."""
        return asymptotic.around(self.estimate, self._error, min(self.n), alpha)


class _PairedArms:
    """Differences of the i-th value of each arm; what has no partner yet waits."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self._waiting = [np.empty(0), np.empty(0)]
        self._counts = [0, 0]

    @property
    def n(self) -> tuple[int, int]:
        """Values of control and treatment."""
        return self._counts[0], self._counts[1]

    @property
    def estimate(self) -> float:
        """Mean of the pairs' differences."""
        return float(self.inner.estimate)

    def update(self, control: np.ndarray, treatment: np.ndarray) -> None:
        """Take finite values of both arms in."""
        one, two = (np.concatenate(both) for both in zip(self._waiting, (control, treatment), strict=True))
        pairs = min(len(one), len(two))
        self.inner.update(two[:pairs] - one[:pairs])
        self._waiting = [one[pairs:].copy(), two[pairs:].copy()]
        self._counts = [count + len(x) for count, x in zip(self._counts, (control, treatment), strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {
            "pairs": self.inner.to_dict(), "counts": list(self._counts),
            "waiting": [side.tolist() for side in self._waiting],
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over a state."""
        self.inner.restore(state["pairs"])
        self._counts = [int(count) for count in state["counts"]]
        self._waiting = [np.array(side, np.float64) for side in state["waiting"]]
        return self


class BoundedPairs(_PairedArms):
    """Bounded values in pairs: the mean of their differences.

    Args:
        bound: Of the values of both arms.
    """

    method: ClassVar[str] = "betting on pairs of bounded values (Waudby-Smith and Ramdas 2024)"

    def __init__(self, bound: Bound) -> None:
        width = bound[1] - bound[0]
        super().__init__(Bounded((-width, width)))
        self.bound = bound

    def update(self, control: np.ndarray, treatment: np.ndarray) -> None:
        """Take finite values of both arms in; StatError outside of the bound, and then none is."""
        check_bound(control, self.bound)
        check_bound(treatment, self.bound)
        super().update(control, treatment)

    def log_evidence(self) -> float:
        """See `betting.log_apart`."""
        low, high, held = self.inner.unit()
        return betting.log_apart(low, high, held, 0.5)

    def interval(self, alpha: float) -> Interval:
        """See `betting.mean_limits`."""
        found: Interval = self.inner.interval(alpha)
        return found


class UnboundedPairs(_PairedArms):
    """Any values in pairs, asymptotically."""

    method: ClassVar[str] = Unbounded.method + ", on pairs"

    def __init__(self) -> None:
        super().__init__(Unbounded())

    def log_evidence(self) -> float:
        """See `asymptotic.log_evidence`."""
        return asymptotic.log_evidence(self.estimate, self.inner.error, self.inner.n)

    def interval(self, alpha: float) -> Interval:
        """See `asymptotic.around`."""
        found: Interval = self.inner.interval(alpha)
        return found
