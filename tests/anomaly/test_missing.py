"""A growing share of missing values, of events that used to carry the metric, is an anomaly with its own reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.anomaly.missing import ENOUGH, Missing
from tests.conftest import NOON, SECOND


def calls(lacking: np.ndarray, seed: int = 0) -> pd.DataFrame:
    n = len(lacking)
    cost = np.where(lacking, np.nan, np.random.default_rng(seed).normal(0.01, 0.001, n))
    times = pd.to_datetime(NOON + np.arange(n) * SECOND, utc=True)
    return pd.DataFrame({"event": "llm.call", "cost_usd": cost, "latency_ms": 100.0}, index=times)


def judged(lacking: np.ndarray, cuts: tuple[int, ...] = ()) -> dict[int, float]:
    """Score of each flagged event of one group and name."""
    found, running = {}, Missing(150, 1.0)
    for part in np.split(np.arange(len(lacking)), cuts):
        zeros = np.zeros(len(part), np.int64)
        found |= {int(part[i]): one.score for i, one in running.judge(lacking[part], zeros, zeros, ["a"]).items()}
        again = Missing(150, 1.0)
        again.load(running.to_dict())
        running = again
    return found


def test_costs_that_stop_coming_are_heard_with_a_reason_of_their_own(tmp_path: Path) -> None:
    lacking = np.arange(700) >= 500
    exp = cr.start("unpriced", anomaly="auto", clock="events", store=tmp_path)
    exp.extend(calls(lacking).iloc[:300])
    for time, row in calls(lacking).iloc[300:].iterrows():  # a field that is not given
        exp.record(
            row.event, time=time, latency_ms=100.0, **({} if np.isnan(row.cost_usd) else {"cost_usd": row.cost_usd})
        )
        exp.record("tool.call", time=time)  # never had a cost
    exp.stop()
    found = exp.anomalies()
    assert found[["metrics", "severity"]].values.tolist() == [["cost_usd", "critical"]]
    told = exp.alerts().reason.tolist()
    assert told[0] == "cost_usd is missing in 12 of the last 12 llm.call, never before"
    assert exp.alerts().severity.tolist() == ["medium", "medium", "high", "high", "critical"]
    assert exp.df[exp.df.anomaly].event.unique().tolist() == ["llm.call"]
    again = cr.attach("unpriced", store=tmp_path, mode="read")
    pd.testing.assert_frame_equal(again.anomalies(), found)


def test_in_a_frame_it_is_the_same_and_in_scores_every_nan_was_given() -> None:
    rows = calls(np.arange(700) >= 500)
    first = rows.crucible.anomalies("auto", "cost_usd").first_seq.tolist()
    assert first == [507]  # the eighth in a row
    assert np.flatnonzero(cr.anomaly.score(rows, metric="cost_usd") >= 1).tolist()[0] == 500


def test_the_evidence_is_a_cumulative_sum_of_log_likelihood_ratios() -> None:
    """Recomputed value by value with floats: the usual share is that of the first 1,000 events."""
    rng = np.random.default_rng(5)
    lacking = np.concatenate((rng.random(1000) < 0.1, [True], rng.random(60) < 0.6))
    found = judged(lacking)
    usual, evidence, best = None, 0.0, {}
    count = missing = 0
    for i, one in enumerate(lacking.tolist()):
        if evidence == 0 and one and (usual is None or count // 64 > usual[0] // 64):
            usual = (count, missing)
        share = max((usual[1] + 0.5) / (usual[0] + 1), 0.01) if usual else 0.5
        odds = 5 * share / (1 - share)
        more = odds / (1 + odds)
        if one and usual and usual[0] - usual[1] >= 150:
            evidence += np.log(more / share)
            best[i] = evidence / ENOUGH
        elif not one:
            evidence = max(evidence + np.log((1 - more) / (1 - share)), 0.0)
        count, missing = count + 1, missing + one
    assert len(found) > 10
    assert found == pytest.approx({i: score for i, score in best.items() if score >= 1}, rel=1e-4)


def test_cuts_and_a_state_change_nothing() -> None:
    rng = np.random.default_rng(6)
    lacking = np.concatenate([rng.random(n) < share for n, share in ((900, 0.02), (900, 0.5), (900, 0.02), (200, 0.9))])
    whole = judged(lacking)
    assert len(whole) > 100
    for cuts in ((1, 2, 3), (899, 900, 901, 905), tuple(range(7, 2900, 7))):
        assert judged(lacking, cuts) == whole


def test_a_usual_share_is_no_anomaly_and_a_lasting_one_becomes_usual() -> None:
    alarms = 0
    for share in (0.0, 0.01, 0.1, 0.3, 0.45, 0.7, 1.0):
        for seed in range(3):
            lacking = np.random.default_rng(seed).random(20_000) < share
            alarms += len(judged(lacking))
    assert alarms < 10  # rows, of 420,000
    lacking = np.concatenate((np.zeros(1000, bool), np.random.default_rng(0).random(3000) < 0.3))
    flagged = np.array(list(judged(lacking)))
    assert 1000 < flagged[0] < 1100
    assert flagged[-1] < 2500


def test_single_missing_values_and_metrics_that_were_rare_are_quiet() -> None:
    lacking = np.zeros(2000, bool)
    lacking[[300, 301, 302, 900, 1500, 1501]] = True
    assert judged(lacking) == {}
    assert judged(np.arange(2000) % 3 != 0) == {}  # two of three never had it
