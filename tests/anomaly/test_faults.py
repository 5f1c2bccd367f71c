"""NaN and infinite values that were given are anomalies, told apart from fields that were not given."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import crucible_nb as cr
from crucible_nb.anomaly import Auto
from crucible_nb.events.event_columns import EventColumns


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_heard(value: float, tmp_path: Path) -> None:
    rng, heard = np.random.default_rng(0), []
    exp = cr.start("diverged", anomaly="auto", anomaly_config={"metrics": ["loss"]}, clock="events", store=tmp_path)
    exp.on_anomaly(heard.append)
    for i in range(400):
        exp.record("train.step", step=i, loss=value if i in (50, 300, 301) else float(rng.normal(1, 0.05)), time=i)
        exp.record("note", step=i, time=i)  # an event that has no loss
    exp.stop()
    found = exp.anomalies().iloc[0]
    assert (found.first_seq, found["count"], found.severity) == (600, 2, "critical")
    said = {"nan": "NaN (not a number)", "inf": "infinite", "-inf": "minus infinite"}[str(value)]
    assert found.reason == f"loss is {said}, after 299 finite values"
    assert [alert.reason for alert in heard] == [found.reason]
    again = cr.attach("diverged", store=tmp_path, mode="read")
    assert again.anomalies().reason.tolist() == exp.anomalies().reason.tolist()


def test_in_scores_a_nan_is_given_and_many_of_them_are_nothing_new() -> None:
    x = np.random.default_rng(1).normal(1, 0.05, 3000)
    x[1000:] = np.nan
    scores = cr.anomaly.score(x, cooldown=0)
    assert np.flatnonzero(scores >= 6).tolist() == list(range(1000, 1011))  # 1 % of the thousand before
    x[:] = np.random.default_rng(1).normal(1, 0.05, 3000)
    x[::20] = np.nan
    assert not (cr.anomaly.score(x, cooldown=0) >= 6).any()


def test_faults_do_not_depend_on_cuts_and_go_on_from_a_state() -> None:
    x, model = np.random.default_rng(2).normal(0, 1, 800), np.tile(["a", "b"], 400)
    x[[401, 500, 501]] = np.nan
    detector = Auto("value", by="model")

    def judged(cuts: list[int]) -> tuple[list[float], dict[int, str]]:
        running, scores, reasons = detector.begin(), [], {}
        for part in np.split(np.arange(800), cuts):
            codes = (part % 2).astype(np.int32)
            events = EventColumns(
                part, ["value", "model"], lambda _, part=part: x[part], lambda _, codes=codes: (codes, ["a", "b"]),
                lambda: None, lambda _, part=part: np.isnan(x[part]),
            )  # fmt: skip
            verdict = running.judge(events)
            scores += verdict.score.tolist()
            reasons |= {int(part[0]) + i: said for i, said in verdict.reasons.items()}
            running = detector.from_dict(json.loads(json.dumps(running.to_dict())))
        return scores, reasons

    whole = judged([])
    assert [whole[0][row] for row in (401, 500, 501)] == [6.0, 6.0, 6.0]
    assert whole[1][401] == "value is NaN (not a number) of b, after 200 finite values"
    parts = judged([3, 401, 402, 501, 700])
    np.testing.assert_array_equal(parts[0], whole[0])
    assert parts[1] == whole[1]
    assert model[0] == "a"
