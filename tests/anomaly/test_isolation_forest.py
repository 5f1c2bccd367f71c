"""The isolation forest is scikit-learn's, refitted to a sample of the past."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest as Reference

import crucible_nb as cr
from crucible_nb.anomaly import IsolationForest
from crucible_nb.events.event_columns import EventColumns

METRICS = ["latency_ms", "completion_tokens"]


def frame(n: int = 1200, seed: int = 0) -> pd.DataFrame:
    """Latency that follows the tokens, but for one row in fifty."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(200, 40, n).round()
    result = pd.DataFrame({"latency_ms": 5 * tokens + rng.normal(0, 20, n), "completion_tokens": tokens})
    result.loc[rng.random(n) < 0.02, "latency_ms"] += 2000
    return result


def judged(detector: IsolationForest, rows: pd.DataFrame) -> np.ndarray:
    return detector.begin().judge(EventColumns.of_frame(rows)).score


@pytest.mark.parametrize(("n", "options"), [(1200, {}), (9000, {"trees": 10, "seed": 7}), (1200, {"threshold": 0.5})])
def test_scores_are_those_of_scikit_learn_on_the_same_sample(n: int, options: dict[str, Any]) -> None:
    rows = frame(n)
    x, expected = rows.to_numpy(), np.full(n, np.nan)
    for count in [count for count in (256, 512, 1024, 2048, 4096, 8192) if count < n]:
        stride = max(1, count // 2048)  # at most 2,048 rows, evenly spread
        forest = Reference(n_estimators=options.get("trees", 100), random_state=options.get("seed", 0)).fit(
            x[:count:stride]
        )
        stop = min(2 * count, n)
        expected[count:stop] = -forest.score_samples(x[count:stop])
    got = judged(IsolationForest(METRICS, **options), rows)
    np.testing.assert_allclose(got, expected / options.get("threshold", 0.65), rtol=1e-12)


def test_missing_and_infinite_metrics_count_as_the_median_of_the_sample() -> None:
    rows = frame(500)
    rows.loc[10, "latency_ms"] = np.nan
    x = rows.to_numpy(copy=True)
    usual = np.nanmedian(x[:256], axis=0)
    x[10, 0] = usual[0]
    forest = Reference(random_state=0).fit(x[:256])
    rows.loc[300, "latency_ms"], rows.loc[301, "completion_tokens"], rows.loc[302, :] = np.nan, np.inf, np.nan
    x[300, 0], x[301, 1] = usual
    got = judged(IsolationForest(METRICS), rows)
    np.testing.assert_allclose(got[[300, 301]], -forest.score_samples(x[[300, 301]]) / 0.65, rtol=1e-12)
    assert np.isnan(got[302])


def test_events_without_any_metric_are_not_counted() -> None:
    rows = frame(600)
    gaps = rows.loc[rows.index.repeat(2)].reset_index(drop=True)
    gaps.loc[1::2] = np.nan
    got = judged(IsolationForest(METRICS, trees=20), gaps)
    np.testing.assert_array_equal(got[::2], judged(IsolationForest(METRICS, trees=20), rows))
    assert np.isnan(got[1::2]).all()


@pytest.mark.parametrize("row", [100, 300])
def test_a_value_too_large_for_scikit_learn_does_not_end_the_judging(row: int) -> None:
    rows = frame(600)
    rows.loc[row, "latency_ms"] = 1e39  # no float32
    got = judged(IsolationForest(METRICS, trees=20), rows)
    assert np.isfinite(np.delete(got, row)[256:]).all()


def test_an_odd_row_is_found_and_all_its_metrics_are_said() -> None:
    rows = frame()
    rows.loc[900] = [5000.0, 20.0]
    verdict = IsolationForest(METRICS).begin().judge(EventColumns.of_frame(rows))
    forest = Reference(random_state=0).fit(rows[:512].to_numpy())
    score = -forest.score_samples(rows[900:901].to_numpy())[0]
    assert score >= 0.65
    assert np.nanmean(verdict.score >= 1) < 0.05
    said = f"latency_ms 5,000, completion_tokens 20 is an odd combination ({score:.3g}, the limit is 0.65)"
    assert verdict.reasons[900] == said


@pytest.mark.parametrize("cut", [256, 300, 511, 512, 900])
def test_the_metric_that_is_named_does_not_depend_on_where_a_block_ends(cut: int) -> None:
    rows = frame()
    rows.loc[400:, "latency_ms"] = 1000 + (rows.latency_ms[400:] - 1000) * 50
    rows.loc[300, :] = [4000.0, 900.0]
    detector = IsolationForest(METRICS, trees=20)
    whole, running = detector.begin().judge(EventColumns.of_frame(rows)), detector.begin()
    parts = [running.judge(EventColumns.of_frame(part, part.index[0])) for part in (rows[:cut], rows[cut:])]
    assert whole.score[300] >= 1
    np.testing.assert_array_equal(np.concatenate([part.metric for part in parts]), whole.metric)
    reasons = parts[0].reasons | {cut + i: said for i, said in parts[1].reasons.items()}
    assert reasons == whole.reasons


@pytest.mark.parametrize("cut", [0, 100, 256, 700, 1024, 3000])
def test_it_goes_on_from_its_state(cut: int) -> None:
    rows = frame(4000)
    rows.loc[3::50, "latency_ms"] = np.nan
    detector = IsolationForest(METRICS, trees=10, false_alarm_rate=0.05)
    running = detector.begin()
    before = running.judge(EventColumns.of_frame(rows[:cut])).score
    state = running.to_dict()
    written = orjson.loads(orjson.dumps(state))
    again = detector.from_dict(written)
    assert json.dumps(written) == json.dumps(state) == json.dumps(again.to_dict())
    after = again.judge(EventColumns.of_frame(rows[cut:], cut)).score
    np.testing.assert_array_equal(np.r_[before, after], judged(detector, rows))


def test_memory_is_bounded() -> None:
    rows = frame(20_000)
    running = IsolationForest(METRICS, trees=1).begin()
    running.judge(EventColumns.of_frame(rows))
    assert len(json.dumps(running.to_dict())) < 4 * 2048 * 2 * 20


def test_a_live_experiment_flags_what_it_finds() -> None:
    rows = frame()
    with cr.start("forest", clock="events", anomaly="isolation_forest", anomaly_config={"metrics": METRICS}) as exp:
        exp.extend(rows, event="call")
    expected = judged(IsolationForest(METRICS), rows)
    np.testing.assert_array_equal(exp.df.anomaly_score, expected)
    assert exp.anomaly_metrics()["total_anomalies"] == (expected >= 1).sum() > 0


class Absent:
    """An import system that has no scikit-learn."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.split(".", maxsplit=1)[0] == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_without_scikit_learn_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    said = "an isolation forest needs sklearn.ensemble: pip install 'crucible_nb[anomaly]'"
    for call in (
        lambda: IsolationForest(METRICS),
        lambda: cr.start("absent", anomaly="isolation_forest"),
        lambda: cr.anomaly.score(frame(), "isolation_forest", metric="latency_ms"),
    ):
        with pytest.raises(cr.ConfigError) as raised:
            call()
        assert str(raised.value) == said
    cr.anomaly.score(frame(), "z_score", metric="latency_ms")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "model"}, "by=['model']: expected no groups for a detector of all metrics together"),
        ({"trees": 0}, "trees=0: expected a whole number >= 1"),
        ({"seed": -1}, "seed=-1: expected a whole number >= 0"),
        ({"threshold": 0}, "threshold=0: expected a number > 0"),
    ],
)
def test_wrong_options_are_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(cr.ConfigError) as raised:
        IsolationForest(METRICS, **options)
    assert str(raised.value) == said
