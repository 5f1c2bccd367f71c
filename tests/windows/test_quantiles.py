"""Exact quantiles of windows: every path against `np.quantile`, to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.windows import quantiles as module
from crucible_nb.windows.quantiles import quantiles, weighted_quantiles
from tests.conftest import need

Q = np.array([0.5, 0.95, 0.99])
N = 20_000


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    smooth = rng.lognormal(6, 1, N)
    return {
        "lognormal": smooth,
        "pareto": rng.pareto(1.5, N),
        "bimodal": np.where(rng.random(N) < 0.3, smooth, smooth * 1e6),
        "sorted": np.sort(smooth),
        "reversed": np.sort(smooth)[::-1].copy(),
        "constant": np.full(N, 3.25),
        "integers": rng.integers(-3, 3, N).astype(float),
        "drift": smooth * np.exp(np.linspace(0, 20, N)),
        "steps": np.repeat(rng.normal(size=20), N // 20),
        "zeros": np.where(rng.random(N) < 0.6, -0.0, smooth),
    }


@pytest.mark.parametrize("name", columns())
@pytest.mark.parametrize(("window", "step"), [(6000, 200), (6000, 170), (3000, 3000), (700, 900), (100, 40)])
@pytest.mark.parametrize("compiled", [False, True])
def test_windows_of_every_kind_equal_numpy(name: str, window: int, step: int, compiled: bool) -> None:
    if compiled:
        need("numba")
    column = columns()[name]
    lo = np.arange(-window // 2, N, step).clip(min=0)
    hi = (np.arange(-window // 2, N, step) + window).clip(0, N)
    mine = quantiles(column, lo, hi, Q, compiled=compiled)
    np.testing.assert_array_equal(
        mine, np.transpose([np.quantile(column[a:b], Q) for a, b in zip(lo, hi, strict=True)])
    )


@pytest.mark.parametrize("name", [*columns(), "infinite"])
@pytest.mark.parametrize(("window", "step"), [(1500, 230), (1500, 1), (90, 700)])
def test_the_compiled_search_is_right_as_plain_python(
    name: str, window: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("numba")
    from crucible_nb.windows import compiled

    for attribute, kernel in list(vars(compiled).items()):
        if hasattr(kernel, "py_func"):
            monkeypatch.setattr(compiled, attribute, kernel.py_func)
    rng = np.random.default_rng(9)
    column = rng.choice([-np.inf, 0.0, 1.0, np.inf], 4000) if name == "infinite" else columns()[name][:4000]
    lo = np.arange(0, 4000, 230) if step == 1 else np.arange(0, 4000, step)
    hi = (lo + (rng.integers(0, window, len(lo)) if step == 1 else window)).clip(max=4000)
    np.testing.assert_array_equal(
        quantiles(column, lo, hi, Q, compiled=True), quantiles(column, lo, hi, Q, compiled=False)
    )


@pytest.mark.parametrize("compiled", [False, True])
def test_infinities_and_empty_windows(compiled: bool) -> None:
    if compiled:
        need("numba")
    rng = np.random.default_rng(1)
    column = rng.choice([-np.inf, -1.0, 0.0, 2.0, np.inf], 3000, p=[0.1, 0.2, 0.2, 0.1, 0.4])
    lo = np.array([0, 0, 0, 700, 700, 3000])
    hi = np.array([0, 1, 2, 700, 3000, 3000])
    mine = quantiles(column, lo, hi, Q, compiled=compiled)
    for i, (a, b) in enumerate(zip(lo, hi, strict=True)):
        np.testing.assert_array_equal(mine[:, i], quantile_of_sorted(np.sort(column[a:b]), Q))


def test_the_column_is_left_alone() -> None:
    column = columns()["lognormal"]
    before = column.copy()
    column.flags.writeable = False
    for compiled in (False, None):
        quantiles(column, np.array([0, 5]), np.array([4000, 9]), Q, compiled=compiled)
    np.testing.assert_array_equal(column, before)


def test_numba_is_used_where_it_is_faster_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(module, "have", asked.append)
    column = columns()["lognormal"]
    quantiles(column, np.array([0]), np.array([N]), Q)
    assert asked == []
    lo = np.arange(0, 6000, 10)
    mine = quantiles(column, lo, lo + 14_000, Q)
    assert asked == ["numba"]
    np.testing.assert_array_equal(mine[:, -1], np.quantile(column[5990:19_990], Q))


@pytest.mark.check
def test_numba_is_used_by_default_where_it_is_faster() -> None:
    need("numba")
    code = (
        "import sys, numpy as np; from crucible_nb.windows.quantiles import quantiles;"
        "lo = np.arange(0, 6000, 10); quantiles(np.random.default_rng(0).random(20_000), lo, lo + 14_000, np.array([.5]));"
        "assert 'crucible_nb.windows.compiled' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


def test_whole_weights_repeat_rows() -> None:
    rng = np.random.default_rng(3)
    column, weights = rng.normal(size=200), rng.integers(0, 4, 200)
    lo, hi = np.array([0, 10, 50, 200]), np.array([100, 11, 200, 200])
    mine = weighted_quantiles(column, lo, hi, Q, weights.astype(float))
    for i, (a, b) in enumerate(zip(lo, hi, strict=True)):
        rows = np.repeat(column[a:b], weights[a:b])
        np.testing.assert_array_equal(mine[:, i], np.quantile(rows, Q) if len(rows) else [np.nan] * 3)
