"""Sums by cell: numba and numpy give the same bits, and those of pandas, polars and rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.accumulators.kernels import KERNELS, Kernels
from crucible_nb.metrics.fold import cells_of, fold, one_cell
from crucible_nb.metrics.live_state import finest
from crucible_nb.metrics.sum_table import EVENTS, KNOWN, NUMBERS, ONES, Block, SumTable
from crucible_nb.utils.threads import COMPILER

N, SIZE = 3000, 7


def block(rng: np.random.Generator, n: int = N, *, weighted: bool = False) -> Block:
    values = np.empty((len(NUMBERS), n))
    values[0] = rng.lognormal(5, 2, n)
    values[1] = np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(-9, 2, n))
    values[2] = rng.integers(0, 3000, n)
    values[3] = np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n) * 10.0 ** rng.integers(-320, 300, n))
    values[3, :3] = [np.inf, -np.inf, np.nan]
    weight = np.where(rng.random(n) < 0.1, 0.0, rng.lognormal(0, 3, n)) if weighted else None
    return Block(rng.integers(0, 10**18, n), values, [0, 1, 2, 3], rng.integers(-1, 2, n).astype(np.int8), weight)


def same(a: SumTable, b: SumTable) -> None:
    np.testing.assert_equal(a.to_dict(), b.to_dict())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sorted_codes", [False, True])
def test_numba_and_numpy_give_the_same_bits(rng: np.random.Generator, weighted: bool, sorted_codes: bool) -> None:
    pytest.importorskip("numba", reason="needs the extra [fast]")
    events, codes = block(rng, weighted=weighted), rng.integers(0, SIZE - 1, N)  # the last cell is empty
    cells = cells_of(np.sort(codes) if sorted_codes else codes, SIZE)
    same(fold(events, cells, compiled=True), fold(events, cells, compiled=False))
    same(fold(events, one_cell(N), compiled=True), fold(events, one_cell(N), compiled=False))


@pytest.mark.parametrize("compiled", [False, True])
def test_columns_of_zeros_missing_and_infinite_values(compiled: bool) -> None:
    if compiled:
        pytest.importorskip("numba", reason="needs the extra [fast]")
    values = np.array([[0.0, -0.0, np.nan], [np.nan] * 3, [np.inf, 1.0, np.nan], [5e-324, 0, 0], [-np.inf, np.nan, 0]])
    table = fold(Block(np.arange(3), values, [0, 1, 2, 3, 4], np.ones(3, np.int8)), one_cell(3), compiled=compiled)
    assert table.counts[KNOWN:, 0].tolist() == [2, 0, 2, 3, 2]
    assert [table.column(row, 0).total for row in (0, 2, 3, 4)] == [0.0, np.inf, 5e-324, -np.inf]
    assert np.isnan(table.column(1, 0).mean)
    assert table.column(3, 0).variance == 0.0  # 8e-648, rounded


@pytest.mark.parametrize("weighted", [False, True])
def test_any_partition_and_order_gives_the_same_bits(rng: np.random.Generator, weighted: bool) -> None:
    events, codes = block(rng, weighted=weighted), rng.integers(0, SIZE, N)
    whole = fold(events, cells_of(codes, SIZE), compiled=False)
    for _ in range(4):
        order = rng.permutation(N)
        merged = SumTable(SIZE)
        for rows in rng.permutation(np.array_split(order, 5), axis=0):
            merged.add(slice(None), fold(events.take(rows), cells_of(codes[rows], SIZE), compiled=False))
        same(merged, whole)


@pytest.mark.check
def test_a_million_rows_in_any_cut() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"latency_ms": rng.lognormal(5, 1, 10**6), "model": rng.choice(["a", "b"], 10**6)})
    shuffled, states = frame.sample(frac=1, random_state=1), []
    for rows in (frame, shuffled):
        exp = cr.start("cut", clock="events")
        for start in (0, 1, 77_777, 500_000):
            exp.extend(rows.iloc[start : {0: 1, 1: 77_777, 77_777: 500_000}.get(start)])
        states.append(exp.metrics(by="model"))
        exp.stop()
    states += [rows.crucible.metrics(by="model") for rows in (frame, shuffled)]
    for found in states:
        assert found.latency == states[0].latency
        assert all(found[model].latency == states[0][model].latency for model in "ab")
    mean = sum(map(Fraction, frame.latency_ms.tolist())) / 10**6
    assert states[0].latency.mean == float(mean)


def test_the_numbers_of_polars_duckdb_and_pandas(rng: np.random.Generator) -> None:
    polars = pytest.importorskip("polars", reason="compares with polars")
    duckdb = pytest.importorskip("duckdb", reason="compares with DuckDB")
    frame = pd.DataFrame({"latency_ms": rng.lognormal(5, 1, 50_000), "model": rng.choice(list("abc"), 50_000)})
    frame.loc[rng.random(50_000) < 0.1, "latency_ms"] = np.nan
    found = frame.crucible.metrics(by="model").to_frame()
    table = polars.DataFrame({"m": frame.model.tolist(), "x": frame.latency_ms.fillna(0).tolist()})
    totals = dict(table.group_by("m").agg(polars.col("x").sum()).iter_rows())
    grouped = frame.groupby("model").latency_ms
    clean = frame.dropna()
    asked = "select model, avg(latency_ms), stddev_samp(latency_ms), count(*) from clean group by model"
    with duckdb.connect() as connection:
        connection.register("clean", clean)
        other = {name: numbers for name, *numbers in connection.execute(asked).fetchall()}
    for model in "abc":
        row = found.loc[model]
        assert row.latency_mean * row.latency_count == pytest.approx(totals[model], rel=1e-12)
        assert [row.latency_mean, row.latency_std, row.latency_count] == pytest.approx(other[model], rel=1e-12)
        assert row.latency_mean == pytest.approx(grouped.mean()[model], rel=1e-12)
        assert row.latency_std == pytest.approx(grouped.std()[model], rel=1e-12)


def test_a_frame_that_changes_later_changes_no_metric() -> None:
    frame = pd.DataFrame({"latency_ms": [1.0, 2.0], "weight": [1.0, 3.0]})
    exp = cr.start("later", clock="events")
    exp.extend(frame, "call")
    frame.loc[:, :] = 100.0
    assert exp.metrics().latency.mean == 1.75
    exp.stop()


def test_weighted_metrics_of_a_frame(rng: np.random.Generator) -> None:
    x, w = rng.lognormal(5, 1, 3000), rng.lognormal(0, 1, 3000)
    frame = pd.DataFrame({"latency_ms": x, "success": rng.random(3000) < 0.9, "weight": w})
    found = frame.crucible.metrics()
    xs, ws = (list(map(Fraction, one.tolist())) for one in (x, w))
    total = sum(ws)
    mean = sum((a * b for a, b in zip(ws, xs, strict=True)), Fraction(0)) / total
    assert found.latency.mean == float(mean)
    deviations = sum((a * (b - mean) ** 2 for a, b in zip(ws, xs, strict=True)), Fraction(0))
    assert found.latency.variance == float(deviations / (total - 1))
    assert found.latency.count == float(total)
    good = sum(one for one, yes in zip(ws, frame.success, strict=True) if yes)
    assert found.reliability.successful == float(good)
    assert found.estimated


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("weights", [[1 / 0.3], [1.0, 10.0], [0.0, 0.1, 3.0, 1e-300, 1e300]])
def test_few_weights_are_the_same_sums(rng: np.random.Generator, weights: list[float], compiled: bool) -> None:
    if compiled:
        pytest.importorskip("numba", reason="needs the extra [fast]")
    events, codes = block(rng), rng.integers(0, SIZE, N)
    few = events._replace(weight=rng.choice(weights, N))
    table = fold(few, cells_of(codes, SIZE), compiled=compiled)
    x, w = few.values[2], few.weight
    for group in range(SIZE):
        of_group = [(Fraction(a), Fraction(b)) for a, b in zip(x[codes == group], w[codes == group], strict=True)]  # type: ignore[index]
        assert table.weight(ONES, group) == sum(b for _, b in of_group)
        assert table.totals.fraction(2, group) == sum(a * b for a, b in of_group)
        assert table.squares.fraction(2, group) == sum(a * a * b for a, b in of_group)
    alone = fold(few._replace(success=few.success[:0]), cells_of(codes, SIZE), compiled=compiled)  # without outcomes
    assert alone.totals.fraction(2, 0) == table.totals.fraction(2, 0)


@pytest.mark.parametrize("spread", [1, 10**12])
def test_the_finest_cells(rng: np.random.Generator, spread: int) -> None:
    columns = [rng.integers(-1, 3, 500) * spread for _ in range(3)]
    cells, values = finest(columns, 500)
    assert (np.diff(cells.starts) > 0).all()
    for column, of_cells in zip(columns, values, strict=True):
        np.testing.assert_array_equal(of_cells[cells.codes], column)
    assert len(values[0]) == len(set(zip(*(one.tolist() for one in columns), strict=True)))


def test_compiled_code_is_asked_for_once_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = Kernels()
    asked: list[Any] = []
    monkeypatch.setattr(COMPILER, "submit", asked.append)
    assert kernels.after(99_999) is None
    assert asked == []
    kernels.after(1)
    kernels.after(10**6)
    assert len(asked) == 1
    monkeypatch.undo()
    if KERNELS.load() is not None:
        asked[0]()
        assert kernels.after(0) is KERNELS.after(0)


def test_groups_merge_by_key() -> None:
    table = SumTable(4)
    table.counts[EVENTS] = [1, 2, 4, 8]
    keys, merged = table.by(np.array([5, 3, 5, 3]))
    assert keys.tolist() == [3, 5]
    assert merged.counts[EVENTS].tolist() == [10, 5]
