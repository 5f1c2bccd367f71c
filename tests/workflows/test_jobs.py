"""Five jobs of researchers: few lines, no plain pandas, and the numbers of scipy, statsmodels and pandas."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

import crucible_nb as cr
from tests.workflows import data
from tests.workflows.jobs import lines, run, source

MOST = {"evaluation": 10, "operations": 12, "training": 20, "load_test": 10, "ab_test": 12}


@pytest.mark.parametrize("page", MOST)
def test_a_job_has_few_lines_and_no_plain_pandas(page: str) -> None:
    assert lines(page) <= MOST[page]
    assert not re.search(r"\b(pd|np|plotly|go)\.|groupby|\.agg\(", source(page))


# -- evaluation --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluation() -> tuple[dict[str, pd.DataFrame], dict]:
    runs = data.evaluations()
    return runs, run("evaluation", runs=runs)


def clustered(values: pd.Series, cluster: pd.Series) -> tuple[float, float]:
    fit = sm.OLS(values.astype(float).to_numpy(), np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(cluster)[0]}
    )
    return float(fit.params[0]), float(fit.bse[0])


def test_scores_have_errors_between_passages(evaluation) -> None:
    runs, names = evaluation
    table = names["table"].to_frame()
    for model, rows in runs.items():
        found = table[(table.arm == model) & table.estimate.notna()].iloc[0]
        mean, error = clustered(rows.success, rows.passage)
        assert found.estimate == pytest.approx(mean, rel=1e-12)
        assert found.standard_error == pytest.approx(
            error, rel=5e-3
        )  # CR2 here, CR1 there: 0.1 % apart at 100 passages
        assert found.n == 1500


def test_all_pairs_are_compared_by_question(evaluation) -> None:
    runs, names = evaluation
    table = names["table"].to_frame()
    means = {model: rows.groupby("sample_id").success.mean() for model, rows in runs.items()}
    passage = runs["base"].drop_duplicates("sample_id").set_index("sample_id").passage
    raw, rows = [], []
    for one, other in itertools.combinations(runs, 2):
        difference = (means[other] - means[one]).sort_index()
        mean, error = clustered(difference, passage.reindex(difference.index))
        row = table[(table.arm == other) & (table.against == one)].iloc[0]
        assert row.difference == pytest.approx(mean, rel=1e-10)
        assert row.difference_error == pytest.approx(error, rel=5e-3)
        assert row.correlation == pytest.approx(means[one].corr(means[other]), rel=1e-9)
        raw.append(2 * stats.t.sf(abs(mean / error), passage.nunique() - 1))
        rows.append(row)
    for row, p in zip(rows, multipletests(raw, method="holm")[1], strict=True):
        assert np.log(row.pvalue) == pytest.approx(np.log(p), rel=0.05)  # degrees of freedom: Satterthwaite here
    for model in runs:
        assert re.search(rf"success\\_rate & {model} & \d\.\d+ \(0\.0\d+\)", names["latex"])


# -- load test ---------------------------------------------------------------------------------------------------------


@pytest.mark.check
def test_a_sweep_has_rates_quantiles_and_goodput() -> None:
    names = run("load_test", requests=data.requests, levels=data.LEVELS)
    table = names["table"].to_frame().set_index(["metric", "arm"])
    for clients in data.LEVELS:
        rows = data.requests(clients).query("t_sent >= 5")
        time = pd.DatetimeIndex(rows.time)
        seconds = (time.max() - (time - pd.to_timedelta(rows.latency_ms.to_numpy(), unit="ms")).min()).total_seconds()
        tpot = (rows.latency_ms - rows.ttft_ms) / (rows.completion_tokens - 1)
        expected = {
            "events_per_second": len(rows) / seconds,
            "output_tokens_per_second": rows.completion_tokens.sum() / seconds,
            "p50_ttft_ms": rows.ttft_ms.quantile(0.5),
            "p95_ttft_ms": rows.ttft_ms.quantile(0.95),
            "p99_latency_ms": rows.latency_ms.quantile(0.99),
            names["good"]: ((rows.ttft_ms < 500) & (tpot < 25)).mean(),
        }
        for metric, value in expected.items():
            assert table.loc[(metric, str(clients)), "estimate"] == pytest.approx(value, rel=1e-6), (clients, metric)
    figure = names["figure"]
    assert list(figure.data[0].x) == list(data.LEVELS)
    assert figure.layout.xaxis.type == "log"


# -- A/B experiment ----------------------------------------------------------------------------------------------------


def test_an_experiment_is_planned_looked_at_and_decided(capsys: pytest.CaptureFixture[str]) -> None:
    d = data.users()
    names = run("ab_test", d=d)
    decisions = capsys.readouterr().out.splitlines()
    assert len(decisions) == 4
    assert decisions[-1] == "ship: success_rate is better; p95_latency_ms is equivalent"
    look = names["look"]["success_rate"]
    exog = sm.add_constant((d.arm == "B").astype(float).to_numpy())
    fit = sm.OLS(d.success.astype(float).to_numpy(), exog).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(d.session_id)[0]}
    )
    assert look.estimate == pytest.approx(fit.params[1], rel=1e-9)
    assert look.standard_error == pytest.approx(fit.bse[1], rel=1e-2)
    assert look.pvalue == pytest.approx(fit.pvalues[1], rel=0.1)
    effects = {}
    for device, part in d.groupby("device"):
        found = names["segments"][device]["success_rate"]
        share = part.groupby("arm").success.mean()
        assert found.estimate == pytest.approx(share["B"] - share["A"], rel=1e-9)
        effects[device] = found
    mobile, desktop = effects["mobile"], effects["desktop"]
    z = (mobile.estimate - desktop.estimate) / np.hypot(mobile.standard_error, desktop.standard_error)
    assert names["segments"].interaction["success_rate"].pvalue == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.02)


# -- training ----------------------------------------------------------------------------------------------------------

KILLED = """
import sys
from tests.workflows import data, jobs
data.Network.killed_in = 7
jobs.run("training", store=sys.argv[1], rates=(0.05, 0.2), seeds=(0, 1, 2), Network=data.Network)
"""


def losses(rate: float, seed: int) -> list[tuple[float, float]]:
    """What a run records: until three epochs in a row are not better than the best before."""
    network, found, best, waited = data.Network(rate, seed), [], np.inf, 0
    for _ in range(40):
        found.append(network.epoch())
        best, waited = (found[-1][0], 0) if found[-1][0] < best else (best, waited + 1)
        if waited == 3:
            break
    return found


@pytest.mark.check
def test_a_training_is_resumed_stopped_and_compared(tmp_path: Path) -> None:
    store, rates, seeds = tmp_path / "runs", (0.05, 0.2), (0, 1, 2)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(store)], check=False, cwd=Path(__file__).parents[2], capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert cr.attach("lr0.05-s0", store=store, mode="read").df.epoch.tolist() == [1, 2, 3, 4, 5, 6]
    names = run("training", store=store, rates=rates, seeds=seeds, Network=data.Network)
    expected = {(rate, seed): losses(rate, seed) for rate in rates for seed in seeds}
    for (rate, seed), epochs in expected.items():
        rows = names["runs"][rate][seed].df
        assert rows.epoch.tolist() == list(range(1, len(epochs) + 1))
        assert list(zip(rows.val_loss, rows.accuracy, strict=True)) == epochs
    table = names["table"].set_index("name")
    for (rate, seed), epochs in expected.items():
        row = table.loc[f"lr{rate}-s{seed}"]
        values = [row.lr, row.seed, row.min_val_loss, row.last_accuracy, row.last_epoch]
        assert values == [rate, seed, min(loss for loss, _ in epochs), epochs[-1][1], len(epochs)]
    for line, rate in zip(names["curves"].data, rates, strict=True):
        curves = {seed: pd.Series([loss for loss, _ in expected[rate, seed]]) for seed in seeds}
        means = pd.DataFrame(curves).mean(axis=1)
        drawn = dict(zip(line.x, line.y, strict=True))  # epochs that one run alone has reached have no interval
        for epoch, mean in drawn.items():
            assert mean == pytest.approx(means[int(epoch) - 1], rel=1e-12)
        assert len(drawn) >= sorted(len(expected[rate, seed]) for seed in seeds)[-2]
    last = [[expected[rate, seed][-1][1] for seed in seeds] for rate in rates]
    found = names["result"]["high"]["last_accuracy"]
    assert found.estimate == pytest.approx(np.mean(last[1]) - np.mean(last[0]), rel=1e-12)
    assert found.raw_pvalue == pytest.approx(stats.ttest_ind(last[1], last[0], equal_var=False).pvalue, rel=1e-6)


# -- operations --------------------------------------------------------------------------------------------------------


def test_a_day_has_an_objective_alerts_and_a_digest() -> None:
    day = data.calls()
    names = run("operations", day=day)
    good = (day.latency_ms < 2000) & day.success
    level, exp = names["level"], names["exp"]
    assert level.sli == pytest.approx(good.mean(), rel=1e-12)
    assert (level.allowed, level.spent) == (pytest.approx(0.05 * len(day)), (~good).sum())
    mean, error = clustered(good, day.session_id)
    assert level.confidence_interval.low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert level.confidence_interval.high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)
    cost = exp.df.cost_usd.astype(float)
    assert cost.sum() == pytest.approx(47.5605809500, rel=1e-9)  # by hand, from the published prices
    services = names["services"].to_frame().set_index(["metric", "arm"])
    for service, rows in day.groupby("service"):
        for q in (0.5, 0.95, 0.99):
            found = services.loc[(f"p{100 * q:.0f}_ttft_ms", service), "estimate"]
            assert found == pytest.approx(rows.ttft_ms.quantile(q), rel=1e-9)
        assert services.loc[("mean_retries", service), "estimate"] == pytest.approx(rows.retries.mean(), rel=1e-12)
    teams = names["teams"].to_frame().set_index(["metric", "arm"])
    for team, rows in exp.df.groupby("team", observed=True):
        assert teams.loc[("total_cost_usd", team), "estimate"] == pytest.approx(rows.cost_usd.sum(), rel=1e-9)
        assert teams.loc[("success_rate", team), "estimate"] == pytest.approx(float(rows.success.mean()), rel=1e-12)
    all_good = day.groupby("session_id").success.all()
    assert names["sessions"].estimate == pytest.approx(all_good.mean(), rel=1e-12)
    assert names["sessions"].n == len(all_good)


@pytest.mark.check
def test_a_day_tells_the_same_alerts_however_it_comes() -> None:
    day = data.calls()
    whole = run("operations", day=day)["alerts"]
    assert {"p95_latency_ms", "burn_rate", "cost_per_hour"} <= set(whole.metric)
    assert set(whole.index[whole.metric == "p95_latency_ms"].hour) == {14}
    exp = cr.start("parts", clock="events", by=("service", "team"))
    exp.slo("latency_ms < 2000 and success", target=0.95)
    for rule in whole.metric.unique():
        exp.watch(next(text for text in re.findall(r'"([^"]+ over [^"]+)"', source("operations")) if rule in text))
    for _, part in day.groupby(day.time.dt.floor("15min")):
        exp.extend(part)
    exp.stop()
    told = exp.alerts()
    assert sorted(zip(told.index, told.metric, told.reason, strict=True)) == sorted(
        zip(whole.index, whole.metric, whole.reason, strict=True)
    )
