"""Comparisons say what they did: ids, design, estimand, warnings and exclusions, in every face."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import crucible_nb as cr


def faces(comparison: object) -> dict[str, str]:
    return {
        "terminal": repr(comparison), "html": comparison._repr_html_(), "markdown": comparison.to_markdown(),
        "latex": comparison.to_latex().replace("\\_", "_"), "dict": str(comparison.to_dict()),
    }  # fmt: skip


# -- ids ----------------------------------------------------------------------------------------------------------

N = 60
NUMBERS = [*range(N)]
IDS = {
    "text": [str(i) for i in NUMBERS],
    "object": pd.Series([str(i) for i in NUMBERS], dtype=object),
    "float": [float(i) for i in NUMBERS],
    "decimal": [Decimal(i) for i in NUMBERS],
    "nullable": pd.array(NUMBERS, "Int64"),
    "small": np.array(NUMBERS, np.uint8),
    "category": pd.Categorical(NUMBERS),
    "category of text": pd.Categorical([str(i) for i in NUMBERS]),
    "mixed": pd.Series([i if i % 2 else str(i) for i in NUMBERS], dtype=object),
}


@pytest.mark.parametrize("column", ["sample_id", "question"])
@pytest.mark.parametrize("kind", IDS)
def test_items_are_paired_whatever_the_dtype_of_their_ids(rng, kind: str, column: str) -> None:
    hard = rng.normal(0, 1, N)
    control = pd.DataFrame({column: NUMBERS, "score": hard})
    treatment = pd.DataFrame({column: IDS[kind], "score": hard + 0.05 + rng.normal(0, 0.1, N)})
    want = stats.ttest_rel(treatment.score, control.score).pvalue
    for arms in ((control, treatment), (treatment, control)):
        found = cr.compare(*arms, metrics=["score"], pair_by=column)
        assert found.design == (f"paired: 100% of the items ({column}) are in both arms",)
        assert found["score"].pvalue == pytest.approx(want, rel=1e-9)


def test_an_experiment_is_paired_with_a_frame_of_numbered_items(rng) -> None:
    frame = pd.DataFrame({"sample_id": NUMBERS, "score": rng.normal(0, 1, N)})
    with cr.start("mini") as exp:
        exp.extend(frame.assign(score=frame.score + rng.normal(0.05, 0.1, N)))
    assert cr.compare(frame, exp, metrics=["score"])["score"].test == "paired t-test"


def test_booleans_are_items_too(rng) -> None:
    flags = np.tile([True, False], 30)
    one, two = (pd.DataFrame({"flag": flag, "score": rng.normal(0, 1, N)}) for flag in (flags, flags.astype(object)))
    assert cr.compare(one, two, metrics=["score"], pair_by="flag")["score"].n == (2, 2)


def test_clusters_of_both_arms_are_joined_whatever_their_dtype(rng) -> None:
    sessions, level = np.repeat(np.arange(40), 5), np.repeat(rng.normal(0, 1, 40), 5)
    one, two = (
        pd.DataFrame({"session_id": ids, "score": level + rng.normal(0, 0.1, 200)})
        for ids in (sessions, sessions.astype(str))
    )
    found = cr.compare(one, two, metrics=["score"])["score"]
    assert any(line.startswith("40 clusters occur in more than one group") for line in found.assumptions)
    low, high = found.confidence_interval
    assert high - low < 0.2  # the level of a session cancels


def test_it_is_said_that_no_item_is_in_both_arms(rng) -> None:
    one, two = (
        pd.DataFrame({"sample_id": ids, "score": rng.normal(0, 1, N)}) for ids in (NUMBERS, [f"q{i}" for i in NUMBERS])
    )
    found = cr.compare(one, two, metrics=["score"])
    for face in faces(found).values():
        assert "both have sample_id (int64 and str), and no item is in both" in face


# -- warnings and exclusions --------------------------------------------------------------------------------------


def correlated(rng: np.random.Generator) -> pd.DataFrame:
    noise = pd.Series(rng.normal(0, 1, 600)).ewm(alpha=0.3).mean().to_numpy()
    times = pd.date_range("2025", periods=600, freq="s", tz="UTC")
    return pd.DataFrame({"latency_ms": 500 + 100 * noise, "score": rng.random(600)}, index=times)


def test_warnings_and_exclusions_stand_in_every_face(rng) -> None:
    control, treatment = correlated(rng), correlated(rng)
    treatment.iloc[:7, 0] = np.nan
    found = cr.compare(control, treatment, metrics=["mean_latency_ms", "score"])
    metric = found["mean_latency_ms"]
    assert any("neighbouring events correlate" in line for line in metric.warnings)
    assert metric.exclusions == ("7 rows of treatment without latency_ms",)
    assert not {*metric.warnings, *metric.exclusions} & {*metric.assumptions}
    assert found["score"].warnings == ()
    assert any(line.startswith("mean_latency_ms: control: neighbouring") for line in found.warnings)
    assert found.exclusions == ("mean_latency_ms: 7 rows of treatment without latency_ms",)
    several = cr.compare(control, {"b": treatment, "c": treatment}, metrics=["mean_latency_ms"])
    for name, face in {**faces(found), **faces(several)}.items():
        assert "neighbouring events correlate" in face, name
        assert "7 rows of treatment without latency_ms" in face, name


def test_a_sentence_of_all_metrics_is_printed_once(rng) -> None:
    frame = pd.DataFrame({"sample_id": NUMBERS, "x": rng.random(N), "y": rng.random(N)})
    found = cr.compare(frame, frame[:50].assign(x=1.1 * frame.x, y=frame.y**2), metrics=["x", "y"])
    assert found.exclusions == ("10 items of the control have no partner",)


def test_warnings_stand_in_the_figure(rng) -> None:
    pytest.importorskip("plotly")
    with cr.start("a", clock="events") as exp:
        exp.extend(correlated(rng))
    figure = exp.plot.compare(correlated(rng), metrics=["mean_latency_ms"])
    texts = " ".join(note.text.replace("<br>", " ") for note in figure.layout.annotations)
    assert "neighbouring events correlate" in texts


# -- design and estimand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"sequential": True, "resample": "10s"},
        {"sequential": True, "group_by": "seed"},
        {"sequential": True, "cluster": "seed"},
        {"group_by": "seed", "resample": "10s"},
        {"group_by": "seed", "cluster": "seed"},
        {"resample": "10s", "cluster": "seed"},
        {"paired": True, "group_by": "seed"},
        {"paired": True, "resample": "10s"},
        {"bound": (0, 1)},
        {"asymptotic": True},
    ],
    ids=str,
)
def test_combinations_that_do_not_exist_are_refused(options: dict) -> None:
    frame = pd.DataFrame({"success": np.arange(100) % 3 > 0, "seed": np.arange(100) % 4})
    frame.index = pd.date_range("2025", periods=100, freq="s", tz="UTC")
    with pytest.raises(cr.ConfigError):
        cr.compare(frame, frame, metrics=["success_rate"], **options)


def test_the_design_is_the_one_that_was_used(rng) -> None:
    frame = pd.DataFrame(
        {"score": rng.random(200), "seed": np.arange(200) % 8, "session_id": np.arange(200) // 10},
        index=pd.date_range("2025", periods=200, freq="s", tz="UTC"),
    )
    runs = cr.compare(frame, frame.assign(score=frame.score**2), metrics=["score"], group_by="seed")
    assert runs.design == ("whole runs (seed) are compared, one value per run",)
    blocks = cr.compare(frame, frame.assign(score=frame.score**2), metrics=["score"], resample="10s")
    assert blocks.design == ("errors between time blocks of 10s",)
    assert blocks["score"].n == (20, 20)
    looks = cr.compare(frame, frame, metrics=["score"], sequential=True, bound=(0, 1))
    assert looks.design == ()
    assert looks.warnings == ("a sequence takes rows as independent, but session_id has several each: use one row per session_id",)  # fmt: skip


def test_attempts_at_a_task_are_clustered_by_task(rng) -> None:
    steps = pd.DataFrame({"sample_id": np.repeat(np.arange(30), 12), "session_id": np.arange(360) // 4})
    one, two = (steps.assign(sample_id=steps.sample_id + shift, score=rng.random(360)) for shift in (0, 100))
    assert cr.compare(one, two, metrics=["score"]).design[-1] == "clustered by sample_id, which has several rows each"
    passages = steps.rename(columns={"sample_id": "session_id", "session_id": "sample_id"})
    one, two = (passages.assign(score=rng.random(360)) for _ in range(2))
    found = cr.compare(one, two, metrics=["score"])
    assert found.design[-1] == "clustered by session_id, which has several items each"


def epochs(rng: np.random.Generator, repeats: int = 3) -> pd.DataFrame:
    """Items of which hard ones are repeated more often."""
    items = np.repeat(np.arange(200), np.where(np.arange(200) < 50, 3 * repeats, repeats))
    easy = rng.random(len(items)) < np.where(items < 50, 0.2, 0.8)
    return pd.DataFrame(
        {
            "sample_id": items, "success": easy, "latency_ms": np.where(easy, 1, 4) * rng.lognormal(6, 0.8, len(items)),
            "cost_usd": rng.random(len(items)),
        }
    )  # fmt: skip


def test_the_mean_over_items_is_named_and_the_mean_over_events_stands_beside_it(rng) -> None:
    control, treatment = epochs(rng), epochs(rng)
    found = cr.compare(control, treatment, metrics=["success_rate"])
    rate = found["success_rate"]
    assert rate.estimand == "success_rate (mean over items)"
    assert rate.control == pytest.approx(control.groupby("sample_id").success.mean().mean(), rel=1e-12)
    assert rate.control_over_events == pytest.approx(control.success.mean(), rel=1e-12)
    assert rate.treatment_over_events == pytest.approx(treatment.success.mean(), rel=1e-12)
    events = f"over events {control.success.mean():.4g}"
    for name, face in faces(found).items():
        assert "success_rate (mean over items)" in face, name
        assert name == "dict" or events in face, name
    assert rate.method.startswith("success_rate (mean over items)")
    assert "(mean over items)" in cr.t_test(control, treatment, "success_rate", paired=True).estimand


def test_quantiles_ratios_and_totals_of_repeated_items_are_those_of_all_rows(rng) -> None:
    control, treatment = epochs(rng), epochs(rng)
    found = cr.compare(control, treatment, metrics=["p95_latency_ms", "cost_per_success", "total_cost_usd"])
    for side, arm in (("control", control), ("treatment", treatment)):
        assert getattr(found["p95_latency_ms"], side) == pytest.approx(arm.latency_ms.quantile(0.95), rel=1e-12)
        ratio = arm.cost_usd.sum() / arm.success.sum()
        assert getattr(found["cost_per_success"], side) == pytest.approx(ratio, rel=1e-12)
        assert getattr(found["total_cost_usd"], side) == pytest.approx(arm.cost_usd.sum(), rel=1e-12)
    assert all(metric.estimand == name for name, metric in found.items())
    ratio = cr.t_test(control, treatment, "cost_per_success", paired=True)
    assert ratio.estimate == pytest.approx(found["cost_per_success"].estimate, rel=1e-12)
    swapped = cr.permutation_test(control, treatment, "p95_latency_ms", paired=True, n_resamples=99)
    assert swapped.estimate == pytest.approx(found["p95_latency_ms"].estimate, rel=1e-12)


def test_independent_items_give_the_mean_over_events_clustered_by_item(rng) -> None:
    control, treatment = epochs(rng), epochs(rng)
    treatment["sample_id"] += 1000
    rate = cr.compare(control, treatment, metrics=["success_rate"])["success_rate"]
    assert rate.control == pytest.approx(control.success.mean(), rel=1e-12)
    assert rate.estimand == "success_rate"
    assert "clustered by sample_id" in rate.design


@pytest.mark.check
@pytest.mark.untraced
def test_the_p95_of_repeated_items_keeps_its_level(rng) -> None:
    def arm() -> pd.DataFrame:
        level = hard + rng.normal(0, 0.3, 100)
        items = np.repeat(np.arange(100), 4)
        return pd.DataFrame({"sample_id": items, "latency_ms": np.exp(level[items] + rng.normal(0, 0.5, 400))})

    wrong = 0
    for _ in range(300):
        hard = rng.normal(6, 0.5, 100)
        wrong += cr.compare(arm(), arm(), metrics=["p95_latency_ms"])["p95_latency_ms"].raw_pvalue <= 0.05
    assert wrong <= 26  # of 300 at 5%, with 99.9% certainty


def test_time_blocks_leave_the_estimate_of_the_events(rng) -> None:
    sizes = np.where(np.arange(60) % 10 == 0, 100, 5)
    slow = np.repeat(sizes > 50, sizes)
    start = np.repeat(pd.date_range("2025", periods=60, freq="min", tz="UTC"), sizes)

    def arm() -> pd.DataFrame:
        times = start + pd.to_timedelta(rng.random(len(slow)) * 60, unit="s")
        latency = np.where(slow, 1000, 100) * rng.lognormal(0, 0.3, len(slow))
        success = rng.random(len(slow)) < np.where(slow, 0.8, 0.98)
        return pd.DataFrame({"latency_ms": latency, "success": success, "cost_usd": latency / 1e5}, times).sort_index()

    control, treatment = arm(), arm()
    metrics = ["mean_latency_ms", "success_rate", "p95_latency_ms", "total_cost_usd"]
    found = cr.compare(control, treatment, metrics=metrics, resample="1min")
    want = [control.latency_ms.mean(), control.success.mean(), control.latency_ms.quantile(0.95)]
    assert [found[metric].control for metric in metrics[:3]] == pytest.approx(want, rel=1e-12)
    assert found["total_cost_usd"].estimand == "total_cost_usd (mean over blocks of 1min)"
    assert found["total_cost_usd"].control_over_events == pytest.approx(control.cost_usd.sum(), rel=1e-12)
    assert any("60 blocks are worth" in line for line in found.warnings)


# -- reasons that agree with the interval -------------------------------------------------------------------------


def test_the_correction_is_named_if_it_decides(rng) -> None:
    found = None
    for seed in range(200):
        rng = np.random.default_rng(seed)
        control, treatment = (pd.DataFrame({"x": rng.normal(0, 1, 80), "y": rng.normal(0, 1, 80)}) for _ in range(2))
        treatment["x"] += 0.4
        found = cr.compare(control, treatment, metrics=["x", "y"])["x"]
        if found.raw_pvalue <= 0.05 < found.pvalue:
            break
    assert found.verdict == "inconclusive"
    assert not found.confidence_interval.low <= 0 <= found.confidence_interval.high
    assert "zero lies in the interval" not in found.why
    assert found.why.startswith("significant alone (p = 0.0")
    assert "not after the correction (holm, 2 tests" in found.why


@pytest.mark.parametrize("failures", range(1, 9))
def test_zero_is_said_to_lie_in_an_interval_only_if_it_does(failures: int) -> None:
    one = pd.DataFrame({"success": [True] * 40})
    two = pd.DataFrame({"success": [False] * failures + [True] * (40 - failures)})
    found = cr.compare(one, two, metrics=["success_rate"], margin=0.1)["success_rate"]
    covered = found.confidence_interval.low <= 0 <= found.confidence_interval.high
    assert ("zero lies in the interval" in found.why) == (covered and found.verdict == "inconclusive")


# -- one bad metric -----------------------------------------------------------------------------------------------


def calls(rng: np.random.Generator, cost: float, success: float = 0.9, n: int = 200) -> pd.DataFrame:
    return pd.DataFrame({"success": rng.random(n) < success, "latency_ms": rng.lognormal(6, 0.5, n), "cost_usd": cost})


def test_a_constant_metric_costs_only_its_own_row(rng) -> None:
    found = cr.compare(calls(rng, 0.002), calls(rng, 0.004))
    cost = found["mean_cost_usd"]
    assert cost.verdict == "inconclusive"
    assert (cost.control, cost.treatment, cost.estimate) == pytest.approx((0.002, 0.004, 0.002))
    assert "constant (0.002 in control, 0.004 in treatment)" in cost.why
    assert np.isnan(cost.pvalue)
    tested = [found[name] for name in ("success_rate", "p95_latency_ms")]
    want = multipletests([metric.raw_pvalue for metric in tested], method="holm")[1]
    assert [metric.pvalue for metric in tested] == pytest.approx(want)
    assert all("not tested" in face for name, face in faces(found).items() if name != "dict")


def test_an_arm_without_a_success_has_no_cost_per_success(rng) -> None:
    found = cr.compare(calls(rng, 0.002, 0), calls(rng, 0.002), metrics=["success_rate", "cost_per_success"])
    assert found["success_rate"].verdict == "better"
    assert "success adds up to 0" in found["cost_per_success"].why
    assert np.isnan(found["cost_per_success"].control)


@pytest.mark.parametrize("empty", [pd.DataFrame(), pd.DataFrame({"success": [], "latency_ms": []})], ids=["no columns", "no rows"])  # fmt: skip
@pytest.mark.parametrize("metrics", [None, ["success_rate"]])
def test_an_empty_arm_among_several(rng, empty: pd.DataFrame, metrics: list[str] | None) -> None:
    found = cr.compare(calls(rng, 0.002), {"b": calls(rng, 0.003, 0.5), "c": empty}, metrics=metrics)
    assert found["b"]["success_rate"].verdict == "worse"
    assert found["c"]["success_rate"].why == "c has no rows"


@pytest.mark.parametrize("options", [{"group_by": "seed"}, {"resample": "10s"}, {"cluster": "seed"}, {"paired": True}], ids=str)  # fmt: skip
def test_an_empty_arm_of_any_design(rng, options: dict) -> None:
    frame = calls(rng, 0.1).assign(seed=np.arange(200) % 8, sample_id=np.arange(200))
    frame.index = pd.date_range("2025", periods=200, freq="s", tz="UTC")
    found = cr.compare(frame, {"b": frame, "c": frame[:0], "d": pd.DataFrame()}, metrics=["success_rate"], **options)
    assert [arm["success_rate"].test != "" for arm in found.values()] == [True, False, False]


@pytest.mark.parametrize("metric", ["mean_latency_ms", "score", "total_cost_usd", "cost_per_token"])
def test_identical_pairs(rng, metric: str) -> None:
    answers = pd.DataFrame({"sample_id": NUMBERS, "latency_ms": rng.lognormal(6, 1, N), "score": rng.random(N)})
    answers = answers.assign(cost_usd=0.1, cost=answers.score, token=rng.integers(1, 9, N))
    found = cr.compare(answers, answers.copy(), metrics=[metric])[metric]
    assert (found.verdict, found.why, found.estimate) == ("inconclusive", "identical in both arms", 0)
    assert cr.compare(answers, answers.copy(), metrics=[metric], margin="5%")[metric].verdict == "equivalent"


@pytest.mark.parametrize("success", [True, False])
@pytest.mark.parametrize("paired", [True, False])
def test_equal_outcomes_are_judged_by_their_interval(success: bool, paired: bool) -> None:
    arm = pd.DataFrame({"sample_id": range(30), "success": success})
    other = arm if paired else arm.drop(columns="sample_id")
    found = cr.compare(arm, other, metrics=["success_rate"], margin={"success_rate": 0.02})["success_rate"]
    assert found.verdict == "inconclusive"  # thirty outcomes do not exclude 2 points
    assert found.why == "identical in both arms; the interval shows how far they may differ"
    wide = cr.compare(arm, other, metrics=["success_rate"], margin={"success_rate": 0.5})["success_rate"]
    assert wide.verdict == "equivalent"


@pytest.mark.parametrize("arms", [{}, [], ()])
def test_no_arm_is_given(rng, arms: object) -> None:
    with pytest.raises(cr.ConfigError, match="expected at least one arm, got none"):
        cr.compare(calls(rng, 0.002), arms)


def test_two_arms_of_one_name(rng) -> None:
    with pytest.raises(cr.ConfigError, match="a name of its own"):
        cr.compare(calls(rng, 0.002), {1: calls(rng, 0.002), "1": calls(rng, 0.002)})


def test_columns_of_one_name(rng) -> None:
    twice = pd.concat([calls(rng, 0.1), calls(rng, 0.1)[["cost_usd"]]], axis=1)
    with pytest.raises(cr.SchemaError, match="control: several columns are called 'cost_usd'"):
        cr.compare(twice, calls(rng, 0.1))


def test_ids_of_one_name(rng) -> None:
    ids = pd.Series(range(200), name="sample_id")
    twice = pd.concat([calls(rng, 0.1), ids, ids], axis=1)
    for call in (cr.confidence_interval, cr.one_proportion):
        with pytest.raises(cr.SchemaError, match="sample_id: expected one column of this name, got 2"):
            call(twice, *([0.5] if call is cr.one_proportion else []))
    for paired in (True, False):
        with pytest.raises(cr.SchemaError, match="sample_id: expected one column of this name, got 2"):
            cr.t_test(twice, twice, "latency_ms", paired=paired)


def test_columns_may_have_any_name(rng) -> None:
    names = [
        "condition",
        "name",
        "planned",
        "frame",
        "metrics",
        "columns",
        "paused_spans",
        "weight_",
        "index",
        "values",
    ]
    frame = calls(rng, rng.random(200)).assign(**dict.fromkeys(names, "x"))
    found = cr.compare(frame, {"b": frame, "c": frame.assign(condition=1)})
    assert found["b"]["success_rate"].pvalue == 1
    assert cr.compare(frame, frame, metrics=["p50_latency_ms"], sequential=True).control == "control"
    series = pd.Series(rng.random(20), index=[*"abcdefghijklmnopqr", "frame", "condition"])
    assert cr.compare(series, series, metrics=["score"]).treatment == "treatment"


# -- margins, bounds and mappings ---------------------------------------------------------------------------------


def test_one_margin_is_for_one_unit(rng) -> None:
    one, two = calls(rng, rng.random(200)), calls(rng, rng.random(200))
    with pytest.raises(cr.ConfigError, match=r"success_rate \(share\), p95_latency_ms \(ms\), mean_cost_usd \(USD\)"):
        cr.compare(one, two, margin=0.02)
    assert cr.compare(one, two, metrics=["p50_latency_ms", "p95_latency_ms"], margin=5)["p50_latency_ms"].margin == 5
    assert cr.compare(one, two, margin="5%")["success_rate"].margin == pytest.approx(0.05 * one.success.mean())
    scores = pd.DataFrame({"x": rng.random(50), "y": rng.random(50)})
    with pytest.raises(cr.ConfigError, match="bound="):
        cr.compare(scores, scores, metrics=["x", "y"], sequential=True, bound=(0, 1))
    both = {"x": (0, 1), "y": (0, 1)}
    assert len(cr.compare(scores, scores, metrics=["x", "y"], sequential=True, bound=both)) == 2


@pytest.mark.parametrize("argument", [{"margin": {"sucess_rate": 0.1}}, {"direction": {"sucess_rate": "up"}}, {"sequential": True, "bound": {"sucess_rate": (0, 1)}}], ids=str)  # fmt: skip
@pytest.mark.parametrize("metrics", [None, ["success_rate"]])
def test_typos_in_mappings(rng, argument: dict, metrics: list[str] | None) -> None:
    with pytest.raises(cr.ConfigError, match="='sucess_rate': expected metrics that are compared"):
        cr.compare(calls(rng, 0.1), calls(rng, 0.1), metrics=metrics, **argument)


def test_rows_without_a_seed_are_counted(rng) -> None:
    frame = calls(rng, 0.1).assign(seed=np.arange(200) % 4)
    found = cr.compare(frame, frame.assign(seed=frame.seed.where(frame.seed > 0)), group_by="seed")
    for name, face in faces(found).items():
        assert "50 rows of treatment without seed are left out" in face, name
    assert found["success_rate"].n == (4, 3)


# -- intervals and single tests -----------------------------------------------------------------------------------


def questions(rng: np.random.Generator, repeats: int = 10) -> pd.DataFrame:
    share = rng.beta(0.6, 0.6, 300)
    answers = rng.random((repeats, 300)) < share
    return pd.DataFrame({"sample_id": np.tile(np.arange(300), repeats), "success": answers.ravel()})


def test_the_interval_of_an_accuracy_over_epochs_covers(rng) -> None:
    covered = 0
    for _ in range(100):
        found = cr.confidence_interval(questions(rng), "success_rate")
        covered += found.confidence_interval.low <= 0.5 <= found.confidence_interval.high
    assert covered >= 88  # of 100 at 95%, with 99.9% certainty; rows as independent cover 56
    assert found.assumptions[0] == "clustered by sample_id, which has several rows each"
    assert "3,000 rows in 300 clusters by sample_id" in found.text


def test_single_tests_cluster_as_compare_does(rng) -> None:
    one, two = questions(rng), questions(rng)
    two["sample_id"] += 1000
    want = cr.compare(one, two, metrics=["success_rate"])["success_rate"].raw_pvalue
    assert cr.two_proportions(one, two).pvalue == pytest.approx(want, rel=1e-9)
    for test in (
        cr.t_test,
        cr.two_proportions,
        cr.mann_whitney_u,
        cr.anova,
        cr.kruskal_wallis,
        cr.cohens_d,
        cr.cohens_h,
    ):
        found = test(one, two, metric="success_rate")
        assert any("clustered by sample_id, which has several rows each" in line for line in found.assumptions), test
    assert (
        "clustered by sample_id, which has several rows each" in cr.chi_square(one, two, metric="success").assumptions
    )
    with pytest.raises(cr.StatError, match="several share a session_id or sample_id"):
        cr.fisher(one, two)
    plain = cr.two_proportions(one.success, two.success)
    assert plain.pvalue < cr.two_proportions(one, two).pvalue


def test_tests_without_clusters_warn_of_them(rng) -> None:
    one = pd.DataFrame({"sample_id": range(60), "session_id": np.arange(60) // 6, "score": rng.random(60)})
    two = one.assign(score=rng.random(60))
    warning = "pairs are taken as independent, although session_id has several items each"
    assert warning in cr.wilcoxon(one, two, metric="score").warnings
    assert warning in cr.rank_biserial(one, two, metric="score", paired=True).warnings
    assert any("in 10 clusters" in line for line in cr.t_test(one, two, "score", paired=True).assumptions)


def test_one_session_is_no_cluster(rng) -> None:
    frame = pd.DataFrame({"session_id": "a", "score": rng.random(60)})
    found = cr.confidence_interval(frame, "score")
    assert found.warnings == ("rows are taken as independent, although a group has a single session_id",)
    compared = cr.compare(frame, frame.assign(score=rng.random(60)), metrics=["score"])
    assert compared.warnings == found.warnings
