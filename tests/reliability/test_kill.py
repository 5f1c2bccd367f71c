"""The kill harness, short: at most 40 kills of ours, and the naive stores that it must see through."""

from __future__ import annotations

import pytest

from tests.reliability.kill import in_fresh_process
from tests.tiers import scaled, seeds


@pytest.mark.seeded
@pytest.mark.parametrize(
    ("batch", "kills"),
    [(1, 14), pytest.param(100, 13, marks=pytest.mark.check), pytest.param(10_000, 13, marks=pytest.mark.check)],
)
def test_nothing_acknowledged_is_lost(batch: int, kills: int) -> None:
    kills, seed = scaled(kills), seeds(1, first=batch)[0]
    found = in_fresh_process("ours", kills, batch, seed=seed)
    assert found.kills >= kills
    assert found.acknowledged > 0
    assert found.clean, found


@pytest.mark.check
@pytest.mark.parametrize(
    ("name", "batch", "what"), [("ack", 1, "lost"), ("glue", 100, "lost"), ("parquet", 100, "unreadable")]
)
def test_the_harness_finds_what_naive_stores_do(name: str, batch: int, what: str) -> None:
    assert getattr(in_fresh_process(name, 40, batch, until_dirty=True), what) > 0
