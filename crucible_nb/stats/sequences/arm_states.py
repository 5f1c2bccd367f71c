"""States of one arm: for each kind of metric, what is stored of the events, and the interval at any look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from crucible_nb.accumulators import Proportion
from crucible_nb.errors import StatError
from crucible_nb.stats.results import Interval
from crucible_nb.stats.sequences import asymptotic, betting, quantiles, rates
from crucible_nb.stats.sequences.quantile_grid import QuantileGrid
from crucible_nb.stats.sequences.running_sums import RunningSums

Bound = tuple[float, float]


class ArmState(Protocol):
    """State of one arm; its size, and the cost of a look, do not grow with the number of events."""

    method: ClassVar[str]

    @property
    def n(self) -> int:
        """Number of known values."""
        ...

    @property
    def estimate(self) -> float:
        """The metric of the values; NaN without values."""
        ...

    def update(self, x: np.ndarray) -> None:
        """Add finite values, in order of arrival."""
        ...

    def interval(self, alpha: float) -> Interval:
        """Confidence interval; alpha is the probability of ever excluding the true value, at all looks together."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        ...

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Load the state that `to_dict` gave; StoreError if it is broken."""
        ...


class Rate:
    """Successes and failures of one arm."""

    method: ClassVar[str] = "beta mixture (Robbins 1970)"

    def __init__(self) -> None:
        self.counts = Proportion()

    @property
    def n(self) -> int:
        return round(self.counts.successes + self.counts.failures)

    @property
    def estimate(self) -> float:
        return self.counts.rate

    @property
    def outcomes(self) -> rates.SuccessCounts:
        """The numbers of successes and outcomes."""
        return rates.SuccessCounts(self.counts.successes, float(self.n))

    def update(self, x: np.ndarray) -> None:
        self.counts.update(x)

    def interval(self, alpha: float) -> Interval:
        return rates.rate_interval(self.outcomes, alpha)

    def to_dict(self) -> dict[str, Any]:
        return self.counts.to_dict()

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.counts = Proportion.from_dict(state)
        return self


class Quantile:
    """Values of one arm for a quantile.

    Args:
        q: The quantile, in (0, 1).
    """

    method: ClassVar[str] = "beta mixture of quantiles, safe with ties (Howard and Ramdas 2022)"

    def __init__(self, q: float) -> None:
        self.q, self.grid = q, QuantileGrid()

    @property
    def n(self) -> int:
        return self.grid.n

    @property
    def estimate(self) -> float:
        return self.grid.quantile(self.q)

    def update(self, x: np.ndarray) -> None:
        self.grid.update(x)

    def interval(self, alpha: float) -> Interval:
        return quantiles.quantile_interval(self.grid, self.q, alpha)

    def to_dict(self) -> dict[str, Any]:
        return self.grid.to_dict()

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.grid = QuantileGrid.from_dict(state)
        return self


class Bounded:
    """Values of one arm within a bound, for their mean.

    Args:
        bound: (lowest, highest) possible value, known beforehand.
    """

    method: ClassVar[str] = "betting on a bounded mean (Waudby-Smith and Ramdas 2024)"

    def __init__(self, bound: Bound) -> None:
        self.bound, self.grid, self.sums = bound, QuantileGrid(), RunningSums()

    @property
    def n(self) -> int:
        return self.sums.n

    @property
    def estimate(self) -> float:
        return self.sums.mean

    def update(self, x: np.ndarray) -> None:
        """Add values; a value outside of the bound raises StatError, and none is added."""
        check_bound(x, self.bound)
        self.grid.update(x)
        self.sums.update(x)

    def unit(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ends of the bins, scaled so that the bound is (0, 1), and their counts."""
        bins, (low, high) = self.grid.bins(), self.bound
        width = high - low
        return np.clip((bins.low - low) / width, 0, 1), np.clip((bins.high - low) / width, 0, 1), bins.counts

    def interval(self, alpha: float) -> Interval:
        low, high = self.bound
        limits = betting.mean_limits(*self.unit(), alpha)
        return Interval(*(low + limit * (high - low) for limit in limits))

    def to_dict(self) -> dict[str, Any]:
        return {"ladder": self.grid.to_dict(), "sums": self.sums.to_dict()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.grid, self.sums = QuantileGrid.from_dict(state["ladder"]), RunningSums.from_dict(state["sums"])
        return self


class Unbounded:
    """Values of one arm without a bound, for their mean by the central limit theorem."""

    method: ClassVar[str] = "asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024)"

    def __init__(self) -> None:
        self.sums = RunningSums()

    @property
    def n(self) -> int:
        return self.sums.n

    @property
    def estimate(self) -> float:
        return self.sums.mean

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN for fewer than two values."""
        return self.sums.sd / float(np.sqrt(self.n)) if self.n > 1 else float("nan")

    def update(self, x: np.ndarray) -> None:
        self.sums.update(x)

    def interval(self, alpha: float) -> Interval:
        return asymptotic.around(self.estimate, self.error, self.n, alpha)

    def to_dict(self) -> dict[str, Any]:
        return self.sums.to_dict()

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.sums = RunningSums.from_dict(state)
        return self


def check_bound(x: np.ndarray, bound: Bound) -> None:
    """Raise StatError if a value is outside of the bound."""
    outside = x[(x < bound[0]) | (x > bound[1])]
    if len(outside):
        raise StatError(
            f"bound=({bound[0]:g}, {bound[1]:g}): the value {outside[0]:g} is outside; a bound is known beforehand, "
            "such as a client's timeout or max_tokens times the price, and never the largest value so far"
        )
