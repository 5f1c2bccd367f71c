"""The accumulator protocol: an ordered monoid with a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable


@runtime_checkable
class Accumulator(Protocol):
    """State of bounded size that is updated with values, merged, and read at any time.

    A new accumulator is the identity of `merge`, and `merge` is associative, so a stream may be cut anywhere, its
    parts accumulated separately (windows, workers, partitions) and merged in order. Missing values (NaN) are skipped
    and counted; results not known yet are NaN, never an error. `crucible_nb.testing.check_accumulator` checks the laws.

    Examples:
        >>> from crucible_nb.accumulators import Accumulator, Extremes, Moments
        >>> isinstance(Moments(), Accumulator), isinstance(Extremes(), Accumulator)
        (True, True)
    """

    __slots__ = ()

    def update(self, values: Any, weights: Any = None) -> Self:
        """Add values, in place.

        Args:
            values: 1-D array-like of n values, oldest first, NaN where missing.
            weights: n finite numbers >= 0: the number of events each value represents; None means 1 each. A value
                of weight 0 is ignored.

        Returns:
            The accumulator itself.

        Raises:
            StatError: `values` cannot be converted, or `weights` are negative, infinite or not n.

        Examples:
            >>> from crucible_nb.accumulators import Moments
            >>> Moments().update([1.0, 3.0], weights=[3, 1]).mean
            1.5
        """
        ...

    def merge(self, later: Self) -> Self:
        """Merge this accumulator with that of later values into a new one; both inputs stay unchanged.

        Raises:
            ConfigError: `later` is of another type or has other parameters.

        Examples:
            >>> from crucible_nb.accumulators import Moments
            >>> Moments().update([1.0, 2.0]).merge(Moments().update([6.0])).mean
            3.0
        """
        ...

    def result(self) -> Any:
        """Compute the result so far: a frozen record or a number, NaN where unknown.

        Examples:
            >>> from crucible_nb.accumulators import Extremes
            >>> Extremes().result()
            ExtremesResult(count=0, minimum=nan, maximum=nan, missing=0)
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the whole state as plain data (text, numbers, lists) for JSON, with `kind` and `version`.

        Examples:
            >>> from crucible_nb.accumulators import Extremes
            >>> Extremes().update([1.0]).to_dict()["maximum"]
            1.0
        """
        ...

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the accumulator from the result of `to_dict`.

        Raises:
            StoreError: The state is broken, of another kind or from a newer release.

        Examples:
            >>> from crucible_nb.accumulators import Extremes
            >>> Extremes.from_dict(Extremes().update([1.0, 3.0]).to_dict()).maximum
            3.0
        """
        ...
