"""Detectors around fitted models: PyOD's, and one of a few lines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyod.models.ecod import ECOD
from pyod.models.knn import KNN

from crucible_nb.anomaly import Refitted
from crucible_nb.anomaly.refitted import Model
from crucible_nb.seen import Events
from crucible_nb.testing import check_detector
from crucible_nb.testing.detectors import clean, scores


class Nearest(Refitted):
    def fit(self, sample: np.ndarray) -> Model:
        return KNN(n_neighbors=5).fit(sample).decision_function


class Tails(Refitted):
    def fit(self, sample: np.ndarray) -> Model:
        return ECOD().fit(sample).decision_function


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
    verdict = Furthest(["latency_ms", "cost_usd"], threshold=100.0).begin().judge(Events.of_frame(frame))
    assert np.flatnonzero(verdict.score >= 1).tolist() == [500]
    assert verdict.metric[500] == 1
    assert "cost_usd 900 is an odd combination (80" in verdict.reasons[500].replace("latency_ms nan, ", "")
    assert np.isnan(verdict.score[501])


def test_groups_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^by=\['model'\]: expected no groups for a detector of all metrics together$"
    ):
        Nearest("latency_ms", by="model")
