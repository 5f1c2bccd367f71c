"""t-tests: bit-equal to scipy on unweighted rows, published values, error rates on sampled and clustered rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

import crucible_nb as cr
from crucible_nb.errors import ConfigError, SchemaError, StatError
from crucible_nb.sampling import Stratified, Uniform, sample
from crucible_nb.stats.hypotests.means import one_sample, t_test
from crucible_nb.stats.samples.arms import arms_of, difference_error, linearize
from tests.stats.oracle import agrees, entry
from tests.tiers import examples

CONTROL, TREATMENT = [0.72, 0.68, 0.75, 0.71, 0.69], [0.78, 0.73, 0.81, 0.76, 0.74]
SCIPY_ALTERNATIVE = {"two-sided": "two-sided", "less": "greater", "greater": "less"}
ALTERNATIVES = sorted(SCIPY_ALTERNATIVE)
arms = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=2, max_size=30)


def spread_out(*samples: list[float]) -> None:
    assume(all(np.ptp(one) > 0.01 for one in samples))


def clustered(rng: np.random.Generator, clusters: int, rows: int, shift: float = 0.0, start: int = 0) -> pd.DataFrame:
    """Rows in sessions, each with an effect of its own, in random order."""
    session = np.repeat(np.arange(start, start + clusters), rows)
    x = rng.normal(0, 1, clusters).repeat(rows) + rng.normal(shift, 1, clusters * rows)
    return pd.DataFrame({"score": x, "session_id": session.astype(str)}, index=rng.permutation(len(x)))


def test_the_corrected_example_of_the_benchmark_suite() -> None:
    result = t_test(CONTROL, TREATMENT, metric="score")
    assert result.statistic == pytest.approx(-2.862, abs=5e-4)
    assert result.pvalue == pytest.approx(0.0216, abs=5e-5)
    assert result.estimate == pytest.approx(0.054)
    assert result.confidence_interval.low > 0
    assert result.significant
    assert result.method == (
        "Welch's t-test of the mean score between control (n = 5) and treatment (n = 5): difference 0.054, 95% CI "
        "[0.0103, 0.0977], t(7.8068) = -2.862, p = 0.022, Hedges' g = 1.634."
    )


@given(arms, arms, st.sampled_from(ALTERNATIVES), st.booleans(), st.sampled_from([0.8, 0.95, 0.99]))
@examples(60)
def test_two_arms_are_scipys(
    control: list[float], treatment: list[float], alternative: str, equal: bool, confidence: float
) -> None:
    spread_out(control, treatment)
    got = t_test(control, treatment, "loss", alternative=alternative, confidence=confidence, equal_variance=equal)
    theirs = stats.ttest_ind(control, treatment, equal_var=equal, alternative=SCIPY_ALTERNATIVE[alternative])
    np.testing.assert_allclose([got.statistic, got.df, got.pvalue], [theirs.statistic, theirs.df, theirs.pvalue], 1e-12)
    low, high = theirs.confidence_interval(confidence)
    np.testing.assert_allclose(got.confidence_interval, [-high, -low], 1e-12, 1e-12)
    np.testing.assert_allclose(got.estimate, np.mean(treatment) - np.mean(control), 1e-10, 1e-10)


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3).map(lambda x: round(x, 3))] * 2), min_size=2, max_size=30),
       st.sampled_from(ALTERNATIVES))  # fmt: skip
@examples(40)
def test_pairs_and_one_sample_are_scipys(pairs: list[tuple[float, float]], alternative: str) -> None:
    control, treatment = map(list, zip(*pairs, strict=True))
    spread_out([a - b for a, b in pairs], control)
    got = t_test(control, treatment, "loss", paired=True, alternative=alternative)
    theirs = stats.ttest_rel(control, treatment, alternative=SCIPY_ALTERNATIVE[alternative])
    np.testing.assert_allclose([got.statistic, got.df, got.pvalue], [theirs.statistic, theirs.df, theirs.pvalue], 1e-12)
    low, high = theirs.confidence_interval()
    np.testing.assert_allclose(got.confidence_interval, [-high, -low], 1e-12, 1e-12)
    one = one_sample(control, 1.5, "loss", alternative=alternative)
    theirs = stats.ttest_1samp(control, 1.5, alternative=alternative)
    np.testing.assert_allclose([one.statistic, one.df, one.pvalue], [theirs.statistic, theirs.df, theirs.pvalue], 1e-12)
    np.testing.assert_allclose(one.confidence_interval, theirs.confidence_interval(), 1e-12, 1e-12)


@given(arms, arms)
@examples(30)
def test_the_design_based_error_of_plain_rows_is_welchs(control: list[float], treatment: list[float]) -> None:
    spread_out(control, treatment)
    first, second = arms_of((control, treatment), ("a", "b"), "loss")
    error = difference_error(first, second, linearize(first, "t")[1], linearize(second, "t")[1])
    theirs = stats.ttest_ind(control, treatment, equal_var=False)
    assert error.df == pytest.approx(theirs.df, rel=1e-9)
    assert error.error == pytest.approx(theirs._standard_error, rel=1e-9)


def test_one_row_clusters_and_weights_of_one_change_nothing(rng: np.random.Generator) -> None:
    control, treatment = (pd.DataFrame({"loss": rng.normal(m, m, n)}) for m, n in ((1, 50), (2, 70)))
    plain = t_test(control, treatment, "loss")
    alone = [one.assign(session_id=[f"{i}{j}" for j in range(len(one))]) for i, one in enumerate((control, treatment))]
    heavy = [one.assign(weight=7.0) for one in (control, treatment)]
    for got in (t_test(*alone, "loss", cluster="session_id"), t_test(*heavy, "loss")):
        assert got.pvalue == pytest.approx(plain.pvalue, rel=1e-9)
        np.testing.assert_allclose(got.confidence_interval, plain.confidence_interval, 1e-9)
        assert got.effect_size == pytest.approx(plain.effect_size, rel=1e-3)
        assert "linearised" in got.test


@pytest.mark.parametrize("name", ["welch_t_sleep", "student_t_sleep_equal_variance", "paired_t_sleep",
                                  "student_t_pingouin", "one_sample_t_pingouin"])  # fmt: skip
def test_published_t_tests(shared_data: Path, name: str) -> None:
    wanted = entry(shared_data, name)
    given_ = wanted["inputs"]
    if "mu" in given_:
        got, turn = one_sample(given_["a"], given_["mu"], "score"), 1
    else:
        equal = "student" in name
        got = t_test(given_["a"], given_["b"], "score", paired="paired" in name, equal_variance=equal)
        turn = -1
    low, high = got.confidence_interval
    found = {"t": got.statistic, "F": got.statistic**2, "df": got.df, "p_value": got.pvalue,
             "ci95": (low, high) if turn > 0 else (-high, -low)}  # fmt: skip
    agrees({key: value for key, value in found.items() if key in wanted["expected"]}, wanted)


@pytest.mark.parametrize("name", ["nanogpt_valueembed_p", "nanogpt_batchsize_p"])
def test_published_records_of_training_runs(shared_data: Path, name: str) -> None:
    wanted = entry(shared_data, name)
    got = one_sample(wanted["inputs"]["values"], wanted["inputs"]["mu"], "val_loss", alternative="less")
    agrees({"p_value": got.pvalue, "mean": got.estimate, "n": got.n}, wanted)


def test_faster_training_and_the_same_loss(shared_data: Path) -> None:
    runs = pd.read_csv(shared_data / "nanogpt_run_finals.csv")
    before, after = (runs[runs.record.str.startswith(day)] for day in ("2024-12-08", "2024-12-10"))
    assert (len(before), len(after)) == (75, 40)
    time = t_test(before, after, "train_time_ms")
    assert time.statistic == pytest.approx(78, abs=0.5)
    assert time.estimate < 0
    assert time.effect_interval.low < time.effect_size < time.effect_interval.high < 0
    loss = t_test(before, after, "val_loss")
    assert loss.pvalue == pytest.approx(0.93, abs=0.005)


def test_published_win_rates_and_why_pairs_matter(shared_data: Path) -> None:
    judged = pd.read_parquet(shared_data / "alpaca_eval2_judgements.parquet")
    judged = judged.assign(win=100 * (judged.preference - 1)).rename(columns={"prompt_id": "sample_id"})
    expected = entry(shared_data, "alpaca_eval2_win_rates")["expected"]
    for model, rows in judged.groupby("model", observed=True):
        got = one_sample(rows.reset_index(drop=True), 0.0, "win")
        assert got.estimate == pytest.approx(expected[f"{model}.win_rate"], abs=1e-6)
        assert got.estimate / got.statistic == pytest.approx(expected[f"{model}.standard_error"], abs=1e-6)
    small, large = (judged[judged.model == f"vicuna-{size}-v1.5"] for size in ("7b", "13b"))
    assert t_test(small, large, "win", paired=True).pvalue == pytest.approx(0.004, abs=5e-4)
    assert t_test(small, large, "win").pvalue == pytest.approx(0.058, abs=5e-4)


def test_experiments_with_their_samplers_and_pairs(rng: np.random.Generator) -> None:
    arms = []
    for name, shift in (("before", 0.0), ("after", 40.0)):
        calls = pd.DataFrame(
            {"latency_ms": rng.normal(400 + shift, 50, 3000), "sample_id": [str(i) for i in range(3000)]}
        )
        with cr.start(name, sampling="uniform", sampling_config={"rate": 0.2}, seed=len(arms)) as exp:
            exp.extend(calls)
        arms.append(exp)
    got = t_test(*arms)
    assert "linearised" in got.test
    assert got.confidence_interval.low < 40 < got.confidence_interval.high
    assert any("rows of control were sampled and are weighted" in said for said in got.assumptions)
    assert t_test(*arms, paired=True).n < 300


def test_ratio_metrics_are_linearised(rng: np.random.Generator) -> None:
    def arm(rate: float) -> pd.DataFrame:
        return pd.DataFrame({"cost_usd": rng.gamma(2, 0.01, 400), "success": rng.random(400) < rate})

    control, treatment = arm(0.9), arm(0.5)
    got = t_test(control, treatment, "cost_per_success")
    ratios = [one.cost_usd.sum() / one.success.sum() for one in (control, treatment)]
    assert got.estimate == pytest.approx(ratios[1] - ratios[0])
    assert got.pvalue < 1e-6
    assert got.effect == ""
    paired = [one.assign(sample_id=range(400)) for one in (control, treatment)]
    pairs = t_test(*paired, "cost_per_success", paired=True)
    assert pairs.estimate == pytest.approx(got.estimate)
    boot = [
        b.cost_usd.sum() / b.success.sum()
        for b in (treatment.sample(400, replace=True, random_state=i) for i in range(300))
    ]
    assert one_sample(treatment, 0.0, "cost_per_success").confidence_interval.low == pytest.approx(
        ratios[1] - 1.966 * np.std(boot), rel=0.02
    )


@pytest.mark.check
def test_sampled_rows_of_equal_systems_reject_as_often_as_promised() -> None:
    rng = np.random.default_rng(7)
    rejected = naive = 0
    for seed in range(300):
        kept = []
        for arm, rates in enumerate(({False: 1.0, True: 0.15}, {False: 0.3, True: 0.3})):
            success = rng.random(1500) < 0.9
            calls = pd.DataFrame(
                {"latency_ms": np.where(success, 300, 900) + rng.normal(0, 60, 1500), "success": success}
            )
            kept.append(sample(calls, Stratified(rates), seed=2 * seed + arm))
        rejected += t_test(*kept, "latency_ms").pvalue < 0.05
        naive += (
            t_test(*(one.drop(columns="weight").copy() for one in map(_unmarked, kept)), "latency_ms").pvalue < 0.05
        )
    assert 4 <= rejected <= 28, rejected  # 15 expected; 4 standard deviations either way
    assert naive > 250


def _unmarked(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    frame.attrs = {}
    return frame


@pytest.mark.check
@pytest.mark.parametrize("shared", [False, True])
def test_clusters_keep_the_error_rate(shared: bool) -> None:
    rng = np.random.default_rng(11)
    rejected = naive = 0
    for _ in range(300):
        control = clustered(rng, 30, 8)
        if shared:  # the same sessions in both arms: their effects cancel
            treatment = control.assign(
                score=control.groupby("session_id").score.transform("mean") + rng.normal(0, 1, 240)
            )
        else:
            treatment = clustered(rng, 30, 8, start=100)
        rejected += t_test(control, treatment, "score", cluster="session_id").pvalue < 0.05
        alone = [arm.drop(columns="session_id") for arm in (control, treatment)]
        naive += t_test(*alone, "score").pvalue < 0.05
    assert 4 <= rejected <= 29, rejected
    assert naive < 4 if shared else naive > 90, naive


def test_clusters_that_occur_in_both_arms_are_subtracted_before_they_are_squared(rng: np.random.Generator) -> None:
    control = clustered(rng, 40, 5)
    treatment = control.assign(score=control.score + 0.1 + rng.normal(0, 0.01, len(control)))
    got = t_test(control, treatment, "score", cluster="session_id")
    means = [one.groupby("session_id", sort=False).score.mean() for one in (control, treatment)]
    by_hand = stats.ttest_rel(*means)
    assert got.statistic == pytest.approx(by_hand.statistic, rel=1e-9)
    assert got.df == 39
    assert any("40 clusters occur in more than one group" in said for said in got.assumptions)


def test_few_clusters_are_warned_of_and_one_is_refused(rng: np.random.Generator) -> None:
    some, more = clustered(rng, 12, 4), clustered(rng, 40, 4, start=50)
    got = t_test(some, more, "score", cluster="session_id")
    assert got.warnings[0] == "control: only 12 clusters: fewer than 30 give a wide interval"
    with pytest.raises(StatError, match=r"treatment: expected at least 2 clusters \(30 for a reliable result\), got 1"):
        t_test(some, clustered(rng, 1, 9), "score", cluster="session_id")


def test_sampled_pairs_and_clustered_pairs(rng: np.random.Generator) -> None:
    items = pd.DataFrame({"sample_id": np.arange(2000), "topic": np.arange(2000) % 50})
    control = items.assign(score=rng.normal(0, 1, 2000))
    treatment = items.assign(score=control.score + rng.normal(0.2, 0.5, 2000))
    kept = [sample(one, Uniform(0.5), seed=seed) for seed, one in enumerate((control, treatment))]
    got = t_test(*kept, "score", paired=True)
    both = kept[0].merge(kept[1], on="sample_id")
    by_hand = stats.ttest_rel(both.score_x, both.score_y)
    assert got.statistic == pytest.approx(by_hand.statistic, rel=1e-9)
    assert got.n == len(both)
    assert any("no partner" in said for said in got.exclusions)
    grouped = t_test(control, treatment, "score", paired=True, cluster="topic")
    assert grouped.df == 49
    assert grouped.estimate == pytest.approx((treatment.score - control.score).mean())


def test_blocks_and_neighbours() -> None:
    rng = np.random.default_rng(3)

    def arm() -> pd.DataFrame:
        x = np.zeros(3600)
        for i in range(1, 3600):
            x[i] = 0.8 * x[i - 1] + rng.normal()
        return pd.DataFrame({"latency_ms": 300 + x}, index=pd.date_range("2025", periods=3600, freq="1s", tz="UTC"))

    control, treatment = arm(), arm()
    rows = t_test(control, treatment)
    assert any("neighbouring events correlate" in said and "resample='1min'" in said for said in rows.warnings)
    blocks = t_test(control, treatment, resample="1min")
    assert blocks.n == (60, 60)
    assert any("60 blocks of 1min" in said for said in blocks.assumptions)
    tails = t_test(control, treatment, "p95_latency_ms", resample="1min")
    assert tails.estimand == "difference of mean p95_latency_ms, treatment - control"


def test_what_was_checked_is_said(rng: np.random.Generator) -> None:
    skewed = rng.pareto(1.2, 60)
    got = t_test(skewed, rng.normal(3, 1, 60), "latency_ms")
    assert any("too large for means of so few values" in said for said in got.warnings)
    assert any("largest 1% of events" in said for said in t_test(rng.pareto(1.2, 5000), rng.pareto(1.2, 5000)).warnings)
    student = t_test(rng.normal(0, 1, 100), rng.normal(0, 9, 100), "score", equal_variance=True)
    assert any("leave out equal_variance for Welch's test" in said for said in student.warnings)
    calm = t_test(rng.normal(0, 1, 100), rng.normal(0, 1, 100), "score", equal_variance=True)
    assert any("equal variances are assumed" in said for said in calm.assumptions)
    missing = t_test([1.0, None, 3.0, 4.0], [2.0, 3.0, 5.0], "score")
    assert missing.exclusions == ("1 rows of control without score",)
    assert missing.n == (3, 3)
    flat = t_test([1.0, 1.0, 1.0], [2.0, 3.0, 5.0], "score")
    assert flat.warnings[0] == "control is constant: the standard error is that of the other arm alone"


def test_one_sided_intervals_are_open(rng: np.random.Generator) -> None:
    control, treatment = rng.normal(0, 1, 40), rng.normal(1, 1, 40)
    greater = t_test(control, treatment, "score", alternative="greater")
    assert greater.confidence_interval.high == np.inf
    assert greater.effect_interval.high == np.inf
    assert greater.pvalue < 0.01 < 0.9 < t_test(control, treatment, "score", alternative="less").pvalue
    weighted = pd.DataFrame({"score": treatment, "weight": 2.0})
    less = t_test(pd.DataFrame({"score": control}), weighted, "score", alternative="less")
    assert less.confidence_interval.low == -np.inf
    assert less.pvalue > 0.9


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: t_test([1.0], [1.0, 2.0], "score"), StatError, "control: expected at least 2 values of score, got 1; record more"),
        (lambda: t_test([5, 5], [5, 5, 5], "score"), StatError, "score is constant (5 in control, 5 in treatment), so there is no variance"),
        (lambda: t_test([1, 2], [1, 2, 3], "score", paired=True), StatError, "paired: expected values of the same items"),
        (lambda: t_test([1, 2], [2, 3], "score", paired=True), StatError, "score: every pair differs by exactly 1"),
        (lambda: t_test([0.1, 0.2, 0.3], [0.4, 0.5, 0.6], "score", paired=True), StatError, "differs by exactly 0.3"),
        (lambda: t_test([1, 2], [2, 3], "p95_latency_ms"), StatError, "t_test: p95_latency_ms is a quantile; use permutation_test"),
        (lambda: t_test([1, 2], [2, 3], "total_cost_usd"), StatError, "t_test: a total depends on how long an arm ran"),
        (lambda: t_test([1, 2], [2, 3], "score", alternative="more"), ConfigError, "alternative='more': expected one of"),
        (lambda: t_test([1, 2], [2, 3], "score", confidence=95), ConfigError, "confidence=95: expected a number > 0 and < 1"),
        (lambda: t_test([1, 2], [2, 3], "score", paired=True, resample="1min"), ConfigError, "time blocks cannot be paired by item"),
        (lambda: t_test([1, 2], [2, 3], "score", cluster="session_id"), StatError, "cluster='session_id': control needs to be"),
        (lambda: t_test(pd.DataFrame({"a": [1, 2]}), [1, 2], "score"), SchemaError, "metric='score': no such column"),
        (lambda: t_test(pd.DataFrame({"a": [1, 2], "weight": [1, -1]}), [1, 2], "a"), StatError, "weights: expected finite numbers >= 0"),
        (lambda: t_test(pd.DataFrame({"a": [1, 2], "weight": [2, 1]}), [1, 2], "a", equal_variance=True), StatError,
         "equal_variance=True is for rows that are neither sampled nor clustered"),
        (lambda: one_sample([3, 3, 3], 3, "score"), StatError, "score is constant (3 in data)"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert said in str(raised.value)


def test_a_large_offset_costs_neither_interval_nor_effect_their_digits() -> None:
    rng = np.random.default_rng(3)
    one, two = (np.round(rng.normal(0, 1, 200), 4) for _ in range(2))
    near, far = (cr.compare(one + at, two + at, metrics=["score"])["score"] for at in (0.0, 2.0**30))
    assert far.confidence_interval == pytest.approx(near.confidence_interval, rel=1e-6)  # values are rounded to 2^-22
    exact = [np.asarray(x + 2.0**30) - 2.0**30 for x in (one, two)]
    rounded = cr.compare(*exact, metrics=["score"])["score"]
    assert far.confidence_interval == pytest.approx(rounded.confidence_interval, rel=1e-12)
    assert far.effect_size == pytest.approx(rounded.effect_size, rel=1e-12)
    assert far.pvalue == pytest.approx(rounded.pvalue, rel=1e-12)


def test_a_shift_that_is_inexact_in_binary_is_constant_and_a_small_variation_is_not() -> None:
    before = pd.DataFrame({"sample_id": range(300), "score": np.round(np.random.default_rng(0).lognormal(6, 0.5, 300))})
    shifted = cr.compare(before, before.assign(score=before.score + 0.3), metrics=["score"])["score"]
    assert (shifted.verdict, shifted.estimate) == ("inconclusive", pytest.approx(0.3))
    assert "every pair differs by exactly 0.3" in shifted.why
    varied = before.score + 0.3 + 1e-9 * np.arange(300)
    test = t_test(before, before.assign(score=varied), "score", paired=True)
    assert test.statistic == pytest.approx(stats.ttest_rel(before.score, varied).statistic)


def test_totals_of_the_same_sessions_in_both_arms_use_their_covariance() -> None:
    rng = np.random.default_rng(5)
    level = rng.normal(100, 20, 60)
    one, two = level + rng.normal(0, 2, 60), level + rng.normal(1, 2, 60)
    arms = [pd.DataFrame({"session_id": range(60), "words": x}) for x in (one, two)]
    total = cr.compare(*arms, metrics=["total_words"], cluster="session_id")["total_words"]
    paired = stats.ttest_rel(two, one)  # one row a session: the difference of totals is 60 times the mean difference
    assert total.pvalue == pytest.approx(paired.pvalue, rel=1e-9)
    assert total.confidence_interval == pytest.approx(tuple(60 * x for x in paired.confidence_interval()), rel=1e-9)
    apart = cr.compare(arms[0], arms[1].assign(session_id=range(60, 120)), metrics=["total_words"])["total_words"]
    assert apart.pvalue == pytest.approx(stats.ttest_ind(two, one, equal_var=False).pvalue, rel=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
def test_units_whose_squares_over_or_underflow(unit: float) -> None:
    x, y = np.array([1.0, 2, 3, 4]), np.array([2.0, 4, 4, 5])
    test, expected = t_test(unit * x, unit * y, "score"), stats.ttest_ind(x, y, equal_var=False)
    assert (test.statistic, test.pvalue) == pytest.approx((expected.statistic, expected.pvalue))
    assert test.warnings == t_test(x, y, "score").warnings
    pairs, expected = t_test(unit * x, unit * y, "score", paired=True), stats.ttest_rel(x, y)
    assert (pairs.statistic, pairs.pvalue) == pytest.approx((expected.statistic, expected.pvalue))
