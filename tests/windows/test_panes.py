"""Sums of panes: blocks of any size, unknown values, infinities, weights."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from crucible_nb.windows import panes as module
from crucible_nb.windows.panes import Panes, floats


@pytest.fixture(params=[1, 7, 100, 1 << 17])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "_BLOCK", request.param)
    return request.param


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_change_nothing(rng: np.random.Generator, weighted: bool) -> None:
    lo = np.sort(rng.integers(0, 900, 200))
    hi = lo + rng.integers(0, 100, 200)
    column = np.where(rng.random(1000) < 0.3, np.nan, rng.integers(-50, 50, 1000))
    weights = rng.integers(1, 5, 1000).astype(float)
    total, known = Panes(lo, hi).sums(pd.array(column, dtype="Int64"), weights if weighted else None)
    each = weights if weighted else np.ones(1000)
    np.testing.assert_array_equal(total, [np.nansum((column * each)[a:b]) for a, b in zip(lo, hi, strict=True)])
    np.testing.assert_array_equal(known, [(each * ~np.isnan(column))[a:b].sum() for a, b in zip(lo, hi, strict=True)])


def test_long_folds_round_as_little_as_one_sum(rng: np.random.Generator) -> None:
    column = rng.lognormal(0, 3, 40_000)
    lo = np.arange(0, 20_000, 7)
    total, _ = Panes(lo, lo + 20_000).sums(column)
    exact = [math.fsum(column[a : a + 20_000]) for a in lo[::500]]
    np.testing.assert_allclose(total[::500], exact, rtol=1e-14)


def test_infinities_meet_without_a_warning() -> None:
    total, known = Panes(np.array([0, 0, 2]), np.array([1, 2, 4])).sums(np.array([np.inf, -np.inf, 1e308, 1e308]))
    np.testing.assert_array_equal(total, [np.inf, np.nan, np.inf])
    np.testing.assert_array_equal(known, [1, 2, 2])


def test_no_windows_and_no_rows_have_no_sums() -> None:
    none = np.array([], dtype=np.int64)
    assert [part.tolist() for part in Panes(none, none).sums(np.ones(3))] == [[], []]
    empty = np.array([2, 2])
    assert [part.tolist() for part in Panes(empty, empty).sums(np.ones(3))] == [[0.0, 0.0], [0.0, 0.0]]


def test_floats_are_not_copied() -> None:
    column = np.ones(3)
    assert floats(column) is column
    np.testing.assert_array_equal(floats(pd.array([1, None], dtype="Int64")), [1.0, np.nan])


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("weighted", [False, True])
def test_exact_sums_are_rounded_once(rng: np.random.Generator, weighted: bool) -> None:
    lo = np.sort(rng.integers(0, 900, 200))
    hi = lo + rng.integers(0, 100, 200)
    column = np.where(rng.random(1000) < 0.3, np.nan, rng.normal(size=1000) * 10.0 ** rng.integers(-200, 200, 1000))
    weights = rng.lognormal(0, 2, 1000) if weighted else None
    total, known = Panes(lo, hi).exact_sums(column, weights)
    xs = [Fraction(0 if math.isnan(x) else x) for x in column.tolist()]
    ws = [Fraction(1)] * 1000 if weights is None else list(map(Fraction, weights.tolist()))
    for i, (a, b) in enumerate(zip(lo.tolist(), hi.tolist(), strict=True)):
        assert total[i] == float(sum((x * w for x, w in zip(xs[a:b], ws[a:b], strict=True)), Fraction(0)))
        there = ~np.isnan(column[a:b])
        assert known[i] == float(sum((w for w, yes in zip(ws[a:b], there, strict=True) if yes), Fraction(0)))
    column[[5, 50]] = np.inf, -np.inf
    floating = Panes(lo, hi).sums(column, weights)
    for found, expected in zip(Panes(lo, hi).exact_sums(column, weights), floating, strict=True):
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
