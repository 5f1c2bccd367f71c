"""Stratified sampling: each stratum at its own rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.sampling import Stratified, Uniform, sample


def calls(n: int = 20_000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    success = pd.array(rng.random(n) < 0.98, dtype="boolean")
    success[::100] = pd.NA
    model = pd.Categorical(rng.choice(["a", "b", "c"], n, p=[0.9, 0.09, 0.01]))
    return pd.DataFrame({"success": success, "model": model, "latency_ms": rng.lognormal(6, 1, n)})


def test_errors_are_all_kept_and_the_error_rate_stays_true() -> None:
    frame = calls()
    rows = sample(frame, Stratified({False: 1.0, True: 0.1}, default=0.5), seed=1)
    assert (~rows.success).sum() == (~frame.success).sum()
    assert rows.success.isna().sum() == pytest.approx(100, abs=40)
    naive = (~rows.success).sum() / rows.success.notna().sum()
    assert naive > 0.15  # what a frame without weights would say of a true 2 %
    true = (~frame.success).sum() / frame.success.notna().sum()
    assert 1 - rows.crucible.metrics().reliability.success_rate == pytest.approx(true, rel=0.05)


def test_strata_that_nobody_named_have_the_default() -> None:
    rows = sample(calls(), Stratified({"b": 0.5}, by="model", default=0.1), seed=1)
    assert rows.groupby("model", observed=True).weight.first().to_dict() == {"a": 10.0, "b": 2.0, "c": 10.0}


def test_by_a_callable() -> None:
    rows = sample(calls(), Stratified({True: 1.0}, by=lambda frame: frame["latency_ms"] > 3000, default=0.05), seed=1)
    assert (rows.weight[rows.latency_ms > 3000] == 1).all()
    assert (rows.weight[rows.latency_ms <= 3000] == 20).all()


def test_a_reservoir_of_each_stratum() -> None:
    frame = calls()
    rows = sample(frame, Stratified(by="model", size=100), seed=1)
    assert rows.model.value_counts().to_dict() == {"a": 100, "b": 100, "c": 100}
    sums = rows.groupby("model", observed=True).weight.sum()
    np.testing.assert_allclose(sums, frame.model.value_counts()[sums.index])


def test_reservoirs_of_strata_share_no_coins() -> None:
    frame = pd.DataFrame({"model": np.tile(["a", "b"], 2000)})
    rows = sample(frame, Stratified(by="model", size=100), seed=1)
    places = [set((rows.index[rows.model == model] // 2).tolist()) for model in ("a", "b")]
    assert len(places[0] & places[1]) < 30


def test_what_was_seen_and_kept_is_counted() -> None:
    frame = calls()
    running = Stratified({False: 1.0, True: 0.1}, default=0.5).begin(1)
    choice = running.choose(cr.sampling.Events.of_frame(frame))
    strata = running.strata()
    assert {label: seen for label, (seen, _kept) in strata.items()} == {
        True: frame.success.sum(),
        False: (~frame.success).sum(),
        None: 200,
    }
    assert sum(kept for _seen, kept in strata.values()) == choice.keep.sum()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rates": {True: 0}}, r"rates\[True\]=0"),
        ({"rates": 0.5}, "rates=0.5"),
        ({"rates": {True: 0.5}, "size": 5}, "size=5: expected None where rates are given"),
        ({"rates": {}, "default": 1.5}, "default=1.5"),
        ({"by": 7}, "by=7"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(cr.ConfigError, match=said):
        Stratified(**arguments)


def test_a_callable_that_gives_the_wrong_number_of_labels_is_said() -> None:
    with pytest.raises(cr.ConfigError, match="one label per event"):
        sample(calls(10), Stratified({}, by=lambda _frame: ["a"]))


@pytest.mark.parametrize("rate", [0, -0.1, 1.01, "0.5", None, float("nan")])
def test_bad_rates_are_refused(rate: Any) -> None:
    with pytest.raises(cr.ConfigError, match="rate="):
        Uniform(rate)


def test_reprs_say_how_it_was_made() -> None:
    assert repr(Stratified({True: 0.1}, by="model")) == "Stratified({True: 0.1}, by='model', default=1.0)"
    assert repr(Stratified(by="model", size=3)) == "Stratified(by='model', size=3)"
    assert repr(Uniform(0.5)) == "Uniform(rate=0.5)"
