"""One contiguous array that grows; untouched pages of its reserve cost nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

_FIRST = 1024


class Growing:
    """A numpy array with room at its end; what was handed out is never written again.

    Appending writes beyond every view made so far; when the room is used up the array moves to one of
    twice the size, and older views keep the old one alive.

    Examples:
        >>> column = Growing(np.float64)
        >>> column.append(np.array([1.0, 2.0]))
        >>> column.view(0, 2)
        array([1., 2.])
    """

    __slots__ = ("data", "length")

    def __init__(self, dtype: Any, fill: Any = 0, length: int = 0) -> None:
        self.data = np.empty(max(_FIRST, 2 * length), dtype)
        self.data[:length] = fill
        self.length = length

    def reserve(self, extra: int, room: int = 0) -> int:
        """Make room for `extra` more items; returns where they begin.

        When it has to move it takes twice the size, of `room` items where more are known to come: room that nobody
        touches costs nothing, and what comes after a large lot should not have to move it.
        """
        start, need = self.length, self.length + extra
        if need > len(self.data):
            bigger = np.empty(2 * max(len(self.data), need, room), self.data.dtype)
            bigger[:start] = self.data[:start]
            self.data = bigger
        self.length = need
        return start

    def append(self, values: np.ndarray, room: int = 0) -> None:
        """Add an array at the end."""
        start = self.reserve(len(values), room)
        self.data[start : self.length] = values

    def pad(self, length: int, fill: Any) -> None:
        """Grow to `length` with `fill`."""
        if length > self.length:
            start = self.reserve(length - self.length)
            self.data[start:length] = fill

    def view(self, start: int, stop: int) -> np.ndarray:
        """A read-only view, no copy."""
        view = self.data[start:stop]
        view.flags.writeable = False
        return view

    @property
    def nbytes(self) -> int:
        """Bytes in use, the reserve not counted."""
        return self.length * self.data.itemsize
