"""Importance sampling: a fixed number of rows, precise totals, a complete tail."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling import Importance, Uniform, sample
from crucible_nb.sampling.importance import Priorities


def costs(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    cost = rng.pareto(1.5, n) * (rng.random(n) > 0.3)  # 30 % are free
    return pd.DataFrame({"cost_usd": cost, "latency_ms": rng.lognormal(6, 1, n)})


@pytest.mark.check
def test_weights_sum_to_n_although_a_third_costs_nothing() -> None:
    frame = costs()
    sums = [sample(frame, Importance(400), seed).weight.sum() for seed in range(300)]
    assert abs(np.mean(sums) - len(frame)) < 4 * np.std(sums) / np.sqrt(300)
    assert np.mean(sums) > 0.98 * len(frame)  # 0.70 of it where the probability is that of the cost alone


@pytest.mark.check
def test_totals_are_unbiased_and_sharper_than_under_uniform_sampling() -> None:
    frame = costs()
    total = frame.cost_usd.sum()

    def errors(sampler: cr.sampling.Sampler) -> np.ndarray:
        rows = (sample(frame, sampler, seed) for seed in range(300))
        return np.array([(one.weight * one.cost_usd).sum() / total - 1 for one in rows])

    ours, plain = errors(Importance(400)), errors(Uniform(0.1))
    assert abs(ours.mean()) < 4 * ours.std() / np.sqrt(300)
    assert ours.std() < plain.std() / 5


def test_the_budget_holds_for_body_and_tail() -> None:
    for n in (50, 400, 5000):
        rows = sample(costs(n), Importance(100), seed=2)
        assert len(rows) <= 200
        assert len(rows) >= min(n, 100)
    assert len(sample(costs(5000), Importance(100, keep_above=None), seed=2)) == 100


def test_the_tail_of_the_past_is_kept_with_weight_one_while_there_is_room() -> None:
    frame = costs()
    rows = sample(frame, Importance(400), seed=1)
    past = frame.cost_usd[:2000]
    huge = frame.cost_usd[2000:] > past.quantile(0.995)
    kept = rows.loc[rows.index.isin(huge.index[huge]), "weight"]
    assert len(kept) == huge.sum() > 5
    assert (kept == 1).all()


def test_when_the_tail_is_full_its_threshold_rises_and_the_weights_say_so() -> None:
    frame = pd.DataFrame({"cost_usd": np.concatenate([np.full(1000, 1.0), np.linspace(10, 20, 3000)])})
    sums = []
    for seed in range(100):
        rows = sample(frame, Importance(50), seed)
        assert len(rows) <= 100
        tail = rows[rows.cost_usd >= 10]
        assert tail.weight.max() > 1
        sums.append((rows.weight * rows.cost_usd).sum())
    assert np.mean(sums) == pytest.approx(frame.cost_usd.sum(), rel=0.02)


def test_events_before_the_first_size_are_worth_an_average_one() -> None:
    """Thousands of events without a cost must not displace the events with a cost after them."""
    cost = np.concatenate([np.full(3000, np.nan), np.random.default_rng(0).lognormal(-6, 1, 1000)])
    rows = sample(pd.DataFrame({"cost_usd": cost}), Importance(200, keep_above=None), seed=1)
    known = rows[rows.cost_usd.notna()]
    assert 50 < len(known) < 150
    assert (known.weight * known.cost_usd).sum() == pytest.approx(np.nansum(cost), rel=0.2)


def test_no_sizes_at_all_is_a_plain_reservoir() -> None:
    rows = sample(pd.DataFrame({"latency_ms": np.arange(1000.0)}), Importance(100), seed=1)
    assert len(rows) == 100
    assert rows.weight.nunique() == 1


def test_the_priority_sample_is_the_textbook_one() -> None:
    rng = np.random.default_rng(0)
    w, u = rng.lognormal(0, 1, 500), 1 - rng.random(500)
    ours = Priorities(20)
    for start in range(0, 500, 7):
        rows = slice(start, start + 7)
        ours.add(np.arange(500)[rows], w[rows], u[rows])
    order = np.argsort(-w / u)
    ours.settle()
    seq, weight = ours.members()
    assert seq.tolist() == sorted(order[:20])
    np.testing.assert_array_equal(weight, np.maximum(1, ours.threshold / w[seq]))
    assert ours.threshold == (w / u)[order[20]]


def test_the_state_is_small() -> None:
    running = Importance(30).begin(1)
    for start in range(0, 20_000, 1000):
        running.choose(EventColumns.of_frame(costs(1000, start), start))
        assert len(running.to_dict()["body"]["rows"][0]) <= 61


@pytest.mark.parametrize("config", [{"size": 0}, {"size": 5, "by": ""}, {"size": 5, "by": 3}, {"size": 5, "keep_above": "high"}, {"size": 5, "keep_above": 1.5}])  # fmt: skip
def test_bad_arguments_are_refused(config: dict) -> None:
    with pytest.raises(cr.ConfigError):
        Importance(**config)


def test_a_callable_that_gives_the_wrong_number_is_said() -> None:
    with pytest.raises(cr.ConfigError, match="one size per event"):
        sample(costs(10), Importance(5, by=lambda _frame: [1.0]))
