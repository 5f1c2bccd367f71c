"""What is recorded is in the database, and comes back from it as it was."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr


def record_all_kinds(exp: cr.Experiment, n: int = 50) -> None:
    for i in range(n):
        exp.record(
            "llm.request", latency_ms=float(i) + 1 / 3, cost_usd=np.nan if i % 7 == 0 else i * 1e-5, success=[True, False, None][i % 3],
            model=["gpt-4o", "müller\n\"x\",'y'\\", None][i % 3], prompt_tokens=i if i % 2 else None, error="" if i % 5 == 0 else None,
            session_id=f"s{i % 4}", step=i, loss=[0.5, float("inf"), float("-inf"), float("nan")][i % 4], note=f"n{i}" if i % 6 else None,
            other=i * 3 if i % 4 else None, flag=bool(i % 2), metadata={"b": 1, "a": [i, None, "ü"]} if i % 9 == 0 else None,
            time=1_700_000_000_123_456_789 + i * 1_000_000_007 * (1 if i != 20 else -1),
        )  # fmt: skip


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    left, right = left.copy(), right.copy()
    for frame in (left, right):
        if "metadata" in frame:
            frame["metadata"] = [
                None if text is None or text != text else json.dumps(json.loads(text), sort_keys=True)
                for text in frame["metadata"]
            ]
    pd.testing.assert_frame_equal(left, right)


def test_round_trip_is_exact(url):
    exp = cr.start("trip", store=url, condition="treatment", tags=["a"], metadata={"sha": "x"}, anomaly="z_score")
    record_all_kinds(exp)
    exp.extend(pd.DataFrame({"latency_ms": [1.0, 2.0], "score": [0.5, None]}), event="more")
    assert exp.wait_archived(20)
    exp.stop()
    assert exp.wait_archived(20)
    back = cr.attach("trip", store=url, mode="read")
    assert back.id == exp.id
    assert (back.status, back.condition, back.tags) == ("stopped", "treatment", ("a",))
    same(back.frame(), exp.frame())
    assert str(back.metrics()) == str(exp.metrics())
    assert back.summary() | {"store": 0} == exp.summary() | {"store": 0}
    with pytest.raises(cr.LifecycleError):
        back.stop()
    facts = exp.summary()["store"]["archived"]
    assert list(facts.values())[0]["events"] == 52
    assert cr.attach(exp.id, store=url, mode="read").summary()["total_events"] == 52
