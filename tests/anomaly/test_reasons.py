"""A reason is one sentence that says what happened in the unit of the metric; a recovery is of low severity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.anomaly.auto_reasons import sentence
from crucible_nb.anomaly.auto_state import PARTS, VOICES

AT = 2000
RNG = np.random.default_rng(0)
CALLS = RNG.normal(400, 50, 3000)
LOSS = 3 * np.exp(-np.arange(3000) / 800) + RNG.normal(0, 0.02, 3000)


def changed(x: np.ndarray, length: int, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    part = slice(AT, AT + length)
    return np.concatenate((x[:AT], change(x[part]), x[AT + length :]))


CASES = {
    "spike": ("latency_ms", changed(CALLS, 1, lambda _: np.array([900.0])), "latency_ms 900 is the highest ever, "),
    "level": ("latency_ms", changed(CALLS, 1000, lambda x: x + 60), "latency_ms: the mean of the last 50 is 4"),
    "spread": ("latency_ms", changed(CALLS, 100, lambda x: 2.2 * x - 480), "latency_ms scatters more than usual: the last"),
    "freeze": ("latency_ms", changed(CALLS.round(), 40, lambda x: x[:1].repeat(40)), "latency_ms is 4"),
    "error": ("loss", changed(LOSS, 1, lambda x: x + 0.5), "loss 0.7427 is unusually far above the 0.25"),
    "success": (
        "success",
        changed((RNG.random(3000) < 0.98).astype(float), 30, lambda x: x * (np.arange(30) % 3 == 0)),
        "success fell to ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_reason_says_what_happened(case: str) -> None:
    metric, x, said = CASES[case]
    found = pd.DataFrame({metric: x}).crucible.anomalies("auto", metric)
    near = found[found.first_seq.between(AT, AT + 100)].reason
    assert len(near) == 1, found.reason.tolist()
    assert near.item().startswith(said), near.item()
    assert "usually 97.7%" in near.item() or case != "success"


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("side", [-1, 1])
def test_every_voice_has_a_sentence_without_jargon(voice: str, side: int) -> None:
    parts = dict.fromkeys(PARTS, 0.0) | {
        voice: 3.0,
        "sd": 50.0,
        "mean": 400.0,
        "rate_usual": 0.5,
        "level_usual": 400.0,
    }
    parts |= {"level_now": 0.5 + 0.3 * side, "fast": 400.0 + side, "slow": 400.0, "rank_now": 0.3 * side}
    parts |= {"rank_spread_now": 0.1 * side, "spread_usual": 40.0, "spread_now": 40.0 + side, "median": 395.0}
    said = sentence("latency_ms", 400.0 + 300 * side, parts, " of o3")
    assert said.startswith("latency_ms")
    assert " of o3" in said
    assert not any(word in said for word in ("rank", "deviation", "evidence", "distribution", "quantile"))


def test_a_change_for_the_better_is_of_low_severity_and_calls_nobody() -> None:
    rng = np.random.default_rng(1)
    rate = np.repeat([0.98, 0.3, 0.98], [1500, 600, 900])
    good = (rng.random(3000) < rate).astype(float)
    for metric, values in (("success", good), ("tool/error", 1 - good)):
        exp = cr.start("recovering", anomaly="auto", anomaly_config={"metrics": metric}, clock="events")
        exp.extend(pd.DataFrame({metric: values}))
        exp.stop()
        found = exp.anomalies()
        assert found.severity.tolist() == ["critical", "low"]
        assert len(exp.alerts()) > 0
        assert all("fell" in one if metric == "success" else "rose" in one for one in exp.alerts().reason)
        assert ("rose" if metric == "success" else "fell") in found.reason[1]
    unknown = pd.DataFrame({"is_cached": good}).crucible.anomalies("auto", "is_cached")
    assert unknown.severity.tolist() == ["critical", "critical"]
