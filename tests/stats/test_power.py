"""Power: published values; power, sample size and detectable effect are inverse to each other."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestIndPower

import crucible_nb as cr
from crucible_nb.stats.planning.power import minimum_detectable_effect, power, required_sample_size
from tests.tiers import examples


def answers(given: dict, wanted: str) -> list[tuple[str, float]]:
    """Our results for an entry of the published values, by the names of the expected ones."""
    alpha, chance = given["alpha"], given.get("power", 0.8)
    alternative = given.get("alternative", "two-sided")
    if "groups" in given:
        return [("n_per_group", required_sample_size(given["f"], chance, alpha, "anova", groups=given["groups"]).exact)]
    if "w" in given:
        return [("n", required_sample_size(given["w"], chance, alpha, "chi_square", df=given["df"]).exact)]
    if "h" in given:
        found = power(given["h"], given["n1"], alpha, "proportions", ratio=given["n2"] / given["n1"])
        return [("power", float(found))]
    if "p1" in given:
        shares = {"p1": given["p2"], "p2": given["p1"], "method": "pooled" if wanted.startswith("r_") else "arcsine"}
        if "n_per_group" in given:
            return [("power", float(power(n=given["n_per_group"], alpha=alpha, test="proportions", **shares)))]
        found = required_sample_size(power=chance, alpha=alpha, test="proportions", **shares)
        return [("n_per_group", found.exact), ("h", found.effect_size)]
    test = "paired" if "paired" in wanted else "one_sample" if "one_sample" in wanted else "t"
    n = given.get("n_per_group", given.get("n_pairs", given.get("n1")))
    if n is not None:
        return [("power", float(power(given["d"], n, alpha, test, alternative, ratio=given.get("n2", n) / n)))]
    name = "n" if test == "one_sample" else "n_per_group"
    return [(name, required_sample_size(given["d"], chance, alpha, test, alternative).exact)]


def test_every_published_power(shared_data: Path) -> None:
    entries = [
        one for one in json.loads((shared_data / "oracles.json").read_text())["entries"] if one["kind"] == "power"
    ]
    assert len(entries) == 16
    for one in entries:
        if one["id"] == "cohen_1988_n_per_group":
            assert [int(required_sample_size(d)) for d in one["inputs"]["d"]] == one["expected"]["n_per_group"]
            continue
        tolerance = one["tolerance"]
        for name, value in answers(one["inputs"], one["id"]):
            if name in one["expected"]:
                assert value == pytest.approx(one["expected"][name], **tolerance.get(name, tolerance)), one["id"]


def test_a_size_is_a_whole_number() -> None:
    got = required_sample_size(effect_size=0.5, power=0.8, alpha=0.05)
    assert (int(got), got.n, round(float(got), 2), got.n_total) == (64, 64, 63.77, 128)
    assert list(range(3))[: required_sample_size(5.0)] == [0, 1, 2]
    assert got.text == (
        "A two-sample t-test needs 64 values per group to find d = 0.5 with 80% power at alpha 0.05 (two-sided)."
    )


@examples(40)
@given(
    st.floats(0.01, 3),
    st.floats(0.3, 0.99),
    st.sampled_from(["t", "paired", "one_sample", "anova", "chi_square", "proportions"]),
)
def test_there_and_back(size: float, chance: float, test: str) -> None:
    options = {"anova": {"groups": 4}, "chi_square": {"df": 3}}.get(test, {})
    found = required_sample_size(size, chance, test=test, **options)
    reached = power(size, found.exact, test=test, **options)
    assert float(reached) >= chance - 1e-9
    if found.exact > 4.0001:
        assert float(reached) == pytest.approx(chance, abs=1e-8)
        least = minimum_detectable_effect(found.exact, chance, test=test, **options)
        assert float(least) == pytest.approx(size, rel=1e-6)


def test_statsmodels_solver() -> None:
    for size, chance, ratio in ((0.2, 0.9, 1.0), (0.4, 0.8, 2.0), (0.7, 0.95, 0.5)):
        wanted = TTestIndPower().solve_power(size, None, 0.05, chance, ratio)
        got = required_sample_size(size, chance, ratio=ratio)
        assert got.exact == pytest.approx(wanted, rel=1e-8)
        assert got.n_total == math.ceil(wanted) + math.ceil(wanted * ratio)


def test_least_differences_in_their_own_unit() -> None:
    means = minimum_detectable_effect(64, sd=120.0)
    assert means.difference == pytest.approx(means.effect_size * 120)
    shares = minimum_detectable_effect(500, test="proportions", p1=0.8, method="pooled")
    again = power(n=500, test="proportions", p1=0.8, p2=0.8 + shares.difference, method="pooled")
    assert float(again) == pytest.approx(0.8, abs=1e-9)
    reduce_for_clusters = minimum_detectable_effect(500, test="proportions", p1=0.8, alternative="less")
    assert reduce_for_clusters.difference < 0
    assert math.isnan(minimum_detectable_effect(64).difference)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effect_size": 0.0}, "a number other than 0"),
        ({"effect_size": -0.5, "alternative": "greater"}, "a number > 0 for alternative='greater'"),
        ({"effect_size": 0.5, "groups": 3}, "it left out for test='t'"),
        ({"effect_size": 0.5, "test": "anova", "alternative": "less"}, "it left out for test='anova'"),
        ({"effect_size": 0.5, "test": "paired", "ratio": 2.0}, "it left out for test='paired'"),
        ({"effect_size": 0.5, "test": "proportions", "p1": 0.1, "p2": 0.2}, "None with p1 and p2"),
        ({"effect_size": 0.5, "test": "proportions", "method": "pooled"}, "method"),
        ({"effect_size": None}, "effect_size"),
        ({"effect_size": 0.5, "power": 0.04}, "power"),
        ({"effect_size": 0.5, "test": "z"}, "one of 't'"),
    ],
)
def test_what_is_refused(options: dict, message: str) -> None:
    with pytest.raises(cr.ConfigError, match=message):
        required_sample_size(**options)


def test_what_cannot_be_found() -> None:
    with pytest.raises(cr.StatError, match="no number of values is large enough"):
        required_sample_size(1e-10)
    with pytest.raises(cr.StatError, match="no effect is large enough"):
        minimum_detectable_effect(2, test="proportions", p1=0.9)
    with pytest.raises(cr.ConfigError, match="n=1"):
        power(0.5, 1)
    with pytest.raises(cr.ConfigError, match="sd"):
        minimum_detectable_effect(10, test="anova", sd=1.0)


def test_power_by_simulation() -> None:
    rng = np.random.default_rng(0)
    from crucible_nb.stats.hypotests.proportions import two_proportions

    n = int(required_sample_size(test="proportions", p1=0.5, p2=0.75, method="pooled"))
    hits = sum(two_proportions(rng.random(n) < 0.5, rng.random(n) < 0.75).pvalue <= 0.05 for _ in range(400))
    assert 0.73 < hits / 400 < 0.87


@pytest.mark.parametrize("n", [1.5e7, 1.6e7, 2e7, 1e9, 1e12])
def test_the_smallest_effect_of_many_values(n: float) -> None:
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)  # the t is normal, and the other tail is empty
    assert float(minimum_detectable_effect(n)) == pytest.approx(z * np.sqrt(2 / n), rel=1e-5)
    assert float(minimum_detectable_effect(n, test="proportions", p1=0.5).difference) == pytest.approx(
        z * np.sqrt(0.5 / n), rel=1e-3
    )


def test_values_needed_for_a_tiny_effect() -> None:
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert required_sample_size(1e-6).exact == pytest.approx(2 * z**2 * 1e12, rel=1e-5)
