"""The detection stage: every event is scored before sampling, and the results are columns."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.anomaly import EWMA, IQR, Detector, Verdict, ZScore
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.testing import ManualClock
from tests.conftest import NOON, SECOND

SAMPLERS: dict[str, dict[str, Any]] = {
    "uniform": {"rate": 0.1},
    "reservoir": {"size": 300},
    "stratified": {"rates": {False: 1.0}, "default": 0.05},
    "adaptive": {"base_rate": 0.05, "min_samples": 100},
    "importance": {"size": 200, "by": "latency_ms"},
}


def trace(rows: int = 6000) -> pd.DataFrame:
    """Two models, spikes, a slow quarter of an hour, gaps."""
    rng, n = np.random.default_rng(0), 6000
    frame = pd.DataFrame(
        {
            "event": "llm.request",
            "model": rng.choice(["small", "large"], n),
            "latency_ms": rng.normal(400, 50, n),
            "cost_usd": rng.normal(0.01, 0.001, n),
            "success": rng.random(n) < 0.98,
        },
        index=pd.DatetimeIndex(NOON + np.arange(n) * SECOND, tz="UTC", name="time"),
    )
    frame.iloc[[900, 2500], 2] = 4000.0
    frame.iloc[3000:3900, 2] *= 2
    frame.iloc[[1500, 5000], 3] = 0.2
    frame.iloc[50::97, 2] = np.nan
    return frame.iloc[:rows]


def run(anomaly: Any, frame: pd.DataFrame, cuts: tuple[int, ...] = (), **options: Any) -> cr.Experiment:
    with cr.start("judge", clock="events", anomaly=anomaly, seed=1, **options) as exp:
        for part in np.split(np.arange(len(frame)), cuts):
            exp.extend(frame.iloc[part])
    return exp


def numbers(exp: cr.Experiment) -> str:
    return json.dumps(exp.metrics().to_dict())


def test_flags_are_columns_and_warming_up_is_not_normal() -> None:
    frame = trace()
    exp = run("z_score", frame)
    rows, expected = exp.df, ZScore().begin().judge(EventColumns.of_frame(frame))
    assert [str(rows[name].dtype) for name in ("anomaly", "anomaly_score", "anomaly_metric")] == [
        "bool",
        "float64",
        "category",
    ]
    np.testing.assert_array_equal(rows.anomaly_score, expected.score)
    assert rows.anomaly_score[:32].isna().all()
    assert not rows.anomaly[:32].any()
    np.testing.assert_array_equal(rows.anomaly, expected.score >= 1)
    names = np.array(["latency_ms", "cost_usd"])[expected.metric]
    assert rows.anomaly_metric[rows.anomaly].tolist() == names[rows.anomaly].tolist()
    assert rows.anomaly_metric[~rows.anomaly].isna().all()
    assert rows.anomaly_metric.iloc[[900, 1500]].tolist() == ["latency_ms", "cost_usd"]


def test_without_a_detector_nothing_is_flagged_and_no_score_is_known() -> None:
    rows = run(None, trace()).df
    assert not rows.anomaly.any()
    assert rows.anomaly_score.isna().all()
    assert rows.anomaly_metric.isna().all()


def test_an_event_without_any_watched_metric_has_no_score() -> None:
    with cr.start("other", anomaly="z_score", clock="events") as exp:
        for i in range(200):
            exp.record("call", latency_ms=100.0 + i % 3, time=2 * i)
            exp.record("note", text="hello", time=2 * i + 1)
    rows = exp.df
    assert rows.anomaly_score[rows.event == "note"].isna().all()
    assert rows.anomaly_score[rows.event == "call"][32:].notna().all()


def test_of_several_detectors_the_largest_score_speaks() -> None:
    frame = trace()
    detectors = [ZScore("latency_ms"), IQR("cost_usd"), EWMA(["cost_usd", "latency_ms"], by="model")]
    rows = run(detectors, frame).df
    alone = [one.begin().judge(EventColumns.of_frame(frame)) for one in detectors]
    scores = np.stack([verdict.score for verdict in alone])
    names = np.stack([np.array(one.metrics)[verdict.metric] for one, verdict in zip(detectors, alone, strict=True)])
    np.testing.assert_array_equal(rows.anomaly_score, np.fmax.reduce(scores))
    first = np.argmax(np.where(np.isnan(scores), -1, scores), axis=0)
    flagged = rows.anomaly.to_numpy()
    assert rows.anomaly_metric[flagged].tolist() == names[first, np.arange(len(frame))][flagged].tolist()


def test_the_incidents_of_several_detectors_merge_over_the_longest_cooldown() -> None:
    frame = trace()
    exp = run([ZScore("latency_ms", 6, cooldown=5), ZScore("cost_usd", 6, cooldown=700)], frame)
    rows = exp.df
    flags = rows.seq[rows.anomaly].to_numpy()
    assert len(exp.anomalies()) == 1 + (np.diff(flags) > 700).sum()
    assert "latency_ms, cost_usd" in exp.anomalies().metrics.tolist()


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_every_event_is_judged_also_when_sampling_drops_it(sampling: str) -> None:
    frame, detectors = trace(), [ZScore("latency_ms", 4, by="model"), IQR("cost_usd", 4)]
    full = run(detectors, frame)
    exp = run(detectors, frame, cuts=(77, 2500, 2501), sampling=sampling, sampling_config=SAMPLERS[sampling])
    rows, everything = exp.df, full.df.set_index("seq")
    assert len(rows) < len(frame) / 2
    kept = everything.loc[rows.seq]
    for name in ("anomaly", "anomaly_score"):
        np.testing.assert_array_equal(rows[name], kept[name])
    assert (
        rows.anomaly_metric.astype(object).fillna("").tolist() == kept.anomaly_metric.astype(object).fillna("").tolist()
    )
    assert exp.anomaly_metrics() == full.anomaly_metrics()
    pd.testing.assert_frame_equal(exp.anomalies(), full.anomalies(), check_exact=True)


def test_so_it_is_when_rows_leave_memory_and_when_the_policy_changes() -> None:
    frame = trace()
    full = run("ewma", frame)
    short = run("ewma", frame, max_events=100)
    with cr.start("change", clock="events", anomaly="ewma", seed=1) as changing:
        changing.extend(frame.iloc[:3100])
        changing.set_sampling("uniform", {"rate": 0.01})
        changing.extend(frame.iloc[3100:])
    for exp in (short, changing):
        assert len(exp.df) < 3500
        assert exp.anomaly_metrics() == full.anomaly_metrics()
        pd.testing.assert_frame_equal(exp.anomalies(), full.anomalies(), check_exact=True)


def test_an_adaptive_sampler_samples_more_around_what_the_detectors_flag() -> None:
    frame = trace()
    config = {"base_rate": 0.05, "min_samples": 500, "cooldown": 20}
    exp = run(
        "z_score", frame, sampling="adaptive", sampling_config=config,
        anomaly_config={"metrics": "cost_usd", "threshold": 6, "action": "sample_more"},
    )  # fmt: skip
    rows = exp.df.set_index("seq")
    for spike in (1500, 5000):
        assert rows.loc[spike:].index[:21].tolist() == list(range(spike, spike + 21))
        assert (rows.loc[spike : spike + 20].weight == 1).all()
    quiet = rows.drop([*range(500), *range(1500, 1521), *range(5000, 5021)])
    assert (quiet.weight == 20).all()
    assert len(quiet) < 0.1 * len(frame)


def test_it_does_so_under_any_action_and_to_sample_more_insists_on_one_that_does() -> None:
    frame = trace()
    kept = [
        run(
            "z_score", frame, sampling="adaptive", sampling_config={"base_rate": 0.05, "min_samples": 500},
            anomaly_config={"metrics": "cost_usd", "threshold": 6, "action": action},
        ).df.seq.tolist()
        for action in ("flag", "alert", "sample_more")
    ]  # fmt: skip
    assert kept[0] == kept[1] == kept[2]
    assert set(range(1500, 1551)) <= set(kept[0])
    with pytest.raises(cr.ConfigError, match="needs sampling='adaptive'"):
        run(
            "z_score",
            frame,
            sampling="uniform",
            sampling_config={"rate": 0.1},
            anomaly_config={"action": "sample_more"},
        )


def test_repricing_judges_nothing_anew() -> None:
    frame = trace(1000).drop(columns="cost_usd").assign(model="my-own", prompt_tokens=1000, completion_tokens=10)
    frame.iloc[900, frame.columns.get_loc("prompt_tokens")] = 10**6
    with cr.start("reprice", clock="events", anomaly="z_score", anomaly_config={"metrics": "cost_usd"}) as exp:
        exp.extend(frame)
    before = exp.df[["anomaly", "anomaly_score"]]
    exp.reprice({"my-own": {"input": 1.0, "output": 1.0}})
    pd.testing.assert_frame_equal(exp.df[["anomaly", "anomaly_score"]], before)
    assert exp.anomalies().empty
    assert exp.df.crucible.anomalies("z_score", "cost_usd").first_seq.tolist() == [900]


def test_detectors_change_no_number_of_the_experiment() -> None:
    frame = trace()
    watched, plain = run("auto,z_score,iqr", frame), run(None, frame)
    assert numbers(watched) == numbers(plain)
    flags = ["anomaly", "anomaly_score", "anomaly_metric"]
    pd.testing.assert_frame_equal(watched.df.drop(columns=flags), plain.df.drop(columns=flags))


def test_events_while_paused_are_not_judged(clock: ManualClock) -> None:
    exps = [cr.start(name, clock=clock, anomaly="z_score") for name in ("paused", "without")]
    for i in range(300):
        clock.tick(1)
        if i in (100, 200):
            exps[0].pause() if i == 100 else exps[0].resume()
        for exp in exps:
            if exp is exps[0] or not 100 <= i < 200:
                exp.record("call", latency_ms=5000.0 if 100 <= i < 200 else 100.0 + i % 7)
    for exp in exps:
        exp.stop()
    pd.testing.assert_frame_equal(exps[0].df, exps[1].df, check_exact=True)
    assert not exps[0].df.anomaly.any()


def test_late_events_are_judged_in_order_of_recording() -> None:
    latency = np.r_[np.tile([99.0, 100.0, 101.0], 100), 900.0, 100.0, 800.0]
    times = np.r_[np.arange(300) + 1000, 1300, 1301, 500] * SECOND
    with cr.start("late", clock="events", anomaly="z_score") as exp:
        for value, time in zip(latency, times, strict=True):
            exp.record("call", latency_ms=float(value), time=int(time))
    scores = exp.df.sort_values("seq").anomaly_score
    np.testing.assert_array_equal(scores, cr.anomaly.score(latency, "z_score", cooldown=0))
    (one,) = exp.anomalies().itertuples()
    assert (one.start, one.end) == (pd.Timestamp(500, unit="s", tz="UTC"), pd.Timestamp(1300, unit="s", tz="UTC"))
    assert (one.first_seq, one.last_seq, one.count) == (300, 302, 2)


def test_one_instance_serves_two_experiments() -> None:
    detector, frame = ZScore("latency_ms", 4), trace()
    first, second = run(detector, frame), run(detector, frame)
    pd.testing.assert_frame_equal(first.anomalies(), second.anomalies())


# -- summaries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anomaly", ["z_score", "ewma", "iqr,cusum", "auto"])
def test_anomaly_metrics_are_those_of_the_frame(anomaly: str) -> None:
    exp = run(anomaly, trace(), cuts=(1000, 3333))
    rows, got = exp.df, exp.anomaly_metrics()
    flagged = rows[rows.anomaly]
    assert len(flagged)
    assert got["total_anomalies"] == len(flagged)
    assert got["anomaly_rate"] == rows.anomaly.mean()
    assert got["anomalies_by_type"] == Counter(flagged.anomaly_metric)
    groups = flagged.reset_index().groupby((flagged.seq.diff() > 100).cumsum().to_numpy())
    ladder = pd.cut(
        groups.anomaly_score.max(), [1, 1.5, 3, 6, np.inf], right=False, labels=["low", "medium", "high", "critical"]
    )
    expected = pd.DataFrame(
        {"start": groups.time.min(), "end": groups.time.max(), "count": groups.size(), "severity": ladder.astype(str)}
    )
    assert got["anomaly_periods"] == expected.to_dict("records")
    found = exp.anomalies()
    assert found[["start", "end", "count", "severity"]].to_dict("records") == got["anomaly_periods"]
    assert found.peak.tolist() == groups.anomaly_score.max().tolist()
    assert found.first_seq.tolist() == groups.seq.min().tolist()
    assert found.last_seq.tolist() == groups.seq.max().tolist()


def test_of_no_event_the_rate_is_unknown_and_nothing_was_found() -> None:
    exp = cr.start("empty", anomaly="auto")
    got = exp.anomaly_metrics()
    assert np.isnan(got.pop("anomaly_rate"))
    assert got == {"total_anomalies": 0, "anomalies_by_type": {}, "anomaly_periods": []}
    assert len(exp.anomalies()) == 0
    exp.stop()


# -- detectors that fail --------------------------------------------------------------------------------------------------


class Raises(Detector):
    def judge(self, events: EventColumns) -> Verdict:
        raise RuntimeError("no idea")


class Nothing(Detector):
    def judge(self, events: EventColumns) -> Any:
        return None


class TooShort(Detector):
    def judge(self, events: EventColumns) -> Verdict:
        return Verdict(np.full(1, 2.0), np.zeros(1, int), {0: "odd"})


class NoReasons(Detector):
    def judge(self, events: EventColumns) -> Verdict:
        return Verdict(np.full(len(events), 0.99) + 0.1 * (events.seq > 300), np.zeros(len(events), int), {})


class NoSentence(ZScore):
    def reason(self, *_: Any) -> str:
        raise RuntimeError("speechless")


class NoSuchMetric(Detector):
    def judge(self, events: EventColumns) -> Verdict:
        return Verdict(np.full(len(events), 2.0), np.full(len(events), 7), dict.fromkeys(range(len(events)), "odd"))


class NoAlgorithm(Detector):
    pass


FAILING: list[Detector] = [
    kind("latency_ms") for kind in (Raises, Nothing, TooShort, NoReasons, NoSentence, NoSuchMetric, NoAlgorithm)
]
FAILING.append(ZScore("model"))


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
@pytest.mark.parametrize("failing", FAILING, ids=lambda one: f"{type(one).__name__} {one.metrics[0]}")
def test_a_detector_that_fails_loses_no_event_and_no_other_detector(failing: Detector) -> None:
    frame, good = trace(1000), ZScore("latency_ms", 6)
    exp, alone = run([failing, good], frame), run(good, frame)
    assert exp.summary()["total_events"] == exp.summary()["kept_events"] == len(exp.df) == 1000
    assert numbers(exp) == numbers(alone)
    assert alone.df.anomaly.sum() == 1
    assert exp.df.anomaly.iloc[900]
    if type(failing) not in (NoReasons, NoSentence):
        assert exp.summary()["errors"] > 0
        pd.testing.assert_frame_equal(exp.df, alone.df)
        pd.testing.assert_frame_equal(exp.anomalies(), alone.anomalies())


def test_a_detector_that_fails_is_named_once() -> None:
    with pytest.warns(cr.CrucibleWarning) as caught:
        exp = run(Raises("latency_ms", 5), trace(300), cuts=(100, 200))
    said = "the detector Raises(['latency_ms'], threshold=5) failed: RuntimeError: no idea"
    assert [str(one.message) for one in caught] == [f"experiment 'judge': {said}"]
    assert exp.summary()["errors"] > 0


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_errors_that_are_counted_do_not_depend_on_looks() -> None:
    frame = trace(300)
    counts = [
        run(Raises("latency_ms"), frame, cuts=cuts).summary()["errors"]
        for cuts in ((), (100,), tuple(range(10, 300, 10)))
    ]
    assert len(set(counts)) == 1


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_a_detector_that_failed_once_goes_on() -> None:
    class Once(ZScore):
        def judge(self, events: EventColumns) -> Verdict:
            if 100 in events.seq:
                raise ValueError("not this one")
            return super().judge(events)

    exp = run(Once("latency_ms", 6), trace(1000), cuts=(100, 101))
    assert exp.df.anomaly_score.isna().to_numpy().nonzero()[0].tolist() == [*range(32), 50, 100, *range(147, 1000, 97)]
    assert exp.df.anomaly.iloc[900]
