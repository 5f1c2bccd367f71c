"""Models that score one event at a time: river's results, and the additions of the wrapper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from river import anomaly, compose

from crucible_nb.anomaly import OneByOne, score
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.testing import check_detector
from crucible_nb.testing.detectors import clean, scores

pytestmark = pytest.mark.untraced  # a law over many examples; to trace each line of them takes twice as long

FOREIGN = ["it_goes_on_from_its_state"]


class HalfSpace(OneByOne):
    def model(self) -> Any:
        return anomaly.HalfSpaceTrees(n_trees=10, window_size=250, limits={"latency_ms": (0, 1000)}, seed=1)


@pytest.mark.check
def test_a_river_detector_obeys_the_laws() -> None:
    check_detector(HalfSpace("latency_ms", threshold=0.98, warm_up=500), without=FOREIGN)
    check_detector(HalfSpace("latency_ms", threshold=0.98, warm_up=500, by="model"), without=FOREIGN)
    check_detector(HalfSpace("latency_ms", threshold=0.98, warm_up=500, learn="normal"), without=FOREIGN)


def test_its_scores_are_rivers_own() -> None:
    frame, model, expected = clean(["latency_ms"]), HalfSpace().model(), []
    for value in frame.latency_ms:
        if np.isnan(value):
            expected.append(np.nan)
            continue
        expected.append(model.score_one({"latency_ms": value}))
        model.learn_one({"latency_ms": value})
    known = ~np.isnan(expected)
    first = np.flatnonzero(known)[500]
    got = scores(HalfSpace("latency_ms", threshold=0.5, warm_up=500).begin(), frame)
    np.testing.assert_array_equal(got[first:], np.array(expected)[first:] / 0.5)
    assert np.isnan(got[:first]).all()


def test_a_pipeline_of_river_needs_two_metrics() -> None:
    class Pair(OneByOne):
        def model(self) -> Any:
            return compose.Select("latency_ms", "cost_usd") | anomaly.HalfSpaceTrees(seed=2)

    frame = clean(["latency_ms", "cost_usd"])[["latency_ms", "cost_usd"]] / 1000
    got = score(frame, Pair(["latency_ms", "cost_usd"], threshold=1.0, warm_up=300))
    assert got.notna().any()
    assert got[frame.isna().any(axis=1)].isna().all()


def test_each_group_has_a_model_and_anomalies_are_learnt_when_they_go_on() -> None:
    made = []

    class Highest:
        def __init__(self) -> None:
            self.seen: list[float] = []
            made.append(self)

        def score_one(self, x: dict[str, float]) -> float:
            return x["latency_ms"] / max(self.seen, default=1.0)

        def learn_one(self, x: dict[str, float]) -> None:
            self.seen.append(x["latency_ms"])

    class Records(OneByOne):
        PATIENCE = 3

        def model(self) -> Highest:
            return Highest()

    frame = pd.DataFrame({"latency_ms": [1.0, 2.0, 1.0, 2.0, 9.0, 9.0, 9.0, 9.0, 2.0], "model": list("ababaaaab")})
    detector = Records("latency_ms", threshold=3.0, warm_up=2, learn="normal", by="model")
    found = scores(detector.begin(), frame)
    np.testing.assert_array_equal(found, [np.nan] * 4 + [3.0, 3.0, 3.0, 3.0, 1 / 3])
    assert [one.seen for one in made] == [[1.0, 1.0, 9.0], [2.0, 2.0, 2.0]]


def test_no_score_is_above_1000_and_the_reason_says_so() -> None:
    class Itself:
        def score_one(self, x: dict[str, float]) -> float:
            return x["latency_ms"]

        def learn_one(self, x: dict[str, float]) -> None:
            pass

    class Large(OneByOne):
        def model(self) -> Itself:
            return Itself()

    frame = pd.DataFrame({"latency_ms": np.r_[np.ones(100), 5000.0, 1999.0, 1e99]})
    verdict = Large("latency_ms", threshold=2.0).begin().judge(EventColumns.of_frame(frame))
    assert verdict.score[100:].tolist() == [1000.0, 999.5, 1000.0]
    assert verdict.reasons[100] == "latency_ms 5,000 scores 5,000, 1,000 times the limit or more"
    assert verdict.reasons[101] == "latency_ms 1,999 scores 1,999, the limit is 2"
    ranked = scores(Large("latency_ms", false_alarm_rate=0.1).begin(), frame)
    assert np.nanmax(ranked) == 1000


def test_a_law_that_is_not_claimed_has_to_exist() -> None:
    with pytest.raises(ValueError, match="without='it_is_quick'"):
        check_detector(HalfSpace("latency_ms"), without=["it_is_quick"])
