"""A clock that a test moves by hand."""

from __future__ import annotations

_SECOND = 1_000_000_000


class ManualClock:
    """Clock for `cr.start(clock=...)` that stands still until it is moved.

    Args:
        now: First reading, UTC nanoseconds since 1970; default 2025-01-01 12:00.

    Attributes:
        now: Current reading, UTC nanoseconds since 1970; may be set, also backwards.

    Examples:
        >>> import crucible_nb as cr
        >>> clock = ManualClock()
        >>> exp = cr.start("demo", clock=clock)
        >>> clock.tick(2.5)
        >>> exp.summary()["active_duration"]
        2.5
        >>> exp.stop()
    """

    def __init__(self, now: int = 1_735_732_800_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def tick(self, seconds: float) -> None:
        """Move the clock forward; negative seconds move it back.

        Examples:
            >>> clock = ManualClock(0)
            >>> clock.tick(0.5)
            >>> clock()
            500000000
        """
        self.now += int(seconds * _SECOND)
