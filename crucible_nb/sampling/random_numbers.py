"""Coins by number: the same seed gives the same numbers, however many are asked for at a time."""

from __future__ import annotations

from typing import Any

import numpy as np


class Draws:
    """Uniform numbers from a counter-based generator (Philox), keyed by seed and stream.

    Args:
        seed: Of all streams.
        stream: Ordinal of a writer, a stratum, ...: streams share no numbers.
        position: Numbers drawn already.

    Examples:
        >>> one, two = Draws(1), Draws(1)
        >>> [*one.next(2), *one.next(3)] == list(two.next(5))
        True

    References:
        Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC'11.
    """

    __slots__ = ("_generator", "position", "seed", "stream")

    def __init__(self, seed: int, stream: int = 0, position: int = 0) -> None:
        self.seed, self.stream, self.position = seed, stream, position
        key = np.array([seed % 2**64, stream % 2**64], np.uint64)
        bits = np.random.Philox(key=key)
        bits.advance(position // 4)  # a step of the counter gives four numbers
        self._generator = np.random.Generator(bits)
        self._generator.random(position % 4)

    def next(self, count: int) -> np.ndarray:
        """The next numbers in [0, 1)."""
        self.position += count
        return self._generator.random(count)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"seed": self.seed, "stream": self.stream, "position": self.position}
