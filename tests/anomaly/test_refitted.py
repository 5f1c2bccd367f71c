"""Detectors around fitted models: PyOD's, and one of a few lines."""

from __future__ import annotations

import json

import numpy as np
import orjson
import pandas as pd
import pytest
from pyod.models.ecod import ECOD
from pyod.models.knn import KNN

from crucible_nb.anomaly import Refitted
from crucible_nb.anomaly.refitted import Model
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.testing import check_detector
from crucible_nb.testing.detectors import clean, scores


class Nearest(Refitted):
    def fit(self, sample: np.ndarray) -> Model:
        return KNN(n_neighbors=5).fit(sample).decision_function


class Tails(Refitted):
    def fit(self, sample: np.ndarray) -> Model:
        return ECOD().fit(sample).decision_function


@pytest.mark.check
def test_a_detector_of_pyod_obeys_the_laws() -> None:
    check_detector(Nearest("latency_ms", threshold=12.0))
    check_detector(Nearest(["latency_ms", "cost_usd"], threshold=25.0, false_alarm_rate=0.01))


def test_a_model_that_ranks_rows_among_those_it_is_asked_about_is_caught() -> None:
    with pytest.raises(AssertionError, match="no cut changes a bit"):
        check_detector(Tails("latency_ms", threshold=12.0))


def test_the_model_is_fitted_to_the_past_alone_at_doubling_counts() -> None:
    fitted: list[np.ndarray] = []

    class Spy(Refitted):
        def fit(self, sample: np.ndarray) -> Model:
            fitted.append(sample)
            return lambda rows: rows[:, 0]

    frame = pd.DataFrame({"latency_ms": np.arange(10_000.0)})
    got = scores(Spy("latency_ms", threshold=1e6).begin(), frame)
    assert all(sample.max() < count for sample, count in zip(fitted, (256, 512, 1024, 2048, 4096, 8192), strict=True))
    np.testing.assert_array_equal(fitted[-1][:, 0], np.arange(0, 8192, 4))
    assert np.isnan(got[:256]).all()
    np.testing.assert_array_equal(got[256:], frame.latency_ms[256:] / 1e6)


def test_a_missing_metric_counts_as_its_median_and_the_reason_names_what_is_furthest() -> None:
    class Furthest(Refitted):
        def fit(self, sample: np.ndarray) -> Model:
            return lambda rows: np.abs(rows - np.median(sample, axis=0)).max(axis=1)

    frame = clean(["latency_ms", "cost_usd"], 600)
    frame.loc[500, ["latency_ms", "cost_usd"]] = [np.nan, 900.0]
    frame.loc[501, ["latency_ms", "cost_usd"]] = [np.nan, np.nan]
    frame.loc[502, ["latency_ms", "cost_usd"]] = [700.0, np.inf]
    verdict = Furthest(["latency_ms", "cost_usd"], threshold=100.0).begin().judge(EventColumns.of_frame(frame))
    assert np.flatnonzero(verdict.score >= 1).tolist() == [500, 502]
    assert verdict.metric[[500, 502]].tolist() == [1, 0]
    assert verdict.reasons[500].startswith("cost_usd 900 is an odd combination (80")
    assert verdict.reasons[502].startswith("latency_ms 700 is an odd combination (60")
    assert np.isnan(verdict.score[501])


def test_the_metric_that_is_named_is_one_that_is_there() -> None:
    class All(Refitted):
        def fit(self, sample: np.ndarray) -> Model:
            return lambda rows: np.full(len(rows), 2.0)

    frame = pd.DataFrame({"latency_ms": np.full(300, 5.0), "cost_usd": np.full(300, 7.0)})
    frame.loc[280:, "latency_ms"] = np.nan
    verdict = All(["latency_ms", "cost_usd"], threshold=1.0).begin().judge(EventColumns.of_frame(frame))
    assert verdict.metric[256:].tolist() == [0] * 24 + [1] * 20


class Itself(Refitted):
    """The score of an event is its value."""

    def fit(self, sample: np.ndarray) -> Model:
        return lambda rows: rows[:, 0]


def test_no_score_is_above_1000_and_the_reason_says_so() -> None:
    frame = pd.DataFrame({"latency_ms": np.r_[np.ones(300), 5000.0, 2000.0, 1999.0, 1e99]})
    verdict = Itself("latency_ms", threshold=2.0).begin().judge(EventColumns.of_frame(frame))
    assert verdict.score[300:].tolist() == [1000.0, 1000.0, 999.5, 1000.0]
    assert verdict.reasons[300] == "latency_ms 5,000 is an odd combination (5e+03, 1,000 times the limit or more)"
    assert verdict.reasons[302] == "latency_ms 1,999 is an odd combination (2e+03, the limit is 2)"


def test_large_scores_are_ranked_as_they_are_and_capped_then() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"latency_ms": rng.lognormal(20, 1, 6000)})
    frame.loc[5500, "latency_ms"] *= 1e30
    small = frame / 1e6
    found = [
        scores(Itself("latency_ms", threshold=threshold, false_alarm_rate=0.01).begin(), rows)
        for rows, threshold in ((frame, 1.0), (small, 1e6))
    ]
    assert np.nanmax(found[0]) == found[0][5500] == 1000
    assert 0.002 < (found[0] >= 1).mean() < 0.015
    np.testing.assert_allclose(found[0], found[1], rtol=0.01)


def test_an_infinite_score_of_a_model_is_an_alarm_and_no_state_that_json_cannot_hold() -> None:
    class Endless(Refitted):
        def fit(self, sample: np.ndarray) -> Model:
            return lambda rows: np.where(rows[:, 0] > 1000, np.inf, rows[:, 0])

    frame = clean(["latency_ms"], 1200)
    frame.loc[[700, 900], "latency_ms"] = 2000.0
    for options in ({"threshold": 500.0}, {"false_alarm_rate": 0.01}):
        running = Endless("latency_ms", **options).begin()
        assert scores(running, frame)[[700, 900]].tolist() == [1000.0, 1000.0]
        state = running.to_dict()
        assert json.dumps(orjson.loads(orjson.dumps(state))) == json.dumps(state)


def test_groups_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^by=\['model'\]: expected no groups for a detector of all metrics together$"
    ):
        Nearest("latency_ms", by="model")
