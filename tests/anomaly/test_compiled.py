"""The compiled algorithms equal the numpy versions, to the last bit."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from crucible_nb.anomaly import CUSUM, EWMA, Auto, Detector, Verdict, ZScore
from crucible_nb.anomaly.kernel import KERNEL
from crucible_nb.events.event_columns import EventColumns
from tests.conftest import need

need("numba")


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    assert KERNEL.load()


def stream(seed: int, n: int = 5_000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"latency_ms": rng.lognormal(6, 1, n), "model": rng.choice(list("abcdef"), n)})
    frame.loc[5::97, "latency_ms"] = np.nan
    frame.loc[3000:3800, "latency_ms"] *= 10
    frame.loc[4500:, "latency_ms"] = frame["latency_ms"].iloc[4500:].round(-2)
    return frame


def verdicts(detector: Detector, frame: pd.DataFrame, compiled: list[bool], monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """Verdicts on a frame in two halves, each compiled or not."""
    running, found = detector.begin(), []
    for half, fast in zip(np.array_split(np.arange(len(frame)), 2), compiled, strict=True):
        monkeypatch.setattr(KERNEL, "ready_for", lambda _, fast=fast: fast)
        found.append(running.judge(EventColumns.of_frame(frame.iloc[half], int(half[0]))))
        running = detector.from_dict(json.loads(json.dumps(running.to_dict())))
    shift = len(found[0].score)
    reasons = dict(found[0].reasons) | {i + shift: said for i, said in found[1].reasons.items()}
    return Verdict(*(np.concatenate(both) for both in zip(*(one[:2] for one in found), strict=True)), reasons)


@pytest.mark.parametrize("by", [(), ("model",)], ids=["alone", "by model"])
@pytest.mark.parametrize("learn", ["always", pytest.param("normal", marks=pytest.mark.check)])
@pytest.mark.parametrize("kind", [ZScore, EWMA, CUSUM, Auto])
def test_both_say_the_same_and_one_takes_over_from_the_other(
    kind: type[Detector], learn: str, by: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, options in ((0, {}), (1, {"floor": 50.0}), (2, {"threshold": 1.5})):
        detector, frame = kind("latency_ms", learn=learn, by=by, **options), stream(seed)
        plain = verdicts(detector, frame, [False, False], monkeypatch)
        assert (plain.score >= 1).any()
        for compiled in ([True, True], [False, True], [True, False]):
            got = verdicts(detector, frame, compiled, monkeypatch)
            np.testing.assert_array_equal(got.score, plain.score)
            np.testing.assert_array_equal(got.metric, plain.metric)
            assert got.reasons == plain.reasons


def test_a_subclass_with_another_algorithm_is_not_taken_for_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(ZScore):
        def algorithm(self, x: np.ndarray, state: dict[str, np.ndarray]):
            found = super().algorithm(x, state)
            return found._replace(score=found.score / 2)

    frame = stream(0)
    whole = verdicts(ZScore("latency_ms"), frame, [True, True], monkeypatch).score
    np.testing.assert_array_equal(verdicts(Half("latency_ms"), frame, [True, True], monkeypatch).score, whole / 2)
