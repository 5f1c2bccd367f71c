"""`cr.plot.by` draws the intervals of `cr.confidence_interval(by=)`, over numbers and over names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr

EVIL = '<img src=x onerror="alert(1)"> & <b>$x^2$</b> %{y}'
RNG = np.random.default_rng(4)
ROWS = pd.DataFrame({
    "concurrency": np.repeat([16, 1, 4, 64], 200), "subject": RNG.choice(["maths", "law", EVIL], 800),
    "latency_ms": RNG.lognormal(6, 0.4, 800), "success": RNG.random(800) < 0.8,
})  # fmt: skip


def test_a_sweep_is_a_line_over_numbers_with_error_bars() -> None:
    figure = cr.plot.by(ROWS, "p90_latency_ms", "concurrency")
    table = cr.confidence_interval(ROWS, metric="p90_latency_ms", by="concurrency").to_frame()
    [line] = figure.data
    assert line.x.tolist() == [1, 4, 16, 64]
    assert line.y.tolist() == table.estimate.tolist()
    assert np.allclose(line.y + line.error_y.array, table.confidence_interval_high)
    assert np.allclose(line.y - line.error_y.arrayminus, table.confidence_interval_low)
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["1", "4", "16", "64"]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("concurrency", "p90_latency_ms, ms")
    assert cr.plot.by(ROWS, "p90_latency_ms", "concurrency", log_x=False).layout.xaxis.type == "linear"


def test_names_are_a_forest_in_percent_with_values_in_words() -> None:
    figure = cr.plot.by(ROWS, "success_rate", "subject", confidence=0.9)
    table = cr.confidence_interval(ROWS, metric="success_rate", by="subject", confidence=0.9).to_frame()
    [points] = figure.data
    assert np.allclose(points.x, 100 * table.estimate)
    assert np.allclose(points.x + points.error_x.array, 100 * table.confidence_interval_high)
    assert points.y.tolist() == [2, 1, 0]  # the first at the top
    assert figure.layout.xaxis.title.text == "success_rate, %"
    assert "90% intervals" in figure.layout.title.subtitle.text
    assert any(f"(n = {table.n['law']:,})" in note.text for note in figure.layout.annotations)


def test_arms_are_told_apart_by_more_than_colour() -> None:
    arms = {"base": ROWS, EVIL: ROWS.assign(latency_ms=ROWS.latency_ms * 2)}
    for by in ("concurrency", "subject"):
        figure = cr.plot.by(arms, "latency_ms", by)
        assert len({trace.marker.symbol for trace in figure.data}) == 2
        assert any("base" in note.text for note in figure.layout.annotations)
        if by == "concurrency":
            assert len({trace.line.dash for trace in figure.data}) == 2


@pytest.mark.parametrize("theme", [None, "light", "dark"])
def test_names_are_escaped_in_every_theme(theme: str | None) -> None:
    text = cr.plot.by({EVIL: ROWS, "b": ROWS}, "success_rate", "subject", theme=theme).to_json()
    assert "<img" not in text
    assert "<b>" not in text
    assert "$x" not in text


def test_open_limits_and_small_groups() -> None:
    few = pd.concat(
        [ROWS.head(1).assign(concurrency=256), ROWS[ROWS.concurrency == 4].head(5), ROWS[ROWS.concurrency == 1]]
    )
    figure = cr.plot.by(few, "p99_latency_ms", "concurrency")  # the p99 of five values has no upper limit
    assert np.isfinite(figure.data[0].error_y.array).all()
    assert any("no limit" in text for text in figure.data[0].hovertext)
    rate = cr.plot.by(few, "latency_ms", "concurrency")
    assert "too small: 256" in rate.layout.title.subtitle.text


def test_experiments_and_conditions() -> None:
    with cr.start("sweep", cluster="concurrency", clock="events") as exp:
        exp.extend(ROWS, event="llm.request")
    drawn = cr.plot.by(exp, "success_rate", "subject", where="latency_ms < 500")
    table = cr.confidence_interval(exp, metric="success_rate", by="subject", where="latency_ms < 500").to_frame()
    assert np.allclose(drawn.data[0].x, 100 * table.estimate)
    assert len(cr.plot.by([exp, ROWS], "success_rate", "subject").data) == 2


def test_wrong_data() -> None:
    with pytest.raises(cr.StatError, match="data="):
        cr.plot.by([1.0, 2.0], "latency_ms", "level")
    with pytest.raises(cr.ConfigError, match="1 to 6 arms"):
        cr.plot.by({}, "latency_ms", "level")
    with pytest.raises(cr.SchemaError, match="by='no'"):
        cr.plot.by(ROWS, "latency_ms", "no")
    with pytest.raises(cr.ConfigError, match="theme"):
        cr.plot.by(ROWS, "latency_ms", "subject", theme="blue")
    assert repr(cr.plot) == "<figures of data: by, runs>"


def test_arms_are_groups_without_a_column() -> None:
    arms = {level: part.drop(columns="concurrency") for level, part in ROWS.groupby("concurrency")}
    figure = cr.plot.by(arms, "p90_latency_ms")
    same = cr.plot.by(ROWS, "p90_latency_ms", "concurrency")
    assert list(figure.data[0].x) == list(same.data[0].x)
    assert list(figure.data[0].y) == list(same.data[0].y)
    assert figure.layout.xaxis.title.text == "arm"
    named = cr.plot.by({"small": arms[1], "empty": arms[1][:0]}, "p90_latency_ms")
    assert "too small: empty" in named.layout.title.subtitle.text
    with pytest.raises(cr.StatError, match="no arm has an estimate"):
        cr.plot.by({"empty": arms[1][:0]}, "p90_latency_ms")
