"""Check the numbers that the lines of a journal carry: each event once, in order, without gaps."""

from __future__ import annotations

from typing import NamedTuple

_PLAUSIBLE = 1 << 20
"""Events that may be missing before a line that no other line confirms; more are taken for a made-up number."""

_BEYOND = 1 << 62


class Placed(NamedTuple):
    """Decision about a line.

    Attributes:
        use: Whether it is the next one; else it is passed over.
        lost: Number of events that are lost by it and were not counted before.
        why: The reason in words, "" for the next line in order.
    """

    use: bool
    lost: int = 0
    why: str = ""


class Numbering:
    """Places lines by their numbers, one by one.

    A line whose number has been read is a double. One whose number is too large follows a gap, unless the line after it
    goes on with what was expected: then it alone is out of place.

    Args:
        expected: Number of the next event.

    Attributes:
        expected: Number of the next event.

    Examples:
        >>> numbering = Numbering()
        >>> [numbering.place(seq, 1, after).use for seq, after in ((0, 1), (1, 1), (1, 5), (5, 6))]
        [True, True, False, True]
        >>> numbering.expected
        6
    """

    def __init__(self, expected: int = 0) -> None:
        self.expected = expected
        self._unreadable = 0  # lines since the last one that could be read, each counted as one event
        self._missing: list[tuple[int, int]] = []
        self._ahead: set[int] = set()

    def unreadable(self) -> int:
        """Count a line that cannot be read as one lost event; the next line corrects the number."""
        self._unreadable += 1
        return 1

    def place(self, seq: int, events: int, following: int | None = None) -> Placed:
        """Place a line.

        Args:
            seq: Number of its first event; of a line without events, number of the next event.
            events: Number of events in it.
            following: Number of the next line with events, if it is known.
        """
        if seq == self.expected:
            self._advance(seq, events)
            return Placed(use=True)
        if seq < self.expected:
            if any(start <= seq < stop for start, stop in self._missing):
                return Placed(use=False, lost=0, why=f"event {seq:,} comes too late")
            return Placed(use=False, lost=max(1, events), why=f"event {seq:,} is there twice")
        if not self._is_gap(seq, events, following):
            self._ahead.update(range(seq, seq + events) if seq < _BEYOND and events < _PLAUSIBLE else ())
            return Placed(use=False, lost=max(1, events), why=f"event {seq:,} comes before event {self.expected:,}")
        start = self.expected
        ahead = {number for number in self._ahead if start <= number < seq}
        self._ahead -= ahead
        self._missing.append((start, seq))
        lost = max(0, seq - start - self._unreadable - len(ahead))
        self._advance(seq, events)
        return Placed(use=True, lost=lost, why=f"events {start:,} to {seq - 1:,} are missing")

    def _advance(self, seq: int, events: int) -> None:
        self.expected, self._unreadable = seq + events, 0

    def _is_gap(self, seq: int, events: int, following: int | None) -> bool:
        if seq >= _BEYOND or (following is not None and self.expected <= following < seq):
            return False
        return seq - self.expected <= _PLAUSIBLE or (events > 0 and following == seq + events)
