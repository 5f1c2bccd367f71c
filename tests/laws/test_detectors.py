"""The laws of detectors, for every shipped class; detectors that break one are reported."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.anomaly import (
    CUSUM,
    EWMA,
    IQR,
    Auto,
    Detector,
    IsolationForest,
    ModifiedZScore,
    Scores,
    Verdict,
    ZScore,
)
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.testing import DETECTOR_LAWS, check_detector
from crucible_nb.testing.detectors import clean, scores
from tests.tiers import every_third, examples


class Range(Detector):
    """A user-defined detector: distance beyond twice the largest value so far."""

    state: ClassVar = {"largest": 0.0}

    def algorithm(self, x: np.ndarray, state: dict[str, np.ndarray]) -> Scores:
        largest = np.maximum.accumulate(np.concatenate((state["largest"], x), axis=1), axis=1)
        past = largest[:, :-1]
        score = x / (2 * np.maximum(past, 1.0))
        return Scores(score, {"center": past, "distance": x - past}, {"largest": largest[:, 1:]})


KINDS: dict[str, type[Detector]] = {
    "ZScore": ZScore,
    "ModifiedZScore": ModifiedZScore,
    "IQR": IQR,
    "EWMA": EWMA,
    "CUSUM": CUSUM,
    "Auto": Auto,
    "a user's own": Range,
}
FAMILY: dict[str, Detector] = {
    **{name: made("latency_ms") for name, made in KINDS.items()},
    **{f"{name}, two metrics": made(["latency_ms", "cost_usd"]) for name, made in KINDS.items()},
    **{f"{name}, by model": made("latency_ms", by="model") for name, made in KINDS.items()},
    **{f"{name}, learning from normal values": made("latency_ms", learn="normal") for name, made in KINDS.items()},
    **{
        f"{name}, calibrated": made("latency_ms", false_alarm_rate=0.01)
        for name, made in KINDS.items()
        if name != "Auto"
    },
    "IsolationForest": IsolationForest(["latency_ms", "cost_usd"], trees=20),
    "IsolationForest, calibrated": IsolationForest(["latency_ms", "cost_usd"], trees=20, false_alarm_rate=0.01),
    "ZScore, few false discoveries": ZScore("latency_ms", by="model", false_discovery_rate=0.02),
    "ZScore with a floor": ZScore("latency_ms", floor=1.0),
    "ZScore by two columns": ZScore("latency_ms", by=["model", "event"]),
}


@pytest.mark.parametrize("law", DETECTOR_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("member", every_third(FAMILY))
def test_law(member: str, law: Any) -> None:
    detector = FAMILY[member]
    law(detector, clean(detector.metrics))


@examples(60)
@given(
    values=st.lists(st.floats(-1e12, 1e12) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 7.0]), max_size=120),
    cuts=st.lists(st.integers(0, 120), max_size=4),
    member=st.sampled_from([name for name in FAMILY if "two metrics" not in name and "Forest" not in name]),
)
def test_any_numbers_and_any_cut(values: list[float], cuts: list[int], member: str) -> None:
    frame = pd.DataFrame(
        {"latency_ms": np.array(values, float), "model": ["a", "b"] * (len(values) // 2) + ["a"] * (len(values) % 2)}
    )
    whole = scores(FAMILY[member].begin(), frame)
    got = scores(FAMILY[member].begin(), frame, sorted(min(cut, len(values)) for cut in cuts))
    np.testing.assert_array_equal(got, whole)
    assert np.isnan(whole[~np.isfinite(frame.latency_ms.to_numpy())]).all()


@pytest.mark.parametrize("member", [name for name, detector in FAMILY.items() if detector.by])
@pytest.mark.parametrize(
    "labels",
    [[np.inf, -np.inf, 0.5, np.nan], ["inf", "-inf", "nan", None], [True, False, True, None], [7, -1, 0, None]],
    ids=str,
)
def test_it_goes_on_from_its_state_whatever_its_groups_are_called(member: str, labels: list[Any]) -> None:
    frame, detector = clean(["latency_ms"], 1600), FAMILY[member]
    frame["model"] = pd.Series(labels * 400, dtype=object if None in labels else float)
    whole, running = scores(detector.begin(), frame), detector.begin()
    begin = scores(running, frame.iloc[:1200])
    again = detector.from_dict(orjson.loads(orjson.dumps(running.to_dict())))
    np.testing.assert_array_equal(np.r_[begin, scores(again, frame.iloc[1200:])], whole)
    assert not np.isnan(whole).all()


class Peeking(ZScore):
    def algorithm(self, x: np.ndarray, state: dict[str, np.ndarray]) -> Scores:
        found = super().algorithm(x, state)
        return found._replace(score=found.score + x.mean() / 1e6)


class Trigger(ZScore):
    """Compares a value with a mean that contains it."""

    def algorithm(self, x: np.ndarray, state: dict[str, np.ndarray]) -> Scores:
        found = super().algorithm(x, state)
        return found._replace(score=np.minimum(found.score, 0.9))


class Jumpy(ZScore):
    default = 0.5


class Endless(ZScore):
    """JSON has no infinity."""

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "largest": np.inf}


class Foreign(ZScore):
    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "largest": np.arange(3)}


class Forgetful(ZScore):
    """Saves state that it does not read."""

    def start(self) -> None:
        super().start()
        self.blocks = 0

    def judge(self, events: EventColumns) -> Verdict:
        self.blocks += 1
        return super().judge(events)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "blocks": self.blocks}


class Silent(ZScore):
    def reason(self, *_args: Any) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Peeking("latency_ms"), "no cut changes a bit"),
        (Trigger("latency_ms"), "a planted spike is found and explained"),
        (Jumpy("latency_ms"), "clean values are mostly quiet"),
        (Silent("latency_ms"), "a planted spike is found and explained"),
        (Endless("latency_ms"), "its state is plain json: JSON gives another state back"),
        (Foreign("latency_ms"), "its state is plain json: JSON cannot hold the state"),
        (Forgetful("latency_ms"), "its state is plain json: from_dict changes the state"),
    ],
)
def test_a_broken_one_is_caught(broken: Detector, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_detector(broken)


def test_no_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="detector='auto': expected an instance of a subclass of cr.anomaly.Detector"):
        check_detector("auto")  # type: ignore[arg-type]
