"""The guarantee of sequences, by exact enumeration: under the null hypothesis the expected evidence is at most 1."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from crucible_nb.stats.sequences import asymptotic, betting, quantiles, rates
from crucible_nb.stats.sequences.betting import (
    BETS,
    Bets,
    log_evidence_above,
    log_evidence_against,
    mean_limits,
    spread_bets,
)
from crucible_nb.stats.sequences.mixture import log_mixture, log_sides
from crucible_nb.stats.sequences.quantile_grid import QuantileGrid
from crucible_nb.stats.sequences.rates import SuccessCounts


@pytest.mark.parametrize(("s", "n", "p", "strength"), [(3, 10, 0.5, 20.0), (19, 20, 0.95, 30.0), (0, 7, 0.02, 100.0)])
def test_the_mixture_is_the_integral_it_says(s: int, n: int, p: float, strength: float) -> None:
    law = stats.beta(strength * p, strength * (1 - p))

    def ratio(theta: float) -> float:
        return law.pdf(theta) * math.exp(s * math.log(theta / p) + (n - s) * math.log((1 - theta) / (1 - p)))

    wanted, _ = integrate.quad(ratio, 1e-12, 1 - 1e-12, points=[p], limit=500)
    assert math.exp(log_mixture(s, n, p, strength)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("at_most", "below", "n", "p"), [(12, 8, 20, 0.5), (20, 20, 20, 0.5), (5, 0, 30, 0.95), (15, 15, 40, 0.5)]
)
def test_the_sides_are_the_integrals_they_say(at_most: int, below: int, n: int, p: float) -> None:
    law = stats.beta(30.0 * p, 30.0 * (1 - p))

    def ratio(theta: float, s: int) -> float:
        return law.pdf(theta) * math.exp(s * math.log(theta / p) + (n - s) * math.log((1 - theta) / (1 - p)))

    low, _ = integrate.quad(ratio, 1e-12, p, args=(at_most,), limit=500)
    high, _ = integrate.quad(ratio, p, 1 - 1e-12, args=(below,), limit=500)
    wanted = (low / law.cdf(p) + high / law.sf(p)) / 2
    found = log_sides(np.array([float(at_most)]), np.array([float(below)]), float(n), p, 30.0)
    assert math.exp(found[0]) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.95])
def test_one_rate_expects_exactly_what_was_staked(p: float) -> None:
    s = np.arange(9)
    assert stats.binom.pmf(s, 8, p) @ np.exp(log_mixture(s, 8, p, rates.STRENGTH)) == pytest.approx(1.0, abs=1e-12)


def test_one_rate_is_a_martingale_at_every_prefix() -> None:
    p = 0.3
    for n, s in ((0, 0), (5, 0), (5, 2), (12, 12)):
        after = [math.exp(log_mixture(s + x, n + 1, p, rates.STRENGTH)) for x in (0, 1)]
        assert (1 - p) * after[0] + p * after[1] == pytest.approx(math.exp(log_mixture(s, n, p, rates.STRENGTH)))


LAWS = {
    "no ties": ((1.0, 2.0, 3.0, 4.0), (0.25, 0.25, 0.25, 0.25), 2.0),
    "the median is an atom": ((1.0, 2.0, 3.0), (0.2, 0.6, 0.2), 2.0),
    "nearly all the same": ((1.0, 2.0), (0.1, 0.9), 2.0),
    "the quantile begins an atom": ((1.0, 2.0, 3.0), (0.5, 0.3, 0.2), 1.0),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_tied_quantile_never_expects_more_than_was_staked(name: str) -> None:
    values, chances, median = LAWS[name]
    total = 0.0
    for drawn in itertools.product(range(len(values)), repeat=6):
        x = np.array([values[i] for i in drawn])
        log = log_sides(np.array([(x <= median).sum()]), np.array([(x < median).sum()]), 6.0, 0.5, 20.0)
        total += math.prod(chances[i] for i in drawn) * math.exp(log[0])
    assert total <= 1 + 1e-12


def test_ties_break_the_mixture_that_does_not_know_of_them() -> None:
    values, chances, median = LAWS["nearly all the same"]
    total = 0.0
    for drawn in itertools.product(range(len(values)), repeat=6):
        s = sum(values[i] <= median for i in drawn)
        total += math.prod(chances[i] for i in drawn) * math.exp(log_mixture(s, 6, 0.5, 20.0))
    assert total > 1.5  # a test of the test: what goes wrong without the two sides is seen


def test_evidence_against_a_quantile_is_least_at_an_observed_value() -> None:
    grid = QuantileGrid().update(np.array([1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 9.0]))
    x = np.repeat(grid.bins().low, grid.bins().counts.astype(int))
    found = quantiles.profile(grid.bins(), 0.5, 20.0)
    for q in np.linspace(-1, 11, 241):
        log = log_sides(np.array([(x <= q).sum()]), np.array([(x < q).sum()]), 7.0, 0.5, 20.0)[0]
        assert log >= found.log.min() - 1e-12


@pytest.mark.parametrize("p", [0.02, 0.4, 0.9])
@pytest.mark.parametrize("gap", [0.0, 0.05])
def test_two_rates_expect_exactly_what_was_staked(p: float, gap: float) -> None:
    total, (m, n) = 0.0, (5, 7)
    for a, b in itertools.product(range(m + 1), range(n + 1)):
        chance = stats.binom.pmf(a, m, p) * stats.binom.pmf(b, n, p + gap)
        total += chance * math.exp(rates.log_capital(SuccessCounts(a, m), SuccessCounts(b, n), np.array([p]), gap)[0])
    assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.check
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_two_rates_are_told_apart_at_any_time_with_at_most_alpha(p: float) -> None:
    """All paths of 80 events, arms growing at different speeds, by dynamic programming over the counts."""
    alpha, alive, gone = 0.2, {(0, 0): 1.0}, 0.0
    order = [0, 1, 1, 0, 1, 0, 0, 0] * 15 + [1] * 60 + [0] * 60
    n = [0, 0]
    known: dict[tuple[int, ...], bool] = {}
    for arm in order:
        n[arm] += 1
        after: dict[tuple[int, int], float] = {}
        for (a, b), chance in alive.items():
            if chance < 1e-12:
                continue
            for x, share in ((0, 1 - p), (1, p)):
                key = (a + x, b) if arm == 0 else (a, b + x)
                after[key] = after.get(key, 0.0) + chance * share
        alive = {}
        for key, chance in after.items():
            if sum(n) % 10 == 0:
                state = (*key, *n)
                if state not in known:
                    known[state] = rates.log_difference(
                        SuccessCounts(key[0], n[0]), SuccessCounts(key[1], n[1])
                    ) >= -math.log(alpha)
                if known[state]:
                    gone += chance
                    continue
            alive[key] = chance
        if sum(n) >= 80:
            break
    assert 0 < gone <= alpha


def test_the_smallest_over_all_rates_is_found() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        m, n = rng.integers(1, 2000, 2)
        one, two = (
            SuccessCounts(float(rng.binomial(m, rng.random() ** 3)), float(m)),
            SuccessCounts(float(rng.binomial(n, rng.random() ** 3)), float(n)),
        )
        dense = np.concatenate(
            (np.linspace(0, 1, 4001), np.geomspace(1e-6, 0.1, 2000), 1 - np.geomspace(1e-6, 0.1, 2000))
        )
        assert rates.log_difference(one, two) <= rates.log_capital(one, two, dense, 0.0).min() + 1e-6


@pytest.mark.parametrize(("x", "chances"), [((0.0, 1.0), (0.3, 0.7)), ((0.1, 0.4, 0.9), (0.2, 0.5, 0.3))])
def test_bets_on_the_true_mean_expect_what_was_staked(x: tuple[float, ...], chances: tuple[float, ...]) -> None:
    values, mean, total = np.array(x), float(np.dot(x, chances)), 0.0
    for drawn in itertools.product(range(len(x)), repeat=6):
        counts = np.bincount(drawn, minlength=len(x)).astype(float)
        total += math.prod(chances[i] for i in drawn) * math.exp(log_evidence_against(values, values, counts, mean))
    assert total == pytest.approx(1.0, abs=1e-12)


def test_wealth_is_that_of_the_plain_loop_in_the_paper() -> None:
    x, mean = np.random.default_rng(0).beta(2, 3, 200), 0.35
    wealth = [dict.fromkeys(BETS.amount.tolist(), 1.0) for _ in range(2)]
    for value in x.tolist():
        for c in BETS.amount.tolist():
            wealth[0][c] *= 1 + c / mean * (value - mean)
            wealth[1][c] *= 1 - c / (1 - mean) * (value - mean)
    weight = np.exp(BETS.log_weight)
    wanted = sum(weight @ np.array([*side.values()]) for side in wealth) / 2
    assert math.exp(log_evidence_against(x, x, np.ones(200), mean)) == pytest.approx(wanted, rel=1e-9)


def test_rounding_costs_evidence_and_never_makes_any() -> None:
    x = np.random.default_rng(1).beta(2, 3, 500)
    down, up, ones = np.floor(x * 50) / 50, np.ceil(x * 50) / 50, np.ones(500)
    for mean in (0.2, 0.4, 0.6):
        assert log_evidence_against(down, up, ones, mean) <= log_evidence_against(x, x, ones, mean) + 1e-9
    exact, rounded = mean_limits(x, x, ones, 0.05), mean_limits(down, up, ones, 0.05)
    assert rounded[0] <= exact[0]
    assert rounded[1] >= exact[1]


@pytest.mark.parametrize("n", [1, 5, 100, 3000])
def test_limits_of_a_mean_are_where_half_the_capital_reaches_2_over_alpha(n: int) -> None:
    x, ones = np.random.default_rng(n).beta(2, 3, n), np.ones(n)
    low, high = mean_limits(x, x, ones, 0.05)
    for limit, values in ((low, x), (1 - high, 1 - x)):
        if limit > 1e-9:
            assert log_evidence_above(values, ones, limit) >= math.log(40)
            assert log_evidence_above(values, ones, limit * (1 + 1e-4)) < math.log(40)
    assert 0 <= low < x.mean() < high <= 1


def test_stakes_are_weights() -> None:
    for shape in (1.0, 3.0):
        bets = spread_bets(shape)
        assert np.exp(bets.log_weight).sum() == pytest.approx(1.0)
        assert (np.diff(bets.amount) > 0).all()
        assert 0 < bets.amount[0] < bets.amount[-1] < 1
    assert isinstance(BETS, Bets)
    assert betting.log_shares(0, 0, np.array([0.3]), bets.amount).tolist() == [[0.0] * len(bets.amount)]


def test_the_asymptotic_one_is_the_formula_of_the_paper() -> None:
    rho2, n, alpha, sd = asymptotic.tuning(), 500, 0.05, 2.0
    wanted = sd * math.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))
    assert asymptotic.radius(sd / math.sqrt(n), n, alpha) == pytest.approx(wanted)
    assert math.exp(asymptotic.log_evidence(wanted, sd / math.sqrt(n), n)) == pytest.approx(1 / alpha)
