"""Histogram quantiles: the bound, signs, weights, and tables too large for one chunk."""

from __future__ import annotations

import numpy as np
import pytest

from crucible_nb.windows import sketch as module
from crucible_nb.windows.quantiles import quantiles
from crucible_nb.windows.sketch import BOUND, sketch

Q = np.array([0.0, 0.25, 0.5, 0.95, 0.99, 1.0])
N = 5000
LO = np.arange(0, N, 100)
HI = (LO + 1500).clip(max=N)


@pytest.fixture(params=["whole", "cut"])
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "cut":
        monkeypatch.setattr(module, "_WINDOWS", 7)
        monkeypatch.setattr(module, "_CELLS", 5000)


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("sigma", [0.01, 1, 100])
def test_every_quantile_keeps_the_bound(rng: np.random.Generator, sign: int, sigma: float) -> None:
    column = sign * rng.lognormal(0, sigma, N)
    rough, exact = sketch(column, LO, HI, Q), quantiles(column, LO, HI, Q, compiled=False)
    assert (np.abs(rough / exact - 1) <= BOUND * (1 + 1e-12)).all()


@pytest.mark.usefixtures("_pieces")
def test_whole_weights_repeat_rows(rng: np.random.Generator) -> None:
    column, weights = rng.lognormal(0, 1, N), rng.integers(0, 3, N)
    after = np.concatenate([[0], np.cumsum(weights)])
    repeated = sketch(np.repeat(column, weights), after[LO], after[HI], Q)
    np.testing.assert_allclose(sketch(column, LO, HI, Q, weights.astype(float)), repeated, rtol=1e-9)


def test_zero_and_infinity_stand_for_themselves() -> None:
    column = np.array([-np.inf, -0.0, 0.0, 0.0, np.inf, np.inf])
    found = sketch(column, np.array([0, 4, 6, 1]), np.array([6, 6, 6, 4]), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(
        found, [[-np.inf, np.inf, np.nan, 0], [0, np.inf, np.nan, 0], [np.inf, np.inf, np.nan, 0]]
    )


def test_windows_without_a_row_between_others() -> None:
    column = np.array([1.0, 2.0, 4.0])
    found = sketch(column, np.array([0, 0, 1, 1, 3]), np.array([0, 1, 1, 3, 3]), np.array([0.5]))
    np.testing.assert_allclose(found, [[np.nan, 1.0, np.nan, 3.0, np.nan]], rtol=BOUND)
    np.testing.assert_array_equal(sketch(column, np.array([2]), np.array([2]), Q), np.full((6, 1), np.nan))
