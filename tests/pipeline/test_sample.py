"""The sampling stage: only rows are sampled, weights are right, removed rows are gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from tests.conftest import NOON, SECOND

SAMPLERS: dict[str, dict[str, Any]] = {
    "uniform": {"rate": 0.1},
    "reservoir": {"size": 500},
    "stratified": {"rates": {False: 1.0}, "default": 0.05},
    "adaptive": {"base_rate": 0.05},
    "importance": {"size": 400, "by": "latency_ms"},
}


def trace(n: int = 20_000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "event": "llm.request",
            "model": rng.choice(["small", "large"], n),
            "route": rng.choice(["eu", "us", "asia"], n),
            "latency_ms": rng.lognormal(6, 1, n),
            "cost_usd": rng.lognormal(-6, 1, n),
            "success": rng.random(n) < 0.98,
        },
        index=pd.DatetimeIndex(NOON + np.arange(n) * SECOND // 10, tz="UTC", name="time"),
    )


def sampled(name: str | None, frame: pd.DataFrame, seed: int = 1, **options: Any) -> cr.Experiment:
    config = SAMPLERS[name] if name else None
    with cr.start("keep", clock="events", sampling=name, sampling_config=config, seed=seed, **options) as exp:
        exp.extend(frame)
    return exp


@pytest.mark.parametrize("name", SAMPLERS)
def test_metrics_see_every_event_and_only_rows_are_sampled(name: str) -> None:
    frame = trace()
    exp, full = sampled(name, frame), sampled(None, frame)
    assert exp.summary()["kept_events"] == len(exp.df)
    for look in ({}, {"by": "model"}, {"last": "5min"}):
        got, wanted = exp.metrics(**look), full.metrics(**look)
        assert got.latency.mean == pytest.approx(wanted.latency.mean, rel=1e-12) or look == {"last": "5min"}
        assert got.latency.count == wanted.latency.count or look == {"last": "5min"}
    assert json.dumps(exp.metrics().to_dict()) == json.dumps(full.metrics().to_dict())
    assert len(exp.df) < 5000
    assert exp.summary()["total_events"] == len(frame)
    assert exp.summary()["kept_events"] == len(exp.df)


@pytest.mark.parametrize("name", SAMPLERS)
def test_weights_stand_for_the_events_that_left(name: str) -> None:
    frame = trace()
    total = [sampled(name, frame, seed).df.weight.sum() for seed in range(40)]
    error = np.std(total, ddof=1) / np.sqrt(len(total))
    assert abs(np.mean(total) - len(frame)) <= 4 * error + 1e-6 * len(frame)


@pytest.mark.parametrize("name", SAMPLERS)
def test_same_seed_same_sample_other_seed_another(name: str) -> None:
    frame = trace(5000)
    pd.testing.assert_frame_equal(sampled(name, frame).df, sampled(name, frame).df, check_exact=True)
    assert sampled(name, frame).df.seq.tolist() != sampled(name, frame, seed=2).df.seq.tolist()


def test_without_a_seed_one_is_drawn_and_said() -> None:
    with cr.start("drawn", clock="events", sampling="uniform", sampling_config={"rate": 0.1}) as exp:
        exp.extend(trace(3000))
    again = sampled("uniform", trace(3000), seed=exp.summary()["seed"])
    assert again.df.seq.tolist() == exp.df.seq.tolist()


def test_a_live_window_sees_every_event_and_another_is_estimated() -> None:
    frame = trace()
    exp, full = sampled("uniform", frame), sampled(None, frame)
    live, wanted = exp.metrics(last="5min"), full.metrics(last="5min")
    assert not live.estimated
    # the rows of the pane that the window cuts are not all there, so the window begins at the next pane
    assert live.span.start >= wanted.span.start
    inside = frame.loc[live.span.start :]
    assert live.events == len(inside)
    assert live.latency.mean == pytest.approx(inside.latency_ms.mean(), rel=1e-12)
    other = exp.metrics(last="7min")
    assert other.estimated
    assert other.latency.mean == pytest.approx(
        frame.loc[frame.index[-1] - pd.Timedelta("7min") :].latency_ms.mean(), rel=0.2
    )


def test_groups_that_are_not_live_are_weighted_and_said_to_be_estimated() -> None:
    exp = sampled("uniform", trace())
    grouped = exp.metrics(by="route")
    rows = exp.df[exp.df.route == "eu"]
    assert grouped["eu"].estimated
    assert grouped["eu"].latency.mean == pytest.approx(np.average(rows.latency_ms, weights=rows.weight), rel=1e-12)


def test_frame_numbers_are_weighted() -> None:
    frame = trace()
    rows = sampled("stratified", frame).df
    assert rows.crucible.metrics().reliability.success_rate == pytest.approx(0.98, abs=0.005)
    assert rows.success.mean() < 0.8  # the naive number
    windows = rows.crucible.windowed_metrics("10min")
    assert windows.event_count.sum() == pytest.approx(rows.weight.sum())


def test_summary_says_seen_kept_and_effective() -> None:
    exp = sampled("stratified", trace())
    summary, weight = exp.summary(), exp.df.weight
    assert summary["effective_sample_size"] == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    strata = summary["strata"]
    assert sum(one["seen"] for one in strata.values()) == 20_000
    assert sum(one["kept"] for one in strata.values()) == len(exp.df)


def test_a_reservoir_shows_only_the_rows_of_now_with_the_weights_of_now() -> None:
    frame = trace(3000)
    exp = cr.start("now", clock="events", sampling="reservoir", sampling_config={"size": 100}, seed=3)
    handed: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    for start in range(0, 3000, 300):
        exp.extend(frame.iloc[start : start + 300])
        rows = exp.frame()
        assert len(rows) == 100
        assert (rows.weight == (start + 300) / 100).all()
        assert rows.attrs["crucible"]["seen"] == start + 300
        handed.append((rows, rows.copy()))
    exp.stop()
    for rows, copied in handed:
        pd.testing.assert_frame_equal(rows, copied)


def test_weights_that_events_bring_are_multiplied() -> None:
    frame = trace(2000).assign(weight=3.0)
    assert set(sampled("uniform", frame).df.weight) == {30.0}
    assert sampled("reservoir", frame).df.weight.unique().tolist() == [12.0]


def test_the_policy_may_change_and_weights_stay_right() -> None:
    frame = trace(6000)
    exp = cr.start("change", clock="events", sampling="reservoir", sampling_config={"size": 50}, seed=1)
    exp.extend(frame.iloc[:2000])
    exp.set_sampling("uniform", {"rate": 0.5})
    exp.extend(frame.iloc[2000:4000])
    exp.set_sampling(cr.sampling.Reservoir(20))
    exp.extend(frame.iloc[4000:5000])
    exp.set_sampling(None)
    exp.extend(frame.iloc[5000:])
    rows = exp.df
    parts = [
        rows[(rows.seq >= low) & (rows.seq < low + size)]
        for low, size in ((0, 2000), (2000, 2000), (4000, 1000), (5000, 1000))
    ]
    assert parts[0].weight.tolist() == [40.0] * 50
    assert set(parts[1].weight) == {2.0}
    assert parts[2].weight.tolist() == [50.0] * 20
    assert parts[3].weight.tolist() == [1.0] * 1000
    assert rows.attrs["crucible"]["sampled"]
    exp.stop()
    with pytest.raises(cr.LifecycleError, match="cannot set the sampling of 'change': its status is 'stopped'"):
        exp.set_sampling(None)


def test_two_policies_do_not_share_their_coins() -> None:
    exp = cr.start("coins", clock="events", sampling="reservoir", sampling_config={"size": 50}, seed=1)
    exp.extend(trace(2000))
    exp.set_sampling("reservoir", {"size": 50})
    exp.extend(trace(2000))
    first, second = (exp.df.seq[exp.df.seq // 2000 == half] % 2000 for half in (0, 1))
    assert len(set(first) & set(second)) < 25
    exp.stop()


def test_rows_leave_memory_while_a_reservoir_disowns_others() -> None:
    exp = cr.start("both", clock="events", sampling="reservoir", sampling_config={"size": 300}, max_events=100, seed=1)
    for start in range(0, 4000, 100):
        exp.extend(trace(4000).iloc[start : start + 100])
        assert len(exp.df) <= 100
        assert exp.summary()["kept_events"] == len(exp.df)
    exp.stop()


def test_late_rows_stand_in_their_place() -> None:
    frame = trace(4000)
    rows = sampled("uniform", frame.iloc[np.random.default_rng(0).permutation(4000)]).df
    assert rows.index.is_monotonic_increasing
    assert (rows.weight == 10).all()


def test_reprice_refuses_rows_that_are_not_there() -> None:
    with pytest.raises(cr.CrucibleError, match=r"^cannot reprice 'keep': \d+ events are not in memory"):
        sampled("uniform", trace()).reprice({})


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_a_sampler_that_fails_loses_nothing() -> None:
    class Broken(cr.sampling.Sampler):
        def choose(self, events: cr.sampling.Events) -> cr.sampling.Choice:
            raise RuntimeError("no coin")

    with cr.start("broken", clock="events", sampling=Broken(), seed=1) as exp:
        exp.extend(trace(100))
    assert len(exp.df) == 100
    assert (exp.df.weight == 1).all()
    assert exp.summary()["errors"] > 0


def test_a_sample_goes_into_a_file_and_comes_back(tmp_path: Path) -> None:
    exp = sampled("importance", trace())
    back = cr.load(exp.export(tmp_path / "run.parquet"))
    pd.testing.assert_frame_equal(back, exp.frame(), check_exact=True)
    assert back.attrs["crucible"] == exp.frame().attrs["crucible"]


@pytest.mark.parametrize(
    ("sampling", "config", "said"),
    [("resevoir", None, "sampling"), (3, None, "sampling"), ("uniform", {"rat": 0.1}, "rate"), ("uniform", {"rate": 2}, "rate"), (cr.sampling.Uniform(0.5), {"rate": 0.1}, "sampling_config")],
)  # fmt: skip
def test_bad_arguments_name_what_came(sampling: Any, config: Any, said: str) -> None:
    with pytest.raises(cr.ConfigError, match=said):
        cr.start("bad", sampling=sampling, sampling_config=config)
