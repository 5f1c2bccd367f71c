"""How much a run tries: pytest --hypothesis-profile=test (as without), check or explore.

`test` and `check` try the same examples every time, `check` more of them. `explore` searches anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

SHARES = {"test": 0.06, "check": 0.15, "explore": 10.0}
COMMON: dict[str, Any] = {
    "deadline": None,  # how long an example takes is the machine's business
    "suppress_health_check": list(HealthCheck),
}


def register() -> None:
    """Register the three as profiles of Hypothesis, and use `test` until pytest is told of another."""
    for name, share in SHARES.items():
        anew = name == "explore"
        database = DirectoryBasedExampleDatabase(".hypothesis/examples") if anew else None
        settings.register_profile(
            name, max_examples=int(100 * share), derandomize=not anew, database=database, print_blob=anew, **COMMON
        )
    settings.load_profile("test")


def scaled(count: int) -> int:
    """Return the share of `count` that this run tries; at least one."""
    return max(1, round(count * SHARES[settings.get_current_profile_name()]))


def examples(count: int) -> settings:
    """Settings of a Hypothesis test that tries this share of `count` examples; without, it is of 100."""
    return settings(max_examples=max(4, scaled(count)))


def every_third(cases: Iterable[str]) -> list[Any]:
    """Parameters of a test that tries every third case in `make test`, and all in `make check`."""
    return [case if i % 3 == 0 else pytest.param(case, marks=pytest.mark.check) for i, case in enumerate(cases)]


def thinned(cases: Iterable[str], step: int) -> list[str]:
    """Cases of a loop: every `step`-th in `make test`, all else."""
    return list(cases)[:: step if settings.get_current_profile_name() == "test" else 1]


def seeds(count: int, first: int = 0) -> list[int]:
    """Seeds of a loop that tries this share of `count`; those of `explore` are new every time."""
    if settings.get_current_profile_name() == "explore":
        return [secrets.randbelow(2**32) for _ in range(scaled(count))]
    return list(range(first, first + scaled(count)))
