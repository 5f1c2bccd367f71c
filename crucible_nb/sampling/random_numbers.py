"""Counter-based random numbers: a seed gives the same sequence, however many numbers are drawn at a time."""

from __future__ import annotations

from typing import Any

import numpy as np


class RandomStream:
    """Uniform random numbers from a counter-based generator (Philox) with seed and stream as its key.

    Args:
        seed: Seed of all streams.
        stream: Number of the stream, such as a writer id; streams share no numbers.
        position: Number of values drawn before.

    Examples:
        >>> a, b = RandomStream(1), RandomStream(1)
        >>> [*a.next(2), *a.next(3)] == list(b.next(5))
        True

    References:
        Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC'11.
    """

    __slots__ = ("_generator", "position", "seed", "stream")

    def __init__(self, seed: int, stream: int = 0, position: int = 0) -> None:
        self.seed, self.stream, self.position = seed, stream, position
        key = np.array([seed % 2**64, stream % 2**64], np.uint64)
        bits = np.random.Philox(key=key)
        bits.advance(position // 4)  # one step of the counter gives four numbers
        self._generator = np.random.Generator(bits)
        self._generator.random(position % 4)

    def next(self, count: int) -> np.ndarray:
        """Draw the next numbers in [0, 1)."""
        self.position += count
        return self._generator.random(count)

    def to_dict(self) -> dict[str, Any]:
        """Return the position as plain data."""
        return {"seed": self.seed, "stream": self.stream, "position": self.position}
