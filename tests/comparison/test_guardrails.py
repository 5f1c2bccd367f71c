"""Plans with guardrails: levels of the metrics by their role, the check of the sample ratio, and the decision."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests

import crucible_nb as cr
from crucible_nb.comparison.sample_ratio import ratio_pvalue

METRICS = ["score", "latency_ms", "cost_usd", "quality"]
UP = {"quality": "up"}


def rows(rng, n: int, shift: float = 0.0, slower: float = 1.0) -> pd.DataFrame:
    time = pd.date_range("2026-01-01", "2026-01-02", periods=n, tz="UTC")
    return pd.DataFrame(
        {"score": rng.normal(shift, 1, n), "latency_ms": rng.normal(1000 * slower, 100, n),
         "cost_usd": rng.normal(1 - shift, 1, n), "quality": rng.normal(0.9 * shift, 1, n)}, index=time,
    )  # fmt: skip


def planned(rng, n: int, *, shift: float = 0.0, slower: float = 1.0, size: int | None = None, looks: int = 1, **more):
    """Two arms; the treatment has a plan with a guardrail and two secondary metrics."""
    control, treatment = cr.start("a", clock="events"), cr.start("b", clock="events")
    plan = {"direction": "up", "guardrails": {"latency_ms": "5%"}, "secondary": ["cost_usd", "quality"]} | more
    treatment.plan("score", sample_size=size or 2 * n, looks=looks, **plan)
    control.extend(rows(rng, n), event="call")
    treatment.extend(rows(rng, n, shift, slower), event="call")
    return control, treatment


def test_guardrails_and_secondary_metrics_cost_the_primary_metric_nothing(rng) -> None:
    control, treatment = planned(rng, 400, shift=0.25)
    found = cr.compare(control, treatment, metrics=METRICS, direction=UP)
    p = {name: stats.ttest_ind(treatment.df[name], control.df[name], equal_var=False).pvalue for name in METRICS}
    assert found["score"].pvalue == pytest.approx(p["score"], rel=1e-9)
    assert found["latency_ms"].pvalue == pytest.approx(p["latency_ms"], rel=1e-9)
    holm = multipletests([p["cost_usd"], p["quality"]], method="holm")[1]
    for name, corrected in zip(("cost_usd", "quality"), holm, strict=True):
        assert found[name].pvalue == pytest.approx(max(corrected, p["score"]), rel=1e-9)
        assert found[name].correction == "holm, 2 tests, after the primary metric"
    assert [found[name].role for name in METRICS] == ["primary", "guardrail", "secondary", "secondary"]
    assert found["latency_ms"].verdict in {"equivalent", "not worse"}
    assert found.decision.startswith("ship: score is better; latency_ms is ")
    assert found.decision in str(found)
    assert found.decision in found.to_markdown()
    assert found.decision.replace("_", "\\_") in found.to_latex()
    assert found.to_dict()["decision"] == found.decision
    assert found.decision in found._repr_html_()


def test_secondary_metrics_wait_for_the_primary_one(rng) -> None:
    control, treatment = planned(rng, 400)
    treatment_rows = treatment.df.assign(quality=treatment.df.quality + 1)
    other = cr.start("c", clock="events")
    other.plan("score", sample_size=800, direction="up", secondary=["quality"])
    other.extend(treatment_rows[["score", "quality"]], event="call")
    found = cr.compare(control, other, metrics=["score", "quality"], direction=UP)
    assert found["quality"].raw_pvalue < 1e-20
    assert found["quality"].pvalue == pytest.approx(found["score"].pvalue)
    assert found["quality"].verdict == "inconclusive"
    alone = cr.compare(control, other, metrics=["quality"], direction=UP)
    assert alone["quality"].pvalue == 1.0
    assert alone.decision == "go on: score of the plan is not among the metrics"


def test_a_metric_that_is_not_planned_is_corrected_over_all(rng) -> None:
    control, treatment = planned(rng, 300, shift=0.2, secondary=["cost_usd"])
    found = cr.compare(control, treatment, metrics=METRICS, direction=UP)
    p = [stats.ttest_ind(treatment.df[name], control.df[name], equal_var=False).pvalue for name in METRICS]
    assert found["quality"].pvalue == pytest.approx(multipletests(p, method="holm")[1][3], rel=1e-9)
    assert found["quality"].planned is False
    assert found["quality"].role is None
    assert "(not planned)" in str(found)


def test_a_failing_guardrail_stops_the_release(rng) -> None:
    control, treatment = planned(rng, 400, shift=0.5, slower=1.2)
    found = cr.compare(control, treatment, metrics=METRICS[:2])
    assert found["score"].verdict == "better"
    assert found.decision == "do not ship: latency_ms is worse"


def test_a_plan_goes_on_until_it_ends(rng) -> None:
    control, treatment = planned(rng, 100, size=800, looks=4)
    first = cr.compare(control, treatment, metrics=METRICS[:2])
    assert first.decision.startswith("go on: score is inconclusive")
    assert first.decision.endswith("; 25% of the planned events are in")
    for exp in (control, treatment):
        exp.extend(rows(rng, 300), event="call")
    last = cr.compare(control, treatment, metrics=METRICS[:2])
    assert last.decision.startswith("do not ship: the plan has ended, and score is inconclusive")


def test_margins_of_the_plan_are_used(rng) -> None:
    control, treatment = planned(rng, 400, margin=0.5)
    found = cr.compare(control, treatment, metrics=METRICS[:2])
    assert found["score"].verdict == "equivalent"
    assert found["score"].margin == 0.5
    assert found["latency_ms"].margin == pytest.approx(0.05 * found["latency_ms"].control)
    assert found.decision.startswith("ship:")
    same = cr.compare(control, treatment, metrics=METRICS[:2], margin={"latency_ms": "5%"})
    assert same["latency_ms"].margin == found["latency_ms"].margin
    with pytest.raises(cr.StatError, match="margin=.*: the plan has margin='5%' for latency_ms; leave out margin"):
        cr.compare(control, treatment, metrics=METRICS[:2], margin={"latency_ms": "20%"})


def test_a_sequential_plan_has_guardrails_in_the_unit_of_the_metric(rng) -> None:
    control, treatment = cr.start("a", clock="events"), cr.start("b", clock="events")
    plan = {"sequential": True, "direction": "up", "guardrails": {"crash": 0.5}}
    treatment.plan("good", **plan)
    for exp, share in ((control, 0.3), (treatment, 0.6)):
        values = {"good": rng.random(2000) < share, "crash": rng.random(2000) < 0.2}
        exp.extend(pd.DataFrame(values, index=rows(rng, 2000).index).astype(bool), event="call")
    found = cr.compare(control, treatment, metrics=["good", "crash"], direction={"crash": "down"}, sequential=True)
    assert found["crash"].verdict in {"equivalent", "not worse"}
    assert found.decision == f"ship: good is better; crash is {found['crash'].verdict}"


def test_a_plan_is_stored_with_its_guardrails(tmp_path) -> None:
    exp = cr.start("kept", store=tmp_path)
    plan = exp.plan("success_rate", "5%", guardrails={"p95_latency_ms": "5%", "mean_cost_usd": 0.01}, sample_size=100)
    exp.stop()
    again = cr.attach("kept", store=tmp_path).planned.plan
    assert again == plan
    assert again.sha256 == plan.sha256
    assert again.guardrails == (("p95_latency_ms", "5%"), ("mean_cost_usd", 0.01))
    text = "success_rate decides at alpha 0.05, margin 5%, if not worse: p95_latency_ms (margin 5%), "
    assert str(plan).startswith(f"{text}mean_cost_usd (margin 0.01), after 100 events")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"guardrails": {"latency_ms": "5"}}, r"guardrails\['latency_ms'\]='5'.*a number > 0, or text such as '5%'"),
        ({"guardrails": {"latency_ms": -1}}, r"guardrails\['latency_ms'\]=-1"),
        ({"guardrails": {"latency_ms": "nan%"}}, "nan%"),
        ({"margin": "0%"}, "margin='0%'"),
        ({"guardrails": {"score": 1}}, "score has several roles"),
        ({"guardrails": {"x": 1}, "secondary": ["x"]}, "x has several roles"),
        ({"guardrails": {"x": "5%"}, "sequential": True}, "sequential plan needs numbers"),
    ],
)
def test_wrong_guardrails(arguments, said) -> None:
    exp = cr.start("wrong")
    with pytest.raises(cr.CrucibleError, match=said):
        exp.plan("score", **arguments)
    exp.stop()


# -- sample ratio ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("control", "treatment", "share"), [(10, 30, 0.5), (480, 530, 0.5), (200, 90, 1 / 3)])
def test_the_ratio_is_tested_against_a_mixture(control: int, treatment: int, share: float) -> None:
    prior = stats.beta(1000 * share, 1000 * (1 - share))
    null = stats.binom.pmf(treatment, control + treatment, share)
    mixed = integrate.quad(
        lambda q: stats.binom.pmf(treatment, control + treatment, q) * prior.pdf(q), 0, 1, points=[share], limit=200
    )[0]
    assert ratio_pvalue(control, treatment, share) == pytest.approx(min(1.0, null / mixed), rel=1e-6)


def test_the_ratio_is_valid_at_every_look(rng) -> None:
    flips, looks = rng.random((2000, 4000)) < 0.5, np.arange(50, 4000, 50)
    counts = np.cumsum(flips, axis=1)[:, looks - 1]
    limits = {n: next(k for k in range(n // 2, n + 1) if k == n or ratio_pvalue(n - k, k) < 0.01) for n in looks}
    upper = np.array([limits[n] for n in looks])
    wrong = ((counts >= upper) | (looks - counts >= upper)).any(axis=1).mean()
    assert wrong <= 0.01 + 2 * math.sqrt(0.01 / 2000)


def test_arms_of_unequal_size_are_not_shipped(rng) -> None:
    control, treatment = planned(rng, 2000, shift=0.5)
    lost = cr.start("c", clock="events")
    lost.plan("score", direction="up", sample_size=4000)
    lost.extend(treatment.df[["score"]].iloc[::2], event="call")
    found = cr.compare(control, lost, metrics=["score"])
    assert found.decision.startswith("do not ship: the arms have 2,000 and 1,000 rows where equal numbers are expected")
    later = cr.start("d", clock="events")  # recorded on another day: its size says nothing
    later.plan("score", direction="up", sample_size=4000)
    half = treatment.df[["score"]].iloc[::2]
    later.extend(half.set_axis(half.index + pd.Timedelta("7D")), event="call")
    assert cr.compare(control, later, metrics=["score"]).decision.startswith("ship:")


def test_users_are_counted_once(rng) -> None:
    control, treatment = cr.start("a", clock="events"), cr.start("b", clock="events")
    treatment.plan("score", direction="up", sample_size=4000)
    for exp, users in ((control, 500), (treatment, 505)):
        n = users * (2 if exp is control else 3)
        exp.extend(rows(rng, n, 0.0).assign(user_id=[f"{exp.name}{i % users}" for i in range(n)]), event="call")
    assert "equal numbers" not in cr.compare(control, treatment, metrics=["score"]).decision


def test_the_declared_unit_is_counted(rng) -> None:
    control, treatment = cr.start("a", clock="events", unit="shop"), cr.start("b", clock="events", unit="shop")
    treatment.plan("score", direction="up", sample_size=4000)
    for exp, shops in ((control, 400), (treatment, 200)):
        shop = [f"{exp.name}{i % shops}" for i in range(2000)]
        exp.extend(rows(rng, 2000).assign(shop=shop, user_id=[f"{exp.name}{i}" for i in range(2000)]), event="call")
    decision = cr.compare(control, treatment, metrics=["score"]).decision
    assert "the arms have 400 and 200 values of shop" in decision
