"""Pairs: values of the same items in both arms."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.sampling import Stratified, Uniform, sample
from crucible_nb.stats import weighted
from crucible_nb.stats.samples.pairs import pairs_of
from tests.tiers import examples


def arm(ids: list, values: list | None = None, **columns: object) -> pd.DataFrame:
    values = list(np.arange(len(ids), dtype=float)) if values is None else values
    return pd.DataFrame({"sample_id": ids, "score": values, **columns})


def test_items_are_brought_together_in_the_order_of_the_control() -> None:
    pairs = pairs_of(arm(["c", "a", "b"]), arm(["b", "c", "d"], [10.0, 20.0, 30.0]), "score")
    assert pairs.control.x.tolist() == [0.0, 2.0]
    assert pairs.treatment.x.tolist() == [20.0, 10.0]
    assert pairs.difference.tolist() == [20.0, 8.0]
    assert pairs.weight.tolist() == [1.0, 1.0]
    assert pairs.exclusions == (
        "1 items of the control have no partner",
        "1 items of the treatment have no partner",
    )


def test_repeats_are_averaged_with_their_weights() -> None:
    control = arm(["a", "a", "b"], [1.0, 4.0, 7.0], weight=[2.0, 1.0, 1.0])
    pairs = pairs_of(control, arm(["b", "a"], [0.0, 0.0]), "score")
    assert pairs.control.x.tolist() == [2.0, 7.0]
    assert pairs.exclusions == ("3 rows of the control are repeats of 2 items, taken as their means",)


def test_rows_without_a_value_or_a_name_are_left_out_and_counted() -> None:
    control = arm(["a", None, "b", "c"], [1.0, 2.0, np.nan, 4.0])
    pairs = pairs_of(control, arm(["a", "b", "c", np.nan]), "score")
    assert pairs.control.x.tolist() == [1.0, 4.0]
    assert pairs.exclusions == (
        "1 rows of the control without sample_id",
        "1 rows of the control without a value",
        "1 rows of the treatment without sample_id",
        "1 items of the treatment have no partner",
    )
    assert pairs.control.missing == 0


IDS = {
    "int": np.array([3, 1, 2]),
    "string": pd.array(["x", "y", "z"], "string"),
    "object": np.array(["x", "y", "z"], object),
    "category": pd.Categorical(["x", "y", "z"], ["z", "y", "x", "w"]),
    "time": pd.date_range("2025-01-01", periods=3),
    "tuple": pd.Series([("a", 1), ("a", 2), ("b", 1)]),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_any_kind(kind: str) -> None:
    control = arm(IDS[kind])
    treatment = control.iloc[[2, 0, 1]]
    assert pairs_of(control, treatment, "score").difference.tolist() == [0.0, 0.0, 0.0]


def test_ids_of_different_kinds() -> None:
    words = arm(["x", "y", "z"])
    for other in (pd.Categorical(["x", "y", "z"]), pd.array(["x", "y", "z"], "string")):
        assert pairs_of(words, arm(other), "score").difference.tolist() == [0.0, 0.0, 0.0]
    categories = [pd.Categorical(["x", "y"]), pd.Categorical(["y", "x"], ["y", "q", "x"])]
    assert pairs_of(arm(categories[0]), arm(categories[1]), "score").difference.tolist() == [1.0, -1.0]
    assert len(pairs_of(arm([1, 2, 3]), arm([1.0, np.nan, 3.0]), "score").difference) == 2
    for other in (["1", "2"], [1.0, 2.0], [Decimal(1), Decimal(2)], pd.Categorical([1, 2]), pd.Categorical(["1", "2"])):
        assert len(pairs_of(arm([1, 2]), arm(other), "score").difference) == 2
    with pytest.raises(cr.StatError, match=r"no sample_id \(int64 and str\) in common; use paired=False"):
        pairs_of(arm([1, 2]), arm(["a", "b"]), "score")


def test_outcomes_stay_outcomes_unless_repeats_are_averaged() -> None:
    control, treatment = arm(["a", "b"], success=[True, False]), arm(["a", "b"], success=[True, True])
    assert pairs_of(control, treatment, "success_rate").control.metric.kind == "rate"
    repeated = pd.concat([control, control.assign(success=True)])
    pairs = pairs_of(repeated, treatment, "success_rate")
    assert pairs.control.x.tolist() == [1.0, 0.5]
    assert (pairs.control.metric.kind, pairs.treatment.metric.kind) == ("mean", "mean")


def test_clusters_are_read_off_the_control() -> None:
    control = arm(["a", "b", "c", "a"], session_id=["s", "t", "s", "u"])
    pairs = pairs_of(control, arm(["c", "a", "b"]), "score", cluster="session_id")
    assert pairs.control.cluster.tolist() == [0, 1, 0]
    assert pairs.treatment.cluster.tolist() == [0, 1, 0]
    assert pairs_of(control, arm(["c", "a"]), "score").control.cluster is None


def test_ratios_average_both_sides() -> None:
    control = arm(["a", "a", "b"], [0.0] * 3, cost_usd=[1.0, 3.0, 5.0], success=[True, False, True])
    pairs = pairs_of(control, control.assign(cost_usd=1.0), "cost_per_success")
    assert pairs.control.x.tolist() == [2.0, 5.0]
    assert pairs.control.per.tolist() == [0.5, 1.0]


def test_bare_values_are_paired_by_position() -> None:
    pairs = pairs_of([1.0, np.nan, 3.0, 4.0], pd.Series([2.0, 2.0, None, 6.0], index=[9, 8, 7, 6]), "score")
    assert pairs.difference.tolist() == [1.0, 2.0]
    assert pairs.exclusions == ("2 pairs with a missing value",)


@pytest.mark.parametrize(
    ("control", "treatment", "options", "said"),
    [
        ([1.0], [1.0, 2.0], {}, "got 1 of the control and 2 of the treatment"),
        ([1.0], arm(["a"]), {}, "expected two frames with items in common, or two lists"),
        (arm(["a"]), arm(["b"]), {}, "have no sample_id"),
        ([1.0], [2.0], {"cluster": "g"}, "cluster='g'"),
        (arm(["a"]), arm(["a"]), {"by": "item"}, "pair_by='item': no such column"),
    ],
)
def test_what_is_refused(control: object, treatment: object, options: dict, said: str) -> None:
    with pytest.raises(cr.CrucibleError, match=said):
        pairs_of(control, treatment, "score", **options)


@examples(50)
@given(
    first=st.lists(st.integers(0, 12), min_size=1, max_size=30),
    second=st.lists(st.integers(0, 12), min_size=1, max_size=30),
    seed=st.integers(0, 1000),
)
def test_pairs_are_a_merge_of_means(first: list[int], second: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    control, treatment = (arm(ids, list(rng.normal(size=len(ids)))) for ids in (first, second))
    means = [side.groupby("sample_id", sort=False).score.mean() for side in (control, treatment)]
    wanted = pd.concat(means, axis=1, join="inner", keys=["c", "t"])
    if not len(wanted):
        with pytest.raises(cr.StatError):
            pairs_of(control, treatment, "score")
        return
    pairs = pairs_of(control, treatment, "score")
    np.testing.assert_allclose(np.sort(pairs.difference), np.sort(wanted.t - wanted.c), rtol=1e-12, atol=1e-15)


def both(n: int = 20_000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items that fail in both arms or in none; failures differ by 3, successes by 1."""
    rng = np.random.default_rng(0)
    success, noise = rng.random(n) < 0.9, rng.normal(size=n)
    control = arm(list(range(n)), list(noise), success=success)
    return control, control.assign(score=noise + np.where(success, 1.0, 3.0))


@pytest.mark.parametrize("seeds", [(1, 2), (1, 1)], ids=["own coins", "the same coins"])
@pytest.mark.parametrize("rates", [(0.2, 0.2), (0.2, 0.5)])
def test_pairs_of_samples_stand_for_all_items(seeds: tuple[int, int], rates: tuple[float, float]) -> None:
    control, treatment = both()
    sides = [
        sample(side, Stratified({False: 1.0}, default=rate), seed)
        for side, rate, seed in zip((control, treatment), rates, seeds, strict=True)
    ]
    pairs = pairs_of(*sides, "score")
    assert pairs.control.sampled
    assert pairs.weight.sum() == pytest.approx(20_000, rel=0.1)
    assert weighted.mean(pairs.difference, pairs.weight) == pytest.approx(1.2, abs=0.03)


def test_one_whole_arm_leaves_the_weights_of_the_other() -> None:
    control, treatment = both()
    rows = sample(control, Uniform(0.1), 1)
    for pairs in (pairs_of(rows, treatment, "score"), pairs_of(treatment, rows, "score")):
        assert np.unique(pairs.weight).tolist() == [10.0]
