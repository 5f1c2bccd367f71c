"""Preregistered plans: immutable, with a hash, compared with every look."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crucible_nb as cr


def start(name: str, rng, n: int, shift: float = 0.0) -> cr.Experiment:
    exp = cr.start(name, condition=name)
    exp.extend(pd.DataFrame({"score": rng.normal(shift, 1, n), "latency_ms": rng.normal(100, 5, n)}), event="call")
    return exp


def test_a_plan_is_kept(rng) -> None:
    exp = start("a", rng, 0)
    plan = exp.plan("score", margin=0.1, direction="up", sample_size=200)
    assert exp.plan("score", margin=0.1, direction="up", sample_size=200) == plan
    with pytest.raises(cr.LifecycleError, match="already has a plan"):
        exp.plan("latency_ms")
    assert len(plan.sha256) == 64
    with pytest.raises(AttributeError):
        plan.alpha = 0.5


def test_a_late_plan_says_so(rng) -> None:
    exp = start("a", rng, 120)
    assert "made after 120 events" in str(exp.plan("score"))


def test_early_looks_and_other_metrics_are_marked(rng) -> None:
    control, treatment = start("a", rng, 0), start("b", rng, 0)
    treatment.plan("score", direction="up", sample_size=400)
    for exp in (control, treatment):
        exp.extend(pd.DataFrame({"score": rng.normal(0, 1, 100), "latency_ms": rng.normal(100, 5, 100)}), event="call")
    early = cr.compare(control, treatment, metrics=["score", "mean_latency_ms"])
    assert early["score"].planned is True
    assert early["mean_latency_ms"].planned is False
    assert any("was not planned" in line for line in early.looked)
    assert any("not in the plan: mean_latency_ms" in line for line in early.looked)
    for exp in (control, treatment):
        exp.extend(pd.DataFrame({"score": rng.normal(0, 1, 100)}), event="call")
    due = cr.compare(control, treatment, metrics=["score"])
    assert due.looked == ()
    assert due.plan.startswith("plan: score decides at alpha 0.05")
    late = cr.compare(control, treatment, metrics=["score"])
    assert late.looked == ()  # nothing was recorded since: the same look
    assert len(treatment.planned.looks) == 2


def test_planned_looks_share_alpha(rng) -> None:
    control, treatment = start("a", rng, 0), start("b", rng, 0)
    treatment.plan("score", direction="up", sample_size=1000, looks=5)
    published = [4.877, 3.357, 2.680, 2.290, 2.031]  # Lan and DeMets, O'Brien-Fleming-type, five looks at 0.05
    for z in published:
        for exp in (control, treatment):
            exp.extend(pd.DataFrame({"score": rng.normal(0, 1, 100)}), event="call")
        found = cr.compare(control, treatment, metrics=["score"])
        assert found.looked == ()
        assert 1 - found["score"].confidence == pytest.approx(2 * stats.norm.sf(z), rel=5e-3)


def test_plans_that_do_not_agree(rng) -> None:
    a, b = start("a", rng, 50), start("b", rng, 50)
    a.plan("score", alpha=0.01)
    with pytest.raises(cr.StatError, match="the plan has alpha=0.01"):
        cr.compare(a, b, metrics=["score"], alpha=0.05)
    b.plan("score", alpha=0.05)
    with pytest.raises(cr.StatError, match="different plans"):
        cr.compare(a, b, metrics=["score"])


def test_a_sequential_plan_wants_a_sequence(rng) -> None:
    a, b = start("a", rng, 50), start("b", rng, 50)
    a.plan("p50_latency_ms", sequential=True)
    with pytest.raises(cr.StatError, match="sequential=True"):
        cr.compare(a, b)
    assert cr.compare(a, b, sequential=True)["p50_latency_ms"].planned is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"metric": ""}, "metric=''"),
        ({"metric": "score", "alpha": 0}, "alpha=0"),
        ({"metric": "score", "margin": -1}, "margin=-1"),
        ({"metric": "score", "direction": "higher"}, "direction='higher'"),
        ({"metric": "score", "looks": 3}, "several looks need a sample_size"),
    ],
)
def test_wrong_plans(rng, arguments, said) -> None:
    with pytest.raises(cr.CrucibleError, match=said):
        start("a", rng, 0).plan(**arguments)


# -- information and levels ----------------------------------------------------------------------------------------------


def more(exp: cr.Experiment, rng, n: int, **columns) -> None:
    exp.extend(pd.DataFrame({"score": rng.normal(0, 1, n), **columns}), event="call")


def test_old_rows_of_the_control_do_not_use_up_the_plan(rng) -> None:
    base, exp = pd.DataFrame({"score": rng.normal(0, 1, 5000)}), cr.start("pp")
    exp.plan("score", direction="up", sample_size=1000, looks=2)
    more(exp, rng, 10)
    early = cr.compare(base, exp)
    assert [look.planned for look in exp.planned.looks] == [False]
    assert 1 - early["score"].confidence < 1e-6
    assert "at 10 new values of score in the smaller arm, was not planned: it is tested at the level" in early.looked[0]
    for n, planned, level in ((240, True, 2.963), (250, True, 1.969)):
        more(exp, rng, n)
        found = cr.compare(base, exp)
        assert 1 - found["score"].confidence == pytest.approx(2 * stats.norm.sf(level), rel=5e-3)
        assert exp.planned.looks[-1].planned is planned
    assert [look.information for look in exp.planned.looks] == [10, 250, 500]


def test_looks_after_the_end_are_marked_not_errors(rng) -> None:
    control, treatment = start("a", rng, 0), start("b", rng, 0)
    treatment.plan("score", direction="up", sample_size=1000, looks=3)
    for exp in (control, treatment):
        more(exp, rng, 500)  # the first look is at the end
    final = cr.compare(control, treatment, metrics=["score"])
    assert (final.looked, 1 - final["score"].confidence) == ((), pytest.approx(0.05))
    for n in (1, 50, 500):
        for exp in (control, treatment):
            more(exp, rng, n)
        late = cr.compare(control, treatment, metrics=["score"])
        assert 1 - late["score"].confidence == pytest.approx(0.05)
        assert "not covered by the plan; use sequential=True" in late.looked[0]
    assert [look.planned for look in treatment.planned.looks] == [True, False, False, False]


def test_information_is_new_values_of_the_primary_metric(rng) -> None:
    control, treatment = start("a", rng, 300), start("b", rng, 300)
    treatment.plan("score", direction="up", sample_size=400, looks=2)
    more(control, rng, 200)
    more(treatment, rng, 150)
    treatment.extend(pd.DataFrame({"latency_ms": np.ones(1000)}))
    control.extend(pd.DataFrame({"score": [np.nan] * 100}))
    cr.compare(control, treatment, metrics=["score"])
    (look,) = treatment.planned.looks
    assert (look.information, look.planned) == (150, True)


def test_a_plan_of_a_ratio_counts_rows_with_both_parts(rng) -> None:
    exp = cr.start("ratio")
    exp.plan("cost_per_success", sample_size=40)
    exp.extend(pd.DataFrame({"cost_usd": [0.1, 0.2, np.nan] * 10, "success": [True, None, True] * 10}))
    cr.compare(pd.DataFrame({"cost_usd": rng.random(50), "success": [True, False] * 25}), exp)
    assert exp.planned.looks[0].information == 10


def test_many_looks_have_levels_that_floats_can_tell(rng) -> None:
    control, treatment = start("a", rng, 0), start("b", rng, 0)
    treatment.plan("score", direction="up", sample_size=2000, looks=100)
    for exp in (control, treatment):
        more(exp, rng, 10)
    found = cr.compare(control, treatment, metrics=["score"])["score"]
    assert found.confidence < 1
    assert np.isfinite(found.confidence_interval).all()


def test_looks_are_kept_with_their_information(rng, tmp_path) -> None:
    exp = cr.start("kept", store=tmp_path)
    exp.plan("score", sample_size=100, looks=2)
    more(exp, rng, 30)
    cr.compare(pd.DataFrame({"score": rng.normal(0, 1, 500)}), exp)
    exp.flush()
    assert cr.attach(exp.handle, mode="read").planned.looks == exp.planned.looks
    exp.stop()
    assert exp.planned.looks[0].information == 30
