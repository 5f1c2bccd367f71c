"""`cr.anomaly.score` and `df.crucible.anomalies`: one score per row in any order, equal to that of a live experiment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.anomaly import CUSUM, EWMA, IQR, Auto, IsolationForest, ModifiedZScore, ZScore
from crucible_nb.anomaly.tellings import cap_repeated_alarms
from crucible_nb.events.event_columns import EventColumns
from tests.conftest import NOON, SECOND

METHODS = {
    "auto": Auto, "z_score": ZScore, "modified_z_score": ModifiedZScore, "iqr": IQR, "ewma": EWMA, "cusum": CUSUM,
    "isolation_forest": IsolationForest,
}  # fmt: skip
SPIKES = [400, 402, 700, 1100]


def values(n: int = 1200, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    result = np.random.default_rng(seed).normal(100, 10, n)
    result[SPIKES] += 300
    result[800:840] += shift
    return result


def timed(n: int = 1200, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    """Sorted, with times that are seldom unique."""
    rng = np.random.default_rng(seed)
    times = NOON + np.sort(rng.integers(0, n // 2, n)) * SECOND
    frame = pd.DataFrame({"latency_ms": values(n, seed, shift), "model": rng.choice(["a", "b"], n)})
    return frame.set_axis(pd.DatetimeIndex(times, tz="UTC", name="time"), axis=0)


def raw(x: np.ndarray, detector: Any) -> np.ndarray:
    """Scores of the detector for the rows in their order."""
    return detector.begin().judge(EventColumns.of_frame(pd.DataFrame({"value": x}))).score


@pytest.mark.parametrize("method", METHODS)
def test_a_name_is_the_detector_with_its_defaults(method: str) -> None:
    x = values(shift=80)
    expected = raw(x, METHODS[method]("value"))
    np.testing.assert_array_equal(cr.anomaly.score(x, method, cooldown=0), expected)
    np.testing.assert_array_equal(cr.anomaly.score(x, method), cap_repeated_alarms(expected, 100))
    assert (expected >= 1).any()


@pytest.mark.parametrize("method", ["auto", "z_score", "iqr"])
def test_series_array_list_and_frame_are_alike(method: str) -> None:
    x = values()
    expected = cr.anomaly.score(pd.DataFrame({"latency_ms": x}), method).tolist()
    for data in (x, x.tolist(), tuple(x), pd.Series(x), pd.Series(x, name="b"), pd.DataFrame({"any": x})):
        got = cr.anomaly.score(data, method)
        np.testing.assert_array_equal(got, expected)
        assert (got.name, got.dtype) == ("anomaly_score", np.float64)


@pytest.mark.parametrize("dtype", ["float32", "Float64", "object", "float64[pyarrow]"])
def test_a_column_may_be_of_any_kind_of_number(dtype: str) -> None:
    x = values().astype(np.float32).astype(float)
    x[7] = np.nan
    series = pd.Series(x).astype(dtype)
    if dtype == "object":
        series[7] = None
    np.testing.assert_array_equal(cr.anomaly.score(series, "z_score"), cr.anomaly.score(x, "z_score"))


def test_integers_and_booleans_are_numbers() -> None:
    x = values().round()
    np.testing.assert_array_equal(cr.anomaly.score(x.astype(int), "ewma"), cr.anomaly.score(x, "ewma"))
    flips = np.random.default_rng(0).random(500) < 0.5
    frame = pd.DataFrame({"success": flips})
    expected = cr.anomaly.score(flips.astype(float), "cusum")
    np.testing.assert_array_equal(cr.anomaly.score(frame, "cusum", metric="success"), expected)


@pytest.mark.parametrize(
    "index",
    [pd.RangeIndex(5, 1205), pd.Index(["x"] * 1200), pd.Index(range(1200, 0, -1))],
    ids=["range", "repeated", "falling"],
)
def test_without_times_rows_are_judged_in_their_order_and_keep_their_index(index: pd.Index) -> None:
    x = values()
    got = cr.anomaly.score(pd.Series(x, index=index), "z_score")
    np.testing.assert_array_equal(got, cr.anomaly.score(x, "z_score"))
    pd.testing.assert_index_equal(got.index, index)


@pytest.mark.parametrize("method", ["auto", "modified_z_score"])
@pytest.mark.parametrize("seed", range(3))
def test_unsorted_times_give_each_row_the_score_it_has_in_order_of_time(method: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = timed(seed=seed).set_axis(pd.date_range("2025", periods=1200, freq="s", tz="UTC"), axis=0)
    expected = cr.anomaly.score(frame, method)
    shuffled = frame.iloc[rng.permutation(1200)]
    for given in (
        shuffled,
        shuffled.set_axis(shuffled.index.tz_localize(None), axis=0),
        shuffled.set_axis(shuffled.index.tz_convert("Asia/Tokyo"), axis=0),
        shuffled.set_axis(shuffled.index.as_unit("s"), axis=0),
    ):
        got = cr.anomaly.score(given, method)
        pd.testing.assert_index_equal(got.index, given.index)
        np.testing.assert_array_equal(got, expected.loc[shuffled.index])


@pytest.mark.parametrize("kind", ["aware", "naive", "text", "integers"])
def test_a_time_column_orders_the_rows_too(kind: str) -> None:
    frame = timed().set_axis(pd.date_range("2025", periods=1200, freq="min", tz="UTC"), axis=0)
    expected = cr.anomaly.score(frame, "ewma").to_numpy()
    order = np.random.default_rng(0).permutation(1200)
    times: Any = frame.index[order]
    shown: dict[str, Any] = {
        "aware": times, "naive": times.tz_localize(None), "text": times.astype(str), "integers": times.as_unit("ns").asi8,
    }  # fmt: skip
    given = frame.iloc[order].reset_index(drop=True).assign(time=shown[kind])
    got = cr.anomaly.score(given, "ewma", metric="latency_ms")
    np.testing.assert_array_equal(got, expected[order])
    pd.testing.assert_index_equal(got.index, given.index)


def test_rows_of_the_same_time_keep_their_order() -> None:
    frame = timed()
    assert frame.index.has_duplicates
    got = cr.anomaly.score(frame, "z_score")
    np.testing.assert_array_equal(got, cr.anomaly.score(frame.latency_ms.to_numpy(), "z_score"))
    halves = pd.concat([frame.iloc[600:], frame.iloc[:600]])
    if frame.index[599] != frame.index[600]:
        np.testing.assert_array_equal(cr.anomaly.score(halves, "z_score"), np.roll(got, 600))


@pytest.mark.parametrize("method", METHODS)
def test_a_score_is_unknown_while_warming_up(method: str) -> None:
    detector = METHODS[method]("value")
    first = 256 if method == "isolation_forest" else detector.warm_up
    got = cr.anomaly.score(values(), method)
    assert got[:first].isna().all()
    assert got[first:].notna().all()


def test_missing_and_infinite_values_have_no_score() -> None:
    x = values()
    x[[50, 500, 900]] = np.nan, np.inf, -np.inf
    got = cr.anomaly.score(x, "ewma")
    assert got[[50, 500, 900]].isna().all()
    others = np.delete(np.arange(1200), [50, 500, 900])
    np.testing.assert_array_equal(got[others], cr.anomaly.score(x[others], "ewma"))


@pytest.mark.parametrize("cooldown", [None, 0, 1, 2, 5, 399])
def test_inside_a_cooldown_scores_are_just_below_1(cooldown: int | None) -> None:
    x = values()
    loose = cr.anomaly.score(x, ZScore("value", 6), cooldown=0)
    got = cr.anomaly.score(x, ZScore("value", 6), cooldown=cooldown)
    assert np.flatnonzero(loose >= 1).tolist() == SPIKES
    begin = {None: [400, 700, 1100], 0: SPIKES, 1: SPIKES, 2: [400, 700, 1100], 5: [400, 700, 1100], 399: [400, 1100]}[
        cooldown
    ]
    assert np.flatnonzero(got >= 1).tolist() == begin
    again = np.setdiff1d(SPIKES, begin)
    assert (got[again] == 1 - 1e-6).all()
    others = np.setdiff1d(np.arange(1200), again)
    np.testing.assert_array_equal(got[others], loose[others])


def test_the_cooldown_is_that_of_the_detector_where_none_is_given() -> None:
    x = values()
    got = cr.anomaly.score(x, ZScore("value", 6, cooldown=5))
    np.testing.assert_array_equal(got, cr.anomaly.score(x, ZScore("value", 6), cooldown=5))


@pytest.mark.parametrize("method", ["auto", "z_score", "modified_z_score", "iqr", "ewma", "cusum"])
def test_offline_is_the_milder_verdict_of_both_directions(method: str) -> None:
    x = values()
    there = cr.anomaly.score(x, method, cooldown=0).to_numpy()
    back = cr.anomaly.score(x[::-1], method, cooldown=0).to_numpy()[::-1]
    got = cr.anomaly.score(x, method, cooldown=0, offline=True).to_numpy()
    np.testing.assert_array_equal(got, np.fmin(there, back))
    assert not np.isnan(got).any()


def test_offline_sees_a_spike_in_the_warm_up_and_no_alarm_in_the_return_from_a_level() -> None:
    x = np.random.default_rng(0).normal(100, 10, 1500)
    x[10] += 300
    got = cr.anomaly.score(x, ZScore("value", 6), cooldown=0, offline=True)
    assert np.flatnonzero(got >= 1).tolist() == [10]


def test_offline_names_the_metric_that_was_out_of_line() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"latency_ms": rng.normal(100, 1, 500), "cost_usd": rng.normal(10, 1, 500)})
    frame.loc[5, "cost_usd"] = 500.0
    got = frame.crucible.anomalies(ZScore(threshold=6.0), offline=True)
    assert got[["first_seq", "metrics"]].values.tolist() == [[5, "cost_usd"]]


def test_the_metric_is_the_one_asked_for() -> None:
    frame = pd.DataFrame({"latency_ms": values(), "loss": values(seed=1), "name": "x"})
    for method in ("iqr", IQR(["latency_ms", "loss"]), IQR("latency_ms")):
        got = cr.anomaly.score(frame, method, metric="loss")
        np.testing.assert_array_equal(got, cr.anomaly.score(frame.loss, "iqr"))


def test_without_a_metric_the_detectors_that_are_there_are_watched() -> None:
    frame = pd.DataFrame({"latency_ms": values(), "cost_usd": values(seed=1) / 1e4, "loss": 1.0})
    one, other = (cr.anomaly.score(frame, "ewma", metric=name, cooldown=0) for name in ("latency_ms", "cost_usd"))
    np.testing.assert_array_equal(cr.anomaly.score(frame, "ewma", cooldown=0), np.fmax(one, other))
    np.testing.assert_array_equal(cr.anomaly.score(frame.drop(columns="cost_usd"), "ewma", cooldown=0), one)
    watched = EWMA(["gone", "cost_usd"])
    np.testing.assert_array_equal(cr.anomaly.score(frame, watched, cooldown=0), other)


def test_else_the_only_column_of_numbers_is_and_weights_are_none() -> None:
    frame = pd.DataFrame({"loss": values(), "weight": 2.0, "name": "x", "done": True})
    np.testing.assert_array_equal(cr.anomaly.score(frame, "ewma"), cr.anomaly.score(values(), "ewma"))


def test_a_column_without_a_name_of_text_is_a_column() -> None:
    np.testing.assert_array_equal(cr.anomaly.score(pd.DataFrame(values()), "ewma"), cr.anomaly.score(values(), "ewma"))


@pytest.mark.parametrize(
    "data",
    [np.empty(0), pd.Series(dtype=float), pd.DataFrame({"latency_ms": np.empty(0)}), []],
    ids=lambda data: type(data).__name__,
)
def test_nothing_has_no_scores(data: Any) -> None:
    assert cr.anomaly.score(data).tolist() == []


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"method": "zscore"}, cr.ConfigError, "method='zscore': expected one of 'auto', 'z_score', 'modified_z_score', 'iqr', 'ewma', 'cusum', 'isolation_forest'"),
        ({"method": 3}, cr.ConfigError, "method=3: expected one of 'auto', 'z_score', 'modified_z_score', 'iqr', 'ewma', 'cusum', 'isolation_forest', or a detector of cr.anomaly"),
        ({"cooldown": -1}, cr.ConfigError, "cooldown=-1: expected a whole number >= 0"),
        ({"cooldown": 1.5}, cr.ConfigError, "cooldown=1.5: expected a whole number >= 0"),
        ({"metric": "los"}, cr.SchemaError, "metric='los': no such column; available: loss, accuracy, name"),
        ({"metric": "name"}, cr.SchemaError, "name: expected numbers, got str"),
        ({"metric": None}, cr.SchemaError, "frame: expected one of the columns latency_ms, cost_usd, or metric=; it has loss, accuracy, name"),
        ({"metric": None, "method": ZScore(["a", "b"])}, cr.SchemaError, "frame: expected one of the columns a, b, or metric=; it has loss, accuracy, name"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_said(given: dict[str, Any], error: type[Exception], said: str) -> None:
    frame = pd.DataFrame({"loss": [1.0, 2.0], "accuracy": [1.0, 2.0], "name": ["x", "y"]})
    with pytest.raises(error) as raised:
        cr.anomaly.score(frame, **{"metric": "loss", **given})
    assert str(raised.value) == said


@pytest.mark.parametrize(
    "call",
    [
        lambda frame: cr.anomaly.score(frame, metric=["loss", "accuracy"]),
        lambda frame: cr.anomaly.score(frame[["loss", "accuracy"]].to_numpy()),
        lambda frame: cr.anomaly.score(frame.assign(time=["yesterday", "?"]), metric="loss"),
    ],
    ids=["two metrics", "two dimensions", "times that are none"],
)
def test_wrong_data_raises_an_error_of_the_house(call: Any) -> None:
    frame = pd.DataFrame({"loss": [1.0, 2.0], "accuracy": [1.0, 2.0]})
    with pytest.raises(cr.CrucibleError):
        call(frame)


@pytest.mark.parametrize("missing", [pd.NaT, None, "", np.nan], ids=repr)
@pytest.mark.parametrize("where", ["index", "column", "series"])
def test_a_row_without_a_time_has_no_place_in_their_order(where: str, missing: Any) -> None:
    times = pd.Series(pd.date_range("2025", periods=1200, freq="s").astype(str).astype(object))
    times[[7, 800]] = missing
    frame = pd.DataFrame({"latency_ms": values()})
    if where == "column":
        frame["time"] = times
    else:
        frame.index = pd.DatetimeIndex(pd.to_datetime(times))
    data: Any = frame.latency_ms if where == "series" else frame
    calls = [lambda: cr.anomaly.score(data), lambda: cr.anomaly.score(data, offline=True)]
    if where != "series":
        calls += [frame.crucible.anomalies, lambda: frame.crucible.query_window(last_n=3)]
    for call in calls:
        with pytest.raises(cr.SchemaError) as raised:
            call()
        assert str(raised.value) == "frame: expected a time in every row, got 2 without"


def test_options_are_for_names() -> None:
    with pytest.raises(cr.ConfigError) as raised:
        timed().crucible.anomalies(ZScore("latency_ms"), by="model")
    assert str(raised.value) == "method: options are for detectors given by name, got by"


@pytest.mark.parametrize("offline", [False, True])
def test_the_input_is_left_alone(offline: bool) -> None:
    frame = timed().iloc[np.random.default_rng(0).permutation(1200)]
    before, x = frame.copy(), values()
    detector = ZScore("latency_ms")
    facts = dict(vars(detector))
    cr.anomaly.score(frame, detector, offline=offline)
    frame.crucible.anomalies(detector, offline=offline)
    pd.testing.assert_frame_equal(frame, before)
    assert vars(detector) == facts
    cr.anomaly.score(x, offline=offline)
    np.testing.assert_array_equal(x, values())


@pytest.mark.parametrize("method", METHODS)
def test_the_incidents_of_a_frame_are_those_of_its_scores(method: str) -> None:
    frame = timed(shift=80)
    scores = cr.anomaly.score(frame, method, cooldown=7)
    got = frame.crucible.anomalies(method, cooldown=7)
    told, first = np.flatnonzero(scores >= 1), got.first_seq.to_numpy()
    assert set(first) <= set(told)
    at = np.searchsorted(first, told, side="right") - 1
    assert (told <= got.last_seq.to_numpy()[at]).all()
    assert got.start.tolist() == frame.index[first].tolist()
    loose = cr.anomaly.score(frame, method, cooldown=0).to_numpy()
    assert got["count"].sum() == (loose >= 1).sum()
    assert got.peak.max() == np.nanmax(loose)
    assert got.end.tolist() == frame.index[got.last_seq].tolist()
    assert got.reason.str.contains("latency_ms").all()


def recorded(frame: pd.DataFrame, method: Any, **config: Any) -> cr.Experiment:
    with cr.start("live", clock="events", anomaly=method, anomaly_config=config or None) as exp:
        for start in range(0, len(frame), 271):
            exp.extend(frame.iloc[start : start + 271], event="llm.request")
    return exp


@pytest.mark.parametrize("method", METHODS)
def test_incidents_of_a_frame_are_those_found_live(method: str) -> None:
    frame = timed(shift=80).assign(cost_usd=values(seed=1) / 1e4)
    got = frame.crucible.anomalies(method)
    assert len(got)
    pd.testing.assert_frame_equal(got, recorded(frame, method).anomalies(), check_exact=True)


@pytest.mark.parametrize("by", ["model", ["model", "route"], "route", "shard", "success"])
@pytest.mark.parametrize("method", ["auto", "z_score", "iqr"])
def test_so_they_are_with_baselines_by_group(method: str, by: Any) -> None:
    rng = np.random.default_rng(3)
    frame = timed(3000)
    frame["route"] = pd.Series(rng.choice(["eu", "us", None], 3000), dtype="str").to_numpy()
    frame["shard"] = rng.integers(0, 3, 3000)
    frame["success"] = rng.random(3000) < 0.6
    frame.loc[frame.model == "b", "latency_ms"] *= 50
    got = frame.crucible.anomalies(method, by=by)
    assert len(got)
    live = recorded(frame, method, by=by)
    pd.testing.assert_frame_equal(got, live.anomalies(), check_exact=True)
    pd.testing.assert_frame_equal(live.frame().crucible.anomalies(method, by=by), got, check_exact=True)


def test_groups_have_baselines_of_their_own() -> None:
    frame = timed()
    frame.loc[frame.model == "b", "latency_ms"] *= 50
    expected = pd.concat(
        cr.anomaly.score(part.latency_ms.to_numpy(), "z_score", cooldown=0).set_axis(
            np.flatnonzero(frame.model == model)
        )
        for model, part in frame.groupby("model")
    ).sort_index()
    got = cr.anomaly.score(frame, ZScore("latency_ms", by="model"), cooldown=0)
    np.testing.assert_array_equal(got, expected)


def test_scores_live_are_scores_of_the_frame() -> None:
    frame = timed()
    live = recorded(frame, "ewma").frame()
    np.testing.assert_array_equal(live.anomaly_score, cr.anomaly.score(frame, "ewma", cooldown=0))
    np.testing.assert_array_equal(live.anomaly, cr.anomaly.score(frame, "ewma", cooldown=0) >= 1)


def test_without_times_an_incident_has_none() -> None:
    got = pd.DataFrame({"latency_ms": values()}).crucible.anomalies(ZScore("latency_ms", 6, cooldown=300))
    assert got.first_seq.tolist() == [400, 1100]
    assert got[["start", "end"]].isna().all(axis=None)


def test_a_quiet_frame_has_no_incidents() -> None:
    got = pd.DataFrame({"latency_ms": np.tile([99.0, 101.0], 500)}).crucible.anomalies()
    assert len(got) == 0
    assert list(got.columns) == [
        "start",
        "end",
        "count",
        "peak",
        "severity",
        "metrics",
        "reason",
        "first_seq",
        "last_seq",
    ]


def test_a_frame_takes_the_detectors_that_an_experiment_takes() -> None:
    values = [100.0, 101.0, 102.0] * 100
    frame = pd.DataFrame({"latency_ms": [*values, 900.0, *values, 140.0], "loss": 1.0})
    one, two = (frame.crucible.anomalies(name) for name in ("z_score", "iqr"))
    for method in ("z_score,iqr", ["z_score", "iqr"], ["z_score", cr.anomaly.IQR()], [cr.anomaly.Auto("latency_ms")]):
        both = frame.crucible.anomalies(method)
        assert 300 in both.first_seq.tolist()
        if len(method) > 1:
            assert both.first_seq.tolist() == [300, 601]
            assert both.peak.tolist() == np.fmax(one.peak.reindex(range(2)), two.peak.reindex(range(2))).tolist()
        exp = cr.start("live", anomaly=method, anomaly_config={"action": "flag"} if "Auto" in repr(method) else None)
        exp.extend(frame)
        assert exp.anomalies().first_seq.tolist() == both.first_seq.tolist()
    with pytest.raises(cr.ConfigError, match=r"^method=\[\]: expected one of"):
        frame.crucible.anomalies([])
