"""Which flags are told: the first of an incident, and those clearly worse than what was told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.anomaly.tellings import Tellings, cap_repeated_alarms, severity_of
from crucible_nb.notebook.page_state import PageState


def told_by_hand(scores: np.ndarray, cooldown: int) -> dict[int, str]:
    """The rows that are told, by the definition: in a plain loop over all rows."""
    told: dict[int, str] = {}
    quiet, known = cooldown, 0.0
    for row, score in enumerate(scores.tolist()):
        if not score >= 1:
            quiet += 1
            continue
        classes = [sum(peak >= least for least in (1.5, 3, 6)) for peak in (score, known)]
        if quiet >= cooldown:
            told[row] = "begin"
        elif score >= 1.5 * known or classes[0] > classes[1]:
            told[row] = "worse"
        known = score if row in told else known
        quiet = 0
    return told


@pytest.mark.parametrize("seed", range(10))
def test_tellings_and_capped_scores_are_those_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, cooldown = rng.exponential(1.0, 300) ** 2, int(rng.integers(1, 9))
    scores[rng.random(300) < 0.3] = np.nan
    given, tellings = scores.copy(), Tellings(cooldown)
    found = {row: tellings.add(row, scores[row]) for row in np.flatnonzero(scores >= 1).tolist()}
    expected = told_by_hand(scores, cooldown)
    assert {row: told for row, told in found.items() if told} == expected
    capped = cap_repeated_alarms(scores, cooldown)
    assert np.flatnonzero(capped >= 1).tolist() == list(expected)
    silent = [row for row in found if row not in expected]
    assert (capped[silent] == 1 - 1e-6).all()
    kept = np.setdiff1d(np.arange(300), silent)
    np.testing.assert_array_equal(capped[kept], scores[kept])
    np.testing.assert_array_equal(scores, given)


def test_without_alarms_or_without_a_cooldown_scores_stay_as_they_are() -> None:
    scores = np.array([1.0, 2.0, np.nan, 0.5, 3.0])
    np.testing.assert_array_equal(cap_repeated_alarms(scores, 0), scores)
    assert cap_repeated_alarms(np.empty(0), 5).tolist() == []


def test_a_running_incident_is_told_again_with_each_severity() -> None:
    tellings = Tellings(100)
    scores = [1.0, 1.4, 1.5, 2.2, 2.9, 3.0, 5.9, 6.0, 8.9, 9.0, 8.0, 13.4, 13.5]
    told = [tellings.add(seq, score) for seq, score in enumerate(scores)]
    assert told == ["begin", "", "worse", "", "worse", "worse", "worse", "worse", "", "worse", "", "", "worse"]
    assert [severity_of(score) for score in (0.3, 1.0, 1.5, 3.0, 6.0)] == ["low", "low", "medium", "high", "critical"]


class Given(cr.anomaly.Detector):
    """Scores are the values themselves."""

    def algorithm(self, x: np.ndarray, state: Any) -> cr.anomaly.Scores:
        return cr.anomaly.Scores(x, {"center": x, "distance": x}, {})


SCORES = {40: 1.2, 41: 2.0, 42: 2.1, 60: 4.0, 61: 4.0, 300: 1.1}
TIMES = pd.date_range("2025-01-01", periods=400, freq="1s", tz="UTC")


def told_scores(notify: str | None, size: int = 400, **config: Any) -> cr.Experiment:
    """An experiment with these scores, given in tables of a size."""
    detector = Given("latency_ms", cooldown=100)
    options = config if notify is None else {"notify": notify, **config}
    exp = cr.start("told", anomaly=[detector], anomaly_config=options or None, clock="events")
    table = pd.DataFrame({"latency_ms": [SCORES.get(row, 0.0) for row in range(400)]}, index=TIMES)
    for start in range(0, 400, size):
        exp.extend(table.iloc[start : start + size])
    return exp


@pytest.mark.parametrize(
    ("notify", "rows"),
    [("low", [40, 41, 60, 300]), (None, [41, 60]), ("medium", [41, 60]), ("high", [60]), ("critical", [])],
)
def test_callbacks_alerts_and_scores_agree(notify: str | None, rows: list[int]) -> None:
    exp, heard = told_scores(notify, 7), []
    exp.on_anomaly(heard.append)
    exp.stop()
    alerts = exp.alerts()
    assert alerts.index.tolist() == [TIMES[row] for row in rows] == [alert.time for alert in heard]
    assert alerts.value.tolist() == [SCORES[row] for row in rows]
    assert alerts.severity.tolist() == [severity_of(SCORES[row]) for row in rows]
    capped = cap_repeated_alarms(exp.df.anomaly_score.to_numpy(), 100)
    assert [row for row in np.flatnonzero(capped >= 1).tolist() if row in rows] == rows
    again = alerts.reason.str.contains("; worse than told at 2025-01-01 00:00:")
    assert again.tolist() == [row in (41, 60) and row != rows[0] for row in rows]


def test_a_low_incident_does_not_pause_and_a_worse_one_does() -> None:
    exp = told_scores(None, 1, action="pause")
    assert exp.status == "paused"
    assert exp.alerts().index.tolist() == [TIMES[41]]
    exp.stop()


@pytest.mark.parametrize(("severity", "shown"), [("low", 2), ("medium", 1), ("high", 1), ("critical", 0)])
def test_a_dashboard_shows_incidents_from_a_severity_on(severity: str, shown: int) -> None:
    exp = told_scores(None)
    exp.stop()
    state = PageState(exp)
    state.severity = severity
    assert len(state.incidents) == shown
    assert repr(exp.dashboard(severity=severity)).count("anomal") == (shown > 0)


@pytest.mark.parametrize("wrong", [{"notify": "loud"}, {"notify": None}])
def test_no_such_severity_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(cr.ConfigError, match=r"^anomaly_config\['notify'\]=.*: expected one of 'low', 'medium'"):
        cr.start("wrong", anomaly="auto", anomaly_config=wrong)
    with cr.start("shown") as exp, pytest.raises(cr.ConfigError, match=r"^severity='loud': expected one of 'low'"):
        exp.dashboard(severity="loud")
