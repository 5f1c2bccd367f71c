"""Share of successes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from crucible_nb.accumulators.inputs import known
from crucible_nb.accumulators.serial import Stateful, alike
from crucible_nb.errors import StatError


@dataclass(frozen=True, slots=True)
class ProportionResult:
    """What `Proportion` knows; NaN until known.

    Attributes:
        count: Known values.
        successes: Sum of the weights of those that are true.
        failures: Sum of the weights of those that are false.
        rate: successes / (successes + failures).
        missing: Values that were NaN or NA.

    Examples:
        >>> Proportion().update([1, 0, 1, 1]).result().rate
        0.75
    """

    count: int
    successes: float
    failures: float
    rate: float
    missing: int


class Proportion(Stateful):
    """Share of true among values that are true, false or missing.

    Examples:
        >>> Proportion().update([True, True, None, False]).result()
        ProportionResult(count=3, successes=2.0, failures=1.0, rate=0.6666666666666666, missing=1)
    """

    __slots__ = ("count", "failures", "missing", "successes")
    kind = "proportion"
    fields: ClassVar[Mapping[str, str]] = {
        "count": "whole",
        "successes": "weight",
        "failures": "weight",
        "missing": "whole",
    }
    shown = ("count", "successes", "failures", "rate")

    def __init__(self) -> None:
        self.count = self.missing = 0
        self.successes = self.failures = 0.0

    @property
    def rate(self) -> float:
        """Share of successes in [0, 1]; NaN until known."""
        total = self.successes + self.failures
        return self.successes / total if total else math.nan

    def update(self, values: Any, weights: Any = None) -> Self:
        """Take values in, in place.

        Args:
            values: Array-like of n booleans (or 0 and 1), None, NaN or NA where missing.
            weights: n finite numbers >= 0; None is 1 each.

        Returns:
            The accumulator itself.

        Raises:
            StatError: When a value is neither true nor false, or `weights` are negative, infinite or not n.

        Examples:
            >>> Proportion().update([1, 0], weights=[3, 1]).rate
            0.75
        """
        x, w, missing = known(values, weights)
        strange = x[(x != 0) & (x != 1)]
        if len(strange):
            raise StatError(f"values: expected booleans, 0 or 1, got {strange[0]}")
        self.missing += missing
        self.count += len(x)
        successes = float(x.sum() if w is None else w[x == 1].sum())
        self.successes += successes
        self.failures += len(x) - successes if w is None else float(w[x == 0].sum())
        return self

    def merge(self, later: Self) -> Self:
        """Both together, as a new accumulator; both are left alone.

        Raises:
            ConfigError: When `later` is something else.

        Examples:
            >>> Proportion().update([True]).merge(Proportion().update([False])).rate
            0.5
        """
        alike(self, later)
        both = type(self)()
        for name in self.fields:
            setattr(both, name, getattr(self, name) + getattr(later, name))
        return both

    def result(self) -> ProportionResult:
        """What is known so far.

        Examples:
            >>> Proportion().result().rate
            nan
        """
        return ProportionResult(self.count, self.successes, self.failures, self.rate, self.missing)
