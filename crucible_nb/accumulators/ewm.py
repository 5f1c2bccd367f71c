"""Mean and variance that forget exponentially."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from crucible_nb.accumulators.inputs import known
from crucible_nb.accumulators.moments import combine
from crucible_nb.accumulators.serial import Stateful, alike
from crucible_nb.utils import checks


@dataclass(frozen=True, slots=True)
class EWMomentsResult:
    """What `EWMoments` knows, in the unit of its values; NaN until known.

    Attributes:
        count: Known finite values.
        mean: Exponentially weighted mean.
        variance: Exponentially weighted variance, unbiased; NaN for a single event.
        std: Its root.
        missing: Values that were NaN.
        infinite: Values that were infinite; they are skipped.

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

    A value weighs `(1 - alpha) ** k` when k known ones came after it: `mean` and `variance` are the last of pandas'
    `ewm(alpha=alpha, ignore_na=True).mean()` and `.var()`, `biased_variance` that of `.var(bias=True)`. Infinite
    values are skipped, as there. Order matters, so `merge` does not commute: the first part fades by as many steps
    as the second has. A value of weight w is w equal values in a row.

    Args:
        alpha: Weight of the newest value, in (0, 1].

    Examples:
        >>> EWMoments(0.5).update([1.0, 2.0, 4.0])
        EWMoments(alpha=0.5, count=3, mean=3.0, std=1.5811388300841898)

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
        """Weighted squared deviations over the sum of weights; NaN until known."""
        return float(self._m2 / _mass(self._steps, self.alpha)) if self.count else math.nan

    @property
    def variance(self) -> float:
        """Unbiased variance; NaN while there is one event or none."""
        if self._steps <= 1 or self.alpha == 1:
            return math.nan
        mass = _mass(self._steps, self.alpha)
        squares = _mass(2 * self._steps, self.alpha) / (2 - self.alpha)  # of the weights, summed
        return float(self._m2 / (mass - squares / mass))

    @property
    def std(self) -> float:
        """Root of the unbiased variance."""
        return math.sqrt(self.variance)

    def update(self, values: Any, weights: Any = None) -> Self:
        """Take values in, in place.

        Args:
            values: Array-like of n numbers, oldest first, NaN where missing.
            weights: n finite numbers >= 0, how often in a row each value came; None is once.

        Returns:
            The accumulator itself.

        Raises:
            StatError: When `values` are no numbers, or `weights` are negative, infinite or not n.

        Examples:
            >>> EWMoments(0.5).update([1.0, 4.0], weights=[1, 2]).mean
            3.5714285714285716
        """
        x, w, missing = known(values, weights)
        finite = np.isfinite(x)
        self.missing += missing
        self.infinite += len(x) - int(np.count_nonzero(finite))
        if not finite.all():
            x, w = x[finite], None if w is None else w[finite]
        if len(x):
            self._append(len(x), *_block(x, np.ones(len(x)) if w is None else w, self.alpha))
        return self

    def _append(self, count: int, steps: float, mean: float, m2: float) -> None:
        fade = (1 - self.alpha) ** steps
        old = (_mass(self._steps, self.alpha) * fade, self._mean, self._m2 * fade)
        _, both_mean, both_m2 = combine(*old, _mass(steps, self.alpha), mean, m2)
        self.count, self._steps = self.count + count, self._steps + steps
        self._mean, self._m2 = float(both_mean), float(both_m2)

    def merge(self, later: Self) -> Self:
        """This one followed by `later`, as a new accumulator; both are left alone.

        Raises:
            ConfigError: When `later` is something else or has another alpha.

        Examples:
            >>> EWMoments(0.5).update([1.0, 2.0]).merge(EWMoments(0.5).update([4.0])).mean
            3.0
        """
        alike(self, later)
        both = type(self)(self.alpha)
        both.missing, both.infinite = self.missing + later.missing, self.infinite + later.infinite
        for part in (self, later):
            if part.count:
                both._append(part.count, part._steps, part._mean, part._m2)
        return both

    def result(self) -> EWMomentsResult:
        """What is known so far.

        Examples:
            >>> EWMoments(0.5).update([7.0]).result()
            EWMomentsResult(count=1, mean=7.0, variance=nan, std=nan, missing=0, infinite=0)
        """
        return EWMomentsResult(self.count, self.mean, self.variance, self.std, self.missing, self.infinite)


def _mass(steps: Any, alpha: float) -> Any:
    """Sum of the weights of that many events in a row, the newest of weight 1."""
    if alpha == 1:
        return np.sign(steps)
    return -np.expm1(steps * math.log1p(-alpha)) / alpha  # exact for the smallest alpha too


@np.errstate(over="ignore", invalid="ignore")
def _block(x: np.ndarray, w: np.ndarray, alpha: float) -> tuple[float, float, float]:
    """Steps, mean and weighted squared deviations of one block."""
    after = np.cumsum(w[::-1])[::-1] - w
    weight = _mass(w, alpha) * (1 - alpha) ** after
    total = weight.sum()
    mean = (weight * x).sum() / total
    deviations = x - mean
    off = (weight * deviations).sum()
    m2 = (weight * deviations * deviations).sum() - off * off / total
    return float(w.sum()), float(mean + off / total), max(float(m2), 0.0)
