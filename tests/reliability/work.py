"""What workers do in the tests of many writers; at the top of a module, so that it can be sent to them."""

from __future__ import annotations

import os
from typing import Any

import crucible_nb as cr

GLOBAL: Any = None


def with_handle(task: tuple[Any, int, int]) -> int:
    """Record through an experiment that came as an argument."""
    exp, worker, events = task
    for i in range(events):
        assert exp.record("work", latency_ms=float(i), worker=worker, model=f"m{worker % 2}", success=i % 10 > 0)
    return os.getpid()


def with_global(task: tuple[int, int]) -> int:
    """Record through the experiment that a forked process inherited."""
    return with_handle((GLOBAL, *task))


def with_environment(task: tuple[int, int]) -> int:
    """Record through CRUCIBLE_RUN."""
    worker, events = task
    for i in range(events):
        assert cr.record("work", latency_ms=float(i), worker=worker, model=f"m{worker % 2}", success=i % 10 > 0)
    return os.getpid()
