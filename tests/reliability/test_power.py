"""What was flushed survives a power loss; what was not may be there in part, and never twice or garbled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import crucible_nb as cr
from crucible_nb.store import sync, writer
from crucible_nb.testing import PowerLossDisk
from tests.conftest import settle
from tests.laws.test_resume import die
from tests.tiers import seeds

pytestmark = [
    pytest.mark.seeded,
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
]


@pytest.mark.parametrize("part", range(10))
def test_what_was_synced_survives(tmp_path: Path, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 60)
    monkeypatch.setattr(sync.Syncer, "add", lambda self, writer: None)  # nothing is synced behind our back
    for seed in seeds(6, first=6 * part):
        print(f"history {seed}")  # shown when it fails
        history(seed, tmp_path / str(seed))


def history(seed: int, place: Path) -> None:
    """Writers, deaths and at the end a power loss; then what was synced has to be there."""
    rng = np.random.default_rng(seed)
    store, n, sure = place / "store", 0, 0
    with PowerLossDisk() as disk:
        exp = cr.start("power", store=store, durability=str(rng.choice(["os", "disk"])), windows=())
        durable = exp._log.writer.durability == "disk"
        for _ in range(int(rng.integers(5, 60))):
            what = rng.choice(["record", "record", "extend", "flush", "look", "attach"])
            if what == "record":
                assert exp.record("e", n=n)
                n += 1
            elif what == "extend":
                count = int(rng.integers(1, 40))
                exp.extend([{"n": i} for i in range(n, n + count)])
                n += count
            elif what == "flush":
                exp.flush()
                sure = n
            elif what == "attach":
                settle(exp)
                die(exp)
                exp = cr.attach("power", store=store, mode="resume")
            else:
                exp.metrics()
                settle(exp)
            sure = n if durable else sure
        settle(exp)
        disk.lose_power(place, place / "after", rng)
        die(exp)
    again = cr.attach("power", store=place / "after" / "store", mode="resume")
    frame = again.frame()
    found = frame["n"].tolist() if "n" in frame else []
    assert len(set(found)) == len(found)
    assert set(range(sure)) <= set(found) <= set(range(n))
    assert again.record("e", n=n)
    again.stop()
