"""Text, HTML, Markdown and LaTeX views of results."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.events.metric_names import metric_of
from crucible_nb.stats.results import Interval, number


def found() -> cr.stats.Estimate:
    return cr.confidence_interval([True] * 18 + [False] * 2)


def test_in_a_terminal() -> None:
    assert repr(found()) == "\n".join(
        [
            "Estimate",
            "  metric               success_rate",
            "  estimate             0.9",
            "  confidence interval  0.699 to 0.9721",
            "  confidence           0.95",
            "  of                   process",
            "  method               wilson",
            "  standard error       0.06882",
            "  n                    20",
            "  effective n          20",
            "  missing              0",
            "  assumptions          rows are taken as independent",
            "  text                 success_rate was 0.9 (95% confidence interval 0.699 to 0.9721 by Wilson's score "
            "method, 20 rows).",
        ]
    )


def test_as_data() -> None:
    plain = found().to_dict()
    assert plain["confidence_interval"] == pytest.approx([0.699, 0.9721], abs=1e-4)
    frame = found().to_frame()
    assert frame.shape == (1, 15)
    assert frame.confidence_interval_high.item() == pytest.approx(0.9721, abs=1e-4)


def test_as_markdown_latex_and_html() -> None:
    assert "| confidence interval | 0.699 to 0.9721 |" in found().to_markdown()
    assert r"success\_rate" in found().to_latex()
    assert found().to_latex().startswith(r"\begin{tabular}")
    assert "<caption>Estimate</caption>" in found()._repr_html_()


def test_hostile_names_are_escaped() -> None:
    hostile = dataclasses.replace(found(), metric="<script>|&_", warnings=("a", "b"))
    assert "&lt;script&gt;" in hostile._repr_html_()
    assert r"<script>\|&_" in hostile.to_markdown()
    assert r"\textless{}script\textgreater{}\textbar{}\&\_" in hostile.to_latex()
    assert "a; b" in hostile.to_markdown()
    assert "  warnings             a\n                       b\n" in repr(hostile)
    assert hostile.to_frame().warnings.item() == "a; b"


def test_long_sentences_are_folded_in_a_terminal() -> None:
    long = dataclasses.replace(found(), text=" ".join(["word"] * 60))
    lines = repr(long).splitlines()
    assert max(map(len, lines)) <= 120
    folded = [line for line in lines if "word" in line]
    assert " ".join(line.removeprefix("  text").strip() for line in folded) == long.text


def test_a_table_for_a_paper_folds_them_too() -> None:
    assert found().to_latex().startswith(r"\begin{tabular}{lp{0.7\linewidth}}")


def test_what_issue_five_asks_of_an_estimate() -> None:
    frame = pd.DataFrame({"latency_ms": [1.0, 2.0, None, 4.0], "user": ["a", "b", "c", "d"]})
    got = cr.confidence_interval(frame, "latency_ms", cluster="user", method="t")
    assert (got.n, got.missing) == (3, 1)
    assert got.exclusions == ("1 rows without latency_ms",)
    assert got.assumptions[0] == "3 clusters (user) are taken as independent; rows within one need not be"
    assert got.warnings == ("only 3 clusters: fewer than 30 give a wide interval",)
    assert got.text == (
        "latency_ms was 2.333 (95% confidence interval -1.461 to 6.128 by Student's t, 3 rows in 3 clusters by user)."
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metric": "latency_ms", "of": "run"}, "latency_ms of the run was 23.5, known exactly (48 rows)."),
        ({"metric": "total_latency_ms"}, "total_latency_ms of the run was 1,128, known exactly (48 rows)."),
        (
            {"metric": "p50_latency_ms", "cluster": "user"},
            "by order statistics on the effective number of events, 48 rows",
        ),
        ({"metric": "latency_ms", "resample": "4s"}, "by Student's t, 12 blocks of 4s)."),
        ({"metric": "latency_ms", "confidence": 0.999}, "(99.9% confidence interval"),
    ],
)
def test_sentences(options: dict, said: str) -> None:
    times = pd.date_range("2025-01-01", periods=48, freq="s")
    frame = pd.DataFrame({"latency_ms": np.arange(48.0), "user": np.arange(48) % 40}, index=times)
    assert said in cr.confidence_interval(frame, **options).text


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        found().estimate = 1.0  # type: ignore[misc]


def test_numbers() -> None:
    assert [number(value) for value in (0.5, 1234.5, -1e6, 1e-7)] == ["0.5", "1,234", "-1,000,000", "1e-07"]
    assert Interval(0.0, float("inf")) == (0.0, float("inf"))


@pytest.mark.parametrize(
    ("name", "kind", "column"),
    [
        ("mean_latency_ms", "mean", "latency_ms"),
        ("p99.9_latency_ms", "quantile", "latency_ms"),
        ("total_cost_usd", "total", "cost_usd"),
        ("total_tokens", "total", "total_tokens"),
        ("success_rate", "rate", "success"),
        ("train/loss", "mean", "train/loss"),
        ("pass_at_1", "mean", "pass_at_1"),
    ],
)
def test_metric_names(name: str, kind: str, column: str) -> None:
    metric = metric_of(name)
    assert (metric.kind, metric.column) == (kind, column)


def test_a_column_of_that_name_is_meant_first() -> None:
    assert metric_of("mean_score", ["mean_score"]).column == "mean_score"


def test_results_with_an_unknown_number_are_equal_on_every_python() -> None:
    one, other = (cr.confidence_interval(np.arange(400.0), metric="p50_latency_ms") for _ in range(2))
    apart = dataclasses.replace(other, standard_error=float("nan"))  # another NaN than that of `one`
    assert math.isnan(one.standard_error)
    assert one == other == apart
    assert one != dataclasses.replace(other, estimate=1.0)
    assert one != dataclasses.replace(other, standard_error=1.0)
    assert one != "a text"
    open_sided = [cr.t_test([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]) for _ in range(2)]
    assert open_sided[0] == open_sided[1]
    assert hash(one) == hash(other)
