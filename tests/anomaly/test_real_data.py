"""Known incidents in real traces are detected at their place; the figures come from `python -m benchmarks.detectors`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import crucible_nb as cr
from benchmarks import detectors as bench
from benchmarks.detectors import KINDS, Case, Kind, Tally


def tally(case: Case, method: str) -> Tally:
    return bench.tally(bench.flagged(case.values, case.detector(method)), case.spans)


def test_the_timeout_is_an_incident_that_says_so(shared_data: Path) -> None:
    case = bench.timeout(shared_data)
    (row, _), rows = case.spans[0], case.values
    assert rows.latency_ms[row] == pytest.approx(300_030)
    found = cr.anomaly.anomalies(rows).set_index("first_seq")
    assert "latency_ms 300,030 is the highest ever" in found.reason[row]
    assert found.severity[row] == "critical"
    missing = found.reason.str.contains("is missing")
    assert (~missing).sum() <= 36  # 35 when it was measured, in 45,022 known latencies
    assert missing.sum() <= 2
    raw = cr.anomaly.score(rows, cooldown=0)
    assert (raw > raw[row]).sum() <= 1  # the first call of minutes, at row 710, scores higher


def test_the_timeout_is_flagged_in_a_live_experiment(shared_data: Path) -> None:
    case = bench.timeout(shared_data)
    row = case.spans[0][0]
    with cr.start("calls", anomaly="auto", clock="events") as exp:
        exp.extend(case.values.assign(event="llm.call"))
    found = exp.anomalies().set_index("first_seq")
    assert found.metrics[row] == "latency_ms"
    event = exp.frame().iloc[row]
    assert event.anomaly
    assert event.anomaly_metric == "latency_ms"


@pytest.mark.parametrize("block", [20, 50])
def test_the_end_of_the_double_sends_is_one_incident(shared_data: Path, block: int) -> None:
    """51,216 and 49,334 calls; they become fewer shortly before, which is when it is raised."""
    case = bench.double_sends(shared_data, block)
    flags = bench.flagged(case.values, case.detector("auto"))
    (begin,), ((row, _),) = bench.begins(flags).tolist(), case.spans
    assert abs(begin - row) * block < 1_500
    assert flags[row : row + 20].mean() > 0.5


@pytest.mark.parametrize("run", ["lepton_70b", "lepton_7b", "perplexity_70b", "bedrock_70b"])
@pytest.mark.parametrize("method", ["z_score", "modified_z_score", "iqr", "ewma"])
def test_the_first_error_after_clean_runs_is_one_incident(shared_data: Path, run: str, method: str) -> None:
    found = tally(bench.failing(shared_data, run), method)
    assert (found.raised, found.delays) == (1, (0,))


@pytest.mark.parametrize(("run", "delay"), [("lepton_70b", 5), ("lepton_7b", 5), ("bedrock_70b", 15)])
def test_auto_sees_a_rate_of_errors_and_no_single_one(shared_data: Path, run: str, delay: int) -> None:
    found = tally(bench.failing(shared_data, run), "auto")
    assert found.raised == 1
    assert 0 < found.delays[0] <= delay
    assert tally(bench.failing(shared_data, "perplexity_70b"), "auto").raised == 0  # two of 150


@pytest.mark.parametrize("run", ["lepton_70b", "lepton_7b"])
def test_cusum_sees_a_burst_of_refusals(shared_data: Path, run: str) -> None:
    found = tally(bench.failing(shared_data, run), "cusum")
    assert found.raised == found.found == 1
    assert found.delays[0] <= 40  # 22 when it was measured


def test_the_clock_that_restarts_in_each_training_run(shared_data: Path) -> None:
    """Ten steps are a short past: z_score accepts it, auto does not."""
    case = bench.restarts(shared_data)
    flags = bench.flagged(case.values, case.detector("z_score"))
    assert flags[[row for row, _ in case.spans]].sum() == len(case.spans) == 157
    found = bench.tally(flags, case.spans)
    assert found.found >= 156
    assert found.raised - found.found <= 20  # 18 when it was measured, in 250,000 steps
    outside = np.ones(len(flags), bool)
    for start, stop in case.spans:
        outside[start:stop] = False
    assert outside[bench.begins(flags, 300)].sum() <= 5  # 3 where incidents end after 300 quiet steps


def test_begins_are_the_alarms_of_score(shared_data: Path) -> None:
    values = bench.calls(shared_data)["cost_usd"].to_numpy()
    alarms = np.flatnonzero(cr.anomaly.score(values).to_numpy() >= 1)
    begins = bench.begins(bench.flagged(values, "auto"))
    assert len(begins)
    assert np.isin(begins, alarms).all()  # the others are told again, clearly worse


def injected(shared: Path, kind: Kind, method: str = "auto", seeds: int = 5) -> Tally:
    values, found = bench.calls(shared)[kind.column].to_numpy(), Tally()
    for seed in range(seeds):
        changed, spans = bench.inject(values, kind, seed)
        found += bench.tally(bench.flagged(changed, method), spans, bench.FIRST)
    return found


@pytest.mark.parametrize(
    ("kind", "method", "recall", "precision"),
    [
        ("level shift", "auto", 0.75, 0.35),  # measured: 92 % and 48 % of 50
        ("error burst", "auto", 0.90, 0.90),  # 100 % and 100 %
        ("cost jump", "auto", 0.80, 0.65),  # 72 % of what is raised
        ("cost jump", "cusum", 0.85, 0.45),  # 96 % and 60 %
    ],
)
def test_injected_incidents(shared_data: Path, kind: str, method: str, recall: float, precision: float) -> None:
    found = injected(shared_data, next(one for one in KINDS if one.what == kind), method)
    assert found.happened == 50
    assert found.recall >= recall
    assert found.precision >= precision


def test_spikes_beyond_everything_before_are_flagged(shared_data: Path) -> None:
    """Only 5 of 50 exceed all calls before: normal calls also take minutes."""
    latency, beyond = bench.calls(shared_data)["latency_ms"].to_numpy(), 0
    for seed in range(5):
        values, spans = bench.inject(latency, KINDS[0], seed)
        flags = bench.flagged(values, "auto")
        for row, _ in spans:
            if values[row] > np.nanmax(values[:row]) + np.nanstd(latency):
                beyond += 1
                assert flags[row]
    assert beyond >= 3
