"""Count, mean, variance and total of values, from exact sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from crucible_nb.accumulators.chan import combine
from crucible_nb.accumulators.exact_add import add_runs, add_totals
from crucible_nb.accumulators.exact_sum import ExactSum, merged_with_base, moments_of_sums
from crucible_nb.accumulators.inputs import known_values
from crucible_nb.accumulators.serial import Stateful, StateReader, check_mergeable

_BLOCK = 16_384  # values per step, so that temporaries stay in the cache
_WHOLE = np.zeros(1, np.intp)


@dataclass(frozen=True, slots=True)
class MomentsResult:
    """Result of `Moments`, in the unit of the values; NaN where unknown.

    Attributes:
        count: Number of known values.
        weight: Sum of their weights.
        mean: Weighted mean.
        variance: Sum of squared deviations divided by `weight - 1`; NaN up to a weight of 1.
        std: Square root of the variance.
        total: Weighted sum.
        missing: Number of NaN values.
        infinite: Number of infinite values; they make mean and variance infinite or NaN.

    Examples:
        >>> Moments().update([1.0, 2.0, 6.0]).result().mean
        3.0
    """

    count: int
    weight: float
    mean: float
    variance: float
    std: float
    total: float
    missing: int
    infinite: int


class Moments(Stateful):
    """Count, mean, variance and total, from exact sums: each is correctly rounded, in any order of the values.

    Weights count events: a value of weight w counts as w equal values, and the variance is divided by `weight - 1`.

    Examples:
        >>> Moments().update([1.0, 2.0, 6.0]).result()
        MomentsResult(count=3, weight=3.0, mean=3.0, variance=7.0, std=2.6457513110645907, total=9.0, missing=0, infinite=0)
        >>> Moments().update([1e16, 1.0]).merge(Moments().update([-1e16])).total
        1.0

    References:
        Neal (2015), Fast exact summation using small and large superaccumulators. arXiv:1505.05571.
    """  # noqa: E501  the result's repr is one line

    __slots__ = ("_base", "_squares", "_totals", "_weights", "count", "infinite", "missing")
    kind = "moments"
    _version = 2
    fields: ClassVar[Mapping[str, str]] = {"count": "whole", "missing": "whole", "infinite": "whole"}
    shown = ("count", "mean", "std")

    def __init__(self) -> None:
        self.count = self.missing = self.infinite = 0
        self._weights, self._totals, self._squares = ExactSum(1, 1), ExactSum(1, 1), ExactSum(1, 1)
        self._base = (0.0, 0.0, 0.0, 0.0)  # weight, mean, squared deviations, total of a release that rounded them

    @property
    def weight(self) -> float:
        """Sum of the weights of the known values."""
        return self._weights.value(0, 0) + self._base[0]

    @property
    def mean(self) -> float:
        """Weighted mean; NaN until known."""
        return self._moments()[0]

    @property
    def variance(self) -> float:
        """Sum of squared deviations divided by `weight - 1`; NaN up to a weight of 1."""
        return self._moments()[1]

    @property
    def std(self) -> float:
        """Square root of the variance."""
        return math.sqrt(self.variance)

    @property
    def total(self) -> float:
        """Weighted sum; NaN until known."""
        return self._totals.value(0, 0) + self._base[3] if self.count else math.nan

    def _moments(self) -> tuple[float, float]:
        """Return mean and variance."""
        found = moments_of_sums(self._weights.fraction(0, 0), self._totals, self._squares)
        if self._base[0]:
            found = merged_with_base(found, *self._base[:3])
        return found.mean, found.variance

    def update(self, values: Any, weights: Any = None) -> Self:
        x, w, missing = known_values(values, weights)
        self.missing += missing
        self.count += len(x)
        if w is None:
            self._weights.add_integer(0, 0, len(x), 0)
        for start in range(0, len(x), _BLOCK):
            part = slice(start, start + _BLOCK)
            self._add(x[part], None if w is None else w[part])
        return self

    def _add(self, x: np.ndarray, w: np.ndarray | None) -> None:
        if w is not None:
            add_totals(self._weights, 0, w, _WHOLE)
        infinite = np.isinf(x)
        if infinite.any():
            self.infinite += int(infinite.sum())
            self._totals.add_infinite(0, np.zeros(self.infinite, np.intp), x[infinite])
            x, w = x[~infinite], None if w is None else w[~infinite]
        if len(x):
            add_runs(self._totals, self._squares, 0, x, _WHOLE, w)

    def merge(self, later: Self) -> Self:
        check_mergeable(self, later)
        merged = type(self)()
        for name in ("count", "missing", "infinite"):
            setattr(merged, name, getattr(self, name) + getattr(later, name))
        for name in ("_weights", "_totals", "_squares"):
            sums = getattr(self, name).copy()
            sums.merge(slice(None), getattr(later, name))
            setattr(merged, name, sums)
        weight, mean, squares = map(float, combine(*self._base[:3], *later._base[:3]))
        merged._base = (weight, mean, squares, self._base[3] + later._base[3])
        return merged

    def result(self) -> MomentsResult:
        mean, variance = self._moments()
        return MomentsResult(
            count=self.count,
            weight=self.weight,
            mean=mean,
            variance=variance,
            std=math.sqrt(variance),
            total=self.total,
            missing=self.missing,
            infinite=self.infinite,
        )

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        fields = state[1]
        self.__init__()  # type: ignore[misc]  # before the fields of the pickle
        if "_mean" in fields:  # of release 0.1
            self._base = tuple(fields.pop(name) for name in ("weight", "_mean", "_m2", "_total"))
        for name, value in fields.items():
            setattr(self, name, value)

    def _extra_state(self) -> dict[str, Any]:
        sums = {"weights": self._weights, "totals": self._totals, "squares": self._squares}
        return {**{name: _text(one) for name, one in sums.items()}, "base": list(self._base)}

    def _load_extra_state(self, reader: StateReader) -> None:
        if reader.version == 1:
            weight, total = reader.weight("weight"), reader.number("total")
            self._base = (weight, reader.number("mean"), reader.number("m2"), total)
            return
        for name in ("weights", "totals", "squares"):
            _read(reader, name, getattr(self, f"_{name}"))
        base = reader.numbers("base").tolist()
        if len(base) != len(self._base):
            raise reader.broken(f"base: expected {len(self._base)} numbers, got {len(base)}")
        self._base = tuple(base)


def _text(sums: ExactSum) -> list[Any]:
    """Return an exact sum as plain data: a whole number in hexadecimal, an exponent, the sum of infinite values."""
    integer, exponent = sums.integer(0, 0)
    zeros = (integer & -integer).bit_length() - 1 if integer else 0
    return [hex(integer >> zeros), exponent + zeros if integer else 0, sums.special(0, 0)]


def _read(reader: StateReader, name: str, sums: ExactSum) -> None:
    try:
        text, exponent, special = reader.part(name)
        integer, exponent, special = int(text, 16), int(exponent), float(special)
    except (TypeError, ValueError) as error:
        raise reader.broken(f"{name}: {error}") from error
    if not -_RANGE <= exponent <= _RANGE or integer.bit_length() > _RANGE:
        raise reader.broken(f"{name}: expected a sum of float64 numbers")
    sums.add_integer(0, 0, integer, exponent)
    if special:
        sums.add_infinite(0, np.zeros(1, np.intp), np.array([special]))


_RANGE = 8192  # bits; the products of three numbers have at most 6,400
