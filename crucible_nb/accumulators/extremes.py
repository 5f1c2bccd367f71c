"""Smallest and largest value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from crucible_nb.accumulators.inputs import known_values
from crucible_nb.accumulators.serial import Stateful, check_mergeable


@dataclass(frozen=True, slots=True)
class ExtremesResult:
    """Result of `Extremes`, in the unit of the values; NaN where unknown.

    Attributes:
        count: Number of known values.
        minimum: Smallest known value, infinite values included.
        maximum: Largest known value, infinite values included.
        missing: Number of NaN values.

    Examples:
        >>> Extremes().update([1.0, 2.0, 6.0]).result().maximum
        6.0
    """

    count: int
    minimum: float
    maximum: float
    missing: int


class Extremes(Stateful):
    """Smallest and largest value: exact, with the same bits in any order. Weights only matter where they are 0.

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
        x, _, missing = known_values(values, weights)
        self.missing += missing
        if len(x):
            self._add(len(x), float(x.min()) + 0.0, float(x.max()) + 0.0)  # never -0.0, which depends on the order
        return self

    def _add(self, count: int, minimum: float, maximum: float) -> None:
        self.count += count
        if not self.minimum <= minimum:  # true also for NaN, before the first value
            self.minimum = minimum
        if not self.maximum >= maximum:
            self.maximum = maximum

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        merged = type(self)()
        for part in (self, later):
            merged.missing += part.missing
            if part.count:
                merged._add(part.count, part.minimum, part.maximum)
        return merged

    def result(self) -> ExtremesResult:
        return ExtremesResult(self.count, self.minimum, self.maximum, self.missing)
