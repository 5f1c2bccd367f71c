"""Time bins equal numpy on the same events, however the events are cut into chunks."""

from __future__ import annotations

import numpy as np
import pytest

from crucible_nb.notebook.bins import QUANTILES, Bins, Rows
from crucible_nb.notebook.bins import join_rows as joined_rows

SECOND = 10**9


def rows(times: np.ndarray, rng: np.random.Generator) -> Rows:
    n = len(times)
    success = np.where(rng.random(n) < 0.1, np.nan, rng.random(n) < 0.9)
    cost = np.where(rng.random(n) < 0.2, np.nan, rng.random(n))
    return Rows(times, np.ones(n), success, rng.lognormal(6, 0.5, n), cost, {"loss": rng.normal(size=n)})


def joined(parts: list[Rows]) -> Rows:
    plain = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("time", "weight", "success", "latency", "cost")
    )
    return Rows(*plain, {"loss": np.concatenate([part.columns["loss"] for part in parts])})


@pytest.mark.parametrize("growing", [False, True])
@pytest.mark.parametrize("cuts", [1, 7, 333])
def test_bins_equal_numpy(growing: bool, cuts: int, rng: np.random.Generator) -> None:
    bins, parts = Bins(SECOND, 16, growing=growing), []
    for times in np.array_split(np.sort(rng.integers(5 * SECOND, 105 * SECOND, 4000)), cuts):
        parts.append(rows(times, rng))
        bins.add(parts[-1])
    all_of = joined(parts)
    number = all_of.time // bins.width
    assert bins.width == (8 * SECOND if growing else SECOND)
    assert bins.newest == number[-1]
    assert bins.newest - bins.base < 16
    if growing:
        assert bins.base == number[0]
        assert bins.weight(bins.base).sum() == 4000
    for i, at in enumerate(range(bins.base, bins.newest + 1)):
        here = number == at
        latency, loss = all_of.latency[here], all_of.columns["loss"][here]
        assert bins.weight(bins.base)[i] == here.sum()
        assert bins.quantiles(bins.base)[i] == pytest.approx(np.quantile(latency, QUANTILES), rel=0.01)
        assert bins.success(bins.base)[i] == pytest.approx(np.nanmean(all_of.success[here]))
        assert bins.cost(bins.base)[i] == pytest.approx(np.nansum(all_of.cost[here]))
        assert bins.column("loss", bins.base)[i] == pytest.approx([loss.mean(), loss.min(), loss.max()])


def test_weights_stand_for_events(rng: np.random.Generator) -> None:
    bins, some = Bins(SECOND, 4), rows(np.zeros(50, np.int64), rng)
    bins.add(some._replace(weight=np.full(50, 3.0)))
    assert bins.weight(0)[-1] == 150
    assert bins.quantiles(0)[-1, 0] == pytest.approx(np.quantile(some.latency, 0.5), rel=0.05)


def test_late_events_find_their_bin_or_are_left_out(rng: np.random.Generator) -> None:
    recent, everything = Bins(SECOND, 4), Bins(SECOND, 4, growing=True)
    for times in ([100 * SECOND], [99 * SECOND], [10 * SECOND]):
        for bins in (recent, everything):
            bins.add(rows(np.array(times), rng))
    assert recent.weight(recent.base).tolist() == [0, 0, 1, 1]
    assert everything.weight(everything.base).sum() == 3
    assert everything.base <= 10 * SECOND // everything.width


def test_time_without_events_is_bins_without_events(rng: np.random.Generator) -> None:
    bins = Bins(SECOND, 5)
    bins.add(rows(np.array([10 * SECOND]), rng))
    bins.advance(12 * SECOND)
    assert bins.weight(10).tolist() == [1, 0, 0]
    bins.advance(40 * SECOND)
    assert bins.weight(0).tolist() == [0] * 5
    assert np.isnan(bins.quantiles(0)).all()


def test_dirty_is_the_oldest_bin_that_changed(rng: np.random.Generator) -> None:
    bins = Bins(SECOND, 10)
    bins.add(rows(np.array([20 * SECOND]), rng))
    bins.dirty = bins.newest
    bins.add(rows(np.array([20 * SECOND, 22 * SECOND]), rng))
    assert bins.dirty == 20
    bins.dirty = bins.newest
    bins.add(rows(np.array([19 * SECOND]), rng))
    assert bins.dirty == 19


@pytest.mark.parametrize("late", [False, True])
def test_rows_of_several_looks_are_taken_in_as_one(late: bool, rng: np.random.Generator) -> None:
    times = [np.sort(rng.integers(start * SECOND, (start + 3) * SECOND, 50)) for start in (10, 13, 9 if late else 16)]
    parts = [rows(one, rng) for one in times]
    parts[1].columns["new"] = rng.normal(size=50)  # type: ignore[index]
    found = list(joined_rows(parts))
    assert len(found) == (3 if late else 1)
    one, two = Bins(SECOND, 16), Bins(SECOND, 16)
    for bins, given in ((one, parts), (two, found)):
        bins.advance(20 * SECOND)
        for some in given:
            bins.add(some)
    np.testing.assert_allclose(one.weight(5), two.weight(5))
    for name in ("loss", "new"):
        np.testing.assert_allclose(one.column(name, 5), two.column(name, 5))
    np.testing.assert_allclose(one.quantiles(5), two.quantiles(5), rtol=0.01)
