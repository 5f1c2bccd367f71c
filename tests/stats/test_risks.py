"""Odds ratio, Cohen's h and g: statsmodels and published results."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import proportion_effectsize

import crucible_nb as cr
from crucible_nb.stats.effects.risks import cohens_g, cohens_h, odds_ratio
from tests.tiers import examples


@examples(60)
@given(*[st.integers(1, 300)] * 4)
def test_odds_ratio_is_statsmodels(a: int, b: int, c: int, d: int) -> None:
    wanted = Table2x2([[a, b], [c, d]])
    for got in (odds_ratio([[a, b], [c, d]]), odds_ratio([True] * c + [False] * d, [True] * a + [False] * b)):
        assert got.effect_size == pytest.approx(wanted.oddsratio, rel=1e-12)
        np.testing.assert_allclose(got.confidence_interval, wanted.oddsratio_confint(), rtol=1e-11)
        assert got.n == (c + d, a + b)


def test_a_zero_cell_is_said() -> None:
    got = odds_ratio([True] * 5 + [False] * 5, [True] * 10)
    assert got.effect_size == pytest.approx(10.5 * 5.5 / (0.5 * 5.5))
    assert got.warnings == ("a cell is 0: 0.5 was added to all four",)
    with pytest.raises(cr.StatError, match="a row of zeros"):
        odds_ratio([[0, 0], [1, 2]])
    with pytest.raises(cr.StatError, match="got 2 x 3"):
        odds_ratio([[1, 2, 3], [1, 2, 3]])


def test_cohens_h_of_shares_is_pwrs(shared_data: Path) -> None:
    for entry in json.loads((shared_data / "oracles.json").read_text())["entries"]:
        if "h" in entry["expected"]:
            h = float(cohens_h(entry["inputs"]["p2"], entry["inputs"]["p1"]))
            assert h == pytest.approx(entry["expected"]["h"], abs=5e-8)


@examples(40)
@given(st.integers(0, 50), st.integers(0, 70))
def test_cohens_h_of_arms(hits: int, other: int) -> None:
    got = cohens_h([True] * hits + [False] * (50 - hits), [True] * other + [False] * (70 - other))
    assert got.effect_size == pytest.approx(proportion_effectsize(other / 70, hits / 50), abs=1e-12)
    low, high = got.confidence_interval
    assert low <= got.effect_size <= high
    assert high - low <= 2 * 1.96 * math.sqrt(1 / 50 + 1 / 70)


def test_bare_shares_have_no_interval() -> None:
    got = cohens_h(0.2, np.float64(0.5))
    assert math.isnan(got.confidence_interval.low)
    assert "confidence interval" not in repr(got)
    with pytest.raises(cr.ConfigError, match="treatment=1.5"):
        cohens_h(0.5, 1.5)


def test_cohens_g(shared_data: Path) -> None:
    entries = json.loads((shared_data / "oracles.json").read_text())["entries"]
    one = next(entry for entry in entries if entry["id"] == "cohens_g_approval")
    got = cohens_g(one["inputs"]["table"])
    assert abs(float(got)) == pytest.approx(one["expected"]["cohens_g"], abs=0.0006)
    assert float(got) < 0  # ours has a sign: the treatment, the second survey, approves less
    assert got.n == 1600
    pairs = cohens_g([True, True, False, False], [True, False, True, True])
    assert float(pairs) == pytest.approx(2 / 3 - 0.5)
    none = cohens_g([True, False], [True, False])
    assert math.isnan(float(none))
    weighted = pd.DataFrame({"sample_id": ["a", "b"], "success": [True, False], "weight": [2.0, 1.0]})
    with pytest.raises(cr.StatError, match="Use cohens_h"):
        cohens_g(weighted, weighted)


def test_clusters_widen() -> None:
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"success": rng.random(600) < np.repeat(rng.beta(1, 1, 40), 15),
                            "s": np.repeat(np.arange(40), 15) + 50 * i}) for i in range(2)]  # fmt: skip
    for effect in (odds_ratio, cohens_h):
        plain, clustered = effect(*frames), effect(*frames, cluster="s")
        assert clustered.effect_size == pytest.approx(plain.effect_size)
        assert clustered.confidence_interval.low < plain.confidence_interval.low
        assert clustered.confidence_interval.high > plain.confidence_interval.high
