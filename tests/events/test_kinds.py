"""Kinds of columns: taken from the first known value, widened by numbers, whatever the blocks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.events.batch import Column
from crucible_nb.events.coerce import fit, refit
from crucible_nb.events.columns import read_column
from crucible_nb.events.scalars import plain
from tests.laws.test_resume import die

MISFIT = "ignore::crucible_nb.errors.CrucibleWarning"
NAN = float("nan")
STREAMS: dict[str, tuple[list[Any], str, list[Any], int]] = {
    "booleans, then a count": ([True, None, 1, 3], "Int64", [1, None, 1, 3], 0),
    "booleans, then a fraction": ([True, False, 0.5], "float64", [1.0, 0.0, 0.5], 0),
    "booleans and ones": ([True, 1, 0.0], "boolean", [True, True, False], 0),
    "all of them": ([True, 3, 0.5, "x"], "float64", [1.0, 3.0, 0.5, None], 1),
    "whole floats": ([1, 2.0, NAN, 3], "Int64", [1, 2, None, 3], 0),
    "a large float": ([1, 1e300], "float64", [1.0, 1e300], 0),
    "infinity": ([1, float("inf")], "float64", [1.0, float("inf")], 0),
    "NaN, then text": ([NAN, "text"], "str", [None, "text"], 0),
    "NaN, then a boolean": ([NAN, None, True], "boolean", [None, None, True], 0),
    "NaN, then a count": ([NAN, 2**53 + 1], "Int64", [None, 2**53 + 1], 0),
    "NaN alone": ([NAN, NAN], "float64", [None, None], 0),
    "a large count stays": ([2**53 + 1, 0.5], "Int64", [2**53 + 1, None], 1),
    "a large count does not fit": ([0.5, 2**53 + 1, 2**60], "float64", [0.5, None, 2.0**60], 1),
}


def column(exp: cr.Experiment) -> tuple[str, list[Any], int]:
    values = [None if pd.isna(value) else value for value in exp.df.v]
    return str(exp.df.v.dtype), values, exp.summary()["misfits"]


@pytest.mark.filterwarnings(MISFIT)
@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("look", [False, True])
def test_a_column_widens(name: str, look: bool) -> None:
    values, *expected = STREAMS[name]
    exp = cr.start("kinds")
    for value in values:
        exp.record("e", v=value)
        if look:
            exp.summary()
    assert column(exp) == tuple(expected)


@pytest.mark.filterwarnings(MISFIT)
@pytest.mark.parametrize("name", STREAMS)
def test_a_column_widens_over_a_crash_and_sealed_segments(name: str, tmp_path: Any) -> None:
    values, *expected = STREAMS[name]
    exp = cr.start("kinds", store=tmp_path)
    for value in values[:1]:
        exp.record("e", v=value)
    exp.pause()
    die(exp)
    again = cr.attach("kinds", store=tmp_path, mode="resume")
    again.resume()
    for value in values[1:-1]:
        again.record("e", v=value)
    again.flush()
    again.record("e", v=values[-1])
    assert column(again) == tuple(expected)
    again.stop()
    assert column(cr.attach("kinds", store=tmp_path)) == tuple(expected)


@pytest.mark.filterwarnings(MISFIT)
@pytest.mark.parametrize(
    ("chunks", "dtype", "values"),
    [
        ([[True, False], [0, 1], [2, 3]], "Int64", [1, 0, 0, 1, 2, 3]),
        ([[True, False], [0.5, NAN]], "float64", [1.0, 0.0, 0.5, None]),
        ([[1, 2], [3.0, NAN], [5.0, 6.5]], "float64", [1.0, 2.0, 3.0, None, 5.0, 6.5]),
        ([[1, 2], [3.0, NAN]], "Int64", [1, 2, 3, None]),
        ([[2**53 + 1], [0.5, 3.0]], "Int64", [2**53 + 1, None, 3]),
        ([[0.5], [2**53 + 1, 7]], "float64", [0.5, None, 7.0]),
        ([[NAN, NAN], ["a", "b"]], "str", [None, None, "a", "b"]),
    ],
)
def test_chunks_of_typed_frames_are_the_same_stream(chunks: list[list[Any]], dtype: str, values: list[Any]) -> None:
    many, one = cr.start("many"), cr.start("one")
    for chunk in chunks:
        many.extend(pd.DataFrame({"v": chunk}))
        for value in chunk:
            one.record("e", v=value)
    assert column(many) == column(one) == (dtype, values, column(one)[2])


def test_a_column_of_identifiers_is_text_from_its_first_value_on() -> None:
    exp = cr.start("ids")
    for value in (7, 8.0, "a", np.int64(9), None):
        exp.record("e", item_id=value, trace_id=value)
    assert exp.df.item_id.tolist()[:4] == exp.df.trace_id.tolist()[:4] == ["7", "8", "a", "9"]
    assert exp.summary()["misfits"] == 0


@pytest.mark.filterwarnings(MISFIT)
def test_a_live_group_of_booleans_stays_when_the_column_widens() -> None:
    exp = cr.start("groups", by=("v",))
    for value in (True, True, 1, 3):
        exp.record("e", v=value, latency_ms=1.0)
    groups = exp.metrics(by="v")
    assert (groups[True].events, groups[3].events) == (3, 1)
    assert json.dumps(groups.to_dict(), default=str)


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0, -0.0], [1.0, float("nan"), 3.0], [float("nan")], [0.5, 1.0], [float("inf"), 1.0], [2.0**62, 1.0],
        [-(2.0**63), 1.0], [2.0**63, float("nan")], [2.0**53 + 2, 1.0], [],
    ],
)  # fmt: skip
def test_floats_become_integers_as_one_by_one(values: list[float]) -> None:
    whole, misfits = refit("prompt_tokens", "integer", Column("float", np.array(values)), None)
    one_by_one, expected = fit("prompt_tokens", "integer", [None if v != v else v for v in values], None)
    assert misfits == expected
    known = whole.known().tolist()
    assert known == one_by_one.known().tolist()
    assert [v for v, there in zip(whole.values.tolist(), known, strict=True) if there] == [
        v for v, there in zip(one_by_one.values.tolist(), known, strict=True) if there
    ]


@pytest.mark.parametrize(
    "values",
    [
        [True, None, False], [np.True_, False, None], [None, None], [True, 1], [False, "x"], [True, float("nan")], [],
        [True, pd.NA],
    ],
)  # fmt: skip
def test_objects_that_are_booleans_are_read_as_each_alone(values: list[object]) -> None:
    read = read_column("x", pd.Series(values, dtype=object))
    alone = [plain(value, "x") for value in values]
    if isinstance(read, Column):
        found = [v if there else None for v, there in zip(read.values.tolist(), read.known().tolist(), strict=True)]
        assert (read.kind, found) == ("boolean", [None if v is None or v != v else v for v in alone])
    else:
        assert repr(read) == repr(alone)
