"""Results print well wherever a person reads them."""

from __future__ import annotations

import dataclasses

import pytest

import crucible_nb as cr
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.values import metric_of


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
    assert r"<script>|\&\_" in hostile.to_latex()
    assert "a; b" in repr(hostile)
    assert hostile.to_frame().warnings.item() == "a; b"


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
