"""Incidents: consecutive flags are one incident, with bounded memory."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from functools import partial

import numpy as np
import pandas as pd
import pytest

from crucible_nb.anomaly import Incident, Incidents
from crucible_nb.anomaly.incidents import LIMIT, incident_frame, incident_summary

COLUMNS = ["start", "end", "count", "peak", "severity", "metrics", "reason", "first_seq", "last_seq"]


def flagged(seqs: list[int], cooldown: int) -> Incidents:
    incidents = Incidents(cooldown)
    for seq in seqs:
        incidents.add(seq, seq, 2.0, "latency_ms", lambda: "high")
    return incidents


@pytest.mark.parametrize("cooldown", [1, 5, 300])
def test_as_many_rows_as_the_cooldown_between_two_flags_end_an_incident(cooldown: int) -> None:
    together = incident_frame(flagged([7, 7 + cooldown], cooldown).all)
    apart = incident_frame(flagged([7, 8 + cooldown], cooldown).all)
    assert together[["first_seq", "last_seq"]].values.tolist() == [[7, 7 + cooldown]]
    assert apart[["first_seq", "last_seq"]].values.tolist() == [[7, 7], [8 + cooldown, 8 + cooldown]]


def test_without_a_cooldown_every_flag_is_an_incident() -> None:
    assert incident_frame(flagged([0, 1, 2, 5], cooldown=0).all).first_seq.tolist() == [0, 1, 2, 5]


def test_every_flag_prolongs_the_cooldown() -> None:
    frame = incident_frame(flagged([0, 3, 6, 9, 14], cooldown=4).all)
    assert frame["count"].tolist() == [4, 1]
    assert frame.first_seq.tolist() == [0, 14]


def test_adding_says_whether_an_incident_begins() -> None:
    incidents = Incidents(2)
    begins = [incidents.add(seq, seq, 1.0, "a", str) for seq in (0, 1, 3, 6, 7)]
    assert begins == ["begin", "", "", "begin", ""]


@pytest.mark.parametrize("seed", range(10))
def test_merging_is_the_grouping_of_gaps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cooldown = int(rng.integers(0, 8))
    flags = pd.DataFrame({"seq": np.flatnonzero(rng.random(400) < 0.15)})
    flags["score"] = 1 + rng.exponential(2, len(flags))
    flags["metric"] = rng.choice(["a", "b"], len(flags))
    incidents = Incidents(cooldown)
    for row in flags.itertuples():
        incidents.add(row.seq, row.seq * 1000, row.score, row.metric, partial("reason {}".format, row.seq))
    groups = flags.groupby((flags.seq.diff() > cooldown).cumsum())
    got = incident_frame(incidents.all)
    assert got["count"].tolist() == groups.size().tolist()
    assert got.peak.tolist() == groups.score.max().tolist()
    assert got.first_seq.tolist() == groups.seq.min().tolist()
    assert got.last_seq.tolist() == groups.seq.max().tolist()
    assert got.metrics.tolist() == groups.metric.agg(lambda names: ", ".join(dict.fromkeys(names))).tolist()
    assert got.reason.tolist() == [f"reason {flags.seq[at]}" for at in groups.score.idxmax()]


@pytest.mark.parametrize(
    ("peak", "severity"),
    [
        (1.0, "low"), (np.nextafter(1.5, 0), "low"),
        (1.5, "medium"), (np.nextafter(3, 0), "medium"),
        (3.0, "high"), (np.nextafter(6, 0), "high"),
        (6.0, "critical"), (1e300, "critical"), (np.inf, "critical"),
    ],
)  # fmt: skip
def test_severity_begins_at_1_and_1_5_and_3_and_6(peak: float, severity: str) -> None:
    assert Incident(0, 0, 1, peak, ("a",), "", 0, 0).severity == severity
    incidents = Incidents(3)
    incidents.add(0, 0, 1.0, "a", str)
    incidents.add(1, 1, peak, "a", str)
    assert incident_frame(incidents.all).severity.tolist() == [severity]


def test_the_reason_is_that_of_the_first_highest_score() -> None:
    incidents = Incidents(10)
    for seq, score, metric in ((0, 2.0, "b"), (1, 5.0, "a"), (2, 5.0, "b"), (3, 1.0, "c")):
        incidents.add(seq, seq, score, metric, partial("{} at {}".format, metric, seq))
    (one,) = incidents.all
    assert (one.count, one.peak, one.metrics, one.reason) == (4, 5.0, ("b", "a", "c"), "a at 1")


def test_a_reason_is_asked_for_only_when_it_is_needed() -> None:
    asked: list[float] = []

    def reason(score: float) -> str:
        asked.append(score)
        return f"{score}"

    incidents = Incidents(10)
    for seq, score in ((0, 2.0), (1, 1.5), (2, 3.0), (3, 3.0), (20, 1.0)):
        incidents.add(seq, seq, score, "a", partial(reason, score))
    assert asked == [2.0, 3.0, 1.0]
    assert incident_frame(incidents.all).reason.tolist() == ["3.0", "1.0"]


def test_late_events_widen_an_incident_and_do_not_turn_it_around() -> None:
    incidents = Incidents(10)
    for seq, time in ((0, 500), (1, 200), (2, 300), (3, 900), (4, 100)):
        incidents.add(seq, time, 1.0, "a", str)
    (one,) = incidents.all
    assert (one.start, one.end, one.first_seq, one.last_seq) == (100, 900, 0, 4)


def test_memory_is_bounded_and_counts_go_on() -> None:
    incidents = flagged(list(range(0, 3 * LIMIT, 2)), cooldown=1)
    frame = incident_frame(incidents.all)
    assert len(frame) == LIMIT == 10_000
    assert frame.first_seq.iloc[[0, -1]].tolist() == [LIMIT, 3 * LIMIT - 2]
    assert incident_summary([incidents], 3 * LIMIT)["total_anomalies"] == 3 * LIMIT // 2
    assert incident_summary([incidents], 3 * LIMIT)["anomalies_by_type"] == {"latency_ms": 3 * LIMIT // 2}


def test_an_incident_is_a_value() -> None:
    one = flagged([1], 3).all[0]
    with pytest.raises(FrozenInstanceError):
        one.count = 2  # type: ignore[misc]


def test_columns_have_the_same_types_with_and_without_incidents() -> None:
    empty, some = incident_frame([]), incident_frame(flagged([1, 9], 3).all)
    assert list(empty.columns) == list(some.columns) == COLUMNS
    assert str(some.dtypes["start"]) == str(some.dtypes["end"]) == "datetime64[ns, UTC]"
    assert empty.dtypes.to_dict() == some.dtypes.to_dict()


def test_times_are_utc_to_the_nanosecond() -> None:
    moment = pd.Timestamp("2025-01-01 12:00:00.123456789", tz="UTC")
    incidents = Incidents(3)
    incidents.add(0, moment.value, 1.0, "a", str)
    assert incident_frame(incidents.all)[["start", "end"]].iloc[0].tolist() == [moment, moment]


def test_summary_counts_flags_of_all_events() -> None:
    incidents = Incidents(2)
    for seq, score, metric in ((10, 1.0, "a"), (11, 7.0, "b"), (50, 1.6, "a")):
        incidents.add(seq, seq * 10**9, score, metric, str)
    got = incident_summary([incidents], 60)
    assert list(got) == ["total_anomalies", "anomaly_rate", "anomalies_by_type", "anomaly_periods"]
    assert (got["total_anomalies"], got["anomaly_rate"], got["anomalies_by_type"]) == (3, 0.05, {"a": 2, "b": 1})
    seconds = [pd.Timestamp(second, unit="s", tz="UTC") for second in (10, 11, 50)]
    assert got["anomaly_periods"] == [
        {"start": seconds[0], "end": seconds[1], "count": 2, "severity": "critical"},
        {"start": seconds[2], "end": seconds[2], "count": 1, "severity": "medium"},
    ]


def test_without_events_the_rate_is_unknown() -> None:
    got = incident_summary([Incidents(2)], 0)
    assert np.isnan(got.pop("anomaly_rate"))
    assert got == {"total_anomalies": 0, "anomalies_by_type": {}, "anomaly_periods": []}


def test_a_summary_is_the_callers_own() -> None:
    incidents = flagged([1], 3)
    incident_summary([incidents], 10)["anomalies_by_type"]["latency_ms"] = 99
    assert incident_summary([incidents], 10)["anomalies_by_type"] == {"latency_ms": 1}
