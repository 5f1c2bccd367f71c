"""`extend`: the same meaning as one `record` per row, from frames, lists and Arrow tables."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import crucible_nb as cr
from crucible_nb.testing import ManualClock

MISFIT = "ignore::crucible_nb.errors.CrucibleWarning"
TIMES = pd.date_range("2025-01-01", periods=4, freq="s", tz="UTC", unit="ns")


@pytest.fixture
def exp() -> cr.Experiment:
    return cr.start("bulk", clock="events")


COLUMNS = {
    "floats": [0.5, None, 2.0, 1.0],
    "wholes": pd.array([1, 2, None, 2**60], "Int64"),
    "flags": pd.array([True, None, False, True], "boolean"),
    "text": ["a", None, "", "é"],
    "few": pd.Categorical(["x", None, "y", "x"]),
    "small": np.array([1, 2, 3, 4], np.uint8),
    "half": np.array([0.5, 1.5, 2.5, 3.5], np.float32),
    "bools": [True, False, True, True],
    "latency_ms": [1, 2, 3, 4],
    "prompt_tokens": [1.0, np.nan, 3.0, 4.0],
    "completion_tokens": pd.array([1, 2, None, 4], "Int64"),
    "success": [True, False, None, True],
    "model": ["m", None, "n", "m"],
    "provider": pd.Categorical(["p", "q", None, "p"], categories=["unused", "q", "p"]),
    "sample_id": [1, 2, 3, 4],
    "error": ["E", None, None, "F"],
    "object": np.array([1, 2.5, None, 4], dtype=object),
}


@pytest.mark.parametrize(
    ("name", "backend"),
    [(name, backend) for name in COLUMNS for backend in ("numpy", "arrow") if (name, backend) != ("object", "arrow")],
)
def test_every_dtype_means_what_record_means(exp: cr.Experiment, name: str, backend: str) -> None:
    frame = pd.DataFrame({name: COLUMNS[name], "event": "e"}, index=TIMES)
    if backend == "arrow":
        exp.extend(pa.Table.from_pandas(frame.rename_axis("time").reset_index(), preserve_index=False))
    else:
        assert exp.extend(frame) == 4
    rows = cr.start("rows", clock="events")
    for time, value in zip(TIMES, frame[name], strict=True):
        rows.record("e", time=time, **{name: value})
    pd.testing.assert_frame_equal(exp.df, rows.df)
    assert exp.summary()["misfits"] == rows.summary()["misfits"] == 0


def test_a_list_of_mappings(exp: cr.Experiment) -> None:
    rows = [{"event": "a", "latency_ms": 1, "time": TIMES[0]}, {"latency_ms": 2.5, "x": "y", "time": TIMES[1]}]
    assert exp.extend(rows, event="given") == 2
    assert exp.df.event.tolist() == ["given", "given"]
    assert exp.df.latency_ms.tolist() == [1.0, 2.5]
    assert rows[0]["event"] == "a"
    assert exp.extend([]) == 0


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("where", ["index", "column"])
@pytest.mark.parametrize("zone", [None, "UTC", "US/Eastern"])
def test_times_of_any_resolution_and_zone(exp: cr.Experiment, unit: str, where: str, zone: str | None) -> None:
    times = (TIMES.tz_localize(None) if zone is None else TIMES.tz_convert(zone)).as_unit(unit)
    frame = pd.DataFrame({"latency_ms": np.arange(4.0)}, index=times)
    if where == "column":
        frame = frame.rename_axis("time").reset_index()
    exp.extend(frame, event="e")
    assert exp.df.index.equals(TIMES.rename("time"))


def test_times_as_text_numbers_and_missing(exp: cr.Experiment) -> None:
    exp.extend(pd.DataFrame({"time": ["2025-01-01T00:00:01", "2025-01-01 00:00:00"], "x": [1, 2]}))
    exp.extend(pd.DataFrame({"time": TIMES[2:].asi8, "x": [3, 4]}))
    exp.extend(pd.DataFrame({"time": [pd.NaT, None], "x": [5, 6]}))
    assert exp.df.x.tolist() == [2, 1, 3, 4, 5, 6]
    assert exp.df.index[-1] == TIMES[-1]


def test_without_a_time_it_is_now(clock: ManualClock) -> None:
    exp = cr.start("now", clock=clock)
    exp.extend(pd.DataFrame({"x": [1, 2]}))
    clock.tick(5)
    exp.extend(pd.DataFrame({"x": [3]}))
    assert (exp.df.index.asi8 - exp.df.index[0].value).tolist() == [0, 0, 5 * 10**9]


def test_unsorted_frames_are_sorted_stably(exp: cr.Experiment) -> None:
    exp.extend(pd.DataFrame({"x": [1, 2, 3, 4]}, index=TIMES[[2, 0, 2, 1]]))
    assert exp.df.x.tolist() == [2, 4, 1, 3]
    assert exp.df.seq.tolist() == [1, 3, 0, 2]


def test_columns_of_another_run_are_dropped_and_counted(exp: cr.Experiment) -> None:
    frame = pd.DataFrame({"x": [1], "seq": [99], "anomaly": [True], "anomaly_score": [2.0]}, index=TIMES[:1])
    said = "columns that the experiment writes itself were dropped from the input: seq, anomaly, anomaly_score"
    with pytest.warns(cr.CrucibleWarning, match=said):
        exp.extend(frame)
    exp.extend(frame)
    assert exp.df.seq.tolist() == [0, 1]
    assert not exp.df.anomaly.any()


def test_weights_are_kept_and_counted_as_events(exp: cr.Experiment) -> None:
    exp.extend(pd.DataFrame({"latency_ms": [1.0, 3.0], "weight": [3.0, 1.0]}, index=TIMES[:2]))
    exp.record("e", latency_ms=1.5, time=TIMES[2])
    assert exp.df.weight.tolist() == [3.0, 1.0, 1.0]
    metrics = exp.metrics()
    assert metrics.latency.mean == pytest.approx((3 + 3 + 1.5) / 5)
    assert (metrics.events, metrics.estimated, metrics.latency.count) == (3, True, 5)
    assert exp.df.crucible.metrics().latency.mean == pytest.approx(metrics.latency.mean)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (5, "ConfigError: frame=5: expected a DataFrame, a list of mappings or an Arrow table"),
        ([5], "ConfigError: frame=5: expected a mapping in every place of the list"),
        (
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            "SchemaError: frame: column names must be unique, got ['a'] more than once",
        ),
        (pd.DataFrame({"weight": [-1.0]}), "StatError: weight: expected finite numbers > 0 in every row of the input"),
    ],
)
def test_a_table_that_cannot_be_used_is_counted_not_raised(exp: cr.Experiment, table: object, sentence: str) -> None:
    with pytest.warns(cr.CrucibleWarning) as said:
        assert exp.extend(table) == 0
    assert str(said[0].message) == f"experiment 'bulk': extend() recorded nothing: {sentence}"
    assert exp.summary()["errors"] == 1
    assert exp.summary()["total_events"] == 0


@pytest.mark.filterwarnings(MISFIT)
def test_what_does_not_fit_goes_to_metadata(exp: cr.Experiment) -> None:
    frame = pd.DataFrame(
        {
            "latency_ms": ["slow", 2, 3.5, None],
            "prompt_tokens": [1.5, 2.0, 3.0, np.nan],
            "when": TIMES,
            "nested": [[1], {"a": 1}, None, "t"],
            "big": np.array([2**63, 1, 2, 3], np.uint64),
            3: ["x", "y", "z", "w"],
        },
        index=TIMES,
    )
    exp.extend(frame, event="e")
    rows = exp.df
    assert rows.latency_ms.tolist()[1:3] == [2.0, 3.5]
    assert rows.prompt_tokens.isna().tolist() == [True, False, False, True]
    first = json.loads(rows.metadata.iloc[0])
    assert (first["latency_ms"], first["prompt_tokens"], first["nested"], first["big"]) == ("slow", 1.5, [1], 2**63)
    assert first["when"].startswith("2025-01-01")
    assert rows["3"].tolist() == ["x", "y", "z", "w"]


def test_metadata_goes_round(exp: cr.Experiment) -> None:
    frame = pd.DataFrame({"metadata": ['{"a": 1}', None, {"b": 2}, '{"c": [3]}']}, index=TIMES)
    exp.extend(frame)
    assert [None if pd.isna(text) else json.loads(text) for text in exp.df.metadata] == [
        {"a": 1},
        None,
        {"b": 2},
        {"c": [3]},
    ]
    assert exp.summary()["misfits"] == 0


@pytest.mark.filterwarnings(MISFIT)
def test_metadata_that_is_no_object_is_wrapped(exp: cr.Experiment) -> None:
    exp.extend(pd.DataFrame({"metadata": ["text", "[1]"]}, index=TIMES[:2]))
    assert [json.loads(text) for text in exp.df.metadata] == [{"metadata": "text"}, {"metadata": "[1]"}]


def test_an_exported_run_goes_in_again(exp: cr.Experiment) -> None:
    for i in range(20):
        exp.record("a" if i % 2 else "b", latency_ms=i, x=i / 3, note=f"n{i}", time=TIMES[0] + pd.Timedelta(seconds=i))
    again = cr.start("again", clock="events")
    with pytest.warns(cr.CrucibleWarning, match="seq, anomaly, anomaly_score, anomaly_metric"):
        again.extend(exp.df)
    pd.testing.assert_frame_equal(again.df, exp.df)
    assert json.dumps(again.metrics().to_dict()) == json.dumps(exp.metrics().to_dict())


def test_a_frame_is_not_touched(exp: cr.Experiment) -> None:
    frame = pd.DataFrame({"latency_ms": [2.0, 1.0], "weight": [1.0, 2.0]}, index=TIMES[[1, 0]])
    before = frame.copy(deep=True)
    exp.extend(frame, event="e")
    pd.testing.assert_frame_equal(frame, before)


def test_an_empty_frame_is_nothing(exp: cr.Experiment) -> None:
    assert exp.extend(pd.DataFrame({"latency_ms": []}, index=TIMES[:0])) == 0
    assert len(exp.df) == 0
    assert exp.metrics().events == 0


@pytest.mark.parametrize("form", ["list", "frame", "arrow"])
def test_weights_count_in_every_form(exp: cr.Experiment, form: str) -> None:
    rows = [{"latency_ms": 1.0, "weight": 9}, {"latency_ms": 11.0, "weight": Decimal(1)}]
    table = {
        "list": rows,
        "frame": pd.DataFrame(rows),
        "arrow": pa.table({"latency_ms": [1.0, 11.0], "weight": [9, 1]}),
    }
    exp.extend(table[form])
    assert exp.df.weight.tolist() == [9.0, 1.0]
    assert exp.metrics().latency.mean == exp.df.crucible.metrics().latency.mean == 2.0
    assert exp.summary()["misfits"] == 0


def test_ones_own_rows_go_in_again_as_a_list(exp: cr.Experiment) -> None:
    exp.extend([{"event": "a", "x": 1.5}, {"event": "b"}])
    again = cr.start("again", clock="events")
    with pytest.warns(cr.CrucibleWarning, match="dropped from the input: seq, anomaly"):
        again.extend(exp.df.reset_index().to_dict("records"))
    pd.testing.assert_frame_equal(again.df, exp.df)


@pytest.mark.parametrize("weight", [0, -1.0, "heavy", None, float("inf")])
def test_a_wrong_weight_refuses_the_whole_list(exp: cr.Experiment, weight: object) -> None:
    with pytest.warns(cr.CrucibleWarning, match="extend\\(\\) recorded nothing: StatError: weight: expected "):
        assert exp.extend([{"x": 1, "weight": 1.0}, {"x": 2, "weight": weight}]) == 0
    assert (len(exp.df), exp.summary()["errors"]) == (0, 2)


def test_levels_of_the_index_are_columns(exp: cr.Experiment) -> None:
    index = pd.MultiIndex.from_arrays(
        [["m", "n"], TIMES[:2], [1, 2], [3, 4]], names=["model", "time", "sample_id", None]
    )
    exp.extend(pd.DataFrame({"latency_ms": [1.0, 2.0]}, index=index))
    assert exp.df.index.equals(TIMES[:2].rename("time"))
    assert exp.df.model.tolist() == ["m", "n"]
    assert exp.df.sample_id.tolist() == ["1", "2"]
    exp.extend(pd.DataFrame({"x": [1]}, index=pd.Index([7], name="sample_id")))
    assert exp.df.sample_id.tolist()[-1] == "7"


def test_a_level_that_contradicts_a_column_is_refused(exp: cr.Experiment) -> None:
    frame = pd.DataFrame({"model": ["a", "b"], "x": [1, 2]})
    assert exp.extend(frame.set_index("model", drop=False)) == 2
    with pytest.warns(cr.CrucibleWarning, match="'model' is a column and a level of the index, with different values"):
        assert exp.extend(frame.set_index(pd.Index(["b", "a"], name="model"))) == 0


@pytest.mark.filterwarnings(MISFIT)
def test_a_column_time_beside_an_index_of_times_is_kept(exp: cr.Experiment) -> None:
    exp.extend(pd.DataFrame({"time": [0.31, None], "x": [1, 2]}, index=TIMES[:2]))
    assert exp.df.index.equals(TIMES[:2].rename("time"))
    assert exp.df.metadata.tolist()[0] == '{"time":0.31}'
    assert exp.summary()["misfits"] == 1
    exp.extend(pd.DataFrame({"time": TIMES[2:], "x": [3, 4]}, index=TIMES[2:]))  # says the same again
    assert exp.summary()["misfits"] == 1


@pytest.mark.filterwarnings(MISFIT)
def test_one_odd_time_costs_itself_alone(clock: ManualClock) -> None:
    exp = cr.start("odd", clock=clock)
    times = TIMES[:3].as_unit("us").append(pd.DatetimeIndex(["9999-12-31"], tz="UTC").as_unit("us"))
    assert exp.extend(pd.DataFrame({"x": [1, 2, 3, 4]}, index=times)) == 4
    assert exp.df.index[:3].equals(TIMES[:3])
    assert exp.df.index[3].value == clock.now
    assert json.loads(exp.df.metadata.iloc[3]) == {"time": "9999-12-31T00:00:00+00:00"}


def test_a_time_that_looks_like_seconds_is_said(exp: cr.Experiment) -> None:
    sentence = "first: time=1735689600: it looks like seconds since 1970, and whole numbers are nanoseconds"
    with pytest.warns(cr.CrucibleWarning, match=sentence):
        exp.extend(pd.DataFrame({"time": [1_735_689_600], "x": [1]}))


@pytest.mark.filterwarnings(MISFIT)
def test_types_of_arrow_that_pandas_lacks(exp: cr.Experiment) -> None:
    table = pa.table(
        {
            "model": pa.array(["a", None], pa.string_view()),
            "x": [1.0, 2.0],
            "gone": pa.array([None, None], pa.month_day_nano_interval()),
            "raw": pa.array([b"x", None], pa.binary_view()),
        }
    )
    assert exp.extend(table) == 2
    assert exp.df.model.tolist()[0] == "a"
    assert exp.df.x.tolist() == [1.0, 2.0]
    assert (exp.summary()["misfits"], exp.summary()["errors"]) == (1, 0)
