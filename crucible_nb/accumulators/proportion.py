"""Proportion of successes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from crucible_nb.accumulators.inputs import known_values
from crucible_nb.accumulators.serial import Stateful, check_mergeable
from crucible_nb.errors import StatError


@dataclass(frozen=True, slots=True)
class ProportionResult:
    """Result of `Proportion`; NaN where unknown.

    Attributes:
        count: Number of known values.
        successes: Sum of the weights of the true values.
        failures: Sum of the weights of the false values.
        rate: successes / (successes + failures).
        missing: Number of values that were None, NaN or NA.

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
    """Proportion of true values. Values are booleans, 0 or 1; None, NaN or NA where missing.

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
        """Proportion of successes in [0, 1]; NaN until known."""
        total = self.successes + self.failures
        return self.successes / total if total else math.nan

    def update(self, values: Any, weights: Any = None) -> Self:
        x, w, missing = known_values(values, weights)
        invalid = x[(x != 0) & (x != 1)]
        if len(invalid):
            raise StatError(f"values: expected booleans, 0 or 1, got {invalid[0]}")
        self.missing += missing
        self.count += len(x)
        successes = float(x.sum() if w is None else w[x == 1].sum())
        self.successes += successes
        self.failures += len(x) - successes if w is None else float(w[x == 0].sum())
        return self

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        merged = type(self)()
        for name in self.fields:
            setattr(merged, name, getattr(self, name) + getattr(later, name))
        return merged

    def result(self) -> ProportionResult:
        return ProportionResult(self.count, self.successes, self.failures, self.rate, self.missing)
