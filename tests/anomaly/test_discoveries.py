"""False discovery control over groups: Benjamini and Hochberg's procedure on ranks, checked against statsmodels."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from statsmodels.stats.multitest import multipletests

from crucible_nb.anomaly import ZScore
from crucible_nb.anomaly.discoveries import MEMORY, Discoveries
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.testing import check_detector

GROUPS, RATE = 20, 0.2


def stream(seed: int, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random(rounds * GROUPS), np.tile(np.arange(GROUPS), rounds)


def test_flags_are_those_of_statsmodels_on_the_latest_p_values() -> None:
    score, codes = stream(0, 200)
    bad = (codes < 4) & (np.arange(len(codes)) >= 194 * GROUPS)
    score[bad] += 0.9
    got = Discoveries(RATE).calibrate(score, codes)
    latest = np.ones(GROUPS)
    for i, group in enumerate(codes):
        past = score[:i][codes[:i] == group]
        latest[group] = (1 + np.sum(past >= score[i])) / (1 + len(past))
        if np.isnan(got[i]):
            assert (len(past) + 1) * RATE < GROUPS
        elif i >= GROUPS:
            flagged = multipletests(latest, RATE, method="fdr_bh")[0]
            assert (got[i] >= 1) == flagged[group]
    assert (got[bad] >= 1).mean() > 0.9


def test_the_share_of_false_ones_among_the_groups_flagged_at_a_moment_is_what_was_asked() -> None:
    shares = []
    for seed in range(40):
        score, codes = stream(seed, 400)
        last = np.arange(len(codes)) >= 390 * GROUPS
        score[(codes < 6) & last] += 0.95
        flags = (Discoveries(RATE).calibrate(score, codes) >= 1).reshape(-1, GROUPS)[395:]
        shares += [row[6:].sum() / max(row.sum(), 1) for row in flags]
        assert flags[:, :6].mean() > 0.8
    assert np.mean(shares) <= RATE


def test_while_nothing_is_wrong_an_event_is_flagged_with_rate_over_groups() -> None:
    flags = [(Discoveries(RATE).calibrate(*stream(seed, 500)) >= 1).mean() for seed in range(10)]
    assert np.mean(flags) <= 1.2 * RATE / GROUPS


def test_a_score_is_ranked_among_the_last_ones_of_its_group() -> None:
    rng = np.random.default_rng(0)
    score, one = rng.random(MEMORY + 500), Discoveries(0.5)
    got = one.calibrate(score, np.zeros(len(score), int))
    past = score[-MEMORY - 1 :]
    rank = rankdata(-past, method="max")[-1]
    assert got[-1] == pytest.approx(0.5 / (rank / (MEMORY + 1)))


def test_a_detector_over_many_groups_obeys_the_laws_and_goes_on_from_its_state() -> None:
    detector = ZScore("latency_ms", 6.0, by="model", false_discovery_rate=0.02)
    check_detector(detector)
    assert repr(detector) == "ZScore(['latency_ms'], threshold=6, by=['model'], false_discovery_rate=0.02)"


def test_the_state_is_plain_data() -> None:
    score, codes = stream(3, 300)
    whole = Discoveries(RATE).calibrate(score, codes)
    first, second = Discoveries(RATE), Discoveries(RATE)
    begin = first.calibrate(score[:3333], codes[:3333])
    second.load(json.loads(json.dumps(first.to_dict())))
    np.testing.assert_array_equal(np.r_[begin, second.calibrate(score[3333:], codes[3333:])], whole)


def test_reasons_are_those_of_the_detector() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"latency_ms": rng.normal(100, 5, 4000), "model": np.tile(list("abcd"), 1000)})
    frame.loc[3900, "latency_ms"] = 400.0
    verdict = ZScore("latency_ms", by="model", false_discovery_rate=0.01).begin().judge(EventColumns.of_frame(frame))
    assert verdict.reasons[3900] == "latency_ms 400 is 60.1 sd above the mean 100.1 of a"


def test_no_score_of_a_detector_is_above_1000() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"latency_ms": np.r_[rng.normal(100, 5, 5000), 1e6]})
    got = ZScore("latency_ms", false_discovery_rate=0.5).begin().judge(EventColumns.of_frame(frame)).score
    assert got[-1] == np.nanmax(got) == 1000


def test_it_goes_beside_no_false_alarm_rate() -> None:
    with pytest.raises(ValueError, match="false_discovery_rate=0.1: expected None beside a false_alarm_rate"):
        ZScore(false_alarm_rate=0.1, false_discovery_rate=0.1)
