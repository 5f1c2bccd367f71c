"""Sampling information in `frame.attrs`."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.events.sampling_info import check_weights, facts_of, mark, not_whole

FACTS = {"sampled": True, "sampler": "Uniform(0.5)", "sized_by": None, "seen": 8, "kept": 3}


def frame() -> pd.DataFrame:
    return mark(pd.DataFrame({"latency_ms": [1.0, 2.0, 3.0], "weight": 2.0}), FACTS)


def test_a_frame_that_was_never_sampled_remembers_nothing() -> None:
    assert facts_of(pd.DataFrame({"a": [1]})) == {}
    strange = pd.DataFrame({"a": [1]})
    strange.attrs["crucible"] = "something of the user"
    assert facts_of(strange) == {}


def test_the_whole_sample_knows_how_many_events_it_stands_for_and_a_part_does_not() -> None:
    assert facts_of(frame()) == FACTS
    part = frame().query("latency_ms > 1")
    assert facts_of(part) == {"sampled": True, "sampler": "Uniform(0.5)", "sized_by": None}


def test_lost_weights_are_noticed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_weights(frame())
        check_weights(frame().drop(columns="weight").assign(weight=1.0))
    for look in (lambda rows: rows.crucible.metrics(), lambda rows: rows.crucible.windowed_metrics("1min")):
        rows = frame().set_index(pd.date_range("2025-01-01", periods=3, freq="s", tz="UTC")).drop(columns="weight")
        with pytest.warns(cr.CrucibleWarning, match="these rows were sampled, but the column 'weight' is missing"):
            look(rows)


def test_a_sample_that_is_revised_is_known_by_its_fact_not_by_its_name() -> None:
    class ReservoirOfMine(cr.sampling.Uniform):
        pass

    rows = frame().drop(columns="weight")
    revised = cr.sampling.sample(rows, cr.sampling.Stratified(by="success", size=1))
    assert "removed later (Stratified(by='success', size=1))" in (not_whole(revised) or "")
    assert "removed later" not in (not_whole(cr.sampling.sample(rows, ReservoirOfMine(1.0))) or "")
    assert "removed later (merge)" in (not_whole(cr.sampling.merge([rows, rows], size=1)) or "")
    old = frame()  # written by v0.1, without the fact
    old.attrs["crucible"] = {"sampled": True, "sampler": "Reservoir(size=3)", "sized_by": None}
    assert "the rows are a sample (Reservoir(size=3))" in (not_whole(old) or "")
