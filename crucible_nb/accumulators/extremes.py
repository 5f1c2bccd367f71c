"""Smallest and largest value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from crucible_nb.accumulators.inputs import known
from crucible_nb.accumulators.serial import Stateful, alike


@dataclass(frozen=True, slots=True)
class ExtremesResult:
    """What `Extremes` knows, in the unit of its values; NaN until known.

    Attributes:
        count: Known values.
        minimum: Smallest of them; infinite ones count.
        maximum: Largest of them.
        missing: Values that were NaN.

    Examples:
        >>> Extremes().update([1.0, 2.0, 6.0]).result().maximum
        6.0
    """

    count: int
    minimum: float
    maximum: float
    missing: int


class Extremes(Stateful):
    """Smallest and largest value, exact, the same bits in any order. Weights only matter where they are 0.

    Examples:
        >>> Extremes().update([3.0, -1.0, float("nan")]).result()
        ExtremesResult(count=2, minimum=-1.0, maximum=3.0, missing=1)
    """

    __slots__ = ("count", "maximum", "minimum", "missing")
    kind = "extremes"
    fields: ClassVar[Mapping[str, str]] = {
        "count": "whole",
        "minimum": "number",
        "maximum": "number",
        "missing": "whole",
    }
    shown = ("count", "minimum", "maximum")

    def __init__(self) -> None:
        self.count = self.missing = 0
        self.minimum = self.maximum = math.nan

    def update(self, values: Any, weights: Any = None) -> Self:
        """Take values in, in place.

        Args:
            values: Array-like of n numbers, NaN where missing.
            weights: n finite numbers >= 0; None is 1 each.

        Returns:
            The accumulator itself.

        Raises:
            StatError: When `values` are no numbers, or `weights` are negative, infinite or not n.

        Examples:
            >>> Extremes().update([3.0, 9.0], weights=[1, 0]).maximum
            3.0
        """
        x, _, missing = known(values, weights)
        self.missing += missing
        if len(x):
            self._add(len(x), float(x.min()) + 0.0, float(x.max()) + 0.0)  # never -0.0, which depends on the order
        return self

    def _add(self, count: int, minimum: float, maximum: float) -> None:
        self.count += count
        if not self.minimum <= minimum:  # also when it is NaN, of nothing
            self.minimum = minimum
        if not self.maximum >= maximum:
            self.maximum = maximum

    def merge(self, later: Self) -> Self:
        """Both together, as a new accumulator; both are left alone.

        Raises:
            ConfigError: When `later` is something else.

        Examples:
            >>> Extremes().update([1.0]).merge(Extremes().update([5.0]))
            Extremes(count=2, minimum=1.0, maximum=5.0)
        """
        alike(self, later)
        both = type(self)()
        for part in (self, later):
            both.missing += part.missing
            if part.count:
                both._add(part.count, part.minimum, part.maximum)
        return both

    def result(self) -> ExtremesResult:
        """What is known so far.

        Examples:
            >>> Extremes().result()
            ExtremesResult(count=0, minimum=nan, maximum=nan, missing=0)
        """
        return ExtremesResult(self.count, self.minimum, self.maximum, self.missing)
