"""Corrections for multiple tests: equal to statsmodels for every type of input."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

import crucible_nb as cr
from crucible_nb.stats.adjust import adjust

THEIRS = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh", "benjamini_hochberg": "fdr_bh"}


@pytest.mark.untraced
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(list(THEIRS)))
def test_statsmodels(p: list[float], method: str) -> None:
    np.testing.assert_array_equal(adjust(p, method), multipletests(p, method=THEIRS[method])[1])


@pytest.mark.parametrize("method", THEIRS)
def test_no_garbage_is_collected(method: str) -> None:
    """A dashboard corrects a comparison at every keyframe, which must not slow the running cell."""
    collections = []
    gc.callbacks.append(lambda phase, info: collections.append((phase, info["generation"])))
    try:
        adjust([0.01, 0.02, 0.9], method)
    finally:
        gc.callbacks.pop()
    assert ("start", 2) not in collections


def test_benjamini_and_hochberg_1995(shared_data: Path) -> None:
    entries = json.loads((shared_data / "oracles.json").read_text())["entries"]
    one = next(entry for entry in entries if entry["id"] == "benjamini_hochberg_1995")
    for method, count in one["expected"].items():
        assert (adjust(one["inputs"]["p_values"], method) <= 0.05).sum() == count


def test_what_comes_in_comes_out() -> None:
    series = adjust(pd.Series([0.01, None, 0.04], index=["a", "b", "c"], name="p"), "bonferroni")
    pd.testing.assert_series_equal(series, pd.Series([0.02, np.nan, 0.08], index=["a", "b", "c"], name="p"))
    assert adjust({"a": 0.01, "b": 0.04}) == {"a": 0.02, "b": 0.04}
    assert adjust([]).shape == (0,)
    assert np.isnan(adjust([np.nan])).all()


@pytest.mark.parametrize(
    ("p", "method", "error"),
    [
        ([1.5], "holm", cr.StatError),
        ([0.5], "sidak", cr.ConfigError),
        ("half", "holm", cr.StatError),
        ([[0.1]], "bh", cr.StatError),
    ],
)
def test_what_is_refused(p: object, method: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        adjust(p, method)
