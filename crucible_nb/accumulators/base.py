"""What an accumulator is: an ordered monoid with a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable


@runtime_checkable
class Accumulator(Protocol):
    """State of bounded size that takes values in, merges and answers.

    A fresh one is the identity of `merge`, and `merge` is associative, so a stream may be cut anywhere, its parts
    accumulated apart (windows, workers, partitions) and folded in order. Missing values (NaN) are skipped and
    counted; what is not known yet is NaN, never an error. `crucible_nb.testing.check_accumulator` checks the laws.

    Examples:
        >>> from crucible_nb.accumulators import Accumulator, Extremes, Moments
        >>> isinstance(Moments(), Accumulator), isinstance(Extremes(), Accumulator)
        (True, True)
    """

    def update(self, values: Any, weights: Any = None) -> Self:
        """Take values in, in place.

        Args:
            values: 1-D array-like of n values, oldest first.
            weights: n finite numbers >= 0, how many events each value stands for; None is 1 each. A value of
                weight 0 is as good as absent.

        Returns:
            The accumulator itself.
        """
        ...

    def merge(self, later: Self) -> Self:
        """A new accumulator of this one's values followed by those of `later`; both are left alone."""
        ...

    def result(self) -> Any:
        """What is known so far: a frozen record or a number, NaN where nothing is known."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The whole state as plain data (text, numbers, lists) that JSON can hold, with `kind` and `version`."""
        ...

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The accumulator whose `to_dict` gave `state`; StoreError when it is broken."""
        ...
