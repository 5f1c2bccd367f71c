"""The law of columns: their order, and which rows a sampler keeps, depend on the events alone.

Not on where blocks of events end, on reads in between, on when journals are sealed, nor on a crash.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.store import log, writer
from crucible_nb.testing import ManualClock
from tests.laws.test_resume import die
from tests.tiers import seeds

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.seeded,
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
]
NAMES = ("k", "note", "z", "a", "model", "success", "obj", "latency_ms", "metadata")
VALUES = (1, 2.5, "text", True, {"d": 1}, None, None, [1], float("nan"), 2**70)
SAMPLERS: dict[str | None, dict[str, Any]] = {
    None: {}, "reservoir": {"size": 10}, "importance": {"size": 10, "by": "latency_ms"}, "uniform": {"rate": 0.3},
    "stratified": {"by": "model", "size": 6}, "adaptive": {},
}  # fmt: skip


class Now:
    """A background worker that works at once, or not at all."""

    def __init__(self, *, works: bool) -> None:
        self.works = works

    def submit(self, job: Any) -> None:
        if self.works:
            job()


def cells(rng: random.Random) -> dict[str, Any]:
    return {name: rng.choice(VALUES) for name in rng.sample(NAMES, rng.randint(0, 4))}


def run(seed: int, store: Path | None = None, looks: float = 0.0, deaths: float = 0.0, limit: int | None = None) -> Any:
    """Run the program of a seed; looks and deaths come from another one, and change nothing of what is recorded."""
    rng, other, clock = random.Random(seed), random.Random(seed + 1), ManualClock(1_735_689_600 * 10**9)
    sampling = rng.choice(list(SAMPLERS))
    exp = cr.start("law", clock=clock, seed=1, store=store, sampling=sampling, sampling_config=SAMPLERS[sampling] or None,
                   max_events=limit)  # fmt: skip
    for _ in range(rng.randint(10, 60)):
        clock.tick(1)
        do = rng.random()
        if do < 0.7:
            exp.record("x", **cells(rng))
        elif do < 0.8:
            exp.extend([cells(rng) for _ in range(rng.randint(1, 6))])
        elif do < 0.9:
            exp.extend(pd.DataFrame([{**cells(rng), "q": 1} for _ in range(rng.randint(1, 6))], dtype=object))
        elif do < 0.93:
            sampling = rng.choice(list(SAMPLERS))
            exp.set_sampling(sampling, SAMPLERS[sampling] or None)
        elif do < 0.96:
            exp.pause()
            exp.resume()
        if other.random() < looks:
            exp.metrics() if other.random() < 0.5 else exp.df
        if other.random() < deaths:
            die(exp)
            exp = cr.attach("law", store=store, mode="resume", clock=clock)
    return exp


@pytest.mark.parametrize("seed", seeds(30))
def test_blocks_looks_and_deaths_change_no_column_and_no_row(seed: int, tmp_path: Path, monkeypatch) -> None:
    wanted = run(seed).df
    pd.testing.assert_frame_equal(run(seed, looks=0.5).df, wanted)
    monkeypatch.setattr(writer, "SEAL_EVENTS", 20)
    monkeypatch.setattr(log, "SEALER", Now(works=True))
    exp = run(seed, tmp_path, looks=0.3, deaths=0.1)
    pd.testing.assert_frame_equal(exp.df, wanted)
    exp.stop()
    pd.testing.assert_frame_equal(cr.attach(exp.handle, mode="read").df, wanted)


@pytest.mark.parametrize("seed", seeds(20))
def test_rows_beyond_a_limit_do_not_depend_on_when_a_journal_is_sealed(seed: int, tmp_path: Path, monkeypatch) -> None:
    """With `max_events` older rows leave memory for the store: how many there are in all is not a matter of timing."""
    found = []
    for size, works in ((10**6, True), (20, True), (7, True), (20, False)):
        monkeypatch.setattr(writer, "SEAL_EVENTS", size)
        monkeypatch.setattr(log, "SEALER", Now(works=works))
        exp = run(seed, tmp_path / f"{size} {works}", looks=0.3, limit=15)
        if not works:
            exp._log.writer.sealing = False  # the job never came
            monkeypatch.setattr(log, "SEALER", Now(works=True))
        found.append((exp.df, exp.summary()["kept_events"] + exp.summary()["evicted_events"]))
        exp.stop()
        found.append((cr.attach(exp.handle, mode="read").df, found[-1][1]))
    for frame, rows in found:
        pd.testing.assert_frame_equal(frame, found[0][0])
        assert rows == len(found[0][0])
