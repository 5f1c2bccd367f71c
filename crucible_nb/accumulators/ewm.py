"""Exponentially weighted mean and variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from crucible_nb.accumulators.chan import combine
from crucible_nb.accumulators.inputs import known_values
from crucible_nb.accumulators.serial import Stateful, check_mergeable
from crucible_nb.utils import checks


@dataclass(frozen=True, slots=True)
class EWMomentsResult:
    """Result of `EWMoments`, in the unit of the values; NaN where unknown.

    Attributes:
        count: Number of known finite values.
        mean: Exponentially weighted mean.
        variance: Exponentially weighted variance, unbiased; NaN for a single event.
        std: Square root of the variance.
        missing: Number of NaN values.
        infinite: Number of infinite values; they are skipped.

    Examples:
        >>> EWMoments(0.5).update([1.0, 1.0]).result().mean
        1.0
    """

    count: int
    mean: float
    variance: float
    std: float
    missing: int
    infinite: int


class EWMoments(Stateful):
    """Exponentially weighted mean and variance at the newest value.

    A value with k known values after it has the weight `(1 - alpha) ** k`: `mean` and `variance` equal the last row
    of pandas' `ewm(alpha=alpha, ignore_na=True).mean()` and `.var()`, `biased_variance` that of `.var(bias=True)`.
    Infinite values are skipped, as in pandas. Order matters, so `merge` does not commute: the first part is
    discounted by as many steps as the second has. A value of weight w counts as w equal values in a row.

    Args:
        alpha: Weight of the newest value, in (0, 1].

    Examples:
        >>> EWMoments(0.5).update([1.0, 2.0, 4.0])
        EWMoments(alpha=0.5, count=3, mean=3.0, std=1.5811388300841898)
        >>> EWMoments(0.5).update([1.0, 4.0], weights=[1, 2]).mean
        3.5714285714285716

    References:
        West (1979), Updating mean and variance estimates; Finch (2009), Incremental calculation of weighted mean
        and variance.
    """

    __slots__ = ("_m2", "_mean", "_steps", "alpha", "count", "infinite", "missing")
    kind = "ewmoments"
    parameters = ("alpha",)
    fields: ClassVar[Mapping[str, str]] = {
        "count": "whole",
        "_steps": "weight",
        "_mean": "number",
        "_m2": "number",
        "missing": "whole",
        "infinite": "whole",
    }
    shown = ("alpha", "count", "mean", "std")

    def __init__(self, alpha: float) -> None:
        self.alpha = checks.number("alpha", alpha, gt=0.0, le=1.0)
        self.count = self.missing = self.infinite = 0
        self._steps = self._mean = self._m2 = 0.0

    @property
    def mean(self) -> float:
        """Exponentially weighted mean; NaN until known."""
        return self._mean if self.count else math.nan

    @property
    def biased_variance(self) -> float:
        """Sum of weighted squared deviations divided by the sum of weights; NaN until known."""
        return float(self._m2 / _sum_of_weights(self._steps, self.alpha)) if self.count else math.nan

    @property
    def variance(self) -> float:
        """Unbiased variance; NaN with fewer than two events."""
        if self._steps <= 1 or self.alpha == 1:
            return math.nan
        total = _sum_of_weights(self._steps, self.alpha)
        squares = _sum_of_weights(2 * self._steps, self.alpha) / (2 - self.alpha)  # sum of squared weights
        return float(self._m2 / (total - squares / total))

    @property
    def std(self) -> float:
        """Square root of the unbiased variance."""
        return math.sqrt(self.variance)

    def update(self, values: Any, weights: Any = None) -> Self:
        x, w, missing = known_values(values, weights)
        finite = np.isfinite(x)
        self.missing += missing
        self.infinite += len(x) - int(np.count_nonzero(finite))
        if not finite.all():
            x, w = x[finite], None if w is None else w[finite]
        if len(x):
            self._append(len(x), *_block_moments(x, np.ones(len(x)) if w is None else w, self.alpha))
        return self

    def _append(self, count: int, steps: float, mean: float, m2: float) -> None:
        discount = (1 - self.alpha) ** steps
        old = (_sum_of_weights(self._steps, self.alpha) * discount, self._mean, self._m2 * discount)
        _, merged_mean, merged_m2 = combine(*old, _sum_of_weights(steps, self.alpha), mean, m2)
        self.count, self._steps = self.count + count, self._steps + steps
        self._mean, self._m2 = float(merged_mean), float(merged_m2)

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        merged = type(self)(self.alpha)
        merged.missing, merged.infinite = self.missing + later.missing, self.infinite + later.infinite
        for part in (self, later):
            if part.count:
                merged._append(part.count, part._steps, part._mean, part._m2)
        return merged

    def result(self) -> EWMomentsResult:
        return EWMomentsResult(self.count, self.mean, self.variance, self.std, self.missing, self.infinite)


def _sum_of_weights(steps: Any, alpha: float) -> Any:
    """Return the sum of the weights of that many events in a row, the newest of weight 1."""
    if alpha == 1:
        return np.sign(steps)
    return -np.expm1(steps * math.log1p(-alpha)) / alpha  # exact for the smallest alpha too


@np.errstate(over="ignore", invalid="ignore")
def _block_moments(x: np.ndarray, w: np.ndarray, alpha: float) -> tuple[float, float, float]:
    """Return steps, mean and weighted squared deviations of one block."""
    after = np.cumsum(w[::-1])[::-1] - w
    weight = _sum_of_weights(w, alpha) * (1 - alpha) ** after
    total = weight.sum()
    mean = (weight * x).sum() / total
    deviations = x - mean
    offset = (weight * deviations).sum()
    m2 = (weight * deviations * deviations).sum() - offset * offset / total
    return float(w.sum()), float(mean + offset / total), max(float(m2), 0.0)
