"""Numbers that the two processes of a receiver share."""

from __future__ import annotations

import mmap

NAMES = (
    "kept", "asleep", "recorded", "spans", "repeated", "nested", "twins", "dropped_attributes", "unmapped_bodies",
)  # fmt: skip


class Board:
    """Whole numbers by name, which a forked process sees too; each is written by one of the two.

    Examples:
        >>> board = Board()
        >>> board["spans"] = 5
        >>> board["spans"], board["twins"]
        (5, 0)
    """

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._place = {name: place for place, name in enumerate(NAMES)}

    def __getitem__(self, name: str) -> int:
        return self._numbers[self._place[name]]

    def __setitem__(self, name: str, number: int) -> None:
        self._numbers[self._place[name]] = number
