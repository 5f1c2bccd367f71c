"""What one arm remembers of its events, for each kind of metric, and what can be said of it at every look."""

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


class Arm(Protocol):
    """Events of one arm, in a state whose size and cost do not grow with them."""

    method: ClassVar[str]

    @property
    def n(self) -> int:
        """Values taken in."""
        ...

    @property
    def estimate(self) -> float:
        """NaN of nothing."""
        ...

    def update(self, x: np.ndarray) -> None:
        """Take finite values in."""
        ...

    def interval(self, alpha: float) -> Interval:
        """What is not excluded, now or ever before, but with probability alpha."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        ...

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over what `to_dict` gave; StoreError when it is broken."""
        ...


class Rate:
    """Successes among events."""

    method: ClassVar[str] = "beta mixture (Robbins 1970)"

    def __init__(self) -> None:
        self.counts = Proportion()

    @property
    def n(self) -> int:
        """Known outcomes."""
        return round(self.counts.successes + self.counts.failures)

    @property
    def estimate(self) -> float:
        """Share of successes."""
        return self.counts.rate

    @property
    def arm(self) -> rates.Arm:
        """The counts."""
        return rates.Arm(self.counts.successes, float(self.n))

    def update(self, x: np.ndarray) -> None:
        """Take outcomes in."""
        self.counts.update(x)

    def interval(self, alpha: float) -> Interval:
        """See `rates.rate_interval`."""
        return rates.rate_interval(self.arm, alpha)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return self.counts.to_dict()

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over a state."""
        self.counts = Proportion.from_dict(state)
        return self


class Quantile:
    """Values on a ladder.

    Args:
        q: The quantile, in (0, 1).
    """

    method: ClassVar[str] = "beta mixture of quantiles, safe with ties (Howard and Ramdas 2022)"

    def __init__(self, q: float) -> None:
        self.q, self.ladder = q, QuantileGrid()

    @property
    def n(self) -> int:
        """Known values."""
        return self.ladder.n

    @property
    def estimate(self) -> float:
        """The quantile of what was seen."""
        return self.ladder.quantile(self.q)

    def update(self, x: np.ndarray) -> None:
        """Take values in."""
        self.ladder.update(x)

    def interval(self, alpha: float) -> Interval:
        """See `quantiles.quantile_interval`."""
        return quantiles.quantile_interval(self.ladder, self.q, alpha)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return self.ladder.to_dict()

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over a state."""
        self.ladder = QuantileGrid.from_dict(state)
        return self


class Bounded:
    """Values that cannot leave their bound.

    Args:
        bound: (lowest, highest), known beforehand.
    """

    method: ClassVar[str] = "betting on a bounded mean (Waudby-Smith and Ramdas 2024)"

    def __init__(self, bound: Bound) -> None:
        self.bound, self.ladder, self.sums = bound, QuantileGrid(), RunningSums()

    @property
    def n(self) -> int:
        """Known values."""
        return self.sums.n

    @property
    def estimate(self) -> float:
        """Mean."""
        return self.sums.mean

    def update(self, x: np.ndarray) -> None:
        """Take values in; StatError outside of the bound, and then none is."""
        check_bound(x, self.bound)
        self.ladder.update(x)
        self.sums.update(x)

    def unit(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ends of the steps as shares of the bound, and their counts."""
        steps, (low, high) = self.ladder.steps(), self.bound
        width = high - low
        return np.clip((steps.low - low) / width, 0, 1), np.clip((steps.high - low) / width, 0, 1), steps.held

    def interval(self, alpha: float) -> Interval:
        """See `betting.mean_limits`."""
        low, high = self.bound
        limits = betting.mean_limits(*self.unit(), alpha)
        return Interval(*(low + limit * (high - low) for limit in limits))

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"ladder": self.ladder.to_dict(), "sums": self.sums.to_dict()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over a state."""
        self.ladder, self.sums = QuantileGrid.from_dict(state["ladder"]), RunningSums.from_dict(state["sums"])
        return self


class Unbounded:
    """Values of any size: the central limit theorem."""

    method: ClassVar[str] = "asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024)"

    def __init__(self) -> None:
        self.sums = RunningSums()

    @property
    def n(self) -> int:
        """Known values."""
        return self.sums.n

    @property
    def estimate(self) -> float:
        """Mean."""
        return self.sums.mean

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN below two values."""
        return float(np.sqrt(self.sums.variance / self.n)) if self.n > 1 else float("nan")

    def update(self, x: np.ndarray) -> None:
        """Take values in."""
        self.sums.update(x)

    def interval(self, alpha: float) -> Interval:
        """See `asymptotic.radius`."""
        return asymptotic.around(self.estimate, self.error, self.n, alpha)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return self.sums.to_dict()

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take over a state."""
        self.sums = RunningSums.from_dict(state)
        return self


def check_bound(x: np.ndarray, bound: Bound) -> None:
    """Raise StatError for a value outside of the bound."""
    outside = x[(x < bound[0]) | (x > bound[1])]
    if len(outside):
        raise StatError(
            f"bound=({bound[0]:g}, {bound[1]:g}): {outside[0]:g} is outside; a bound is a fact known beforehand, such "
            "as a client's timeout or max_tokens times the price, never the largest value seen"
        )
