"""Stores of earlier releases open in this one, with the same results. See tools/make_golden.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.store.verify import verify

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir())

pytestmark = pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / request.param
    shutil.copytree(GOLDEN / request.param, place)
    return place


def test_every_file_is_sound(golden: Path) -> None:
    assert verify(golden).sound


def test_it_lists_and_reads(golden: Path) -> None:
    assert cr.experiments(golden).set_index("name")["status"].to_dict() == {"stopped": "stopped", "died": "dead"}
    for name, events in (("stopped", 402), ("died", 402)):
        exp = cr.attach(name, store=golden, mode="read")
        want = cr.load(golden / f"{name}.parquet")
        pd.testing.assert_frame_equal(exp.frame(), want, check_exact=True)
        assert exp.metrics().events == events
        assert (exp.pause_count, exp.condition, exp.tags, exp.metadata) == (1, "treatment", ("golden",), {"k": [1]})
        assert exp.planned.plan.metric == "score"
        assert exp.metrics(by="note")["n"].events == 1
        assert list(exp.marks) == ([] if golden.name in ("v1", "v2") else ["late"])
    assert exp.metrics().cost.total > 0


def test_what_died_goes_on(golden: Path) -> None:
    exp = cr.attach("died", store=golden)
    before = exp.metrics().events
    assert exp.record("call", latency_ms=1.0, model="a", prompt_tokens=10**6, completion_tokens=0)
    assert exp.frame().iloc[-1]["seq"] == before
    exp.stop()
    assert verify(golden).sound
    assert cr.attach("died", store=golden).metrics().events == before + 1
