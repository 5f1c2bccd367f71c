"""Reprs of results: escaped, on one line, deterministic, in the colours of the host page."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.experiment.live import LIVE
from crucible_nb.utils import html
from crucible_nb.utils.pictures import binned_means, histogram, interval_picture, pictures, sparkline
from crucible_nb.utils.text import brief
from tests.conftest import SECOND

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onload="alert(1)" x="',
    "quotes": """it's "both" `kinds` & more""",
    "newlines": "two\nlines\r\n\ttab\x00null\x1b[31mred",
    "right to left": "\u202eשלום\u200f abc",
    "long": "x" * 5000,
    "closing": "</td></table></style></svg><img src=x onerror=alert(1)>",
    "url": "javascript:alert(1) https://example.org/x.png url(//example.org)",
}
TAGS = {
    "div", "style", "table", "caption", "thead", "tbody", "tr", "td", "th", "figure", "figcaption", "svg", "title",
    "polyline", "circle", "path", "text", "ul", "li",
}  # fmt: skip


class Strict(HTMLParser):
    """Every tag is known, closed in order, and has no attribute that could act or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("src", "href", "srcset", "action", "xlink:href"), name
            assert name != "style" or "url" not in (value or "")
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said += data


def seen(thing: Any) -> str:
    """The text of its HTML, which is checked."""
    page = thing if isinstance(thing, str) else thing._repr_html_()
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser.said


def run(name: str, condition: str | None = None, slower: float = 0.0) -> cr.Experiment:
    """The same events each time."""
    with cr.start(name, condition=condition, clock="events", sample_size=100) as exp:
        for i in range(60):
            exp.record(
                name[:100],
                latency_ms=100.0 + i % 7 + slower,
                success=i % 9 > 0,
                model=name,
                cost_usd=0.1 + i % 3,
                time=i * SECOND,
            )
    return exp


def things(name: str) -> dict[str, Any]:
    exp = run(name, name)
    frame = pd.DataFrame({name: [0.1, 0.4, 0.3, 0.2]})
    found = cr.compare(exp, run(name + "2", name + "2", 5.0))
    return {
        "experiment": exp,
        "metrics": exp.metrics(),
        "by model": exp.metrics(by="model"),
        "by both": exp.metrics(by=["event", "model"]),
        "list": cr.experiments(),
        "comparison": found,
        "of a column": cr.compare(frame, frame + 1, metrics=[name], direction={name: "up"}),
        "several": cr.compare(exp, {name: run("other", None, 5.0)}),
        "test": cr.t_test(frame, frame + 1, metric=name),
        "interval": cr.confidence_interval(frame, metric=name),
        "sequence": cr.confidence_sequence(frame, metric=name, bound=(0, 1)),
    }


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_do_nothing(kind: str) -> None:
    for what, thing in things(HOSTILE[kind]).items():
        said = seen(thing)
        assert said, what
        shown = repr(thing)
        assert all(char.isprintable() or char == "\n" for char in shown), what
        if what in ("experiment", "by model", "list", "comparison"):
            assert len(max(shown.splitlines(), key=len)) < 400, what
            assert len(said) < 4000, what


def test_the_same_events_look_the_same() -> None:
    once, again = things("calls"), things("calls")
    once.pop("list")
    for what, thing in once.items():
        assert repr(thing) == repr(again[what]), what
        assert thing._repr_html_() == again[what]._repr_html_(), what


def test_colours_come_from_the_host_and_nothing_is_fetched() -> None:
    page = run("calls")._repr_html_()
    assert "var(--jp-content-font-color1," in page
    assert "var(--jp-border-color2," in page
    assert "prefers-color-scheme:dark" in page
    assert page.count("<style>") == 1
    assert "http" not in page
    assert "<script" not in page


def test_an_experiment_shows_how_it_went() -> None:
    page = run("calls")._repr_html_()
    assert "<figcaption>latency ms, 100 to 106</figcaption><svg" in page
    assert "<figcaption>success rate, 0 to 1</figcaption><svg" in page
    assert 'aria-label="latency ms, 100 to 106"' in page
    assert "60 (60% of 100)" in seen(page)
    empty = cr.start("empty")
    assert "<svg" not in empty._repr_html_()
    empty.record("one", latency_ms=1.0)
    assert "<svg" not in empty._repr_html_()
    empty.stop()


def test_metrics_show_the_distribution_once_there_is_one() -> None:
    assert "the 99th percentile</figcaption><svg" in run("calls").metrics()._repr_html_()
    assert "<svg" not in pd.DataFrame({"latency_ms": [1.0, 2.0]}).crucible.metrics()._repr_html_()
    assert "<svg" not in pd.DataFrame({"latency_ms": [5.0] * 50}).crucible.metrics()._repr_html_()
    assert "<svg" not in pd.DataFrame({"success": [True] * 50}).crucible.metrics()._repr_html_()


def test_a_comparison_shows_its_intervals() -> None:
    page = cr.compare(run("a", "a"), run("b", "b", 5.0))._repr_html_()
    assert page.count("<svg") == 3
    assert "difference 5, interval" in page
    two = cr.compare(run("a", "a"), {"x": run("b", "b", 5.0), "y": run("c", "c")})._repr_html_()
    assert two.count('class="crucible-view"') == 1


def test_the_list_is_a_frame_with_a_repr_of_its_own() -> None:
    exp = run("listed", "treatment")
    listed = cr.experiments()
    assert isinstance(listed, pd.DataFrame)
    assert listed.index.name == "id"
    lines = repr(listed).splitlines()
    assert lines[0].split() == ["name", "status", "condition", "events", "kept", "active", "s", "errors"]
    assert "listed" in lines[-1]
    assert exp.id not in repr(listed)
    assert "listed" in seen(listed)
    assert "<svg" in listed._repr_html_()
    assert type(listed.loc[[exp.id]]) is type(listed[["name"]]) is type(listed.copy()) is pd.DataFrame
    assert repr(listed[:0]) != repr(listed)


def test_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LIVE, "_entries", [])
    assert repr(cr.experiments()) == "no experiments"
    assert "0 experiments" in seen(cr.experiments())


@given(st.text(), st.integers(3, 80))
def test_brief_is_one_printable_line(text: str, most: int) -> None:
    said = brief(text, most)
    assert len(said) <= most
    assert said.isprintable()
    if text.isprintable() and len(text) <= most:
        assert said == text


@given(st.text(), st.text(), st.text())
def test_all_text_is_escaped(a: str, b: str, c: str) -> None:
    assert Strict().feed(html.view(html.table([[a, b]], [b, c], c), html.points([a]), html.figure("<svg/>", b))) is None
    seen(html.view(html.table([[a, b]], [b, c], c), html.points([a]), html.figure("<svg/>", b)))
    seen(sparkline(np.array([1.0, 2.0]), a, [(0, b)]) + interval_picture(1.0, 2.0, 1.5, c))


def test_trend_is_weighted_means() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.integers(0, 10**12, 500))
    values = np.where(rng.random(500) < 0.1, np.nan, rng.normal(size=500))
    weights = rng.uniform(0.5, 3, 500)
    found = binned_means(times, values, weights, 20)
    frame = pd.DataFrame(
        {
            "x": values,
            "w": weights,
            "bin": pd.cut(times, np.linspace(times[0], times[-1], 21), labels=False, include_lowest=True, right=False),
        }
    )
    frame.loc[499, "bin"] = 19
    known = frame.dropna()
    wanted = (known.x * known.w).groupby(known.bin).sum() / known.w.groupby(known.bin).sum()
    np.testing.assert_allclose(found, wanted.reindex(range(20)), rtol=1e-12)
    assert np.isnan(binned_means(np.array([5, 5]), np.full(2, np.nan), np.ones(2))).all()


def test_density_of_nothing_and_of_one_value() -> None:
    assert histogram(lambda q: np.full(len(q), np.nan))[0].size == 0
    assert histogram(lambda q: np.full(len(q), 3.0))[0].size == 0


@pytest.mark.parametrize(
    ("low", "high", "estimate", "margin"),
    [
        (-math.inf, 3.0, 1.0, None),
        (1.0, math.inf, 2.0, 0.5),
        (0.0, 0.0, 0.0, None),
        (-1.0, 1.0, 0.0, 5.0),
        (-math.inf, math.inf, 0.0, None),
    ],
)
def test_whiskers_stay_in_the_picture(low: float, high: float, estimate: float, margin: float | None) -> None:
    import re

    drawn = interval_picture(low, high, estimate, "label", margin)
    seen(drawn)
    places = [
        float(found) for found in re.findall(r"[MH](-?[\d.]+)|cx=\"(-?[\d.]+)", drawn) for found in found if found
    ]
    assert all(0 <= place <= 120 for place in places)
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert interval_picture(math.nan, 1.0, 0.0, "") == interval_picture(0.0, 1.0, math.nan, "") == ""


def test_pictures_of_rows_without_latency() -> None:
    with cr.start("training", clock="events") as exp:
        for i in range(5):
            exp.record("train.step", loss=1.0 / (i + 1), time=i * SECOND)
    assert pictures(exp.df) == []
    assert pictures(pd.DataFrame()) == []
