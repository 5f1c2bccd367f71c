"""The law of `where=`: by every door it equals filtering the frame first, with weights kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.events.where import Where
from tests.tiers import seeds

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
]

N = 240
WHERES: list[tuple[str, Where, Callable[[pd.DataFrame], pd.Series]]] = [
    ("event == 'call'", "event == 'call'", lambda frame: frame.event == "call"),
    ("latency and success", "latency_ms < 900 and success", lambda frame: (frame.latency_ms < 900) & frame.success),
    ("callable", lambda frame: frame.latency_ms > 50, lambda frame: frame.latency_ms > 50),
    ("time", "time >= '2025-01-01 00:01'", lambda frame: pd.Series(frame.index >= pd.Timestamp("2025-01-01 00:01", tz="UTC"), frame.index)),
]  # fmt: skip


def arm(seed: int, *, weighted: bool) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    success = pd.array(rng.random(N) < 0.8, "boolean")
    success[rng.random(N) < 0.1] = None
    frame = pd.DataFrame(
        {
            "event": pd.Categorical(rng.choice(["call", "warmup"], N, p=[0.8, 0.2])),
            "latency_ms": np.where(rng.random(N) < 0.05, np.nan, rng.lognormal(6, 0.8, N)),
            "cost_usd": rng.exponential(0.01, N),
            "success": success,
            "sample_id": np.arange(N) % 120,
            "group": rng.choice(["a", "b"], N),
            "seed": np.arange(N) % 6,
        },
        index=pd.date_range("2025-01-01", periods=N, freq="s", tz="UTC", name="time"),
    )
    return frame.assign(weight=rng.choice([1.0, 2.0, 5.0], N)) if weighted else frame


def one(call: Any) -> Any:
    return lambda a, b, **where: call(a, **where)


DOORS: dict[str, Callable[..., Any]] = {
    "confidence_interval": one(lambda a, **w: cr.confidence_interval(a, metric="success_rate", **w)),
    "interval of a total": one(lambda a, **w: cr.confidence_interval(a, metric="total_cost_usd", **w)),
    "interval of a share": one(lambda a, **w: cr.confidence_interval(a, metric="share(latency_ms < 500)", **w)),
    "one_sample": one(lambda a, **w: cr.one_sample(a, 400.0, **w)),
    "one_proportion": one(lambda a, **w: cr.one_proportion(a, 0.5, **w)),
    "t_test": cr.t_test,
    "paired t_test": lambda a, b, **w: cr.t_test(a, b, paired=True, **w),
    "mann_whitney_u": cr.mann_whitney_u,
    "two_proportions": cr.two_proportions,
    "chi_square": lambda a, b, **w: cr.chi_square(a, b, metric="group", **w),
    "anova": cr.anova,
    "kruskal_wallis": cr.kruskal_wallis,
    "equivalence": lambda a, b, **w: cr.equivalence(a, b, margin=500.0, **w),
    "non_inferiority": lambda a, b, **w: cr.non_inferiority(a, b, margin=500.0, direction="down", **w),
    "cohens_d": cr.cohens_d,
    "hedges_g": cr.hedges_g,
    "glass_delta": cr.glass_delta,
    "cliffs_delta": cr.cliffs_delta,
    "rank_biserial": cr.rank_biserial,
    "eta_squared": cr.eta_squared,
    "omega_squared": cr.omega_squared,
    "cohens_h": cr.cohens_h,
    "odds_ratio": cr.odds_ratio,
    "compare": cr.compare,
    "compare of several": lambda a, b, **w: cr.compare(a, {"b": b, "a": a}, metrics=["latency_ms"], **w),
    "compare of runs": lambda a, b, **w: cr.compare(a, b, metrics=["latency_ms"], group_by="seed", **w),
    "metrics": one(lambda a, **w: a.crucible.metrics(**w)),
    "metrics by": one(lambda a, **w: a.crucible.metrics(by="group", **w)),
    "windowed_metrics": one(lambda a, **w: a.crucible.windowed_metrics("1min", by="group", **w)),
    "sample": one(lambda a, **w: cr.sampling.sample(a, cr.sampling.Uniform(0.5), seed=3, **w)),
}
WITHOUT_WEIGHTS: dict[str, Callable[..., Any]] = {
    "wilcoxon": cr.wilcoxon,
    "mcnemar": cr.mcnemar,
    "cohens_g": cr.cohens_g,
    "fisher": cr.fisher,
    "permutation_test": lambda a, b, **w: cr.permutation_test(a, b, n_resamples=99, **w),
    "next_sample": cr.next_sample,
    "confidence_sequence": one(lambda a, **w: cr.confidence_sequence(a, metric="p50_latency_ms", **w).interval),
    "sequential compare": lambda a, b, **w: cr.compare(a, b, sequential=True, **w),
}
once = ["wilcoxon", "mcnemar", "cohens_g"]


def same(got: Any, expected: Any) -> None:
    if isinstance(got, pd.DataFrame):
        pd.testing.assert_frame_equal(got, expected)
    elif hasattr(got, "to_dict"):
        assert repr(got.to_dict()) == repr(expected.to_dict())
    else:
        assert got == expected


def refused_or(call: Callable[..., Any], *arms: pd.DataFrame, **options: Any) -> Any:
    try:
        return call(*arms, **options)
    except cr.CrucibleError as error:
        return type(error), str(error)


@pytest.mark.parametrize("door", [*DOORS, *WITHOUT_WEIGHTS])
@pytest.mark.parametrize(("where", "mask"), [(where, mask) for _, where, mask in WHERES], ids=[w[0] for w in WHERES])
def test_it_equals_filtering_first(door: str, where: Where, mask: Callable[[pd.DataFrame], pd.Series]) -> None:
    call = (DOORS | WITHOUT_WEIGHTS)[door]
    for seed in seeds(12):
        weighted = door in DOORS and seed % 2 == 1
        arms = [arm(2 * seed + i, weighted=weighted) for i in (0, 1)]
        if door in once:
            arms = [side.iloc[:120] for side in arms]
        filtered = [side[mask(side).fillna(False).astype(bool)] for side in arms]
        same(refused_or(call, *arms, where=where), refused_or(call, *filtered))


@pytest.mark.parametrize(("where", "mask"), [(where, mask) for _, where, mask in WHERES], ids=[w[0] for w in WHERES])
@pytest.mark.parametrize("sampling", [None, "uniform"])
def test_it_does_so_for_an_experiment(
    sampling: str | None, where: Where, mask: Callable[[pd.DataFrame], pd.Series]
) -> None:
    config = None if sampling is None else {"rate": 0.5}
    with cr.start("where", clock="events", sampling=sampling, sampling_config=config, seed=5) as exp:
        exp.extend(arm(9, weighted=False))
    rows = exp.df[mask(exp.df).fillna(False).astype(bool)]
    got, frames = exp.metrics(where=where), rows.crucible.metrics()
    for section in ("latency", "cost", "reliability", "tokens"):
        assert repr(getattr(got, section)) == repr(getattr(frames, section))
    assert got.estimated == (sampling is not None)
    assert exp.metrics(by="group", where=where)["a"].latency == rows[rows.group == "a"].crucible.metrics().latency
    same(exp.windowed_metrics("1min", where=where), rows.crucible.windowed_metrics("1min"))
    same(exp.query_window(where=where), rows)
    for interval in ("success_rate", "p95_latency_ms"):
        same(cr.confidence_interval(exp, interval, where=where), cr.confidence_interval(rows, interval))
    other = arm(3, weighted=False)
    filtered = other[mask(other).fillna(False).astype(bool)]
    pair = cr.compare(exp, other, metrics=["cost_usd"], where=where), cr.compare(rows, filtered, metrics=["cost_usd"])
    assert pair[0]["cost_usd"].pvalue == pair[1]["cost_usd"].pvalue
    assert pair[0].control == "where"


def test_windows_select_first_and_conditions_then() -> None:
    exp = cr.start("where", clock="events")
    for second in range(10):
        exp.record("call" if second % 2 else "warmup", latency_ms=float(second), time=second * 10**9)
    exp.stop()
    assert exp.metrics(last="3s", where="event == 'call'").events == 2
    assert exp.df.crucible.metrics(last="3s", where="event == 'call'").events == 2
    assert exp.query_window(last="3s", where="event == 'call'").latency_ms.tolist() == [7.0, 9.0]
    with pytest.raises(cr.ConfigError, match="or where= alone, got none"):
        exp.query_window()
    with pytest.raises(cr.ConfigError, match="got last_n and sliding"):
        exp.query_window(last_n=2, sliding="1s", where="event == 'call'")


@pytest.mark.parametrize("call", [cr.t_test, cr.compare, cr.cliffs_delta])
def test_bare_values_have_no_columns(call: Any) -> None:
    with pytest.raises(cr.StatError, match="where='x > 1': expected experiments or DataFrames, got list"):
        call([1.0, 2.0], [1.0, 3.0], where="x > 1", **({"metrics": ["x"]} if call is cr.compare else {}))


def test_plots_draw_the_selected_events() -> None:
    pytest.importorskip("plotly")
    exp = cr.start("plots", clock="events", anomaly="z_score")
    for i in range(200):
        exp.record("call" if i % 2 else "warmup", latency_ms=900.0 if i == 150 else 100.0 + i % 3, time=i * 10**9)
    exp.stop()
    assert len(exp.plot.latency(where="event == 'call'").data[0].y) == 100
    assert "100 where event ==" in exp.plot.latency(where="event == 'call'").layout.title.subtitle.text
    assert "no anomaly" in exp.plot.latency(where="event == 'call'").layout.title.subtitle.text
    assert "1 anomaly" in exp.plot.latency(where="event == 'warmup'").layout.title.subtitle.text
    counts = exp.plot.windows("100s", where="event == 'call'").data
    assert next(trace for trace in counts if trace.name == "events/s").y.tolist() == pytest.approx([0.5, 0.5], rel=0.02)
    assert len(exp.plot.quantiles("100s", where="event == 'call'").data) == 3
    assert exp.plot.anomalies(where="event == 'warmup'").data
    figure = exp.plot.compare(exp.df, metrics=["mean_latency_ms"], where="event == 'call'")
    assert "100 and 100 events" in figure.layout.title.subtitle.text
