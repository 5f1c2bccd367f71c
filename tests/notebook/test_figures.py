"""`exp.plot` draws the recorded events, escapes names, marks anomalies, and is readable in both themes."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.notebook.figures.theme import PALETTES
from crucible_nb.notebook.figures.words import choose_window, escape
from crucible_nb.notebook.line import StatusLine

EVIL = '<img src=x onerror="alert(1)"> & <b>$x^2$</b> %{y}'
FIGURES = ("latency", "quantiles", "anomalies", "windows")
BEGIN = pd.Timestamp("2025-01-01 09:00", tz="UTC")


def trace(n: int, seed: int = 0, freq: str = "1s", scale: float = 400.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {
        "event": "llm.request",
        "latency_ms": scale * rng.lognormal(0, 0.3, n),
        "success": rng.random(n) < 0.95,
        "cost_usd": rng.lognormal(-7, 0.3, n),
        "loss": rng.random(n),
    }
    return pd.DataFrame(columns, index=pd.date_range(BEGIN, periods=n, freq=freq))


def run(frame: pd.DataFrame, name: str = "run", **options: object) -> cr.Experiment:
    with cr.start(name, clock="events", **options) as exp:
        exp.extend(frame)
    return exp


@pytest.fixture
def spiked() -> cr.Experiment:
    frame = trace(3000)
    frame.iloc[2000:2020, 1] *= 6
    return run(frame, anomaly="auto")


def by_name(figure: object) -> dict[str, object]:
    return {one.name: one for one in figure.data}


def test_each_event_is_a_point(spiked: cr.Experiment) -> None:
    drawn = by_name(spiked.plot.latency())
    assert set(drawn) == {"events", "median", "anomalies"}
    assert drawn["events"].y.tolist() == spiked.df.latency_ms.tolist()
    assert (pd.DatetimeIndex(drawn["events"].x).tz_localize("UTC") == spiked.df.index).all()
    groups = spiked.df.latency_ms.groupby(spiked.df.index.floor("1min")).median()
    assert np.allclose(drawn["median"].y, groups)


def test_every_flagged_event_is_marked_with_reason_and_each_anomaly_numbered(spiked: cr.Experiment) -> None:
    marks = by_name(spiked.plot.latency())["anomalies"]
    flagged = spiked.df[spiked.df.anomaly]
    assert len(flagged) > 10
    assert marks.y.tolist() == flagged.latency_ms.tolist()
    assert [text for text in marks.text if text] == [str(i + 1) for i in range(len(spiked.anomalies()))]
    assert "open" in marks.marker.symbol
    worst = spiked.anomalies().peak.argmax()
    reason = spiked.anomalies().reason[worst]
    assert any(" ".join(told.replace("<br>", " ").split()).endswith(reason) for told in marks.hovertext)


def test_large_series_are_downsampled_and_the_subtitle_tells(rng: np.random.Generator) -> None:
    frame = trace(50_000, freq="100ms")
    frame.iloc[[20_000, 30_001], 1] = [9000.0, 0.5]
    exp = run(frame, anomaly="z_score")
    figure = exp.plot.latency()
    drawn = by_name(figure)["events"].y
    assert len(drawn) < 4000 + int(exp.df.anomaly.sum()) + 1
    assert {9000.0, 0.5} <= set(drawn.tolist())
    assert set(exp.df.latency_ms[exp.df.anomaly]) <= set(drawn.tolist())
    assert f"50,000 events, {len(drawn):,} drawn" in figure.layout.title.subtitle.text


def test_the_subtitle_counts_sampled_rows(rng: np.random.Generator) -> None:
    exp = run(trace(5000), sampling="uniform", sampling_config={"rate": 0.1}, seed=1)
    assert f"5,000 events, {len(exp.df):,} kept" == exp.plot.latency().layout.title.subtitle.text


def test_quantiles_are_those_of_numpy(spiked: cr.Experiment) -> None:
    drawn = by_name(spiked.plot.quantiles("5min"))
    groups = spiked.df.latency_ms.groupby(spiked.df.index.floor("5min"))
    for name, q in {"p50": 0.5, "p95": 0.95, "p99": 0.99}.items():
        assert np.allclose(drawn[name].y, groups.quantile(q))
    assert len({drawn[name].line.dash for name in ("p50", "p95", "p99")}) == 3
    assert len(drawn["anomalies"].x) == len(spiked.anomalies())
    assert spiked.plot.quantiles("5min").layout.title.text == "run: latency quantiles of 5 min, ms"
    labels = [one.text for one in spiked.plot.quantiles().layout.annotations]
    assert sorted(labels) == ["p50", "p95", "p99"]


def test_anomalies_are_listed_in_words(spiked: cr.Experiment) -> None:
    figure = spiked.plot.anomalies()
    found = spiked.anomalies()
    told = " ".join(figure.layout.annotations[-1].text.replace("<br>", " ").split())  # also of hard spaces
    for reason in found.reason[-8:]:
        assert reason in told
    assert len(figure.layout.shapes) == len(found)


def test_each_metric_has_a_chart_of_its_own_anomalies() -> None:
    frame = trace(3000)
    frame.iloc[1500:1600, 1] *= 5
    frame.iloc[2500:2600, 2] = False
    exp = run(frame, anomaly="auto", anomaly_config={"metrics": ["latency_ms", "success"]})
    figure = exp.plot.anomalies()
    marks = [one for one in figure.data if one.name == "anomalies"]
    counts = exp.df.anomaly_metric.value_counts()
    assert sorted(len(one.x) for one in marks) == sorted(counts[counts > 0])
    assert {figure.layout.yaxis.title.text, figure.layout.yaxis2.title.text} == {"latency, ms", "success"}
    assert len(exp.plot.anomalies("success").layout.shapes) == len(exp.anomalies())


def test_the_subtitle_tells_that_no_detector_is_on() -> None:
    assert "cr.start(anomaly='auto')" in run(trace(10)).plot.anomalies().layout.title.subtitle.text


def test_windows_are_those_of_windowed_metrics(spiked: cr.Experiment) -> None:
    drawn = by_name(spiked.plot.windows("10min", columns="loss"))
    table = spiked.windowed_metrics("10min", columns="loss")
    assert np.allclose(drawn["p95"].y, table.p95_latency_ms)
    assert np.allclose(drawn["success, %"].y, 100 * table.success_rate)
    assert np.allclose(drawn["mean of loss"].y, table.mean_loss)
    assert np.allclose(drawn["events/s"].y[:-1], table.event_count[:-1] / 600)
    assert np.allclose(drawn["cost, USD per hour"].y[:-1], 6 * table.total_cost_usd[:-1])


def test_paused_time_does_not_lower_rates(clock: object) -> None:
    exp = cr.start("paused", clock=clock)
    for second in range(120):
        clock.tick(1)
        if second == 60:
            exp.pause()
        if second == 90:
            exp.resume()
        exp.record("tick", latency_ms=1.0)
    exp.stop()
    figure = exp.plot.windows("20s")
    rates = by_name(figure)["events/s"].y
    assert np.nanmin(rates) > 0.9
    assert np.nanmax(rates) < 1.2
    assert any(one.text == "paused" for one in exp.plot.latency().layout.annotations)
    assert len(exp.plot.latency().layout.shapes) == 1


def test_two_arms_are_drawn_side_by_side() -> None:
    arms = [run(trace(600, seed, scale=scale), name) for name, seed, scale in (("base", 1, 400), ("mini", 2, 300))]
    figure = StatusLine(arms).figure()
    lines = [one for one in figure.data if one.name in ("base", "mini")]
    assert len(lines) == 8
    assert all(one.x[0] <= 0 < one.x[-1] for one in lines)
    assert {(one.name, one.line.dash) for one in lines} == {("base", "solid"), ("mini", "dash")}


def test_comparison_draws_estimate_interval_and_verdict() -> None:
    arms = [run(trace(800, seed, scale=scale), name) for name, seed, scale in (("base", 1, 400), ("mini", 2, 300))]
    metrics = ["mean_latency_ms", "success_rate"]
    figure = arms[0].plot.compare(arms[1], metrics=metrics)
    found = cr.compare(*arms, metrics=metrics)
    for metric, one in found.items():
        drawn = by_name(figure)[metric]
        wanted = np.array([one.confidence_interval.low, one.estimate, one.confidence_interval.high])
        assert np.allclose(drawn.x, wanted * (100 if metric == "success_rate" else 1))
        assert any(f"<b>{one.verdict}</b>" in note.text for note in figure.layout.annotations)
    base = by_name(figure)["base"]
    assert np.allclose(base.x, np.quantile(arms[0].df.latency_ms, base.y / 100))
    assert len(arms[0].plot.compare(arms[1].df, metrics=metrics).data) == len(figure.data)


def test_a_margin_and_zero_are_drawn() -> None:
    arms = [run(trace(800, seed), name) for name, seed in (("base", 1), ("mini", 2))]
    shapes = arms[0].plot.compare(arms[1], metrics=["success_rate"], margin={"success_rate": 0.03}).layout.shapes
    assert sorted((one.x0, one.x1) for one in shapes) == [(-3.0, 3.0), (0, 0)]


def test_one_metric_without_latency_is_a_figure() -> None:
    arms = [pd.DataFrame({"success": np.random.default_rng(seed).random(400) < 0.9}) for seed in (1, 2)]
    figure = run(arms[0].set_index(trace(400).index)).plot.compare(arms[1])
    assert [one.name for one in figure.data] == ["success_rate"]


def test_comparison_with_itself_is_refused() -> None:
    exp = run(trace(10))
    for other in (exp, None, 3):
        with pytest.raises(cr.ConfigError, match="other=.*: expected another Experiment, or a DataFrame"):
            exp.plot.compare(other)


def test_hostile_names_are_words_and_nothing_else() -> None:
    frame = trace(3000)
    frame["event"], frame[EVIL] = EVIL, 1.0
    frame.iloc[1500:1600, 1] *= 5
    exp = run(frame, EVIL, condition=EVIL, anomaly="auto", anomaly_config={"by": "event"})
    other = run(frame, "other")
    figures = [getattr(exp.plot, name)() for name in FIGURES]
    figures += [exp.plot.windows(columns=[EVIL]), exp.plot.compare(other, metrics=["mean_latency_ms"], pair_by=None)]
    for text in itertools.chain.from_iterable(map(texts, figures)):
        assert "<img" not in text
        assert "$" not in text
        assert "<b>" not in text.replace("<b>better</b>", "").replace("<b>inconclusive</b>", "").replace(
            "<b>worse</b>", ""
        )
    assert "&lt;img" in figures[0].layout.title.text
    assert "%{" not in "".join(str(one.hovertemplate) for figure in figures for one in figure.data)


def texts(figure: object) -> list[str]:
    """Everything that a browser would read as markup."""
    found = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for part in value.values():
                walk(part)
        elif isinstance(value, (list, tuple)):
            for part in value:
                walk(part)
        elif isinstance(value, str):
            found.append(value)

    walk(figure.to_plotly_json())
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_without_events(name: str) -> None:
    exp = cr.start("empty")
    figure = getattr(exp.plot, name)()
    assert not figure.data
    assert figure.layout.annotations[0].text
    exp.record("note", words="no number")
    exp.stop()
    assert getattr(exp.plot, name)() is not None


def test_a_comparison_without_events() -> None:
    figure = cr.start("a").plot.compare(cr.start("b"))
    assert figure.layout.annotations[0].text == "one of the arms has no events yet"


@pytest.mark.parametrize("name", FIGURES)
def test_one_event_is_enough(name: str) -> None:
    exp = run(trace(1))
    figure = getattr(exp.plot, name)()
    assert figure.data
    assert all("markers" in one.mode for one in figure.data if len(one.y))


@pytest.mark.parametrize("theme", ["light", "dark", None])
def test_a_theme_is_background_and_words(spiked: cr.Experiment, theme: str | None) -> None:
    for name in FIGURES:
        template = getattr(spiked.plot, name)(theme=theme).layout.template.layout
        assert template.paper_bgcolor == PALETTES[theme].paper
        assert template.font.color == PALETTES[theme].text
    with pytest.raises(cr.ConfigError, match="theme='blue': expected one of None, 'light', 'dark'"):
        spiked.plot.latency(theme="blue")


def luminance(color: str) -> float:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float(
        np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    )


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("theme", "papers"), [("light", ["#ffffff"]), ("dark", ["#1c1c1f"]), (None, ["#ffffff", "#111111"])]
)
def test_words_and_lines_stand_out(theme: str | None, papers: list[str]) -> None:
    palette = PALETTES[theme]
    for paper in papers:
        assert contrast(palette.text, paper) > (4.5 if theme else 3.5)
        for role in ("p50", "p95", "p99", "rate", "success", "cost", "column", "anomaly"):
            assert contrast(getattr(palette, role), paper) >= 3, role


# Machado, Oliveira, Fernandes (2009), severity 1
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


@pytest.mark.parametrize("theme", PALETTES)
@pytest.mark.parametrize("kind", BLIND)
def test_colours_drawn_together_differ_for_the_colour_blind(theme: str | None, kind: str) -> None:
    palette = PALETTES[theme]
    for group in (("p50", "p95"), ("p50", "p99"), ("p95", "p99"), ("p50", "anomaly")):
        one, other = (seen(getattr(palette, role), kind) for role in group)
        assert np.linalg.norm(one - other) > 0.08, group


def seen(color: str, kind: str) -> np.ndarray:
    """A colour in Oklab, as perceived with a colour vision deficiency."""
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(BLIND[kind]) @ linear, 0, 1)
    lms = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]) @ linear
    return np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]) @ np.cbrt(lms)


def test_every_figure_is_documented_by_example() -> None:
    methods = [name for name in vars(cr.notebook.figures.Plot) if not name.startswith("_")]
    assert methods == [*FIGURES, "compare"]
    for name in methods:
        assert ">>>" in getattr(cr.notebook.figures.Plot, name).__doc__
    assert ">>>" in (cr.Experiment.plot.__doc__ or "")


def test_plotly_comes_with_the_first_figure() -> None:
    code = "import sys, crucible_nb as cr; exp = cr.start('x'); exp.plot; print('plotly' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_wrong_arguments(spiked: cr.Experiment) -> None:
    with pytest.raises(cr.ConfigError, match="log=1: expected one of None, True, False"):
        spiked.plot.latency(log=1)
    with pytest.raises(cr.SchemaError, match="metric='nope': no such column"):
        spiked.plot.anomalies("nope")
    with pytest.raises(cr.SchemaError, match="event: expected a column of numbers"):
        spiked.plot.windows(columns=["event"])
    with pytest.raises(cr.ConfigError, match="window="):
        spiked.plot.quantiles("nonsense")


@pytest.mark.parametrize("span", [0, 1, 10**6, 3 * 10**9, 86_400 * 10**9, 10**18])
def test_windows_are_round_and_not_more_than_sixty(span: int) -> None:
    assert span / choose_window(span).value <= 60


def test_figures_are_json_and_html(spiked: cr.Experiment) -> None:
    for name in FIGURES:
        figure = getattr(spiked.plot, name)()
        assert "&lt;" not in escape("plain")
        assert figure.to_json() == getattr(spiked.plot, name)().to_json()


def test_windows_draw_metrics_by_name() -> None:
    exp = cr.start("named", clock="events")
    for i in range(60):
        exp.record("train.step", loss=1 / (1 + i), latency_ms=10.0 * i, time=i * 10**9)
    exp.stop()
    named = ["min_loss", "share(latency_ms < 300)", "events_per_second"]
    drawn = {trace.name: trace.y.tolist() for trace in exp.plot.windows("20s", columns=["loss", *named]).data}
    table = exp.windowed_metrics("20s", columns=named)
    assert drawn["min_loss"] == table["min_loss"].tolist()
    assert drawn["share(latency_ms &lt; 300)"] == [1.0, 0.5, 0.0]
    assert "mean of loss" in drawn
    with pytest.raises(cr.SchemaError, match="no such column"):
        exp.plot.windows("20s", columns=["max_nothing"])
